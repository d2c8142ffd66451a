//! Where the values that a convolution over bands and time reads lie, so that each of its taps is one distance.
//!
//! Clips are copied into a room with zeros around every plane. A plane with a stride is taken apart into one plane a
//! phase of the stride, so that an output's neighbour is always the input's neighbour too. In rows of `n_columns`,
//! outputs and inputs run side by side without a gap; the few sums at the end of each row that mix two rows are left
//! out when the result is copied, and are zeros in the room of a gradient.

use std::ops::Range;

use crate::model::layers::conv2d::Conv2dShape;

/// Floats of a few clips: a part of the second-level cache.
const PART_VALUES: usize = 65_536;

/// The places of one convolution over a batch.
#[derive(Clone, Debug)]
pub struct Grid {
    pub shape: Conv2dShape,
    pub n_clips: usize,
    pub n_frames: usize,
    pub n_bands_out: usize,
    pub n_frames_out: usize,
    /// Zeros before the first band and the first frame.
    below: usize,
    past: usize,
    /// Of the plane of one phase.
    n_rows: usize,
    n_columns: usize,
    /// The longest way back from a value to an output that it reaches.
    lead: usize,
}

/// The values of one phase of the stride and the taps that reach them.
pub struct BackPhase {
    /// Places in the room's plane.
    pub places: Range<usize>,
    /// By their number among all taps.
    pub taps: Vec<usize>,
    /// From the first place to the output that the tap takes it to, in the gradient's room.
    pub distances: Vec<usize>,
}

impl Grid {
    pub fn new(shape: Conv2dShape, n_clips: usize, n_frames: usize) -> Self {
        let (stride, n_bands) = (shape.stride, shape.input.n_bands);
        let (below, past) = (shape.band_padding().0, shape.n_past());
        let (n_bands_out, n_frames_out) = (shape.n_bands_out(), n_frames.div_ceil(stride.frames));
        let reach = (shape.kernel.bands - 1) * shape.dilation.bands;
        let (rows_back, columns_back) = (reach / stride.bands, past / stride.frames);
        let n_rows = (n_bands_out + rows_back).max((n_bands + below).div_ceil(stride.bands));
        let n_columns =
            (n_frames_out + columns_back).max((n_frames + past).div_ceil(stride.frames));
        Self {
            shape,
            n_clips,
            n_frames,
            n_bands_out,
            n_frames_out,
            below,
            past,
            n_rows,
            n_columns,
            lead: rows_back * n_columns + columns_back,
        }
    }

    /// Floats of a clip.
    pub fn n_values_in(&self) -> usize {
        self.shape.input.n_values() * self.n_frames
    }

    /// Floats of a clip of the output.
    pub fn n_values_out(&self) -> usize {
        self.shape.n_out * self.n_plane_out()
    }

    /// Floats of a plane of the output.
    pub fn n_plane_out(&self) -> usize {
        self.n_bands_out * self.n_frames_out
    }

    /// Floats of a channel in the room.
    pub fn n_room(&self) -> usize {
        self.shape.stride.bands * self.shape.stride.frames * self.n_rows * self.n_columns
    }

    /// Floats of a channel in the room of the gradient.
    pub fn n_gradient_room(&self) -> usize {
        self.lead + self.n_rows * self.n_columns
    }

    /// Where the first output stands in the room of the gradient.
    pub fn lead(&self) -> usize {
        self.lead
    }

    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Places from the first output to behind the last.
    pub fn n_places(&self) -> usize {
        (self.n_bands_out - 1) * self.n_columns + self.n_frames_out
    }

    /// Whether outputs stand side by side as they do in a tensor.
    pub fn is_dense(&self) -> bool {
        self.n_columns == self.n_frames_out
    }

    /// Whether the clips are their own room.
    pub fn needs_no_room(&self) -> bool {
        let stride = self.shape.stride;
        (stride.bands, stride.frames, self.below, self.past) == (1, 1, 0, 0)
            && self.n_rows == self.shape.input.n_bands
    }

