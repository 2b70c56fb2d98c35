//! Durations and sizes as people write them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// A length of time: `500ms`, `30s`, `10m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Span(pub Duration);

/// A number of bytes: `65536`, `64KiB`, `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Size(pub usize);

/// An amount of money: `3`, `0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "f64")]
pub struct Dollars(pub busbar_catalog::Rate);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        busbar_catalog::Rate::deserialize(deserializer).map(Dollars)
    }
}

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 5] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("KB", 1_000), ("MB", 1_000_000), ("B", 1)];

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (unit, factor) = units.iter().find(|(unit, _)| text.ends_with(unit))?;
    let digits = text[..text.len() - unit.len()].trim_end();
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text, &TIME_UNITS).map(|ms| Span(Duration::from_millis(ms))).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not a length of time; write it like 500ms, 30s, 10m or 2h"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes like 65536, 64KiB or 64MiB")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                usize::try_from(bytes).map(Size).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                parse(text, &SIZE_UNITS).and_then(|bytes| usize::try_from(bytes).ok()).map(Size).ok_or_else(
                    || E::custom(format!("`{text}` is not a size; write it like 65536, 64KiB or 64MiB")),
                )
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_as_written() {
        assert_eq!(parse("500ms", &TIME_UNITS), Some(500));
        assert_eq!(parse("2h", &TIME_UNITS), Some(7_200_000));
        assert_eq!(parse("10 m", &TIME_UNITS), Some(600_000));
        assert_eq!(parse("64MiB", &SIZE_UNITS), Some(64 << 20));
        assert_eq!(parse("7B", &SIZE_UNITS), Some(7));
        for bad in ["", "s", "-1s", "1.5s", "10", "99999999999999999999h"] {
            assert_eq!(parse(bad, &TIME_UNITS), None, "{bad}");
        }
    }
}
