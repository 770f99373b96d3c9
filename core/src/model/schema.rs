//! The key schema of a table: the names of its partition key and, where there is one, its sort key.

use smallvec::{SmallVec, smallvec};

use super::kinds::KeyType;
use crate::error::Error;

/// One attribute of a primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySchemaElement {
    /// The attribute's name.
    pub attribute_name: String,
    /// Its role in the key.
    pub key_type: KeyType,
}

/// The primary key of a table: a partition key, and perhaps a sort key after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySchema(SmallVec<[KeySchemaElement; 2]>);

impl KeySchema {
    /// A schema of these two names.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKeySchema`] if a name is empty or longer than 255 bytes, or if both are
    /// one name.
    pub fn new(hash: &str, range: Option<&str>) -> Result<Self, Error> {
        let element =
            |name: &str, key_type| KeySchemaElement { attribute_name: name.to_owned(), key_type };
        let mut elements = smallvec![element(hash, KeyType::Hash)];
        elements.extend(range.map(|name| element(name, KeyType::Range)));
        Self::checked(elements)
    }

    /// A schema of the elements that a `CreateTable` request lists.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKeySchema`] unless they are one HASH element, or a HASH and a RANGE element
    /// in that order, with two different names of 1 to 255 bytes.
    pub fn from_elements(
        elements: impl IntoIterator<Item = KeySchemaElement>,
    ) -> Result<Self, Error> {
        // A third element is enough to see that there are too many.
        Self::checked(elements.into_iter().take(3).collect())
    }

    fn checked(elements: SmallVec<[KeySchemaElement; 2]>) -> Result<Self, Error> {
        let problem = match &elements[..] {
            [] => "it has no element",
            [hash, ..] if hash.key_type != KeyType::Hash => "its first element is not HASH",
            [_, range, ..] if range.key_type != KeyType::Range => "its second element is not RANGE",
            [_, _, _, ..] => "it has more than two elements",
            [hash, range] if hash.attribute_name == range.attribute_name => {
                "HASH and RANGE are one attribute"
            }
            all if all.iter().any(|key| !(1..=255).contains(&key.attribute_name.len())) => {
                "a name is empty or longer than 255 bytes"
            }
            _ => return Ok(Self(elements)),
        };
        Err(Error::InvalidKeySchema { problem })
    }

    /// The elements, HASH first.
    #[must_use]
    pub fn elements(&self) -> &[KeySchemaElement] {
        &self.0
    }

    /// The name of the partition key.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.0[0].attribute_name
    }

    /// The name of the sort key.
    #[must_use]
    pub fn range(&self) -> Option<&str> {
        self.0.get(1).map(|element| &*element.attribute_name)
    }

    /// The names of the key attributes, the partition key's first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|element| &*element.attribute_name)
    }
}

/// Whether two names are one. Names are short: calling out to compare them costs more than comparing them.
#[inline]
pub(crate) fn same_name(one: &[u8], other: &[u8]) -> bool {
    /// First and last `N` bytes, which overlap, and the chunks of so many bytes between them; `None` if
    /// there are fewer bytes.
    #[inline(always)]
    fn by_words<const N: usize>(one: &[u8], other: &[u8]) -> Option<bool> {
        let same_end = one.last_chunk::<N>()? == other.last_chunk::<N>()?;
        let (words, other_words) = (one.as_chunks::<N>().0, other.as_chunks::<N>().0);
        Some(same_end && words.iter().zip(other_words).all(|(word, other)| word == other))
    }
    one.len() == other.len()
        && by_words::<8>(one, other)
            .or_else(|| by_words::<4>(one, other))
            .unwrap_or_else(|| one.iter().eq(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_to_the_last_byte() {
        for len in 0..40 {
            let name: Vec<u8> = (0..len).map(|at| b'a' + at % 26).collect();
            assert!(same_name(&name, &name.clone()), "{len}");
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 1;
                assert!(!same_name(&name, &other), "{len}, {at}");
                assert!(!same_name(&name, &name[..at]), "{len}, {at}");
            }
        }
    }

    #[test]
    fn elements_and_names_agree() {
        let schema = KeySchema::new("pk", Some("sk")).unwrap();
        assert_eq!((schema.hash(), schema.range()), ("pk", Some("sk")));
        assert_eq!(KeySchema::from_elements(schema.elements().to_vec()), Ok(schema));
        assert_eq!(KeySchema::new("pk", None).unwrap().range(), None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let element =
            |name: &str, key_type| KeySchemaElement { attribute_name: name.to_owned(), key_type };
        let hash = element("a", KeyType::Hash);
        let range = element("b", KeyType::Range);
        for elements in [
            vec![],
            vec![range.clone()],
            vec![range.clone(), hash.clone()],
            vec![hash.clone(), element("b", KeyType::Hash)],
            vec![hash.clone(), range.clone(), range.clone()],
            vec![hash.clone(), element("a", KeyType::Range)],
            vec![element("", KeyType::Hash)],
            vec![element(&"n".repeat(256), KeyType::Hash)],
        ] {
            assert!(
                matches!(
                    KeySchema::from_elements(elements.clone()),
                    Err(Error::InvalidKeySchema { .. })
                ),
                "{elements:?}"
            );
        }
    }
}
