//! What is answered, before it is put in a provider's form.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::scenario::{self, Scenario};

/// Characters of the user's words that an answer quotes.
const MAX_QUOTE: usize = 200;

/// How deep a schema is followed when an instance of it is made.
const MAX_DEPTH: usize = 16;

/// A tool that the caller offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

/// What a validator found in a request: all that an answer may depend on.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) model: String,
    pub(super) user: String,
    pub(super) messages: usize,
    pub(super) system: usize,
    pub(super) images: usize,
    pub(super) documents: usize,
    pub(super) tools: Vec<Tool>,
    /// Texts of the tool results that end the conversation.
    pub(super) results: Vec<String>,
    /// The output schema, or an empty one for plain JSON mode.
    pub(super) schema: Option<Value>,
    pub(super) stop: Vec<String>,
    pub(super) limit: Option<u64>,
    /// How many alternatives are asked for; 0 where the protocol has one only.
    pub(super) choices: u64,
    /// Whether the text of the thinking is to be left out.
    pub(super) omit_thinking: bool,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) no_calls: bool,
    pub(super) forced: Option<String>,
    /// Whether some tool has to be called.
    pub(super) must_call: bool,
    pub(super) one_call: bool,
    /// Names of the offered tools that take a text instead of JSON.
    pub(super) custom: Vec<String>,
    /// What a citation may name: the documents given, and the results that end the conversation.
    pub(super) sources: Vec<Value>,
    pub(super) no_citations: bool,
    /// Whether the probabilities of tokens are asked for.
    pub(super) logprobs: bool,
    /// What an answer repeats of its request, in the protocols where one does.
    pub(super) echo: Map<String, Value>,
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Thinking(String),
    Redacted(String),
    Text(String),
    Cited(String),
    Refusal(String),
    /// A call with its arguments spelled out, whole JSON unless the limit cut them.
    Call {
        name: String,
        arguments: String,
    },
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    End,
    Calls,
    Limit,
    /// The context is full before the limit is reached.
    Window,
    Sequence(String),
    Refusal,
}

/// What is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Tokens of the prompt that no cache served.
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    /// All output tokens, reasoning included.
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

impl Usage {
    /// Prompt tokens of every kind.
    pub(super) fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write()
    }

    /// Tokens written to the cache for any lifetime.
    pub(super) fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) pieces: Vec<Piece>,
    pub(super) finish: Finish,
    pub(super) usage: Usage,
    pub(super) pace: Option<Duration>,
    /// Makes ids: the same request gets the same ones.
    pub(super) seed: u64,
    pub(super) omit_thinking: bool,
}

impl Answer {
    /// An id of 24 hexadecimal digits for the `n`th thing in the answer.
    pub(super) fn id(&self, prefix: &str, n: usize) -> String {
        format!("{prefix}{:016x}{n:08x}", self.seed)
    }
}

