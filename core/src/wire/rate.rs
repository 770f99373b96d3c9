//! Rate limits: how often a client may call what AWS throttles. Off unless a host turns them on.
//!
//! A generic cell rate algorithm, by the store's clock: one word per key, the time at which its bucket will be
//! full again. A key without a word has a full bucket, so words whose time has come are thrown away.
//!
//! Our own, although there is `governor`: that counts nanoseconds from the limiter's beginning in 64 bits, and a
//! clock that is turned by hand may go on by more than the 584 years which that holds.
//!
//! # Progress
//!
//! Lock-free.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use super::errors::{Refusal, WireError};
use crate::stream::{Page, Stream};

/// How often operations may be called. Each bucket holds the calls of one second, so that a client that was idle may
/// make them at once. A call that is refused for another reason does not count.
///
/// ```
/// use std::num::NonZeroU32;
/// use streamcore::wire::RateLimits;
///
/// let limits = RateLimits::as_aws().get_records(NonZeroU32::new(5).unwrap());
/// assert_eq!(limits, RateLimits::none().describe_stream(NonZeroU32::new(10).unwrap())
///     .get_records(NonZeroU32::new(5).unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    describe_stream: Option<NonZeroU32>,
    get_records: Option<NonZeroU32>,
}

impl RateLimits {
    /// No limits: the default of an API.
    #[must_use]
    pub fn none() -> Self {
        Self { describe_stream: None, get_records: None }
    }

    /// DescribeStream 10 times a second for each account and region, GetRecords 10 times a second for each shard.
    ///
    /// Source of the first: Amazon DynamoDB Streams API Reference, `DescribeStream`. For GetRecords AWS names no
    /// number, but says that two may read a shard at the same time (Developer Guide); this is the five
    /// calls a second that Kinesis allows, for each of the two.
    #[must_use]
    pub fn as_aws() -> Self {
        const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();
        Self::none().describe_stream(TEN).get_records(TEN)
    }

    /// So many calls of DescribeStream a second, for each account and region. More are refused with
    /// `ThrottlingException`.
    #[must_use]
    pub fn describe_stream(mut self, per_second: NonZeroU32) -> Self {
        self.describe_stream = Some(per_second);
        self
    }

    /// So many calls of GetRecords a second, for each shard. More are refused with
    /// `LimitExceededException`, as the service model has it.
    #[must_use]
    pub fn get_records(mut self, per_second: NonZeroU32) -> Self {
        self.get_records = Some(per_second);
        self
    }
}

/// What a bucket is for.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// An account and its region.
    Account(Box<str>, Box<str>),
    /// A stream's ARN and a shard's id.
    Shard(Box<str>, Box<str>),
}

/// The number of buckets at which, and at each doubling of which, those that are full are thrown away.
const MANY: usize = 1024;

/// The limits, and the buckets in use.
pub(super) struct Limiter {
    limits: RateLimits,
    buckets: papaya::HashMap<Key, Bucket, foldhash::fast::RandomState>,
}

impl Limiter {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, buckets: papaya::HashMap::default() }
    }

    /// Counts a call of DescribeStream.
    pub(super) fn describe_stream(&self, stream: &Stream) -> Result<(), WireError> {
        let Some(limit) = self.limits.describe_stream else { return Ok(()) };
        let info = stream.info();
        let key = Key::Account(info.account().into(), info.region().into());
        match self.take(key, limit, stream.now_ms()) {
            Taken::Call => Ok(()),
            Taken::Nothing => Err(Refusal::TooManyDescriptions(limit.get()).into()),
        }
    }

    /// Counts a call of GetRecords.
    pub(super) fn get_records(&self, page: &Page) -> Result<(), WireError> {
        let Some(limit) = self.limits.get_records else { return Ok(()) };
        let stream = page.stream();
        let key = Key::Shard(stream.info().arn().as_str().into(), page.shard_id().as_str().into());
        match self.take(key, limit, stream.now_ms()) {
            Taken::Call => Ok(()),
            Taken::Nothing => Err(Refusal::TooManyReads(limit.get()).into()),
        }
    }

    fn take(&self, key: Key, limit: NonZeroU32, now_ms: u64) -> Taken {
        let now_us = now_ms.saturating_mul(1_000);
        let buckets = self.buckets.pin();
        if buckets.len() >= MANY && buckets.len().is_power_of_two() {
            // A call that is just being counted in one of these is forgotten: one more is let through.
            buckets.retain(|_, bucket| !bucket.is_full(now_us));
        }
        buckets.get_or_insert_with(key, Bucket::full).take(limit, now_us)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.limits).finish()
    }
}

