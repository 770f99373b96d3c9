//! The closed vocabularies of DynamoDB Streams: each an enum, its words, and the way back from them.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// An enum whose variants have one name each in the DynamoDB API.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident ($what:literal) { $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of_variant])* #[doc = concat!("`", $word, "` in the API.")] $variant,)+
        }

        impl $name {
            /// Every word of this vocabulary, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that the DynamoDB API uses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads the API's word, exactly as it is spelled there.
            ///
            /// # Errors
            ///
            /// [`Error::UnknownWord`] names the word and the ones that are allowed.
            fn from_str(word: &str) -> Result<Self, Error> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Error::UnknownWord {
                        what: $what,
                        given: word.into(),
                        allowed: Self::WORDS,
                    }),
                }
            }
        }
    };
}

words! {
    /// What a change did to an item.
    ///
    /// Source: Amazon DynamoDB Streams API Reference, `Record`, `eventName`.
    OperationType ("operation type") {
        /// The item was created.
        Insert = "INSERT",
        /// The item existed and changed.
        Modify = "MODIFY",
        /// The item was deleted.
        Remove = "REMOVE",
    }
}

words! {
    /// Which images of an item the records of a stream hold.
    ///
    /// Source: Amazon DynamoDB API Reference, `StreamSpecification`.
    StreamViewType ("stream view type") {
        /// The key attributes alone.
        KeysOnly = "KEYS_ONLY",
        /// The item as it is after the change.
        NewImage = "NEW_IMAGE",
        /// The item as it was before the change.
        OldImage = "OLD_IMAGE",
        /// Both.
        NewAndOldImages = "NEW_AND_OLD_IMAGES",
    }
}

words! {
    /// Where a stream is in its life.
    ///
    /// Source: Amazon DynamoDB Streams API Reference, `StreamDescription`.
    ///
    /// The statuses are ordered: a stream never goes back to an earlier one.
    #[derive(PartialOrd, Ord)]
    StreamStatus ("stream status") {
        /// It is being made.
        Enabling = "ENABLING",
        /// It takes records.
        Enabled = "ENABLED",
        /// It is being closed.
        Disabling = "DISABLING",
        /// It takes no more records; what it holds can be read for 24 hours.
        Disabled = "DISABLED",
    }
}

words! {
    /// The role of an attribute in the primary key.
    ///
    /// Source: Amazon DynamoDB API Reference, `KeySchemaElement`.
    KeyType ("key type") {
        /// The partition key.
        Hash = "HASH",
        /// The sort key.
        Range = "RANGE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for word in StreamViewType::WORDS {
            assert_eq!(word.parse::<StreamViewType>().unwrap().as_str(), *word);
        }
        assert_eq!(OperationType::Remove.to_string(), "REMOVE");
        assert_eq!("RANGE".parse(), Ok(KeyType::Range));
        assert_eq!("DISABLING".parse(), Ok(StreamStatus::Disabling));
    }

    #[test]
    fn another_word_is_named_with_those_allowed() {
        assert_eq!(
            "hash".parse::<KeyType>().unwrap_err().to_string(),
            "unknown key type `hash`: allowed are HASH, RANGE"
        );
    }
}
