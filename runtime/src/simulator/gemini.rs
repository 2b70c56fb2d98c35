//! The `gemini` protocol: generateContent and its stream, the basics checked.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Wire;
use super::answer::{Answer, Finish, Piece, Seen, Tool, Usage, tokens};
use super::frames::{Frames, sse};
use super::refusal::Refusal;
use super::sign;

const FIELDS: &[&str] = &[
    "cachedContent",
    "contents",
    "generateContentRequest",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];

/// What stands for a signature that a call never had, as the provider documents.
const SKIP: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

const MAX_STOPS: usize = 5;

/// Checks a request for one model; both spellings of a field's name are taken.
pub(super) fn validate(model: &str, body: &Value) -> Result<Seen, Refusal> {
    let body = body.as_object().ok_or_else(|| Refusal::invalid("Invalid JSON payload received."))?;
    for name in body.keys() {
        if !FIELDS.contains(&camel(name).as_str()) {
            return Err(Refusal::invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
            )));
        }
    }
    let mut seen = Seen { model: model.to_owned(), ..Seen::default() };
    seen.system = usize::from(get(body, "systemInstruction").is_some());
    generation(body, &mut seen)?;
    for tool in get(body, "tools").and_then(Value::as_array).into_iter().flatten() {
        let Some(declared) = tool.as_object().and_then(|tool| get(tool, "functionDeclarations")) else {
            continue;
        };
        for function in declared.as_array().into_iter().flatten() {
            let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| {
                Refusal::invalid(
                    "GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name.",
                )
            })?;
            let schema = function
                .as_object()
                .and_then(|map| get(map, "parametersJsonSchema").or_else(|| get(map, "parameters")));
            seen.tools
                .push(Tool { name: name.to_owned(), schema: schema.cloned().unwrap_or_else(|| json!({})) });
        }
    }
    let mode = body.get("toolConfig").and_then(|config| config.pointer("/functionCallingConfig/mode"));
    seen.no_calls = mode.and_then(Value::as_str) == Some("NONE");
    contents(body, &mut seen)?;
    Ok(seen)
}

