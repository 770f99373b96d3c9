//! What stands in frames: tables, streams and shards as JSON, since there are few of them; items and records,
//! of which there are many, as bytes.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use streamcore::log::{Batch, Position};
use streamcore::model::{KeySchema, OperationType, StreamArn, StreamInfo, StreamStatus};
use streamcore::stream::{
    Fate, HashRange, Incarnation, Life, Lineage, Parent, RecordState, ShardState, StreamSettings,
    StreamState,
};

use crate::schema::{CreateTable, Tag, Throughput};

/// The first frame.
#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    /// When the snapshot was taken, in milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
    /// Whether that is a manual clock's time.
    pub(super) is_manual: bool,
    /// The secret of the shard iterators.
    key: [u8; 16],
    /// How often a store was restored before.
    restores: u32,
    incarnations: Vec<(u64, u64)>,
}

impl Meta {
    pub(super) fn new(now_ms: u64, is_manual: bool, lineage: &Lineage) -> Self {
        let incarnations = lineage.incarnations().iter().map(|one| (one.number, one.last_ms));
        Self {
            now_ms,
            is_manual,
            key: lineage.iterator_key(),
            restores: lineage.restores(),
            incarnations: incarnations.collect(),
        }
    }

    pub(super) fn lineage(&self) -> Lineage {
        let incarnation = |&(number, last_ms): &(u64, u64)| Incarnation { number, last_ms };
        Lineage::new(self.key, self.restores, self.incarnations.iter().map(incarnation))
    }
}

/// A table. Its schema is told as the request that made it, and checked like one.
#[derive(Serialize, Deserialize)]
pub(super) struct TableFrame<S = CreateTable> {
    pub(super) name: String,
    pub(super) schema: S,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) created_ms: u64,
    pub(super) on_demand: bool,
    pub(super) throughput: Throughput,
    pub(super) tags: Vec<Tag>,
    pub(super) latest_stream: Option<LatestFrame>,
    /// Whether its changes go to that stream.
    pub(super) is_streamed: bool,
    /// The attribute by which items expire, and up to which time they have.
    pub(super) expiry: Option<(String, u64)>,
}

/// A table's newest stream.
#[derive(Serialize, Deserialize)]
pub(super) struct LatestFrame {
    pub(super) arn: String,
    pub(super) label: String,
    pub(super) view_type: String,
}

/// A stream.
#[derive(Serialize, Deserialize)]
pub(super) struct StreamFrame {
    arn: String,
    hash: String,
    range: Option<String>,
    view_type: String,
    status: String,
    retain_ms: Option<NonZeroU64>,
    retain_records: Option<NonZeroU64>,
    retain_bytes: Option<NonZeroU64>,
    roll_after_ms: Option<NonZeroU64>,
    roll_after_records: Option<NonZeroU64>,
    gone_ms: Option<u64>,
    incarnation: u64,
    next_ordinal: u32,
    next_created_ms: u64,
    lives: Vec<(u64, u32, u32)>,
}

impl From<&StreamState> for StreamFrame {
    fn from(state: &StreamState) -> Self {
        let (info, settings) = (&state.info, &state.settings);
        let life = |life: &Life| (life.incarnation, life.next_ordinal, life.resumed_at);
        Self {
            arn: info.arn().to_string(),
            hash: info.key_schema().hash().to_owned(),
            range: info.key_schema().range().map(str::to_owned),
            view_type: info.view_type().to_string(),
            status: state.status.to_string(),
            retain_ms: settings.retain_ms,
            retain_records: settings.retain_records,
            retain_bytes: settings.retain_bytes,
            roll_after_ms: settings.roll_after_ms,
            roll_after_records: settings.roll_after_records,
            gone_ms: state.gone_ms,
            incarnation: state.incarnation,
            next_ordinal: state.next_ordinal,
            next_created_ms: state.next_created_ms,
            lives: state.lives.iter().map(life).collect(),
        }
    }
}

impl TryFrom<StreamFrame> for StreamState {
    type Error = streamcore::Error;

    fn try_from(frame: StreamFrame) -> Result<Self, streamcore::Error> {
        let schema = KeySchema::new(&frame.hash, frame.range.as_deref())?;
        let arn = StreamArn::parse(&frame.arn)?;
        let life = |&(incarnation, next_ordinal, resumed_at): &(u64, u32, u32)| Life {
            incarnation,
            next_ordinal,
            resumed_at,
        };
        Ok(Self {
            info: StreamInfo::with_arn(arn, schema, frame.view_type.parse()?),
            status: frame.status.parse::<StreamStatus>()?,
            settings: StreamSettings {
                retain_ms: frame.retain_ms,
                retain_records: frame.retain_records,
                retain_bytes: frame.retain_bytes,
                roll_after_ms: frame.roll_after_ms,
                roll_after_records: frame.roll_after_records,
            },
            gone_ms: frame.gone_ms,
            incarnation: frame.incarnation,
            next_ordinal: frame.next_ordinal,
            next_created_ms: frame.next_created_ms,
            lives: frame.lives.iter().map(life).collect(),
        })
    }
}

