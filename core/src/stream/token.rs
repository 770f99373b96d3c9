//! Shard iterators: opaque tokens that name a position, and that nobody can forge.
//!
//! ```text
//! <stream ARN>|1|<base64 of: incarnation 8, ordinal 4, kind 1, position 8, issued at 8, tag 16>
//! ```
//!
//! The tag is SipHash-2-4 with 128 bits over the ARN and the rest, under the store's secret key. The
//! incarnation names the store, because a position means nothing in another one. The number after the
//! ARN is the format's version.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::context::Context;
use super::handle::Stream;
use super::heritage::{Life, LostPlace};
use super::page::{Page, ReadLimits};
use super::retention::Effort;
use super::shard::Shard;
use crate::error::Error;
use crate::log::Position;
use crate::model::SequenceNumber;

/// How long an iterator can be used, in milliseconds: 15 minutes.
///
/// Source: Amazon DynamoDB Streams API Reference, `GetShardIterator`.
pub const ITERATOR_LIFE_MS: u64 = 15 * 60 * 1000;

/// The longest token that is looked at, in bytes.
///
/// Source: Amazon DynamoDB Streams API Reference, `GetRecords`, `ShardIterator`.
const TOKEN_LENGTH: usize = 2048;

const VERSION: &str = "1";
const PAYLOAD: usize = 29;
const TAG: usize = 16;

/// Where in a shard an iterator starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IteratorStart {
    /// At the earliest record that is retained when it is first used.
    TrimHorizon,
    /// Behind the last record that was put when it is made.
    Latest,
    /// At the record of this number.
    AtSequenceNumber(SequenceNumber),
    /// Behind the record of this number.
    AfterSequenceNumber(SequenceNumber),
}

/// What a token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Token {
    incarnation: u64,
    ordinal: u32,
    place: Place,
    issued_ms: u64,
}

/// Where a token points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Horizon,
    At(Position),
}

impl Token {
    fn payload(self) -> [u8; PAYLOAD] {
        let (kind, position) = match self.place {
            Place::Horizon => (0, 0),
            Place::At(position) => (1, position.get()),
        };
        let mut bytes = [0; PAYLOAD];
        bytes[..8].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[12] = kind;
        bytes[13..21].copy_from_slice(&position.to_le_bytes());
        bytes[21..].copy_from_slice(&self.issued_ms.to_le_bytes());
        bytes
    }

    fn from_payload(bytes: &[u8; PAYLOAD]) -> Option<Self> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let place = match bytes[12] {
            0 => Place::Horizon,
            1 => Place::At(Position::new(word(13))),
            _ => return None,
        };
        let ordinal = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        Some(Self { incarnation: word(0), ordinal, place, issued_ms: word(21) })
    }

    fn seal(self, arn: &str, key: &[u8; 16]) -> String {
        let payload = self.payload();
        let mut bytes = [0; PAYLOAD + TAG];
        bytes[..PAYLOAD].copy_from_slice(&payload);
        bytes[PAYLOAD..].copy_from_slice(&tag(arn, &payload, key));
        let mut token = format!("{arn}|{VERSION}|");
        STANDARD.encode_string(bytes, &mut token);
        token
    }

    /// Reads what [`Token::seal`] wrote for this stream with this key.
    fn open(token: &str, arn: &str, key: &[u8; 16]) -> Result<Self, &'static str> {
        let (_, rest) = split(token).ok_or("it is not made of three parts")?;
        let (version, sealed) = rest.split_once('|').ok_or("it is not made of three parts")?;
        if version != VERSION {
            return Err("its version is unknown");
        }
        let bytes = STANDARD.decode(sealed).map_err(|_| "its last part is not base64")?;
        let (payload, given) =
            bytes.split_first_chunk::<PAYLOAD>().ok_or("its last part is too short")?;
        if !is_same(given, &tag(arn, payload, key)) {
            return Err("its tag does not fit");
        }
        Self::from_payload(payload).ok_or("its kind is unknown")
    }

    /// Reads what a store of this context has sealed for a stream.
    fn of_store(token: &str, arn: &str, context: &Context) -> Result<Self, Error> {
        let invalid = |problem| Error::InvalidIterator { problem };
        let token = Self::open(token, arn, &context.lineage.iterator_key()).map_err(invalid)?;
        if token.incarnation == context.incarnation || context.lineage.knows(token.incarnation) {
            Ok(token)
        } else {
            Err(invalid("it was made by another incarnation of the store"))
        }
    }
}

fn tag(arn: &str, payload: &[u8; PAYLOAD], key: &[u8; 16]) -> [u8; TAG] {
    let mut hasher = SipHasher24::new_with_key(key);
    std::hash::Hasher::write(&mut hasher, payload);
    std::hash::Hasher::write(&mut hasher, arn.as_bytes());
    hasher.finish128().as_bytes()
}

