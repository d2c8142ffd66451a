//! Moving a clip in time.

/// Moves a clip later (positive) or earlier (negative) in place; what is uncovered becomes zero, what leaves is lost.
pub fn shift_samples(samples: &mut [f32], shift: i64) {
    shift_rows(samples, &[0.0], shift);
}

/// Moves features later (positive) or earlier (negative) by frames, in place, frame-major `[n_frames, n_mels]`;
/// uncovered frames become `fill`, one value a band.
///
/// # Panics
///
/// When `fill` is empty or `frames` is not a whole number of frames of its length.
pub fn shift_frames(frames: &mut [f32], fill: &[f32], shift: i64) {
    shift_rows(frames, fill, shift);
}

fn shift_rows(rows: &mut [f32], fill: &[f32], shift: i64) {
    let width = fill.len();
    assert!(
        width > 0 && rows.len().is_multiple_of(width),
        "{} values in frames of {width}",
        rows.len()
    );
    let n_rows = rows.len() / width;
    let n_moved = usize::try_from(shift.unsigned_abs())
        .unwrap_or(n_rows)
        .min(n_rows)
        * width;
    let kept = rows.len() - n_moved;
    let uncovered = if shift >= 0 {
        rows.copy_within(..kept, n_moved);
        &mut rows[..n_moved]
    } else {
        rows.copy_within(n_moved.., 0);
        &mut rows[kept..]
    };
    uncovered
        .chunks_exact_mut(width)
        .for_each(|row| row.copy_from_slice(fill));
}
