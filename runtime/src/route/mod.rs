//! From the model a client names to the lane that serves it.

pub mod policy;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{Named, Settings};
use policy::Turns;

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

/// Chooses lanes; holds what the weighted choice must remember.
#[derive(Debug)]
pub struct Router {
    settings: Arc<Settings>,
    turns: Vec<Mutex<Turns>>,
}

impl Router {
    /// A router that has not chosen yet.
    pub fn new(settings: Arc<Settings>) -> Self {
        let turns = settings.pools.iter().map(|pool| Mutex::new(Turns::new(pool.members.len()))).collect();
        Self { settings, turns }
    }

    /// The lane for a model that a client named: a pool, a model, or `provider/model`.
    pub fn choose<'a>(&'a self, model: &'a str) -> Option<Choice<'a>> {
        match self.settings.names.get(model) {
            Some(Named::Lane(lane)) => Some(self.lane(*lane, None)),
            Some(Named::Pool(pool)) => {
                let members = &self.settings.pools[*pool].members;
                let mut turns = self.turns[*pool].lock().unwrap_or_else(PoisonError::into_inner);
                let at = turns.next(members.iter().map(|member| member.weight).enumerate())?;
                Some(self.lane(members[at].lane, Some(*pool)))
            }
            None => {
                let (provider, upstream_model) = model.split_once('/')?;
                let provider = self.settings.providers.iter().position(|known| known.name == provider)?;
                let upstream_model = Cow::Borrowed(upstream_model);
                (!upstream_model.is_empty()).then_some(Choice {
                    lane: None,
                    provider,
                    upstream_model,
                    pool: None,
                })
            }
        }
    }

    /// The other members of the pool that a lane was chosen from: those with a weight, then those on standby.
    pub fn others<'a>(&'a self, choice: &Choice<'_>) -> impl Iterator<Item = Choice<'a>> {
        let (taken, pool) = (choice.lane, choice.pool);
        let members = pool.map_or(&[][..], |pool| &self.settings.pools[pool].members[..]);
        members
            .iter()
            .map(|member| member.lane)
            .filter(move |lane| Some(*lane) != taken)
            .map(move |lane| self.lane(lane, pool))
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
