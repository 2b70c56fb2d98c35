//! What went wrong and who is to blame, decided where it is known and rendered once, in the caller's own form.
//!
//! Rank 0: every module may raise a [`Fault`]; [`Class::verdict`] says what each kind means to the lane that it came
//! from, and [`render`] and [`stream_error`] are the only places that know how each protocol spells an error.

mod class;
mod overflow;
mod render;
mod verdict;

use std::borrow::Cow;
use std::time::Duration;

pub use class::Class;
pub use render::{Rendered, StreamError, render, stream_error};
pub use verdict::{Penalty, Verdict};

/// The longest message that a fault carries to a client, in bytes.
pub const MAX_MESSAGE: usize = 4096;

/// Whose doing a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request is at fault; another lane would refuse it too.
    Client,
    /// The provider is at fault.
    Upstream,
    /// The gateway is at fault, or protects itself.
    Gateway,
}

impl Blame {
    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Blame::Client => "client",
            Blame::Upstream => "upstream",
            Blame::Gateway => "gateway",
        }
    }
}

/// One failure of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose doing it is.
    pub blame: Blame,
    /// What kind it is.
    pub class: Class,
    /// The HTTP status; an upstream's own when it gave one.
    pub status: u16,
    /// What to tell the caller; never holds a secret or an upstream address.
    pub message: Cow<'static, str>,
    /// The request field that is at fault, as a JSON path.
    pub param: Option<String>,
    /// The upstream's own machine-readable code.
    pub code: Option<Box<str>>,
    /// The upstream's own name for the type of error.
    pub kind: Option<Box<str>>,
    /// How long the caller should wait.
    pub retry_after: Option<Duration>,
    /// Whether another lane may be tried: the request was not acted upon and is not itself at fault.
    pub retry_safe: bool,
}

impl Fault {
    /// A failure that the caller's request is to blame for.
    pub fn client(class: Class, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Blame::Client, class, message, false)
    }

    /// A failure of an attempt on a lane; its class says who is to blame and whether another lane may be tried.
    pub fn upstream(class: Class, message: impl Into<Cow<'static, str>>) -> Self {
        let verdict = class.verdict();
        Self::new(verdict.blame, class, message, verdict.elsewhere)
    }

    /// A failure that the gateway is to blame for, or raises to protect itself.
    pub fn gateway(class: Class, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Blame::Gateway, class, message, false)
    }

    fn new(blame: Blame, class: Class, message: impl Into<Cow<'static, str>>, retry_safe: bool) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            let mut end = MAX_MESSAGE;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.to_mut().truncate(end);
        }
        Self {
            blame,
            class,
            status: class.status(),
            message,
            param: None,
            code: None,
            kind: None,
            retry_after: None,
            retry_safe,
        }
    }

    /// What the failure means to the lane on which it happened.
    ///
    /// What another than the lane is to blame for harms no lane: a limit of the gateway's own, a caller's wrong key.
    pub fn verdict(&self) -> Verdict {
        let verdict = self.class.verdict();
        if self.blame == verdict.blame {
            Verdict { elsewhere: self.retry_safe, ..verdict }
        } else {
            Verdict { blame: self.blame, elsewhere: self.retry_safe, ..Verdict::HARMLESS }
        }
    }

    /// The same failure with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same failure, naming the request field that is at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same failure with a machine-readable code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into().into());
        self
    }

    /// The same failure with the upstream's own name for its type.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into().into());
        self
    }

    /// The same failure, telling the caller how long to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_at_a_character() {
        let fault = Fault::client(Class::InvalidRequest, "é".repeat(MAX_MESSAGE));
        assert_eq!(fault.message.len(), MAX_MESSAGE);
        let odd = Fault::client(Class::InvalidRequest, format!("x{}", "é".repeat(MAX_MESSAGE)));
        assert_eq!(odd.message.len(), MAX_MESSAGE - 1);
    }

    #[test]
    fn what_another_is_to_blame_for_harms_no_lane() {
        let told = Fault::upstream(Class::RateLimited, "slow").verdict();
        assert_eq!((told.penalty, told.elsewhere), (Penalty::RateLimit, true));
        let own = Fault::gateway(Class::RateLimited, "slow").verdict();
        assert_eq!(own, Verdict { blame: Blame::Gateway, ..Verdict::HARMLESS });
        let late = Fault::client(Class::Timeout, "the body is late").verdict();
        assert_eq!(late, Verdict { blame: Blame::Client, ..Verdict::HARMLESS });
        let wrong = Fault::client(Class::Authentication, "no such key").verdict();
        assert!(!wrong.benches);
        assert!(Fault::upstream(Class::Authentication, "no").verdict().benches);
    }

    #[test]
    fn a_fault_may_say_more_than_its_class() {
        let mut refused = Fault::client(Class::InvalidRequest, "a document would be lost");
        assert!(!refused.verdict().elsewhere);
        refused.retry_safe = true;
        let verdict = refused.verdict();
        assert!(verdict.elsewhere && !verdict.counts && verdict.penalty == Penalty::None);
    }
}
