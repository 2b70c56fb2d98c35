//! What is asked of a gateway: one feature a probe, in the words of each protocol that has it.

use busbar::Protocol;
use serde_json::{Value, json};

/// A feature, of requests or of answers.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// For a reader.
    pub name: &'static str,
    /// What the simulator plays.
    pub scenario: &'static str,
    /// Whether it is about what the backend gets, or about what the client gets back.
    pub of: Of,
}

/// Where a probe looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// At what the backend gets.
    Request,
    /// At what the client gets back.
    Answer,
}

/// A value that has to be somewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// A text or number that stands nowhere else, and the name of the member that holds it at the client.
    Value(&'static str, String),
    /// Any member of one of these names.
    Member(&'static [&'static str]),
    /// One of these words in a member of one of these names.
    Word(&'static [&'static str], &'static [&'static str]),
}

const fn of_request(name: &'static str) -> Probe {
    Probe { name, scenario: "text", of: Of::Request }
}

const fn of_answer(name: &'static str, scenario: &'static str) -> Probe {
    Probe { name, scenario, of: Of::Answer }
}

/// All probes, in the order of a report.
pub const PROBES: &[Probe] = &[
    of_request("system"),
    of_request("history"),
    of_request("temperature"),
    of_request("top_p"),
    of_request("top_k"),
    of_request("max tokens"),
    of_request("stop"),
    of_request("seed"),
    of_request("penalty"),
    of_request("picture"),
    of_request("PDF"),
    of_request("tool"),
    of_request("tool choice"),
    of_request("call and result"),
    of_request("reasoning"),
    of_request("output schema"),
    of_request("end user"),
    of_answer("text back", "unicode"),
    of_answer("calls back", "tools"),
    of_answer("thought back", "think"),
    of_answer("refusal back", "refusal"),
    of_answer("length back", "length"),
    of_answer("usage back", "usage"),
    of_answer("citation back", "citations"),
];

/// A picture of one point, and a PDF that is one by its first bytes.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF: &str = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL0NhdGFsb2c+PgplbmRvYmoK";

const FINISH: &[&str] = &["finish_reason", "stop_reason", "status", "reason"];