fn generation(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = get(body, "generationConfig") else { return Ok(()) };
    let config = config
        .as_object()
        .ok_or_else(|| Refusal::invalid("Invalid value at 'generation_config' (an object is expected)"))?;
    seen.limit = get(config, "maxOutputTokens").and_then(Value::as_u64);
    if let Some(temperature) = get(config, "temperature") {
        match temperature.as_f64() {
            Some(number) if (0.0..=2.0).contains(&number) => {}
            _ => {
                return Err(Refusal::invalid(format!(
                    "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0], got {temperature}."
                )));
            }
        }
    }
    if let Some(stops) = get(config, "stopSequences").and_then(Value::as_array) {
        if stops.len() > MAX_STOPS {
            return Err(Refusal::invalid(format!(
                "The number of stop sequences must not exceed {MAX_STOPS}, got {}.",
                stops.len()
            )));
        }
        seen.stop = stops.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    if get(config, "responseMimeType").and_then(Value::as_str) == Some("application/json") {
        let schema = get(config, "responseJsonSchema").or_else(|| get(config, "responseSchema"));
        seen.schema = Some(schema.cloned().unwrap_or_else(|| json!({})));
    }
    Ok(())
}

fn contents(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let wrapped = get(body, "generateContentRequest").and_then(Value::as_object);
    let contents = get(wrapped.unwrap_or(body), "contents").and_then(Value::as_array);
    let list = contents
        .filter(|list| !list.is_empty())
        .ok_or_else(|| Refusal::invalid("* GenerateContentRequest.contents: contents is not specified"))?;
    seen.messages = list.len();
    let mut calls = 0_usize;
    for (n, content) in list.iter().enumerate() {
        let role = content.get("role").and_then(Value::as_str).unwrap_or("user");
        if !matches!(role, "user" | "model" | "function") {
            return Err(Refusal::invalid("Please use a valid role: user, model."));
        }
        let parts = content.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| {
            Refusal::invalid(format!(
                "* GenerateContentRequest.contents[{n}].parts: contents.parts must not be empty."
            ))
        })?;
        seen.results.clear();
        let mut called = 0;
        for part in parts {
            let part =
                part.as_object().ok_or_else(|| Refusal::invalid("Invalid value at 'contents.parts'"))?;
            called += usize::from(get(part, "functionCall").is_some());
            self::part(part, role, seen)?;
        }
        if calls > 0 && seen.results.len() != calls {
            return Err(Refusal::invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        calls = called;
    }
    Ok(())
}

fn part(part: &Map<String, Value>, role: &str, seen: &mut Seen) -> Result<(), Refusal> {
    if let Some(signature) = get(part, "thoughtSignature") {
        let known = signature.as_str().is_some_and(|given| {
            let text = sign::standard(given);
            SKIP.contains(&given)
                || ["", text_of(part), call_of(part)].iter().any(|said| sign::genuine("gemini", said, &text))
        });
        if !known {
            return Err(Refusal::invalid("Thought signature is not valid."));
        }
    }
    if let Some(text) = part.get("text") {
        let text = text
            .as_str()
            .ok_or_else(|| Refusal::invalid("Invalid value at 'contents.parts.text' (TYPE_STRING)"))?;
        if role == "user" {
            text.clone_into(&mut seen.user);
        }
    } else if let Some(media) = get(part, "inlineData").and_then(Value::as_object) {
        let kind = get(media, "mimeType").and_then(Value::as_str).unwrap_or_default();
        if !media
            .get("data")
            .and_then(Value::as_str)
            .is_some_and(|data| sign::is_base64(&sign::standard(data)))
        {
            return Err(Refusal::invalid(
                "Invalid value at 'contents.parts.inline_data.data' (TYPE_BYTES), Base64 decoding failed",
            ));
        }
        if kind.is_empty() {
            return Err(Refusal::invalid("Unable to submit request because it has an empty mimeType."));
        }
        if kind.starts_with("image/") {
            seen.images += 1;
        } else {
            seen.documents += 1;
        }
    } else if let Some(response) = get(part, "functionResponse") {
        if response.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Refusal::invalid("function_response.name: Name cannot be empty."));
        }
        let value = response.get("response").filter(|value| value.is_object());
        let value = value.ok_or_else(|| Refusal::invalid("function_response.response is required"))?;
        seen.results.push(value.to_string());
    } else if let Some(call) = get(part, "functionCall") {
        if role != "model" || !call.get("name").is_some_and(Value::is_string) {
            return Err(Refusal::invalid("function_call belongs in a model turn and needs a name."));
        }
    } else if !["fileData", "executableCode", "codeExecutionResult", "thought"]
        .iter()
        .any(|name| get(part, name).is_some())
    {
        return Err(Refusal::invalid(
            "contents.parts: required oneof field 'data' must have one initialized field",
        ));
    }
    Ok(())
}

fn text_of(part: &Map<String, Value>) -> &str {
    part.get("text").and_then(Value::as_str).unwrap_or_default()
}

fn call_of(part: &Map<String, Value>) -> &str {
    get(part, "functionCall").and_then(|call| call.get("name")?.as_str()).unwrap_or_default()
}

fn get<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| map.iter().find(|(key, _)| camel(key) == name).map(|(_, value)| value))
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
    })
}

/// The whole answer.
pub(super) fn buffered(model: &str, answer: &Answer) -> Value {
    let parts: Vec<Value> =
        answer.pieces.iter().enumerate().filter_map(|(n, piece)| whole(answer, n, piece)).collect();
    response(model, answer, parts, true)
}

