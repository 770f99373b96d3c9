//! Whether memory and the cost of an operation stay flat: while a stream grows `old`, with `many`
//! streams in a store, and with `long` ones.
//!
//! Each part is a process of its own, so that its memory is its own. Costs at different sizes are measured in
//! turns, and a ratio is the median of the ratios of the rounds, as in a comparison; so the noise of a machine,
//! which all sizes share, does not look like growth.

mod long;
mod many;
mod old;
mod rounds;
mod table;

use std::num::NonZeroU64;
use std::process::Command;

use clap::ValueEnum;
use streamcore::log::Position;
use streamcore::model::{Image, KeySchema, StreamViewType};
use streamcore::stream::ReadLimits;
use streamcore::{Store, Stream, StreamConfig};

use crate::change;
use crate::measure::Machine;
use table::Table;

/// What grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// The records that one stream has taken, of which it keeps the last.
    Old,
    /// The streams of a store.
    Many,
    /// The records that one stream keeps.
    Long,
}

/// How much of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Extent {
    Full,
    /// A hundredth.
    Quick,
}

impl Extent {
    fn of(self, count: u64) -> u64 {
        match self {
            Self::Full => count,
            Self::Quick => count / 100,
        }
    }

    fn nonzero(self, count: u64) -> NonZeroU64 {
        NonZeroU64::new(self.of(count)).unwrap_or(NonZeroU64::MIN)
    }
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    fn table(self, extent: Extent) -> Table {
        match self {
            Self::Old => old::table(extent),
            Self::Many => many::table(extent),
            Self::Long => long::table(extent),
        }
    }
}

/// Measures a part in this process, or all parts, each in a process of its own, and prints a table for each.
///
/// # Errors
///
/// What is not flat, or cannot be measured.
pub fn main(part: Option<Part>, is_quick: bool) -> Result<(), String> {
    let extent = if is_quick { Extent::Quick } else { Extent::Full };
    if let Some(part) = part {
        let table = part.table(extent);
        print!("{table}");
        return match table.steep() {
            steep if steep.is_empty() => Ok(()),
            steep => Err(format!("not flat: {}", steep.join("; "))),
        };
    }
    if cfg!(debug_assertions) && !is_quick {
        return Err("this build is not optimised; use `cargo run --release`, or --quick".into());
    }
    let machine = Machine::this();
    println!(
        "# Scale\n\n{} cores of {}, Linux {}",
        machine.cores, machine.processor, machine.kernel
    );
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut failed = Vec::new();
    for part in Part::value_variants() {
        let mut command = Command::new(&program);
        command.args(["scale", &part.name()]).args(is_quick.then_some("--quick"));
        let status = command.status().map_err(|error| error.to_string())?;
        if !status.success() {
            failed.push(part.name());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("see above: {}", failed.join(", "))) }
}

/// A stream that keeps so many records, and gives up none for its age.
fn stream(keep: NonZeroU64) -> (Stream, String) {
    let schema = KeySchema::new("customer", Some("order")).expect("two different names");
    let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
    let config = config.retain_last(keep).retain_for_ever().roll_never();
    let stream = Store::new().register_stream(config).expect("a well-formed name");
    let shard = stream.describe().shards[0].shard_id.to_string();
    (stream, shard)
}

/// The images that all records share: what is measured is what a record takes beside them.
fn images() -> [Image; 2] {
    [1, 2].map(crate::item)
}

fn put(stream: &Stream, images: &[Image; 2], count: u64) {
    for _ in 0..count {
        stream.put(change(images)).expect("the key is there, and nobody disables the stream");
    }
}

/// Reads a page, looks at each of its records, and says how many there were.
fn read(stream: &Stream, shard: &str, from: Position, limit: usize) -> u64 {
    let page = stream.get_records(shard, from, ReadLimits::records(limit));
    let page = page.expect("nothing is trimmed meanwhile");
    std::hint::black_box(page.iter().fold(0, |sum, record| sum ^ record.created_ms()));
    page.len() as u64
}