/// The path of a call.
pub fn path(client: Protocol, model: &str, stream: bool) -> String {
    match (client, stream) {
        (Protocol::OpenaiChat, _) => "/v1/chat/completions".to_owned(),
        (Protocol::OpenaiResponses, _) => "/v1/responses".to_owned(),
        (Protocol::Anthropic, _) => "/v1/messages".to_owned(),
        (Protocol::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
        (Protocol::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        (Protocol::Bedrock, false) => format!("/model/{model}/converse"),
        (Protocol::Bedrock, true) => format!("/model/{model}/converse-stream"),
        (Protocol::Cohere, _) => "/v2/chat".to_owned(),
    }
}

/// The protocol of which a call has this path, wherever it begins.
pub fn wire(path: &str) -> Option<Protocol> {
    let ends: [(&[&str], Protocol); 6] = [
        (&["/chat/completions"], Protocol::OpenaiChat),
        (&["/responses"], Protocol::OpenaiResponses),
        (&["/messages"], Protocol::Anthropic),
        (&[":generateContent", ":streamGenerateContent"], Protocol::Gemini),
        (&["/converse", "/converse-stream"], Protocol::Bedrock),
        (&["/chat"], Protocol::Cohere),
    ];
    ends.into_iter().find(|(ends, _)| ends.iter().any(|end| path.ends_with(end))).map(|(_, wire)| wire)
}

/// The body of a probe, with a word that tells it from every other call; nothing where the protocol has no form.
pub fn body(client: Protocol, probe: &Probe, model: &str, nonce: &str, stream: bool) -> Option<Value> {
    let asked = format!("Answer {nonce} [[sim:{}]]", probe.scenario);
    let mut body = plain(client, model, &asked, stream);
    match probe.of {
        Of::Request => add(client, probe.name, &asked, &mut body)?,
        Of::Answer => match probe.scenario {
            "tools" => add(client, "tool", &asked, &mut body)?,
            "think" | "usage" => add(client, "reasoning", &asked, &mut body)?,
            "citations" => cited(client, &mut body)?,
            _ => {}
        },
    }
    Some(body)
}

/// What a probe has to find.
pub fn wants(client: Protocol, probe: &Probe) -> Vec<Want> {
    use Protocol::{Anthropic, Bedrock, Cohere, Gemini, OpenaiChat, OpenaiResponses};
    let value = |name, value: &str| Want::Value(name, value.to_owned());
    match probe.name {
        "system" => vec![value("text", "probe-system")],
        "history" => vec![value("text", "probe-said"), value("text", "probe-begun")],
        "temperature" => vec![value("temperature", "0.3125")],
        "top_p" => vec![value("top_p", "0.8125")],
        "top_k" => vec![value("top_k", "37")],
        "max tokens" => vec![value("max_tokens", "7777")],
        "stop" => vec![value("stop", "probe-stop")],
        "seed" => vec![value("seed", "424242")],
        "penalty" => vec![value("frequency_penalty", "0.375")],
        "picture" => vec![value("data", PNG)],
        "PDF" => vec![value("data", PDF)],
        "tool" => vec![
            value("name", "probe_tool"),
            value("description", "probe-described"),
            value("parameters", "probe_city"),
        ],
        "tool choice" => {
            vec![value("name", "probe_tool"), Want::Member(&["tool_choice", "function_calling_config"])]
        }
        "call and result" => {
            let mut wants = vec![
                value("name", "probe_tool"),
                value("arguments", "probe-given"),
                value("content", "probe-result"),
            ];
            if !matches!(client, Gemini) {
                wants.push(value("id", "call_probe1"));
            }
            wants
        }
        "reasoning" => vec![Want::Member(&[
            "reasoning_effort",
            "effort",
            "thinking",
            "budget_tokens",
            "thinking_budget",
            "token_budget",
            "thinking_level",
        ])],
        "output schema" => vec![value("schema", "probe_field")],
        "end user" => vec![value("user", "probe-user")],
        "text back" => vec![value("text", "Grüße, 北京, 👩‍👩‍👧 und \u{1F680}; ½ € \u{2028}fin")],
        "calls back" => vec![
            value("name", "probe_tool"),
            Want::Word(
                FINISH,
                match client {
                    OpenaiChat => &["tool_calls"],
                    OpenaiResponses => &["completed"],
                    Anthropic | Bedrock => &["tool_use"],
                    Gemini => &["stop"],
                    Cohere => &["tool_call"],
                },
            ),
        ],
        "thought back" => vec![value("thinking", "First I read the question.")],
        "refusal back" => vec![value("refusal", "I can not help with that.")],
        "length back" => vec![Want::Word(
            FINISH,
            match client {
                OpenaiChat => &["length"],
                OpenaiResponses => &["max_output_tokens"],
                _ => &["max_tokens"],
            },
        )],
        "usage back" => vec![value("cached_tokens", "700"), value("reasoning_tokens", "17")],
        _ => vec![Want::Member(&["annotations", "citations", "grounding_metadata", "citation_metadata"])],
    }
}

fn plain(client: Protocol, model: &str, asked: &str, stream: bool) -> Value {
    let turns = json!([{"role": "user", "content": asked}]);
    match client {
        Protocol::OpenaiChat => {
            let mut body = json!({"model": model, "messages": turns, "max_completion_tokens": 4000});
            if stream {
                body["stream"] = true.into();
                body["stream_options"] = json!({"include_usage": true});
            }
            body
        }
        Protocol::OpenaiResponses => {
            json!({"model": model, "input": turns, "max_output_tokens": 4000, "store": false, "stream": stream})
        }
        Protocol::Anthropic => {
            json!({"model": model, "max_tokens": 4000, "messages": turns, "stream": stream})
        }
        Protocol::Gemini => {
            json!({"contents": [{"role": "user", "parts": [{"text": asked}]}], "generationConfig": {"maxOutputTokens": 4000}})
        }
        Protocol::Bedrock => {
            json!({"messages": [{"role": "user", "content": [{"text": asked}]}], "inferenceConfig": {"maxTokens": 4000}})
        }
        Protocol::Cohere => json!({"model": model, "messages": turns, "max_tokens": 4000, "stream": stream}),
    }
}

/// Where the turns are, and the members of a turn of the user.
fn turns(client: Protocol) -> &'static str {
    match client {
        Protocol::OpenaiResponses => "input",
        Protocol::Gemini => "contents",
        _ => "messages",
    }
}

fn turn(client: Protocol, role: &str, said: &str) -> Value {
    match client {
        Protocol::Gemini => {
            let role = if role == "assistant" { "model" } else { role };
            json!({"role": role, "parts": [{"text": said}]})
        }
        Protocol::Bedrock => json!({"role": role, "content": [{"text": said}]}),
        _ => json!({"role": role, "content": said}),
    }
}

/// Adds a feature to the body; nothing where the protocol has no form for it.
fn add(client: Protocol, feature: &str, asked: &str, body: &mut Value) -> Option<()> {
    use Protocol::{Anthropic, Bedrock, Cohere, Gemini, OpenaiChat, OpenaiResponses};
    let schema = json!({"type": "object", "properties": {"probe_field": {"type": "string"}}, "required": ["probe_field"], "additionalProperties": false});
    match (feature, client) {
        ("system", OpenaiChat | Cohere) => {
            first(client, body, json!({"role": "system", "content": "probe-system"}))
        }
        ("system", OpenaiResponses) => body["instructions"] = "probe-system".into(),
        ("system", Anthropic) => body["system"] = "probe-system".into(),
        ("system", Gemini) => body["systemInstruction"] = json!({"parts": [{"text": "probe-system"}]}),
        ("system", Bedrock) => body["system"] = json!([{"text": "probe-system"}]),
        ("history", _) => {
            first(client, body, turn(client, "assistant", "probe-said"));
            first(client, body, turn(client, "user", "probe-begun"));
        }
        ("temperature", Gemini) => body["generationConfig"]["temperature"] = json!(0.3125),
        ("temperature", Bedrock) => body["inferenceConfig"]["temperature"] = json!(0.3125),
        ("temperature", _) => body["temperature"] = json!(0.3125),
        ("top_p", Gemini) => body["generationConfig"]["topP"] = json!(0.8125),
        ("top_p", Bedrock) => body["inferenceConfig"]["topP"] = json!(0.8125),
        ("top_p", Cohere) => body["p"] = json!(0.8125),
        ("top_p", _) => body["top_p"] = json!(0.8125),
        ("top_k", Gemini) => body["generationConfig"]["topK"] = json!(37),
        ("top_k", Bedrock) => body["additionalModelRequestFields"] = json!({"top_k": 37}),
        ("top_k", Cohere) => body["k"] = json!(37),
        ("top_k", Anthropic) => body["top_k"] = json!(37),
        ("max tokens", OpenaiChat) => body["max_completion_tokens"] = json!(7777),
        ("max tokens", OpenaiResponses) => body["max_output_tokens"] = json!(7777),
        ("max tokens", Gemini) => body["generationConfig"]["maxOutputTokens"] = json!(7777),
        ("max tokens", Bedrock) => body["inferenceConfig"]["maxTokens"] = json!(7777),
        ("max tokens", _) => body["max_tokens"] = json!(7777),
        ("stop", OpenaiChat) => body["stop"] = json!(["probe-stop"]),
        ("stop", Anthropic | Cohere) => body["stop_sequences"] = json!(["probe-stop"]),
        ("stop", Gemini) => body["generationConfig"]["stopSequences"] = json!(["probe-stop"]),
        ("stop", Bedrock) => body["inferenceConfig"]["stopSequences"] = json!(["probe-stop"]),
        ("seed", OpenaiChat | Cohere) => body["seed"] = json!(424_242),
        ("seed", Gemini) => body["generationConfig"]["seed"] = json!(424_242),
        ("penalty", OpenaiChat | Cohere) => body["frequency_penalty"] = json!(0.375),
        ("penalty", Gemini) => body["generationConfig"]["frequencyPenalty"] = json!(0.375),
        ("picture" | "PDF", _) => last(client, body, file(client, feature == "PDF", asked)?),
        ("tool", _) => tools(client, body),
        ("tool choice", _) => {
            tools(client, body);
            match client {
                OpenaiChat => {
                    body["tool_choice"] = json!({"type": "function", "function": {"name": "probe_tool"}})
                }
                OpenaiResponses => body["tool_choice"] = json!({"type": "function", "name": "probe_tool"}),
                Anthropic => body["tool_choice"] = json!({"type": "tool", "name": "probe_tool"}),
                Gemini => {
                    body["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["probe_tool"]}});
                }
                Bedrock => body["toolConfig"]["toolChoice"] = json!({"tool": {"name": "probe_tool"}}),
                Cohere => body["tool_choice"] = "REQUIRED".into(),
            }
        }
        ("call and result", _) => called(client, body),
        ("reasoning", OpenaiChat) => body["reasoning_effort"] = "low".into(),
        ("reasoning", OpenaiResponses) => {
            body["reasoning"] = json!({"effort": "low", "summary": "auto"});
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
        ("reasoning", Anthropic) => body["thinking"] = json!({"type": "enabled", "budget_tokens": 2048}),
        ("reasoning", Gemini) => {
            body["generationConfig"]["thinkingConfig"] =
                json!({"thinkingBudget": 2048, "includeThoughts": true})
        }
        ("reasoning", Bedrock) => {
            body["additionalModelRequestFields"] =
                json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})
        }
        ("reasoning", Cohere) => body["thinking"] = json!({"type": "enabled", "token_budget": 2048}),
        ("output schema", OpenaiChat) => {
            body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "probe", "schema": schema, "strict": true}})
        }
        ("output schema", OpenaiResponses) => {
            body["text"] =
                json!({"format": {"type": "json_schema", "name": "probe", "schema": schema, "strict": true}})
        }
        ("output schema", Anthropic) => {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}})
        }
        ("output schema", Gemini) => {
            body["generationConfig"]["responseMimeType"] = "application/json".into();
            body["generationConfig"]["responseJsonSchema"] = schema;
        }
        ("output schema", Bedrock) => {
            body["outputConfig"] = json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "probe", "schema": schema.to_string()}}}});
        }
        ("output schema", Cohere) => {
            body["response_format"] = json!({"type": "json_object", "json_schema": schema})
        }
        ("end user", OpenaiChat) => body["user"] = "probe-user".into(),
        ("end user", OpenaiResponses) => body["safety_identifier"] = "probe-user".into(),
        ("end user", Anthropic) => body["metadata"] = json!({"user_id": "probe-user"}),
        _ => return None,
    }
    Some(())
}

