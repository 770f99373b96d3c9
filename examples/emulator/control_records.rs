//! The last records of a shard, for who looks at them from outside.

use serde_json::json;
use streamcore::log::Position;
use streamcore::stream::{Page, ReadLimits};
use streamcore::wire::record::Splicer;
use streamcore::{Error, Stream};

use crate::calls::Emulator;
use crate::control::Refusal;

/// So many records at the most, and if nobody says how many.
const LIMITS: (usize, usize) = (1000, 50);
/// Bytes of records at the most, as GetRecords has it.
const MOST_BYTES: u64 = 1 << 20;

/// What is asked for.
#[derive(Default)]
struct Asked {
    stream: Option<String>,
    shard: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number =
                |allowed: &str| Refusal::BadRequest(format!("{name} is {allowed}, not `{value}`"));
            match &*name {
                "stream" => asked.stream = Some(value.into_owned()),
                "shard" => asked.shard = Some(value.into_owned()),
                "before" => {
                    let parsed = value.parse().map_err(|_| number("a position, from 0 on"))?;
                    asked.before = Some(parsed);
                }
                "limit" => {
                    let parsed = value.parse().ok().filter(|n| (1..=LIMITS.0).contains(n));
                    asked.limit = Some(parsed.ok_or_else(|| number("a number from 1 to 1000"))?);
                }
                unknown => {
                    return Err(Refusal::BadRequest(format!(
                        "records takes stream, shard, before and limit, not `{unknown}`"
                    )));
                }
            }
        }
        Ok(asked)
    }
}

/// Answers `GET records`.
pub(crate) fn last(emulator: &Emulator, query: &str) -> Result<Vec<u8>, Refusal> {
    let asked = Asked::read(query)?;
    let needed = |given: Option<String>, name: &str| {
        given.ok_or_else(|| Refusal::BadRequest(format!("records needs {name} in its query")))
    };
    let (arn, shard) = (needed(asked.stream, "stream")?, needed(asked.shard, "shard")?);
    let stream = emulator.store.stream(&arn)?;
    let limit = asked.limit.unwrap_or(LIMITS.1);
    let (page, from) = read(&stream, &shard, asked.before, limit)?;

    let kept = fitting(&page);
    let left_out = page.len() - kept;
    let trimmed = stream.snapshot(&shard)?.start().get();
    let (from, end) = (from.plus(left_out as u64).get(), from.plus(page.len() as u64).get());
    let mut out = json!({
        "streamArn": arn, "shardId": shard, "from": from, "end": end, "trimmed": trimmed,
    })
    .to_string()
    .into_bytes();
    // Records are JSON already: they go in before the last brace.
    out.pop();
    out.extend_from_slice(b",\"records\":[");
    let mut splicer = Splicer::new();
    for (index, record) in page.iter().skip(left_out).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        splicer.write(&record, &mut out);
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// The last `limit` records before a position, or before the end; and where they begin.
fn read(
    stream: &Stream,
    shard: &str,
    before: Option<u64>,
    limit: usize,
) -> Result<(Page, Position), Error> {
    // As old as the clock says; the list of what is retained is up to date behind it.
    drop(stream.get_records(shard, stream.snapshot(shard)?.end(), ReadLimits::records(1))?);
    loop {
        let all = stream.snapshot(shard)?;
        let (start, end) = (all.start(), all.end());
        let end = before.map_or(end, |before| end.min(Position::new(before)));
        if end <= start && start > Position::ZERO && before.is_some() {
            return Err(Error::Trimmed { earliest: start });
        }
        let from = Position::new(end.get().saturating_sub(limit as u64)).max(start);
        let count = usize::try_from(end.get().saturating_sub(from.get())).unwrap_or(limit);
        match stream.get_records(shard, from, ReadLimits::records(count)) {
            // Trimmed since the look: what is retained begins later now.
            Err(Error::Trimmed { earliest }) if earliest > from => {}
            page => return Ok((page?, from)),
        }
    }
}

/// How many of the last records of a page fit into an answer; one always does.
fn fitting(page: &Page) -> usize {
    let sizes: Vec<u64> = page.iter().map(|record| record.size_bytes()).collect();
    let mut left = MOST_BYTES;
    let fits = |size: &&u64| match left.checked_sub(**size) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    sizes.iter().rev().take_while(fits).count().max(sizes.len().min(1))
}
