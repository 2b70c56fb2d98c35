//! Where a request was served before, and which lane of a pool that speaks for.

use std::time::{Duration, Instant};

use super::{GivenUp, Prefixes, Prompt, Session, Sessions, Warm, given_up, rendezvous};
use crate::config::raw::Affinity;

/// Most sessions that are remembered.
const MAX_SESSIONS: usize = 100_000;

/// Most beginnings of prompts that are remembered.
const MAX_PREFIXES: usize = 100_000;

/// A session that is idle for longer is forgotten: no provider's cache has anything of it any more.
const SESSION_IDLE: Duration = Duration::from_secs(3600);

/// What was served where.
#[derive(Clone, Debug)]
pub struct Served {
    sessions: Sessions,
    prefixes: Prefixes,
}

impl Default for Served {
    fn default() -> Self {
        Self { sessions: Sessions::new(MAX_SESSIONS, SESSION_IDLE), prefixes: Prefixes::new(MAX_PREFIXES) }
    }
}

impl Served {
    /// Where a request was served before.
    pub fn near(&self, now: Instant, prompt: &Prompt) -> Near {
        Near {
            session: prompt.session,
            pinned: prompt.session.and_then(|session| self.sessions.lane(now, session.own)),
            warm: self.prefixes.warm(now, &prompt.blocks),
        }
    }

    /// Notes that a lane serves a request, whose provider keeps prompts for a time.
    pub fn note(&mut self, now: Instant, lane: u64, prompt: &Prompt, keeps: Duration) {
        if let Some(session) = prompt.session {
            self.sessions.served(now, session.own, lane);
        }
        if !keeps.is_zero() {
            self.prefixes.served(now, lane, &prompt.blocks, prompt.keeps.unwrap_or(keeps));
        }
    }
}

/// Where a request was served before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// Its session.
    session: Option<Session>,
    /// The lane that served the session last.
    pinned: Option<u64>,
    /// The lanes that have a beginning of the prompt.
    warm: Vec<Warm>,
}

impl Near {
    /// The lane that a request had better go to, as an index into the given ones, and why in one line of ASCII.
    ///
    /// Lanes are given as their number and weight; `may` says which of them nothing speaks against.
    pub fn choose(
        &self,
        affinity: Affinity,
        lanes: &[(u64, u32)],
        may: impl Fn(usize) -> bool,
    ) -> Option<(usize, String)> {
        let known = |lane: u64| lanes.iter().position(|(number, _)| *number == lane).filter(|at| may(*at));
        if affinity == Affinity::PromptCache {
            let warm = self.warm.iter().find_map(|warm| Some((known(warm.lane)?, warm.tokens)));
            if let Some((at, tokens)) = warm {
                return Some((at, format!("prompt_cache: about {tokens} tokens")));
            }
        }
        if affinity == Affinity::None {
            return None;
        }
        let session = self.session?;
        if let Some(at) = self.pinned.and_then(known) {
            return Some((at, "session: stays".into()));
        }
        // Where it begins is the same in every replica.
        let begins = rendezvous(session.name, lanes).into_iter().find(|at| may(*at))?;
        Some((begins, "session: begins".into()))
    }

    /// What is given up where a lane serves the request.
    pub fn given_up(&self, lane: u64) -> Option<GivenUp> {
        given_up(&self.warm, lane)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;

    const LANES: [(u64, u32); 3] = [(7, 1), (8, 1), (9, 1)];
    const KEEPS: Duration = Duration::from_secs(300);

    fn prompt(session: Option<u64>, blocks: &[u64]) -> Prompt {
        let session = session.map(|name| Session { name, own: !name });
        let blocks = blocks.iter().zip(1..).map(|(prefix, at)| Block { prefix: *prefix, tokens: 2000 * at });
        Prompt { session, blocks: blocks.collect(), keeps: None }
    }

    fn chosen(near: &Near, affinity: Affinity, out: &[usize]) -> Option<(usize, String)> {
        near.choose(affinity, &LANES, |at| !out.contains(&at))
    }

    #[test]
    fn a_prompt_goes_to_the_longest_beginning_of_it() {
        let (now, mut served) = (Instant::now(), Served::default());
        served.note(now, 8, &prompt(None, &[1]), KEEPS);
        served.note(now, 9, &prompt(None, &[1, 2]), KEEPS);
        let near = served.near(now, &prompt(None, &[1, 2, 3]));
        let cache = Affinity::PromptCache;
        assert_eq!(chosen(&near, cache, &[]), Some((2, "prompt_cache: about 4000 tokens".into())));
        assert_eq!(chosen(&near, cache, &[2]), Some((1, "prompt_cache: about 2000 tokens".into())));
        assert_eq!(chosen(&near, cache, &[1, 2]), None);
        assert_eq!(chosen(&near, Affinity::Session, &[]), None);
        assert_eq!(chosen(&near, Affinity::None, &[]), None);
        assert_eq!(near.given_up(9), None);
        assert_eq!(near.given_up(8).unwrap().tokens, 2000);
        assert_eq!(near.given_up(7).unwrap().tokens, 4000);
        let later = served.near(now + KEEPS, &prompt(None, &[1, 2, 3]));
        assert_eq!(chosen(&later, cache, &[]), None);
        served.note(now, 7, &prompt(None, &[5]), Duration::ZERO);
        assert_eq!(chosen(&served.near(now, &prompt(None, &[5])), cache, &[]), None);
    }

    #[test]
    fn a_session_stays_and_begins_where_every_replica_says() {
        let (now, mut served) = (Instant::now(), Served::default());
        let begins = chosen(&served.near(now, &prompt(Some(42), &[])), Affinity::Session, &[]).unwrap();
        let again = chosen(&Served::default().near(now, &prompt(Some(42), &[])), Affinity::PromptCache, &[]);
        assert_eq!((again, begins.1.as_str()), (Some(begins.clone()), "session: begins"));
        let other = (begins.0 + 1) % 3;
        served.note(now, LANES[other].0, &prompt(Some(42), &[]), Duration::ZERO);
        let near = served.near(now, &prompt(Some(42), &[]));
        assert_eq!(chosen(&near, Affinity::Session, &[]), Some((other, "session: stays".into())));
        assert_ne!(chosen(&near, Affinity::Session, &[other]).unwrap().0, other);
        assert_eq!(chosen(&near, Affinity::Session, &[0, 1, 2]), None);
    }
}
