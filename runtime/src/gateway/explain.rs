//! What would become of a request: which lane it would go to, why, and as what. No provider is called.

use std::collections::HashMap;

use busbar_protocols::Ledger;
use bytes::Bytes;
use http::request::Parts;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::caller::Caller;
use super::context::{MAX_EXCERPT, MAX_FIDELITY, excerpt};
use super::plan::{Asking, Planned, Tried};
use super::{Gateway, lane, named, unknown_model};
use crate::Protocol;
use crate::breaker::State;
use crate::config::{Credential, Facts, Settings};
use crate::count;
use crate::dialect::{self, Operation, Recognised, carriers, headers, sniff};
use crate::fault::{Class, Fault, render};
use crate::route::{Choice, Ladder};
use crate::upstream::{self, Upstream};
use busbar_catalog::Used;

/// Stands where a secret was.
const MASK: &str = "***";
/// A shorter text is no secret that could be looked for: it would be found in any word.
const MIN_SECRET: usize = 12;
/// Members of a body that hold a secret of the caller's.
const SECRET_MEMBERS: [&str; 9] = [
    "access_token",
    "api_key",
    "apiKey",
    "authorization",
    "authorization_token",
    "client_secret",
    "password",
    "secret",
    "token",
];
/// Dollars are counted in millionths of a millionth.
const DOLLAR: f64 = 1e12;

impl Gateway {
    /// Explains a request: `parts` and `body` are the client's own, but for the method.
    ///
    /// Nothing is sent, fetched or counted, and no lane's turn is taken.
    pub fn explain(&self, parts: &Parts, body: &Bytes) -> Value {
        let mut told = Map::new();
        if let Err((protocol, fault)) = self.explanation(parts, body, &mut told) {
            told.insert("chosen".into(), Value::Null);
            told.insert("refusal".into(), refusal(protocol, &fault));
        }
        Value::Object(told)
    }

    fn explanation(
        &self,
        parts: &Parts,
        body: &Bytes,
        told: &mut Map<String, Value>,
    ) -> Result<(), (Protocol, Fault)> {
        let call = match dialect::recognise(&http::Method::POST, parts.uri.path(), &parts.headers) {
            Recognised::Call(call) => call,
            Recognised::WrongMethod(protocol, _) | Recognised::Unknown(protocol) => {
                let message = "no request for an answer is posted to this path";
                return Err((protocol, Fault::client(Class::NotFound, message)));
            }
        };
        let protocol = call.protocol;
        let refused = |fault: Fault| (protocol, fault);
        told.insert("protocol".into(), protocol.name().into());
        told.insert("operation".into(), call.operation.name().into());
        if matches!(call.operation, Operation::CountTokens) {
            let message = "a question for the size of a prompt has no lane to be explained";
            return Err(refused(Fault::client(Class::Unsupported, message)));
        }
        let fidelity = lane::asked_fidelity(&parts.headers).map_err(refused)?;
        let sniffed = sniff::sniff(body, dialect::model_in_body(protocol))
            .map_err(|malformed| refused(super::malformed(malformed)))?;
        let asked = named(&call, &sniffed).map_err(refused)?;
        let streamed = call.operation == Operation::GenerateStream || sniffed.stream.unwrap_or(false);
        told.insert("model".into(), asked.map(|asked| excerpt(asked, MAX_EXCERPT)).into());
        told.insert("stream".into(), streamed.into());

        let caller = Caller::of(parts);
        let prompt = self.prompt(caller, parts, asked, body);
        let near = prompt.as_ref().map(|prompt| self.shared.near(prompt)).unwrap_or_default();
        // Turns that are taken here are nobody's.
        let router = self.shared.router.apart();
        let ladder = match asked {
            Some(asked) => {
                self.ladder_of(&router, asked, &near, body).ok_or_else(|| refused(unknown_model(asked)))?
            }
            None => Ladder::of(self.home(&call, &parts.headers).map_err(refused)?),
        };
        let asking = Asking {
            call: &call,
            parts,
            sniffed: &sniffed,
            body,
            streamed,
            fidelity,
            fetched: HashMap::new(),
            repairs: Vec::new(),
            prompt,
            near: &near,
        };
        self.climbed(caller, &asking, &ladder, told).map_err(refused)
    }

