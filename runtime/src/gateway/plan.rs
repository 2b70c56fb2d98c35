//! A request as a lane gets it: forwarded where the lane speaks the caller's protocol, else translated.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::caller::Caller;
use super::context::{self, Ctx};
use super::{Gateway, lane, passthrough, translated};
use crate::config::Timeouts;
use crate::config::raw::Fidelity;
use crate::dialect::{Call, Operation, sniff};
use crate::fault::{Class, Fault};
use crate::route::affinity::{Near, Prompt};
use crate::route::{Choice, Ladder};
use crate::translate::{Fetched, Repair, Wanted};

/// A request that looks for a lane.
pub(super) struct Asking<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) parts: &'a http::request::Parts,
    pub(super) sniffed: &'a sniff::Sniffed,
    pub(super) body: &'a Bytes,
    pub(super) streamed: bool,
    pub(super) fidelity: Option<Fidelity>,
    /// What was got from addresses in the body, by address.
    pub(super) fetched: HashMap<String, Fetched>,
    /// What a lane has just said is to be put otherwise.
    pub(super) repairs: Vec<Repair>,
    /// What of it says where it had better go again, if its pool asks.
    pub(super) prompt: Option<Prompt>,
    /// Where it was served before.
    pub(super) near: &'a Near,
}

/// A request as a lane gets it.
pub(super) enum Planned {
    /// The caller's own bytes.
    Forward(lane::Plan),
    /// Its translation.
    Translate(Box<translated::Translated>),
    /// The translation of a wish for embeddings.
    Embed(Box<passthrough::Embedding>),
}

pub(super) enum Tried {
    Planned(Planned),
    /// Its translation needs what is at these addresses.
    Wants(Vec<Wanted>),
}

impl Gateway {
    /// The request as a lane gets it; what the lane takes as bytes alone is fetched.
    pub(super) async fn plan(
        &self,
        ctx: &Ctx,
        asking: &mut Asking<'_>,
        choice: &Choice<'_>,
    ) -> Result<Planned, Fault> {
        let wanted = match self.try_plan(ctx.caller, asking, choice)? {
            Tried::Planned(planned) => return Ok(planned),
            Tried::Wants(wanted) => wanted,
        };
        let fetched = self.fetch(wanted).await?;
        asking.fetched.extend(fetched);
        match self.try_plan(ctx.caller, asking, choice)? {
            Tried::Planned(planned) => Ok(planned),
            Tried::Wants(_) => {
                let message = "an address that was fetched is wanted again";
                Err(Fault::gateway(Class::Internal, message))
            }
        }
    }

    /// The same, but for what would have to be fetched first.
    pub(super) fn try_plan(
        &self,
        caller: Caller,
        asking: &Asking<'_>,
        choice: &Choice<'_>,
    ) -> Result<Tried, Fault> {
        let settings = &self.shared.settings;
        let Asking { call, parts, sniffed, body, streamed, fidelity, ref fetched, ref repairs, .. } = *asking;
        let backend = settings.providers[choice.provider].protocol_for(call.protocol);
        let pool = choice.pool.and_then(|pool| settings.pools[pool].fidelity);
        let fidelity = fidelity.or(pool).unwrap_or(settings.fidelity);
        if let Operation::Passed(way) = call.operation {
            if let Some(made) = passthrough::embedding(call, backend, choice, body, fidelity)? {
                return Ok(Tried::Planned(Planned::Embed(Box::new(made))));
            }
            let plan = passthrough::plan(call, way, backend, parts, choice, sniffed, body)?;
            return Ok(Tried::Planned(Planned::Forward(plan)));
        }
        if backend == call.protocol && !lane::holds_envelopes(call, body) {
            let plan = lane::forward(call, parts, choice, sniffed, body.clone())?;
            return Ok(Tried::Planned(Planned::Forward(plan)));
        }
        let scope = caller.scope();
        let fetched = self.fetcher.is_enabled().then_some(fetched);
        let mut facts = translated::facts(settings, choice, call, &scope, fidelity, fetched);
        let mut known = choice.lane.map_or_else(Vec::new, |lane| self.shared.standing.lane(lane).learnt());
        known.extend(repairs.iter().cloned());
        for repair in &known {
            repair.amend(&mut facts);
        }
        let terms = translated::Terms { fidelity, carriage: &self.shared.carriage, repairs: &known };
        match translated::request(call, backend, &facts, body, streamed, &terms) {
            Ok(made) => Ok(Tried::Planned(Planned::Translate(Box::new(made)))),
            Err(translated::Refused::Wants(wanted)) => Ok(Tried::Wants(wanted)),
            Err(translated::Refused::Fault(fault)) => Err(*fault),
        }
    }

    /// How long each step of an attempt may take.
    pub(super) fn timeouts(&self, choice: &Choice<'_>) -> Timeouts {
        let settings = &self.shared.settings;
        let own = match choice.lane {
            Some(lane) => settings.lanes[lane].timeouts,
            None => settings.providers[choice.provider].timeouts,
        };
        own.but(choice.pool.and_then(|pool| settings.pools[pool].timeouts.as_ref()))
    }

    /// Gets what is at the addresses that a request names.
    pub(super) async fn fetch(&self, wanted: Vec<Wanted>) -> Result<HashMap<String, Fetched>, Fault> {
        let mut addresses: Vec<String> = Vec::new();
        for one in &wanted {
            if !addresses.contains(&one.address) {
                addresses.push(one.address.clone());
            }
        }
        let files = self.fetcher.all(addresses.clone()).await.map_err(|failed| {
            let at = addresses.get(failed.index);
            let path = wanted.iter().find(|one| at == Some(&one.address)).or(wanted.last());
            let path = path.map(|one| one.path.clone()).unwrap_or_default();
            Fault::client(Class::InvalidRequest, format!("{path}: {failed}")).with_param(path)
        })?;
        let encoded = files
            .into_iter()
            .map(|file| Fetched { media_type: file.media_type, base64: STANDARD.encode(&file.bytes) });
        Ok(addresses.into_iter().zip(encoded).collect())
    }

    /// A refusal of what would be lost, with the name of a model that would keep it.
    pub(super) fn with_advice(
        &self,
        caller: Caller,
        asking: &Asking<'_>,
        refused: &Ladder<'_>,
        mut fault: Fault,
    ) -> Fault {
        let settings = &self.shared.settings;
        // Whatever keeps it does so by its protocol: one lane of each is enough to know.
        let protocol =
            |choice: &Choice<'_>| settings.providers[choice.provider].protocol_for(asking.call.protocol);
        let mut tried: Vec<_> = refused.rungs.iter().flat_map(|rung| &rung.lanes).map(protocol).collect();
        let keeps = self.shared.router.all().find(|other| {
            let backend = protocol(other);
            if tried.contains(&backend) {
                return false;
            }
            tried.push(backend);
            self.try_plan(caller, asking, other).is_ok()
        });
        let keeps = keeps.and_then(|choice| choice.lane).map(|lane| &settings.lanes[lane].name);
        let would = if passthrough::is_passed(asking.call) { "serve" } else { "keep" };
        let advice = match keeps {
            Some(name) => {
                format!("; the model `{}` would {would} it", context::excerpt(name, context::MAX_EXCERPT))
            }
            None => format!("; no configured model would {would} it"),
        };
        fault.message = (fault.message.into_owned() + &advice).into();
        fault
    }
}
