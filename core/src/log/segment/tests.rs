//! What a segment's block does with its values, by itself: states, dropping by parts, and its next life.

use std::sync::Arc;

use super::*;

#[test]
fn a_state_belongs_to_one_segment() {
    let n = SegmentNo::new(7);
    for batch in [Batch::Ends, Batch::GoesOn] {
        let ready = SlotState::ready(n, batch);
        assert!(ready.is_ready(n));
        assert_eq!(ready.batch(), batch);
        assert!(!ready.is_ready(SegmentNo::new(6)) && !ready.is_ready(SegmentNo::new(8)));
    }
    assert!(!SlotState(0).is_ready(SegmentNo::new(0)));
}

const SLOTS: usize = 8;

type Token = Arc<()>;

/// A block that is segment 1, with values in some of its slots.
fn filled(token: &Token, slots: impl IntoIterator<Item = usize>) -> SegmentRef<Token> {
    let block = SegmentRef::allocate(SLOTS);
    publish(block, SegmentNo::new(1), token, slots);
    block
}

fn publish(
    block: SegmentRef<Token>,
    segment: SegmentNo,
    token: &Token,
    slots: impl IntoIterator<Item = usize>,
) {
    for slot in slots {
        // SAFETY: the test owns the block, and publishes each slot once in each life.
        unsafe { block.publish(segment, slot, Arc::clone(token), Batch::Ends) };
    }
}

fn alive(token: &Token) -> usize {
    Arc::strong_count(token) - 1
}

#[test]
fn a_dead_segment_is_emptied_by_parts_and_each_value_dies_once() {
    let (token, segment) = (Token::default(), SegmentNo::new(1));
    let block = filled(&token, 0..SLOTS);
    // SAFETY: the test owns the block, and ends its life.
    unsafe {
        assert_eq!((block.drop_before(segment, 2), alive(&token)), (0, 6));
        assert_eq!((block.drop_before(segment, 1), alive(&token)), (0, 6), "they are gone");
        block.end_life(segment);
        assert_eq!(block.former_number(), segment);
        for (budget, slots, is_all, left) in [(3, 3, false, 3), (1, 1, false, 2), (2, 2, true, 0)] {
            let dropped = block.drop_some(budget);
            assert_eq!((dropped.slots, dropped.panics, dropped.is_all), (slots, 0, is_all));
            assert_eq!(alive(&token), left);
        }
        let dropped = block.drop_some(usize::MAX);
        assert_eq!((dropped.slots, dropped.is_all), (0, true));
        block.free(SLOTS);
    }
}

#[test]
fn only_what_was_published_in_this_life_is_dropped() {
    let (token, first, second) = (Token::default(), SegmentNo::new(1), SegmentNo::new(0));
    let block = filled(&token, [0, 1, 5]);
    // SAFETY: the test owns the block; a life ends before the next one begins.
    unsafe {
        block.end_life(first);
        assert_eq!(block.drop_some(usize::MAX).slots, SLOTS);
        assert_eq!(alive(&token), 0);
        block.renew_life();
        publish(block, second, &token, [1, 7]);
        let ready = |slot| block.state(slot).is_ready(second);
        assert_eq!([0, 1, 5, 6, 7].map(ready), [false, true, false, false, true]);
        assert!(Arc::ptr_eq(block.value(7), &token));
        assert_eq!((block.drop_before(second, 2), alive(&token)), (0, 1), "counted from the first");
        block.end_life(second);
        let dropped = block.drop_some(usize::MAX);
        assert_eq!((dropped.slots, dropped.is_all, alive(&token)), (6, true, 0));
        block.free(SLOTS);
    }
}

#[test]
fn every_panic_of_a_value_is_counted_and_the_others_die() {
    struct Fuse(Token, bool);
    impl Drop for Fuse {
        fn drop(&mut self) {
            if self.1 {
                // Without the message that a panic prints; its payload panics, too.
                std::panic::resume_unwind(Box::new(Fuse(Arc::clone(&self.0), true)));
            }
        }
    }
    let (token, segment) = (Token::default(), SegmentNo::new(1));
    let block = SegmentRef::<Fuse>::allocate(SLOTS);
    // SAFETY: the test owns the block.
    unsafe {
        for slot in 0..SLOTS {
            let fuse = Fuse(Arc::clone(&token), slot % 2 == 1);
            block.publish(segment, slot, fuse, Batch::Ends);
        }
        assert_eq!(block.drop_before(segment, 4), 2);
        block.end_life(segment);
        let dropped = block.drop_some(3);
        assert_eq!((dropped.slots, dropped.panics, dropped.is_all), (3, 1, false));
        let dropped = block.drop_some(3);
        assert_eq!((dropped.slots, dropped.panics, dropped.is_all), (1, 1, true));
        block.free(SLOTS);
    }
    // Four payloads were forgotten, since their own drop panics again.
    assert_eq!(alive(&token), 4);
}
