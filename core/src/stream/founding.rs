//! Founding: the first shards of a stream, made when somebody first comes to it.
//!
//! Most streams of a large store are never put to, and a shard is more than twice as large as all the rest
//! of its stream. So a stream is registered without shards: it shares one topology, that says so by its status
//! `ENABLING`, with all others of its store that nobody has come to. Whoever comes puts the stream's own
//! topology in its place, in one exchange. What that holds was decided when the stream was registered, so
//! nobody can tell when it was made.
//!
//! # Who may do what
//!
//! Anybody founds; of several, one wins, and the others drop what they have made. [`Stream::topology`] founds
//! before it answers. Puts and reads are spared the question: they look for a shard, and ask only if they find
//! none.
//!
//! # Progress
//!
//! Lock-free, apart from the allocator.
//!
//! Models: `topology_founded`, `topology_founded_by_a_roll`.

use std::sync::Arc as StdArc;

use smallvec::SmallVec;

use super::context::Context;
use super::handle::{Origin, Settings, Stream};
use super::heritage::{Generation, Lineage};
use super::routing::HashRange;
use super::shard::{Rolling, Shard};
use super::topology::Topology;
use crate::log::Log;
use crate::model::{StreamInfo, StreamStatus};
use crate::sync::{Arc, MetadataCell};

/// What was decided about a stream's first shards when it was registered.
#[derive(Clone, Copy)]
pub(crate) struct Founding {
    shards: u32,
    rolling: Rolling,
}

/// The topology of all streams of a store that nobody has come to.
pub(crate) struct Unfounded(Arc<Topology>);

impl Unfounded {
    /// For a store of this lineage.
    pub(crate) fn new(lineage: &Lineage) -> Self {
        let generation = Generation::of_new_streams(lineage.restores());
        Self(Arc::new(Topology::new(generation, 0)))
    }
}

impl Topology {
    /// Whether nobody has come to the stream yet.
    #[inline]
    pub(crate) fn is_unfounded(&self) -> bool {
        self.status == StreamStatus::Enabling
    }
}

impl Stream {
    /// A new stream, as old as its label says, that was registered at `now_ms`.
    pub(crate) fn create(
        info: StreamInfo,
        shards: u32,
        settings: Settings,
        context: StdArc<Context>,
        now_ms: u64,
    ) -> Self {
        let topology = MetadataCell::of(Arc::clone(&context.unfounded.0));
        let origin = Origin::Registered(Founding { shards, rolling: settings.rolling(now_ms) });
        Self::of_parts(info, topology, settings, context, origin)
    }

    /// The topology, with shards.
    pub(crate) fn topology(&self) -> &MetadataCell<Topology> {
        if self.shown_topology().with(Topology::is_unfounded) {
            self.found();
        }
        self.shown_topology()
    }

    /// What `find` finds in the topology. Who finds nothing asks once more, of a stream that surely has shards:
    /// the others are spared the question.
    #[inline]
    pub(crate) fn find_in_topology<R>(&self, find: impl Fn(&Topology) -> Option<R>) -> Option<R> {
        let found = self.shown_topology().with(&find);
        if found.is_some() { found } else { self.find_in_founded(find) }
    }

    #[cold]
    fn find_in_founded<R>(&self, find: impl Fn(&Topology) -> Option<R>) -> Option<R> {
        self.topology().with(find)
    }

    /// Whether nobody has come to the stream, and nothing of it is due at `now_ms`.
    pub(crate) fn rests(&self, now_ms: u64) -> bool {
        self.founding().is_some_and(|founding| now_ms < founding.rolling.at_ms)
            && self.shown_topology().with(Topology::is_unfounded)
    }

    #[cold]
    fn found(&self) {
        let Some(founding) = self.founding() else { return };
        let founded = Arc::new(self.first_topology(founding));
        self.shown_topology()
            .rcu(|shown| Arc::clone(if shown.is_unfounded() { &founded } else { shown }));
    }

