//! From what is written to what is meant.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use busbar_catalog::{Catalog, Model};
use secrecy::SecretString;
use serde_saphyr::{Location, Spanned};

use super::settings::{
    BaseUrl, Credential, Facts, FetchSettings, KEY_MARK, Lane, Limits, LogSettings, Member, Named, Pool,
    Provider, Settings, Timeouts,
};
use super::values::{is_variable_name, no_such, parse_base_url, read_secret, region_of_host};
use super::{ConfigError, raw};
use crate::Protocol;

/// Most worker threads.
const MAX_WORKERS: usize = 1024;

/// Lanes that one request may be sent to where a pool does not say.
const DEFAULT_ATTEMPTS: usize = 3;
/// How long a request waits for a place.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
/// Most requests that wait for one model.
const MAX_WAITING: usize = 100_000;
/// Most keys of one provider.
const MAX_KEYS: usize = 16;
/// The last tier of a pool.
const MAX_TIER: u8 = 9;
/// Most lanes that one request may be sent to.
const MAX_ATTEMPTS: usize = 16;

/// The variables that a configuration may refer to.
pub type Environment = HashMap<String, String>;

/// Resolves a configuration; without any provider in it, the catalog's providers whose key is set are served.
///
/// # Errors
/// [`ConfigError::Invalid`] naming the entry that cannot be resolved.
pub fn resolve(
    config: raw::Config,
    file: &str,
    catalog: &Catalog,
    environment: &Environment,
) -> Result<Settings, ConfigError> {
    let limits = limits(&config.limits.clone().unwrap_or_default());
    let breaker = config.breaker.unwrap_or_default();
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let resolver = Resolver { file, folder, catalog, environment, breaker, timeouts: Timeouts::of(&limits) };
    if let Some(version) = config.version.filter(|version| *version != 1) {
        let message = format!("version: {version} is not known to this build; the grammar it knows is 1");
        return Err(ConfigError::at(file, Location::UNKNOWN, message));
    }
    let (listen, listen_at) = match &config.listen {
        Some(listen) => (listen.value, listen.referenced),
        None => (SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), Location::UNKNOWN),
    };
    if !listen.ip().is_loopback() && config.auth.is_none() {
        let message = format!(
            "listen: {listen} can be reached by others and no keys are configured; say `auth: open` if that is meant, or listen on 127.0.0.1"
        );
        return Err(ConfigError::at(file, listen_at, message));
    }
    let files = resolver.files(&config);
    let providers = resolver.providers(&config.providers)?;
    let default_providers = resolver.default_providers(&config.default_providers, &providers)?;
    let lanes = resolver.lanes(&config.models, &providers)?;
    let pools = resolver.pools(&config.pools, &lanes)?;
    let mut names: HashMap<String, Named> = HashMap::new();
    let lone = lanes.iter().enumerate().filter(|(_, lane)| lane.key.is_none());
    names.extend(lone.map(|(at, lane)| (lane.name.clone(), Named::Lane(at))));
    names.extend(pools.iter().enumerate().map(|(at, pool)| (pool.name.clone(), Named::Pool(at))));
    Ok(Settings {
        listen,
        admin_listen: config
            .admin
            .and_then(|admin| admin.listen)
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081))),
        workers: workers(config.workers),
        fidelity: config.fidelity.unwrap_or_default(),
        log: log(config.log.as_ref()),
        limits,
        files,
        fetch: fetch(config.fetch.unwrap_or_default()),
        breaker,
        providers,
        default_providers,
        lanes,
        pools,
        names,
        catalog: Arc::new(catalog.clone()),
    })
}

/// The name of the simulator as a provider.
pub const SIMULATOR: &str = "simulator";

/// Adds the simulator, which speaks all protocols at one address, as the provider `simulator`.
pub fn with_simulator(settings: &mut Settings, address: SocketAddr) {
    settings.providers.push(Provider {
        name: SIMULATOR.into(),
        protocols: Protocol::ALL.to_vec(),
        base: BaseUrl {
            tls: false,
            host: address.ip().to_string(),
            port: address.port(),
            authority: address.to_string(),
            path: String::new(),
        },
        credential: Credential::Key(SecretString::from("simulator")),
        ca_file: None,
        catalog: SIMULATOR.into(),
        facts: Facts { max_tokens_field: raw::MaxTokensField::MaxCompletionTokens, ..Facts::default() },
        said: Box::default(),
        timeouts: Timeouts::of(&settings.limits),
        cache_ttl: Duration::ZERO,
    });
}

