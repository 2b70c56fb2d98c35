//! What a lane's results were of late, in memory that does not grow.

use std::time::{Duration, Instant};

/// The parts that a window is counted in; the oldest leaves as a whole.
pub(super) const BUCKETS: usize = 10;

/// Counts of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that succeeded, the slow ones too.
    pub successes: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that succeeded late.
    pub slow: u32,
}

impl Counts {
    /// How many results there are.
    pub fn total(&self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    /// The share of results that failed; 0 when there are none.
    pub fn error_rate(&self) -> f64 {
        share(self.failures, self.total())
    }

    /// The share of results that were slow; 0 when there are none.
    pub fn slow_rate(&self) -> f64 {
        share(self.slow, self.total())
    }

    fn add(&mut self, more: Counts) {
        self.successes = self.successes.saturating_add(more.successes);
        self.failures = self.failures.saturating_add(more.failures);
        self.slow = self.slow.saturating_add(more.slow);
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// A sliding window of results.
#[derive(Clone, Debug)]
pub(super) struct Window {
    width: Duration,
    /// When the first bucket began; none until there is a result.
    origin: Option<Instant>,
    /// The number of the newest bucket since `origin`.
    newest: u64,
    buckets: [Counts; BUCKETS],
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self { width: width(length), origin: None, newest: 0, buckets: Default::default() }
    }

    /// Counts results at a time; one before the newest bucket is counted in that.
    pub(super) fn add(&mut self, now: Instant, counts: Counts) {
        let origin = *self.origin.get_or_insert(now);
        let tick = self.tick(origin, now);
        // Past a whole turn every bucket has been emptied once.
        for step in 1..=tick.saturating_sub(self.newest).min(BUCKETS as u64) {
            self.buckets[slot(self.newest + step)] = Counts::default();
        }
        self.newest = self.newest.max(tick);
        self.buckets[slot(self.newest)].add(counts);
    }

    /// What is in the window at a time.
    pub(super) fn counts(&self, now: Instant) -> Counts {
        let mut sum = Counts::default();
        let Some(origin) = self.origin else { return sum };
        let gone = self.tick(origin, now).saturating_sub(self.newest);
        for age in 0..(BUCKETS as u64).saturating_sub(gone).min(self.newest + 1) {
            sum.add(self.buckets[slot(self.newest - age)]);
        }
        sum
    }

    pub(super) fn clear(&mut self) {
        self.origin = None;
        self.newest = 0;
        self.buckets = Default::default();
    }

    /// Goes over to another length; results keep their age, within a bucket.
    pub(super) fn resize(&mut self, length: Duration) {
        if width(length) == self.width {
            return;
        }
        let mut other = Self::new(length);
        if let Some(origin) = self.origin {
            for age in (0..(BUCKETS as u64).min(self.newest + 1)).rev() {
                let number = self.newest - age;
                let counts = self.buckets[slot(number)];
                if counts != Counts::default() {
                    let since = u32::try_from(number).unwrap_or(u32::MAX);
                    other.add(origin + self.width.saturating_mul(since), counts);
                }
            }
        }
        *self = other;
    }

    fn tick(&self, origin: Instant, now: Instant) -> u64 {
        let ticks = now.saturating_duration_since(origin).as_nanos() / self.width.as_nanos();
        u64::try_from(ticks).unwrap_or(u64::MAX / 2)
    }
}

fn width(length: Duration) -> Duration {
    (length / BUCKETS as u32).max(Duration::from_millis(1))
}

fn slot(number: u64) -> usize {
    (number % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Counts = Counts { successes: 1, failures: 0, slow: 0 };
    const BAD: Counts = Counts { successes: 0, failures: 1, slow: 0 };

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn results_leave_with_their_bucket() {
        let start = Instant::now();
        let mut window = Window::new(second(10));
        for n in 0..10 {
            window.add(start + second(n), if n < 3 { BAD } else { GOOD });
        }
        let at = |n| window.counts(start + second(n));
        assert_eq!(at(9), Counts { successes: 7, failures: 3, slow: 0 });
        assert_eq!(at(9).error_rate(), 0.3);
        assert_eq!(at(11), Counts { successes: 7, failures: 1, slow: 0 });
        assert_eq!(at(15), Counts { successes: 4, failures: 0, slow: 0 });
        assert_eq!(at(19), Counts::default());
        assert_eq!(at(1 << 40), Counts::default());
    }

    #[test]
    fn a_pause_empties_it() {
        let start = Instant::now();
        let mut window = Window::new(second(10));
        window.add(start, BAD);
        window.add(start + second(7), BAD);
        window.add(start + second(12), GOOD);
        assert_eq!(window.counts(start + second(12)), Counts { successes: 1, failures: 1, slow: 0 });
        window.add(start + second(500), GOOD);
        assert_eq!(window.counts(start + second(500)), GOOD);
    }

    #[test]
    fn a_clock_read_before_the_lock_was_got_is_counted() {
        let start = Instant::now() + second(100);
        let mut window = Window::new(second(10));
        window.add(start + second(5), GOOD);
        window.add(start, BAD);
        assert_eq!(window.counts(start).total(), 2);
    }

    #[test]
    fn another_length_keeps_the_ages() {
        let start = Instant::now();
        let mut window = Window::new(second(10));
        window.add(start, BAD);
        window.add(start + second(6), GOOD);
        window.resize(second(100));
        assert_eq!(window.counts(start + second(15)).total(), 2);
        window.resize(second(5));
        assert_eq!(window.counts(start + second(9)).total(), 0);

        let mut window = Window::new(second(10));
        window.add(start, BAD);
        window.add(start + second(6), GOOD);
        window.resize(second(5));
        assert_eq!(window.counts(start + second(7)), GOOD);
    }
}
