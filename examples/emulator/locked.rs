//! Items of several tables at one moment: the parts of tables that hold them, locked together.
//!
//! Locks are taken in the order of their addresses, each once, so two transactions never wait for each
//! other in a circle. Who changes one item takes one lock and waits for nothing inside it; who takes all
//! locks of a table takes them in the same order ([`Table::end_stream`]).

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use streamcore::model::Image;

use crate::items::Items;
use crate::key::ItemKey;
use crate::table::Table;

/// The place of an item.
pub(crate) struct Place {
    pub(crate) table: Arc<Table>,
    pub(crate) key: ItemKey,
}

impl Place {
    fn part(&self) -> &Mutex<Items> {
        self.table.part(&self.key)
    }
}

/// Parts of tables that nobody else reads or changes meanwhile.
pub(crate) struct Locked<'p> {
    /// By the address of the lock.
    parts: Vec<(usize, MutexGuard<'p, Items>)>,
}

impl<'p> Locked<'p> {
    /// Locks what holds the items at these places.
    pub(crate) fn of(places: impl Iterator<Item = &'p Place>) -> Self {
        let mut parts: Vec<&Mutex<Items>> = places.map(Place::part).collect();
        parts.sort_unstable_by_key(|part| address(part));
        parts.dedup_by_key(|part| address(part));
        Self { parts: parts.into_iter().map(|part| (address(part), part.lock())).collect() }
    }

    /// The item at one of the places.
    pub(crate) fn get(&self, place: &Place) -> Option<&Image> {
        let (_, items) = &self.parts[self.find(place)?];
        items.get(&place.key.bytes)
    }

    /// Puts an item at one of the places, or deletes it.
    pub(crate) fn set(&mut self, place: &Place, new: Option<Image>) {
        if let Some(found) = self.find(place) {
            self.parts[found].1.set(place.key.bytes.clone(), new);
        }
    }

    fn find(&self, place: &Place) -> Option<usize> {
        let part = address(place.part());
        let found = self.parts.binary_search_by_key(&part, |(address, _)| *address);
        debug_assert!(found.is_ok(), "the place was named when the parts were locked");
        found.ok()
    }
}

fn address(part: &Mutex<Items>) -> usize {
    std::ptr::from_ref(part).addr()
}