/// Writes the answer that a scenario gives to what was seen.
pub(super) fn answer(scenario: Scenario, seen: &Seen, body: &[u8], slow: Duration) -> Answer {
    let mut finish = Finish::End;
    let mut pieces = match scenario {
        Scenario::Echo => vec![Piece::Text(String::from_utf8_lossy(body).into_owned())],
        Scenario::Tools => calls(seen, 2),
        Scenario::Call => match scenario::called(&seen.user).filter(|_| seen.results.is_empty()) {
            Some((name, arguments)) => {
                vec![Piece::Call { name: name.to_owned(), arguments: arguments.to_owned() }]
            }
            None => vec![Piece::Text(report(seen))],
        },
        Scenario::Text | Scenario::Json if seen.forced.is_some() || seen.must_call => calls(seen, 1),
        Scenario::Think => vec![thought("First I read the question."), Piece::Text(report(seen))],
        Scenario::ThinkTools => {
            let mut pieces = vec![thought("A tool will tell.")];
            pieces.extend(calls(seen, 1));
            pieces
        }
        Scenario::Redacted => {
            vec![Piece::Redacted("A thought that is not shown.".to_owned()), Piece::Text(report(seen))]
        }
        Scenario::Interleaved => vec![
            thought("First thought."),
            Piece::Text("First text. ".to_owned()),
            thought("Second thought."),
            Piece::Text("Second text.".to_owned()),
        ],
        Scenario::Json => {
            let schema = seen.schema.clone().unwrap_or_else(|| json!({}));
            vec![Piece::Text(instance(&schema, &schema, 0).to_string())]
        }
        Scenario::Refusal => {
            finish = Finish::Refusal;
            vec![Piece::Refusal("I can not help with that.".to_owned())]
        }
        Scenario::Blocked => {
            finish = Finish::Refusal;
            Vec::new()
        }
        Scenario::Filter => {
            finish = Finish::Refusal;
            vec![Piece::Text("The beginning of what may not be".to_owned())]
        }
        Scenario::Length => {
            finish = Finish::Limit;
            vec![Piece::Text("This answer is longer than it may".to_owned())]
        }
        Scenario::Window => {
            finish = Finish::Window;
            vec![Piece::Text("This answer is longer than the context".to_owned())]
        }
        Scenario::LengthTools => {
            finish = Finish::Limit;
            let mut pieces = calls(seen, 1);
            if let Some(Piece::Call { arguments, .. }) = pieces.first_mut() {
                arguments.pop();
            }
            pieces
        }
        Scenario::BrokenCall => {
            let mut pieces = calls(seen, 1);
            if let Some(Piece::Call { arguments, .. }) = pieces.first_mut() {
                arguments.pop();
            }
            pieces
        }
        Scenario::Stop => {
            // Whoever is not told of a text may say it all the same.
            let stop = seen.stop.first().map_or("END", String::as_str);
            vec![Piece::Text(format!("All before the sequence. {stop} Never after it."))]
        }
        Scenario::Empty => Vec::new(),
        Scenario::Unicode => vec![Piece::Text("Grüße, 北京, 👩‍👩‍👧 und \u{1F680}; ½ € \u{2028}fin".to_owned())],
        Scenario::Citations => vec![Piece::Cited("The sky is blue.".to_owned())],
        _ => vec![Piece::Text(report(seen))],
    };
    if finish == Finish::End && scenario != Scenario::Echo {
        finish = end(&mut pieces, seen);
    }
    Answer {
        usage: usage(scenario, &pieces, body),
        pieces,
        finish,
        pace: match scenario {
            Scenario::Slow(pace) => Some(pace.unwrap_or(slow)),
            _ => None,
        },
        seed: seed(body),
        omit_thinking: seen.omit_thinking,
    }
}

/// Applies what would end a real answer: a call, a stop sequence, the token limit.
fn end(pieces: &mut [Piece], seen: &Seen) -> Finish {
    if pieces.iter().any(|piece| matches!(piece, Piece::Call { .. })) {
        return Finish::Calls;
    }
    let Some(Piece::Text(text)) = pieces.last_mut() else { return Finish::End };
    let hit = seen
        .stop
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()).map(|at| (at, stop)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, stop)) = hit {
        text.truncate(at);
        return Finish::Sequence(stop.clone());
    }
    let limit = seen.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    if tokens(text).count() > limit {
        *text = tokens(text).take(limit).collect();
        return Finish::Limit;
    }
    Finish::End
}

/// A text that tells what was seen.
fn report(seen: &Seen) -> String {
    if !seen.results.is_empty() {
        return format!("The tools said: {}", seen.results.join(" | "));
    }
    let quote: String = seen.user.chars().take(MAX_QUOTE).collect();
    format!(
        "Simulated answer to: {quote} (messages={} system={} tools={} images={} documents={})",
        seen.messages,
        seen.system,
        seen.tools.len(),
        seen.images,
        seen.documents
    )
}

fn thought(text: &str) -> Piece {
    Piece::Thinking(text.to_owned())
}

/// Calls up to `most` of the offered tools, or reports when there is nothing to call.
fn calls(seen: &Seen, most: usize) -> Vec<Piece> {
    if !seen.results.is_empty() || seen.tools.is_empty() || seen.no_calls {
        return vec![Piece::Text(report(seen))];
    }
    let most = if seen.one_call { 1 } else { most };
    let offered = seen.tools.iter().filter(|tool| seen.forced.as_ref().is_none_or(|name| *name == tool.name));
    offered
        .cycle()
        .take(most)
        .map(|tool| Piece::Call {
            name: tool.name.clone(),
            arguments: instance(&tool.schema, &tool.schema, 0).to_string(),
        })
        .collect()
}