/// How long a provider keeps a prompt after its last use, as its documents say; Google tells nothing of the time of
/// its implicit caches, and is taken for the shortest of the others.
const fn usual_cache_ttl(protocol: Protocol) -> Duration {
    match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => Duration::from_secs(600),
        Protocol::Anthropic | Protocol::Gemini | Protocol::Bedrock => Duration::from_secs(300),
        Protocol::Cohere => Duration::ZERO,
    }
}

/// The catalog's name for a protocol, as the rest of the gateway has it.
const fn spoken(name: busbar_catalog::Protocol) -> Protocol {
    match name {
        busbar_catalog::Protocol::OpenaiChat => Protocol::OpenaiChat,
        busbar_catalog::Protocol::OpenaiResponses => Protocol::OpenaiResponses,
        busbar_catalog::Protocol::Anthropic => Protocol::Anthropic,
        busbar_catalog::Protocol::Gemini => Protocol::Gemini,
        busbar_catalog::Protocol::Bedrock => Protocol::Bedrock,
        busbar_catalog::Protocol::Cohere => Protocol::Cohere,
    }
}

fn workers(configured: Option<usize>) -> usize {
    configured
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
        .clamp(1, MAX_WORKERS)
}

fn log(raw: Option<&raw::Log>) -> LogSettings {
    LogSettings {
        format: raw.and_then(|log| log.format).unwrap_or_default(),
        level: raw.and_then(|log| log.level).unwrap_or_default(),
        access: raw.and_then(|log| log.access).unwrap_or(true),
    }
}

fn limits(raw: &raw::Limits) -> Limits {
    let default = Limits::default();
    Limits {
        body: raw.body.map_or(default.body, |size| size.0),
        headers: raw.headers.map_or(default.headers, |size| size.0),
        concurrent_requests: raw.concurrent_requests.unwrap_or(default.concurrent_requests),
        connections: raw.connections.unwrap_or(default.connections),
        response: raw.response.map_or(default.response, |size| size.0),
        stream_line: raw.stream_line.map_or(default.stream_line, |size| size.0),
        stream_event: raw.stream_event.map_or(default.stream_event, |size| size.0),
        header_read: raw.header_read.map_or(default.header_read, |span| span.0),
        body_read: raw.body_read.map_or(default.body_read, |span| span.0),
        connect: raw.connect.map_or(default.connect, |span| span.0),
        first_byte: raw.first_byte.map_or(default.first_byte, |span| span.0),
        first_content: raw.first_content.map_or(default.first_content, |span| span.0),
        idle: raw.idle.map_or(default.idle, |span| span.0),
        keep_alive: raw.keep_alive.map_or(default.keep_alive, |span| span.0),
        client_stall: raw.client_stall.map_or(default.client_stall, |span| span.0),
        total: raw.total.map_or(default.total, |span| span.0),
        drain: raw.drain.map_or(default.drain, |span| span.0),
    }
}

fn fetch(raw: raw::Fetch) -> FetchSettings {
    let default = FetchSettings::default();
    FetchSettings {
        enabled: raw.enabled.unwrap_or(default.enabled),
        size: raw.size.map_or(default.size, |size| size.0),
        time: raw.time.map_or(default.time, |span| span.0),
        allow: raw.allow,
        ca_file: raw.ca_file,
    }
}

struct Resolver<'a> {
    file: &'a str,
    /// Where files are that are named without a place.
    folder: &'a Path,
    catalog: &'a Catalog,
    environment: &'a Environment,
    timeouts: Timeouts,
    breaker: raw::Breaker,
}

