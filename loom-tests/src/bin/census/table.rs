//! The committed table: what it says, how it is written, and how it is read back.
//!
//! Rows are read back so that a run need not repeat what is known already, and so that `--check` can
//! compare the table with the source without building anything.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

/// Which mutant a row is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    /// The place of an ordering, or the list and name of a step.
    pub place: String,
    /// From which ordering to which; for a step, the files.
    pub mutant: String,
    /// Of the operation's or the step's text.
    pub hash: String,
}

/// What became of a mutant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The ordering is relaxed: there is nothing weaker.
    Relaxed,
    /// A model found it, in so many executions (unknown when it crashed).
    Killed {
        /// The model.
        model: String,
        /// The executions until then, all orders of the roles counted.
        executions: Option<u64>,
    },
    /// So many models did not find it.
    Survives {
        /// How many.
        models: usize,
    },
}

/// What is known of the models themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// How many preemptions an execution may have.
    pub bound: u32,
    /// How many executions there were.
    pub executions: u64,
    /// How long they took.
    pub milliseconds: u128,
}

/// Everything in `CENSUS.md`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The orderings' rows.
    pub orderings: BTreeMap<Key, Verdict>,
    /// The steps' rows.
    pub steps: BTreeMap<Key, Verdict>,
    /// Each model's figures in every test run, and in the deeper one.
    pub models: BTreeMap<String, (Figures, Option<Figures>)>,
}

const TITLE: &str = "\
# The ordering census

Every atomic operation and fence of `core/src` (outside `sync`, which is what the models replace), each
of its orderings weakened by one step, and the loom model that fails when it is; then every step of the
protocols left out, changed or swapped (`mutants/*.txt`). What no model can kill is argued in
[beyond-loom.md](beyond-loom.md). This file is written by the census and checked by it:

```text
cargo run --release -p loom-tests --bin census               all rows anew
cargo run --release -p loom-tests --bin census -- --missing  rows that are new or whose code changed
cargo run --release -p loom-tests --bin census -- --only x   rows whose place has x in its name
cargo run --release -p loom-tests --bin census -- --deep 4   the models with more preemptions
cargo run --release -p loom-tests --bin census -- --check    whether rows and source agree (builds nothing)
```

*Executions* counts what the model explored until it failed, in all orders of its roles. *Text* is a hash of the
operation, so that a row dies with the code it is about.
";

const ORDERINGS: &str = "## Orderings";
const STEPS: &str = "## Steps";
const MODELS: &str = "## The models";

impl fmt::Display for Verdict {
    /// Two cells.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relaxed => f.write_str("nothing to weaken | "),
            Self::Killed { model, executions } => match executions {
                Some(executions) => write!(f, "`{model}` | {executions}"),
                None => write!(f, "`{model}` | crash"),
            },
            Self::Survives { models } => {
                write!(f, "**survives**, see [beyond loom](beyond-loom.md) | {models} models")
            }
        }
    }
}

impl Verdict {
    fn parse(verdict: &str, count: &str) -> Option<Self> {
        if verdict == "nothing to weaken" {
            return Some(Self::Relaxed);
        }
        if verdict.starts_with("**survives**") {
            return Some(Self::Survives { models: count.strip_suffix(" models")?.parse().ok()? });
        }
        let executions = match count {
            "crash" => None,
            count => Some(count.parse().ok()?),
        };
        Some(Self::Killed { model: verdict.trim_matches('`').to_owned(), executions })
    }
}

impl fmt::Display for Figures {
    /// Three cells.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, executions, milliseconds } = self;
        write!(f, "{bound} | {executions} | {milliseconds}")
    }
}

impl Figures {
    fn parse(cells: &[&str]) -> Option<Self> {
        let [bound, executions, milliseconds] = cells else { return None };
        Some(Self {
            bound: bound.parse().ok()?,
            executions: executions.parse().ok()?,
            milliseconds: milliseconds.parse().ok()?,
        })
    }
}

/// How many rows were killed, survive, and have nothing to kill.
pub fn count(rows: &BTreeMap<Key, Verdict>) -> (usize, usize, usize) {
    let count = |wanted: fn(&Verdict) -> bool| rows.values().filter(|row| wanted(row)).count();
    (
        count(|row| matches!(row, Verdict::Killed { .. })),
        count(|row| matches!(row, Verdict::Survives { .. })),
        count(|row| matches!(row, Verdict::Relaxed)),
    )
}

