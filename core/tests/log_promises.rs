//! What the log promises its users, beyond the basics: one thread at a time, every time the same.

use std::sync::Arc;

use streamcore::log::{Log, Next, Position};

/// A log of `count` clones of `token`.
fn filled(token: &Arc<()>, count: u64) -> Log<Arc<()>> {
    let log = Log::new();
    for _ in 0..count {
        log.append(Arc::clone(token)).unwrap();
    }
    log
}

#[test]
fn a_cursor_that_reads_on_in_chunks_lets_go_of_the_segment_it_held() {
    let token = Arc::new(());
    let log = filled(&token, 20_000);
    let mut cursor = log.cursor(Position::ZERO);
    assert!(matches!(cursor.next(), Ok(Next::Record(..))));
    while !cursor.next_chunk(1_000).unwrap().is_empty() {}
    log.trim(Position::new(20_000));
    let while_the_cursor_lives = Arc::strong_count(&token);
    drop(cursor);
    assert_eq!(while_the_cursor_lives, Arc::strong_count(&token));
}
