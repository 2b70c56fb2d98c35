//! The configuration file as it is written; its JSON Schema is made from these types.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::units::{Dollars, Size, Span};

/// The configuration of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this grammar; 1 is the only one so far.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1))]
    pub version: Option<u32>,
    /// Address of the data port; `127.0.0.1:8080` when absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub listen: Option<Spanned<SocketAddr>>,
    /// The operators' listener.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// `open` allows a data port without keys on an address that others can reach.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// File of more that is known of providers and models, in the form of the built-in catalog; what it says counts more.
    #[serde(default)]
    pub catalog: Option<PathBuf>,
    /// Number of worker threads; one for each core when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<usize>,
    /// How much of a request may be lost where a pool and the caller say nothing; `report` when absent.
    #[serde(default)]
    pub fidelity: Option<Fidelity>,
    /// What is written to standard error.
    #[serde(default)]
    pub log: Option<Log>,
    /// Bounds and deadlines.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// What is fetched of what callers name by address, for backends that take bytes alone.
    #[serde(default)]
    pub fetch: Option<Fetch>,
    /// When a model that fails is left alone, and for how long.
    #[serde(default)]
    pub breaker: Option<Breaker>,
    /// Providers by name; a name from the catalog needs its key alone.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Provider>")]
    pub providers: BTreeMap<String, Spanned<Provider>>,
    /// The provider that gets a protocol's calls which name no model: files, batches and the like.
    #[serde(default)]
    #[schemars(with = "BTreeMap<ProtocolName, String>")]
    pub default_providers: BTreeMap<ProtocolName, Spanned<String>>,
    /// Models that clients may name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Model>")]
    pub models: BTreeMap<String, Spanned<Model>>,
    /// Groups of models that clients may name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Pool>")]
    pub pools: BTreeMap<String, Spanned<Pool>>,
}

/// The operators' listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Its address; `127.0.0.1:8081` when absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
}

/// Who may call the data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Everybody who can reach it.
    Open,
}

/// What is written to standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` (the default) or `json`.
    #[serde(default)]
    pub format: Option<LogFormat>,
    /// The least level that is written; `info` when absent.
    #[serde(default)]
    pub level: Option<LogLevel>,
    /// Whether each request leaves an access record; true when absent.
    #[serde(default)]
    pub access: Option<bool>,
}

/// How much of what a caller says may be lost on the way to a backend that has no form for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// Nothing.
    Strict,
    /// What does not change the question or the answer; it is reported.
    #[default]
    Report,
    /// Anything; it is reported.
    Allow,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Failures of the gateway.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And why.
    Debug,
}

/// Bounds and deadlines; each has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body; 64MiB when absent.
    #[serde(default)]
    pub body: Option<Size>,
    /// Largest request head; 64KiB when absent.
    #[serde(default)]
    pub headers: Option<Size>,
    /// Most requests at a time; 16384 when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub concurrent_requests: Option<usize>,
    /// Most client connections at a time; 65536 when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub connections: Option<usize>,
    /// Largest answer that is translated as a whole; 64MiB when absent.
    #[serde(default)]
    pub response: Option<Size>,
    /// Longest line of a stream that is translated; 8MiB when absent.
    #[serde(default)]
    pub stream_line: Option<Size>,
    /// Largest event of a stream that is translated; 16MiB when absent.
    #[serde(default)]
    pub stream_event: Option<Size>,
    /// Time for a request's head to arrive, and for an idle connection to stay; 60s when absent.
    #[serde(default)]
    pub header_read: Option<Span>,
    /// Longest pause in a request's body; 30s when absent.
    #[serde(default)]
    pub body_read: Option<Span>,
    /// Time to connect to a provider, name lookup and TLS included; 10s when absent.
    #[serde(default)]
    pub connect: Option<Span>,
    /// Time from the request to the first byte of the answer; 10m when absent.
    #[serde(default)]
    pub first_byte: Option<Span>,
    /// Time from the request to the first content of the answer; 10m when absent.
    #[serde(default)]
    pub first_content: Option<Span>,
    /// Longest pause in a provider's answer; 10m when absent.
    #[serde(default)]
    pub idle: Option<Span>,
    /// Longest silence before a stream's client is sent a sign of life, before its first content and, of a translated one, within; 15s when absent, 0s for none.
    #[serde(default)]
    pub keep_alive: Option<Span>,
    /// Longest time that a client may take none of what is sent to it, or be out of reach; 2m when absent.
    #[serde(default)]
    pub client_stall: Option<Span>,
    /// Longest time of a request from first to last; 1h when absent.
    #[serde(default)]
    pub total: Option<Span>,
    /// How long running requests may go on after a signal to stop; 30s when absent.
    #[serde(default)]
    pub drain: Option<Span>,
}

