//! The counts of a usage object in a protocol's own words, read without making a tree of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Counts;
use crate::Protocol;

/// The counts of the object that `text` begins with; none where it is broken.
///
/// What is no whole number above zero, or of a name that is not known, is passed over.
pub(super) fn read(protocol: Protocol, text: &[u8]) -> Option<Counts> {
    let mut found = Found { protocol, counts: Counts::default(), second: Counts::default() };
    let mut parser = serde_json::Deserializer::from_slice(text);
    Members { found: &mut found, parent: None }.deserialize(&mut parser).ok()?;
    let Found { mut counts, second, .. } = found;
    counts.input = counts.input.or(second.input);
    counts.output = counts.output.or(second.output);
    counts.cache_read = counts.cache_read.or(second.cache_read);
    if protocol == Protocol::Gemini {
        counts.input = add(counts.input, second.fresh_input);
        counts.output = add(counts.output, counts.reasoning);
    }
    if matches!(protocol, Protocol::Anthropic | Protocol::Bedrock) {
        let apart = counts;
        counts.overlay(&apart);
    }
    Some(counts)
}

struct Found {
    protocol: Protocol,
    counts: Counts,
    /// What stands for a count where the object has no better one.
    second: Counts,
}

impl Found {
    /// Where a count belongs, by its name and that of the object that it is in.
    fn place(&mut self, parent: &str, name: &str) -> Option<&mut Option<u64>> {
        let Self { protocol, counts, second } = self;
        Some(match (protocol, parent, name) {
            (Protocol::OpenaiChat, "", "prompt_tokens") => &mut counts.input,
            (Protocol::OpenaiChat, "", "completion_tokens") => &mut counts.output,
            // What is beside chat, pictures and transcripts, counts in other words.
            (Protocol::OpenaiChat, "", "input_tokens") => &mut second.input,
            (Protocol::OpenaiChat, "", "output_tokens") => &mut second.output,
            (Protocol::OpenaiChat, "", "prompt_cache_hit_tokens") => &mut second.cache_read,
            (Protocol::OpenaiChat, "prompt_tokens_details", "cached_tokens") => &mut counts.cache_read,
            (Protocol::OpenaiChat, "prompt_tokens_details", "cache_write_tokens") => &mut counts.cache_write,
            (Protocol::OpenaiChat, "prompt_tokens_details", "audio_tokens") => &mut counts.audio_input,
            (Protocol::OpenaiChat, "completion_tokens_details", "reasoning_tokens") => &mut counts.reasoning,
            (Protocol::OpenaiChat, "completion_tokens_details", "audio_tokens") => &mut counts.audio_output,
            (Protocol::OpenaiChat, "completion_tokens_details", "accepted_prediction_tokens") => {
                &mut counts.accepted_prediction
            }
            (Protocol::OpenaiChat, "completion_tokens_details", "rejected_prediction_tokens") => {
                &mut counts.rejected_prediction
            }
            (Protocol::OpenaiChat | Protocol::OpenaiResponses, "", "total_tokens") => &mut counts.total,
            (Protocol::OpenaiResponses, "", "input_tokens") => &mut counts.input,
            (Protocol::OpenaiResponses, "", "output_tokens") => &mut counts.output,
            (Protocol::OpenaiResponses, "input_tokens_details", "cached_tokens") => &mut counts.cache_read,
            (Protocol::OpenaiResponses, "output_tokens_details", "reasoning_tokens") => &mut counts.reasoning,
            (Protocol::Anthropic, "", "input_tokens") => &mut counts.fresh_input,
            (Protocol::Anthropic, "", "output_tokens") => &mut counts.output,
            (Protocol::Anthropic, "", "cache_read_input_tokens") => &mut counts.cache_read,
            (Protocol::Anthropic, "", "cache_creation_input_tokens") => &mut counts.cache_write,
            (Protocol::Anthropic, "cache_creation", "ephemeral_5m_input_tokens") => {
                &mut counts.cache_write_5m
            }
            (Protocol::Anthropic, "cache_creation", "ephemeral_1h_input_tokens") => {
                &mut counts.cache_write_1h
            }
            (Protocol::Anthropic, "output_tokens_details", "thinking_tokens") => &mut counts.reasoning,
            (Protocol::Gemini, "", "promptTokenCount") => &mut counts.input,
            (Protocol::Gemini, "", "toolUsePromptTokenCount") => &mut second.fresh_input,
            (Protocol::Gemini, "", "cachedContentTokenCount") => &mut counts.cache_read,
            (Protocol::Gemini, "", "candidatesTokenCount") => &mut counts.output,
            (Protocol::Gemini, "", "thoughtsTokenCount") => &mut counts.reasoning,
            (Protocol::Gemini, "", "totalTokenCount") => &mut counts.total,
            (Protocol::Bedrock, "", "inputTokens") => &mut counts.fresh_input,
            (Protocol::Bedrock, "", "outputTokens") => &mut counts.output,
            (Protocol::Bedrock, "", "cacheReadInputTokens") => &mut counts.cache_read,
            (Protocol::Bedrock, "", "cacheWriteInputTokens") => &mut counts.cache_write,
            (Protocol::Bedrock, "", "totalTokens") => &mut counts.total,
            (Protocol::Cohere, "tokens", "input_tokens") => &mut counts.input,
            (Protocol::Cohere, "tokens", "output_tokens") => &mut counts.output,
            (Protocol::Cohere, "billed_units", "input_tokens") => &mut second.input,
            (Protocol::Cohere, "billed_units", "output_tokens") => &mut second.output,
            (Protocol::Cohere, "", "cached_tokens") => &mut counts.cache_read,
            _ => return None,
        })
    }
}