impl Resolver<'_> {
    fn error(&self, location: Location, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, location, message)
    }

    fn providers(
        &self,
        raw: &BTreeMap<String, Spanned<raw::Provider>>,
    ) -> Result<Vec<Provider>, ConfigError> {
        if raw.is_empty() {
            return self.catalog_providers();
        }
        let mut providers = Vec::with_capacity(raw.len());
        for (name, provider) in raw {
            let path = format!("providers.{name}");
            let keys = self.keys(&path, &provider.value, provider.referenced)?;
            let first = self.provider(name, &provider.value, keys.first(), provider.referenced)?;
            let more = keys.get(1..).unwrap_or_default().iter().enumerate().map(|(at, key)| Provider {
                name: format!("{name}{KEY_MARK}{}", at + 2),
                credential: Credential::Key(key.clone()),
                ..first.clone()
            });
            let more: Vec<_> = more.collect();
            providers.push(first);
            providers.extend(more);
        }
        Ok(providers)
    }

    /// What else than the configuration itself is read.
    fn files(&self, config: &raw::Config) -> Vec<PathBuf> {
        let providers = || config.providers.values().map(|provider| &provider.value);
        let keys = providers().flat_map(|provider| provider.api_key_file.iter().flat_map(raw::Several::all));
        let beside = keys.chain(&config.catalog).map(|file| self.folder.join(file));
        let fetch = config.fetch.as_ref().and_then(|fetch| fetch.ca_file.clone());
        let trusted = providers().filter_map(|provider| provider.ca_file.clone()).chain(fetch);
        beside.chain(trusted).collect()
    }

    fn default_providers(
        &self,
        named: &BTreeMap<raw::ProtocolName, Spanned<String>>,
        providers: &[Provider],
    ) -> Result<HashMap<Protocol, usize>, ConfigError> {
        let one = |(protocol, name): (&raw::ProtocolName, &Spanned<String>)| {
            let protocol = Protocol::from(*protocol);
            let place = providers.iter().position(|provider| provider.name == name.value);
            let place = place.ok_or_else(|| {
                let message = format!("default_providers.{protocol}: there is no provider `{}`", name.value);
                self.error(name.referenced, message)
            })?;
            if !providers[place].protocols.contains(&protocol) {
                let message = format!("default_providers.{protocol}: `{}` does not speak it", name.value);
                return Err(self.error(name.referenced, message));
            }
            Ok((protocol, place))
        };
        named.iter().map(one).collect()
    }

    /// The keys that a provider's entry names.
    fn keys(&self, path: &str, raw: &raw::Provider, at: Location) -> Result<Vec<SecretString>, ConfigError> {
        let mut keys = Vec::new();
        for variable in raw.api_key_env.iter().flat_map(raw::Several::all) {
            keys.push(SecretString::from(self.variable(path, "api_key_env", variable, at)?));
        }
        for file in raw.api_key_file.iter().flat_map(raw::Several::all) {
            let named = self.folder.join(file);
            let text = read_secret(&named).map_err(|reason| {
                self.error(at, format!("{path}.api_key_file: {}: {reason}", named.display()))
            })?;
            keys.push(SecretString::from(text));
        }
        let is_said = raw.api_key_env.is_some() || raw.api_key_file.is_some();
        if is_said && !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(self.error(at, format!("{path}: must name 1 to {MAX_KEYS} keys")));
        }
        Ok(keys)
    }

    /// The catalog's providers whose key the environment holds.
    fn catalog_providers(&self) -> Result<Vec<Provider>, ConfigError> {
        let known = self.catalog.providers().iter();
        let with_key = known.filter(|known| {
            self.first(&known.key_env).is_some()
                || (self.first(&known.access_key_env).is_some()
                    && self.first(&known.secret_key_env).is_some())
        });
        with_key
            .map(|known| self.provider(&known.name, &raw::Provider::default(), None, Location::UNKNOWN))
            .collect()
    }

    fn provider(
        &self,
        name: &str,
        raw: &raw::Provider,
        key: Option<&SecretString>,
        at: Location,
    ) -> Result<Provider, ConfigError> {
        let path = format!("providers.{name}");
        if name.is_empty() || name.contains(['/', KEY_MARK]) {
            let message =
                format!("{path}: a provider's name is not empty and holds no `/` and no `{KEY_MARK}`");
            return Err(self.error(at, message));
        }
        let known = self.catalog.provider(name);
        let protocols: Vec<Protocol> = match (&raw.protocols, raw.protocol) {
            (Some(_), Some(_)) => {
                return Err(self.error(at, format!("{path}: say either `protocol` or `protocols`")));
            }
            (Some(list), None) => list.iter().map(|name| (*name).into()).collect(),
            (None, Some(one)) => vec![one.into()],
            (None, None) => known
                .map(|known| known.protocols.iter().map(|name| spoken(*name)).collect())
                .unwrap_or_default(),
        };
        if protocols.is_empty() {
            let message = format!(
                "{path}.protocol: missing; `{name}` is not in the catalog, so say which protocol it speaks"
            );
            return Err(self.error(at, message));
        }
        let region = raw.region.clone().or_else(|| known.and_then(|known| self.first(&known.region_env)));
        let Some(base_url) = raw.base_url.clone().or_else(|| known.map(|known| known.base_url.clone()))
        else {
            let message =
                format!("{path}.base_url: missing; `{name}` is not in the catalog, so say where it is");
            return Err(self.error(at, message));
        };
        let base_url = match (base_url.contains("{region}"), &region) {
            (true, None) => {
                let message = format!("{path}.region: missing; the base URL needs one");
                return Err(self.error(at, message));
            }
            (true, Some(region)) => base_url.replace("{region}", region),
            (false, _) => base_url,
        };
        let base = parse_base_url(&base_url)
            .map_err(|reason| self.error(at, format!("{path}.base_url: `{base_url}` {reason}")))?;
        let credential = match key {
            Some(key) => Credential::Key(key.clone()),
            None => self.credential(&path, raw, known, region.as_deref(), &base, at)?,
        };
        let catalog = raw.catalog.as_deref().unwrap_or(name);
        let like = self.catalog.provider(catalog);
        if raw.catalog.is_some() && like.is_none() && self.catalog.models().all(|m| m.provider != catalog) {
            let names = self.catalog.providers().iter().map(|known| known.name.as_str());
            let message = format!("{path}.catalog: {}", no_such("provider", catalog, names, "the catalog"));
            return Err(self.error(at, message));
        }
        let cache_ttl = raw.cache_ttl.map_or_else(|| usual_cache_ttl(protocols[0]), |span| span.0);
        Ok(Provider {
            name: name.to_owned(),
            protocols,
            base,
            credential,
            ca_file: raw.ca_file.clone(),
            catalog: catalog.to_owned(),
            facts: provider_facts(like),
            said: Box::new(said_of_provider(raw)),
            timeouts: self.timeouts.but(raw.timeouts.as_ref()),
            cache_ttl,
        })
    }

    fn credential(
        &self,
        path: &str,
        raw: &raw::Provider,
        known: Option<&busbar_catalog::Provider>,
        region: Option<&str>,
        base: &BaseUrl,
        at: Location,
    ) -> Result<Credential, ConfigError> {
        let signs = raw.access_key_env.is_some() || raw.secret_key_env.is_some();
        if !signs && let Some(key) = known.and_then(|known| self.first(&known.key_env)) {
            return Ok(Credential::Key(SecretString::from(key)));
        }
        let pick = |field: &'static str,
                    named: &Option<String>,
                    usual: fn(&busbar_catalog::Provider) -> &[String]| {
            match named {
                Some(variable) => self.variable(path, field, variable, at).map(Some),
                None => Ok(known.and_then(|known| self.first(usual(known)))),
            }
        };
        let access_key = pick("access_key_env", &raw.access_key_env, |known| &known.access_key_env)?;
        let secret_key = pick("secret_key_env", &raw.secret_key_env, |known| &known.secret_key_env)?;
        let session_token =
            pick("session_token_env", &raw.session_token_env, |known| &known.session_token_env)?;
        match (access_key, secret_key) {
            (Some(access_key), Some(secret_key)) => {
                let region =
                    region.map(str::to_owned).or_else(|| region_of_host(&base.host)).ok_or_else(|| {
                        self.error(at, format!("{path}.region: missing; a signature is made for one region"))
                    })?;
                Ok(Credential::SigV4 {
                    access_key,
                    secret_key: SecretString::from(secret_key),
                    session_token: session_token.map(SecretString::from),
                    region,
                })
            }
            (None, None) => match known {
                Some(known) if !known.key_env.is_empty() && raw.base_url.is_none() => {
                    let message = format!(
                        "{path}.api_key_env: missing; none of {} is set in the environment",
                        known.key_env.join(", ")
                    );
                    Err(self.error(at, message))
                }
                _ => Ok(Credential::None),
            },
            (Some(_), None) => {
                Err(self.error(at, format!("{path}.secret_key_env: missing beside the access key")))
            }
            (None, Some(_)) => {
                Err(self.error(at, format!("{path}.access_key_env: missing beside the secret key")))
            }
        }
    }

    /// The value of a variable that the configuration names.
    fn variable(&self, path: &str, field: &str, variable: &str, at: Location) -> Result<String, ConfigError> {
        let value =
            self.environment.get(variable).map(|value| value.trim()).filter(|value| !value.is_empty());
        let Some(value) = value else {
            // A secret pasted where a name belongs must not be echoed.
            let shown =
                if is_variable_name(variable) { format!("`{variable}`") } else { "what it names".to_owned() };
            return Err(
                self.error(at, format!("{path}.{field}: the environment variable {shown} is not set"))
            );
        };
        if http::HeaderValue::from_str(value).is_err() {
            let message = format!("{path}.{field}: the value of `{variable}` cannot be sent in a header");
            return Err(self.error(at, message));
        }
        Ok(value.to_owned())
    }

    /// The first of these variables that is set and can be sent.
    fn first(&self, variables: &[String]) -> Option<String> {
        let values = variables.iter().filter_map(|variable| self.environment.get(variable));
        values
            .map(|value| value.trim())
            .find(|value| !value.is_empty() && http::HeaderValue::from_str(value).is_ok())
            .map(str::to_owned)
    }

    fn lanes(
        &self,
        raw: &BTreeMap<String, Spanned<raw::Model>>,
        providers: &[Provider],
    ) -> Result<Vec<Lane>, ConfigError> {
        let mut lanes = Vec::with_capacity(raw.len());
        for (name, model) in raw {
            let at = model.referenced;
            let model = &model.value;
            if name.is_empty() {
                return Err(self.error(at, "models: a model's name is not empty"));
            }
            let Some(provider) = providers.iter().position(|provider| provider.name == model.provider) else {
                let names = providers.iter().map(|provider| provider.name.as_str());
                let message = format!(
                    "models.{name}.provider: {}",
                    no_such("provider", &model.provider, names, "providers")
                );
                return Err(self.error(at, message));
            };
            if model.max_concurrent == Some(0) {
                return Err(self.error(at, format!("models.{name}.max_concurrent: must be 1 or more")));
            }
            if model.max_waiting.is_some_and(|waiting| waiting > MAX_WAITING) {
                return Err(
                    self.error(at, format!("models.{name}.max_waiting: must be {MAX_WAITING} or less"))
                );
            }
            if model.max_waiting.is_some() && model.max_concurrent.is_none() {
                let message =
                    format!("models.{name}.max_waiting: nothing is waited for without `max_concurrent`");
                return Err(self.error(at, message));
            }
            if model.max_output_tokens == Some(0) {
                return Err(self.error(at, format!("models.{name}.max_output_tokens: must be 1 or more")));
            }
            if model.context_window == Some(0) {
                return Err(self.error(at, format!("models.{name}.context_window: must be 1 or more")));
            }
            let upstream_model = model.upstream_model.clone().unwrap_or_else(|| name.clone());
            let at_provider = &providers[provider];
            let mut known = said_of_model(model).or(&at_provider.said);
            if let Some(more) = self.catalog.model(&at_provider.catalog, &upstream_model) {
                known = known.or(&more);
            }
            let lane = Lane {
                name: name.clone(),
                provider,
                key: None,
                upstream_model,
                max_concurrent: model.max_concurrent,
                max_waiting: model.max_waiting.unwrap_or(0),
                max_wait: model.max_wait.map_or(DEFAULT_WAIT, |span| span.0),
                facts: Facts::of(&known, at_provider.facts),
                title: known.name,
                timeouts: providers[provider].timeouts.but(model.timeouts.as_ref()),
                breaker: self.breaker.but(model.breaker),
            };
            let keys = keys_of(&providers[provider..]);
            if keys == 1 {
                lanes.push(lane);
                continue;
            }
            lanes.extend((0..keys).map(|at| Lane {
                name: format!("{name}{KEY_MARK}{}", at + 1),
                provider: provider + at,
                key: Some(name.clone()),
                ..lane.clone()
            }));
        }
        Ok(lanes)
    }

    fn pools(
        &self,
        raw: &BTreeMap<String, Spanned<raw::Pool>>,
        lanes: &[Lane],
    ) -> Result<Vec<Pool>, ConfigError> {
        let mut pools = Vec::with_capacity(raw.len());
        for (name, pool) in raw {
            if lanes.iter().any(|lane| lane.name == *name || lane.key.as_ref() == Some(name)) {
                return Err(self.error(pool.referenced, format!("pools.{name}: a model has the same name")));
            }
            let mut members = Vec::with_capacity(pool.value.members.len());
            for (number, member) in pool.value.members.iter().enumerate() {
                let path = format!("pools.{name}.members[{number}]");
                let named = |lane: &&Lane| lane.key.as_ref().unwrap_or(&lane.name) == &member.value.model;
                let Some(lane) = lanes.iter().position(|lane| named(&lane)) else {
                    let names = lanes.iter().map(|lane| lane.key.as_ref().unwrap_or(&lane.name).as_str());
                    let message =
                        format!("{path}.model: {}", no_such("model", &member.value.model, names, "models"));
                    return Err(self.error(member.referenced, message));
                };
                let member = self.member(&path, lane, member)?;
                members.push((member, lanes.iter().filter(named).count()));
            }
            let mut members = by_key(&members);
            if !members.iter().any(|member| member.weight > 0 && member.tier == 0) {
                let message =
                    format!("pools.{name}.members: at least one must have a weight and not be on standby");
                return Err(self.error(pool.referenced, message));
            }
            let most_out = pool.value.most_out.unwrap_or(1.0);
            if !(0.0..=1.0).contains(&most_out) {
                let message = format!("pools.{name}.most_out: must be a share from 0 to 1");
                return Err(self.error(pool.referenced, message));
            }
            members.sort_by_key(|member| (member.tier, member.weight == 0));
            let attempts = pool.value.attempts.unwrap_or(DEFAULT_ATTEMPTS);
            if !(1..=MAX_ATTEMPTS).contains(&attempts) {
                let message = format!("pools.{name}.attempts: must be 1 to {MAX_ATTEMPTS}");
                return Err(self.error(pool.referenced, message));
            }
            pools.push(Pool {
                name: name.clone(),
                fidelity: pool.value.fidelity,
                attempts,
                deadline: pool.value.deadline.map(|span| span.0),
                timeouts: pool.value.timeouts,
                policy: pool.value.policy.unwrap_or_default(),
                affinity: pool.value.affinity.unwrap_or_default(),
                most_out,
                fallback: self.fallback(name, &pool.value, pool.referenced, raw)?,
                members,
            });
        }
        self.no_circles(raw, &pools)?;
        // A model with several keys is a pool of its lanes.
        let mut names: Vec<&String> = lanes.iter().filter_map(|lane| lane.key.as_ref()).collect();
        names.dedup();
        for name in names {
            let members = lanes.iter().enumerate().filter(|(_, lane)| lane.key.as_ref() == Some(name));
            let members: Vec<_> = members.map(|(lane, _)| Member { lane, weight: 1, tier: 0 }).collect();
            pools.push(Pool {
                name: name.clone(),
                fidelity: None,
                attempts: DEFAULT_ATTEMPTS,
                deadline: None,
                timeouts: None,
                policy: raw::Policy::default(),
                affinity: raw::Affinity::default(),
                most_out: 1.0,
                fallback: None,
                members,
            });
        }
        Ok(pools)
    }

    fn member(&self, path: &str, lane: usize, raw: &Spanned<raw::Member>) -> Result<Member, ConfigError> {
        let member = &raw.value;
        if member.standby && member.weight.is_some() {
            let message =
                format!("{path}.weight: a member on standby has no weight; say `tier` to give it one");
            return Err(self.error(raw.referenced, message));
        }
        if member.standby && member.tier.is_some() {
            return Err(self.error(raw.referenced, format!("{path}: say either `standby` or `tier`")));
        }
        if member.tier.is_some_and(|tier| tier > MAX_TIER) {
            return Err(self.error(raw.referenced, format!("{path}.tier: must be 0 to {MAX_TIER}")));
        }
        let tier = member.tier.unwrap_or(u8::from(member.standby));
        Ok(Member { lane, weight: member.weight.unwrap_or(1), tier })
    }

    /// The pool behind a pool, by its place among all.
    fn fallback(
        &self,
        name: &str,
        pool: &raw::Pool,
        at: Location,
        all: &BTreeMap<String, Spanned<raw::Pool>>,
    ) -> Result<Option<usize>, ConfigError> {
        let Some(fallback) = &pool.fallback else { return Ok(None) };
        let place = all.keys().position(|known| known == fallback);
        place.map(Some).ok_or_else(|| {
            let names = all.keys().map(String::as_str);
            let message = format!("pools.{name}.fallback: {}", no_such("pool", fallback, names, "pools"));
            self.error(at, message)
        })
    }

    /// A request that goes from fallback to fallback must come to an end.
    fn no_circles(
        &self,
        raw: &BTreeMap<String, Spanned<raw::Pool>>,
        pools: &[Pool],
    ) -> Result<(), ConfigError> {
        for (start, pool) in pools.iter().enumerate() {
            let mut way = vec![pool.name.as_str()];
            let mut next = pool.fallback;
            while let Some(at) = next {
                way.push(&pools[at].name);
                if at == start {
                    let message =
                        format!("pools.{}.fallback: goes in a circle: {}", pool.name, way.join(" > "));
                    let location = raw.get(&pool.name).map_or(Location::UNKNOWN, |pool| pool.referenced);
                    return Err(self.error(location, message));
                }
                // A circle further on is found when it is started from.
                next = pools[at].fallback.filter(|_| way.len() <= pools.len());
            }
        }
        Ok(())
    }
}