    /// Goes up the ladder as a request does, without asking anybody.
    fn climbed(
        &self,
        caller: Caller,
        asking: &Asking<'_>,
        ladder: &Ladder<'_>,
        told: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let now = std::time::Instant::now();
        let secrets = self.secrets(asking.parts);
        let mut candidates = Vec::new();
        let mut chosen = None;
        let mut first_refusal = None;
        let mut last = None;
        let mut seen: Vec<(Option<usize>, usize)> = Vec::new();
        for rung in &ladder.rungs {
            let doubted = self.doubted(rung);
            let mut left = rung.attempts;
            for choice in &rung.lanes {
                if seen.contains(&(choice.lane, choice.provider)) {
                    continue;
                }
                seen.push((choice.lane, choice.provider));
                let anyway = ladder.is_lone() || doubted.iter().any(|lane| Some(*lane) == choice.lane);
                let state = self.shared.standing.state(choice, now);
                let mut entry = self.entry(choice, asking.call.protocol, state, now);
                let gone = self.gone(choice, state, anyway);
                let tried = self.try_plan(caller, asking, choice);
                let verdict = match (&tried, &gone) {
                    _ if last.is_some() => "not tried: the request itself was to blame before".into(),
                    (_, Some(gone)) => gone.clone(),
                    (Err(fault), None) => format!("refused: {}", fault.message),
                    _ if left == 0 => "not tried: the pool's `attempts` are used up before it".into(),
                    (Ok(_), None) => {
                        left -= 1;
                        if chosen.is_none() { "chosen" } else { "next, should those before it fail" }
                            .to_owned()
                    }
                };
                match &tried {
                    Ok(tried) => self.tell_plan(tried, choice, asking, &secrets, &mut entry),
                    Err(fault) => drop(entry.insert("refusal".into(), fault.message.as_ref().into())),
                }
                let request = entry.remove("request");
                if verdict == "chosen" {
                    chosen = Some(self.name_of(choice, asking));
                    told.insert("chosen".into(), chosen.clone().into());
                    told.insert("why".into(), self.why(choice, rung, candidates.is_empty()).into());
                    told.extend(request.map(|request| ("request".into(), request)));
                }
                entry.insert("verdict".into(), verdict.into());
                candidates.push(Value::Object(entry));
                match tried {
                    Err(fault) if gone.is_none() && fault.retry_safe => {
                        first_refusal.get_or_insert(fault);
                    }
                    // What the request itself is to blame for ends the climb.
                    Err(fault) if gone.is_none() && chosen.is_none() => {
                        last.get_or_insert(fault);
                    }
                    _ => {}
                }
            }
        }
        told.insert("candidates".into(), candidates.into());
        if chosen.is_some() {
            return Ok(());
        }
        Err(match (last, first_refusal) {
            (Some(fault), _) => fault,
            (None, Some(fault)) => self.with_advice(caller, asking, ladder, fault),
            (None, None) => {
                let message =
                    "every lane is out or full: the first of them that is free would serve, or the least bad";
                Fault::gateway(Class::Overloaded, message)
            }
        })
    }

    /// Why the chosen lane comes before the others.
    fn why(&self, choice: &Choice<'_>, rung: &crate::route::Rung<'_>, first: bool) -> String {
        match (choice.pool, first) {
            (None, _) => "the request names it".into(),
            (Some(_), true) if !rung.why.is_empty() => rung.why.clone(),
            (Some(pool), true) => format!("the only member of `{}`", self.shared.settings.pools[pool].name),
            (Some(_), false) => format!("the first that can serve; {}", rung.why),
        }
    }

    /// Why a lane would not be tried, whatever the request.
    fn gone(&self, choice: &Choice<'_>, state: State, anyway: bool) -> Option<String> {
        let is_in = matches!(state, State::Closed | State::Ramp { .. } | State::HalfOpen { probing: false });
        if !is_in && !anyway {
            return Some(format!("out: its breaker is {}", state.name()));
        }
        let lane = choice.lane?;
        let (in_flight, _) = self.shared.standing.lane(lane).seated();
        let limit = self.shared.settings.lanes[lane].max_concurrent?;
        (in_flight >= limit).then(|| "full: it serves as many requests as it may".to_owned())
    }

    /// What is known of a lane.
    fn entry(
        &self,
        choice: &Choice<'_>,
        client: Protocol,
        state: State,
        now: std::time::Instant,
    ) -> Map<String, Value> {
        let settings = &self.shared.settings;
        let provider = &settings.providers[choice.provider];
        let mut entry = Map::new();
        let mut tell = |name: &str, value: Value| entry.insert(name.into(), value);
        tell("lane", choice.lane.map(|lane| settings.lanes[lane].name.as_str()).into());
        tell("provider", provider.name.as_str().into());
        tell("upstream_model", choice.upstream_model.as_ref().into());
        tell("protocol", provider.protocol_for(client).name().into());
        tell("state", state.name().into());
        if let (Some(lane), Some(pool)) = (choice.lane, choice.pool) {
            let pool = &settings.pools[pool];
            tell("pool", pool.name.as_str().into());
            if let Some(member) = pool.members.iter().find(|member| member.lane == lane) {
                let known = self.shared.standing.candidate(settings, *member, None, now);
                tell("weight", known.weight.into());
                tell("tier", known.tier.into());
                tell("in_flight", known.in_flight.into());
                tell("max_concurrent", known.limit.into());
                tell("first_content_s", known.first_token.map(|average| average.value).into());
                tell("quota_left", known.headroom.into());
            }
        }
        entry
    }

