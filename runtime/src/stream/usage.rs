//! Token counts of a streamed answer, as far as they are known.

use busbar_protocols::{Num, ir};

/// Token counts so far; `None` is unknown, which is not the same as 0.
///
/// `input` and `output` are totals; the other counts are parts of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Input tokens, cached ones included.
    pub input: Option<u64>,
    /// Input tokens that were neither read from nor written to a cache.
    pub fresh_input: Option<u64>,
    /// Input tokens read from a cache.
    pub cache_read: Option<u64>,
    /// Input tokens written to a cache.
    pub cache_write: Option<u64>,
    /// Of those, kept for five minutes.
    pub cache_write_5m: Option<u64>,
    /// Of those, kept for an hour.
    pub cache_write_1h: Option<u64>,
    /// Output tokens, reasoning included.
    pub output: Option<u64>,
    /// Output tokens spent on reasoning.
    pub reasoning: Option<u64>,
    /// Input tokens of sound.
    pub audio_input: Option<u64>,
    /// Output tokens of sound.
    pub audio_output: Option<u64>,
    /// Predicted tokens that were used.
    pub accepted_prediction: Option<u64>,
    /// Predicted tokens that were not used.
    pub rejected_prediction: Option<u64>,
    /// Input and output, as the provider adds them up.
    pub total: Option<u64>,
}

impl Counts {
    /// The counts of an IR node.
    pub fn of(usage: &ir::Usage<'_>) -> Self {
        let count = |n: &Option<Num<'_>>| n.as_ref().and_then(Num::as_u64);
        Self {
            input: count(&usage.input),
            fresh_input: count(&usage.fresh_input),
            cache_read: count(&usage.cache_read),
            cache_write: count(&usage.cache_write),
            cache_write_5m: count(&usage.cache_write_5m),
            cache_write_1h: count(&usage.cache_write_1h),
            output: count(&usage.output),
            reasoning: count(&usage.reasoning),
            audio_input: count(&usage.audio_input),
            audio_output: count(&usage.audio_output),
            accepted_prediction: count(&usage.accepted_prediction),
            rejected_prediction: count(&usage.rejected_prediction),
            total: count(&usage.total),
        }
    }

    /// The IR node of these counts.
    pub fn usage(&self) -> ir::Usage<'static> {
        let num = |n: Option<u64>| n.map(Num::from);
        ir::Usage {
            input: num(self.input),
            fresh_input: num(self.fresh_input),
            cache_read: num(self.cache_read),
            cache_write: num(self.cache_write),
            cache_write_5m: num(self.cache_write_5m),
            cache_write_1h: num(self.cache_write_1h),
            output: num(self.output),
            reasoning: num(self.reasoning),
            audio_input: num(self.audio_input),
            audio_output: num(self.audio_output),
            accepted_prediction: num(self.accepted_prediction),
            rejected_prediction: num(self.rejected_prediction),
            total: num(self.total),
            ..ir::Usage::default()
        }
    }

    /// The counts of two answers together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let sum = |mine: Option<u64>, theirs: Option<u64>| match (mine, theirs) {
            (None, None) => None,
            (mine, theirs) => Some(mine.unwrap_or(0).saturating_add(theirs.unwrap_or(0))),
        };
        Self {
            input: sum(self.input, other.input),
            fresh_input: sum(self.fresh_input, other.fresh_input),
            cache_read: sum(self.cache_read, other.cache_read),
            cache_write: sum(self.cache_write, other.cache_write),
            cache_write_5m: sum(self.cache_write_5m, other.cache_write_5m),
            cache_write_1h: sum(self.cache_write_1h, other.cache_write_1h),
            output: sum(self.output, other.output),
            reasoning: sum(self.reasoning, other.reasoning),
            audio_input: sum(self.audio_input, other.audio_input),
            audio_output: sum(self.audio_output, other.audio_output),
            accepted_prediction: sum(self.accepted_prediction, other.accepted_prediction),
            rejected_prediction: sum(self.rejected_prediction, other.rejected_prediction),
            total: sum(self.total, other.total),
        }
    }

    /// Takes over what a later report says, for providers that report in parts and count cached input apart.
    pub(crate) fn overlay(&mut self, later: &Self) {
        let over = |mine: &mut Option<u64>, theirs: Option<u64>| *mine = theirs.or(*mine);
        over(&mut self.fresh_input, later.fresh_input);
        over(&mut self.cache_read, later.cache_read);
        over(&mut self.cache_write, later.cache_write);
        over(&mut self.cache_write_5m, later.cache_write_5m);
        over(&mut self.cache_write_1h, later.cache_write_1h);
        over(&mut self.output, later.output);
        over(&mut self.reasoning, later.reasoning);
        if let Some(fresh) = self.fresh_input {
            let cached = self.cache_read.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0));
            self.input = Some(fresh.saturating_add(cached));
        }
        if let (Some(input), Some(output)) = (self.input, self.output) {
            self.total = Some(input.saturating_add(output));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_in_parts_add_up_to_totals() {
        let mut counts = Counts::default();
        counts.overlay(&Counts {
            fresh_input: Some(80),
            cache_read: Some(20),
            cache_write: Some(3),
            output: Some(1),
            ..Counts::default()
        });
        assert_eq!((counts.input, counts.total), (Some(103), Some(104)));
        counts.overlay(&Counts { output: Some(7), ..Counts::default() });
        assert_eq!((counts.input, counts.output, counts.total), (Some(103), Some(7), Some(110)));
        counts.overlay(&Counts { fresh_input: Some(0), cache_read: Some(100), ..Counts::default() });
        assert_eq!((counts.input, counts.cache_write), (Some(103), Some(3)));
        assert_eq!(Counts::of(&counts.usage()), counts);
    }
}
