//! Token counts: totals in the IR, whatever the wire adds up.

use crate::ir::Usage;
use crate::prelude::Num;

/// Fills in what follows from the counts that are there, the total of all included.
pub fn after_read(usage: &mut Usage<'_>) {
    parts(usage);
    let count = |n: &Option<Num<'_>>| n.as_ref().and_then(Num::as_u64);
    if let (None, Some(input), Some(output)) = (&usage.total, count(&usage.input), count(&usage.output)) {
        usage.total = Some(Num::from(input.saturating_add(output)));
    }
}

/// Fills in what follows from the counts that are there, except the total of all.
///
/// Some providers count cached input apart from fresh input, others within one total. Both are kept, so
/// that each protocol's rows find the count that it writes: `input = fresh_input + cache_read +
/// cache_write`, `output = visible_output + reasoning`. Counts that would be negative, which no provider
/// means, become 0.
pub(super) fn parts(usage: &mut Usage<'_>) {
    let count = |n: &Option<Num<'_>>| n.as_ref().and_then(Num::as_u64);
    let cached = count(&usage.cache_read).unwrap_or(0).saturating_add(count(&usage.cache_write).unwrap_or(0));
    match (count(&usage.input), count(&usage.fresh_input)) {
        (None, Some(fresh)) => usage.input = Some(Num::from(fresh.saturating_add(cached))),
        (Some(input), None) => usage.fresh_input = Some(Num::from(input.saturating_sub(cached))),
        _ => {}
    }
    let reasoning = count(&usage.reasoning).unwrap_or(0);
    match (count(&usage.output), count(&usage.visible_output)) {
        (None, Some(visible)) => usage.output = Some(Num::from(visible.saturating_add(reasoning))),
        (Some(output), None) => usage.visible_output = Some(Num::from(output.saturating_sub(reasoning))),
        (None, None) if usage.output.is_none() => usage.output = usage.reasoning.clone(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_apart_becomes_a_total() {
        let mut usage = Usage {
            fresh_input: Some(Num::from(200)),
            cache_read: Some(Num::from(700)),
            cache_write: Some(Num::from(100)),
            output: Some(Num::from(50)),
            ..Usage::default()
        };
        after_read(&mut usage);
        assert_eq!(usage.input.unwrap().as_u64(), Some(1000));
        assert_eq!(usage.total.unwrap().as_u64(), Some(1050));
    }

    #[test]
    fn a_total_tells_what_is_fresh() {
        let mut usage =
            Usage { input: Some(Num::from(1000)), cache_read: Some(Num::from(800)), ..Usage::default() };
        after_read(&mut usage);
        assert_eq!(usage.fresh_input.unwrap().as_u64(), Some(200));
        assert_eq!(usage.total, None);
    }

    #[test]
    fn reasoning_apart_becomes_a_total() {
        let mut usage =
            Usage { visible_output: Some(Num::from(20)), reasoning: Some(Num::from(30)), ..Usage::default() };
        after_read(&mut usage);
        assert_eq!(usage.output.unwrap().as_u64(), Some(50));
        let mut usage = Usage { reasoning: Some(Num::from(30)), ..Usage::default() };
        after_read(&mut usage);
        assert_eq!(usage.output.unwrap().as_u64(), Some(30));
        let mut usage =
            Usage { output: Some(Num::from(50)), reasoning: Some(Num::from(30)), ..Usage::default() };
        after_read(&mut usage);
        assert_eq!(usage.visible_output.unwrap().as_u64(), Some(20));
    }
}
