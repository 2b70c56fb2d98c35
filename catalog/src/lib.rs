//! Providers, models, prices and capabilities as data.
//!
//! The facts live in `catalog/data`; this crate only reads them.
//!
//! ```
//! let catalog = busbar_catalog::Catalog::embedded()?;
//! let anthropic = catalog.provider("anthropic").ok_or("not in the catalog")?;
//! assert_eq!(anthropic.base_url, "https://api.anthropic.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod model;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use model::{LongPrice, Model, Price, Rate, Reasoning, Used};

/// The data of this build, by the names of its files.
const DATA: [(&str, &str); 10] = [
    ("providers.toml", include_str!("../data/providers.toml")),
    ("models/anthropic.toml", include_str!("../data/models/anthropic.toml")),
    ("models/bedrock.toml", include_str!("../data/models/bedrock.toml")),
    ("models/cohere.toml", include_str!("../data/models/cohere.toml")),
    ("models/deepseek.toml", include_str!("../data/models/deepseek.toml")),
    ("models/gemini.toml", include_str!("../data/models/gemini.toml")),
    ("models/groq.toml", include_str!("../data/models/groq.toml")),
    ("models/mistral.toml", include_str!("../data/models/mistral.toml")),
    ("models/openai.toml", include_str!("../data/models/openai.toml")),
    ("models/xai.toml", include_str!("../data/models/xai.toml")),
];

/// How many models may be said to be as another in a row.
const MAX_SAME: usize = 4;

/// One of the six wire protocols, under the one name it has everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
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

impl Protocol {
    /// All six, in the order of the documentation.
    pub const ALL: [Protocol; 6] = [
        Protocol::OpenaiChat,
        Protocol::OpenaiResponses,
        Protocol::Anthropic,
        Protocol::Gemini,
        Protocol::Bedrock,
        Protocol::Cohere,
    ];

    /// The name in configuration, logs, metrics and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::OpenaiChat => "openai_chat",
            Protocol::OpenaiResponses => "openai_responses",
            Protocol::Anthropic => "anthropic",
            Protocol::Gemini => "gemini",
            Protocol::Bedrock => "bedrock",
            Protocol::Cohere => "cohere",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known about one provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name in configuration and in `provider/model`.
    pub name: String,
    /// The protocols it speaks, the preferred one first.
    pub protocols: Vec<Protocol>,
    /// Base URL as the official SDK of the protocol means it; may hold `{region}`.
    pub base_url: String,
    /// Environment variables that may hold the API key, first set one wins; none for a keyless provider.
    pub key_env: Vec<String>,
    /// Environment variables that may hold an AWS access key id.
    #[serde(default)]
    pub access_key_env: Vec<String>,
    /// Environment variables that may hold an AWS secret key.
    #[serde(default)]
    pub secret_key_env: Vec<String>,
    /// Environment variables that may hold an AWS session token.
    #[serde(default)]
    pub session_token_env: Vec<String>,
    /// Environment variables that may name the region.
    #[serde(default)]
    pub region_env: Vec<String>,
    /// Under which name its chat servers read the bound of an answer.
    #[serde(default)]
    pub max_tokens_field: MaxTokensField,
    /// Whether its chat servers take reasoning of earlier turns back.
    #[serde(default = "yes")]
    pub reasoning_history: bool,
}

const fn yes() -> bool {
    true
}

/// The name under which a chat server reads the bound of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// The older name, which servers that follow OpenAI from afar read.
    MaxTokens,
    /// The newer name, the only one that OpenAI's reasoning models take.
    #[default]
    MaxCompletionTokens,
}

/// All providers and models that are known.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    providers: Vec<Provider>,
    /// What was read later counts more.
    layers: Vec<Layer>,
}

/// What one file says of models.
#[derive(Clone, Debug, Default)]
struct Layer {
    models: Vec<Model>,
    /// What may stand before an id of all these models to say where it is served.
    places: Vec<String>,
}

/// A file of a catalog.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    models_of: Option<String>,
    places: Vec<String>,
    provider: Vec<Provider>,
    model: Vec<Model>,
}

/// The data cannot be used; of the embedded data a test keeps this from being released.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It is not TOML of this grammar.
    #[error("the catalog `{file}` is broken: {error}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, and where.
        error: Box<toml::de::Error>,
    },
    /// It says something that cannot be.
    #[error("the catalog `{file}` is broken: {message}")]
    Meaning {
        /// The file.
        file: String,
        /// What.
        message: String,
    },
}

