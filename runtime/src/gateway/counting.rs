//! The size of a prompt: asked of the lane that would serve it, or estimated where that cannot count.

use std::borrow::Cow;

use busbar_protocols::prelude::Checked;
use bytes::Bytes;
use tokio::time::Instant;

use super::attempt::Committed;
use super::context::Ctx;
use super::failures::Failures;
use super::forwarded::Held;
use super::plan::{Asking, Planned};
use super::{Gateway, lane, translated};
use crate::Protocol;
use crate::breaker::State;
use crate::config::raw::Fidelity;
use crate::count;
use crate::dialect::{self, Operation, headers};
use crate::fault::{Class, Fault};
use crate::route::{Choice, Ladder};
use crate::translate;

/// What a question goes up as.
enum Question {
    /// The caller's own bytes.
    Own(lane::Plan),
    /// Made for the backend; what the prompt would be there.
    Made(lane::Plan, Vec<u8>),
    /// Nobody is asked; what the prompt would be there.
    None(Vec<u8>),
}

impl Gateway {
    /// Answers how long a prompt is where the first lane that can would serve it.
    ///
    /// Providers bound questions for a size apart from answers: what comes of one says nothing of the lane. One that
    /// is out is not asked, and where all are, the size is estimated.
    pub(super) async fn count(
        &self,
        ctx: &mut Ctx,
        asking: &mut Asking<'_>,
        ladder: &Ladder<'_>,
        deadline: Instant,
    ) -> Result<Committed, Fault> {
        let mut failures = Failures::default();
        let mut out = None;
        let now = std::time::Instant::now();
        for choice in ladder.rungs.iter().flat_map(|rung| rung.lanes.iter().take(rung.attempts)) {
            if failures.tried(choice) {
                continue;
            }
            if !matches!(
                self.shared.standing.state(choice, now),
                State::Closed | State::Ramp { .. } | State::HalfOpen { .. }
            ) {
                out.get_or_insert(choice);
                continue;
            }
            self.name(ctx, asking, choice);
            let (plan, prompt) = match self.question(ctx, asking, choice).await? {
                Question::Own(plan) => (plan, None),
                Question::Made(plan, prompt) => (plan, Some(prompt)),
                Question::None(prompt) => return estimated(ctx, asking, &prompt),
            };
            ctx.settlement.attempts += 1;
            let asked = self.attempt(ctx, asking, choice, Planned::Forward(plan), deadline, deadline).await;
            let backend = ctx.settlement.backend.unwrap_or(asking.call.protocol);
            let mut failure = match (asked, &prompt) {
                (Ok(Committed::Forwarded(_, held)), Some(_)) => match told(asking, backend, &held) {
                    Ok(answer) => return Ok(Committed::Own(answer)),
                    Err(fault) => fault.into(),
                },
                (Ok(committed), _) => return Ok(committed),
                (Err(failure), _) => failure,
            };
            if cannot_count(backend, &failure.fault) {
                return match prompt {
                    Some(prompt) => estimated(ctx, asking, &prompt),
                    None => estimated(ctx, asking, &unwrapped(asking)?),
                };
            }
            if prompt.is_some()
                && let Some((answer, _)) = failure.words.take()
            {
                // The words are another protocol's.
                failure.headers = answer.headers;
            }
            let elsewhere = failure.fault.verdict().elsewhere;
            failures.push(choice.clone(), failure);
            if !elsewhere {
                break;
            }
        }
        match (self.told(ctx, asking, failures), out) {
            (Some(told), _) => told,
            (None, Some(choice)) => {
                self.name(ctx, asking, choice);
                let backend = ctx.settlement.backend.unwrap_or(asking.call.protocol);
                let prompt = self.asked_prompt(ctx, asking, choice, backend).await?;
                estimated(ctx, asking, &prompt)
            }
            (None, None) => Err(Failures::none_left()),
        }
    }

    /// What a lane is asked.
    async fn question(
        &self,
        ctx: &Ctx,
        asking: &mut Asking<'_>,
        choice: &Choice<'_>,
    ) -> Result<Question, Fault> {
        let settings = &self.shared.settings;
        let (client, body) = (asking.call.protocol, asking.body);
        let provider = &settings.providers[choice.provider];
        let backend = provider.protocol_for(client);
        // Bedrock counts for a model, wherever that is served.
        let model = match backend {
            Protocol::Bedrock => settings.catalog.without_place(&provider.catalog, &choice.upstream_model),
            _ => &choice.upstream_model,
        };
        if backend == client && !translate::carriage::mentions(body) {
            let choice = Choice { upstream_model: Cow::Borrowed(model), ..choice.clone() };
            let plan = lane::forward(asking.call, asking.parts, &choice, asking.sniffed, body.clone())?;
            return Ok(Question::Own(plan));
        }
        let prompt = self.asked_prompt(ctx, asking, choice, backend).await?;
        let Some(question) = count::wrap(backend, &prompt, model) else {
            return Ok(Question::None(prompt));
        };
        let path = dialect::upstream_path(backend, Operation::CountTokens, model, asking.call.version);
        let plan = lane::Plan {
            path: path.into_owned(),
            body: [Bytes::from(question), Bytes::new(), Bytes::new()],
            goes_up: if backend == client { headers::goes_up } else { headers::goes_up_anywhere },
            accept: Some("application/json"),
        };
        Ok(Question::Made(plan, prompt))
    }

