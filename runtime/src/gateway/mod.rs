//! The walk: one request from its head to its last byte, read top to bottom.

mod attempt;
mod balance;
mod body;
mod caller;
mod choices;
mod context;
mod counting;
mod explain;
mod failures;
mod forwarded;
mod lane;
mod passthrough;
mod plan;
mod read;
mod settle;
mod standing;
mod translated;
mod waiting;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::time::Instant;

use self::attempt::Committed;
pub use self::body::{Aborted, Body};
use self::caller::Caller;
use self::context::Ctx;
pub use self::lane::FIDELITY_HEADER;
use self::plan::Asking;
use self::standing::Standing;
use self::waiting::Company;
use crate::config::raw::Affinity;
use crate::config::{Limits, Settings};
use crate::dialect::{self, Operation, Recognised, sniff};
use crate::fault::{Class, Fault};
use crate::fetch::Fetcher;
use crate::lists;
use crate::route::affinity::{Near, Prompt, Served};
use crate::route::{Ladder, Router};
use crate::translate::Carriage;
use crate::translate::carriage::CarriageLimits;
use crate::upstream::{TlsError, Upstream};

/// Names the model that served a request.
pub const LANE_HEADER: HeaderName = HeaderName::from_static("x-busbar-lane");
/// How many models a request was sent to, where it was more than one.
pub const ATTEMPTS_HEADER: HeaderName = HeaderName::from_static("x-busbar-attempts");
/// Why a pool's policy put a model first; the one that served may be another.
pub const POLICY_HEADER: HeaderName = HeaderName::from_static("x-busbar-policy");
/// Names the provider that gets a call which names no model.
pub const PROVIDER_HEADER: HeaderName = HeaderName::from_static("x-busbar-provider");
/// Says that a number of tokens is an estimate, and how far it may be off.
pub const TOKENS_HEADER: HeaderName = HeaderName::from_static("busbar-tokens");
/// The gateway's own id of a request.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-busbar-request-id");

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub settings: Arc<Settings>,
    router: Router,
    carriage: Carriage,
    lasting: Arc<Lasting>,
    standing: Standing,
}

/// What outlasts a change of the settings.
#[derive(Debug, Default)]
struct Lasting {
    /// Set once the gateway takes no more requests.
    draining: AtomicBool,
    running: AtomicUsize,
    /// How often the settings were changed.
    changes: AtomicUsize,
    /// What was served where, for pools that send requests back there.
    served: Mutex<Served>,
}

