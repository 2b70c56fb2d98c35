//! The walk: one request from its head to its last byte, read top to bottom.

mod body;
mod caller;
mod context;
mod lane;
mod read;
mod settle;
mod translated;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use busbar_protocols::Ledger;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::time::Instant;

pub use self::body::{Aborted, Body};
use self::caller::Caller;
use self::context::Ctx;
pub use self::lane::FIDELITY_HEADER;
use crate::config::raw::Fidelity;
use crate::config::{Limits, Settings};
use crate::dialect::{self, Call, Operation, Recognised, headers, sniff};
use crate::fault::{Class, Fault};
use crate::fetch::Fetcher;
use crate::lists;
use crate::route::{Choice, Router};
use crate::translate::carriage::CarriageLimits;
use crate::translate::{CallState, Carriage, Fetched, Wanted};
use crate::upstream::{self, TlsError, Upstream};

/// Names the model that served a request.
pub const LANE_HEADER: HeaderName = HeaderName::from_static("x-busbar-lane");
/// The gateway's own id of a request.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-busbar-request-id");

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub settings: Arc<Settings>,
    /// Set once the gateway takes no more requests.
    pub draining: AtomicBool,
    router: Router,
    carriage: Carriage,
    running: AtomicUsize,
    lanes: Vec<AtomicUsize>,
}

impl Shared {
    /// What a gateway with these settings shares.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            router: Router::new(Arc::clone(&settings)),
            carriage: Carriage::new(CarriageLimits::default()),
            draining: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            lanes: settings.lanes.iter().map(|_| AtomicUsize::new(0)).collect(),
            settings,
        }
    }

    /// How many requests run at the moment, on all workers.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// One worker's gateway.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    limits: Limits,
    upstreams: Vec<Arc<Upstream>>,
    fetcher: Fetcher,
}

impl Gateway {
    /// A worker's own connections in front of what all share.
    ///
    /// # Errors
    /// [`TlsError`] when a provider's certificates cannot be used.
    pub fn new(shared: Arc<Shared>) -> Result<Self, TlsError> {
        let limits = shared.settings.limits;
        let providers = shared.settings.providers.iter();
        let upstreams = providers
            .map(|provider| Upstream::new(provider, &limits).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let fetcher = Fetcher::new(shared.settings.fetch.clone())?;
        Ok(Self { shared, limits, upstreams, fetcher })
    }

    /// Closes idle connections that are of no more use.
    pub fn sweep(&self) {
        for upstream in &self.upstreams {
            upstream.sweep();
        }
    }

    /// Answers one request; never fails, since every failure has a form in the caller's dialect.
    pub async fn handle(&self, request: Request<hyper::body::Incoming>) -> Response<Body> {
        let mut ctx = Ctx::new(&self.shared, &request);
        match self.walk(&mut ctx, request).await {
            Ok(Committed::Forwarded(answer, first)) => ctx.forward(answer, first),
            Ok(Committed::Translated(answer, made, ledger)) => ctx.translate(answer, made, ledger),
            Ok(Committed::Own(body)) => ctx.own(body),
            Err(fault) => ctx.refuse(&fault),
        }
    }

    /// Notes the lane, and takes a place among the requests that run on it.
    fn enter(&self, ctx: &mut Ctx, asking: &Asking<'_>, choice: &Choice<'_>) -> Result<(), Fault> {
        let settings = &self.shared.settings;
        let provider = &settings.providers[choice.provider];
        let settlement = &mut ctx.settlement;
        settlement.vacate();
        settlement.backend = Some(provider.protocol_for(asking.call.protocol));
        let Some(lane) = choice.lane else {
            settlement.lane.clone_from(&settlement.model);
            settlement.label = format!("{}/*", provider.name);
            return Ok(());
        };
        let lane_settings = &settings.lanes[lane];
        settlement.lane.clone_from(&lane_settings.name);
        settlement.label.clone_from(&lane_settings.name);
        match lane_settings.max_concurrent {
            Some(limit) => settlement.occupy(lane, limit),
            None => Ok(()),
        }
    }

    /// The request as a lane gets it: forwarded where the lane speaks the caller's protocol, else translated.
    fn plan(&self, ctx: &Ctx, asking: &Asking<'_>, choice: &Choice<'_>) -> Result<Planned, Fault> {
        let settings = &self.shared.settings;
        let Asking { call, parts, sniffed, body, streamed, fidelity, ref fetched } = *asking;
        let backend = settings.providers[choice.provider].protocol_for(call.protocol);
        if backend == call.protocol && !lane::holds_envelopes(call, body) {
            return lane::forward(call, parts, choice, sniffed, body.clone()).map(Planned::Forward);
        }
        let pool = choice.pool.and_then(|pool| settings.pools[pool].fidelity);
        let fidelity = fidelity.or(pool).unwrap_or(settings.fidelity);
        let scope = ctx.caller.scope();
        let fetched = self.fetcher.is_enabled().then_some(fetched);
        let facts = translated::facts(settings, choice, call, &scope, fidelity, fetched);
        let carriage = &self.shared.carriage;
        match translated::request(call, backend, &facts, body, streamed, fidelity, carriage) {
            Ok(made) => Ok(Planned::Translate(Box::new(made))),
            Err(translated::Refused::Wants(wanted)) => Ok(Planned::Wants(wanted)),
            Err(translated::Refused::Fault(fault)) => Err(*fault),
        }
    }

    /// As [`Gateway::plan`]; a lane that would lose what the request is about makes room for one of its pool that
    /// does not.
    fn plan_best<'a>(
        &'a self,
        ctx: &mut Ctx,
        asking: &Asking<'_>,
        choice: &mut Choice<'a>,
    ) -> Result<Planned, Fault> {
        let fault = match self.plan(ctx, asking, choice) {
            Err(fault) if fault.retry_safe => fault,
            made => return made,
        };
        let better = self.shared.router.others(choice).find_map(|other| {
            let made = self.plan(ctx, asking, &other).ok()?;
            Some((other, made))
        });
        let (other, made) = better.ok_or_else(|| self.with_advice(ctx, asking, choice, fault))?;
        *choice = other;
        self.enter(ctx, asking, choice)?;
        Ok(made)
    }

