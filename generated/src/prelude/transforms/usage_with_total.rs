//! Token counts of a provider that adds them up itself.

use crate::ir::Usage;

/// Fills in the parts that follow from the counts that are there; the total is the provider's own, and
/// where it says none, none is made up.
pub fn after_read(usage: &mut Usage<'_>) {
    super::usage::parts(usage);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::Num;

    #[test]
    fn no_total_is_made_up() {
        let mut usage = Usage { input: Some(Num::from(10)), output: Some(Num::from(5)), ..Usage::default() };
        after_read(&mut usage);
        assert_eq!(usage.total, None);
        assert_eq!(usage.fresh_input.unwrap().as_u64(), Some(10));
    }
}
