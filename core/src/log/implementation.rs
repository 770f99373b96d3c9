//! How the log works, and why that is right. Documentation only; no code stands here.
//!
//! Read this first, then the files in the order of the text. Each of them opens with its state, its
//! transitions, who may do what, its orderings, its progress, and the models that check it.
//!
//! # The picture
//!
//! ```text
//!            writers                                    readers
//!               |                                          |
//!     tail: fetch_add -> position 9            watermark: all before 7 is published
//!               |                              horizon:   all before 2 is given up
//!               v                                          |
//!   directory  [ *0 | *1 | *2 | *3 |    ]     pins  [T 0 | 1 | 2 | 0 |   ]
//!                |    |    |    |                    |   counted by readers, beside the pointers
//!             TOMB    v    v    v                    T = trimmed
//!                   +----+----+----+
//!   segments        |2..3|4..5|6..7| ...             here with two slots each, as in the models
//!                   +----+----+----+
//!   slots             R R  R R  R -    8 and 9 are reserved; 7 is not ready yet and hides 8
//! ```
//!
//! A position is reserved by one `fetch_add` and published by one Release store. Everything else is
//! arranged so that this path has nothing more to do: rare news (a seal, sleepers) comes with the value
//! that the `fetch_add` returns; freed memory is found by counting readers, not writers; the prefix is
//! computed by those who ask for it.
//!
//! # Why each promise holds
//!
//! **Order and density.** Positions come from one atomic counter. An append that begins after another
//! returned reads the counter later in its modification order.
//!
//! **No hole.** The watermark is raised only to positions that a scan has reached through ready slots
//! from an older watermark (induction from the log's first position). It is raised by a maximum, so it never falls.
//!
//! **Reading below the watermark is safe.** The scan acquires each state (which the writer released
//! after the value) and then releases the watermark; whoever acquires the watermark has every value
//! below it. A scan that starts from a watermark raised by another thread has acquired that one, so
//! the chain has no gap. Models: `publish`, `share`.
//!
//! **A cursor may look at a slot alone.** It has an end of its own, up to which it knows the log to be published,
//! and is inside the segment. From there it moves over ready slots to the end of a batch, and has acquired each of
//! them. The watermark stays, so nobody else learns of it; but a snapshot that is taken afterwards scans the same
//! slots, which are ready, and at least as many reserved ones. Where a batch goes on in the next segment, and at the
//! border, it asks for the whole prefix. That the log is sealed it asks only if a sealer has raised `end`,
//! which comes before SEALED. Models: `poll`, `poll_batch`, `poll_sealed`.
//!
//! **Immutable.** A slot is written once per segment number, before its state says so. Memory comes
//! back under another number only after the claim.
//!
//! **A segment is not freed under a reader.** A reader counts itself in, and only then looks for the
//! block. The count and the mark TRIMMED are one word, so of a pin and a mark one comes first: if the
//! pin, the claim (a CAS from exactly "trimmed, nobody inside") fails until the reader has left; if
//! the mark, the reader learns that it is not in. Leaving is Release, claiming Acquire: the reads come
//! before the drop. The word lives in the directory, which lives as long as the log: there is no moment
//! between finding a segment and counting oneself in it. Models: `trim`, `late_reader`.
//!
//! **Exactly one party frees.** Bringing the count of a trimmed segment to zero is not enough, because a
//! late reader's +1 and -1 do it again; the CAS that sets FREED succeeds once.
//!
//! **A value does not die under a reader, though its segment goes on.** What a trim gives up of the segment
//! that the horizon stands in is dropped by who is alone in it: a CAS of the pin word from 0 to 1, which fails
//! while anybody reads. Readers that come later are let in, and look at the horizon once they are
//! inside. Their pin acquires that CAS, so they see a horizon behind which nothing has been dropped; and while
//! they are inside, nobody else can be alone. Models: `hollow`, `hollow_twice`, `hollow_retain`, `hollow_cursor`.
//!
//! **A segment is not freed under a writer.** Only segments wholly below the watermark are marked, and
//! the watermark does not pass an unpublished slot. So writers need no pin. A writer that merely
//! installs a segment ahead of time may come late: then the entry is a tombstone, and its CAS from
//! null fails. Models: `trim_against_writer`, `late_install`.
//!
//! **A scan is not a reader of what it knows to be there.** It starts at a watermark that may be old,
//! and so may look into a segment that has been trimmed since; therefore it pins like any reader, and
//! starts anew if it is refused. Model: `stale_scan`.
//!
//! **Recycled memory is empty.** A slot's state holds the number of the segment that it is ready for,
//! plus one, in 63 bits. A block that comes back holds states of segments that are tombstones now and
//! will never be installed again, so none of them equals the new number. Nothing has to be reset, so a
//! segment's memory is not touched between its last life and its next. Model: `recycle`.
//!
//! **Batches are whole.** A batch is published from its last slot to its first. Suppose that a scan
//! finds the first slot ready: it acquired the writer's last store, so all the others are ready too, and
//! it passes them all. And it moves its boundary only where a state says that a batch ends, which lets it
//! stop for its budget; published the other way round, batches would still be whole, but the first slots
//! would be looked at again and again. A horizon is moved back to where a batch begins. So neither end of
//! a snapshot lies in a batch.
//! Models: `batch`, `batch_single`, `batch_long`, `batch_trimmed`.
//!
//! **One exact end.** A sealer raises `end` to the tail that it read and sets SEALED by a CAS from that
//! very tail. All sealers raise `end` to tails that were current before the seal, and the winner to the
//! one that it sealed, which is the greatest: so `end` equals it. The bit is in the word that writers
//! add to: an append is before it in the modification order and lands, or after it and is turned away.
//! Turned-away appends go on raising the low bits, which is why nobody uses a sealed tail's position.
//! Models: `seal`, `seal_observer`, `seal_helped`.
//!
//! **Nobody sleeps for ever.** Let a waiter want position p and have set WAITERS. If p was not reserved
//! by then, its writer's `fetch_add` comes later, returns the bit (or somebody has cleared it, and
//! wakes), and the writer wakes the list after publishing; the list holds the waiter's node, pushed
//! before the bit was set. If p was reserved by then, the waiter knows it from its own `fetch_or`, and
//! sleeps in bounded steps. Whoever clears the bit takes the list afterwards, so a node that was pushed
//! before is woken, and one that was pushed later is followed by its own `fetch_or`. Models: `wake`,
//! `wake_overtaken`, `wake_two`, `wake_at_seal`.
//!
//! # What a suspended thread costs
//!
//! | suspended | effect until it runs again |
//! |---|---|
//! | writer between reserve and publish | later records are stored, not visible; trimming stops there; `LogStats::prefix_lag` grows |
//! | reader in a segment | that segment stays |
//! | trimmer between horizon and mark | its segments are unreadable and not freed |
//! | trimmer while it drops a segment's values | that segment's memory |
//! | sealer after SEALED | nothing that others notice: they find end and successor, and wake sleepers |
//! | thread that took the wait list | the sleepers on it |
//!
//! Appends go on in every row, in a bounded number of steps: `loom-tests/shuttle` suspends each of these threads
//! before each of its atomic operations in turn (`stalls`).
//!
//! # What was rejected
//!
//! - **A mutex around a `Vec`** is as fast as the log with one thread and small values, and twice as
//!   slow with two; a reader that copies stops every writer for as long as it copies.
//! - **Epochs or hazard pointers** for segments: an epoch pin costs as much as the whole append, and one
//!   slow reader holds everything that is freed after it came; here it holds its own segments.
//! - **Reference counts in the segment**: between loading the pointer and counting, the segment may
//!   be gone. The count beside the pointer needs no second step.
//! - **A commit counter or a bitmap per segment** in the append: one more shared write per record. The
//!   slot's own state is written anyway.
//! - **Sealing by a flag of its own**: each append would have to read it, and an append between the
//!   check and the reserve would be lost.
//! - **`event-listener` for waiting**: its notify costs a fence per append even when nobody listens.
//! - **A `reserve` that hands the claim to the caller**: one that is forgotten would stop the prefix
//!   for good.
//! - **Resetting slots when a segment comes back**: it touches the whole segment's memory once more, and
//!   the reset must be ordered before the install; numbered states need neither.
//! - **A queue of spare segments**: one whose pop waits for a stalled push would make writers wait. Two
//!   places, each taken by a swap, are enough, since border work brings and takes one at a time.
//!
//! # What the models do not see
//!
//! The models run the log's own source under [loom](https://docs.rs/loom) with segments of two slots,
//! and explore orderings within the C11 model as loom implements it: no load buffering, sequential
//! consistency of `SeqCst` accesses weakened to acquire/release (none is used here), read-modify-writes
//! that always read the newest value. Links between the accesses of each atomic (in `sync/modelled/atomic.rs`)
//! close a hole in loom 0.7 through which it skips interleavings of "load, then compare-exchange"; canaries
//! show the hole and the cure. Time limits are not modelled: a bounded sleep is a yield.
