//! Ids that tell whether what they name was stored.

use crate::simulator::answer::Answer;
use crate::simulator::sign;

/// Hexadecimal digits of the mark that ends an id.
const MARK: usize = 16;

/// The id of the `n`th thing in an answer.
pub(super) fn issue(answer: &Answer, prefix: &str, n: usize, stored: bool) -> String {
    let id = answer.id(prefix, n);
    let mark = mark(&id, stored);
    id + &mark
}

/// Whether an id was issued for something that was to be stored.
pub(super) fn is_stored(id: &str) -> bool {
    let split = id.len().checked_sub(MARK).and_then(|at| id.split_at_checked(at));
    split.is_some_and(|(id, end)| end == mark(id, true))
}

fn mark(id: &str, stored: bool) -> String {
    let purpose = if stored { "stored" } else { "passing" };
    sign::sign(purpose, id).bytes().take(MARK / 2).map(|byte| format!("{byte:02x}")).collect()
}