/// Deadlines of an attempt; what is absent is decided further out: pool, model, provider, `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Time to connect, name lookup and TLS included.
    #[serde(default)]
    pub connect: Option<Span>,
    /// Time from the request to the first byte of the answer.
    #[serde(default)]
    pub first_byte: Option<Span>,
    /// Time from the request to the first content of the answer: of a stream its first words, otherwise all of it.
    #[serde(default)]
    pub first_content: Option<Span>,
    /// Longest pause in the answer.
    #[serde(default)]
    pub idle: Option<Span>,
    /// Longest time of an attempt from first to last.
    #[serde(default)]
    pub total: Option<Span>,
}

/// When a model that fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// How far back the rates look; 30s when absent.
    #[serde(default)]
    pub window: Option<Span>,
    /// Fewer results than this in the window say nothing about a rate; 10 when absent.
    #[serde(default)]
    pub least: Option<u32>,
    /// The share of failures in the window that takes a model out, 0 to 1; 0.5 when absent.
    #[serde(default)]
    pub rate: Option<f64>,
    /// So many failures in a row take a model out; 5 when absent, 0 for no such rule.
    #[serde(default)]
    pub consecutive: Option<u32>,
    /// How long it is out the first time, doubled with each time more; 1s when absent.
    #[serde(default)]
    pub cooldown: Option<Span>,
    /// Where the doubling ends; 60s when absent.
    #[serde(default)]
    pub longest: Option<Span>,
    /// A success whose first content took this long is slow; no such rule when absent.
    #[serde(default)]
    pub slow_after: Option<Span>,
    /// The share of slow ones in the window that takes a model out, 0 to 1; 0.5 when absent.
    #[serde(default)]
    pub slow_rate: Option<f64>,
    /// How long a model that is back gets less than its share; 10s when absent.
    #[serde(default)]
    pub ramp: Option<Span>,
    /// How much of a provider's `retry-after` is obeyed; 1h when absent.
    #[serde(default)]
    pub retry_after: Option<Span>,
}

impl Breaker {
    /// These rules, but for what is said nearer to the model.
    #[must_use]
    pub fn but(self, nearer: Option<Self>) -> Self {
        let Some(nearer) = nearer else { return self };
        Self {
            window: nearer.window.or(self.window),
            least: nearer.least.or(self.least),
            rate: nearer.rate.or(self.rate),
            consecutive: nearer.consecutive.or(self.consecutive),
            cooldown: nearer.cooldown.or(self.cooldown),
            longest: nearer.longest.or(self.longest),
            slow_after: nearer.slow_after.or(self.slow_after),
            slow_rate: nearer.slow_rate.or(self.slow_rate),
            ramp: nearer.ramp.or(self.ramp),
            retry_after: nearer.retry_after.or(self.retry_after),
        }
    }
}

