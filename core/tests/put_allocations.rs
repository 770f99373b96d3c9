//! Putting shared images allocates nothing in the steady state, and an idle stream is small.
//!
//! One test in a binary of its own: the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::{Store, StreamConfig};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn config(table: &str) -> StreamConfig {
    let schema = KeySchema::new("id", None).unwrap();
    StreamConfig::new(table, schema, StreamViewType::NewAndOldImages)
}

fn image(text: &str) -> Image {
    Image::new(Attributes::from([("id".to_owned(), AttributeValue::S(text.to_owned()))]))
}

#[test]
fn shared_images_cost_no_allocation_and_idle_streams_little_memory() {
    let kept = NonZeroU64::new(10_000).unwrap();
    let stream = Store::new().register_stream(config("Busy").retain_last(kept)).unwrap();
    let (old, new) = (image("a"), image("a"));
    let mut writer = stream.writer();
    let mut put_all = |count: u32| {
        for _ in 0..count {
            writer.put(Change::modify(old.clone(), new.clone())).unwrap();
        }
    };
    put_all(300_000);
    let before = ALLOCATIONS.load(Relaxed);
    put_all(1_000_000);
    let allocations = ALLOCATIONS.load(Relaxed) - before;
    assert!(allocations <= 10, "{allocations} allocations in 1,000,000 puts");

    let store = Store::new();
    let names: Vec<String> = (0..10_000).map(|n| format!("Table{n:05}")).collect();
    let before = BYTES.load(Relaxed);
    for name in &names {
        store.register_stream(config(name)).unwrap();
    }
    let each = (BYTES.load(Relaxed) - before) / names.len() as u64;
    assert!(each <= 1_536, "an idle stream takes {each} bytes");
    let streams = store.list_streams(None, None, 100).unwrap().streams;
    let before = BYTES.load(Relaxed);
    let shards: usize = streams.iter().map(|stream| stream.stats().shards.len()).sum();
    let used = each + (BYTES.load(Relaxed) - before) / shards as u64;
    assert!(used <= 1_536, "a stream that somebody has come to takes {used} bytes");
    println!("an idle stream takes {each} bytes, {used} once somebody has come to it");
    println!("{allocations} allocations in 1,000,000 puts");
}