/// The members of an object, and of the objects in it.
struct Members<'f, 'p> {
    found: &'f mut Found,
    /// The object's name, of one within the first.
    parent: Option<&'p str>,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of counts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { found, parent } = self;
        while let Some(Name(name)) = map.next_key()? {
            map.next_value_seed(Member { found, parent, name: &name })?;
        }
        Ok(())
    }
}

/// The value of a member.
struct Member<'f, 'p> {
    found: &'f mut Found,
    parent: Option<&'p str>,
    name: &'p str,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<(), E> {
        if let Some(place) = self.found.place(self.parent.unwrap_or_default(), self.name) {
            *place = Some(count);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.parent {
            None => Members { found: self.found, parent: Some(self.name) }.visit_map(map),
            Some(_) => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(())
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_count_is_passed_over() {
        let text =
            br#"{"extra":{"deep":{"input_tokens":9},"list":[1,{"output_tokens":9}]},"output_tokens":2.5,
            "input_tokens":4,"cache_read_input_tokens":null,"cache_creation_input_tokens":-1,
            "cache_creation":{"ephemeral_1h_input_tokens":3,"note":"x","flag":true}} and more"#;
        let counts = read(Protocol::Anthropic, text).unwrap();
        assert_eq!((counts.fresh_input, counts.cache_write_1h), (Some(4), Some(3)));
        assert_eq!((counts.output, counts.cache_read, counts.cache_write), (None, None, None));
        assert_eq!(read(Protocol::Anthropic, br#"{"input_tokens":4"#), None);
    }

    #[test]
    fn the_better_name_counts_wherever_it_stands() {
        for text in [
            r#"{"prompt_tokens":5,"input_tokens":7,"total_tokens":9}"#,
            r#"{"input_tokens":7,"\u0070rompt_tokens":5,"total_tokens":9}"#,
        ] {
            let counts = read(Protocol::OpenaiChat, text.as_bytes()).unwrap();
            assert_eq!((counts.input, counts.total), (Some(5), Some(9)), "{text}");
        }
        let counts =
            read(Protocol::OpenaiChat, br#"{"input_tokens":7,"prompt_cache_hit_tokens":3}"#).unwrap();
        assert_eq!((counts.input, counts.cache_read), (Some(7), Some(3)));
        let tools = br#"{"toolUsePromptTokenCount":2,"promptTokenCount":3,"thoughtsTokenCount":4}"#;
        let counts = read(Protocol::Gemini, tools).unwrap();
        assert_eq!((counts.input, counts.output, counts.reasoning), (Some(5), Some(4), Some(4)));
    }
}