/// Makes the smallest instance of a schema; `$ref` is followed inside `root`.
pub(super) fn instance(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| instance(target, root, depth + 1));
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(value) = schema.get("enum").and_then(|values| values.get(0)) {
        return value.clone();
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(choice).and_then(|choices| choices.get(0)) {
            return instance(first, root, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None => None,
    };
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => Value::from("value"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => Value::from(true),
        Some("null") => Value::Null,
        Some("array") => match (schema.get("minItems").and_then(Value::as_u64), schema.get("items")) {
            (Some(1..), Some(items)) => json!([instance(items, root, depth + 1)]),
            _ => json!([]),
        },
        _ => Value::Object(members(schema, root, depth)),
    }
}

/// The required members of an object; all it has where none is required.
fn members(schema: &Value, root: &Value, depth: usize) -> Map<String, Value> {
    let required: Option<Vec<&str>> = schema
        .get("required")
        .and_then(Value::as_array)
        .filter(|names| !names.is_empty())
        .map(|names| names.iter().filter_map(Value::as_str).collect());
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Map::new() };
    properties
        .iter()
        .filter(|(name, _)| required.as_ref().is_none_or(|names| names.contains(&name.as_str())))
        .map(|(name, schema)| (name.clone(), instance(schema, root, depth + 1)))
        .collect()
}

fn usage(scenario: Scenario, pieces: &[Piece], body: &[u8]) -> Usage {
    let mut usage = Usage { input: body.len() as u64 / 4 + 1, ..Usage::default() };
    for piece in pieces {
        match piece {
            Piece::Thinking(text) | Piece::Redacted(text) => usage.reasoning += tokens(text).count() as u64,
            Piece::Text(text) | Piece::Cited(text) | Piece::Refusal(text) => {
                usage.output += tokens(text).count() as u64;
            }
            Piece::Call { arguments, .. } => usage.output += arguments.len() as u64 / 4 + 1,
        }
    }
    if scenario == Scenario::Usage {
        usage = Usage {
            input: 11,
            cache_read: 700,
            cache_write_5m: 300,
            cache_write_1h: 50,
            output: usage.output,
            reasoning: 17,
        };
    }
    usage.output += usage.reasoning;
    usage
}

/// Splits a text as it is streamed: a word and the blank after it; whole characters always.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// Fowler-Noll-Vo over the body: ids differ between requests and repeat for the same one.
fn seed(body: &[u8]) -> u64 {
    body.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_instance_obeys_refs_enums_and_required() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/A"}, "b": {"enum": ["x", "y"]}, "c": {"type": "integer", "minimum": 3},
                "d": {"type": "array", "minItems": 1, "items": {"type": ["string", "null"]}}, "e": {"type": "null"}
            },
            "required": ["a", "b", "c", "d"],
            "$defs": {"A": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}
        });
        assert_eq!(instance(&schema, &schema, 0), json!({"a": true, "b": "x", "c": 3, "d": ["value"]}));
        let endless = json!({"$ref": "#"});
        assert_eq!(instance(&endless, &endless, 0), Value::Null);
    }

    #[test]
    fn limits_and_stop_sequences_end_an_answer() {
        let mut seen = Seen { user: "a b c".to_owned(), limit: Some(2), ..Seen::default() };
        let said = answer(Scenario::Text, &seen, b"{}", Duration::ZERO);
        assert_eq!(said.pieces, [Piece::Text("Simulated answer ".to_owned())]);
        assert_eq!(said.finish, Finish::Limit);
        seen.limit = None;
        seen.stop = vec!["zz".to_owned(), "b".to_owned()];
        let said = answer(Scenario::Text, &seen, b"{}", Duration::ZERO);
        assert_eq!(said.pieces, [Piece::Text("Simulated answer to: a ".to_owned())]);
        assert_eq!(said.finish, Finish::Sequence("b".to_owned()));
    }
}