/// How many keys the first of these providers has, each of which is a provider.
fn keys_of(providers: &[Provider]) -> usize {
    let Some((first, more)) = providers.split_first() else { return 0 };
    let is_key = |other: &&Provider| {
        other.name.strip_prefix(&first.name).is_some_and(|rest| rest.starts_with(KEY_MARK))
    };
    1 + more.iter().take_while(is_key).count()
}

/// Members by key: those of one model share its weight.
fn by_key(members: &[(Member, usize)]) -> Vec<Member> {
    // Weights are whole numbers, so that all grow by what each may have to be divided by.
    let scale = members.iter().map(|(_, keys)| *keys).fold(1_usize, |all, keys| all * keys / gcd(all, keys));
    let each = |(member, keys): &(Member, usize)| {
        let share = u32::try_from(scale / keys).unwrap_or(u32::MAX);
        let member = Member { weight: member.weight.saturating_mul(share), ..*member };
        (0..*keys).map(move |at| Member { lane: member.lane + at, ..member })
    };
    members.iter().flat_map(each).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What the catalog says of all models of a provider.
fn provider_facts(known: Option<&busbar_catalog::Provider>) -> Facts {
    let mut facts = Facts::default();
    if let Some(known) = known {
        facts.max_tokens_field = known.max_tokens_field.into();
        facts.reasoning_history = known.reasoning_history;
    }
    facts
}

/// What the configuration says of all models of a provider.
fn said_of_provider(raw: &raw::Provider) -> Model {
    Model {
        max_tokens_field: raw.max_tokens_field.map(Into::into),
        reasoning_history: raw.reasoning_history,
        ..Model::default()
    }
}

/// What the configuration says of a model.
fn said_of_model(raw: &raw::Model) -> Model {
    Model {
        context_window: raw.context_window,
        max_output_tokens: raw.max_output_tokens,
        max_tokens_field: raw.max_tokens_field.map(Into::into),
        reasoning: raw.reasoning.map(Into::into),
        reasoning_off: raw.reasoning_off,
        reasoning_history: raw.reasoning_history,
        sampling: raw.sampling,
        sampling_together: raw.sampling_together,
        prefill: raw.prefill,
        forced_tools: raw.forced_tools,
        vision: raw.vision,
        documents: raw.documents,
        audio: raw.audio,
        schema: raw.schema,
        tools: raw.tools,
        price: raw.price.map(|price| busbar_catalog::Price {
            input: price.input.0,
            output: price.output.0,
            cache_read: price.cache_read.map(|rate| rate.0),
            cache_write: price.cache_write.map(|rate| rate.0),
            long: None,
        }),
        ..Model::default()
    }
}
