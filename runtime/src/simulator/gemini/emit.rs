//! Answers in the generateContent form: one response, or its chunks.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::Wire;
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage, tokens};
use crate::simulator::frames::{Frames, sse};
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// Tokens that a picture or a document is billed.
const MEDIA_TOKENS: u64 = 258;

const SOURCE: (&str, &str) = ("https://example.com/sky", "The sky");

const CATEGORIES: &[&str] = &[
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

/// The whole answer.
pub(in crate::simulator) fn buffered(seen: &Seen, answer: &Answer) -> Value {
    let mut parts: Vec<Value> = Vec::new();
    for piece in shown(answer).filter(|piece| !ends_early(answer, piece)) {
        match piece {
            Piece::Text(text) | Piece::Cited(text) => parts.push(json!({"text": text})),
            Piece::Thinking(text) => parts.push(json!({"text": text, "thought": true})),
            Piece::Call { name, arguments } => parts.extend(call(answer, &parts, name, arguments)),
            Piece::Redacted(_) | Piece::Refusal(_) => {}
        }
    }
    sign_thoughts(answer, &mut parts);
    response(seen, answer, parts, Some(&answer.usage), true)
}

/// The chunks of a streamed answer; as one JSON array with `array`.
pub(in crate::simulator) fn frames(seen: &Seen, answer: &Answer, array: bool) -> Frames {
    let mut chunks: Vec<Value> = Vec::new();
    let calls = answer.pieces.iter().any(|piece| matches!(piece, Piece::Call { .. }));
    for piece in shown(answer).filter(|piece| !ends_early(answer, piece)) {
        match piece {
            Piece::Text(text) | Piece::Cited(text) => {
                chunks.extend(tokens(text).map(|token| json!({"text": token})));
            }
            Piece::Thinking(text) => {
                chunks.extend(tokens(text).map(|token| json!({"text": token, "thought": true})));
            }
            // A call comes whole.
            Piece::Call { name, arguments } => chunks.extend(call(answer, &chunks, name, arguments)),
            Piece::Redacted(_) | Piece::Refusal(_) => {}
        }
    }
    let interleaved = inner_thoughts(answer);
    if interleaved {
        sign_thoughts(answer, &mut chunks);
    }
    // Calls and signed words are followed by an empty text that brings the end.
    if calls && !chunks.is_empty() {
        chunks.push(json!({"text": ""}));
    } else if thinks(answer) && !interleaved && !chunks.is_empty() {
        chunks.push(json!({"text": "", "thoughtSignature": sign::sign("gemini", "")}));
    }
    let last = chunks.len().saturating_sub(1);
    let mut running = Usage { output: 0, reasoning: 0, ..answer.usage };
    let mut bodies: Vec<Value> = Vec::with_capacity(chunks.len().max(1));
    for (n, part) in chunks.into_iter().enumerate() {
        running.output += 1;
        running.reasoning += u64::from(part.get("thought").is_some());
        let usage = if n == last { &answer.usage } else { &running };
        bodies.push(response(seen, answer, vec![part], Some(usage), n == last));
    }
    if bodies.is_empty() {
        bodies.push(response(seen, answer, Vec::new(), Some(&answer.usage), true));
    }
    let all = if array {
        let mut all: Vec<Bytes> = bodies
            .iter()
            .enumerate()
            .map(|(n, body)| Bytes::from(format!("{}{body}", if n == 0 { "[" } else { ",\r\n" })))
            .collect();
        all.push(Bytes::from_static(b"]"));
        all
    } else {
        bodies.iter().map(sse).collect()
    };
    Frames { start: 0, all }
}

/// An error inside a stream.
pub(in crate::simulator) fn error_frame(array: bool, first: bool) -> Bytes {
    let body = Refusal::status(Wire::Gemini, 503, "The model is overloaded.").body(Wire::Gemini, "");
    if array { in_array(&body, first) } else { sse(&body) }
}

/// An error as the last element of a streamed array.
pub(in crate::simulator) fn in_array(body: &Value, first: bool) -> Bytes {
    Bytes::from(if first { format!("[{body}]") } else { format!(",\r\n{body}]") })
}

/// The pieces that are told: thoughts only where they are wanted.
fn shown(answer: &Answer) -> impl Iterator<Item = &Piece> {
    let hide = answer.omit_thinking;
    answer.pieces.iter().filter(move |piece| !(hide && matches!(piece, Piece::Thinking(_))))
}

/// A call that the limit cut is not told at all: arguments are an object or nothing.
fn ends_early(answer: &Answer, piece: &Piece) -> bool {
    answer.finish == Finish::Limit && matches!(piece, Piece::Call { .. })
}

fn thinks(answer: &Answer) -> bool {
    answer.pieces.iter().any(|piece| matches!(piece, Piece::Thinking(_) | Piece::Redacted(_)))
}

/// Whether there is thinking after words; such a thought carries its own signature.
fn inner_thoughts(answer: &Answer) -> bool {
    let words = answer.pieces.iter().position(|piece| matches!(piece, Piece::Text(_)));
    let thought = answer.pieces.iter().rposition(|piece| matches!(piece, Piece::Thinking(_)));
    matches!((words, thought), (Some(words), Some(thought)) if words < thought)
}

/// Signs the last words after thinking, or each of several thoughts; calls are signed already.
fn sign_thoughts(answer: &Answer, parts: &mut [Value]) {
    let signature = Value::from(sign::sign("gemini", ""));
    if !thinks(answer) {
        return;
    }
    if inner_thoughts(answer) && !answer.omit_thinking {
        // Of a thought in several chunks the last one is signed.
        let thought = |part: Option<&Value>| part.is_some_and(|part| part.get("thought").is_some());
        for n in 0..parts.len() {
            if thought(parts.get(n)) && !thought(parts.get(n + 1)) {
                parts[n]["thoughtSignature"] = signature.clone();
            }
        }
    } else if let Some(last) = parts.last_mut()
        && last.get("text").is_some()
        && last.get("thought").is_none()
    {
        last["thoughtSignature"] = signature;
    }
}

/// A call; `None` when its arguments are no JSON, which the finish reason tells instead.
fn call(answer: &Answer, before: &[Value], name: &str, arguments: &str) -> Option<Value> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    let calls = before.iter().filter(|part| part.get("functionCall").is_some()).count();
    let mut part = json!({"functionCall": {"id": answer.id("", calls), "name": name, "args": arguments}});
    // Of the calls of one step the first alone is signed.
    if calls == 0 {
        part["thoughtSignature"] = Value::from(sign::sign("gemini", name));
    }
    Some(part)
}

