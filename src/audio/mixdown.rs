//! Many channels -> one, so that no way of wiring a stereo plug makes speech vanish.
//!
//! Refuses to know where the samples come from and at what rate they run.

/// Frames that are weighed together. Counted from the start of the stream, so that the way a stream is cut into chunks
/// does not change the mix.
const BLOCK_FRAMES: usize = 256;

/// What is remembered of the channels' levels after one block: they fade by half in about 1,400 blocks
/// (22 s at 16 kHz, 7.5 s at 48 kHz).
const MEMORY_PER_BLOCK: f64 = 0.9995;

/// A channel this far below the loudest one (-40 dB in energy) has nothing to say and is left out.
const SILENT_SHARE: f64 = 1e-4;

/// An average this far below what unrelated channels would give (-10 dB in energy) has cancelled.
const CANCELLED_SHARE: f64 = 0.1;

/// Mixes interleaved frames down to one channel.
///
/// The rule, weighed anew every 256 frames on levels remembered over some ten seconds:
///
/// 1. Channels more than 40 dB below the loudest are left out, so a one-sided stereo file keeps its level.
/// 2. The rest are averaged.
/// 3. Where that average cancels (10 dB below what unrelated channels would give), the loudest channel is taken alone,
///    so an opposite-phase stereo file does not become silence.
///
/// When the rule's answer changes, the weights glide over one block. One channel passes through untouched.
pub struct Mixdown {
    n_channels: usize,
    /// Interleaved frames of a block that is not yet full.
    pending: Vec<f32>,
    /// Sums of products of channel pairs, `[n_channels, n_channels]`, fading.
    products: Vec<f64>,
    weights: Vec<f32>,
    heard: bool,
}

impl Mixdown {
    /// `n_channels` is at least 1.
    pub fn new(n_channels: usize) -> Self {
        let n_channels = n_channels.max(1);
        Mixdown {
            n_channels,
            pending: Vec::new(),
            products: vec![0.0; n_channels * n_channels],
            weights: vec![1.0 / n_channels as f32; n_channels],
            heard: false,
        }
    }

    /// Takes interleaved frames `[n_frames, n_channels]` and appends mono samples for every block that is full.
    pub fn push(&mut self, interleaved: &[f32], out: &mut Vec<f32>) {
        if self.n_channels == 1 {
            out.extend_from_slice(interleaved);
            return;
        }
        let block_samples = BLOCK_FRAMES * self.n_channels;
        let mut rest = interleaved;
        if !self.pending.is_empty() {
            let n_taken = (block_samples - self.pending.len()).min(rest.len());
            self.pending.extend_from_slice(&rest[..n_taken]);
            rest = &rest[n_taken..];
            if self.pending.len() < block_samples {
                return;
            }
            let block = std::mem::take(&mut self.pending);
            self.mix(&block, out);
            self.pending = block;
            self.pending.clear();
        }
        let blocks = rest.chunks_exact(block_samples);
        self.pending.extend_from_slice(blocks.remainder());
        for block in blocks {
            self.mix(block, out);
        }
    }

    /// Appends what is left of the last block and forgets everything.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let block = std::mem::take(&mut self.pending);
        self.mix(&block, out);
        *self = Mixdown::new(self.n_channels);
    }

    fn mix(&mut self, block: &[f32], out: &mut Vec<f32>) {
        let n_channels = self.n_channels;
        let n_frames = block.len() / n_channels;
        if n_frames == 0 {
            return;
        }
        self.weigh(block);
        let target = self.target();
        // Nothing heard so far: whatever the weights were, they made silence, so there is nothing to glide from.
        if !self.heard {
            self.weights.copy_from_slice(&target);
        }
        self.heard = (0..n_channels).any(|c| self.products[c * n_channels + c] > 0.0);

        if self.weights == target {
            out.extend(
                block
                    .chunks_exact(n_channels)
                    .map(|frame| dot(frame, &target)),
            );
            return;
        }
        let glide = block
            .chunks_exact(n_channels)
            .enumerate()
            .map(|(at, frame)| {
                let share = (at + 1) as f32 / n_frames as f32;
                (1.0 - share) * dot(frame, &self.weights) + share * dot(frame, &target)
            });
        out.extend(glide);
        self.weights = target;
    }

    fn weigh(&mut self, block: &[f32]) {
        let n_channels = self.n_channels;
        for a in 0..n_channels {
            for b in 0..=a {
                let product: f64 = block
                    .chunks_exact(n_channels)
                    .map(|frame| f64::from(frame[a]) * f64::from(frame[b]))
                    .sum();
                let kept = self.products[a * n_channels + b] * MEMORY_PER_BLOCK + product;
                self.products[a * n_channels + b] = kept;
                self.products[b * n_channels + a] = kept;
            }
        }
    }

    fn target(&self) -> Vec<f32> {
        let n_channels = self.n_channels;
        let energy = |channel: usize| self.products[channel * n_channels + channel];
        // The first of equals, so that the choice is stable.
        let loudest =
            (1..n_channels).fold(0, |best, c| if energy(c) > energy(best) { c } else { best });
        if energy(loudest) <= 0.0 {
            return self.weights.clone();
        }
        let speaking: Vec<usize> = (0..n_channels)
            .filter(|&c| energy(c) >= SILENT_SHARE * energy(loudest))
            .collect();
        let n_speaking = speaking.len() as f64;
        let average_energy = speaking
            .iter()
            .flat_map(|&a| {
                speaking
                    .iter()
                    .map(move |&b| self.products[a * n_channels + b])
            })
            .sum::<f64>()
            / (n_speaking * n_speaking);

        let mut weights = vec![0.0; n_channels];
        if average_energy < CANCELLED_SHARE * energy(loudest) / n_speaking {
            weights[loudest] = 1.0;
        } else {
            for channel in speaking {
                weights[channel] = 1.0 / n_speaking as f32;
            }
        }
        weights
    }
}

