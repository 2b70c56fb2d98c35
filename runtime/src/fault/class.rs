//! The kinds of failure that all protocols share.

/// What kind of failure it is, in terms that all protocols share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request is malformed or says something that is not allowed.
    InvalidRequest,
    /// The prompt does not fit the model's context.
    ContextLength,
    /// The prompt or the answer is kept back for what it says.
    ContentFilter,
    /// No key, or not a valid one.
    Authentication,
    /// A valid key without the right.
    Permission,
    /// The account has no credit, or has used up what it may use.
    Quota,
    /// No such model, or no access to it.
    ModelNotFound,
    /// No such path.
    NotFound,
    /// The path exists, with another method.
    MethodNotAllowed,
    /// The body or the headers are larger than a limit.
    TooLarge,
    /// Too many requests or tokens for now.
    RateLimited,
    /// The request conflicts with another.
    Conflict,
    /// What was asked for exists, but not here.
    Unsupported,
    /// No capacity at the moment.
    Overloaded,
    /// The provider failed at its own end.
    ServerError,
    /// The other end says that it took too long.
    Timeout,
    /// No connection was made in time.
    ConnectTimeout,
    /// No byte of an answer came in time.
    FirstByteTimeout,
    /// An answer that had begun fell silent.
    IdleTimeout,
    /// The request's whole time was used up.
    TotalTimeout,
    /// There is no connection, or it broke before an answer.
    Connection,
    /// What came is no answer.
    Malformed,
    /// An answer ended before it was complete.
    Cut,
    /// The gateway failed at its own end.
    Internal,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 24] = [
        Class::InvalidRequest,
        Class::ContextLength,
        Class::ContentFilter,
        Class::Authentication,
        Class::Permission,
        Class::Quota,
        Class::ModelNotFound,
        Class::NotFound,
        Class::MethodNotAllowed,
        Class::TooLarge,
        Class::RateLimited,
        Class::Conflict,
        Class::Unsupported,
        Class::Overloaded,
        Class::ServerError,
        Class::Timeout,
        Class::ConnectTimeout,
        Class::FirstByteTimeout,
        Class::IdleTimeout,
        Class::TotalTimeout,
        Class::Connection,
        Class::Malformed,
        Class::Cut,
        Class::Internal,
    ];

    /// The name in rules, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Class::InvalidRequest => "invalid_request",
            Class::ContextLength => "context_length",
            Class::ContentFilter => "content_filter",
            Class::Authentication => "authentication",
            Class::Permission => "permission",
            Class::Quota => "quota",
            Class::ModelNotFound => "model_not_found",
            Class::NotFound => "not_found",
            Class::MethodNotAllowed => "method_not_allowed",
            Class::TooLarge => "too_large",
            Class::RateLimited => "rate_limited",
            Class::Conflict => "conflict",
            Class::Unsupported => "unsupported",
            Class::Overloaded => "overloaded",
            Class::ServerError => "server_error",
            Class::Timeout => "timeout",
            Class::ConnectTimeout => "connect_timeout",
            Class::FirstByteTimeout => "first_byte_timeout",
            Class::IdleTimeout => "idle_timeout",
            Class::TotalTimeout => "total_timeout",
            Class::Connection => "connection",
            Class::Malformed => "malformed",
            Class::Cut => "cut",
            Class::Internal => "internal",
        }
    }

    /// The class of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The status a failure of this class has when no upstream gave one.
    pub const fn status(self) -> u16 {
        match self {
            Class::InvalidRequest | Class::ContextLength | Class::ContentFilter => 400,
            Class::Authentication => 401,
            Class::Permission => 403,
            Class::ModelNotFound | Class::NotFound => 404,
            Class::MethodNotAllowed => 405,
            Class::Conflict => 409,
            Class::TooLarge => 413,
            Class::RateLimited | Class::Quota => 429,
            Class::ServerError | Class::Internal => 500,
            Class::Unsupported => 501,
            Class::Connection | Class::Malformed | Class::Cut => 502,
            Class::Overloaded => 503,
            Class::Timeout
            | Class::ConnectTimeout
            | Class::FirstByteTimeout
            | Class::IdleTimeout
            | Class::TotalTimeout => 504,
        }
    }

    /// The class that an upstream's status alone stands for.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Class::Authentication,
            402 => Class::Quota,
            403 => Class::Permission,
            404 => Class::NotFound,
            405 => Class::MethodNotAllowed,
            // What a content delivery network says of a server that does not answer it.
            408 | 504 | 522 | 524 => Class::Timeout,
            409 => Class::Conflict,
            // A path that was there and is no more belongs to a model that was retired.
            410 => Class::ModelNotFound,
            413 => Class::TooLarge,
            429 => Class::RateLimited,
            501 => Class::Unsupported,
            503 | 529 => Class::Overloaded,
            400..=499 => Class::InvalidRequest,
            _ => Class::ServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_class_is_listed_once_under_its_own_name() {
        let names: HashSet<_> = Class::ALL.iter().map(|class| class.name()).collect();
        assert_eq!(names.len(), Class::ALL.len());
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at, "{class:?} is in its place, so none is left out");
            assert_eq!(Class::of_name(class.name()), Some(class));
        }
        assert_eq!(Class::Internal as usize + 1, Class::ALL.len());
        assert_eq!(Class::of_name("odd"), None);
    }

    #[test]
    fn a_status_keeps_its_class() {
        for class in [
            Class::Authentication,
            Class::NotFound,
            Class::RateLimited,
            Class::Overloaded,
            Class::ServerError,
            Class::Timeout,
        ] {
            assert_eq!(Class::of_status(class.status()), class);
        }
        for (status, class) in [
            (402, Class::Quota),
            (408, Class::Timeout),
            (418, Class::InvalidRequest),
            (502, Class::ServerError),
            (524, Class::Timeout),
            (529, Class::Overloaded),
        ] {
            assert_eq!(Class::of_status(status), class, "{status}");
        }
    }
}