/// What is fetched of what callers name by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Whether pictures and documents at public addresses are; true when absent.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Most bytes of all that one request names; 20MiB when absent.
    #[serde(default)]
    pub size: Option<Size>,
    /// Time for all of it; 15s when absent.
    #[serde(default)]
    pub time: Option<Span>,
    /// Networks, such as `10.1.0.0/16`, that may be reached though they are not public; none when absent.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<ipnet::IpNet>,
    /// File of PEM certificates that are trusted besides the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A provider of models; what the catalog knows need not be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The one protocol it speaks.
    #[serde(default)]
    pub protocol: Option<ProtocolName>,
    /// The catalog's provider whose models it serves; the one of its own name when absent.
    #[serde(default)]
    pub catalog: Option<String>,
    /// The protocols it speaks, the preferred one first.
    #[serde(default)]
    pub protocols: Option<Vec<ProtocolName>>,
    /// Base URL as the protocol's official SDK means it.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Environment variable that holds the API key; with several, each is a lane of its own behind every model.
    #[serde(default)]
    pub api_key_env: Option<Several<String>>,
    /// File that holds the API key, or several; read again with the configuration.
    #[serde(default)]
    pub api_key_file: Option<Several<PathBuf>>,
    /// Environment variable that holds the AWS access key id.
    #[serde(default)]
    pub access_key_env: Option<String>,
    /// Environment variable that holds the AWS secret key.
    #[serde(default)]
    pub secret_key_env: Option<String>,
    /// Environment variable that holds the AWS session token.
    #[serde(default)]
    pub session_token_env: Option<String>,
    /// Region, for a base URL that names one and for signatures.
    #[serde(default)]
    pub region: Option<String>,
    /// File of PEM certificates that are trusted besides the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Under which name its chat servers read the bound of an answer; from the catalog, else `max_tokens`.
    #[serde(default)]
    pub max_tokens_field: Option<MaxTokensField>,
    /// Whether its chat servers take reasoning of earlier turns back; from the catalog, else true.
    #[serde(default)]
    pub reasoning_history: Option<bool>,
    /// Deadlines of its answers; those of `limits` when absent.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// How long it keeps a prompt in its cache after the last use; by the protocol when absent, 0s for never.
    #[serde(default)]
    pub cache_ttl: Option<Span>,
}

/// One, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Several<T> {
    /// One.
    One(T),
    /// A list.
    List(Vec<T>),
}

impl<T> Several<T> {
    /// All of them.
    pub fn all(&self) -> &[T] {
        match self {
            Several::One(one) => std::slice::from_ref(one),
            Several::List(list) => list,
        }
    }
}

/// A protocol, by the name it has everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolName {
    /// OpenAI chat completions.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// Anthropic messages.
    Anthropic,
    /// Gemini generate content.
    Gemini,
    /// Amazon Bedrock converse.
    Bedrock,
    /// Cohere chat, second version.
    Cohere,
}

/// A model that clients may name.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name of its provider.
    pub provider: String,
    /// What the provider calls it; the model's own name when absent.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// Most requests to it at a time; no bound of its own when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_concurrent: Option<usize>,
    /// Most requests that wait for a place among those; none when absent.
    #[serde(default)]
    #[schemars(range(max = 100_000))]
    pub max_waiting: Option<usize>,
    /// How long one waits for a place; 10s when absent.
    #[serde(default)]
    pub max_wait: Option<Span>,
    /// Most tokens that it answers with; where a protocol demands a bound and the caller names none, this is sent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<u64>,
    /// Most tokens that a prompt and its answer have together; from the catalog when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub context_window: Option<u64>,
    /// Under which name its chat server reads the bound of an answer; the provider's when absent.
    #[serde(default)]
    pub max_tokens_field: Option<MaxTokensField>,
    /// How it takes the wish to reason, where its protocol knows several ways; `budget` when absent.
    #[serde(default)]
    pub reasoning: Option<Reasoning>,
    /// Whether it knows a word for "do not reason"; false when absent.
    #[serde(default)]
    pub reasoning_off: Option<bool>,
    /// Whether it takes reasoning of earlier turns back; the provider's when absent.
    #[serde(default)]
    pub reasoning_history: Option<bool>,
    /// Whether it takes temperature and the like; true when absent.
    #[serde(default)]
    pub sampling: Option<bool>,
    /// Whether it takes `temperature` and `top_p` together; true when absent.
    #[serde(default)]
    pub sampling_together: Option<bool>,
    /// Whether it goes on with an answer that is begun for it; true when absent.
    #[serde(default)]
    pub prefill: Option<bool>,
    /// Whether it can be made to call a tool; true when absent.
    #[serde(default)]
    pub forced_tools: Option<bool>,
    /// Whether it sees pictures; from the catalog when absent, as the rest.
    #[serde(default)]
    pub vision: Option<bool>,
    /// Whether it reads documents such as PDF.
    #[serde(default)]
    pub documents: Option<bool>,
    /// Whether it hears.
    #[serde(default)]
    pub audio: Option<bool>,
    /// Whether it can be held to a schema of its answer.
    #[serde(default)]
    pub schema: Option<bool>,
    /// Whether it calls tools.
    #[serde(default)]
    pub tools: Option<bool>,
    /// What it costs.
    #[serde(default)]
    pub price: Option<Price>,
    /// Deadlines of its answers; the provider's when absent.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// When it is left alone, and for how long; as `breaker` on top says when absent.
    #[serde(default)]
    pub breaker: Option<Breaker>,
}

