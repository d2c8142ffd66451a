//! A stream that runs for years on a small board allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use auricle_features::{LogMel, LogMelStream};

use crate::sound::{chirp, specs};

thread_local! {
    static N_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.set(N_ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn pushing_chunks_of_any_size_allocates_nothing() {
    let samples = chirp(16_000);
    for spec in specs() {
        let mut stream = LogMelStream::new(LogMel::new(&spec).unwrap());
        let mut sum = 0.0;
        let before = N_ALLOCATIONS.get();
        for n_samples in [160, 1, 333, 16_000] {
            for chunk in samples.chunks(n_samples) {
                stream.push_with(chunk, |frame| sum += frame[0]);
            }
        }
        let n_allocations = N_ALLOCATIONS.get() - before;
        assert_eq!(n_allocations, 0, "{spec:?}");
        assert!(f32::is_finite(sum));
    }
}