impl Catalog {
    /// Reads the data this build carries.
    ///
    /// # Errors
    /// [`Broken`] when the embedded data does not parse.
    pub fn embedded() -> Result<Self, Broken> {
        let mut catalog = Catalog::default();
        for (file, text) in DATA {
            catalog.add(file, text)?;
        }
        Ok(catalog)
    }

    /// Reads more: what it says of a provider or model counts more than what is known so far.
    ///
    /// # Errors
    /// [`Broken`], naming `file`; the catalog is as it was then.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Broken> {
        let read: File = toml::from_str(text)
            .map_err(|error| Broken::Syntax { file: file.to_owned(), error: Box::new(error) })?;
        let meaning = |message: String| Broken::Meaning { file: file.to_owned(), message };
        let mut models = read.model;
        for model in &mut models {
            if model.provider.is_empty() {
                model.provider = read.models_of.clone().unwrap_or_default();
            }
            let named = model.ids.first().or(model.prefixes.first());
            let Some(named) = named.filter(|named| !named.is_empty()) else {
                return Err(meaning("a model has neither `ids` nor `prefixes`".to_owned()));
            };
            if model.provider.is_empty() {
                return Err(meaning(format!("the model `{named}` has no `provider`")));
            }
        }
        for provider in read.provider {
            if provider.protocols.is_empty() {
                return Err(meaning(format!("the provider `{}` has no protocols", provider.name)));
            }
            match self.providers.iter_mut().find(|known| known.name == provider.name) {
                Some(known) => *known = provider,
                None => self.providers.push(provider),
            }
        }
        self.layers.push(Layer { models, places: read.places });
        Ok(())
    }

    /// All providers; those of this build are sorted by name.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// All models, as they were written down.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.layers.iter().flat_map(|layer| &layer.models)
    }

    /// A model's id without what may stand before it to say where it is served.
    pub fn without_place<'a>(&self, provider: &str, id: &'a str) -> &'a str {
        let layers = self.layers.iter().rev();
        let mut of_provider =
            layers.filter(|layer| layer.models.iter().any(|model| model.provider == provider));
        of_provider.find_map(|layer| model::place_of(id, &layer.places)).unwrap_or(id)
    }

    /// What is known of a provider's model.
    pub fn model(&self, provider: &str, id: &str) -> Option<Model> {
        self.known(provider, id, MAX_SAME)
    }

    fn known(&self, provider: &str, id: &str, same: usize) -> Option<Model> {
        let found = self.layers.iter().rev().filter_map(|layer| layer.best(provider, id));
        let mut known = found.reduce(|over, under| over.or(&under))?;
        if let Some((provider, id)) = known.same_as.as_deref().and_then(|same| same.split_once('/'))
            && same > 0
            && let Some(other) = self.known(provider, id, same - 1)
        {
            // What it costs depends on where it is bought.
            known = known.or(&Model { price: None, ..other });
        }
        Some(known)
    }
}

