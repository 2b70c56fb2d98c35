//! What is known about one model.

use serde::{Deserialize, Deserializer};

use crate::MaxTokensField;

/// What is known about one model; what is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Its provider's name in the catalog.
    pub provider: String,
    /// What its provider calls it.
    pub ids: Vec<String>,
    /// Beginnings of ids that name it as well, such as those of its dated snapshots.
    pub prefixes: Vec<String>,
    /// The model, as `provider/id`, whose facts hold for it as far as it has none of its own.
    pub same_as: Option<String>,
    /// What its provider calls it towards people.
    pub name: Option<String>,
    /// Tokens of a prompt and its answer together, at most.
    pub context_window: Option<u64>,
    /// Tokens of an answer, at most.
    pub max_output_tokens: Option<u64>,
    /// Under which name its chat server reads the bound of an answer.
    pub max_tokens_field: Option<MaxTokensField>,
    /// How it takes the wish to reason, where its protocol knows several ways.
    pub reasoning: Option<Reasoning>,
    /// Whether it knows a word for "do not reason".
    pub reasoning_off: Option<bool>,
    /// Whether it takes reasoning of earlier turns back.
    pub reasoning_history: Option<bool>,
    /// Whether it takes temperature and the like.
    pub sampling: Option<bool>,
    /// Whether it takes temperature and probability mass together.
    pub sampling_together: Option<bool>,
    /// Whether it goes on with an answer that is begun for it.
    pub prefill: Option<bool>,
    /// Whether it can be made to call a tool.
    pub forced_tools: Option<bool>,
    /// Whether it sees pictures.
    pub vision: Option<bool>,
    /// Whether it reads documents such as PDF.
    pub documents: Option<bool>,
    /// Whether it hears.
    pub audio: Option<bool>,
    /// Whether it can be held to a schema of its answer.
    pub schema: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// What it costs.
    pub price: Option<Price>,
}

impl Model {
    /// These facts, and where there are none those of the other.
    #[must_use]
    pub fn or(self, other: &Model) -> Model {
        Model {
            provider: self.provider,
            ids: self.ids,
            prefixes: self.prefixes,
            same_as: self.same_as,
            name: self.name.or_else(|| other.name.clone()),
            context_window: self.context_window.or(other.context_window),
            max_output_tokens: self.max_output_tokens.or(other.max_output_tokens),
            max_tokens_field: self.max_tokens_field.or(other.max_tokens_field),
            reasoning: self.reasoning.or(other.reasoning),
            reasoning_off: self.reasoning_off.or(other.reasoning_off),
            reasoning_history: self.reasoning_history.or(other.reasoning_history),
            sampling: self.sampling.or(other.sampling),
            sampling_together: self.sampling_together.or(other.sampling_together),
            prefill: self.prefill.or(other.prefill),
            forced_tools: self.forced_tools.or(other.forced_tools),
            vision: self.vision.or(other.vision),
            documents: self.documents.or(other.documents),
            audio: self.audio.or(other.audio),
            schema: self.schema.or(other.schema),
            tools: self.tools.or(other.tools),
            price: self.price.or(other.price),
        }
    }

    /// How well an id fits; none when it does not.
    pub(crate) fn fit(&self, id: &str, places: &[String]) -> Option<Fit> {
        if self.ids.iter().any(|known| known == id) {
            return Some(Fit::Id);
        }
        let elsewhere = without_place(id, places);
        if self.ids.iter().any(|known| without_place(known, places) == elsewhere) {
            return Some(Fit::Elsewhere);
        }
        let begins = self.prefixes.iter().filter(|prefix| elsewhere.starts_with(prefix.as_str()));
        begins.map(String::len).max().map(Fit::Prefix)
    }
}

/// How an id fits a model, the better the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// It begins as the model's ids do, for so many bytes.
    Prefix(usize),
    /// It is one of them but for the place where it is served.
    Elsewhere,
    /// It is one of them.
    Id,
}

fn without_place<'a>(id: &'a str, places: &[String]) -> &'a str {
    place_of(id, places).unwrap_or(id)
}

/// What follows the place in an id; none where no place stands there.
pub(crate) fn place_of<'a>(id: &'a str, places: &[String]) -> Option<&'a str> {
    places.iter().find_map(|place| id.strip_prefix(place.as_str()))
}

/// How a model takes the wish to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// By a number of tokens.
    Budget,
    /// By a word for the effort; the model decides how much.
    Adaptive,
    /// As `adaptive`, and it cannot be kept from it.
    Always,
    /// Not at all.
    None,
}

