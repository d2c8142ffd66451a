//! What happens between the products of a recurrent layer, one [`Cell`] a kind, and the activations they are made of.

// One index into many arrays of units.
#![allow(clippy::needless_range_loop)]

use super::recurrent::Cell;

/// Gated recurrent unit with the gates reset, update, new; the reset gate after the hidden product.
#[derive(Clone, Copy, Debug)]
pub struct GruCell;

impl Cell for GruCell {
    const N_GATES: usize = 3;
    /// Reset, update, new, and the hidden product's part of new.
    const N_KEPT: usize = 4;
    const N_CARRIED: usize = 0;

    #[inline(always)]
    fn forward(
        n: usize,
        [x, h]: [&[f32]; 2],
        before: &[f32],
        _carried: &mut [f32],
        kept: &mut [f32],
        hidden: &mut [f32],
    ) {
        let [x_reset, x_update, x_new] = groups(n, x);
        let [h_reset, h_update, h_new] = groups(n, h);
        let [reset, update, new, product] = groups_mut(n, kept);
        let (before, hidden) = (&before[..n], &mut hidden[..n]);
        for i in 0..n {
            let r = sigmoid(x_reset[i] + h_reset[i]);
            let z = sigmoid(x_update[i] + h_update[i]);
            let c = tanh(x_new[i] + r * h_new[i]);
            hidden[i] = (1.0 - z) * c + z * before[i];
            (reset[i], update[i], new[i], product[i]) = (r, z, c, h_new[i]);
        }
    }

    #[inline(always)]
    fn backward(
        n: usize,
        kept: &[f32],
        before: &[f32],
        d_hidden: &mut [f32],
        _d_carried: &mut [f32],
        [d_x, d_h]: [&mut [f32]; 2],
    ) {
        let [reset, update, new, product] = groups(n, kept);
        let [x_reset, x_update, x_new] = groups_mut(n, d_x);
        let [h_reset, h_update, h_new] = groups_mut(n, d_h);
        let (before, d_hidden) = (&before[..n], &mut d_hidden[..n]);
        for i in 0..n {
            let (r, z, c, d) = (reset[i], update[i], new[i], d_hidden[i]);
            let d_new = d * (1.0 - z) * (1.0 - c * c);
            let d_update = d * (before[i] - c) * z * (1.0 - z);
            let d_reset = d_new * product[i] * r * (1.0 - r);
            (x_reset[i], x_update[i], x_new[i]) = (d_reset, d_update, d_new);
            (h_reset[i], h_update[i], h_new[i]) = (d_reset, d_update, d_new * r);
            d_hidden[i] = d * z;
        }
    }
}

/// Long short-term memory (Hochreiter & Schmidhuber 1997) with the gates input, forget, new, output, as PyTorch has it:
/// `c' = f * c + i * g`, `h' = o * tanh(c')`.
#[derive(Clone, Copy, Debug)]
pub struct LstmCell;

impl Cell for LstmCell {
    const N_GATES: usize = 4;
    /// The gates, the cell's state before and the tangent of the one after.
    const N_KEPT: usize = 6;
    const N_CARRIED: usize = 1;

    #[inline(always)]
    fn forward(
        n: usize,
        [x, h]: [&[f32]; 2],
        _before: &[f32],
        carried: &mut [f32],
        kept: &mut [f32],
        hidden: &mut [f32],
    ) {
        let [x_input, x_forget, x_new, x_output] = groups(n, x);
        let [h_input, h_forget, h_new, h_output] = groups(n, h);
        let [input, forget, new, output, state, tangent] = groups_mut(n, kept);
        let (carried, hidden) = (&mut carried[..n], &mut hidden[..n]);
        for k in 0..n {
            let i = sigmoid(x_input[k] + h_input[k]);
            let f = sigmoid(x_forget[k] + h_forget[k]);
            let g = tanh(x_new[k] + h_new[k]);
            let o = sigmoid(x_output[k] + h_output[k]);
            let c = f * carried[k] + i * g;
            let t = tanh(c);
            (input[k], forget[k], new[k], output[k]) = (i, f, g, o);
            (state[k], tangent[k]) = (carried[k], t);
            (carried[k], hidden[k]) = (c, o * t);
        }
    }

    #[inline(always)]
    fn backward(
        n: usize,
        kept: &[f32],
        _before: &[f32],
        d_hidden: &mut [f32],
        d_carried: &mut [f32],
        [d_x, d_h]: [&mut [f32]; 2],
    ) {
        let [input, forget, new, output, state, tangent] = groups(n, kept);
        let [x_input, x_forget, x_new, x_output] = groups_mut(n, d_x);
        let (d_carried, d_hidden) = (&mut d_carried[..n], &mut d_hidden[..n]);
        for k in 0..n {
            let (i, f, g, o) = (input[k], forget[k], new[k], output[k]);
            let (d, t) = (d_hidden[k], tangent[k]);
            let d_state = d_carried[k] + d * o * (1.0 - t * t);
            x_input[k] = d_state * g * i * (1.0 - i);
            x_forget[k] = d_state * state[k] * f * (1.0 - f);
            x_new[k] = d_state * i * (1.0 - g * g);
            x_output[k] = d * t * o * (1.0 - o);
            d_carried[k] = d_state * f;
            // All of it goes through the gates.
            d_hidden[k] = 0.0;
        }
        d_h.copy_from_slice(d_x);
    }
}

/// The first `N` groups of `n` values.
#[inline(always)]
pub fn groups<const N: usize>(n: usize, values: &[f32]) -> [&[f32]; N] {
    let mut groups: [&[f32]; N] = [&[]; N];
    for (k, group) in groups.iter_mut().enumerate() {
        *group = &values[k * n..][..n];
    }
    groups
}

/// The first `N` groups of `n` values.
#[inline(always)]
pub fn groups_mut<const N: usize>(n: usize, values: &mut [f32]) -> [&mut [f32]; N] {
    let mut groups: [&mut [f32]; N] = std::array::from_fn(|_| Default::default());
    let mut rest = values;
    for group in &mut groups {
        let (first, other) = std::mem::take(&mut rest).split_at_mut(n);
        (*group, rest) = (first, other);
    }
    groups
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent, to about 1e-7 absolutely.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// `e^x` to a few units in the last place, without a branch or a call: `2^n * e^r` with `|r| <= ln(2) / 2` and the minimax
/// polynomial of Cephes' `expf` (Moshier 1989). Beyond +-87 it stays where it is there.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    let x = if x > 87.0 { 87.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let power = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    (p * r * r + r + 1.0) * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_those_of_double_precision() {
        for i in -4000..=4000 {
            let x = i as f32 * 0.025;
            let exact = f64::from(x);
            let found = f64::from(exp(x));
            if x.abs() < 87.0 {
                assert!((found / exact.exp() - 1.0).abs() < 3e-7, "e^{x}");
            }
            let found = f64::from(sigmoid(x));
            assert!((found - 1.0 / (1.0 + (-exact).exp())).abs() < 2e-7, "{x}");
            assert!((f64::from(tanh(x)) - exact.tanh()).abs() < 3e-7, "{x}");
        }
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!((sigmoid(1e9), tanh(-1e9)), (1.0, -1.0));
    }
}
