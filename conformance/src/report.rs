//! What a run found.

use serde::Serialize;

use crate::exceptions::Exceptions;

/// The checks of a run, counted, and those that failed.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed and are listed as exceptions.
    pub expected: u64,
    /// Cases that a target has no expectation for.
    pub unjudged: u64,
    /// Checks that failed.
    pub failed: Vec<Failure>,
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which check.
    pub check: String,
    /// Towards which protocol.
    pub target: String,
    /// What is wrong.
    pub found: String,
}

impl Report {
    /// Counts a check that passed.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// Counts a check that failed, as expected if it is listed.
    pub fn fail(&mut self, exceptions: &mut Exceptions, check: &str, target: &str, found: String) {
        if exceptions.excuse(check, target) {
            self.expected += 1;
        } else {
            let (check, target) = (check.to_owned(), target.to_owned());
            self.failed.push(Failure { check, target, found });
        }
    }

    /// Fails for every exception that no failure needed, of the checks that `ran` says were made.
    pub fn check_exceptions(&mut self, exceptions: &Exceptions, ran: impl Fn(&str) -> bool) {
        for entry in exceptions.idle(ran) {
            self.failed.push(Failure {
                check: entry.check.clone(),
                target: entry.target.clone(),
                found: "this exception matches no failure any more".to_owned(),
            });
        }
    }

    /// `N passed, N failed, N expected`.
    pub fn summary(&self) -> String {
        let mut line =
            format!("{} passed, {} failed, {} expected", self.passed, self.failed.len(), self.expected);
        if self.unjudged > 0 {
            line.push_str(&format!(", {} without an expectation", self.unjudged));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{Exceptions, Report};

    #[test]
    fn failures_are_told_apart() {
        let text = "[[exception]]\ncheck = 'a/b'\ntarget = 't'\nreason = 'r'\n[[exception]]\ncheck = 'c/d'\ntarget = 't'\nreason = 'r'\n";
        let mut list = Exceptions::parse(text).unwrap();
        let mut report = Report::default();
        report.pass();
        report.fail(&mut list, "a/b", "t", "x".to_owned());
        report.fail(&mut list, "e/f", "t", "x".to_owned());
        report.check_exceptions(&list, |_| true);
        assert_eq!(report.summary(), "1 passed, 2 failed, 1 expected");
        assert_eq!(report.failed[1].check, "c/d");
    }
}
