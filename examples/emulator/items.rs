//! Items in their order, and those of them that expire in the order of their time. Whoever holds a part's
//! lock is alone with it.
//!
//! An item expires when the time that its attribute names has passed: a number without a fraction, in
//! seconds since the Unix epoch. What lies more than five years back is taken for a mistake, and stays.
//! Source: Amazon DynamoDB Developer Guide, "Using time to live (TTL) in DynamoDB".

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use streamcore::model::{AttributeValue, Image};

/// Five years in seconds.
const TOO_OLD_S: u64 = 5 * 365 * 24 * 60 * 60;

/// Items by the bytes of their keys.
pub(crate) type ByKey = BTreeMap<Box<[u8]>, Image>;

/// A part of a table's items.
#[derive(Default)]
pub(crate) struct Items {
    /// Shared with a snapshot while that is being written: who changes an item then copies the part, once.
    by_key: Arc<ByKey>,
    bytes: u64,
    expiry: Option<Expiry>,
}

/// Which items expire, and when.
struct Expiry {
    attribute: Arc<str>,
    by_time: BTreeSet<(u64, Box<[u8]>)>,
    /// Up to which time items have expired. Five years count from here: a clock that is turned on by
    /// more than that lets everything expire that would have expired on the way.
    done_s: u64,
}

impl Expiry {
    /// When an item expires, in seconds since the Unix epoch.
    fn time_of(&self, image: &Image) -> Option<u64> {
        match image.attributes().get(&*self.attribute) {
            Some(AttributeValue::N(time)) => time.parse().ok(),
            _ => None,
        }
    }
}

impl Items {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Image> {
        self.by_key.get(key)
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The size of all items.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts an item, or deletes it.
    pub(crate) fn set(&mut self, key: Box<[u8]>, new: Option<Image>) {
        let by_key = Arc::make_mut(&mut self.by_key);
        let old = match &new {
            Some(new) => by_key.insert(key.clone(), new.clone()),
            None => by_key.remove(&key),
        };
        self.bytes -= old.as_ref().map_or(0, Image::size_bytes);
        self.bytes += new.as_ref().map_or(0, Image::size_bytes);
        if let Some(expiry) = &mut self.expiry {
            let [old, new] = [old, new].map(|image| image.and_then(|image| expiry.time_of(&image)));
            if old != new {
                if let Some(time) = old {
                    expiry.by_time.remove(&(time, key.clone()));
                }
                if let Some(time) = new {
                    expiry.by_time.insert((time, key));
                }
            }
        }
    }

    /// The items from `low` to `high`, which must not be exchanged.
    pub(crate) fn range(
        &self,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], &Image)> {
        self.by_key.range::<[u8], _>((low, high)).map(|(key, image)| (&**key, image))
    }

    /// From now on items expire at the time in this attribute.
    pub(crate) fn begin_expiry(&mut self, attribute: Arc<str>, now_s: u64) {
        let mut expiry = Expiry { attribute, by_time: BTreeSet::new(), done_s: now_s };
        for (key, image) in &*self.by_key {
            if let Some(time) = expiry.time_of(image) {
                expiry.by_time.insert((time, key.clone()));
            }
        }
        self.expiry = Some(expiry);
    }

    /// The items as they are now, whatever becomes of them. Costs nothing until one of them is changed.
    pub(crate) fn frozen(&self) -> Arc<ByKey> {
        Arc::clone(&self.by_key)
    }

    /// Up to which time items have expired, if they do.
    pub(crate) fn expiry_done_s(&self) -> Option<u64> {
        self.expiry.as_ref().map(|expiry| expiry.done_s)
    }

    /// From now on no items expire.
    pub(crate) fn end_expiry(&mut self) {
        self.expiry = None;
    }

    /// Up to `limit` items whose time has passed.
    pub(crate) fn expired(&self, now_s: u64, limit: usize) -> Vec<(Box<[u8]>, Image)> {
        let Some(expiry) = &self.expiry else {
            return Vec::new();
        };
        let first = (expiry.done_s.min(now_s).saturating_sub(TOO_OLD_S), Box::default());
        let keys = expiry.by_time.range(first..(now_s, Box::default())).map(|(_, key)| key);
        let item =
            |key| self.by_key.get_key_value(key).map(|(key, image)| (key.clone(), image.clone()));
        keys.filter_map(item).take(limit).collect()
    }

    /// All items whose time had passed at `now_s` are gone.
    pub(crate) fn expired_until(&mut self, now_s: u64) {
        if let Some(expiry) = &mut self.expiry {
            expiry.done_s = expiry.done_s.max(now_s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamcore::model::Attributes;

    const YEAR_S: u64 = 365 * 24 * 60 * 60;
    const NOW_S: u64 = 60 * YEAR_S;

    fn item(ends: AttributeValue) -> Option<Image> {
        Some(Image::new(Attributes::from([("ends".to_owned(), ends)])))
    }

    fn at(time: u64) -> Option<Image> {
        item(AttributeValue::N(time.to_string()))
    }

    fn key(name: &str) -> Box<[u8]> {
        name.as_bytes().into()
    }

    fn expired(items: &Items, now_s: u64) -> Vec<String> {
        let name = |(key, _): (Box<[u8]>, Image)| String::from_utf8(key.into()).expect("UTF-8");
        items.expired(now_s, usize::MAX).into_iter().map(name).collect()
    }

    #[test]
    fn items_expire_in_the_order_of_their_time_once_it_has_passed() {
        let mut items = Items::default();
        items.set(key("before"), at(NOW_S - 2));
        items.begin_expiry("ends".into(), NOW_S);
        items.set(key("just"), at(NOW_S - 1));
        items.set(key("now"), at(NOW_S));
        items.set(key("text"), item(AttributeValue::S("1".to_owned())));
        items.set(key("fraction"), item(AttributeValue::N("1800000000.5".to_owned())));
        items.set(key("negative"), item(AttributeValue::N("-5".to_owned())));
        assert_eq!(expired(&items, NOW_S), ["before", "just"]);
        assert_eq!(expired(&items, NOW_S + 1), ["before", "just", "now"]);
        assert_eq!(items.expired(NOW_S, 1).len(), 1);
        // What is changed or deleted leaves its time behind.
        items.set(key("before"), at(NOW_S + 9));
        items.set(key("just"), None);
        assert_eq!(expired(&items, NOW_S), [""; 0]);
        items.end_expiry();
        assert_eq!(expired(&items, NOW_S + 99), [""; 0]);
    }

    #[test]
    fn what_is_more_than_five_years_back_stays() {
        let mut items = Items::default();
        items.set(key("old"), at(NOW_S - 5 * YEAR_S - 1));
        items.set(key("young"), at(NOW_S - 5 * YEAR_S));
        items.begin_expiry("ends".into(), NOW_S);
        items.set(key("next year"), at(NOW_S + YEAR_S));
        assert_eq!(expired(&items, NOW_S), ["young"]);
        // The clock is turned: what was in time then still expires.
        assert_eq!(expired(&items, NOW_S + 10 * YEAR_S), ["young", "next year"]);
        items.expired_until(NOW_S + 10 * YEAR_S);
        assert_eq!(expired(&items, NOW_S + 10 * YEAR_S), [""; 0]);
    }

    #[test]
    fn bytes_are_those_of_the_items() {
        let mut items = Items::default();
        items.set(key("a"), at(1));
        let one = items.bytes();
        items.set(key("b"), at(1));
        assert_eq!((items.len(), items.bytes()), (2, 2 * one));
        items.set(key("a"), None);
        items.set(key("none"), None);
        assert_eq!((items.len(), items.bytes()), (1, one));
    }
}