fn dot(frame: &[f32], weights: &[f32]) -> f32 {
    frame
        .iter()
        .zip(weights)
        .map(|(sample, weight)| sample * weight)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| 0.5 * (i as f32 * 0.37).sin() * (1.0 + (i as f32 * 0.001).cos()) / 2.0)
            .collect()
    }

    fn mix(n_channels: usize, interleaved: &[f32]) -> Vec<f32> {
        let mut mixdown = Mixdown::new(n_channels);
        let mut out = Vec::new();
        mixdown.push(interleaved, &mut out);
        mixdown.finish(&mut out);
        out
    }

    fn stereo(samples: &[f32], frame: impl Fn(f32) -> [f32; 2]) -> Vec<f32> {
        samples.iter().flat_map(|&s| frame(s)).collect()
    }

    #[test]
    fn equal_channels_give_that_channel() {
        let signal = tone(5_000);
        assert_eq!(mix(2, &stereo(&signal, |s| [s, s])), signal);
    }

    #[test]
    fn one_sided_stereo_keeps_its_level() {
        let signal = tone(5_000);
        assert_eq!(mix(2, &stereo(&signal, |s| [0.0, s])), signal);
        assert_eq!(mix(2, &stereo(&signal, |s| [s, 0.0])), signal);
    }

    #[test]
    fn opposite_phase_is_not_silence() {
        let signal = tone(5_000);
        assert_eq!(mix(2, &stereo(&signal, |s| [s, -s])), signal);
        // Silence in front does not hide the onset.
        let mut late = vec![0.0; 1_000];
        late.extend(&signal);
        assert_eq!(mix(2, &stereo(&late, |s| [s, -s])), late);
    }

    #[test]
    fn unrelated_channels_are_averaged() {
        let signal = tone(4_000);
        let other: Vec<f32> = (0..4_000).map(|i| 0.3 * (i as f32 * 1.1).sin()).collect();
        let both: Vec<f32> = signal
            .iter()
            .zip(&other)
            .flat_map(|(&a, &b)| [a, b])
            .collect();
        let want: Vec<f32> = signal
            .iter()
            .zip(&other)
            .map(|(a, b)| a * 0.5 + b * 0.5)
            .collect();
        assert_eq!(mix(2, &both), want);
    }

    #[test]
    fn the_way_of_cutting_does_not_change_the_mix() {
        let signal = tone(9_000);
        // Left first, then opposite phase: the weights change on the way.
        let both: Vec<f32> = signal
            .iter()
            .enumerate()
            .flat_map(|(i, &s)| [s, if i < 3_000 { 0.9 * s } else { -s }])
            .collect();
        let whole = mix(2, &both);
        assert_eq!(whole.len(), signal.len());
        for n_frames in [1, 7, 256, 300, 1_152] {
            let mut mixdown = Mixdown::new(2);
            let mut out = Vec::new();
            for chunk in both.chunks(2 * n_frames) {
                mixdown.push(chunk, &mut out);
            }
            mixdown.finish(&mut out);
            assert_eq!(out, whole, "chunks of {n_frames} frames");
        }
    }
}