    /// What a lane would be sent.
    fn tell_plan(
        &self,
        tried: &Tried,
        choice: &Choice<'_>,
        asking: &Asking<'_>,
        secrets: &[String],
        entry: &mut Map<String, Value>,
    ) {
        let none = Ledger::default();
        let (way, ledger, plan) = match tried {
            Tried::Wants(wanted) => {
                let addresses: Vec<_> = wanted.iter().map(|one| one.address.as_str()).collect();
                entry.insert("way".into(), "translated, once what it names by address is fetched".into());
                entry.insert("fetches".into(), addresses.into());
                return;
            }
            Tried::Planned(Planned::Forward(plan)) => ("forwarded", &none, plan),
            Tried::Planned(Planned::Translate(made)) => ("translated", &made.ledger, &made.plan),
            Tried::Planned(Planned::Embed(made)) => ("translated", &made.ledger, &made.plan),
        };
        let effects = ledger.effects().iter();
        let effects = effects.map(
            |effect| json!({ "kind": effect.kind.name(), "path": effect.path, "reason": effect.reason }),
        );
        entry.insert("way".into(), way.into());
        entry.insert("ledger".into(), effects.collect());
        entry.insert("fidelity".into(), ledger.summary(MAX_FIDELITY).into());
        let body = plan.body.concat();
        let settings = &self.shared.settings;
        let facts = match choice.lane {
            Some(lane) => settings.lanes[lane].facts,
            None => settings.facts_of(choice.provider, &choice.upstream_model),
        };
        tell_size(&body, &facts, entry);
        entry.insert("request".into(), self.request(plan, &body, choice, asking, secrets));
    }

    /// The call of a provider, its secrets masked.
    fn request(
        &self,
        plan: &lane::Plan,
        body: &[u8],
        choice: &Choice<'_>,
        asking: &Asking<'_>,
        secrets: &[String],
    ) -> Value {
        let provider = &self.shared.settings.providers[choice.provider];
        let backend = provider.protocol_for(asking.call.protocol);
        let at_home = backend == asking.call.protocol;
        let mut path = plan.path.clone();
        if at_home && !path.contains('?') {
            lane::push_query(&mut path, asking.parts);
        }
        let (goes_up, accept): (fn(&http::HeaderName) -> bool, _) =
            if at_home { (headers::goes_up, None) } else { (plan.goes_up, plan.accept) };
        let now = Instant::now();
        let head = self.upstreams[choice.provider].head(&upstream::Request {
            protocol: backend,
            path: &path,
            headers: &asking.parts.headers,
            goes_up,
            accept,
            body: plan.body.clone(),
            deadline: now,
            content_by: now,
            timeouts: self.timeouts(choice),
            keep: headers::comes_back,
        });
        let fields = head.unwrap_or_default().into_iter().map(|(name, value)| {
            let value = if Upstream::is_secret(&name) { MASK.into() } else { masked(&value, secrets) };
            (name, Value::from(value))
        });
        let scheme = if provider.base.tls { "https" } else { "http" };
        let body = match serde_json::from_slice(body) {
            Ok(mut body) => {
                mask(&mut body, false, secrets);
                body
            }
            Err(_) => format!("{} bytes that are no JSON", body.len()).into(),
        };
        json!({
            "method": "POST",
            "url": format!("{scheme}://{}{}{path}", provider.base.authority, provider.base.path),
            "headers": fields.collect::<Map<_, _>>(),
            "body": body,
        })
    }

    fn name_of(&self, choice: &Choice<'_>, asking: &Asking<'_>) -> String {
        let settings = &self.shared.settings;
        match choice.lane {
            Some(lane) => settings.lanes[lane].name.clone(),
            None => {
                let provider = &settings.providers[choice.provider].name;
                let asked = named(asking.call, asking.sniffed).ok().flatten();
                asked.map_or_else(|| provider.clone(), |asked| excerpt(asked, MAX_EXCERPT))
            }
        }
    }

    /// What must not be told: the caller's key, and the providers'.
    fn secrets(&self, parts: &Parts) -> Vec<String> {
        let own = carriers::key(&parts.headers, parts.uri.query()).map(str::to_owned);
        let all = own.into_iter().chain(credentials(&self.shared.settings));
        all.filter(|secret| secret.len() >= MIN_SECRET).collect()
    }
}

