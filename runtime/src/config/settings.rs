//! The configuration, resolved: nothing here is optional that cannot be absent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Protocol;
use busbar_catalog::{Catalog, Model, Price};
use ipnet::IpNet;
use secrecy::SecretString;

use super::raw::{self, Fidelity, LogFormat, LogLevel, MaxTokensField, Reasoning};
use super::units::Span;

/// Stands before the number of a key in the name of a lane, and of all but the first key in that of a provider.
pub(super) const KEY_MARK: char = '#';

/// All that a gateway needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the data port.
    pub listen: SocketAddr,
    /// Address of the operators' port.
    pub admin_listen: SocketAddr,
    /// Number of worker threads.
    pub workers: usize,
    /// How much of a request may be lost where neither a pool nor the caller says.
    pub fidelity: Fidelity,
    /// What is logged.
    pub log: LogSettings,
    /// Bounds and deadlines.
    pub limits: Limits,
    /// What is fetched of what callers name by address.
    pub fetch: FetchSettings,
    /// What else than the configuration itself was read.
    pub files: Vec<PathBuf>,
    /// When a lane is left alone, where it does not say itself.
    pub breaker: raw::Breaker,
    /// Providers.
    pub providers: Vec<Provider>,
    /// Index of the provider that gets a protocol's calls which name no model.
    pub default_providers: HashMap<Protocol, usize>,
    /// Configured models.
    pub lanes: Vec<Lane>,
    /// Pools.
    pub pools: Vec<Pool>,
    /// What a client's model name means.
    pub names: HashMap<String, Named>,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
}

impl Settings {
    /// What is known of a model that a provider serves and no lane is configured for.
    pub fn facts_of(&self, provider: usize, upstream_model: &str) -> Facts {
        let provider = &self.providers[provider];
        let said = &provider.said;
        match self.catalog.model(&provider.catalog, upstream_model) {
            Some(known) => Facts::of(&said.clone().or(&known), provider.facts),
            None => Facts::of(said, provider.facts),
        }
    }
}

/// What is logged.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// How.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
    /// Whether each request leaves a record.
    pub access: bool,
}

/// Bounds and deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body: usize,
    /// Largest request head, in bytes.
    pub headers: usize,
    /// Most requests at a time.
    pub concurrent_requests: usize,
    /// Most client connections at a time.
    pub connections: usize,
    /// Largest answer that is translated as a whole, in bytes.
    pub response: usize,
    /// Longest line of a translated stream, in bytes.
    pub stream_line: usize,
    /// Largest event of a translated stream, in bytes.
    pub stream_event: usize,
    /// Time for a request's head.
    pub header_read: Duration,
    /// Longest pause in a request's body.
    pub body_read: Duration,
    /// Time to connect to a provider.
    pub connect: Duration,
    /// Time to the first byte of an answer.
    pub first_byte: Duration,
    /// Time to the first content of an answer.
    pub first_content: Duration,
    /// Longest pause in an answer.
    pub idle: Duration,
    /// Longest silence in a translated stream before the client is sent a sign of life; zero for none.
    pub keep_alive: Duration,
    /// Longest time that a client may take none of what is sent to it, or be out of reach.
    pub client_stall: Duration,
    /// Longest time of a request.
    pub total: Duration,
    /// Longest time that running requests have after a signal to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            headers: 64 << 10,
            concurrent_requests: 16_384,
            connections: 65_536,
            response: 64 << 20,
            stream_line: 8 << 20,
            stream_event: 16 << 20,
            header_read: Duration::from_secs(60),
            body_read: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(600),
            first_content: Duration::from_secs(600),
            idle: Duration::from_secs(600),
            keep_alive: Duration::from_secs(15),
            client_stall: Duration::from_secs(120),
            total: Duration::from_secs(3600),
            drain: Duration::from_secs(30),
        }
    }
}

/// Deadlines of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Time to connect.
    pub connect: Duration,
    /// Time to the first byte of the answer.
    pub first_byte: Duration,
    /// Time to the first content of the answer.
    pub first_content: Duration,
    /// Longest pause in the answer.
    pub idle: Duration,
    /// Longest time of it all.
    pub total: Duration,
}

