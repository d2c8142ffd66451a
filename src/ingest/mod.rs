//! A corpus folder or manifest -> a manifest of sound clips and the shards that training reads.
//!
//! Refuses to learn anything, to guess labels (that is `datasets`) and to print: whoever calls watches through [`Watch`].
//! A bad file is set aside with its reason and never stops the run, until their share passes the recipe's bound.
//!
//! What is left in the folder, all of it or nothing that a later run would trust:
//!
//! | file | what |
//! |---|---|
//! | `manifest.jsonl` | the clips, in order: row `i` is item `i` of both shards |
//! | `samples.shard` | their samples, 16 bits, at the front-end's rate |
//! | `features.shard` | their log-mel frames, computed from just those samples |
//! | `noise.shard` | background noise that training may hear, in pieces of at most 30 s |
//! | `rejects.jsonl` | the clips and noise files that were set aside, with the reason |
//! | `ingest.json` | written last: the fingerprint of all that went in, by its bytes, and the sizes of all that came out |
//!
//! Memory is bounded by the files that are worked on at a time, and by the list while it is put in order: its rows wait
//! on the disk while files are decoded.

mod cut;
mod decode;
mod error;
mod hear;
mod in_order;
mod lock;
mod noise;
mod prepared;
mod receipt;
mod reject;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use cut::{Demand, bounds, out_of_range, too_short};
pub use error::IngestError;
pub use hear::{hear, task_rows};
pub use prepared::{Prepared, open};
pub use reject::{Reason, Reject};
pub use run::{IngestSummary, ingest};

/// Whoever waits for an ingestion: shown how far it is, and able to stop it. Called from several threads.
pub trait Watch: Sync {
    /// `done` of `total` are through the step that `what` names.
    fn progress(&self, done: usize, total: usize, what: &str);
    /// Asked often; once `true`, the run ends at the next file.
    fn stopped(&self) -> bool;
}