fn first(client: Protocol, body: &mut Value, turn: Value) {
    if let Some(turns) = body[turns(client)].as_array_mut() {
        turns.insert(0, turn);
    }
}

/// Puts another turn in the place of the last.
fn last(client: Protocol, body: &mut Value, turn: Value) {
    if let Some(turns) = body[turns(client)].as_array_mut() {
        turns.pop();
        turns.push(turn);
    }
}

fn file(client: Protocol, pdf: bool, asked: &str) -> Option<Value> {
    let (data, kind, format) = if pdf { (PDF, "application/pdf", "pdf") } else { (PNG, "image/png", "png") };
    let url = format!("data:{kind};base64,{data}");
    let block = match (client, pdf) {
        (Protocol::OpenaiChat, false) | (Protocol::Cohere, false) => {
            json!({"type": "image_url", "image_url": {"url": url}})
        }
        (Protocol::OpenaiChat, true) => {
            json!({"type": "file", "file": {"filename": "probe.pdf", "file_data": url}})
        }
        (Protocol::OpenaiResponses, false) => {
            json!({"type": "input_image", "image_url": url, "detail": "auto"})
        }
        (Protocol::OpenaiResponses, true) => {
            json!({"type": "input_file", "filename": "probe.pdf", "file_data": url})
        }
        (Protocol::Anthropic, _) => {
            let name = if pdf { "document" } else { "image" };
            json!({"type": name, "source": {"type": "base64", "media_type": kind, "data": data}})
        }
        (Protocol::Gemini, _) => json!({"inlineData": {"mimeType": kind, "data": data}}),
        (Protocol::Bedrock, false) => json!({"image": {"format": format, "source": {"bytes": data}}}),
        (Protocol::Bedrock, true) => {
            json!({"document": {"format": format, "name": "probe", "source": {"bytes": data}}})
        }
        (Protocol::Cohere, true) => return None,
    };
    Some(match client {
        Protocol::Gemini => json!({"role": "user", "parts": [block, {"text": asked}]}),
        Protocol::Bedrock => json!({"role": "user", "content": [block, {"text": asked}]}),
        Protocol::OpenaiResponses => {
            json!({"role": "user", "content": [block, {"type": "input_text", "text": asked}]})
        }
        _ => json!({"role": "user", "content": [block, {"type": "text", "text": asked}]}),
    })
}