/// Compares without telling by its time where the first difference is.
fn is_same(given: &[u8], expected: &[u8; TAG]) -> bool {
    given.len() == TAG && given.iter().zip(expected).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// The ARN in a token, and the rest.
fn split(token: &str) -> Option<(&str, &str)> {
    token.split_once('|')
}

/// The ARN of the stream that a token says it is for; not authenticated yet.
pub(crate) fn arn_of(token: &str) -> Result<&str, Error> {
    if token.len() > TOKEN_LENGTH {
        return Err(Error::InvalidIterator { problem: "it is longer than 2048 characters" });
    }
    let arn = split(token).map(|(arn, _)| arn);
    arn.ok_or(Error::InvalidIterator { problem: "it is not made of three parts" })
}

/// Why a token whose stream is not there cannot be read: it was forged, or the stream is gone.
#[cold]
pub(crate) fn of_no_stream(token: &str, arn: &str, context: &Context) -> Error {
    match Token::of_store(token, arn, context) {
        Ok(_) => Error::StreamNotFound { arn: arn.into() },
        Err(forged) => forged,
    }
}

impl Stream {
    /// Makes an iterator for a shard: a token that can be handed out, and used again and again by
    /// anybody for 15 minutes.
    ///
    /// Which sequence numbers can be used, of a shard whose records 1 to 10 were put and 1 to 4 trimmed:
    ///
    /// | number | at it | after it |
    /// |---|---|---|
    /// | below the shard's starting number | out of the shard | out of the shard |
    /// | the starting number, which is before the first record | reads 5 and on | reads 5 and on |
    /// | 1 to 3: the next record is trimmed too | trimmed | trimmed |
    /// | 4: the last one that was trimmed | trimmed | reads 5 and on |
    /// | 5 to 10 | reads it and on | reads what comes after it |
    /// | 11 and on: nothing was put there yet, or ever will be | out of the shard | out of the shard |
    ///
    /// The end of a closed shard is a border like that between 10 and 11.
    ///
    /// # Errors
    ///
    /// [`Error::ShardNotFound`], also for a shard that closed more than 24 hours ago and whose records are
    /// gone; [`Error::SequenceNumberOutOfShard`] for a number below the shard's start, or at or behind its
    /// end; [`Error::Trimmed`] for one in between whose records were given up.
    pub fn iterator(&self, shard: &str, start: IteratorStart) -> Result<String, Error> {
        let shard = self.unexpired(shard)?;
        let place = match start {
            IteratorStart::TrimHorizon => Place::Horizon,
            IteratorStart::Latest => Place::At(shard.log.end()),
            IteratorStart::AtSequenceNumber(number) => {
                Place::At(locate(&shard, number)?.unwrap_or(Position::ZERO))
            }
            IteratorStart::AfterSequenceNumber(number) => {
                Place::At(locate(&shard, number)?.map_or(Position::ZERO, |at| at.plus(1)))
            }
        };
        if let Place::At(position) = place {
            let earliest = shard.log.earliest();
            let reads_all = starts_at_starting(start, shard.ordinal);
            if position < earliest && !reads_all {
                return Err(Error::Trimmed { earliest });
            }
            if position < earliest {
                return Ok(self.token(&shard, Place::Horizon));
            }
        }
        Ok(self.token(&shard, place))
    }

    /// Reads on from an iterator of this stream.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidIterator`] for a token that this store did not make for this stream;
    /// [`Error::ExpiredIterator`] after 15 minutes; [`Error::ShardNotFound`] when the shard is gone;
    /// [`Error::Trimmed`] when the next record is; [`Error::NotInSnapshot`] when the stream was restored, and what
    /// the iterator names came after the snapshot.
    ///
    /// # Progress
    ///
    /// As [`Stream::get_records`].
    pub fn read_iterator(&self, token: &str, limits: ReadLimits) -> Result<Page, Error> {
        let token = Token::of_store(token, self.info().arn().as_str(), self.context())?;
        let age_ms = self.now_ms().saturating_sub(token.issued_ms);
        if age_ms > ITERATOR_LIFE_MS {
            return Err(Error::ExpiredIterator { age_ms, life_ms: ITERATOR_LIFE_MS });
        }
        let shard = self.shard_by_ordinal(token.ordinal);
        if let Some(life) = self.earlier_life(&token) {
            self.check_held(&token, life, shard.as_deref())?;
        }
        let shard = shard.ok_or_else(|| Error::ShardNotFound {
            arn: self.info().arn().as_str().into(),
            shard: format!("with ordinal {}", token.ordinal).into(),
        })?;
        match token.place {
            Place::At(position) => self.page(shard, position, limits),
            Place::Horizon => self.page_from_horizon(shard, limits),
        }
    }

    /// Which earlier life of the stream a token is of, if it is not of the present one: none that the stream
    /// knows of, or this one.
    fn earlier_life(&self, token: &Token) -> Option<Option<&Life>> {
        let life = self.heritage().and_then(|lives| lives.life(token.incarnation));
        let is_own = token.incarnation == self.context().incarnation;
        // A store may take a stream back that it had before: then what is old is told by the ordinals.
        let is_of_present = is_own && life.is_none_or(|life| token.ordinal >= life.resumed_at);
        (!is_of_present).then_some(life)
    }

    /// Refuses a token of an earlier life if its place came after the snapshot that ended that life.
    #[cold]
    fn check_held(
        &self,
        token: &Token,
        life: Option<&Life>,
        shard: Option<&Shard>,
    ) -> Result<(), Error> {
        let ordinal = token.ordinal;
        match (life, shard, token.place) {
            (None, ..) => Err(self.not_in_snapshot(LostPlace::Stream)),
            (Some(life), ..) if ordinal >= life.next_ordinal => {
                Err(self.not_in_snapshot(LostPlace::Shard { ordinal }))
            }
            (_, Some(shard), Place::At(position)) if position > shard.log.end() => {
                let end = shard.log.end();
                Err(self.not_in_snapshot(LostPlace::Position { ordinal, position, end }))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn not_in_snapshot(&self, place: LostPlace) -> Error {
        Error::NotInSnapshot { arn: self.info().arn().as_str().into(), place }
    }

    /// A shard of this name, without records that are too old; none that closed so long ago that it is
    /// to be forgotten.
    fn unexpired(&self, id: &str) -> Result<crate::sync::Arc<Shard>, Error> {
        let (shard, now_ms) = (self.shard(id)?, self.now_ms());
        self.keep_age(&shard, now_ms, Effort::All);
        if shard.log.sealed_end().is_none() {
            return Ok(shard);
        }
        self.forget_expired(now_ms);
        self.shard(id)
    }

    /// Reads from the earliest record on, however often a trim comes in between.
    fn page_from_horizon(
        &self,
        shard: crate::sync::Arc<Shard>,
        limits: ReadLimits,
    ) -> Result<Page, Error> {
        let mut from = shard.log.earliest();
        loop {
            match self.page(shard.clone(), from, limits) {
                Err(Error::Trimmed { earliest }) if earliest > from => from = earliest,
                read => return read,
            }
        }
    }

    pub(crate) fn token_at(&self, shard: &Shard, position: Position) -> String {
        self.token(shard, Place::At(position))
    }

    fn token(&self, shard: &Shard, place: Place) -> String {
        let context = self.context();
        let token = Token {
            incarnation: context.incarnation,
            ordinal: shard.ordinal,
            place,
            issued_ms: self.now_ms(),
        };
        token.seal(self.info().arn().as_str(), &context.lineage.iterator_key())
    }
}

/// The position of a number in a shard; `None` for its starting number, which is before all records. The
/// borders are those of the table at [`Stream::iterator`].
fn locate(shard: &Shard, number: SequenceNumber) -> Result<Option<Position>, Error> {
    let starting = SequenceNumber::starting(shard.ordinal);
    let position = number.position();
    let is_known = position.is_none_or(|position| position < shard.log.end());
    if number.ordinal() == Some(shard.ordinal) && is_known {
        Ok(position)
    } else {
        Err(Error::SequenceNumberOutOfShard { given: number, starting })
    }
}

/// Whether an iterator starts before the first record, so that trimming cannot have taken its place.
fn starts_at_starting(start: IteratorStart, ordinal: u32) -> bool {
    let starting = SequenceNumber::starting(ordinal);
    matches!(
        start,
        IteratorStart::AtSequenceNumber(number) | IteratorStart::AfterSequenceNumber(number)
            if number == starting
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/x";
    const KEY: [u8; 16] = [7; 16];

    fn token(ordinal: u32, position: u64, issued_ms: u64) -> Token {
        Token { incarnation: 3, ordinal, place: Place::At(Position::new(position)), issued_ms }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(ordinal: u32, position: u64, issued_ms: u64) {
            let made = token(ordinal, position, issued_ms);
            prop_assert_eq!(Token::open(&made.seal(ARN, &KEY), ARN, &KEY), Ok(made));
        }

        #[test]
        fn a_token_with_any_byte_changed_is_refused(at in 0usize..200, to in any::<u8>()) {
            let sealed = token(1, 2, 3).seal(ARN, &KEY);
            let mut bytes = sealed.clone().into_bytes();
            let at = at % bytes.len();
            // The ARN is not read from the token here: it is what the stream was found by.
            let in_arn = at < ARN.len();
            bytes[at] = to;
            if let Ok(changed) = String::from_utf8(bytes)
                && changed != sealed
                && !in_arn
            {
                prop_assert!(Token::open(&changed, ARN, &KEY).is_err());
            }
        }
    }

    #[test]
    fn a_token_of_another_stream_or_key_is_refused() {
        let sealed = token(1, 2, 3).seal(ARN, &KEY);
        assert!(Token::open(&sealed, "arn:other", &KEY).is_err());
        assert!(Token::open(&sealed, ARN, &[8; 16]).is_err());
    }

    #[test]
    fn the_comparison_looks_at_every_byte() {
        let expected = [1; TAG];
        for at in 0..TAG {
            let mut given = expected;
            given[at] ^= 1;
            assert!(!is_same(&given, &expected));
        }
        assert!(is_same(&expected, &expected) && !is_same(&expected[1..], &expected));
    }
}
