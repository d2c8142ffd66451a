//! Numbers as people read them, the same in the report's page and in plain text.

use super::{Interval, Measured};

/// What stands where there is no number.
pub(crate) const DASH: &str = "–";

/// `0.9687` as `96.87 %`.
pub(crate) fn percent(share: f64, n_decimals: usize) -> String {
    format!("{:.*} %", n_decimals, share * 100.0)
}

/// A share as a percentage with two decimals, or a dash.
pub(crate) fn percent_or_dash(share: &Measured) -> String {
    share
        .number()
        .map_or_else(|| DASH.to_string(), |value| percent(value, 2))
}

/// `95.9 – 97.6 %`, or a dash.
pub(crate) fn percent_range(interval: &Measured<Interval>) -> String {
    match interval.value() {
        Some(Interval { low, high }) => format!("{:.1} – {:.1} %", low * 100.0, high * 100.0),
        None => DASH.to_string(),
    }
}

/// A number with a fixed count of decimals, or a dash.
pub(crate) fn fixed_or_dash(value: &Measured, n_decimals: usize) -> String {
    value
        .number()
        .map_or_else(|| DASH.to_string(), |value| format!("{value:.n_decimals$}"))
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits with k, M or G: `144 k`, `3.02 M`, `512`.
pub(crate) fn short(value: f64) -> String {
    // Rounded first, so that 999,950 is 1 M and not 1000 k.
    let rounded = |v: f64| {
        if v > 0.0 {
            let unit = 10_f64.powi(v.log10().floor() as i32 - 2);
            (v / unit).round() * unit
        } else {
            v
        }
    };
    let value = if value.abs() >= 1000.0 {
        rounded(value.abs()).copysign(value)
    } else {
        value
    };
    let (scaled, suffix) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, " G"),
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let n_decimals = match scaled.abs() {
        v if v >= 100.0 || (suffix.is_empty() && v.fract() == 0.0) => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.n_decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    };
    format!("{text}{suffix}")
}

/// `12.3 s`, `3 min 20 s`, `1 h 02 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return DASH.to_string();
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = (seconds / 60.0).round() as u64;
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

/// A duration, or a dash.
pub(crate) fn duration_or_dash(seconds: &Measured) -> String {
    seconds.number().map_or_else(|| DASH.to_string(), duration)
}

/// `640 B`, `3.2 KiB`, `1.5 MiB`.
pub(crate) fn bytes(n_bytes: u64) -> String {
    match n_bytes {
        n if n < 1024 => format!("{n} B"),
        n if n < 1024 * 1024 => format!("{:.1} KiB", n as f64 / 1024.0),
        n => format!("{:.1} MiB", n as f64 / (1024.0 * 1024.0)),
    }
}

/// At most `n_chars` characters, the last an ellipsis where some were cut.
pub(crate) fn cut(text: &str, n_chars: usize) -> String {
    if text.chars().count() <= n_chars {
        return text.to_string();
    }
    text.chars()
        .take(n_chars.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [0, 999, 1000, 144_123, 1_234_567].map(thousands).join(" "),
            "0 999 1,000 144,123 1,234,567"
        );
        assert_eq!(
            [0.0, 512.0, 1000.0, 66_210.0, 144_123.0]
                .map(short)
                .join("|"),
            "0|512|1 k|66.2 k|144 k"
        );
        assert_eq!(
            [3_020_000.0, 999_999.0, 2.5e9].map(short).join("|"),
            "3.02 M|1 M|2.5 G"
        );
        assert_eq!(
            [0.0, 59.94, 59.99, 200.0, 3599.6, 3725.0]
                .map(duration)
                .join("|"),
            "0.0 s|59.9 s|1 min 00 s|3 min 20 s|1 h 00 min|1 h 02 min"
        );
        assert_eq!(
            [640, 3277, 1_572_864].map(bytes).join("|"),
            "640 B|3.2 KiB|1.5 MiB"
        );
        assert_eq!(
            percent_range(&Measured::Value(Interval {
                low: 0.959,
                high: 0.976
            })),
            "95.9 – 97.6 %"
        );
        assert_eq!(duration(f64::NAN), DASH);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("_unknown_", 20), "_unknown_");
        assert_eq!(cut("ярославль", 5), "ярос…");
    }
}
