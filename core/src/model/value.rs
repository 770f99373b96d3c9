//! Attribute values: the ten types of DynamoDB, their sizes, and equality the way DynamoDB sees it.

use std::collections::{BTreeMap, BTreeSet};

use super::number::{self, Decimal};
use super::schema::{KeySchema, same_name};

/// The attributes of an item, or of a map inside one, by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// A value of an attribute, of one of DynamoDB's ten types.
///
/// The derived equality is structural: `N("1")` is not `N("1.0")`, and sets are compared in order.
/// [`same_as`](Self::same_as) compares the way DynamoDB does.
///
/// Source: Amazon DynamoDB Streams API Reference, `AttributeValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A string.
    S(String),
    /// A number, in decimal; DynamoDB sends numbers as text to keep all of their digits.
    N(String),
    /// Bytes. Base64 on the wire.
    B(Vec<u8>),
    /// A set of strings.
    Ss(Vec<String>),
    /// A set of numbers.
    Ns(Vec<String>),
    /// A set of byte strings.
    Bs(Vec<Vec<u8>>),
    /// A map.
    M(Attributes),
    /// A list.
    L(Vec<AttributeValue>),
    /// Null. DynamoDB knows only `true` here.
    Null(bool),
    /// A boolean.
    Bool(bool),
}

impl AttributeValue {
    /// The bytes that DynamoDB counts for this value, the way `SizeBytes` of a record counts them.
    ///
    /// Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
    #[must_use]
    #[inline(always)]
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::S(text) => text.len() as u64,
            Self::N(text) => number::size_bytes(text),
            Self::B(bytes) => bytes.len() as u64,
            Self::Null(_) | Self::Bool(_) => 1,
            _ => self.size_of_contents(),
        }
    }

    /// The same for sets, maps and lists: apart, so that what keys are made of is measured at once.
    #[inline(never)]
    fn size_of_contents(&self) -> u64 {
        match self {
            Self::Ss(texts) => texts.iter().map(|text| text.len() as u64).sum(),
            Self::Ns(texts) => texts.iter().map(|text| number::size_bytes(text)).sum(),
            Self::Bs(all) => all.iter().map(|bytes| bytes.len() as u64).sum(),
            Self::M(map) => container_size(map.len()) + size_of_attributes(map),
            Self::L(list) => {
                container_size(list.len()) + list.iter().map(Self::size_bytes).sum::<u64>()
            }
            Self::S(_) | Self::N(_) | Self::B(_) | Self::Null(_) | Self::Bool(_) => {
                self.size_bytes()
            }
        }
    }

    /// Whether DynamoDB would call the two values equal: numbers by value, sets without order.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::N(one), Self::N(two)) => number::same(one, two),
            (Self::Ss(one), Self::Ss(two)) => same_set(one, two, |text| text),
            (Self::Bs(one), Self::Bs(two)) => same_set(one, two, |bytes| bytes),
            // A text that is no number has no value; it is told apart as text.
            (Self::Ns(one), Self::Ns(two)) => {
                same_set(one, two, |text| Decimal::parse(text).map_err(|_| text))
            }
            (Self::M(one), Self::M(two)) => same_attributes(one, two),
            (Self::L(one), Self::L(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(a, b)| a.same_as(b))
            }
            _ => self == other,
        }
    }

    /// The bytes behind this value on the heap, roughly: what was asked of the allocator.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let bytes = match self {
            Self::S(text) | Self::N(text) => text.capacity(),
            Self::B(bytes) => bytes.capacity(),
            Self::Ss(texts) | Self::Ns(texts) => {
                size_of_val(&texts[..]) + texts.iter().map(String::capacity).sum::<usize>()
            }
            Self::Bs(all) => size_of_val(&all[..]) + all.iter().map(Vec::capacity).sum::<usize>(),
            Self::M(map) => return heap_of_attributes(map),
            Self::L(list) => {
                return size_of_val(&list[..]) as u64
                    + list.iter().map(Self::heap_bytes).sum::<u64>();
            }
            Self::Null(_) | Self::Bool(_) => 0,
        };
        bytes as u64
    }
}

/// What DynamoDB counts for a map or list beside its contents.
pub(crate) fn container_size(elements: usize) -> u64 {
    3 + elements as u64
}

/// The size of attributes: the sum of their names and values.
pub(crate) fn size_of_attributes(attributes: &Attributes) -> u64 {
    attributes.iter().map(|(name, value)| name.len() as u64 + value.size_bytes()).sum()
}