/// A shard.
#[derive(Serialize, Deserialize)]
pub(super) struct ShardFrame {
    ordinal: u32,
    parent: ParentFrame,
    created_ms: u64,
    first_hash: u64,
    last_hash: u64,
    first: u64,
    end: u64,
    fate: FateFrame,
}

#[derive(Serialize, Deserialize)]
enum ParentFrame {
    None,
    Held(u32),
    Expired(Box<str>),
}

#[derive(Serialize, Deserialize)]
enum FateFrame {
    Open,
    Closed(u64),
    Forgotten,
}

impl From<&ShardState> for ShardFrame {
    fn from(state: &ShardState) -> Self {
        Self {
            ordinal: state.ordinal,
            parent: match &state.parent {
                Parent::None => ParentFrame::None,
                Parent::Held(ordinal) => ParentFrame::Held(*ordinal),
                Parent::Expired(name) => ParentFrame::Expired(name.clone()),
            },
            created_ms: state.created_ms,
            first_hash: state.hash_range.first,
            last_hash: state.hash_range.last,
            first: state.first.get(),
            end: state.end.get(),
            fate: match state.fate {
                Fate::Open => FateFrame::Open,
                Fate::Closed { closed_ms } => FateFrame::Closed(closed_ms),
                Fate::Forgotten => FateFrame::Forgotten,
            },
        }
    }
}

impl From<ShardFrame> for ShardState {
    fn from(frame: ShardFrame) -> Self {
        Self {
            ordinal: frame.ordinal,
            parent: match frame.parent {
                ParentFrame::None => Parent::None,
                ParentFrame::Held(ordinal) => Parent::Held(ordinal),
                ParentFrame::Expired(name) => Parent::Expired(name),
            },
            created_ms: frame.created_ms,
            hash_range: HashRange { first: frame.first_hash, last: frame.last_hash },
            first: Position::new(frame.first),
            end: Position::new(frame.end),
            fate: match frame.fate {
                FateFrame::Open => Fate::Open,
                FateFrame::Closed(closed_ms) => Fate::Closed { closed_ms },
                FateFrame::Forgotten => Fate::Forgotten,
            },
        }
    }
}

const OPERATIONS: [OperationType; 3] =
    [OperationType::Insert, OperationType::Modify, OperationType::Remove];
const BY_TTL: u8 = 1 << 2;
const BATCH_GOES_ON: u8 = 1 << 3;
/// The new, the old and the key image.
const IMAGES: [u8; 3] = [1 << 4, 1 << 5, 1 << 6];

/// A record as bytes: its time, its position, what it is, and the numbers of its images.
pub(super) fn write_record(
    position: Position,
    record: &RecordState,
    images: [Option<u64>; 3],
    out: &mut Vec<u8>,
) {
    let operation = OPERATIONS.iter().position(|known| *known == record.operation);
    let mut flags = operation.unwrap_or_default() as u8;
    flags |= if record.by_ttl { BY_TTL } else { 0 };
    flags |= if record.batch == Batch::GoesOn { BATCH_GOES_ON } else { 0 };
    for (image, flag) in images.iter().zip(IMAGES) {
        flags |= if image.is_some() { flag } else { 0 };
    }
    out.push(flags);
    out.extend_from_slice(&record.created_ms.to_le_bytes());
    out.extend_from_slice(&position.get().to_le_bytes());
    for number in images.into_iter().flatten() {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Reads what [`write_record`] wrote, without the images; `None` for anything else.
pub(super) fn read_record(bytes: &[u8]) -> Option<(Position, RecordState, [Option<u64>; 3])> {
    let (&flags, rest) = bytes.split_first()?;
    let operation = *OPERATIONS.get(usize::from(flags & 3))?;
    let (words, []) = rest.as_chunks::<8>() else { return None };
    let mut words = words.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let (created_ms, position) = (words.next()?, Position::new(words.next()?));
    let mut images = [None; 3];
    for (image, flag) in images.iter_mut().zip(IMAGES) {
        if flags & flag != 0 {
            *image = Some(words.next()?);
        }
    }
    if words.next().is_some() || flags & 1 << 7 != 0 {
        return None;
    }
    let batch = if flags & BATCH_GOES_ON == 0 { Batch::Ends } else { Batch::GoesOn };
    let by_ttl = flags & BY_TTL != 0;
    let (new, old, keys) = (None, None, None);
    Some((position, RecordState { created_ms, operation, by_ttl, new, old, keys, batch }, images))
}