impl Timeouts {
    /// Those that hold where nothing narrower is said.
    pub const fn of(limits: &Limits) -> Self {
        let Limits { connect, first_byte, first_content, idle, total, .. } = *limits;
        Self { connect, first_byte, first_content, idle, total }
    }

    /// These, but for what is said nearer to the request.
    #[must_use]
    pub fn but(self, nearer: Option<&raw::Timeouts>) -> Self {
        let Some(nearer) = nearer else { return self };
        let or = |said: Option<Span>, own: Duration| said.map_or(own, |said| said.0);
        Self {
            connect: or(nearer.connect, self.connect),
            first_byte: or(nearer.first_byte, self.first_byte),
            first_content: or(nearer.first_content, self.first_content),
            idle: or(nearer.idle, self.idle),
            total: or(nearer.total, self.total),
        }
    }
}

/// A provider that can be called.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The protocols it speaks, never empty, the preferred one first.
    pub protocols: Vec<Protocol>,
    /// Where it is.
    pub base: BaseUrl,
    /// How it knows us.
    pub credential: Credential,
    /// Certificates that are trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// The catalog's provider whose models it serves.
    pub catalog: String,
    /// What holds of its models where nothing more is known of them.
    pub facts: Facts,
    /// What the configuration says of all its models.
    pub said: Box<Model>,
    /// Deadlines of its answers.
    pub timeouts: Timeouts,
    /// How long it keeps a prompt in its cache after the last use.
    pub cache_ttl: Duration,
}

impl Provider {
    /// Whether it is the provider itself, or its first key, and not one more key of it.
    pub fn is_first_key(&self) -> bool {
        !self.name.contains(KEY_MARK)
    }

    /// The protocol to speak to it on behalf of a client: the client's own if it can, else its preferred one.
    pub fn protocol_for(&self, client: Protocol) -> Protocol {
        if self.protocols.contains(&client) { client } else { self.protocols[0] }
    }
}

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Value of the `host` header.
    pub authority: String,
    /// What stands before a call's own path; without a slash at the end.
    pub path: String,
}

/// How a provider knows us.
#[derive(Clone, Debug)]
pub enum Credential {
    /// It does not ask.
    None,
    /// A key, in the header its protocol has for it.
    Key(SecretString),
    /// An AWS signature.
    SigV4 {
        /// Access key id.
        access_key: String,
        /// Secret key.
        secret_key: SecretString,
        /// Token of a session.
        session_token: Option<SecretString>,
        /// Region that is signed for.
        region: String,
    },
}

/// What is known about a model: data, never a guess by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Most tokens of a prompt and its answer together, if that is known.
    pub context_window: Option<u64>,
    /// Most tokens that it answers with, if that is known.
    pub max_output_tokens: Option<u64>,
    /// Under which name its chat server reads the bound of an answer.
    pub max_tokens_field: MaxTokensField,
    /// How it takes the wish to reason.
    pub reasoning: Reasoning,
    /// Whether it knows a word for "do not reason".
    pub reasoning_off: bool,
    /// Whether it takes reasoning of earlier turns back.
    pub reasoning_history: bool,
    /// Whether it takes temperature and the like.
    pub sampling: bool,
    /// Whether it takes temperature and probability mass together.
    pub sampling_together: bool,
    /// Whether it goes on with an answer that is begun for it.
    pub prefill: bool,
    /// Whether it can be made to call a tool.
    pub forced_tools: bool,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it costs, if that is known.
    pub price: Option<Price>,
}

/// What a model can do; none where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It sees pictures.
    pub vision: Option<bool>,
    /// It reads documents such as PDF.
    pub documents: Option<bool>,
    /// It hears.
    pub audio: Option<bool>,
    /// It can be held to a schema of its answer.
    pub schema: Option<bool>,
    /// It calls tools.
    pub tools: Option<bool>,
}