fn tools(client: Protocol, body: &mut Value) {
    let schema = json!({"type": "object", "properties": {"probe_city": {"type": "string"}}, "required": ["probe_city"]});
    let (name, told) = ("probe_tool", "probe-described");
    match client {
        Protocol::OpenaiChat | Protocol::Cohere => {
            body["tools"] = json!([{"type": "function", "function": {"name": name, "description": told, "parameters": schema}}]);
        }
        Protocol::OpenaiResponses => {
            body["tools"] = json!([{"type": "function", "name": name, "description": told, "parameters": schema, "strict": false}]);
        }
        Protocol::Anthropic => {
            body["tools"] = json!([{"name": name, "description": told, "input_schema": schema}])
        }
        Protocol::Gemini => {
            body["tools"] = json!([{"functionDeclarations": [{"name": name, "description": told, "parametersJsonSchema": schema}]}]);
        }
        Protocol::Bedrock => {
            body["toolConfig"] = json!({"tools": [{"toolSpec": {"name": name, "description": told, "inputSchema": {"json": schema}}}]});
        }
    }
}

/// A call of the model and its result, before the question.
fn called(client: Protocol, body: &mut Value) {
    tools(client, body);
    let (id, name, args) = ("call_probe1", "probe_tool", json!({"probe_city": "probe-given"}));
    let text = args.to_string();
    let (call, result) = match client {
        Protocol::OpenaiChat | Protocol::Cohere => (
            json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": name, "arguments": text}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": "probe-result"}),
        ),
        Protocol::OpenaiResponses => (
            json!({"type": "function_call", "call_id": id, "name": name, "arguments": text}),
            json!({"type": "function_call_output", "call_id": id, "output": "probe-result"}),
        ),
        Protocol::Anthropic => (
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": args}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "probe-result"}]}),
        ),
        Protocol::Gemini => (
            json!({"role": "model", "parts": [{"functionCall": {"name": name, "args": args}, "thoughtSignature": "skip_thought_signature_validator"}]}),
            json!({"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"output": "probe-result"}}}]}),
        ),
        Protocol::Bedrock => (
            json!({"role": "assistant", "content": [{"toolUse": {"toolUseId": id, "name": name, "input": args}}]}),
            json!({"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": [{"text": "probe-result"}]}}]}),
        ),
    };
    // The question that tells this probe from others comes first: a result ends the conversation.
    if let Some(turns) = body[turns(client)].as_array_mut() {
        turns.push(call);
        turns.push(result);
    }
}

/// Something to cite, where a protocol has a form for it.
fn cited(client: Protocol, body: &mut Value) -> Option<()> {
    let words = "The sky is blue.";
    match client {
        Protocol::Anthropic => {
            let asked = body["messages"][0]["content"].take();
            body["messages"][0]["content"] = json!([
                {"type": "document", "title": "probe", "citations": {"enabled": true}, "source": {"type": "text", "media_type": "text/plain", "data": words}},
                {"type": "text", "text": asked}
            ]);
        }
        Protocol::Bedrock => {
            let blocks = body["messages"][0]["content"].as_array_mut()?;
            blocks.insert(0, json!({"document": {"format": "txt", "name": "probe", "citations": {"enabled": true}, "source": {"text": words}}}));
        }
        Protocol::Cohere => {
            body["documents"] = json!([{"id": "doc_1", "data": {"title": "probe", "text": words}}])
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_of_its_protocol() {
        for client in Protocol::ALL {
            for stream in [false, true] {
                let path = path(client, "m", stream);
                assert_eq!(wire(path.split('?').next().unwrap()), Some(client), "{path}");
            }
        }
        assert_eq!(wire("/v1/models"), None);
    }
}
