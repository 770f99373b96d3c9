//! Pages of Query and Scan: how many items one holds, and what it looks like.

use streamcore::model::{Attributes, Image};

use crate::expr::{Condition, Projection};
use crate::read::write_item;

/// AWS developer guide, "Paginating table query results": a page ends at 1 MB.
const MAX_PAGE_BYTES: u64 = 1 << 20;

/// Gathers the items of one page, before any filter.
pub(crate) struct Gathered {
    pub(crate) images: Vec<Image>,
    limit: usize,
    bytes: u64,
}

impl Gathered {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { images: Vec::new(), limit: limit.unwrap_or(usize::MAX), bytes: 0 }
    }

    /// Takes one more item. Whether there is room for another.
    pub(crate) fn push(&mut self, image: &Image) -> bool {
        self.bytes += image.size_bytes();
        self.images.push(image.clone());
        !self.is_full()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.images.len() >= self.limit || self.bytes >= MAX_PAGE_BYTES
    }
}

/// What of the items the client wants to see.
pub(crate) struct View<'v> {
    pub(crate) filter: Option<Condition<'v>>,
    pub(crate) projection: Option<Projection>,
    pub(crate) count_only: bool,
}

/// The answer: the items that pass the filter, both counts, and where to go on if the
/// page was full. `key` makes the start key out of the last item looked at.
pub(crate) fn answer(
    gathered: &Gathered,
    view: &View<'_>,
    key: impl FnOnce(&Attributes) -> Attributes,
) -> Vec<u8> {
    let mut out = b"{".to_vec();
    if !view.count_only {
        out.extend_from_slice(br#""Items":["#);
    }
    let mut count = 0_usize;
    for image in &gathered.images {
        if view.filter.as_ref().is_some_and(|filter| !filter.holds(image.attributes())) {
            continue;
        }
        if !view.count_only {
            if count > 0 {
                out.push(b',');
            }
            write_item(image, view.projection.as_ref(), &mut out);
        }
        count += 1;
    }
    if !view.count_only {
        out.extend_from_slice(b"],");
    }
    let scanned = gathered.images.len();
    out.extend_from_slice(format!(r#""Count":{count},"ScannedCount":{scanned}"#).as_bytes());
    if let Some(last) = gathered.images.last().filter(|_| gathered.is_full()) {
        out.extend_from_slice(br#","LastEvaluatedKey":"#);
        out.extend_from_slice(Image::new(key(last.attributes())).json());
    }
    out.push(b'}');
    out
}