impl Shared {
    /// What a gateway with these settings shares.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            router: Router::new(Arc::clone(&settings)),
            carriage: Carriage::new(CarriageLimits::default()),
            lasting: Arc::default(),
            standing: Standing::new(&settings, None),
            settings,
        }
    }

    /// The same gateway with other settings: what is known of its lanes, and what it keeps for callers, stays.
    #[must_use]
    pub fn changed(&self, settings: Arc<Settings>) -> Self {
        self.lasting.changes.fetch_add(1, Ordering::Relaxed);
        Self {
            router: Router::new(Arc::clone(&settings)),
            carriage: self.carriage.clone(),
            lasting: Arc::clone(&self.lasting),
            standing: Standing::new(&settings, Some(&self.standing)),
            settings,
        }
    }

    /// How often the settings were changed since the start.
    pub fn changes(&self) -> usize {
        self.lasting.changes.load(Ordering::Relaxed)
    }

    /// Takes no more requests from now on.
    pub fn drain(&self) {
        self.lasting.draining.store(true, Ordering::Relaxed);
    }

    /// Whether no more requests are taken.
    pub fn is_draining(&self) -> bool {
        self.lasting.draining.load(Ordering::Relaxed)
    }

    /// How every lane stands, as a JSON document for operators.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn lanes_shown(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(serde::Serialize)]
        struct Lanes<'a> {
            lanes: Vec<standing::Shown<'a>>,
        }
        serde_json::to_vec(&Lanes { lanes: self.standing.shown(&self.settings).collect() })
    }

    /// Every lane's name, and the name of its breaker's state.
    pub fn lane_states(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.standing.states()
    }

    /// Where a request was served before.
    fn near(&self, prompt: &Prompt) -> Near {
        let served = self.lasting.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.near(std::time::Instant::now(), prompt)
    }

    /// Notes where a request is served.
    fn note_served(&self, lane: usize, prompt: &Prompt) {
        let keeps = self.settings.providers[self.settings.lanes[lane].provider].cache_ttl;
        let mut served = self.lasting.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.note(std::time::Instant::now(), self.router.number(lane), prompt, keeps);
    }

    /// How many requests run at the moment, on all workers.
    pub fn running(&self) -> usize {
        self.lasting.running.load(Ordering::Relaxed)
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
        let upstreams =
            providers.map(|provider| Upstream::new(provider).map(Arc::new)).collect::<Result<_, _>>()?;
        let fetcher = Fetcher::new(shared.settings.fetch.clone())?;
        Ok(Self { shared, limits, upstreams, fetcher })
    }

    /// What all workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Closes idle connections that are of no more use.
    pub fn sweep(&self) {
        for upstream in &self.upstreams {
            upstream.sweep();
        }
    }

    /// Answers one request; never fails, since every failure has a form in the caller's dialect.
    pub async fn handle(self: &Arc<Self>, request: Request<hyper::body::Incoming>) -> Response<Body> {
        let company = Arc::new(Company::default());
        let mut ctx = Box::new(Ctx::new(&self.shared, &request, Arc::clone(&company)));
        let gateway = Arc::clone(self);
        let walk = Box::pin(async move {
            let result = gateway.walk(&mut ctx, request).await;
            (ctx, result)
        });
        waiting::answer(walk, company, self.limits.keep_alive).await
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
        let asked = named(&call, &sniffed)?;
        let streamed = call.operation == Operation::GenerateStream || sniffed.stream.unwrap_or(false);
        ctx.settlement.model = context::excerpt(asked.unwrap_or_default(), context::MAX_EXCERPT);
        ctx.settlement.streamed = streamed;
        let is_answer = matches!(call.operation, Operation::Generate | Operation::GenerateStream);
        if streamed && is_answer && !dialect::wants_array(&call, parts.uri.query()) {
            ctx.company.want(call.protocol, &ctx.settlement.request_id);
        }

        // 4. Choose the lanes that may serve, best first.
        let prompt = self.prompt(ctx.caller, &parts, asked, &body);
        let near = prompt.as_ref().map(|prompt| self.shared.near(prompt)).unwrap_or_default();
        let ladder = match asked {
            Some(asked) => self.ladder(asked, &near, &body).ok_or_else(|| unknown_model(asked))?,
            None => Ladder::of(self.home(&call, &parts.headers)?),
        };
        let mut asking = Asking {
            call: &call,
            parts: &parts,
            sniffed: &sniffed,
            body: &body,
            streamed,
            fidelity,
            fetched: HashMap::new(),
            repairs: Vec::new(),
            prompt,
            near: &near,
        };

        if call.operation == Operation::CountTokens {
            return self.count(ctx, &mut asking, &ladder, deadline).await;
        }

        // 5. Forward or translate, 6. send, 7. commit: one lane after the other, until one begins to answer.
        self.climb(ctx, &mut asking, &ladder, deadline).await

        // 8. Pump: what is left of the answer, and the settlement, travel with the response's body; it is
        // settled when that is over or dropped.
    }
}

impl Gateway {
    /// What of a request says where it had better go again, for a pool that asks.
    fn prompt(
        &self,
        caller: Caller,
        parts: &http::request::Parts,
        asked: Option<&str>,
        body: &[u8],
    ) -> Option<Prompt> {
        let affinity = self.shared.router.affinity(asked?);
        let whole = match affinity {
            Affinity::None => return None,
            Affinity::Session => false,
            Affinity::PromptCache => true,
        };
        Some(Prompt::of(&caller.scope(), &parts.headers, body, whole))
    }
}

/// The model that a call names, by its path or its body.
fn named<'a>(call: &'a dialect::Call<'_>, sniffed: &'a sniff::Sniffed) -> Result<Option<&'a str>, Fault> {
    match (&call.model, &sniffed.model) {
        (Some(model), _) => Ok(Some(model.as_ref())),
        (None, Some((model, _))) => Ok(Some(model.as_str())),
        (None, None) if passthrough::is_passed(call) => Ok(None),
        (None, None) => Err(Fault::client(Class::InvalidRequest, "`model` is missing").with_param("model")),
    }
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
