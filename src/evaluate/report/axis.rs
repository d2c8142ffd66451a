//! Where a value lies along an axis, and which values get a tick.

/// An axis, linear or logarithmic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

/// A tick: where, from 0 to 1, and what it says.
pub(crate) struct Tick {
    pub place: f64,
    pub value: f64,
}

impl Axis {
    /// A linear axis with a little air around the values; a single value gets some of its own.
    pub fn linear(values: impl Iterator<Item = f64>, least_span: f64) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let missing = (least_span - (high - low)).max(0.0) / 2.0;
        let air = (high - low).max(least_span) * 0.06;
        Axis {
            low: low - missing - air,
            high: high + missing + air,
            log: false,
        }
    }

    /// A linear axis from one value exactly to another.
    pub fn exactly(low: f64, high: f64) -> Self {
        Axis {
            low,
            high: if high > low { high } else { low + 1.0 },
            log: false,
        }
    }

    /// A logarithmic axis; values that are not positive have no place on it.
    pub fn log(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = range(values.filter(|&value| value > 0.0)).unwrap_or((1.0, 10.0));
        // At least a factor of two, and a little air.
        let missing = (2.0 / (high / low)).max(1.0).sqrt();
        let air = ((high / low) * missing * missing).powf(0.08);
        Axis {
            low: low / missing / air,
            high: high * missing * air,
            log: true,
        }
    }

    /// The same axis, ending no lower or higher than the ends given.
    pub fn within(self, low: f64, high: f64) -> Self {
        Axis {
            low: self.low.max(low),
            high: self.high.min(high),
            ..self
        }
    }

    /// From 0 at the low end to 1 at the high end; outside for what lies outside.
    pub fn place(&self, value: f64) -> f64 {
        if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The lowest value on the axis.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// About `n_wanted` round values.
    pub fn ticks(&self, n_wanted: usize) -> Vec<Tick> {
        let values = if self.log {
            self.log_values(n_wanted)
        } else {
            self.linear_values(n_wanted)
        };
        values
            .into_iter()
            .map(|value| Tick {
                place: self.place(value),
                value,
            })
            .collect()
    }

    fn linear_values(&self, n_wanted: usize) -> Vec<f64> {
        let step = round_step((self.high - self.low) / n_wanted.max(1) as f64);
        let (first, last) = (
            (self.low / step - 1e-9).ceil() as i64,
            (self.high / step + 1e-9).floor() as i64,
        );
        (first..=last).map(|i| i as f64 * step).collect()
    }

    fn log_values(&self, n_wanted: usize) -> Vec<f64> {
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let values = |digits: &[f64]| -> Vec<f64> {
            let all = decades
                .clone()
                .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)));
            all.filter(|&value| self.low <= value && value <= self.high)
                .collect()
        };
        let (few, many) = (values(&[1.0]), values(&[1.0, 2.0, 5.0]));
        if few.len() * 2 > n_wanted {
            few
        } else if many.len() >= 3 {
            many
        } else {
            self.linear_values(n_wanted)
        }
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is not below a step.
pub(crate) fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|&round| round >= step)
        .unwrap_or(10.0 * power)
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(axis: Axis, n_wanted: usize) -> Vec<f64> {
        axis.ticks(n_wanted)
            .into_iter()
            .map(|tick| (tick.value * 1e6).round() / 1e6)
            .collect()
    }

    #[test]
    fn ticks_are_round_and_on_the_axis() {
        assert_eq!(
            values(Axis::exactly(0.0, 1.0), 5),
            [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        );
        assert_eq!(values(Axis::exactly(0.912, 0.968), 5), [0.92, 0.94, 0.96]);
        assert_eq!(
            values(Axis::log([9_000.0, 150_000.0].into_iter()), 6),
            [10e3, 20e3, 50e3, 100e3]
        );
        for axis in [
            Axis::log([66_000.0].into_iter()),
            Axis::linear([0.5].into_iter(), 0.02),
            Axis::linear([].into_iter(), 1.0),
        ] {
            let ticks = axis.ticks(5);
            assert!((2..=9).contains(&ticks.len()), "{} ticks", ticks.len());
            assert!(
                ticks
                    .iter()
                    .all(|tick| (-1e-6..=1.0 + 1e-6).contains(&tick.place))
            );
        }
    }

    #[test]
    fn values_lie_inside_with_air_around_them() {
        for axis in [
            Axis::linear([1.0, 3.0].into_iter(), 0.0),
            Axis::log([1.0, 3.0].into_iter()),
        ] {
            assert!(
                0.0 < axis.place(1.0) && axis.place(1.0) < axis.place(3.0) && axis.place(3.0) < 1.0
            );
        }
    }
}