impl Layer {
    /// The model that an id fits best.
    fn best(&self, provider: &str, id: &str) -> Option<Model> {
        let fits = self.models.iter().filter(|model| model.provider == provider);
        let fits = fits.filter_map(|model| Some((model.fit(id, &self.places)?, model)));
        let (fit, model) = fits.max_by_key(|(fit, _)| *fit)?;
        let price = model.price.filter(|_| fit != model::Fit::Elsewhere);
        Some(Model { price, ..model.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_data_is_sound() {
        let catalog = Catalog::embedded().unwrap();
        let names: Vec<_> = catalog.providers().iter().map(|p| p.name.as_str()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted, "providers are sorted and unique");
        for provider in catalog.providers() {
            assert!(!provider.protocols.is_empty(), "{} speaks something", provider.name);
            assert!(!provider.base_url.ends_with('/'), "{}", provider.name);
            assert!(!provider.name.contains('/'), "{} can stand before a slash", provider.name);
        }
    }

    #[test]
    fn models_are_sound() {
        let catalog = Catalog::embedded().unwrap();
        let mut ids = std::collections::HashSet::new();
        for model in catalog.models() {
            assert!(catalog.provider(&model.provider).is_some(), "{}", model.provider);
            for id in &model.ids {
                assert!(ids.insert((&model.provider, id)), "{id} is there twice");
                let known = catalog.model(&model.provider, id).unwrap();
                assert!(known.context_window.is_some(), "{id} has no window");
                let fits = known.max_output_tokens <= known.context_window;
                assert!(fits, "{id} answers with more than fits");
            }
            if let Some(price) = model.price {
                assert!(price.input <= price.output, "{:?}", model.ids);
                assert!(price.cache_read <= Some(price.input), "{:?}", model.ids);
                assert!(price.long.is_none_or(|long| long.input > price.input), "{:?}", model.ids);
            }
            if let Some(same) = &model.same_as {
                let (provider, id) = same.split_once('/').unwrap();
                assert!(catalog.model(provider, id).is_some(), "{same}");
            }
        }
        assert!(ids.len() > 60, "{}", ids.len());
    }

    #[test]
    fn a_model_served_elsewhere_is_the_same_at_another_price() {
        let catalog = Catalog::embedded().unwrap();
        let home = catalog.model("anthropic", "claude-sonnet-4-5").unwrap();
        let there = catalog.model("bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0").unwrap();
        assert_eq!(there.context_window, home.context_window);
        assert_eq!(there.sampling_together, Some(false));
        assert!(there.price.is_some());
        let europe = catalog.model("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0").unwrap();
        assert_eq!((europe.context_window, europe.price), (home.context_window, None));
        assert_eq!(catalog.model("bedrock", "claude-sonnet-4-5"), None);
        assert_eq!(catalog.without_place("bedrock", "us.amazon.nova-lite-v1:0"), "amazon.nova-lite-v1:0");
        assert_eq!(catalog.without_place("bedrock", "amazon.nova-lite-v1:0"), "amazon.nova-lite-v1:0");
        assert_eq!(catalog.without_place("openai", "us.x"), "us.x");
        assert_eq!(catalog.model("openai", "gpt-5.2-2027-01-01").unwrap().name.unwrap(), "GPT-5.2");
    }

    #[test]
    fn a_file_of_the_users_own_counts_more() {
        let mut catalog = Catalog::embedded().unwrap();
        let own = r#"
            [[provider]]
            name = "groq"
            protocols = ["openai_chat"]
            base_url = "https://groq.example/v1"
            key_env = []
            [[model]]
            provider = "anthropic"
            ids = ["claude-sonnet-4-5"]
            max_output_tokens = 1000
            price = { input = 1.0, output = 2.0 }
            [[model]]
            provider = "own"
            prefixes = ["big-"]
            same_as = "anthropic/claude-sonnet-4-5"
            vision = false
        "#;
        catalog.add("own.toml", own).unwrap();
        assert_eq!(catalog.provider("groq").unwrap().base_url, "https://groq.example/v1");
        let known = catalog.model("anthropic", "claude-sonnet-4-5").unwrap();
        assert_eq!((known.max_output_tokens, known.context_window), (Some(1000), Some(200_000)));
        assert_eq!(known.price.unwrap().output, Rate(2_000_000));
        let big = catalog.model("own", "big-1").unwrap();
        assert_eq!((big.vision, big.documents, big.price), (Some(false), Some(true), None));
    }

    #[test]
    fn a_broken_file_names_itself() {
        let broken = |text: &str| Catalog::default().add("own.toml", text).unwrap_err().to_string();
        assert!(broken("[[model]]\nidz = []").contains("own.toml"));
        assert!(broken("[[model]]\nprovider = \"a\"").contains("neither `ids` nor `prefixes`"));
        assert!(broken("[[model]]\nids = [\"a\"]").contains("has no `provider`"));
        // Models that are said to be each other's twins end somewhere.
        let twins = "models_of = \"p\"\n[[model]]\nids = [\"a\"]\nsame_as = \"p/b\"\n[[model]]\nids = [\"b\"]\nsame_as = \"p/a\"";
        let mut catalog = Catalog::default();
        catalog.add("own.toml", twins).unwrap();
        assert!(catalog.model("p", "a").is_some());
    }

    #[test]
    fn facts_are_read() {
        let catalog = Catalog::embedded().unwrap();
        let field = |name: &str| catalog.provider(name).unwrap().max_tokens_field;
        assert_eq!(field("ollama"), MaxTokensField::MaxTokens);
        assert_eq!(field("openai"), MaxTokensField::MaxCompletionTokens);
        assert!(catalog.provider("anthropic").unwrap().reasoning_history);
        assert!(!catalog.provider("mistral").unwrap().reasoning_history);
    }

    #[test]
    fn every_protocol_has_a_provider() {
        let catalog = Catalog::embedded().unwrap();
        for protocol in Protocol::ALL {
            assert!(catalog.providers().iter().any(|p| p.protocols.contains(&protocol)), "{protocol}");
        }
    }
}
