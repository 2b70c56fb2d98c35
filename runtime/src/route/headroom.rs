//! How much of a provider's quota is left, as its answers tell.
//!
//! Read from every pair of header fields that say what remains and what the limit is, whatever they count:
//! `x-ratelimit-remaining-requests` (OpenAI and those like it), `anthropic-ratelimit-input-tokens-remaining`,
//! `x-trial-endpoint-call-remaining` (Cohere), `ratelimit-remaining`. The scarcest counts.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName};

use crate::translate::wait;

/// How many quotas of a provider are followed; it sends two to six.
pub const MAX_QUOTAS: usize = 16;

/// When a quota is whole again that does not say when: nearly all of them are for a minute.
pub const USUAL_RESET: Duration = Duration::from_secs(60);

/// What is left of the scarcest quota.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headroom {
    /// The share that is left, 0 to 1.
    pub share_left: f64,
    /// In how long all of it is.
    pub resets: Duration,
}

/// The quotas of one lane or one credential.
#[derive(Clone, Debug, Default)]
pub struct Quotas(Vec<Quota>);

#[derive(Clone, Debug)]
struct Quota {
    name: HeaderName,
    /// The most that ever remained: the limit, of one that does not tell it.
    most: f64,
    share: f64,
    at: Instant,
    resets: Duration,
}

impl Quotas {
    /// Takes in the header of an answer; `wall` is the time of day, for moments.
    pub fn update(&mut self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        for name in headers.keys() {
            let Some(remaining) = is_remaining(name).then(|| number(headers, name.as_str())).flatten() else {
                continue;
            };
            let known = self.0.iter().position(|quota| quota.name == *name);
            let most = known.map_or(0.0, |at| self.0[at].most).max(remaining);
            let limit = number(headers, &name.as_str().replace("remaining", "limit"));
            let limit = limit.filter(|limit| *limit > 0.0).unwrap_or(most);
            let quota = Quota {
                name: name.clone(),
                most,
                share: if limit > 0.0 { (remaining / limit).min(1.0) } else { 0.0 },
                at: now,
                resets: reset(headers, name, wall).unwrap_or(USUAL_RESET),
            };
            match known {
                Some(at) => self.0[at] = quota,
                None if self.0.len() < MAX_QUOTAS => self.0.push(quota),
                None => {}
            }
        }
    }

    /// What is left now; none when no answer has told.
    ///
    /// Between answers a quota is taken to fill up evenly until it is whole, as the providers' buckets do.
    pub fn left(&self, now: Instant) -> Option<Headroom> {
        let each = self.0.iter().map(|quota| {
            let gone = now.saturating_duration_since(quota.at);
            let resets = quota.resets.saturating_sub(gone);
            let missing = match quota.resets {
                Duration::ZERO => 0.0,
                all => (1.0 - quota.share) * resets.as_secs_f64() / all.as_secs_f64(),
            };
            Headroom { share_left: 1.0 - missing, resets }
        });
        each.min_by(|a, b| a.share_left.total_cmp(&b.share_left))
    }
}

/// Whether an answer's header says what is left of any quota.
pub fn is_told(headers: &HeaderMap) -> bool {
    headers.keys().any(is_remaining)
}

fn is_remaining(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains("remaining")
        && ["ratelimit", "rate-limit", "endpoint-call"].iter().any(|it| name.contains(it))
}

/// A count; Azure says -1 where it does not count.
fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value)
}

fn reset(headers: &HeaderMap, remaining: &HeaderName, wall: SystemTime) -> Option<Duration> {
    let name = remaining.as_str().replace("remaining", "reset");
    // Azure spells it apart from the field that it belongs to.
    let value = headers.get(&name).or_else(|| headers.get(name.replace("ratelimit", "rate-limit")))?;
    wait::until(value.to_str().ok()?.trim(), wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// 2026-02-18T22:00:00Z
    const WALL: Duration = Duration::from_secs(1_771_452_000);

    fn after(answers: &[&[(&'static str, &str)]], waited: Duration) -> Option<(f64, f64)> {
        let (start, mut quotas) = (Instant::now(), Quotas::default());
        for answer in answers {
            let mut headers = HeaderMap::new();
            for (name, value) in *answer {
                headers.insert(*name, value.parse().unwrap());
            }
            quotas.update(&headers, start, SystemTime::UNIX_EPOCH + WALL);
        }
        let left = quotas.left(start + waited)?;
        Some(((left.share_left * 1000.0).round() / 1000.0, left.resets.as_secs_f64()))
    }

    fn told(answer: &[(&'static str, &str)]) -> Option<(f64, f64)> {
        after(&[answer], Duration::ZERO)
    }

    #[test]
    fn the_scarcest_counts() {
        let openai = [
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-limit-tokens", "160000"),
            ("x-ratelimit-remaining-tokens", "40000"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(told(&openai), Some((0.25, 360.0)));
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "45"),
            ("anthropic-ratelimit-requests-reset", "2026-02-18T22:00:06Z"),
            ("anthropic-ratelimit-input-tokens-limit", "40000"),
            ("anthropic-ratelimit-input-tokens-remaining", "40000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-02-18T22:00:00Z"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "4000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-02-18T22:00:30Z"),
        ];
        assert_eq!(told(&anthropic), Some((0.5, 30.0)));
    }

    #[test]
    fn a_quota_without_a_reset_is_for_a_minute() {
        let cohere = [
            ("x-endpoint-monthly-call-limit", "1000"),
            ("x-trial-endpoint-call-limit", "20"),
            ("x-trial-endpoint-call-remaining", "19"),
        ];
        assert_eq!(told(&cohere), Some((0.95, 60.0)));
    }

    #[test]
    fn without_a_limit_the_most_that_remained_is_it() {
        let azure = |left: &'static str| {
            [("x-ratelimit-remaining-tokens", left), ("x-rate-limit-reset-tokens", "55")]
        };
        assert_eq!(told(&azure("60000")), Some((1.0, 55.0)));
        assert_eq!(after(&[&azure("60000"), &azure("15000")], Duration::ZERO), Some((0.25, 55.0)));
        assert_eq!(told(&azure("0")), Some((0.0, 55.0)));
    }

    #[test]
    fn what_is_not_counted_is_not_known() {
        let azure = [
            ("x-ratelimit-limit-tokens", "-1"),
            ("x-ratelimit-remaining-tokens", "-1"),
            ("x-ratelimit-reset-tokens", "0"),
        ];
        assert_eq!(told(&azure), None);
        assert_eq!(told(&[("x-ratelimit-remaining-tokens", "many"), ("x-remaining", "3")]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn it_fills_up_until_it_is_whole() {
        let answer: [(&str, &str); 3] =
            [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "2"), ("x-ratelimit-reset", "40")];
        assert_eq!(after(&[&answer], 10 * SECOND), Some((0.4, 30.0)));
        assert_eq!(after(&[&answer], 40 * SECOND), Some((1.0, 0.0)));
        assert_eq!(after(&[&answer], 4000 * SECOND), Some((1.0, 0.0)));
    }

    #[test]
    fn no_more_quotas_are_followed_than_the_bound() {
        let (start, mut quotas) = (Instant::now(), Quotas::default());
        for number in 0..2 * MAX_QUOTAS {
            let mut headers = HeaderMap::new();
            let name: HeaderName = format!("x-ratelimit-remaining-{number}").parse().unwrap();
            headers.insert(name, "1".parse().unwrap());
            quotas.update(&headers, start, SystemTime::UNIX_EPOCH);
        }
        assert_eq!(quotas.0.len(), MAX_QUOTAS);
    }
}