/// What tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens of the prompt.
    pub input: Rate,
    /// Tokens of the answer.
    pub output: Rate,
    /// Tokens of the prompt that are taken from the provider's cache; as `input` when absent.
    pub cache_read: Option<Rate>,
    /// Tokens of the prompt that are put there; as `input` when absent.
    pub cache_write: Option<Rate>,
    /// What all of them cost where the prompt is long.
    pub long: Option<LongPrice>,
}

/// What tokens cost where the prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// The prompt has more tokens than this.
    pub above: u64,
    /// Tokens of the prompt.
    pub input: Rate,
    /// Tokens of the answer.
    pub output: Rate,
    /// Tokens of the prompt that are taken from the provider's cache.
    pub cache_read: Option<Rate>,
    /// Tokens of the prompt that are put there.
    pub cache_write: Option<Rate>,
}

/// Tokens that a request used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Of the prompt, without those below.
    pub input: u64,
    /// Of the answer, its reasoning included.
    pub output: u64,
    /// Of the prompt, taken from the provider's cache.
    pub cache_read: u64,
    /// Of the prompt, put into the provider's cache.
    pub cache_write: u64,
}

impl Price {
    /// What these tokens cost, in millionths of a millionth of a dollar.
    pub fn of(&self, used: &Used) -> u128 {
        let prompt = used.input.saturating_add(used.cache_read).saturating_add(used.cache_write);
        let long = self.long.filter(|long| prompt > long.above);
        let (input, output, read, write) = match long {
            Some(long) => (long.input, long.output, long.cache_read, long.cache_write),
            None => (self.input, self.output, self.cache_read, self.cache_write),
        };
        let cost = |tokens: u64, rate: Rate| u128::from(tokens) * u128::from(rate.0);
        cost(used.input, input)
            + cost(used.output, output)
            + cost(used.cache_read, read.unwrap_or(input))
            + cost(used.cache_write, write.unwrap_or(input))
    }
}

/// Price of a million tokens, in millionths of a dollar; written in dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

impl Rate {
    /// Dollars for a million tokens, at most.
    pub const MAX: f64 = 1e6;

    /// A rate in dollars; none when it is not one.
    pub fn dollars(dollars: f64) -> Option<Rate> {
        const MILLIONTHS: f64 = 1e6;
        (0.0..=Self::MAX).contains(&dollars).then(|| Rate((dollars * MILLIONTHS).round() as u64))
    }

    /// It in dollars.
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Rate::dollars(dollars).ok_or_else(|| {
            serde::de::Error::custom(format_args!("{dollars} is not a price between 0 and {}", Rate::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_exact() {
        let price: Price = toml::from_str(
            "input = 0.1\noutput = 0.5\ncache_read = 0.01\nlong = { above = 100, input = 0.5, output = 2.5 }",
        )
        .unwrap();
        let used = Used { input: 10, output: 3, cache_read: 90, cache_write: 0 };
        assert_eq!(price.of(&used), 10 * 100_000 + 3 * 500_000 + 90 * 10_000);
        // One token more, and all of them cost what a long prompt's do.
        let long = Used { cache_write: 1, ..used };
        assert_eq!(price.of(&long), 10 * 500_000 + 3 * 2_500_000 + 90 * 500_000 + 500_000);
    }

    #[test]
    fn a_price_is_a_price() {
        assert!(toml::from_str::<Price>("input = -1.0\noutput = 1.0").is_err());
        assert!(toml::from_str::<Price>("input = nan\noutput = 1.0").is_err());
        assert_eq!(Rate::dollars(0.0375).unwrap().0, 37_500);
    }

    #[test]
    fn ids_fit_exactly_then_by_place_then_by_their_beginning() {
        let places = ["eu.".to_owned(), "global.".to_owned()];
        let model = Model {
            ids: vec!["global.a-1".into()],
            prefixes: vec!["a-1-20".into(), "a-1-".into()],
            ..Model::default()
        };
        assert_eq!(model.fit("global.a-1", &places), Some(Fit::Id));
        assert_eq!(model.fit("eu.a-1", &places), Some(Fit::Elsewhere));
        assert_eq!(model.fit("a-1-2026", &places), Some(Fit::Prefix(6)));
        assert_eq!(model.fit("xx.a-1", &places), None);
        assert!(Fit::Id > Fit::Elsewhere && Fit::Elsewhere > Fit::Prefix(1000));
    }
}
