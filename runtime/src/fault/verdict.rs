//! What each kind of failure means to the lane that it came from: one table, in which no time passes.
//!
//! | class | blame | breaker | benches | elsewhere | again | the caller gets |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | bad request, content filter | caller | - | - | no | no | the provider's status and words |
//! | context overflow, body too large, unsupported | caller | - | - | yes | no | the same |
//! | conflict | provider | - | - | yes | yes | the same |
//! | authentication, permission | gateway | - | lane; every lane of the key for the first | yes | no | the provider's status and words, after a note that the credential is the gateway's |
//! | quota | gateway | - | every lane of the key | yes | no | 429 with the provider's words |
//! | model missing | gateway | - | lane | yes | no | 404 with the provider's words |
//! | path or method missing | gateway | - | lane | yes | no | the same, after a note that the address is the gateway's |
//! | rate limit | provider | cools | - | yes | no | 429 with the wait |
//! | overloaded, timeouts, malformed | provider | counts | - | yes | no | the provider's status, or 502, 503, 504 |
//! | server error, connection, cut | provider | counts | - | yes | yes | the provider's status, or 502 |
//! | internal | gateway | - | - | yes | no | 500 |

use super::{Blame, Class};

/// What a failure means to the lane that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whose doing it is.
    pub blame: Blame,
    /// The breaker counts it as a failure of the lane.
    pub counts: bool,
    /// The lane cannot be used until something is changed: a key, a right, an account, a name.
    pub benches: bool,
    /// What it says holds for every lane with the same credential.
    pub credential: bool,
    /// Another lane may be tried; on a context overflow one with a larger window.
    pub elsewhere: bool,
    /// The same lane may be tried again at once, as long as nothing has been told to the caller.
    pub again: bool,
    /// What the lane is kept from for a while.
    pub penalty: Penalty,
}

/// What a lane is kept from for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Penalty {
    /// Nothing.
    None,
    /// It rests for as long as it asks for; its health is not in doubt.
    RateLimit,
    /// Its breaker is a step nearer to open.
    Failure,
}

impl Verdict {
    /// What harms no lane and belongs to none.
    pub const HARMLESS: Self = Self {
        blame: Blame::Client,
        counts: false,
        benches: false,
        credential: false,
        elsewhere: false,
        again: false,
        penalty: Penalty::None,
    };
    const ELSEWHERE: Self = Self { elsewhere: true, ..Self::HARMLESS };
    const BENCHED: Self = Self { blame: Blame::Gateway, benches: true, ..Self::ELSEWHERE };
    const FAILED: Self =
        Self { blame: Blame::Upstream, counts: true, penalty: Penalty::Failure, ..Self::ELSEWHERE };
}

impl Class {
    /// What it means that an attempt on a lane failed in this way.
    pub const fn verdict(self) -> Verdict {
        match self {
            Class::InvalidRequest | Class::ContentFilter => Verdict::HARMLESS,
            Class::ContextLength | Class::TooLarge | Class::Unsupported => Verdict::ELSEWHERE,
            Class::Conflict => Verdict { blame: Blame::Upstream, again: true, ..Verdict::ELSEWHERE },
            Class::Authentication | Class::Quota => Verdict { credential: true, ..Verdict::BENCHED },
            // A right is often one to a single model.
            Class::Permission | Class::NotFound | Class::MethodNotAllowed | Class::ModelNotFound => {
                Verdict::BENCHED
            }
            Class::RateLimited => {
                Verdict { blame: Blame::Upstream, penalty: Penalty::RateLimit, ..Verdict::ELSEWHERE }
            }
            Class::Overloaded
            | Class::Timeout
            | Class::ConnectTimeout
            | Class::FirstByteTimeout
            | Class::IdleTimeout
            | Class::TotalTimeout
            | Class::Malformed => Verdict::FAILED,
            Class::ServerError | Class::Connection | Class::Cut => Verdict { again: true, ..Verdict::FAILED },
            Class::Internal => Verdict { blame: Blame::Gateway, ..Verdict::ELSEWHERE },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row as words, so that a change of the table is a change of two places.
    const ROWS: [(Class, &str); Class::ALL.len()] = [
        (Class::InvalidRequest, "client"),
        (Class::ContextLength, "client elsewhere"),
        (Class::ContentFilter, "client"),
        (Class::Authentication, "gateway benches credential elsewhere"),
        (Class::Permission, "gateway benches elsewhere"),
        (Class::Quota, "gateway benches credential elsewhere"),
        (Class::ModelNotFound, "gateway benches elsewhere"),
        (Class::NotFound, "gateway benches elsewhere"),
        (Class::MethodNotAllowed, "gateway benches elsewhere"),
        (Class::TooLarge, "client elsewhere"),
        (Class::RateLimited, "upstream elsewhere rate_limit"),
        (Class::Conflict, "upstream elsewhere again"),
        (Class::Unsupported, "client elsewhere"),
        (Class::Overloaded, "upstream counts elsewhere failure"),
        (Class::ServerError, "upstream counts elsewhere again failure"),
        (Class::Timeout, "upstream counts elsewhere failure"),
        (Class::ConnectTimeout, "upstream counts elsewhere failure"),
        (Class::FirstByteTimeout, "upstream counts elsewhere failure"),
        (Class::IdleTimeout, "upstream counts elsewhere failure"),
        (Class::TotalTimeout, "upstream counts elsewhere failure"),
        (Class::Connection, "upstream counts elsewhere again failure"),
        (Class::Malformed, "upstream counts elsewhere failure"),
        (Class::Cut, "upstream counts elsewhere again failure"),
        (Class::Internal, "gateway elsewhere"),
    ];

    fn words(verdict: Verdict) -> String {
        let Verdict { blame, counts, benches, credential, elsewhere, again, penalty } = verdict;
        let said = [
            (true, blame.name()),
            (counts, "counts"),
            (benches, "benches"),
            (credential, "credential"),
            (elsewhere, "elsewhere"),
            (again, "again"),
            (penalty == Penalty::RateLimit, "rate_limit"),
            (penalty == Penalty::Failure, "failure"),
        ];
        said.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_table_says_this() {
        for (class, (listed, row)) in Class::ALL.into_iter().zip(ROWS) {
            assert_eq!((class, words(class.verdict()).as_str()), (listed, row));
        }
    }

    #[test]
    fn the_table_contradicts_itself_nowhere() {
        for class in Class::ALL {
            let verdict = class.verdict();
            assert_eq!(verdict.counts, verdict.penalty == Penalty::Failure, "{class:?}");
            assert!(
                !verdict.again || verdict.elsewhere,
                "{class:?}: what may be sent again may be sent elsewhere"
            );
            if verdict.blame == Blame::Client {
                assert!(!verdict.counts && !verdict.benches && !verdict.again, "{class:?} harms a lane");
                assert_eq!(verdict.penalty, Penalty::None, "{class:?} harms a lane");
            }
            if verdict.benches {
                assert!(verdict.elsewhere && !verdict.again, "{class:?}: a benched lane is of no use");
            }
        }
    }
}
