//! From the model a client names to the lane that serves it.

pub mod affinity;
pub mod headroom;
pub mod policy;
pub mod queue;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Member, Named, Settings, raw};
use affinity::Near;
use policy::{Candidate, Policy, Ranking, Turns};

/// A lane that was chosen for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// Index of the configured lane; none for a model named as `provider/model`.
    pub lane: Option<usize>,
    /// Index of the provider.
    pub provider: usize,
    /// What the provider calls the model.
    pub upstream_model: Cow<'a, str>,
    /// The pool it was chosen from.
    pub pool: Option<usize>,
}

/// The lanes that a request may go to, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder<'a> {
    /// A pool, and the pools behind it.
    pub rungs: Vec<Rung<'a>>,
    /// Time in which an answer must have begun.
    pub deadline: Option<Duration>,
}

/// The lanes of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung<'a> {
    /// The lanes, best first.
    pub lanes: Vec<Choice<'a>>,
    /// Most of them that are sent to.
    pub attempts: usize,
    /// Why the first is first; empty where there was no choice.
    pub why: String,
}

impl<'a> Ladder<'a> {
    /// Whether there is one lane alone: then there is no better one.
    pub fn is_lone(&self) -> bool {
        matches!(&self.rungs[..], [rung] if rung.lanes.len() == 1)
    }

    /// A ladder of one lane.
    pub fn of(choice: Choice<'a>) -> Self {
        Self { rungs: vec![Rung { lanes: vec![choice], attempts: 1, why: String::new() }], deadline: None }
    }
}

/// Chooses lanes; holds what the weighted choice must remember.
#[derive(Debug)]
pub struct Router {
    settings: Arc<Settings>,
    /// Each lane's number, the same in every process.
    numbers: Vec<u64>,
    turns: Vec<Mutex<Turns>>,
}

impl Router {
    /// A router that has not chosen yet.
    pub fn new(settings: Arc<Settings>) -> Self {
        let turns = settings.pools.iter().map(|pool| Mutex::new(Turns::new(pool.members.len()))).collect();
        let numbers =
            settings.lanes.iter().map(|lane| affinity::fingerprint(0, lane.name.as_bytes())).collect();
        Self { settings, numbers, turns }
    }

    /// A router with the same memory, whose choices this one does not remember.
    #[must_use]
    pub fn apart(&self) -> Self {
        let turns = self.turns.iter().map(|turns| {
            let turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            Mutex::new(turns.clone())
        });
        Self { settings: Arc::clone(&self.settings), numbers: self.numbers.clone(), turns: turns.collect() }
    }

    /// A lane's number, as [`affinity`] knows it.
    pub fn number(&self, lane: usize) -> u64 {
        self.numbers[lane]
    }

    /// What requests for a model that a client named go back to their earlier lane for.
    pub fn affinity(&self, model: &str) -> raw::Affinity {
        match self.settings.names.get(model) {
            Some(Named::Pool(pool)) => self.settings.pools[*pool].affinity,
            _ => raw::Affinity::None,
        }
    }

    /// Whether the choice of a lane for a model that a client named depends on how large the request is: where a
    /// policy goes by prices, or a body of so many bytes may be too much for a window.
    pub fn minds_size(&self, model: &str, bytes: usize) -> bool {
        let Some(Named::Pool(pool)) = self.settings.names.get(model) else { return false };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        std::iter::successors(Some(*pool), |pool| self.settings.pools[*pool].fallback).any(|pool| {
            let pool = &self.settings.pools[pool];
            let window = |member: &Member| self.settings.lanes[member.lane].facts.context_window;
            // No token has less than a byte.
            pool.policy == raw::Policy::Cheapest
                || pool.members.iter().filter_map(window).any(|window| window < bytes)
        })
    }

    /// The lanes for a model that a client named, best first: a pool, a model, or `provider/model`.
    ///
    /// `view` tells how a member of a pool stands, `near` where the request was served before; `draw` is a random
    /// number from 0 to 1.
    pub fn ladder<'a>(
        &'a self,
        model: &'a str,
        view: &dyn Fn(Member) -> Candidate,
        near: &Near,
        draw: f64,
    ) -> Option<Ladder<'a>> {
        match self.settings.names.get(model) {
            Some(Named::Lane(lane)) => Some(Ladder::of(self.lane(*lane, None))),
            Some(Named::Pool(pool)) => Some(self.pool(*pool, view, near, draw)),
            None => {
                let (provider, upstream_model) = model.split_once('/')?;
                let provider = self.settings.providers.iter().position(|known| known.name == provider)?;
                let upstream_model = Cow::Borrowed(upstream_model);
                (!upstream_model.is_empty()).then_some(Ladder::of(Choice {
                    lane: None,
                    provider,
                    upstream_model,
                    pool: None,
                }))
            }
        }
    }

    /// The lanes of a pool, and of those behind it.
    fn pool(&self, pool: usize, view: &dyn Fn(Member) -> Candidate, near: &Near, draw: f64) -> Ladder<'_> {
        let mut rungs = Vec::with_capacity(1);
        let mut next = Some(pool);
        while let Some(at) = next {
            let pool = &self.settings.pools[at];
            let candidates: Vec<_> = pool.members.iter().map(|member| view(*member)).collect();
            let members = pool.members.iter();
            let lanes: Vec<_> = members.map(|member| (self.numbers[member.lane], member.weight)).collect();
            let may = |at: usize| candidates.iter().all(|other| !other.is_before(&candidates[at]));
            let mut turns = self.turns[at].lock().unwrap_or_else(PoisonError::into_inner);
            let ranking = match near.choose(pool.affinity, &lanes, may) {
                // What goes back where it was takes no turn of those that begin.
                Some((first, why)) => {
                    let mut ranking =
                        policy::order(policy_of(pool.policy), &candidates, &mut turns.clone(), draw);
                    ranking.prefer(first, why);
                    ranking
                }
                None => policy::order(policy_of(pool.policy), &candidates, &mut turns, draw),
            };
            drop(turns);
            let Ranking { order, why } = ranking;
            let lanes =
                order.into_iter().map(|place| self.lane(pool.members[place].lane, Some(at))).collect();
            rungs.push(Rung { lanes, attempts: pool.attempts, why });
            // No circles: the configuration is refused that has one.
            next = pool.fallback;
        }
        Ladder { rungs, deadline: self.settings.pools[pool].deadline }
    }

    /// Every configured lane.
    pub fn all(&self) -> impl Iterator<Item = Choice<'_>> {
        (0..self.settings.lanes.len()).map(|lane| self.lane(lane, None))
    }

    fn lane(&self, lane: usize, pool: Option<usize>) -> Choice<'_> {
        let found = &self.settings.lanes[lane];
        Choice {
            lane: Some(lane),
            provider: found.provider,
            upstream_model: Cow::Borrowed(&found.upstream_model),
            pool,
        }
    }
}

const fn policy_of(policy: raw::Policy) -> Policy {
    match policy {
        raw::Policy::Weighted => Policy::Weighted,
        raw::Policy::Cheapest => Policy::Cheapest,
        raw::Policy::Fastest => Policy::Fastest { explore: Policy::EXPLORE },
        raw::Policy::LeastBusy => Policy::LeastBusy,
        raw::Policy::Usage => Policy::Usage,
    }
}
