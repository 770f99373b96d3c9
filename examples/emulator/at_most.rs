//! Lists that a request may fill with more than is allowed: what is over is counted, and not kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The first `N` members of a list, and how many there were.
///
/// A member takes much more memory than the `{}` that it may be in a request, so a list is not read first and
/// counted then.
pub(crate) struct AtMost<T, const N: usize> {
    members: Vec<T>,
    given: usize,
}

impl<T, const N: usize> AtMost<T, N> {
    /// How many members were given.
    pub(crate) fn given(&self) -> usize {
        self.given
    }

    /// The members: all, if there were no more than `N`.
    pub(crate) fn into_members(self) -> Vec<T> {
        self.members
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Members<T, N> {
            type Value = AtMost<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while members.len() < N {
                    match list.next_element()? {
                        Some(member) => members.push(member),
                        None => return Ok(AtMost { given: members.len(), members }),
                    }
                }
                let mut given = N;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    given += 1;
                }
                Ok(AtMost { members, given })
            }
        }

        deserializer.deserialize_seq(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_counted_and_not_read() {
        let read = serde_json::from_str::<AtMost<u8, 3>>;
        for (json, members, given) in
            [("[]", 0, 0), ("[1,2]", 2, 2), ("[1,2,3]", 3, 3), ("[1,2,3,\"x\",{}]", 3, 5)]
        {
            let list = read(json).expect(json);
            assert_eq!((list.given(), list.into_members().len()), (given, members), "{json}");
        }
        for json in ["[1,\"x\"]", "[1,2,3,", "{}"] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
