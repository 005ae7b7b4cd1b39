//! Memory that other threads have freed.
//!
//! An allocator with a heap for each thread keeps a block that another thread has freed until the thread that allocated
//! it allocates again. A thread that becomes idle after a burst never does, and keeps megabytes. mimalloc collects such
//! blocks at every 10,000th allocation of more than 1 KiB.

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

/// The allocations after which mimalloc collects: its option `generic_collect`, and as many as it counts at a time.
const ALLOCATIONS: usize = 11_000;
/// The bytes of each. mimalloc does not count those of 1 KiB and less.
const BLOCK_BYTES: usize = 2 << 10;
/// The least time between two collections of a thread, which take half a millisecond.
const INTERVAL: Duration = Duration::from_secs(5);

thread_local! {
    static COLLECTED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives back what other threads have freed of this thread's memory, at most every five seconds. Call it when a thread
/// becomes idle.
///
/// ```
/// let threads = std::thread::spawn(hourlog::heap::collect);
/// # threads.join().expect("nothing panics");
/// ```
pub fn collect() {
    let is_due = COLLECTED.get().is_none_or(|collected| collected.elapsed() >= INTERVAL);
    if is_due {
        COLLECTED.set(Some(Instant::now()));
        (0..ALLOCATIONS).for_each(|_| drop(black_box(Vec::<u8>::with_capacity(BLOCK_BYTES))));
    }
}
