//! A table of what was measured at which size, and what of it is not flat.

use std::fmt;

use super::rounds::Rounds;
use crate::compare::format::{bytes, time, times, times_within};
use crate::compare::statistics::{Estimate, median};

/// One part.
pub struct Table {
    /// What grows.
    pub title: String,
    /// The sizes, as headings; the smallest first.
    pub sizes: Vec<String>,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// Something measured at each size.
pub struct Row {
    what: String,
    values: Vec<Value>,
    /// The largest size to the smallest.
    ratio: Estimate,
    /// What that may be; infinite for what is there to compare with.
    allowed: f64,
}

#[derive(Clone, Copy)]
enum Value {
    Nanoseconds(f64),
    Bytes(f64),
}

/// What a row says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Nothing: it is what others are compared with.
    Given,
    /// It is within what is allowed.
    Flat,
    /// The median is above, the interval is not: noise cannot be told from growth.
    Unclear,
    /// All of the interval is above.
    Steep,
}

/// The allocator takes memory by large pages: so many bytes more or less mean nothing.
const SLACK: f64 = (2 << 20) as f64;

impl Row {
    /// What an operation takes.
    pub fn cost(what: impl Into<String>, rounds: &Rounds, allowed: f64) -> Self {
        let sizes = 0..rounds.0[0].len();
        let values = sizes.map(|size| median(&rounds.at(size)).unwrap_or(0.0)).collect();
        Self::beside(what, values, &rounds.ends(), allowed)
    }

    /// What an operation takes at each size, where the largest and the smallest were measured beside each other.
    pub fn beside(
        what: impl Into<String>,
        values: Vec<f64>,
        ends: &[(f64, f64)],
        allowed: f64,
    ) -> Self {
        Self {
            what: what.into(),
            values: values.into_iter().map(Value::Nanoseconds).collect(),
            ratio: Estimate::of_ratios(ends).expect("there are rounds, and they take time"),
            allowed,
        }
    }

    /// Memory of so many things at each size, as bytes of one.
    pub fn memory(what: impl Into<String>, held: &[(f64, u64)], allowed: f64) -> Self {
        let each = |&(held, count): &(f64, u64)| held / count as f64;
        let (first, last) = (held[0], held[held.len() - 1]);
        let ratio = each(&last) / each(&first).max(1.0);
        Self {
            what: what.into(),
            values: held.iter().map(|held| Value::Bytes(each(held))).collect(),
            ratio: Estimate { median: ratio, low: ratio, high: ratio, values: 1, is_certain: true },
            allowed: allowed * (1.0 + SLACK / first.0.max(1.0)),
        }
    }

    fn verdict(&self) -> Verdict {
        match self.ratio {
            _ if self.allowed.is_infinite() => Verdict::Given,
            ratio if ratio.median <= self.allowed => Verdict::Flat,
            ratio if ratio.low <= self.allowed => Verdict::Unclear,
            _ => Verdict::Steep,
        }
    }
}

impl Table {
    /// What is not flat.
    pub fn steep(&self) -> Vec<String> {
        let steep = self.rows.iter().filter(|row| row.verdict() == Verdict::Steep);
        let said = |row: &Row| {
            format!("{}: {}, at most {}", row.what, times(row.ratio.median), times(row.allowed))
        };
        steep.map(said).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n", self.title)?;
        let lines = "--:|".repeat(self.sizes.len());
        writeln!(f, "| | {} | largest to smallest | allowed | |", self.sizes.join(" | "))?;
        writeln!(f, "|---|{lines}--:|--:|---|")?;
        for row in &self.rows {
            write!(f, "| {} |", row.what)?;
            for value in &row.values {
                match *value {
                    Value::Nanoseconds(ns) => write!(f, " {} |", time(ns))?,
                    Value::Bytes(count) => write!(f, " {} |", bytes(count))?,
                }
            }
            let ratio = if row.ratio.values == 1 {
                times(row.ratio.median)
            } else {
                times_within(&row.ratio)
            };
            let allowed = match row.verdict() {
                Verdict::Given => String::new(),
                _ => times(row.allowed),
            };
            let verdict = match row.verdict() {
                Verdict::Given => "",
                Verdict::Flat => "flat",
                Verdict::Unclear => "too noisy to tell",
                Verdict::Steep => "NOT FLAT",
            };
            writeln!(f, " {ratio} | {allowed} | {verdict} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(ratios: [f64; 7]) -> Rounds {
        // A machine that is three times slower in some rounds.
        let noise = |n: usize| if n.is_multiple_of(3) { 30.0 } else { 10.0 };
        Rounds(ratios.iter().enumerate().map(|(n, r)| vec![noise(n), noise(n) * r]).collect())
    }

    #[test]
    fn growth_is_told_from_noise() {
        let verdict = |ratios| Row::cost("put", &rounds(ratios), 1.3).verdict();
        assert_eq!(verdict([1.0, 1.1, 1.0, 0.9, 1.2, 1.0, 1.0]), Verdict::Flat);
        assert_eq!(verdict([1.0, 1.1, 1.0, 0.9, 9.0, 1.0, 9.0]), Verdict::Flat);
        assert_eq!(verdict([1.4, 1.1, 1.4, 1.5, 1.5, 1.6, 1.4]), Verdict::Unclear);
        assert_eq!(verdict([1.4, 1.4, 1.4, 1.5, 1.5, 1.6, 1.4]), Verdict::Steep);
    }

    #[test]
    fn memory_is_compared_by_the_thing() {
        let mib = 1048576.0;
        let verdict =
            |small, large| Row::memory("", &[(small, 1_000), (large, 10_000)], 1.1).verdict();
        assert_eq!(verdict(20.0 * mib, 200.0 * mib), Verdict::Flat);
        assert_eq!(verdict(20.0 * mib, 260.0 * mib), Verdict::Steep);
        // What is less than the allocator's pages says nothing.
        assert_eq!(verdict(0.0, 20.0 * mib), Verdict::Flat);
    }

    #[test]
    fn a_table_says_what_is_not_flat() {
        let rows = vec![
            Row::cost("put", &rounds([1.0; 7]), 1.3),
            Row::cost("read", &rounds([2.0; 7]), 1.3),
            Row::memory("memory", &[(1e8, 100_000), (1e9, 1_000_000)], 1.1),
            Row::cost("a slice", &rounds([3.0; 7]), f64::INFINITY),
        ];
        let sizes = vec!["1,000".into(), "100,000".into()];
        let table = Table { title: "Streams".into(), sizes, rows };
        assert_eq!(table.steep(), ["read: 2.00x, at most 1.30x"]);
        assert_eq!(
            table.to_string(),
            "\n## Streams\n\n\
             | | 1,000 | 100,000 | largest to smallest | allowed | |\n\
             |---|--:|--:|--:|--:|---|\n\
             | put | 10 ns | 10 ns | 1.00x (1.00 to 1.00x) | 1.30x | flat |\n\
             | read | 10 ns | 20 ns | 2.00x (2.00 to 2.00x) | 1.30x | NOT FLAT |\n\
             | memory | 1,000 B | 1,000 B | 1.00x | 1.12x | flat |\n\
             | a slice | 10 ns | 30 ns | 3.00x (3.00 to 3.00x) |  |  |\n"
        );
    }
}
