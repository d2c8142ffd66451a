//! A panic as a value: what it said and where it was. Nothing of it is printed.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// What a panic left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    pub message: String,
    /// File and line, and the frames above where the environment asks for a backtrace.
    pub trace: Option<String>,
}

thread_local! {
    /// `Some` while this thread catches; the inner one is what the hook saw.
    static SEEN: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs the work; a panic in it becomes an error. Panics of other threads go the way they went before.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let is_ours = SEEN.with_borrow_mut(|seen| match seen {
                Some(seen) => {
                    *seen = Some(trace_of(info));
                    true
                }
                None => false,
            });
            if !is_ours {
                before(info);
            }
        }));
    });
    let outer = SEEN.replace(Some(None));
    let result = catch_unwind(AssertUnwindSafe(work));
    let seen = SEEN.replace(outer).flatten();
    result.map_err(|payload| Panic {
        message: message_of(&*payload),
        trace: seen,
    })
}

fn trace_of(info: &PanicHookInfo) -> String {
    let place = info.location().map_or("unknown place".into(), |location| {
        format!("{}:{}", location.file(), location.line())
    });
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("{place}\n{backtrace}"),
        _ => place,
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_its_place_and_the_next_work_runs() {
        let panic = catch(|| -> u8 { panic!("block {} gave up", 3) }).unwrap_err();
        assert_eq!(panic.message, "block 3 gave up");
        assert!(panic.trace.unwrap().contains("panics.rs:"));
        assert_eq!(catch(|| 7), Ok(7));
    }
}
