//! Freed memory is kept for the next step of a training.
//!
//! A step allocates and frees the same few dozen arrays of some megabytes. Left alone, the C library gives them back to
//! the system after each step and the system hands them out as new pages of zeros, which took a third of the time of
//! the steps that were measured (`perf record`, glibc 2.36). What is kept is bounded by what a step needs at once.

/// Asks the allocator, once for the whole process, to keep what is freed. Without effect where it is not glibc's.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The most that glibc takes for an array of the heap proper.
        const MAPPED_FROM_BYTES: libc::c_int = 32 << 20;
        /// Freed memory at the heap's end beyond which it is given back.
        const KEPT_BYTES: libc::c_int = 256 << 20;
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            // SAFETY: `mallopt` takes two numbers, touches no memory of ours, and answers 0 where it refuses.
            unsafe {
                libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
                libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
            }
        });
    }
}
