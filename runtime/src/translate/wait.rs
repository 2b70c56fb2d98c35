//! How long a provider wants to be left alone, in any form that it is told in.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde_json::Value;

/// Longest wait that a provider can ask for.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Numbers above are moments, in seconds since the Unix epoch; no provider asks for thirty years.
const EPOCH_SECONDS: f64 = 1e9;
/// Numbers above are moments in milliseconds.
const EPOCH_MILLIS: f64 = 1e12;

/// The last moment in milliseconds that is told from a later one.
const LAST_MOMENT: f64 = 1e15;

/// Phrases that a wait follows in a message, in lower case.
const PHRASES: [&str; 3] = ["try again in ", "retry in ", "retry after "];

/// The wait that the headers or the document ask for in so many words.
pub(super) fn asked(headers: &HeaderMap, document: Option<&Value>, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return bounded(ms / 1000.0);
    }
    text("retry-after").and_then(|value| until(value, now)).or_else(|| document.and_then(retry_info))
}

/// The wait until what is used up is there again, of a provider that counts but does not say when to come back.
///
/// A limit that is not used up says nothing: its reset is when it is whole again, which nobody has to wait for.
pub(super) fn exhausted(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let resets = headers.keys().filter(|name| name.as_str().contains("ratelimit")).filter_map(|name| {
        let reset = name.as_str().contains("reset").then(|| name.as_str())?;
        let left = text(&reset.replace("reset", "remaining"));
        // A provider with one limit need not say that it is this one.
        let is_used_up = match left {
            Some(left) => left.parse::<f64>().is_ok_and(|left| left <= 0.0),
            None => reset == "x-ratelimit-reset",
        };
        is_used_up.then(|| until(text(reset)?, now))?
    });
    resets.max()
}

/// The wait that a message asks for in prose.
pub(super) fn in_words(message: &str) -> Option<Duration> {
    let said = message.to_ascii_lowercase();
    let rest = PHRASES.iter().find_map(|phrase| Some(&said[said.find(phrase)? + phrase.len()..]))?;
    let mut words = rest.split_ascii_whitespace();
    let first = words.next()?.trim_end_matches(['.', ',', ';', ')']);
    let Ok(number) = first.parse::<f64>() else { return duration(first) };
    let unit = match words.next()?.trim_end_matches(['.', ',', ';', ')']) {
        "millisecond" | "milliseconds" | "ms" => 0.001,
        "second" | "seconds" | "sec" | "s" => 1.0,
        "minute" | "minutes" | "min" | "m" => 60.0,
        "hour" | "hours" | "h" => 3600.0,
        _ => return None,
    };
    bounded(number * unit)
}

/// A wait in any form that a header has it: seconds, a moment, a duration with units, a date.
pub(crate) fn until(value: &str, now: SystemTime) -> Option<Duration> {
    let from_now = |moment: Duration| {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        moment.saturating_sub(since).min(MAX_WAIT)
    };
    if let Ok(number) = value.parse::<f64>() {
        return match number {
            _ if !number.is_finite() => None,
            _ if number >= EPOCH_MILLIS => Some(from_now(seconds(number.min(LAST_MOMENT) / 1000.0)?)),
            _ if number >= EPOCH_SECONDS => Some(from_now(seconds(number)?)),
            _ => bounded(number),
        };
    }
    if let Some(wait) = duration(value) {
        return Some(wait);
    }
    if let Ok(date) = httpdate::parse_http_date(value) {
        return Some(date.duration_since(now).unwrap_or_default().min(MAX_WAIT));
    }
    let moment = value.parse::<jiff::Timestamp>().ok()?;
    Some(from_now(Duration::try_from(moment.as_duration()).ok()?))
}

/// A duration with units, like `6m0s`, `1h2m3.5s` or `20ms`.
fn duration(value: &str) -> Option<Duration> {
    let mut rest = value;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|digits| *digits > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "d" => 86_400.0,
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    if value.is_empty() { None } else { bounded(total) }
}

/// The details of an error, in a list or not.
pub(super) fn details(document: &Value) -> impl Iterator<Item = &Value> {
    let document = document.as_array().and_then(|items| items.first()).unwrap_or(document);
    document.pointer("/error/details").and_then(Value::as_array).into_iter().flatten()
}

/// The wait in an error's details, written like `1.5s`.
fn retry_info(document: &Value) -> Option<Duration> {
    duration(details(document).find_map(|detail| detail.get("retryDelay")?.as_str())?)
}

