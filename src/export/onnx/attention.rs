//! Attention of each frame over frames around it: over the whole clip with a table of distances, or over
//! a state of keys and values.

use super::Form;
use super::graph::int;
use super::writer::Writer;
use crate::model::WeightsError;
use crate::model::layers::attention::{AttentionShape, Context};

/// The score of a frame out of sight: its share is zero, exactly.
const OUT_OF_SIGHT: f32 = -1e9;

impl Writer<'_> {
    pub(super) fn attention(
        &mut self,
        shape: &AttentionShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let (n, n_heads) = (shape.n_channels, shape.n_heads);
        let projected = self.linear(&shape.qkv(), &name("qkv"), frames)?;
        let mut part = |what: &str, at: usize| {
            let (start, end) = ((at * n) as i64, ((at + 1) * n) as i64);
            self.slice(&name(what), &projected, start, end, 1)
        };
        let (queries, keys, values) = (part("queries", 0), part("keys", 1), part("values", 2));
        let (keys, values, sight) = match (self.form, shape.context) {
            (Form::Stream, Context::Left { past_frames }) if past_frames > 0 => {
                let keys = self.past(&name("keys"), &keys, n, past_frames).frames;
                let values = self.past(&name("values"), &values, n, past_frames).frames;
                let seen = self.seen(prefix, past_frames + 1);
                let sight = self.in_sight(prefix, &seen, past_frames + 1);
                (keys, values, Some(sight))
            }
            _ => (keys, values, None),
        };
        let by_head = [1, n_heads as i64, (n / n_heads) as i64, -1];
        let queries = self.reshape(&name("queries.heads"), &queries, &by_head);
        let keys = self.reshape(&name("keys.heads"), &keys, &by_head);
        let values = self.reshape(&name("values.heads"), &values, &by_head);
        let queries = self.transpose(&name("queries.turned"), &queries, &[0, 1, 3, 2]);
        let scale = self.float(&name("scale"), shape.score_scale());
        let queries = self.op("Mul", &name("queries.scaled"), &[&queries, &scale]);
        let scores = self.op("MatMul", &name("products"), &[&queries, &keys]); // [1, n_heads, n_at, n_of]
        let biases = self.biases(shape, prefix, frames)?;
        let mut scores = self.op("Add", &name("scores"), &[&scores, &biases]);
        if let Some(sight) = sight {
            let lowest = self.float(&name("out_of_sight"), OUT_OF_SIGHT);
            scores = self.op("Where", &name("scores.seen"), &[&sight, &scores, &lowest]);
        }
        let shares = self.op_with("Softmax", &name("shares"), &[&scores], vec![int("axis", 3)]);
        let shares = self.transpose(&name("shares.turned"), &shares, &[0, 1, 3, 2]);
        let mixed = self.op("MatMul", &name("gathered"), &[&values, &shares]); // [1, n_heads, n_per_head, n_at]
        let mixed = self.reshape(&name("gathered.flat"), &mixed, &[1, n as i64, -1]);
        self.linear(&shape.mix(), &name("mix"), &mixed)
    }

    /// What is added to every score, `[1, n_heads, n_at, n_of]`.
    fn biases(
        &mut self,
        shape: &AttentionShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let [n_heads, n_biases] = shape.bias_shape();
        let table = self.weight(&name("relative_bias"), &[n_heads, n_biases])?;
        if self.form == Form::Stream {
            // The window is as long as the table, the oldest first in both.
            return Ok(self.floats(&name("relative_bias"), &[1, n_heads, 1, n_biases], table));
        }
        let table = self.floats(&name("relative_bias"), &[n_heads, n_biases], table);
        let present = match shape.context {
            Context::Left { past_frames } => past_frames,
            Context::Full {
                max_distance_frames,
            } => max_distance_frames,
        };
        // Frame `of` seen from frame `at`: row `of - at + present` of the table.
        let frame = self.frame_numbers(prefix, frames);
        let of = self.reshape(&name("of"), &frame, &[1, -1]);
        let at = self.reshape(&name("at"), &frame, &[-1, 1]);
        let distance = self.op("Sub", &name("distance"), &[&of, &at]);
        let present = self.float(&name("present"), present as f32);
        let place = self.op("Add", &name("place"), &[&distance, &present]);
        let zero = self.float(&name("place.first"), 0.0);
        let last = self.float(&name("place.last"), (n_biases - 1) as f32);
        let within = self.op("Max", &name("place.low"), &[&place, &zero]);
        let within = self.op("Min", &name("place.within"), &[&within, &last]);
        let to_int = vec![int("to", 7)];
        let row = self.op_with("Cast", &name("place.row"), &[&within], to_int);
        let biases = self.op_with(
            "Gather",
            &name("biases"),
            &[&table, &row],
            vec![int("axis", 1)],
        );
        let Context::Left { .. } = shape.context else {
            return Ok(biases); // any distance counts, far ones as the furthest of the table
        };
        let sight = self.op("Equal", &name("in_sight"), &[&place, &within]);
        let lowest = self.float(&name("out_of_sight"), OUT_OF_SIGHT);
        Ok(self.op("Where", &name("biases.seen"), &[&sight, &biases, &lowest]))
    }

    /// 0, 1, 2, ... one for each frame, `[n_frames]`.
    fn frame_numbers(&mut self, prefix: &str, frames: &str) -> String {
        let name = |part: &str| format!("{prefix}.{part}");
        let shape = self.op("Shape", &name("shape"), &[frames]);
        let last = self.name(&name("frame.axis"));
        let last = self.graph.scalar(&last, 2);
        let n_frames = self.op_with(
            "Gather",
            &name("n_frames"),
            &[&shape, &last],
            vec![int("axis", 0)],
        );
        let (start, step) = (
            self.name(&name("frame.first")),
            self.name(&name("frame.step")),
        );
        let (start, step) = (self.graph.scalar(&start, 0), self.graph.scalar(&step, 1));
        let range = self.op("Range", &name("frame.number"), &[&start, &n_frames, &step]);
        self.op_with("Cast", &name("frame"), &[&range], vec![int("to", 1)])
    }
}
