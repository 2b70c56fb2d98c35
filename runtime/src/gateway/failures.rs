//! What has failed so far, and what of it the caller is told when nothing is left to try.

use std::time::Duration;

use super::attempt::Failure;
use crate::fault::{Blame, Class, Fault};
use crate::route::Choice;

/// The failures of a request's attempts.
#[derive(Debug, Default)]
pub(super) struct Failures<'a> {
    /// The one that tells most.
    most: Option<(Option<Choice<'a>>, Failure)>,
    /// The shortest wait after which a lane may serve again.
    wait: Option<Duration>,
    /// What was tried.
    tried: Vec<Choice<'a>>,
}

impl<'a> Failures<'a> {
    /// A lane could not be tried.
    pub(super) fn passed_over(&mut self, fault: Fault) {
        self.note(None, fault.into());
    }

    /// A lane was tried in vain.
    pub(super) fn push(&mut self, choice: Choice<'a>, failure: Failure) {
        self.tried.push(choice.clone());
        self.note(Some(choice), failure);
    }

    /// Whether any lane was tried.
    pub(super) fn any(&self) -> bool {
        !self.tried.is_empty()
    }

    /// Whether this lane was.
    pub(super) fn tried(&self, choice: &Choice<'_>) -> bool {
        self.tried.iter().any(|tried| (tried.lane, tried.provider) == (choice.lane, choice.provider))
    }

    /// The failure that tells the caller most.
    ///
    /// After several attempts the wait is the shortest of them: then at least one lane may serve again.
    pub(super) fn tell(self) -> Option<(Option<Choice<'a>>, Failure)> {
        let (choice, mut failure) = self.most?;
        if self.tried.len() > 1 && failure.fault.retry_after.is_some_and(|own| Some(own) != self.wait) {
            failure.fault.retry_after = self.wait;
            // The provider's own words name its own wait.
            if let Some((answer, _)) = failure.words.take() {
                failure.headers = answer.headers;
            }
        }
        Some((choice, failure))
    }

    /// What is told where there was no lane to fail.
    pub(super) fn none_left() -> Fault {
        Fault::gateway(Class::Overloaded, "no model of the pool can serve at the moment")
    }

    fn note(&mut self, choice: Option<Choice<'a>>, failure: Failure) {
        if let Some(wait) = failure.fault.retry_after {
            self.wait = Some(self.wait.map_or(wait, |known| known.min(wait)));
        }
        if self.most.as_ref().is_none_or(|(_, most)| weight(&failure.fault) >= weight(&most.fault)) {
            self.most = Some((choice, failure));
        }
    }
}

/// How much a failure tells a caller: what it can act upon before what it can only wait for, and that before what
/// says nothing but that something broke.
fn weight(fault: &Fault) -> u8 {
    let verdict = fault.verdict();
    match (verdict.blame, fault.class) {
        (Blame::Client, _) => 5,
        (Blame::Upstream, Class::RateLimited | Class::Overloaded) => 4,
        (Blame::Upstream, Class::ServerError | Class::Conflict) => 3,
        (Blame::Upstream, _) => 2,
        _ if verdict.benches => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(faults: Vec<Fault>) -> Fault {
        let mut failures = Failures::default();
        for (at, fault) in faults.into_iter().enumerate() {
            let choice = Choice { lane: Some(at), provider: 0, upstream_model: "m".into(), pool: Some(0) };
            failures.push(choice, fault.into());
        }
        failures.tell().unwrap().1.fault
    }

    #[test]
    fn what_can_be_acted_upon_is_told() {
        let seconds = Duration::from_secs;
        let limited = |wait| Fault::upstream(Class::RateLimited, "slow").with_retry_after(seconds(wait));
        let broken = || Fault::upstream(Class::Connection, "gone");
        let overflow = Fault::client(Class::ContextLength, "too long");
        assert_eq!(told(vec![broken(), limited(7), broken()]).class, Class::RateLimited);
        assert_eq!(told(vec![limited(7), limited(3), limited(9)]).retry_after, Some(seconds(3)));
        assert_eq!(told(vec![limited(7), overflow, broken()]).class, Class::ContextLength);
        assert_eq!(told(vec![Fault::upstream(Class::ServerError, "a"), broken()]).message, "a");
        assert_eq!(
            told(vec![Fault::upstream(Class::ServerError, "a"), Fault::upstream(Class::ServerError, "b")])
                .message,
            "b"
        );
    }

    #[test]
    fn a_full_lane_is_told_only_where_nothing_else_is() {
        let full = Fault::gateway(Class::RateLimited, "full");
        let mut failures = Failures::default();
        failures.passed_over(full);
        assert!(!failures.any());
        assert_eq!(failures.tell().unwrap().1.fault.message, "full");
    }
}
