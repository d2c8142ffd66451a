//! What is known of a speech corpus before anything is learnt from it.
//!
//! Which files there are, what is said in them and by whom ([`corpus`], [`manifest`]), who is on which side of the
//! split and whether that is honest ([`split`], [`mod@audit`]), what a class is ([`labels`], [`background`]), and how
//! clips become batches ([`shard`], [`augment`], [`sampler`], [`batch`]). [`synth`] makes a corpus where there is none.
//!
//! It never decodes audio and never knows a tensor: samples and features come in as slices. What is publicly known of a
//! corpus stands on its [`mod@card`]; only `fetch`, a feature, touches the network, and only to bring what a card names.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod audit;
pub mod augment;
pub mod background;
pub mod batch;
pub mod card;
pub mod columns;
pub mod corpus;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod inspect;
pub mod labels;
pub mod manifest;
mod name;
pub mod partial;
pub mod sampler;
pub mod seeded;
pub mod shard;
pub mod split;
pub mod synth;
mod table;
#[cfg(test)]
mod testing;
mod utterance;

pub use audit::{AuditError, AuditSummary, audit};
pub use corpus::{CorpusError, CorpusSpec, Layout, SpeakerPattern, scan};
pub use labels::{LabelSpec, SILENCE, UNKNOWN};
pub use manifest::{ManifestError, ManifestRow};
pub use name::Name;
pub use split::{NamedBy, Split, SplitSpec, speech_commands_split};
pub use utterance::{Utterance, slashed};
