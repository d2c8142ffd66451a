//! A program that speaks, whichever it is.

use std::collections::BTreeSet;

use super::{SynthError, SynthUtterance};

/// The rate at which a voice made of recordings speaks as it was recorded, in words a minute: what `speed_wpm` is measured
/// against where a program takes a factor.
pub(super) const USUAL_WPM: f32 = 165.0;

/// A program that speaks.
pub trait Engine: Sync {
    /// What it is called, such as `espeak-ng`.
    fn name(&self) -> &'static str;

    /// Its version, such as `1.51`.
    fn version(&self) -> &str;

    /// Lists its voices and timbres.
    fn installed(&self) -> Result<Installed, SynthError>;

    /// Speaks the text of an utterance. Returns its samples at [`SAMPLE_RATE_HZ`](super::SAMPLE_RATE_HZ); the same utterance sounds the same again.
    fn speak(&self, utterance: &SynthUtterance) -> Result<Vec<i16>, SynthError>;
}

/// What an engine can speak.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// Its name.
    pub engine: &'static str,
    /// Its version.
    pub version: String,
    /// Voices by their language names, such as `en-gb-scotland`.
    pub accents: BTreeSet<String>,
    /// Timbres, such as `f3`.
    pub variants: BTreeSet<String>,
    /// How accents and timbres come together.
    pub timbres: Timbres,
    /// Voices beside these, too few to hold any back: they speak for training only.
    pub for_training: Vec<String>,
}

/// How accents and timbres come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timbres {
    /// Any timbre can be put on any accent: `en-us+f3`.
    OfAnyAccent,
    /// A timbre has the accent that its name begins with: `en_US-joe-medium`.
    OfOneAccent,
}