    /// Gets what is at the addresses that a request names.
    async fn fetch(&self, wanted: Vec<Wanted>) -> Result<HashMap<String, Fetched>, Fault> {
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
    fn with_advice(&self, ctx: &Ctx, asking: &Asking<'_>, refused: &Choice<'_>, mut fault: Fault) -> Fault {
        let settings = &self.shared.settings;
        // Whatever keeps it does so by its protocol: one lane of each is enough to know.
        let protocol =
            |choice: &Choice<'_>| settings.providers[choice.provider].protocol_for(asking.call.protocol);
        let mut tried = vec![protocol(refused)];
        let keeps = self.shared.router.all().find(|other| {
            let backend = protocol(other);
            if tried.contains(&backend) {
                return false;
            }
            tried.push(backend);
            self.plan(ctx, asking, other).is_ok()
        });
        let keeps = keeps.and_then(|choice| choice.lane).map(|lane| &settings.lanes[lane].name);
        let advice = match keeps {
            Some(name) => {
                format!("; the model `{}` would keep it", context::excerpt(name, context::MAX_EXCERPT))
            }
            None => "; no configured model would keep it".to_owned(),
        };
        fault.message = (fault.message.into_owned() + &advice).into();
        fault
    }

    async fn walk(&self, ctx: &mut Ctx, request: Request<hyper::body::Incoming>) -> Result<Committed, Fault> {
        let (parts, incoming) = request.into_parts();
        let deadline = Instant::from_std(ctx.settlement.started) + self.limits.total;

        // 1. Recognise protocol and operation by method and raw path.
        let call = match dialect::recognise(&parts.method, parts.uri.path(), &parts.headers) {
            Recognised::Call(call) => call,
            Recognised::WrongMethod(protocol, allowed) => {
                ctx.settlement.protocol = protocol;
                ctx.allow = Some(allowed);
                let message = format!("{} is not allowed here, {allowed} is", parts.method.as_str());
                return Err(Fault::client(Class::MethodNotAllowed, message));
            }
            Recognised::Unknown(protocol) => {
                ctx.settlement.protocol = protocol;
                return Err(Fault::client(Class::NotFound, "there is nothing at this path"));
            }
        };
        ctx.settlement.protocol = call.protocol;
        if head_size(&parts) > self.limits.headers {
            let message = format!("the request's head is larger than {} bytes", self.limits.headers);
            return Err(Fault::client(Class::TooLarge, message).with_status(431));
        }
        ctx.settlement.operation = Some(call.operation);

        // 2. Admit: bounded in number; the caller's key is recognised in any carrier, and goes no further.
        ctx.settlement.admit(self.limits.concurrent_requests)?;
        ctx.caller = Caller::of(&parts);
        let fidelity = lane::asked_fidelity(&parts.headers)?;

        if matches!(call.operation, Operation::Models | Operation::Profiles) {
            return lists::answer(&self.shared.settings, &call, parts.uri.query()).map(Committed::Own);
        }

        // 3. Read the body; find model and streaming, where the body and not the path names them.
        let body = read::body(incoming, &parts.headers, &self.limits).await?;
        ctx.settlement.bytes_in = body.len() as u64;
        let sniffed = sniff::sniff(&body, dialect::model_in_body(call.protocol)).map_err(malformed)?;
        let asked = match (&call.model, &sniffed.model) {
            (Some(model), _) => model.as_ref(),
            (None, Some((model, _))) => model.as_str(),
            (None, None) => {
                let fault = Fault::client(Class::InvalidRequest, "`model` is missing");
                return Err(fault.with_param("model"));
            }
        };
        let streamed = call.operation == Operation::GenerateStream || sniffed.stream.unwrap_or(false);
        ctx.settlement.model = context::excerpt(asked, context::MAX_EXCERPT);
        ctx.settlement.streamed = streamed;

        // 4. Choose a lane, and 5. forward or translate; what a backend takes as bytes alone is fetched.
        let mut choice = self.shared.router.choose(asked).ok_or_else(|| unknown_model(asked))?;
        let mut asking = Asking {
            call: &call,
            parts: &parts,
            sniffed: &sniffed,
            body: &body,
            streamed,
            fidelity,
            fetched: HashMap::new(),
        };
        self.enter(ctx, &asking, &choice)?;
        let made = match self.plan_best(ctx, &asking, &mut choice)? {
            Planned::Wants(wanted) => {
                asking.fetched = self.fetch(wanted).await?;
                self.plan_best(ctx, &asking, &mut choice)?
            }
            made => made,
        };
        let backend = ctx.settlement.backend.unwrap_or(call.protocol);
        let (plan, translation) = match made {
            Planned::Forward(plan) => (plan, None),
            Planned::Wants(_) => {
                let message = "an address that was fetched is wanted again";
                return Err(Fault::gateway(Class::Internal, message));
            }
            Planned::Translate(made) => {
                ctx.settlement.note_effects(&made.ledger);
                ctx.settlement.fidelity = made.ledger.summary(context::MAX_FIDELITY);
                // The answer of a provider that speaks the caller's protocol is the caller's as it is.
                if backend == call.protocol {
                    (lane::at_home(made.plan, &parts), None)
                } else {
                    let json_array = dialect::wants_array(&call, parts.uri.query());
                    let state = CallState { json_array, ..made.state };
                    (made.plan, Some((state, made.ledger)))
                }
            }
        };

        // 6. Send.
        let mut answer = self.upstreams[choice.provider]
            .send(upstream::Request {
                protocol: backend,
                path: &plan.path,
                headers: &parts.headers,
                goes_up: plan.goes_up,
                accept: plan.accept,
                body: plan.body,
                deadline,
                keep: headers::comes_back,
            })
            .await?;
        ctx.settlement.answered = true;

        // 7. Commit: of a stream, nothing is sent before its first event is there, and of a translated one
        // nothing before its first content. What fails until then is answered with a status of its own.
        let Some((state, mut ledger)) = translation else {
            let is_stream = streamed && answer.status.is_success();
            let first = if is_stream {
                read::first_event(&mut answer).await?
            } else if answer.status.is_success() {
                None
            } else {
                let words = read::failure(&mut answer).await;
                let words = words.map_err(|_| translated::told(&answer, backend, b""))?;
                words.map(|words| self.upstreams[choice.provider].masked(words))
            };
            return Ok(Committed::Forwarded(answer, first));
        };
        let made = if answer.status.is_success() {
            let carriage = &self.shared.carriage;
            translated::answer(&mut answer, state, streamed, &self.limits, carriage).await
        } else {
            Err(translated::failure(&mut answer, backend, &self.upstreams[choice.provider]).await)
        };
        let made = made.inspect_err(|_| ctx.upstream_headers = std::mem::take(&mut answer.headers))?;
        if let translated::Answer::Whole(_, effects, _) = &made {
            ctx.settlement.note_answer_effects(effects);
            ledger.extend(effects.clone());
        }
        Ok(Committed::Translated(answer, made, ledger))

        // 8. Pump: what is left of the answer, and the settlement, travel with the response's body; it is
        // settled when that is over or dropped.
    }
}

/// A request that looks for a lane.
struct Asking<'a> {
    call: &'a Call<'a>,
    parts: &'a http::request::Parts,
    sniffed: &'a sniff::Sniffed,
    body: &'a Bytes,
    streamed: bool,
    fidelity: Option<Fidelity>,
    /// What was got from addresses in the body, by address.
    fetched: HashMap<String, Fetched>,
}

