//! What went wrong and who is to blame, decided where it is known and rendered once, in the caller's own form.
//!
//! Rank 0: every module may raise a [`Fault`]; [`render`] and [`stream_error`] are the only places that know
//! how each protocol spells an error.

mod render;

use std::borrow::Cow;
use std::time::Duration;

pub use render::{Rendered, StreamError, render, stream_error};

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

/// What kind of failure it is, in terms that all protocols share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request is malformed or says something that is not allowed.
    InvalidRequest,
    /// The prompt does not fit the model's context.
    ContextLength,
    /// No key, or not a valid one.
    Authentication,
    /// A valid key without the right.
    Permission,
    /// No such model or path.
    NotFound,
    /// The path exists, with another method.
    MethodNotAllowed,
    /// The body or the headers are larger than a limit.
    TooLarge,
    /// Too many requests or tokens.
    RateLimited,
    /// The request conflicts with another.
    Conflict,
    /// What was asked for exists, but not here.
    Unsupported,
    /// No capacity at the moment.
    Overloaded,
    /// A deadline passed.
    Timeout,
    /// The provider could not be reached or answered nonsense.
    BadGateway,
    /// Anything else that is not the caller's doing.
    Internal,
}

impl Class {
    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Class::InvalidRequest => "invalid_request",
            Class::ContextLength => "context_length",
            Class::Authentication => "authentication",
            Class::Permission => "permission",
            Class::NotFound => "not_found",
            Class::MethodNotAllowed => "method_not_allowed",
            Class::TooLarge => "too_large",
            Class::RateLimited => "rate_limited",
            Class::Conflict => "conflict",
            Class::Unsupported => "unsupported",
            Class::Overloaded => "overloaded",
            Class::Timeout => "timeout",
            Class::BadGateway => "bad_gateway",
            Class::Internal => "internal",
        }
    }

    /// The status a failure of this class has when no upstream gave one.
    pub const fn status(self) -> u16 {
        match self {
            Class::InvalidRequest | Class::ContextLength => 400,
            Class::Authentication => 401,
            Class::Permission => 403,
            Class::NotFound => 404,
            Class::MethodNotAllowed => 405,
            Class::Conflict => 409,
            Class::TooLarge => 413,
            Class::RateLimited => 429,
            Class::Internal => 500,
            Class::Unsupported => 501,
            Class::BadGateway => 502,
            Class::Overloaded => 503,
            Class::Timeout => 504,
        }
    }

    /// The class that an upstream's status alone stands for.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Class::Authentication,
            403 => Class::Permission,
            404 => Class::NotFound,
            405 => Class::MethodNotAllowed,
            408 | 504 => Class::Timeout,
            409 => Class::Conflict,
            413 => Class::TooLarge,
            429 => Class::RateLimited,
            501 => Class::Unsupported,
            502 => Class::BadGateway,
            503 | 529 => Class::Overloaded,
            400..=499 => Class::InvalidRequest,
            _ => Class::Internal,
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
    pub code: Option<String>,
    /// The upstream's own name for the type of error.
    pub kind: Option<String>,
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

    /// A failure that the provider is to blame for; another lane may be tried.
    pub fn upstream(class: Class, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Blame::Upstream, class, message, true)
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
        self.code = Some(code.into());
        self
    }

    /// The same failure with the upstream's own name for its type.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
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
    fn a_status_keeps_its_class() {
        for class in
            [Class::Authentication, Class::NotFound, Class::RateLimited, Class::Overloaded, Class::Timeout]
        {
            assert_eq!(Class::of_status(class.status()), class);
        }
        assert_eq!(Class::of_status(529), Class::Overloaded);
        assert_eq!(Class::of_status(418), Class::InvalidRequest);
    }
}
