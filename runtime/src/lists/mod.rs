//! What clients may name as a model, told in each protocol's own form.

mod form;
mod page;

use crate::config::raw::Reasoning;
use crate::config::{Capabilities, Facts, Lane, Named, Pool, Settings};
use crate::dialect::{Call, Operation};
use crate::fault::{Class, Fault};

/// The most of a caller's text that a failure repeats, in bytes.
const MAX_EXCERPT: usize = 128;

/// Who serves a pool.
const OURS: &str = "busbar";

/// Answers a call that asks for models.
///
/// # Errors
/// A [`Fault`] of the caller's: there is no such model, or a parameter of the list is not one.
pub fn answer(settings: &Settings, call: &Call<'_>, query: Option<&str>) -> Result<Vec<u8>, Fault> {
    let form = form::of(call.protocol, call.operation == Operation::Profiles);
    let body = match &call.model {
        Some(asked) => {
            let name = (form.name)(asked);
            let entry = find(settings, name).ok_or_else(|| unknown(name))?;
            (form.one)(&entry)
        }
        None => (form.list)(&all(settings), &page::Query::new(query))?,
    };
    Ok(body.to_string().into_bytes())
}

/// A model as it is listed.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// What clients say.
    name: String,
    /// What people call it.
    title: String,
    /// Who serves it.
    owner: String,
    known: Known,
}

/// What is told of what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Known {
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    can: Capabilities,
    reasoning: Reasoning,
}

impl Known {
    fn of(facts: &Facts) -> Self {
        Self {
            context_window: facts.context_window,
            max_output_tokens: facts.max_output_tokens,
            can: facts.capabilities,
            reasoning: facts.reasoning,
        }
    }

    /// What holds of two that serve under one name: what both take, and what one of them can, since a request that
    /// one of them cannot serve goes to the other.
    fn and(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        let either = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        Self {
            context_window: least(self.context_window, other.context_window),
            max_output_tokens: least(self.max_output_tokens, other.max_output_tokens),
            can: Capabilities {
                vision: either(self.can.vision, other.can.vision),
                documents: either(self.can.documents, other.can.documents),
                audio: either(self.can.audio, other.can.audio),
                schema: either(self.can.schema, other.can.schema),
                tools: either(self.can.tools, other.can.tools),
            },
            reasoning: if self.reasoning == Reasoning::None { other.reasoning } else { self.reasoning },
        }
    }

    /// Whether anything at all is known of what it can.
    fn says_something(&self) -> bool {
        self.can != Capabilities::default()
    }
}

/// All that is configured: pools, then models; where nothing is, what is known of the providers' own models.
fn all(settings: &Settings) -> Vec<Entry> {
    if !settings.lanes.is_empty() {
        let pools = settings.pools.iter().map(|one| pool(settings, one));
        // A model with several keys is among the pools.
        let lone = settings.lanes.iter().filter(|one| one.key.is_none());
        return pools.chain(lone.map(|one| lane(settings, one))).collect();
    }
    let mut entries = Vec::new();
    for (at, provider) in settings.providers.iter().enumerate() {
        let known = settings.catalog.models().filter(|model| model.provider == provider.catalog);
        entries.extend(known.flat_map(|model| &model.ids).map(|id| at_provider(settings, at, id)));
    }
    entries.sort_by(|a: &Entry, b| a.name.cmp(&b.name));
    entries.dedup_by(|a, b| a.name == b.name);
    entries
}

/// What a name that a client says means.
fn find(settings: &Settings, name: &str) -> Option<Entry> {
    match settings.names.get(name) {
        Some(Named::Lane(at)) => Some(lane(settings, &settings.lanes[*at])),
        Some(Named::Pool(at)) => Some(pool(settings, &settings.pools[*at])),
        None => {
            let (provider, id) = name.split_once('/').filter(|(_, id)| !id.is_empty())?;
            let at = settings.providers.iter().position(|known| known.name == provider)?;
            Some(at_provider(settings, at, id))
        }
    }
}

fn lane(settings: &Settings, lane: &Lane) -> Entry {
    Entry {
        name: lane.name.clone(),
        title: lane.title.clone().unwrap_or_else(|| lane.name.clone()),
        owner: settings.providers[lane.provider].name.clone(),
        known: Known::of(&lane.facts),
    }
}

fn pool(settings: &Settings, pool: &Pool) -> Entry {
    let members = pool.members.iter().map(|member| Known::of(&settings.lanes[member.lane].facts));
    Entry {
        name: pool.name.clone(),
        title: pool.name.clone(),
        owner: OURS.to_owned(),
        known: members.reduce(Known::and).unwrap_or_default(),
    }
}

fn at_provider(settings: &Settings, provider: usize, id: &str) -> Entry {
    let owner = &settings.providers[provider];
    let title = settings.catalog.model(&owner.catalog, id).and_then(|known| known.name);
    Entry {
        name: format!("{}/{id}", owner.name),
        title: title.unwrap_or_else(|| id.to_owned()),
        owner: owner.name.clone(),
        known: Known::of(&settings.facts_of(provider, id)),
    }
}

fn unknown(name: &str) -> Fault {
    let mut end = name.len().min(MAX_EXCERPT);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let shown: String = name[..end].chars().filter(|letter| !letter.is_control()).collect();
    Fault::client(Class::NotFound, format!("the model `{shown}` does not exist"))
        .with_param("model")
        .with_code("model_not_found")
}

#[cfg(test)]
mod tests;
