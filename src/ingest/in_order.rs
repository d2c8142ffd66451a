//! Items worked on by several threads at once, and handed on in the order of their list.
//!
//! Knows nothing of files: what is worked on, and what becomes of it, is said by whoever calls.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How much may be under way: given to a worker, and not taken yet.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub n_items: usize,
    /// Of the items' weights together. An item for each worker may be under way, however heavy.
    pub weight: u64,
}

/// Does `work` on every item, given with its weight, on all `workers`, and calls `take` with what comes of it: one after the
/// other, in the order of the items, in the thread that calls.
///
/// # Errors
///
/// What `take` says; nothing is given out from then on.
pub(super) fn in_order<T: Send, R: Send, E>(
    workers: &rayon::ThreadPool,
    items: impl Iterator<Item = (T, u64)> + Send,
    bounds: Bounds,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let n_workers = workers.current_num_threads();
    let line = Line {
        state: Mutex::new(State {
            items: items.peekable(),
            n_given: 0,
            n_out: 0,
            weight_out: 0,
            closed: false,
        }),
        moved: Condvar::new(),
        n_workers,
        bounds,
    };
    let (sender, results) = channel();
    workers.in_place_scope(|scope| {
        for _ in 0..n_workers {
            let (line, work, sender) = (&line, &work, sender.clone());
            scope.spawn(move |_| {
                let _closing = Closing(line, thread::panicking);
                while let Some(given) = line.next() {
                    let result = work(given.item);
                    // Nobody listens once an item could not be taken.
                    if sender.send((given.at, (given.weight, result))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let _closing = Closing(&line, || true);
        let (mut early, mut n_taken) = (BTreeMap::new(), 0);
        for (at, result) in results {
            early.insert(at, result);
            while let Some((weight, result)) = early.remove(&n_taken) {
                take(result)?;
                n_taken += 1;
                line.taken(weight);
            }
        }
        Ok(())
    })
}

struct Line<I: Iterator> {
    state: Mutex<State<I>>,
    /// Something was taken, or the line was closed.
    moved: Condvar,
    n_workers: usize,
    bounds: Bounds,
}

struct State<I: Iterator> {
    items: Peekable<I>,
    n_given: usize,
    n_out: usize,
    weight_out: u64,
    closed: bool,
}

struct Given<T> {
    at: usize,
    weight: u64,
    item: T,
}

impl<T, I: Iterator<Item = (T, u64)>> Line<I> {
    /// The next item, as soon as there is room for it; none once all are given, or the line is closed.
    fn next(&self) -> Option<Given<T>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let &(_, weight) = state.items.peek()?;
            let is_room = state.n_out < self.n_workers
                || (state.n_out < self.bounds.n_items
                    && state.weight_out + weight <= self.bounds.weight);
            if is_room {
                let (item, weight) = state.items.next()?;
                let at = state.n_given;
                state.n_given += 1;
                state.n_out += 1;
                state.weight_out += weight;
                return Some(Given { at, weight, item });
            }
            state = (self.moved.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn taken(&self, weight: u64) {
        let mut state = self.lock();
        state.n_out -= 1;
        state.weight_out -= weight;
        drop(state);
        self.moved.notify_all();
    }
}

impl<I: Iterator> Line<I> {
    /// A panic is passed on by its thread: here the line is only closed behind it.
    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the line when dropped, if then the condition holds: nobody waits for what does not come any more.
struct Closing<'a, I: Iterator>(&'a Line<I>, fn() -> bool);

impl<I: Iterator> Drop for Closing<'_, I> {
    fn drop(&mut self) {
        if self.1() {
            self.0.lock().closed = true;
            self.0.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        n_items: 6,
        weight: 40,
    };

    fn pool(n_workers: usize) -> rayon::ThreadPool {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(n_workers);
        threads.build().unwrap()
    }

    /// Now and then an item takes longer than the others.
    fn slow(item: usize) -> usize {
        if item.is_multiple_of(7) {
            thread::sleep(Duration::from_millis(2));
        }
        item
    }

    #[test]
    fn items_come_in_the_order_of_their_list_however_long_each_takes() {
        for n_workers in [1, 2, 5] {
            let items = (0..300).map(|item| (item, 1));
            let mut taken = Vec::new();
            let all: Result<(), ()> = in_order(&pool(n_workers), items, BOUNDS, slow, |item| {
                taken.push(item);
                Ok(())
            });
            assert_eq!((all, taken), (Ok(()), (0..300).collect()));
        }
    }

    #[test]
    fn no_more_is_under_way_than_the_bounds_allow() {
        for (weight, n_most) in [(1, 6), (10, 4), (1_000, 3)] {
            let n_given = AtomicUsize::new(0);
            let items = (0..100).map(|item| {
                n_given.fetch_add(1, Ordering::SeqCst);
                (item, weight)
            });
            let mut n_taken = 0;
            let all: Result<(), ()> = in_order(&pool(3), items, BOUNDS, slow, |_| {
                thread::sleep(Duration::from_micros(300));
                // One more than is under way may have been looked at.
                assert!(n_given.load(Ordering::SeqCst) - n_taken <= n_most + 1);
                n_taken += 1;
                Ok(())
            });
            assert_eq!((all, n_taken), (Ok(()), 100));
        }
    }

    #[test]
    fn what_cannot_be_taken_ends_the_work() {
        let n_worked = AtomicUsize::new(0);
        let items = (0..1_000_000).map(|item| (item, 1));
        let work = |item| {
            n_worked.fetch_add(1, Ordering::SeqCst);
            slow(item)
        };
        let take = |item| if item == 20 { Err(item) } else { Ok(()) };
        assert_eq!(in_order(&pool(2), items, BOUNDS, work, take), Err(20));
        assert!(n_worked.into_inner() <= 20 + BOUNDS.n_items + 1);
    }

    #[test]
    fn a_panic_of_a_worker_is_passed_on_and_nobody_waits_for_it() {
        let run = std::panic::catch_unwind(|| {
            let items = (0..1_000).map(|item| (item, 1));
            let work = |item| assert_ne!(item, 30, "thirty");
            in_order(&pool(2), items, BOUNDS, work, Ok::<(), ()>)
        });
        let said = *run.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("thirty"), "{said}");
    }
}
