//! Whose request it is, as far as the gateway remembers: never the key itself.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use http::request::Parts;

use crate::dialect::carriers;

/// A caller, told from others by the key it shows.
///
/// It is a hash under a secret of this process: nobody can tell the key from it, or try keys against it elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Caller(Option<[u64; 2]>);

impl Caller {
    /// Who sends a request; all that show no key are one caller.
    pub(super) fn of(parts: &Parts) -> Self {
        static SECRETS: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        let key = carriers::key(&parts.headers, parts.uri.query());
        Self(key.map(|key| [SECRETS[0].hash_one(key), SECRETS[1].hash_one(key)]))
    }

    /// A name for what is kept for this caller alone.
    pub(super) fn scope(self) -> String {
        self.0.map_or_else(String::new, |[high, low]| format!("{high:016x}{low:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::Caller;

    fn caller(name: &'static str, value: &str, target: &str) -> Caller {
        let request = Request::get(target).header(name, value).body(()).unwrap();
        Caller::of(&request.into_parts().0)
    }

    #[test]
    fn a_key_is_one_caller_in_any_carrier() {
        let alice = caller("x-api-key", "sk-alice", "/");
        assert_eq!(alice, caller("authorization", "Bearer sk-alice", "/"));
        assert_eq!(alice, caller("accept", "*/*", "/?key=sk-alice"));
        assert_ne!(alice, caller("x-api-key", "sk-bob", "/"));
        assert_ne!(alice.scope(), caller("x-api-key", "sk-bob", "/").scope());
        assert_eq!(alice.scope().len(), 32);
        assert!(!alice.scope().contains("alice"));
    }

    #[test]
    fn without_a_key_all_are_one() {
        let anyone = caller("accept", "*/*", "/");
        assert_eq!((anyone, anyone.scope().as_str()), (Caller::default(), ""));
    }
}
