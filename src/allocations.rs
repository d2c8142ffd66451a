//! Counts what the thread that asks allocates: for tests that hold a stream to allocating nothing, and
//! what reads a stranger's file to asking for no more than the file is worth.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static N_ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes held, counted from wherever the thread began: what another thread frees goes below zero.
    static N_BYTES: Cell<i64> = const { Cell::new(0) };
    static MOST_BYTES: Cell<i64> = const { Cell::new(0) };
}

fn hold(n_bytes: i64) {
    // A thread that is ending counts no more.
    let _ = N_BYTES.try_with(|n| {
        let held = n.get() + n_bytes;
        n.set(held);
        let _ = MOST_BYTES.try_with(|most| most.set(most.get().max(held)));
    });
}

// Passes everything on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = N_ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        hold(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations (and growths) of this thread while `work` runs.
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let before = N_ALLOCATIONS.get();
    work();
    N_ALLOCATIONS.get() - before
}

/// Most bytes that this thread holds at a time while `work` runs, beyond what it held before.
pub(crate) fn most_bytes<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = N_BYTES.get();
    MOST_BYTES.set(before);
    let result = work();
    (result, (MOST_BYTES.get() - before).max(0) as u64)
}