fn bounded(wait: f64) -> Option<Duration> {
    seconds(wait.min(MAX_WAIT.as_secs_f64()))
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:07 GMT
    const NOW: u64 = 784_111_747;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn millis(wait: Option<Duration>) -> Option<u128> {
        wait.map(|wait| wait.as_millis())
    }

    #[test]
    fn every_form_of_value_is_read() {
        for (value, expected) in [
            ("7", Some(7000)),
            ("0.5", Some(500)),
            ("0", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", Some(MAX_WAIT.as_millis())),
            ("100000", Some(MAX_WAIT.as_millis())),
            ("1784111747", Some(MAX_WAIT.as_millis())),
            ("1s", Some(1000)),
            ("20ms", Some(20)),
            ("6m0s", Some(360_000)),
            ("2m59.56s", Some(179_560)),
            ("1h2m3s", Some(3_723_000)),
            ("1d2h", Some(MAX_WAIT.as_millis())),
            ("34.074824224s", Some(34_074)),
            ("5x", None),
            ("s", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30_000)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("1994-11-06T08:49:37Z", Some(30_000)),
            ("1994-11-06T08:49:37.5Z", Some(30_500)),
            ("1994-11-06T09:49:37+01:00", Some(30_000)),
            ("1994-11-06T06:49:37-02:00", Some(30_000)),
            ("1994-11-06 08:49:37", None),
            ("1994-13-06T08:49:37Z", None),
            ("1994-11-06T08:49:3\u{e9}Z", None),
        ] {
            assert_eq!(millis(until(value, now())), expected, "{value}");
        }
    }

    #[test]
    fn a_large_number_is_a_moment() {
        let recent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(until("1800000012", recent), Some(Duration::from_secs(12)));
        assert_eq!(until("1800000012500", recent), Some(Duration::from_millis(12_500)));
        assert_eq!(until("1799999999", recent), Some(Duration::ZERO));
        assert_eq!(until("2028-02-29T12:00:00Z", recent), Some(MAX_WAIT));
        let leap = SystemTime::UNIX_EPOCH + Duration::from_secs(1_835_438_390);
        assert_eq!(until("2028-02-29T12:00:00Z", leap), Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_is_asked_for_in_so_many_words_comes_first() {
        let asked = |pairs: &[(&'static str, &str)], document: Option<&Value>| {
            millis(asked(&headers(pairs), document, now()))
        };
        assert_eq!(asked(&[("retry-after", "7"), ("retry-after-ms", "250")], None), Some(250));
        let details = serde_json::json!({ "error": { "details": [{ "retryDelay": "1.5s" }] } });
        assert_eq!(asked(&[], Some(&details)), Some(1500));
        assert_eq!(asked(&[("retry-after", "2")], Some(&serde_json::json!([details]))), Some(2000));
        assert_eq!(asked(&[], Some(&serde_json::json!([details]))), Some(1500));
        assert_eq!(asked(&[("x-ratelimit-reset-requests", "1s")], None), None);
    }

    #[test]
    fn only_what_is_used_up_is_waited_for() {
        let wait = |pairs: &[(&'static str, &str)]| millis(exhausted(&headers(pairs), now()));
        let openai = [
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "20ms"),
        ];
        assert_eq!(wait(&openai), Some(20));
        assert_eq!(wait(&openai[..2]), None);
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "1994-11-06T08:49:17Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:49:47Z"),
            ("anthropic-ratelimit-output-tokens-remaining", "8000"),
            ("anthropic-ratelimit-output-tokens-reset", "1994-11-06T09:49:47Z"),
        ];
        assert_eq!(wait(&anthropic), Some(40_000));
        assert_eq!(wait(&[("x-ratelimit-reset", "12")]), Some(12_000));
        assert_eq!(wait(&[("x-ratelimit-reset", "12"), ("x-ratelimit-remaining", "1")]), None);
        assert_eq!(wait(&[("x-ratelimit-reset-tokens", "12")]), None);
        assert_eq!(wait(&[("x-other-reset", "12"), ("x-other-remaining", "0")]), None);
    }

    #[test]
    fn prose_tells_a_wait_too() {
        for (message, expected) in [
            ("Rate limit reached. Please try again in 20ms. Visit", Some(20)),
            ("Please try again in 6m0s.", Some(360_000)),
            ("Please retry after 12 seconds.", Some(12_000)),
            ("Please retry in 41.5s.", Some(41_500)),
            ("try again in 2 minutes", Some(120_000)),
            ("Please try again in a while", None),
            ("Please try again later", None),
            ("try again in ", None),
        ] {
            assert_eq!(millis(in_words(message)), expected, "{message}");
        }
    }
}