/// The chunks of a streamed answer; as one JSON array with `array`.
pub(super) fn frames(model: &str, answer: &Answer, array: bool) -> Frames {
    let mut chunks = Vec::new();
    for (n, piece) in answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => chunks.extend(tokens(text).map(|token| json!({"text": token}))),
            Piece::Thinking(text) => {
                chunks.extend(tokens(text).map(|token| json!({"text": token, "thought": true})));
                chunks.push(json!({"text": "", "thoughtSignature": sign::sign("gemini", "")}));
            }
            other => chunks.extend(whole(answer, n, other)),
        }
    }
    let last = chunks.len().saturating_sub(1);
    let mut bodies: Vec<Value> = chunks
        .into_iter()
        .enumerate()
        .map(|(n, part)| response(model, answer, vec![part], n == last))
        .collect();
    if bodies.is_empty() {
        bodies.push(response(model, answer, Vec::new(), true));
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
pub(super) fn error_frame(array: bool, first: bool) -> Bytes {
    let body = Refusal::status(Wire::Gemini, 503, "The model is overloaded.").body(Wire::Gemini, "");
    match (array, first) {
        (false, _) => sse(&body),
        (true, true) => Bytes::from(format!("[{body}]")),
        (true, false) => Bytes::from(format!(",\r\n{body}]")),
    }
}

fn whole(answer: &Answer, n: usize, piece: &Piece) -> Option<Value> {
    Some(match piece {
        Piece::Text(text) | Piece::Cited(text) => json!({"text": text}),
        Piece::Thinking(text) => {
            json!({"text": text, "thought": true, "thoughtSignature": sign::sign("gemini", text)})
        }
        Piece::Call { name, arguments } => {
            let mut part = json!({"functionCall": {
                "id": answer.id("", n), "name": name,
                "args": serde_json::from_str(arguments).unwrap_or_else(|_| json!({})),
            }});
            // Of the calls of one step the first alone is signed.
            if !answer.pieces.iter().take(n).any(|piece| matches!(piece, Piece::Call { .. })) {
                part["thoughtSignature"] = Value::from(sign::sign("gemini", name));
            }
            part
        }
        // Hidden reasoning and refusals show in the usage and the finish reason only.
        Piece::Redacted(_) | Piece::Refusal(_) => return None,
    })
}

fn response(model: &str, answer: &Answer, parts: Vec<Value>, last: bool) -> Value {
    let mut candidate = json!({"content": {"role": "model"}, "index": 0});
    if !parts.is_empty() {
        candidate["content"]["parts"] = Value::Array(parts);
    }
    if last {
        candidate["finishReason"] = Value::from(match answer.finish {
            Finish::End | Finish::Calls | Finish::Sequence(_) => "STOP",
            Finish::Limit => "MAX_TOKENS",
            Finish::Refusal => "SAFETY",
        });
        if let Some(Piece::Cited(text)) = answer.pieces.first() {
            candidate["groundingMetadata"] = json!({
                "groundingChunks": [{"web": {"uri": "https://example.com/sky", "title": "The sky"}}],
                "groundingSupports": [{
                    "segment": {"startIndex": 0, "endIndex": text.len(), "text": text}, "groundingChunkIndices": [0],
                }],
            });
        }
    }
    json!({
        "candidates": [candidate], "usageMetadata": usage(&answer.usage), "modelVersion": model,
        "responseId": answer.id("", 0),
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "promptTokenCount": usage.prompt(), "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": usage.output - usage.reasoning, "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.prompt() + usage.output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_requests_are_told_in_the_providers_words() {
        let user = json!({"role": "user", "parts": [{"text": "hi"}]});
        assert!(validate("m", &json!({"contents": [user], "generation_config": {}})).is_ok());
        let cases = [
            (json!({}), "* GenerateContentRequest.contents: contents is not specified"),
            (
                json!({"contents": [user], "x_y": 1}),
                "Invalid JSON payload received. Unknown name \"x_y\": Cannot find field.",
            ),
            (
                json!({"contents": [{"role": "system", "parts": [{"text": "a"}]}]}),
                "Please use a valid role: user, model.",
            ),
            (
                json!({"contents": [user, {"role": "model", "parts": [{"text": "a", "thoughtSignature": "AAAA"}]}]}),
                "Thought signature is not valid.",
            ),
        ];
        for (body, said) in cases {
            assert_eq!(validate("m", &body).expect_err("is refused").message, said, "{body}");
        }
    }
}