/// A request as a lane gets it.
enum Planned {
    /// The caller's own bytes.
    Forward(lane::Plan),
    /// Its translation.
    Translate(Box<translated::Translated>),
    /// Its translation needs what is at these addresses.
    Wants(Vec<Wanted>),
}

/// An answer that will be sent: from here on its status stands.
enum Committed {
    /// The provider's own bytes, with those that were read to be sure.
    Forwarded(upstream::Answer, Option<Bytes>),
    /// Made from the provider's answer; what was changed on both ways.
    Translated(upstream::Answer, translated::Answer, Ledger),
    /// The gateway's own, of which no provider knows.
    Own(Vec<u8>),
}

/// The size of a request's head as it stood on the wire, near enough.
fn head_size(parts: &http::request::Parts) -> usize {
    const SEPARATORS: usize = ": \r\n".len();
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + SEPARATORS);
    fields.sum::<usize>() + parts.uri.path_and_query().map_or(0, |target| target.as_str().len())
}

fn malformed(malformed: sniff::Malformed) -> Fault {
    let fault = Fault::client(Class::InvalidRequest, malformed.to_string());
    match malformed.param() {
        Some(param) => fault.with_param(param),
        None => fault,
    }
}

fn unknown_model(asked: &str) -> Fault {
    let message = format!("the model `{}` does not exist", context::excerpt(asked, context::MAX_EXCERPT));
    Fault::client(Class::NotFound, message).with_param("model").with_code("model_not_found")
}

/// An answer of the gateway's own, in JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let body = body.into();
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::full(body);
    response
}
