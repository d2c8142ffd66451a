//! Where the rows of a batch of clips lie in a flat array, and the one layout that all operations compute in:
//! clip, frame, channel, the channels side by side.
//!
//! Tensors keep the shape `[batch, n_channels, n_frames]`; only their strides say that the channels are innermost, so a
//! chain of operations copies nothing and any other tensor code still reads them.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData};

/// Rows in the order clip by clip, frame by frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    pub n_clips: usize,
    pub n_frames: usize,
    /// Floats before the first row.
    pub start: usize,
    /// Floats from a clip to the next one.
    pub clip_stride: usize,
    /// Floats from a frame to the next one.
    pub frame_stride: usize,
}

impl Rows {
    /// Rows of `n_channels` without gaps.
    pub fn dense(n_clips: usize, n_frames: usize, n_channels: usize) -> Self {
        Self {
            n_clips,
            n_frames,
            start: 0,
            clip_stride: n_frames * n_channels,
            frame_stride: n_channels,
        }
    }

    pub fn n_rows(&self) -> usize {
        self.n_clips * self.n_frames
    }

    /// The first float of each row.
    pub fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.n_clips).flat_map(move |clip| {
            let first = self.start + clip * self.clip_stride;
            (0..self.n_frames).map(move |frame| first + frame * self.frame_stride)
        })
    }
}

/// A batch of clips with the channels innermost.
#[derive(Clone, Debug)]
pub struct Frames {
    /// Shape `[batch, n_frames, n_channels]`, contiguous from its first float.
    values: FlexTensor,
    pub n_clips: usize,
    pub n_frames: usize,
    pub n_channels: usize,
}

impl Frames {
    /// Reads a tensor `[batch, n_channels, n_frames]`, without a copy where the channels are innermost already.
    pub fn of(tensor: &FlexTensor) -> Self {
        let shape = tensor.layout().shape();
        let (n_clips, n_channels, n_frames) = (shape[0], shape[1], shape[2]);
        let turned = tensor.permute(&[0, 2, 1]);
        let values = if turned.as_slice::<f32>().is_some() {
            turned
        } else {
            let values = gather(tensor, n_clips, n_channels, n_frames);
            FlexTensor::from_data(TensorData::new(values, [n_clips, n_frames, n_channels]))
        };
        Self {
            values,
            n_clips,
            n_frames,
            n_channels,
        }
    }

    /// `[batch, n_frames, n_channels]`, row-major.
    pub fn values(&self) -> &[f32] {
        self.values
            .as_slice()
            .expect("kept contiguous and f32 by its constructor")
    }

    /// The rows of [`Self::values`].
    pub fn rows(&self) -> Rows {
        Rows::dense(self.n_clips, self.n_frames, self.n_channels)
    }
}

fn gather(tensor: &FlexTensor, n_clips: usize, n_channels: usize, n_frames: usize) -> Vec<f32> {
    let source: &[f32] = tensor.storage();
    let layout = tensor.layout();
    let (strides, start) = (layout.strides(), layout.start_offset() as isize);
    let mut values = vec![0.0; n_clips * n_frames * n_channels];
    for (row, to) in values.chunks_exact_mut(n_channels.max(1)).enumerate() {
        let (clip, frame) = (row / n_frames, row % n_frames);
        let first = start + clip as isize * strides[0] + frame as isize * strides[2];
        for (channel, value) in to.iter_mut().enumerate() {
            *value = source[(first + channel as isize * strides[1]) as usize];
        }
    }
    values
}

/// A tensor `[batch, n_channels, n_frames]` over rows `[batch, n_frames, n_channels]`.
pub fn frames_tensor(
    values: Vec<f32>,
    n_clips: usize,
    n_frames: usize,
    n_channels: usize,
) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, [n_clips, n_frames, n_channels]))
        .permute(&[0, 2, 1])
}

/// A contiguous tensor.
pub fn plain_tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The numbers of a tensor, row-major.
pub fn numbers(tensor: &FlexTensor) -> Vec<f32> {
    debug_assert_eq!(tensor.dtype(), DType::F32);
    match tensor.as_slice::<f32>() {
        Some(values) => values.to_vec(),
        None => tensor
            .to_contiguous()
            .as_slice::<f32>()
            .expect("made contiguous in the line above")
            .to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_layout_reads_as_the_same_rows() {
        let (n_clips, n_channels, n_frames) = (2, 3, 5);
        let values: Vec<f32> = (0..30).map(|i| i as f32).collect();
        let plain = plain_tensor(values.clone(), [n_clips, n_channels, n_frames]);
        let rows = Frames::of(&plain);
        let mut expected = Vec::new();
        for clip in 0..n_clips {
            for frame in 0..n_frames {
                for channel in 0..n_channels {
                    expected.push(values[(clip * n_channels + channel) * n_frames + frame]);
                }
            }
        }
        assert_eq!(rows.values(), expected);
        let turned = frames_tensor(expected.clone(), n_clips, n_frames, n_channels);
        assert_eq!(numbers(&turned), values);
        assert_eq!(Frames::of(&turned).values(), expected);
        let part = plain.narrow(2, 1, 3);
        let rows = Frames::of(&part);
        assert_eq!(rows.values()[..3], [1.0, 6.0, 11.0]);
    }
}
