//! The same features, a chunk at a time.
//!
//! Invariant: whatever way a clip is cut into chunks, [`LogMelStream`] emits exactly the frames of
//! [`LogMel::clip`]. The tests in `tests/it/stream.rs` are the reason the two share one `frame` function.

use crate::frames::Frames;
use crate::log_mel::{LogMel, Workspace};
use crate::normalise::Normaliser;
use crate::spec::FrontendSpec;

/// A front-end that listens.
pub struct LogMelStream {
    log_mel: LogMel,
    workspace: Workspace,
    normaliser: Normaliser,
    /// Samples from the next window's start on.
    pending: Vec<f32>,
    frame: Vec<f32>,
}

impl LogMelStream {
    /// Before the first sample.
    pub fn new(log_mel: LogMel) -> Self {
        let spec = log_mel.spec();
        Self {
            workspace: log_mel.workspace(),
            normaliser: Normaliser::new(spec),
            pending: Vec::with_capacity(2 * spec.window_samples),
            frame: vec![0.0; spec.n_mels],
            log_mel,
        }
    }

    /// What it computes.
    pub fn spec(&self) -> &FrontendSpec {
        self.log_mel.spec()
    }

    /// Takes samples of any number; the frames that they complete.
    pub fn push(&mut self, chunk: &[f32]) -> Frames {
        let mut values = Vec::new();
        self.push_with(chunk, |frame| values.extend_from_slice(frame));
        Frames {
            n_mels: self.frame.len(),
            values,
        }
    }

    /// Takes samples of any number and calls `on_frame` with each frame `[n_mels]` that they complete.
    /// It allocates nothing, whatever the chunk's length.
    pub fn push_with(&mut self, chunk: &[f32], mut on_frame: impl FnMut(&[f32])) {
        let spec = self.log_mel.spec();
        let (n_window, n_hop) = (spec.window_samples, spec.hop_samples);
        // At most a window at a time, so that the buffer keeps its size whatever the chunk's.
        for piece in chunk.chunks(n_window) {
            self.pending.extend_from_slice(piece);
            let mut from = 0;
            while from + n_window <= self.pending.len() {
                let window = &self.pending[from..from + n_window];
                self.log_mel
                    .frame(window, &mut self.workspace, &mut self.frame);
                self.normaliser.frame(&mut self.frame);
                on_frame(&self.frame);
                from += n_hop;
            }
            self.pending.drain(..from);
        }
    }

    /// Back to before the first sample.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.normaliser.reset();
    }
}