fn credentials(settings: &Settings) -> impl Iterator<Item = String> {
    settings.providers.iter().filter_map(|provider| match &provider.credential {
        Credential::None => None,
        Credential::Key(key) => Some(key.expose_secret().to_owned()),
        Credential::SigV4 { secret_key, .. } => Some(secret_key.expose_secret().to_owned()),
    })
}

/// Tells how long a prompt is, as far as is known without asking, and what it would cost.
fn tell_size(body: &[u8], facts: &Facts, entry: &mut Map<String, Value>) {
    let Some(prompt) = count::estimate(body) else { return };
    // Where the request sets no bound, the model's own holds.
    let answer = count::ceiling(body).into_iter().chain(facts.max_output_tokens).min();
    entry.insert(
        "tokens".into(),
        json!({
            "prompt": prompt,
            "estimate_error_percent": count::ERROR_PERCENT,
            "answer_at_most": answer,
            "context_window": facts.context_window,
            "fits": facts.context_window.map(|window| prompt <= window),
        }),
    );
    let price = facts.price.map(|price| {
        let dollars = |used: Used| price.of(&used) as f64 / DOLLAR;
        json!({
            "prompt": dollars(Used { input: prompt, ..Used::default() }),
            "with_answer_at_most": answer.map(|output| dollars(Used { input: prompt, output, ..Used::default() })),
            "currency": "USD",
        })
    });
    entry.insert("price".into(), price.into());
}

/// What the caller would be told.
fn refusal(protocol: Protocol, fault: &Fault) -> Value {
    let rendered = render(protocol, fault, "req_explain");
    let body = serde_json::from_slice::<Value>(&rendered.body).unwrap_or_default();
    json!({ "status": rendered.status, "message": fault.message, "body": body })
}

/// Masks what is secret in a body; its depth is bounded by its parser's.
fn mask(value: &mut Value, all: bool, secrets: &[String]) {
    match value {
        Value::String(said) if all => *said = MASK.into(),
        Value::String(said) if secrets.iter().any(|secret| said.contains(secret.as_str())) => {
            *said = masked(said, secrets);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, all, secrets)),
        Value::Object(members) => {
            for (name, value) in members {
                // The header fields of a remote tool may be anything.
                let of_headers = name == "headers" && value.is_object();
                let is_secret = value.is_string() && SECRET_MEMBERS.contains(&name.as_str());
                mask(value, all || of_headers || is_secret, secrets);
            }
        }
        _ => {}
    }
}

fn masked(said: &str, secrets: &[String]) -> String {
    secrets.iter().fold(said.to_owned(), |said, secret| said.replace(secret.as_str(), MASK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let secrets = ["sk-caller-5ecret".to_owned()];
        let mut body = json!({
            "metadata": {"note": "mine is sk-caller-5ecret, keep it"},
            "mcp_servers": [{"authorization_token": "abc", "url": "https://x"}],
            "tools": [{"headers": {"x-any": "abc", "y": ["abc"]}, "input_schema": {"properties": {"token": {"type": "string"}}}}],
            "max_tokens": 5,
        });
        mask(&mut body, false, &secrets);
        assert_eq!(body["metadata"]["note"], "mine is ***, keep it");
        assert_eq!(body["mcp_servers"][0], json!({"authorization_token": "***", "url": "https://x"}));
        assert_eq!(body["tools"][0]["headers"], json!({"x-any": "***", "y": ["***"]}));
        // A property of that name is no secret.
        assert_eq!(body["tools"][0]["input_schema"]["properties"]["token"]["type"], "string");
        assert_eq!(body["max_tokens"], 5);
    }

    #[test]
    fn a_price_is_of_the_estimate_and_the_bound() {
        let price = toml::from_str("input = 3.0\noutput = 15.0").unwrap();
        let facts = Facts {
            context_window: Some(10),
            max_output_tokens: Some(100),
            price: Some(price),
            ..Facts::default()
        };
        let mut entry = Map::new();
        let body = json!({"messages": [{"role": "user", "content": "word ".repeat(50)}], "max_tokens": 1000});
        tell_size(body.to_string().as_bytes(), &facts, &mut entry);
        let prompt = entry["tokens"]["prompt"].as_u64().unwrap();
        assert!((50..70).contains(&prompt), "{entry:?}");
        assert_eq!(
            (&entry["tokens"]["answer_at_most"], &entry["tokens"]["fits"]),
            (&json!(100), &json!(false))
        );
        let dollars = entry["price"]["with_answer_at_most"].as_f64().unwrap();
        assert!((dollars - (prompt as f64 * 3.0 + 1500.0) / 1e6).abs() < 1e-9, "{dollars}");
    }
}