    /// First clip and number of clips of each part of the batch.
    pub fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n_clips = self.n_clips;
        let n_values = (self.n_room() * self.shape.input.n_channels)
            .max(self.n_gradient_room() * self.shape.n_out);
        let n_part = (PART_VALUES / n_values.max(1)).clamp(1, n_clips.max(1));
        (0..n_clips)
            .step_by(n_part)
            .map(move |first| (first, n_part.min(n_clips - first)))
    }

    /// The place of a band and frame, counted from the zeros before the first ones.
    fn place(&self, band: usize, frame: usize) -> usize {
        let stride = self.shape.stride;
        let phase = band % stride.bands * stride.frames + frame % stride.frames;
        phase * self.n_rows * self.n_columns
            + band / stride.bands * self.n_columns
            + frame / stride.frames
    }

    /// Bands and frames from the first tap to each, in the weight's order.
    fn tap_steps(&self) -> impl Iterator<Item = (usize, usize)> {
        let (kernel, dilation) = (self.shape.kernel, self.shape.dilation);
        (0..kernel.bands).flat_map(move |b| {
            (0..kernel.frames).map(move |t| (b * dilation.bands, t * dilation.frames))
        })
    }

    /// From an output's place to each of its taps.
    pub fn distances(&self) -> Vec<usize> {
        self.tap_steps()
            .map(|(bands, frames)| self.place(bands, frames))
            .collect()
    }

    /// Copies clips into their room; what stands between them is left as it is.
    pub fn fill(&self, clips: &[f32], room: &mut [f32]) {
        let (n_frames, step) = (self.n_frames, self.shape.stride.frames);
        let channels = clips.chunks_exact(self.shape.input.n_bands * n_frames);
        for (channel, room) in channels.zip(room.chunks_exact_mut(self.n_room())) {
            for (band, values) in channel.chunks_exact(n_frames).enumerate() {
                for phase in 0..step.min(n_frames) {
                    let place = self.place(band + self.below, phase + self.past);
                    let values = &values[phase..];
                    if step == 1 {
                        room[place..place + n_frames].copy_from_slice(values);
                    } else {
                        let values = values.iter().step_by(step);
                        for (to, value) in room[place..].iter_mut().zip(values) {
                            *to = *value;
                        }
                    }
                }
            }
        }
    }

    /// Appends a clip from a room.
    pub fn take(&self, room: &[f32], clips: &mut Vec<f32>) {
        if self.needs_no_room() {
            return clips.extend_from_slice(room);
        }
        let (n_frames, step) = (self.n_frames, self.shape.stride.frames);
        for room in room.chunks_exact(self.n_room()) {
            for band in 0..self.shape.input.n_bands {
                let place = |frame| self.place(band + self.below, frame + self.past);
                if step == 1 {
                    clips.extend_from_slice(&room[place(0)..][..n_frames]);
                } else {
                    clips.extend((0..n_frames).map(|frame| room[place(frame)]));
                }
            }
        }
    }

    /// Appends the outputs of a clip, together, from rows of `n_columns`.
    pub fn gather(&self, places: &[f32], output: &mut Vec<f32>) {
        if self.is_dense() {
            return output.extend_from_slice(places);
        }
        for channel in places.chunks_exact(self.n_places()) {
            for row in channel.chunks(self.n_columns) {
                output.extend_from_slice(&row[..self.n_frames_out]);
            }
        }
    }

    /// The ways back from the outputs to the values, phase by phase; phases that nothing reads are left out.
    pub fn back_phases(&self) -> Vec<BackPhase> {
        let (stride, n_bands) = (self.shape.stride, self.shape.input.n_bands);
        let mut phases = Vec::new();
        for (band, frame) in (0..stride.bands.min(n_bands))
            .flat_map(|b| (0..stride.frames.min(self.n_frames)).map(move |t| (b, t)))
        {
            let first = self.place(band + self.below, frame + self.past);
            let steps = (
                (n_bands - 1 - band) / stride.bands,
                (self.n_frames - 1 - frame) / stride.frames,
            );
            let last = first + steps.0 * self.n_columns + steps.1;
            let phase = |b: usize, t: usize| (b % stride.bands, t % stride.frames);
            let own = phase(band + self.below, frame + self.past);
            let (mut taps, mut distances) = (Vec::new(), Vec::new());
            for (tap, (b, t)) in self.tap_steps().enumerate() {
                if phase(b, t) == own {
                    taps.push(tap);
                    distances.push(self.lead + first - self.place(b, t));
                }
            }
            if !taps.is_empty() {
                phases.push(BackPhase {
                    places: first..last + 1,
                    taps,
                    distances,
                });
            }
        }
        phases
    }
}