impl Table {
    /// The table in a file; an empty one if there is no file.
    pub fn read(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Writes the table to a file.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        std::fs::write(path, self.to_string()).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut table = Self::default();
        let mut section = "";
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("## ") {
                section = line;
            }
            let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |"))
            else {
                continue;
            };
            let cells: Vec<&str> = cells.split(" | ").map(str::trim).collect();
            if ["place", "step", "model"].contains(&cells[0]) || cells[0].starts_with("---") {
                continue;
            }
            table
                .parse_row(section, &cells)
                .ok_or_else(|| format!("line {} is no row of {section:?}: {line}", index + 1))?;
        }
        Ok(table)
    }

    fn parse_row(&mut self, section: &str, cells: &[&str]) -> Option<()> {
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        if section == MODELS {
            let (figures, deeper) = cells.get(1..)?.split_at_checked(3)?;
            let deeper = if deeper == ["", "", ""] { None } else { Some(Figures::parse(deeper)?) };
            self.models.insert(plain(cells[0]), (Figures::parse(figures)?, deeper));
            return Some(());
        }
        let [place, mutant, verdict, count, hash] = cells else { return None };
        let key = Key { place: plain(place), mutant: plain(mutant), hash: plain(hash) };
        let rows = match section {
            ORDERINGS => &mut self.orderings,
            STEPS => &mut self.steps,
            _ => return None,
        };
        rows.insert(key, Verdict::parse(verdict, count)?);
        Some(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = TITLE.to_owned();
        let (killed, survive, relaxed) = count(&self.orderings);
        let mut places: Vec<&String> = self.orderings.keys().map(|key| &key.place).collect();
        places.dedup();
        let _ = write!(
            text,
            "\n{ORDERINGS}\n\n{} operations and fences; {} mutants, {killed} killed, {survive} beyond loom; \
             {relaxed} orderings are relaxed already.\n\n\
             | place | mutant | killed by | executions | text |\n|---|---|---|---|---|\n",
            places.len(),
            killed + survive,
        );
        for (key, verdict) in &self.orderings {
            let Key { place, mutant, hash } = key;
            let _ = writeln!(text, "| `{place}` | {mutant} | {verdict} | `{hash}` |");
        }
        let (killed, survive, _) = count(&self.steps);
        let _ = write!(
            text,
            "\n{STEPS}\n\n{} mutants, {killed} killed, {survive} beyond loom.\n\n\
             | step | in | killed by | executions | text |\n|---|---|---|---|---|\n",
            killed + survive,
        );
        for (key, verdict) in &self.steps {
            let Key { place, mutant, hash } = key;
            let _ = writeln!(text, "| {place} | `{mutant}` | {verdict} | `{hash}` |");
        }
        let sum = |figures: &mut dyn Iterator<Item = &Figures>| {
            figures.fold((0, 0), |(executions, milliseconds), figures| {
                (executions + figures.executions, milliseconds + figures.milliseconds)
            })
        };
        let (executions, milliseconds) = sum(&mut self.models.values().map(|(usual, _)| usual));
        let deeper = self.models.values().filter_map(|(_, deeper)| deeper.as_ref());
        let (deep_executions, deep_milliseconds) = sum(&mut deeper.clone());
        let _ = write!(
            text,
            "\n{MODELS}\n\n{} models: {executions} executions in {} s at the bounds of every test run, and \
             {deep_executions} in {} s in the deeper run of {} of them (`--deep`; the largest number of \
             preemptions that ends in time).\n\n\
             | model | bound | executions | ms | deeper bound | executions | ms |\n\
             |---|---|---|---|---|---|---|\n",
            self.models.len(),
            milliseconds.div_ceil(1000),
            deep_milliseconds.div_ceil(1000),
            deeper.count(),
        );
        for (name, (usual, deeper)) in &self.models {
            let deeper =
                deeper.as_ref().map_or_else(|| " |  | ".to_owned(), |deeper| deeper.to_string());
            let _ = writeln!(text, "| `{name}` | {usual} | {deeper} |");
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(place: &str, mutant: &str) -> Key {
        Key { place: place.to_owned(), mutant: mutant.to_owned(), hash: "0123abcd".to_owned() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let figures = |bound| Figures { bound, executions: 7, milliseconds: 1234 };
        let mut table = Table::default();
        let killed = |executions| Verdict::Killed { model: "seal::seal".to_owned(), executions };
        table.orderings = BTreeMap::from([
            (key("log/a.rs A::b load", "Acquire -> Relaxed"), killed(Some(12))),
            (key("log/a.rs A::b load 2", "Relaxed"), Verdict::Relaxed),
            (key("log/a.rs A::c fence", "Acquire -> removed"), Verdict::Survives { models: 3 }),
        ]);
        table.steps =
            BTreeMap::from([(key("seal: the end after the bit", "core/src/a.rs"), killed(None))]);
        table.models = BTreeMap::from([
            ("seal::seal".to_owned(), (figures(2), Some(figures(4)))),
            ("seal::other".to_owned(), (figures(3), None)),
        ]);
        let text = table.to_string();
        assert!(
            text.contains("3 operations and fences; 2 mutants, 1 killed, 1 beyond loom; 1 ord")
        );
        assert_eq!(Table::parse(&text).unwrap(), table, "{text}");
        assert_eq!(Table::parse(&Table::default().to_string()).unwrap(), Table::default());
    }

    #[test]
    fn a_line_that_is_no_row_is_an_error() {
        let broken = format!("{ORDERINGS}\n| `a` | b | c | d |\n");
        assert!(Table::parse(&broken).unwrap_err().contains("line 2"));
        let broken = format!("{MODELS}\n| `a` | 1 | 2 | three | | | |\n");
        assert!(Table::parse(&broken).is_err());
    }
}