/// The size of the key attributes, names and values; `None` if one of them is not there.
pub(crate) fn size_of_keys(attributes: &Attributes, schema: &KeySchema) -> Option<u64> {
    let size_of = |name: &str, value: &AttributeValue| name.len() as u64 + value.size_bytes();
    if attributes.len() > ONE_PASS {
        let mut sizes = schema.names().map(|name| Some(size_of(name, attributes.get(name)?)));
        return sizes.try_fold(0, |sum, size| Some(sum + size?));
    }
    let (hash, range) = (schema.hash().as_bytes(), schema.range().map(str::as_bytes));
    // No name is as long as that.
    let range_len = range.map_or(usize::MAX, <[u8]>::len);
    let mut missing = if range.is_some() { 2 } else { 1 };
    let mut size = 0;
    for (name, value) in attributes {
        if name.len() != hash.len() && name.len() != range_len {
            continue;
        }
        let bytes = name.as_bytes();
        if same_name(bytes, hash) || range.is_some_and(|range| same_name(bytes, range)) {
            size += size_of(name, value);
            missing -= 1;
            if missing == 0 {
                return Some(size);
            }
        }
    }
    None
}

/// Up to so many attributes, one look at all names costs less than looking up two: it compares lengths,
/// which tell most names apart, where the look-up compares texts.
const ONE_PASS: usize = 48;

/// Whether DynamoDB would call two maps equal.
pub(crate) fn same_attributes(one: &Attributes, other: &Attributes) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((a, one), (b, other))| a == b && one.same_as(other))
}

/// The bytes of a map on the heap, roughly: the tree's nodes hold up to eleven entries each.
pub(crate) fn heap_of_attributes(attributes: &Attributes) -> u64 {
    let nodes = attributes.len().div_ceil(11) * size_of::<[(String, AttributeValue); 11]>();
    let contents =
        |(name, value): (&String, &AttributeValue)| name.capacity() as u64 + value.heap_bytes();
    nodes as u64 + attributes.iter().map(contents).sum::<u64>()
}

/// Whether two sets hold the same elements, told apart by what `key` makes of them.
fn same_set<'a, T, K: Ord>(one: &'a [T], other: &'a [T], key: impl Fn(&'a T) -> K) -> bool {
    one.len() == other.len()
        && one.iter().map(&key).collect::<BTreeSet<_>>()
            == other.iter().map(&key).collect::<BTreeSet<_>>()
}

#[cfg(test)]
mod tests {
    use super::AttributeValue::{B, Bool, Bs, L, M, N, Ns, Null, S, Ss};
    use super::*;

    #[test]
    fn sizes_follow_the_guide() {
        for (value, size) in [
            (S("h\u{e9}".into()), 3),
            (N("-123.45".into()), 5),
            (B(vec![0; 7]), 7),
            (Ss(vec!["ab".into(), "c".into()]), 3),
            (Ns(vec!["1".into(), "22".into()]), 4),
            (Bs(vec![vec![1, 2], vec![3]]), 3),
            (Null(true), 1),
            (Bool(false), 1),
            (L(vec![]), 3),
            (L(vec![S("ab".into()), Bool(true)]), 3 + 2 + 3),
            (M(Attributes::from([("name".into(), S("x".into()))])), 3 + 1 + 5),
        ] {
            assert_eq!(value.size_bytes(), size, "{value:?}");
        }
    }

    #[test]
    fn equality_is_by_value() {
        let strings = |of: &[&str]| of.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        for (one, other, same) in [
            (N("1".into()), N("1.0".into()), true),
            (N("1".into()), N("2".into()), false),
            (N("1".into()), S("1".into()), false),
            (Ss(strings(&["a", "b"])), Ss(strings(&["b", "a"])), true),
            (Ss(strings(&["a", "b"])), Ss(strings(&["b", "c"])), false),
            (Ns(strings(&["1", "2"])), Ns(strings(&["2.0", "1e0"])), true),
            (Ns(strings(&["1", "x"])), Ns(strings(&["y", "1"])), false),
            (Bs(vec![vec![1], vec![2]]), Bs(vec![vec![2], vec![1]]), true),
            (L(vec![N("1".into())]), L(vec![N("1.00".into())]), true),
            (L(vec![Null(true), Bool(true)]), L(vec![Bool(true), Null(true)]), false),
        ] {
            assert_eq!(one.same_as(&other), same, "{one:?} and {other:?}");
            let wrap = |value| M(Attributes::from([("inside".to_owned(), value)]));
            assert_eq!(wrap(one).same_as(&wrap(other)), same);
        }
    }
}
