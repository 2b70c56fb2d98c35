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

use std::fmt;

use serde::{Deserialize, Serialize};

const PROVIDERS: &str = include_str!("../data/providers.toml");

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

/// All providers known to this build.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "provider")]
    providers: Vec<Provider>,
}

/// The embedded data does not parse; a test keeps this from being released.
#[derive(Debug, thiserror::Error)]
#[error("the embedded catalog is broken: {0}")]
pub struct Broken(#[from] toml::de::Error);

impl Catalog {
    /// Reads the data this build carries.
    ///
    /// # Errors
    /// [`Broken`] when the embedded data does not parse.
    pub fn embedded() -> Result<Self, Broken> {
        Ok(toml::from_str(PROVIDERS)?)
    }

    /// All providers, sorted by name.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
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