/// What a million tokens cost, in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: Dollars,
    /// Of the answer.
    pub output: Dollars,
    /// Of the prompt, taken from the provider's cache; as `input` when absent.
    #[serde(default)]
    pub cache_read: Option<Dollars>,
    /// Of the prompt, put into the provider's cache; as `input` when absent.
    #[serde(default)]
    pub cache_write: Option<Dollars>,
}

/// The name under which a chat server reads the bound of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// The older name, which servers that follow OpenAI from afar read.
    MaxTokens,
    /// The newer name, the only one that OpenAI's reasoning models take.
    MaxCompletionTokens,
}

/// How a model takes the wish to reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// By a number of tokens.
    #[default]
    Budget,
    /// By a word for the effort; the model decides how much.
    Adaptive,
    /// As `adaptive`, and it cannot be kept from it.
    Always,
    /// Not at all.
    None,
}

/// A group of models that clients may name.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// How a member is chosen.
    #[serde(default)]
    pub policy: Option<Policy>,
    /// What a request goes back to its earlier model for, before the policy is asked.
    #[serde(default)]
    pub affinity: Option<Affinity>,
    /// How much of a request may be lost where the caller says nothing; the gateway's when absent.
    #[serde(default)]
    pub fidelity: Option<Fidelity>,
    /// Most models that one request may be sent to, one after the other; 3 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16))]
    pub attempts: Option<usize>,
    /// Time in which an answer must have begun, all attempts together; no bound of its own when absent.
    #[serde(default)]
    pub deadline: Option<Span>,
    /// Deadlines of each attempt; the model's when absent.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// The pool that serves when no member of this one can.
    #[serde(default)]
    pub fallback: Option<String>,
    /// The share of its members, 0 to 1, that may be out at once because they failed; 1 when absent.
    ///
    /// Past it the least bad are tried all the same: what fails everywhere may not be the providers' fault.
    #[serde(default)]
    pub most_out: Option<f64>,
    /// Its models.
    #[schemars(with = "Vec<Member>")]
    pub members: Vec<Spanned<Member>>,
}

/// How a member of a pool is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// In proportion to the weights, evenly spread.
    #[default]
    Weighted,
    /// The least expected cost, by the prices known.
    Cheapest,
    /// The shortest time to the first content of late; now and then another, to know about it.
    Fastest,
    /// The fewest requests in flight, for the limit or the weight.
    LeastBusy,
    /// The most that is left of the provider's quota.
    Usage,
}

/// What a request goes back to its earlier model for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// Nothing.
    #[default]
    None,
    /// The session that it names.
    Session,
    /// The longest beginning of its prompt that the model's provider is likely to have in its cache, else the session.
    PromptCache,
}

/// A model in a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Name of the model.
    pub model: String,
    /// Its share of the requests; 1 when absent.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// Serves on failover alone; the same as `tier: 1`.
    #[serde(default)]
    pub standby: bool,
    /// 0 serves, and is meant when absent; the others stand by, the lower before the higher.
    #[serde(default)]
    #[schemars(range(max = 9))]
    pub tier: Option<u8>,
}

impl From<ProtocolName> for crate::Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::OpenaiChat => Self::OpenaiChat,
            ProtocolName::OpenaiResponses => Self::OpenaiResponses,
            ProtocolName::Anthropic => Self::Anthropic,
            ProtocolName::Gemini => Self::Gemini,
            ProtocolName::Bedrock => Self::Bedrock,
            ProtocolName::Cohere => Self::Cohere,
        }
    }
}

/// Words that the configuration and the catalog share; each may only be said in both.
macro_rules! same_words {
    ($name:ident: $($word:ident),+) => {
        impl From<busbar_catalog::$name> for $name {
            fn from(word: busbar_catalog::$name) -> Self {
                match word {
                    $(busbar_catalog::$name::$word => Self::$word,)+
                }
            }
        }

        impl From<$name> for busbar_catalog::$name {
            fn from(word: $name) -> Self {
                match word {
                    $($name::$word => Self::$word,)+
                }
            }
        }
    };
}

same_words!(MaxTokensField: MaxTokens, MaxCompletionTokens);
same_words!(Reasoning: Budget, Adaptive, Always, None);