fn response(seen: &Seen, answer: &Answer, parts: Vec<Value>, usage: Option<&Usage>, last: bool) -> Value {
    let mut response = json!({"modelVersion": seen.model, "responseId": answer.id("", 0)});
    if let Some(usage) = usage {
        response["usageMetadata"] = counted(seen, usage);
    }
    let refused = answer.finish == Finish::Refusal;
    if refused && answer.pieces.is_empty() {
        response["promptFeedback"] = json!({"blockReason": "PROHIBITED_CONTENT"});
        return response;
    }
    let mut candidate = json!({"content": {"role": "model"}});
    if !parts.is_empty() {
        candidate["content"]["parts"] = Value::Array(parts);
    }
    if last {
        let broken = answer.pieces.iter().any(|piece| match piece {
            Piece::Call { arguments, .. } => serde_json::from_str::<Value>(arguments).is_err(),
            _ => false,
        });
        candidate["finishReason"] = Value::from(match answer.finish {
            Finish::Calls if broken => "MALFORMED_FUNCTION_CALL",
            Finish::End | Finish::Calls | Finish::Sequence(_) => "STOP",
            Finish::Limit | Finish::Window => "MAX_TOKENS",
            Finish::Refusal => "SAFETY",
        });
        if broken && answer.finish == Finish::Calls {
            candidate["finishMessage"] = Value::from("Malformed function call");
        }
        candidate["safetyRatings"] = ratings(refused);
        if let Some(Piece::Cited(text)) = answer.pieces.first() {
            ground(&mut candidate, text);
        }
    }
    let candidates = (0..seen.choices.max(1)).map(|index| {
        let mut candidate = candidate.clone();
        candidate["index"] = Value::from(index);
        candidate
    });
    response["candidates"] = candidates.collect();
    response
}

fn ratings(refused: bool) -> Value {
    let rating = |(n, category): (usize, &&str)| {
        if refused && n + 1 == CATEGORIES.len() {
            json!({"category": category, "probability": "HIGH", "blocked": true})
        } else {
            json!({"category": category, "probability": "NEGLIGIBLE"})
        }
    };
    CATEGORIES.iter().enumerate().map(rating).collect()
}

/// What a text rests on. A start of 0 is the default, which is never written.
fn ground(candidate: &mut Value, text: &str) {
    let (uri, title) = SOURCE;
    candidate["groundingMetadata"] = json!({
        "webSearchQueries": [title],
        "searchEntryPoint": {"renderedContent": "<div>The sky</div>"},
        "groundingChunks": [{"web": {"uri": uri, "title": title}}],
        "groundingSupports": [{
            "segment": {"endIndex": text.len(), "text": text}, "groundingChunkIndices": [0], "confidenceScores": [0.9],
        }],
    });
    candidate["citationMetadata"] = json!({"citationSources": [{"endIndex": text.len(), "uri": uri}]});
}

/// What is billed; a count of nothing is the default, which is never written.
fn counted(seen: &Seen, usage: &Usage) -> Value {
    let prompt = usage.prompt();
    let media = |count: usize, left: u64| (count as u64).saturating_mul(MEDIA_TOKENS).min(left);
    let images = media(seen.images, prompt / 2);
    let documents = media(seen.documents, prompt / 4);
    let details = |list: &[(&str, u64)]| -> Value {
        let some = list.iter().filter(|(_, tokens)| *tokens > 0);
        some.map(|(modality, tokens)| json!({"modality": modality, "tokenCount": tokens})).collect()
    };
    let said = usage.output - usage.reasoning;
    let mut counted = json!({
        "promptTokenCount": prompt, "totalTokenCount": prompt + usage.output,
        "promptTokensDetails":
            details(&[("TEXT", prompt - images - documents), ("IMAGE", images), ("DOCUMENT", documents)]),
    });
    if said > 0 {
        counted["candidatesTokenCount"] = Value::from(said);
        counted["candidatesTokensDetails"] = details(&[("TEXT", said)]);
    }
    if usage.reasoning > 0 {
        counted["thoughtsTokenCount"] = Value::from(usage.reasoning);
    }
    if usage.cache_read > 0 {
        counted["cachedContentTokenCount"] = Value::from(usage.cache_read);
        counted["cacheTokensDetails"] = details(&[("TEXT", usage.cache_read)]);
    }
    counted
}
