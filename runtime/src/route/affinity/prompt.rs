//! A prompt as a row of blocks, and the session that a request says it belongs to.
//!
//! Read from the request's own bytes, whatever its protocol: tools, then instructions, then messages, as all
//! providers put them. Marks that say where a provider is to cache are left out: clients move them on with every turn.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Block, fingerprint};

/// Less than this no provider caches, in tokens.
const LEAST_TOKENS: u64 = 1024;

/// Bytes of JSON that are taken for a token.
const BYTES_A_TOKEN: u64 = 4;

/// How long a provider keeps what a request marks with an hour.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// How long a provider keeps what a request wants kept for a day.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Fields that say where to cache, and are no part of the prompt.
const MARKS: [&str; 2] = ["cache_control", "cachePoint"];

/// Headers that name a session: of opencode, Codex, Claude Code, and what is usual.
const SESSION_HEADERS: [&str; 7] = [
    "x-session-affinity",
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "x-session-id",
    "conversation_id",
    "thread-id",
];

/// The longest name of a session, in bytes.
const MAX_SESSION: usize = 1024;

/// What of a request says where it had better go again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The session that it names.
    pub session: Option<Session>,
    /// The blocks of its prompt that may be in a cache, the first first.
    pub blocks: Vec<Block>,
    /// How long it asks for its prompt to be kept; none where that is left to the provider.
    pub keeps: Option<Duration>,
}

/// A session that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// A fingerprint of its name, the same in every process.
    pub name: u64,
    /// A fingerprint of the caller and its name.
    pub own: u64,
}

impl Prompt {
    /// Reads a request of a caller; with `whole` its prompt too, else its session alone.
    ///
    /// Of a body that is not in its protocol's form, nothing is known.
    pub fn of(caller: &str, headers: &HeaderMap, body: &[u8], whole: bool) -> Self {
        let scope = fingerprint(0, caller.as_bytes());
        let named = SESSION_HEADERS.iter().find_map(|name| headers.get(*name)).map(|name| name.as_bytes());
        let session = |name: &[u8]| {
            (!name.is_empty() && name.len() <= MAX_SESSION)
                .then(|| Session { name: fingerprint(0, name), own: fingerprint(scope, name) })
        };
        let by_header = named.and_then(session);
        if by_header.is_some() && !whole {
            return Self { session: by_header, ..Self::default() };
        }
        let Ok(fields) = serde_json::from_slice::<Fields<'_>>(body) else {
            return Self { session: by_header, ..Self::default() };
        };
        let session = by_header.or_else(|| fields.session().and_then(|name| session(name.as_bytes())));
        if !whole {
            return Self { session, ..Self::default() };
        }
        let mut reader = Reader { prefix: scope, bytes: 0, blocks: Vec::new(), keeps: None };
        reader.read(&fields);
        if fields.prompt_cache_retention.is_some_and(|wanted| text(wanted).as_deref() == Some("24h")) {
            reader.keeps = Some(A_DAY);
        }
        Self { session, blocks: reader.blocks, keeps: reader.keeps }
    }
}

/// The fields of six protocols that a prompt is made of.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "toolConfig")]
    tool_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    system: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "systemInstruction", alias = "system_instruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contents: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_retention: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

impl Fields<'_> {
    /// The session that a body names.
    fn session(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Known {
            id: Option<String>,
            user_id: Option<String>,
        }
        let known = |field: Option<&RawValue>| serde_json::from_str::<Known>(field?.get()).ok();
        let conversation = || {
            self.conversation.and_then(text).or_else(|| known(self.conversation).and_then(|known| known.id))
        };
        // Claude Code puts its session into the id of the user.
        let user = || known(self.metadata).and_then(|known| known.user_id);
        self.prompt_cache_key.and_then(text).or_else(conversation).or_else(user)
    }
}

fn text(field: &RawValue) -> Option<String> {
    serde_json::from_str(field.get()).ok()
}

/// Makes blocks of what it reads.
struct Reader {
    prefix: u64,
    bytes: u64,
    blocks: Vec<Block>,
    keeps: Option<Duration>,
}

impl Reader {
    fn read(&mut self, fields: &Fields<'_>) {
        let one =
            [fields.tools, fields.tool_config, fields.instructions, fields.system, fields.system_instruction];
        for field in one.into_iter().flatten() {
            if self.block(field).is_none() {
                return;
            }
        }
        for field in [fields.messages, fields.input, fields.contents].into_iter().flatten() {
            match serde_json::from_str::<Vec<&RawValue>>(field.get()) {
                Ok(items) => {
                    for item in items {
                        if self.block(item).is_none() {
                            return;
                        }
                    }
                }
                // The Responses API takes a text, too.
                Err(_) => _ = self.block(field),
            }
        }
    }