/// Whether a call was to be had.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
enum Taken {
    Call,
    Nothing,
}

/// When the bucket is full again, in microseconds since the epoch.
struct Bucket(AtomicU64);

impl Bucket {
    fn full() -> Self {
        Self(AtomicU64::new(0))
    }

    fn is_full(&self, now_us: u64) -> bool {
        // Relaxed, here and below: the word orders nothing but itself.
        self.0.load(Ordering::Relaxed) <= now_us
    }

    fn take(&self, limit: NonZeroU32, now_us: u64) -> Taken {
        let calls = u64::from(limit.get());
        // A rate finer than the unit is as good as none.
        let interval = (1_000_000 / calls).max(1);
        let (empty, latest) = (interval * calls, now_us.saturating_add(interval * (calls - 1)));
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_us| {
            // More than empty: the clock has gone back, and what was counted means nothing now.
            let is_of_now = (now_us..=now_us.saturating_add(empty)).contains(&full_us);
            let full_us = if is_of_now { full_us } else { now_us };
            (full_us <= latest).then(|| full_us.saturating_add(interval))
        });
        if taken.is_ok() { Taken::Call } else { Taken::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(calls: u32) -> NonZeroU32 {
        NonZeroU32::new(calls).unwrap()
    }

    /// How many of a hundred calls at this time are let through.
    fn granted(bucket: &Bucket, calls: u32, now_us: u64) -> usize {
        (0..100).filter(|_| bucket.take(limit(calls), now_us) == Taken::Call).count()
    }

    #[test]
    fn a_bucket_holds_a_second_and_fills_evenly() {
        let (bucket, start) = (Bucket::full(), 1_700_000_000_000_000);
        assert_eq!(granted(&bucket, 10, start), 10);
        assert_eq!(granted(&bucket, 10, start + 99_999), 0);
        assert_eq!(granted(&bucket, 10, start + 100_000), 1);
        assert_eq!(granted(&bucket, 10, start + 450_000), 3);
        assert_eq!(granted(&bucket, 10, start + 10_000_000), 10);
        let single = Bucket::full();
        assert_eq!((granted(&single, 1, start), granted(&single, 1, start + 999_999)), (1, 0));
        assert_eq!(granted(&single, 1, start + 1_000_000), 1);
        assert_eq!(granted(&Bucket::full(), u32::MAX, start), 100);
    }

    #[test]
    fn a_clock_that_jumps_leaves_nobody_waiting() {
        let (bucket, start) = (Bucket::full(), 1_700_000_000_000_000);
        assert_eq!(granted(&bucket, 10, start), 10);
        // Back by an hour, on by a thousand years, and to the end of time.
        let later = start + 1_000 * 365 * 86_400 * 1_000_000;
        for now_us in [start - 3_600_000_000, later, u64::MAX - 1] {
            assert!(granted(&bucket, 10, now_us) >= 10);
        }
    }

    #[test]
    fn full_buckets_are_thrown_away() {
        let limiter = Limiter::new(RateLimits::as_aws());
        let key = |n: usize| Key::Shard("arn".into(), n.to_string().into());
        let mut most = 0;
        for n in 0..10 * MANY {
            // Each call is a second later: all buckets before are full again.
            assert_eq!(limiter.take(key(n), limit(10), 1_000 * n as u64 + 1), Taken::Call);
            most = most.max(limiter.buckets.len());
        }
        assert!(most <= MANY + 1, "{most} buckets");
    }

    #[test]
    fn threads_that_race_get_no_more_than_there_is() {
        let bucket = Bucket::full();
        let granted: usize = std::thread::scope(|scope| {
            let race = || granted(&bucket, 50, 1_000_000);
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 50);
    }
}