impl Facts {
    /// What is known, and where nothing is, what holds otherwise.
    pub fn of(known: &Model, otherwise: Facts) -> Facts {
        let can = otherwise.capabilities;
        Facts {
            context_window: known.context_window.or(otherwise.context_window),
            max_output_tokens: known.max_output_tokens.or(otherwise.max_output_tokens),
            max_tokens_field: known.max_tokens_field.map_or(otherwise.max_tokens_field, Into::into),
            reasoning: known.reasoning.map_or(otherwise.reasoning, Into::into),
            reasoning_off: known.reasoning_off.unwrap_or(otherwise.reasoning_off),
            reasoning_history: known.reasoning_history.unwrap_or(otherwise.reasoning_history),
            sampling: known.sampling.unwrap_or(otherwise.sampling),
            sampling_together: known.sampling_together.unwrap_or(otherwise.sampling_together),
            prefill: known.prefill.unwrap_or(otherwise.prefill),
            forced_tools: known.forced_tools.unwrap_or(otherwise.forced_tools),
            capabilities: Capabilities {
                vision: known.vision.or(can.vision),
                documents: known.documents.or(can.documents),
                audio: known.audio.or(can.audio),
                schema: known.schema.or(can.schema),
                tools: known.tools.or(can.tools),
            },
            price: known.price.or(otherwise.price),
        }
    }
}

/// What holds of a model of whose server nothing is known but that it follows a protocol.
impl Default for Facts {
    fn default() -> Self {
        Self {
            context_window: None,
            max_output_tokens: None,
            max_tokens_field: MaxTokensField::MaxTokens,
            reasoning: Reasoning::Budget,
            reasoning_off: false,
            reasoning_history: true,
            sampling: true,
            sampling_together: true,
            prefill: true,
            forced_tools: true,
            capabilities: Capabilities::default(),
            price: None,
        }
    }
}

/// A model at a provider.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The name clients and operators know it by.
    pub name: String,
    /// Index of its provider.
    pub provider: usize,
    /// The model's name, where its provider has several keys and this is one lane of several.
    pub key: Option<String>,
    /// What the provider calls it.
    pub upstream_model: String,
    /// Most requests to it at a time.
    pub max_concurrent: Option<usize>,
    /// Most requests that wait for a place.
    pub max_waiting: usize,
    /// How long one waits.
    pub max_wait: Duration,
    /// What its provider calls it towards people, if that is known.
    pub title: Option<String>,
    /// What is known about it.
    pub facts: Facts,
    /// Deadlines of its answers.
    pub timeouts: Timeouts,
    /// When it is left alone.
    pub breaker: raw::Breaker,
}

/// A group of lanes.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How much of a request may be lost where the caller does not say.
    pub fidelity: Option<Fidelity>,
    /// Most lanes that one request may be sent to.
    pub attempts: usize,
    /// Time in which an answer must have begun.
    pub deadline: Option<Duration>,
    /// Deadlines of each attempt, where they are not the lane's.
    pub timeouts: Option<raw::Timeouts>,
    /// How the next lane is chosen.
    pub policy: raw::Policy,
    /// What a request goes back to its earlier lane for.
    pub affinity: raw::Affinity,
    /// The share of its members that may be out at once because they failed.
    pub most_out: f64,
    /// Index of the pool that serves when no member of this one can; never in a circle.
    pub fallback: Option<usize>,
    /// Its members, those that serve before those on standby.
    pub members: Vec<Member>,
}

/// A lane in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Index of the lane.
    pub lane: usize,
    /// Share of the requests of its tier.
    pub weight: u32,
    /// 0 serves, the others stand by.
    pub tier: u8,
}

/// What a client's model name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Index of a lane.
    Lane(usize),
    /// Index of a pool.
    Pool(usize),
}

/// What is fetched, and how much of it.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// Whether anything is.
    pub enabled: bool,
    /// Bytes at most, of all that one request names together.
    pub size: usize,
    /// Time for all of it.
    pub time: Duration,
    /// Networks that may be reached though they are not public.
    pub allow: Vec<IpNet>,
    /// A file of certificates that are trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            size: 20 << 20,
            time: Duration::from_secs(15),
            allow: Vec::new(),
            ca_file: None,
        }
    }
}
