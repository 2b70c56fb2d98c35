//! A mean in which old samples fade.

use std::time::{Duration, Instant};

/// Below this many samples' worth nothing is known any more.
///
/// A sample fades to this within three times the time constant: then the lane is as good as new, and is found
/// out about again.
pub const LEAST_WEIGHT: f64 = 0.05;

/// A mean of samples, each weighing less the older it is.
#[derive(Clone, Copy, Debug)]
pub struct Ewma {
    /// In this time a sample fades to 1/e.
    fade: Duration,
    sum: f64,
    weight: f64,
    at: Option<Instant>,
}

/// What an [`Ewma`] says at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// The mean.
    pub value: f64,
    /// How many fresh samples the faded ones are worth; at least [`LEAST_WEIGHT`].
    pub weight: f64,
}

impl Ewma {
    /// One without samples; `fade` is the time in which a sample fades to 1/e.
    pub fn new(fade: Duration) -> Self {
        Self { fade: fade.max(Duration::from_millis(1)), sum: 0.0, weight: 0.0, at: None }
    }

    /// Takes a sample in; one that is no number is passed over.
    pub fn add(&mut self, now: Instant, sample: f64) {
        if !sample.is_finite() {
            return;
        }
        let kept = self.kept(now);
        self.sum = self.sum * kept + sample;
        self.weight = self.weight * kept + 1.0;
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }

    /// The mean; none without a sample that still counts.
    pub fn average(&self, now: Instant) -> Option<Average> {
        let weight = self.weight * self.kept(now);
        (weight >= LEAST_WEIGHT).then(|| Average { value: self.sum / self.weight, weight })
    }

    /// The share that is left of each sample.
    fn kept(&self, now: Instant) -> f64 {
        let gone = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        (-gone.as_secs_f64() / self.fade.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FADE: Duration = Duration::from_secs(10);

    #[test]
    fn old_samples_fade() {
        let start = Instant::now();
        let mut mean = Ewma::new(FADE);
        assert_eq!(mean.average(start), None);
        mean.add(start, 100.0);
        mean.add(start, 200.0);
        assert_eq!(mean.average(start), Some(Average { value: 150.0, weight: 2.0 }));
        mean.add(start + FADE, 300.0);
        let seen = mean.average(start + FADE).unwrap();
        let kept = (-1.0_f64).exp();
        assert!((seen.weight - (2.0 * kept + 1.0)).abs() < 1e-12);
        assert!((seen.value - (300.0 * kept + 300.0) / (2.0 * kept + 1.0)).abs() < 1e-9);
    }

    #[test]
    fn what_is_too_old_is_not_known() {
        let start = Instant::now();
        let mut mean = Ewma::new(FADE);
        mean.add(start, 7.0);
        assert_eq!(mean.average(start + FADE * 2).unwrap().value, 7.0);
        assert_eq!(mean.average(start + FADE * 3), None);
        mean.add(start + FADE * 100_000, 9.0);
        assert_eq!(mean.average(start + FADE * 100_000).unwrap().value, 9.0);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let start = Instant::now();
        let mut mean = Ewma::new(Duration::ZERO);
        mean.add(start, f64::NAN);
        mean.add(start, f64::INFINITY);
        assert_eq!(mean.average(start), None);
    }

    proptest! {
        #[test]
        fn the_mean_is_among_the_samples(
            samples in proptest::collection::vec((0_u64..5_000, 0.0..1e6), 1..50),
        ) {
            let (mut now, mut mean) = (Instant::now(), Ewma::new(FADE));
            let (mut least, mut most) = (f64::MAX, f64::MIN);
            for (wait, sample) in samples {
                now += Duration::from_millis(wait);
                mean.add(now, sample);
                (least, most) = (least.min(sample), most.max(sample));
                let value = mean.average(now).unwrap().value;
                prop_assert!(value >= least - 1e-6 && value <= most + 1e-6, "{value}");
            }
        }
    }
}