    /// The request that the question is about, as the backend would get it.
    async fn asked_prompt(
        &self,
        ctx: &Ctx,
        asking: &mut Asking<'_>,
        choice: &Choice<'_>,
        backend: Protocol,
    ) -> Result<Vec<u8>, Fault> {
        let request = unwrapped(asking)?.into_owned();
        let scope = ctx.caller.scope();
        for _ in 0..2 {
            let document = Checked::assume(&request)
                .map_err(|error| Fault::client(Class::InvalidRequest, error.to_string()))?;
            let fetched = self.fetcher.is_enabled().then_some(&asking.fetched);
            // What would be lost is not counted, and the request itself will be refused or reported for it.
            let facts = translated::facts(
                &self.shared.settings,
                choice,
                asking.call,
                &scope,
                Fidelity::Allow,
                fetched,
            );
            let client = asking.call.protocol;
            match translate::request(client, backend, document, &facts, &self.shared.carriage) {
                Ok(outbound) => return Ok(outbound.body),
                Err(refusal) => match translated::refused(refusal) {
                    translated::Refused::Fault(fault) => return Err(*fault),
                    translated::Refused::Wants(wanted) => {
                        let fetched = self.fetch(wanted).await?;
                        asking.fetched.extend(fetched);
                    }
                },
            }
        }
        Err(Fault::gateway(Class::Internal, "an address that was fetched is wanted again"))
    }
}

/// The request that the caller's question is about.
fn unwrapped<'a>(asking: &Asking<'a>) -> Result<Cow<'a, [u8]>, Fault> {
    count::unwrap(asking.call.protocol, asking.body).map_err(|malformed| {
        let message = format!("{} {}", malformed.path, malformed.message);
        let fault = Fault::client(Class::InvalidRequest, message.trim_start().to_owned());
        if malformed.path.is_empty() { fault } else { fault.with_param(malformed.path) }
    })
}

/// A backend's answer in the caller's form.
fn told(asking: &Asking<'_>, backend: Protocol, held: &Held) -> Result<Vec<u8>, Fault> {
    let answer: Vec<u8> = held.pieces.iter().flatten().copied().collect();
    count::read(backend, &answer)
        .and_then(|tokens| count::render(asking.call.protocol, tokens))
        .ok_or_else(|| Fault::upstream(Class::Malformed, "the provider's answer tells no number of tokens"))
}

fn estimated(ctx: &mut Ctx, asking: &Asking<'_>, prompt: &[u8]) -> Result<Committed, Fault> {
    ctx.estimated = true;
    count::estimate(prompt)
        .and_then(|tokens| count::render(asking.call.protocol, tokens))
        .map(Committed::Own)
        .ok_or_else(|| Fault::client(Class::InvalidRequest, "the body must be a JSON object"))
}

/// Whether a failure says that this provider, or this model of it, is not counted for.
fn cannot_count(backend: Protocol, fault: &Fault) -> bool {
    let no_model = fault.code.as_deref() == Some("model_not_found");
    match fault.status {
        404 | 405 | 501 => !no_model,
        // In the words that its users report; there is no code for it.
        400 => backend == Protocol::Bedrock && fault.message.contains("counting tokens"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_count_says_so_in_one_of_these_ways() {
        let fault = |status| Fault::upstream(Class::of_status(status), "x").with_status(status);
        for (status, cannot) in
            [(404, true), (405, true), (501, true), (400, false), (429, false), (500, false)]
        {
            assert_eq!(cannot_count(Protocol::Anthropic, &fault(status)), cannot, "{status}");
        }
        let words = "The provided model doesn't support counting tokens.";
        let said = Fault::upstream(Class::InvalidRequest, words).with_status(400);
        assert!(cannot_count(Protocol::Bedrock, &said));
        assert!(!cannot_count(Protocol::Gemini, &said));
        assert!(!cannot_count(Protocol::OpenaiResponses, &fault(404).with_code("model_not_found")));
    }
}