    /// Adds a block; none where it cannot be read.
    fn block(&mut self, value: &RawValue) -> Option<()> {
        let mut json = serde_json::Deserializer::from_str(value.get());
        let digest = Digest { keeps: &mut self.keeps }.deserialize(&mut json).ok()?;
        self.bytes += value.get().len() as u64;
        if let Some(digest) = digest {
            self.prefix = fingerprint(self.prefix, &digest.to_le_bytes());
            let tokens = self.bytes / BYTES_A_TOKEN;
            if tokens >= LEAST_TOKENS {
                self.blocks.push(Block { prefix: self.prefix, tokens });
            }
        }
        Some(())
    }
}

/// A fingerprint of a JSON value without marks; none for what is nothing but marks.
struct Digest<'a> {
    keeps: &'a mut Option<Duration>,
}

/// What kind of value a fingerprint is of: a number is not the text that spells it.
#[derive(Clone, Copy)]
enum Kind {
    Plain = 1,
    Text,
    Number,
    List,
    Object,
}

fn of(kind: Kind, bytes: &[u8]) -> Option<u64> {
    Some(fingerprint(kind as u64, bytes))
}

impl<'de> DeserializeSeed<'de> for Digest<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<u64>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Digest<'_> {
    type Value = Option<u64>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Option<u64>, E> {
        Ok(of(Kind::Plain, b"null"))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<u64>, E> {
        Ok(of(Kind::Plain, &[u8::from(value)]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<u64>, E> {
        Ok(of(Kind::Number, &value.to_le_bytes()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<u64>, E> {
        Ok(of(Kind::Number, &value.to_le_bytes()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Option<u64>, E> {
        Ok(of(Kind::Number, &value.to_bits().to_le_bytes()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Option<u64>, E> {
        Ok(of(Kind::Text, value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<u64>, A::Error> {
        let mut digest = fingerprint(Kind::List as u64, b"");
        while let Some(item) = list.next_element_seed(Digest { keeps: self.keeps })? {
            if let Some(item) = item {
                digest = fingerprint(digest, &item.to_le_bytes());
            }
        }
        Ok(Some(digest))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Option<u64>, A::Error> {
        let mut digest = fingerprint(Kind::Object as u64, b"");
        let (mut marks, mut others) = (false, false);
        while let Some(name) = fields.next_key_seed(Name)? {
            let Some(name) = name else {
                marks = true;
                let mark: Option<Mark> = fields.next_value()?;
                if mark.and_then(|mark| mark.ttl).is_some_and(|ttl| ttl == "1h") {
                    *self.keeps = Some(AN_HOUR);
                }
                continue;
            };
            others = true;
            let value = fields.next_value_seed(Digest { keeps: self.keeps })?;
            digest = fingerprint(digest, &name.to_le_bytes());
            digest = fingerprint(digest, &value.unwrap_or_default().to_le_bytes());
        }
        Ok((others || !marks).then_some(digest))
    }
}

/// A mark's own words.
#[derive(Deserialize)]
struct Mark {
    #[serde(default)]
    ttl: Option<String>,
}

/// A field's name as a fingerprint; none for a mark.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<u64>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<u64>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<u64>, E> {
        Ok(if MARKS.contains(&name) { None } else { of(Kind::Text, name.as_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn long(words: &str) -> String {
        words.repeat(5000 / words.len() + 1)
    }

    fn blocks(body: &Value) -> Vec<u64> {
        let prompt = Prompt::of("alice", &HeaderMap::new(), body.to_string().as_bytes(), true);
        prompt.blocks.iter().map(|block| block.prefix).collect()
    }

    #[test]
    fn a_turn_begins_with_the_blocks_of_the_one_before_though_marks_move() {
        let marked = |words: &str| {
            json!({"role": "user", "content": [
                {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}]})
        };
        let plain = |words: &str| json!({"role": "user", "content": [{"type": "text", "text": words}]});
        let system = json!([{"type": "text", "text": long("You are ")}]);
        let first = json!({"model": "m", "system": system, "tools": [{"name": "t"}],
            "messages": [marked("one")]});
        let second = json!({"model": "n", "system": system, "tools": [{"name": "t"}], "max_tokens": 9,
            "messages": [plain("one"), plain("well"), marked("two")]});
        let (first, second) = (blocks(&first), blocks(&second));
        assert_eq!((first.len(), second.len()), (2, 4));
        assert_eq!(first, second[..2]);
        let bedrock = |points: bool| {
            let mut content = vec![json!({"text": long("hello")})];
            if points {
                content.push(json!({"cachePoint": {"type": "default"}}));
            }
            json!({"messages": [{"role": "user", "content": content}]})
        };
        assert_eq!(blocks(&bedrock(true)), blocks(&bedrock(false)));
    }

    #[test]
    fn every_protocol_has_its_prompt_read() {
        let words = long("word ");
        let message = json!({"role": "user", "content": words});
        for body in [
            json!({"messages": [message]}),
            json!({"instructions": words}),
            json!({"input": [message]}),
            json!({"input": words}),
            json!({"systemInstruction": {"parts": [{"text": words}]}}),
            json!({"system_instruction": {"parts": [{"text": words}]}}),
            json!({"contents": [{"parts": [{"text": words}]}]}),
            json!({"toolConfig": {"tools": [{"toolSpec": {"description": words}}]}}),
        ] {
            assert_eq!(blocks(&body).len(), 1, "{body}");
        }
        assert!(blocks(&json!({"messages": [{"role": "user", "content": "short"}]})).is_empty());
        for body in ["", "[]", "{", r#"{"messages":7}"#, "\"\u{7}\""] {
            let prompt = Prompt::of("", &HeaderMap::new(), body.as_bytes(), true);
            assert_eq!(prompt, Prompt::default(), "{body}");
        }
    }

    #[test]
    fn what_differs_is_told_apart() {
        let mut seen = std::collections::HashSet::new();
        let words = long("word ");
        for odd in [
            json!(1),
            json!("1"),
            json!(1.5),
            json!(null),
            json!(true),
            json!(false),
            json!([]),
            json!({}),
            json!([1]),
            json!([[1]]),
            json!({"1": 1}),
            json!(-1),
            json!({"cache": {}}),
        ] {
            let body = json!({"messages": [{"content": words, "odd": odd}]});
            assert!(seen.insert(blocks(&body)), "{odd}");
        }
        let body = json!({"messages": [{"content": words, "odd": 1}]}).to_string();
        let other = Prompt::of("bob", &HeaderMap::new(), body.as_bytes(), true);
        assert!(
            seen.insert(other.blocks.iter().map(|block| block.prefix).collect()),
            "callers share nothing"
        );
    }

    #[test]
    fn a_session_is_named_in_a_header_or_a_field() {
        let of = |headers: &[(&'static str, &str)], body: Value| {
            let headers = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            Prompt::of("alice", &headers.collect(), body.to_string().as_bytes(), false).session
        };
        let one = of(&[("x-session-id", "one")], json!({}));
        assert!(one.is_some());
        assert_eq!(of(&[("session_id", "one")], json!({"prompt_cache_key": "two"})), one);
        assert_eq!(of(&[], json!({"prompt_cache_key": "one"})), one);
        assert_eq!(of(&[], json!({"conversation": "one"})), one);
        assert_eq!(of(&[], json!({"conversation": {"id": "one"}})), one);
        assert_eq!(of(&[], json!({"metadata": {"user_id": "one"}})), one);
        assert_ne!(of(&[], json!({"prompt_cache_key": "two"})), one);
        assert_eq!(of(&[], json!({"prompt_cache_key": 7, "messages": []})), None);
        assert_ne!(Prompt::of("bob", &HeaderMap::new(), br#"{"conversation":"one"}"#, false).session, one);
    }

    #[test]
    fn a_request_may_ask_for_longer() {
        let keeps = |body: Value| Prompt::of("", &HeaderMap::new(), body.to_string().as_bytes(), true).keeps;
        let marked = |ttl: Value| json!({"system": [{"text": "a", "cache_control": ttl}]});
        assert_eq!(keeps(marked(json!({"type": "ephemeral", "ttl": "1h"}))), Some(AN_HOUR));
        assert_eq!(keeps(marked(json!({"type": "ephemeral"}))), None);
        assert_eq!(keeps(marked(json!(null))), None);
        assert_eq!(keeps(json!({"prompt_cache_retention": "24h"})), Some(A_DAY));
    }
}