    fn first_topology(&self, Founding { shards, rolling }: Founding) -> Topology {
        // A stream's first shards are as old as it is, also when a host restores it later: then they have the
        // names that they had before.
        let (context, born_ms) = (self.context(), self.info().created_ms());
        let mut topology = Topology::clone(&context.unfounded.0);
        let mut born: SmallVec<[Arc<Shard>; 1]> = SmallVec::new();
        for range in HashRange::ALL.divide(shards) {
            // A generation has room for all of them.
            let Some(birth) = topology.birth(born_ms) else { break };
            topology.born(birth);
            let log = Log::with_options(self.settings().log_options(context));
            born.push(Arc::new(Shard::new(self.info(), birth, None, range, rolling, log)));
        }
        topology.status = StreamStatus::Enabled;
        topology.list(born);
        topology
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::log::Position;
    use crate::model::{AttributeValue, Change, Image, KeySchema, StreamViewType};
    use crate::stream::{ManualClock, ReadLimits};
    use crate::{Store, StreamConfig};

    fn store(clock: &StdArc<ManualClock>) -> Store {
        Store::builder().clock(StdArc::clone(clock) as _).build()
    }

    fn config(view_type: StreamViewType) -> StreamConfig {
        StreamConfig::new("Orders", KeySchema::new("id", None).unwrap(), view_type)
    }

    fn change() -> Change {
        let id = ("id".to_owned(), AttributeValue::N("1".to_owned()));
        Change::insert(Image::new([id].into()))
    }

    fn is_untouched(stream: &Stream) -> bool {
        stream.shown_topology().with(Topology::is_unfounded)
    }

    #[test]
    fn nobody_can_tell_when_the_first_shards_were_made() {
        let clock = StdArc::new(ManualClock::at_ms(7));
        let [early, late] = [(); 2].map(|()| {
            store(&clock).register_stream(config(StreamViewType::KeysOnly).shards(3)).unwrap()
        });
        let before = early.describe().shards;
        assert_eq!((before.len(), is_untouched(&early), is_untouched(&late)), (3, false, true));
        clock.advance_ms(60 * 60 * 1000);
        assert_eq!(late.describe().shards, before);
        clock.advance_ms(3 * 60 * 60 * 1000);
        let [early, late] = [early, late].map(|stream| stream.describe().shards);
        assert_eq!((early.len(), late), (6, early), "rolled when they are four hours old");
    }

    #[test]
    fn whoever_comes_first_founds_the_stream() {
        let clock = StdArc::new(ManualClock::at_ms(7));
        let twin = store(&clock).register_stream(config(StreamViewType::KeysOnly)).unwrap();
        let name = twin.describe().shards.remove(0).shard_id;
        let ways: [fn(&Stream, &str); 7] = [
            |stream, _| assert!(stream.put(change()).is_ok()),
            |stream, _| assert!(stream.put_all([change(), change()]).is_ok()),
            |stream, _| assert!(stream.writer().put(change()).is_ok()),
            |stream, name| {
                let page = stream.get_records(name, Position::ZERO, ReadLimits::records(1));
                assert!(page.unwrap().is_empty());
            },
            |stream, name| assert_eq!(stream.roll(name).unwrap().len(), 1),
            |stream, _| assert_eq!(stream.stats().shards.len(), 1),
            |stream, _| {
                stream.disable();
                assert!(stream.put(change()).is_err());
            },
        ];
        for come in ways {
            for view_type in [StreamViewType::NewAndOldImages, StreamViewType::KeysOnly] {
                let stream = store(&clock).register_stream(config(view_type)).unwrap();
                assert!(is_untouched(&stream));
                come(&stream, name.as_str());
                assert!(!is_untouched(&stream));
                assert_eq!(stream.describe().shards[0].shard_id, name);
            }
        }
    }

    #[test]
    fn maintaining_leaves_a_stream_alone_until_something_is_due() {
        let clock = StdArc::new(ManualClock::at_ms(7));
        let store = store(&clock);
        let config = config(StreamViewType::KeysOnly).roll_after(Duration::from_millis(50));
        let stream = store.register_stream(config).unwrap();
        clock.advance_ms(49);
        store.maintain();
        assert!(is_untouched(&stream));
        clock.advance_ms(1);
        store.maintain();
        clock.advance_ms(1_000);
        let shards: Vec<u64> =
            stream.topology().load_full().shards.iter().map(|one| one.shard.created_ms).collect();
        assert_eq!(shards, [7, 57], "rolled when it was due, not when somebody came");
    }
}
