//! What a request of each protocol says of calls, results and turns, read without the maps.

use busbar::Protocol;
use serde_json::Value;

/// Something in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A call, by its id.
    Call(String),
    /// The result of the call with that id.
    Result(String),
    /// All else.
    Other,
}

/// Messages, contents or items of a request.
pub(crate) fn turns(protocol: Protocol, body: &Value) -> &[Value] {
    let member = match protocol {
        Protocol::OpenaiResponses => "input",
        Protocol::Gemini => "contents",
        _ => "messages",
    };
    body[member].as_array().map_or(&[], Vec::as_slice)
}

/// The calls and results of a request, in order.
pub(crate) fn steps(protocol: Protocol, body: &Value) -> Vec<Step> {
    turns(protocol, body).iter().flat_map(|turn| of_turn(protocol, turn)).collect()
}

/// How many tools a request declares.
pub(crate) fn tools(protocol: Protocol, body: &Value) -> usize {
    let list = match protocol {
        Protocol::Gemini => &body["tools"][0]["functionDeclarations"],
        Protocol::Bedrock => &body["toolConfig"]["tools"],
        _ => &body["tools"],
    };
    list.as_array().map_or(0, |tools| tools.iter().filter(|tool| tool.get("cachePoint").is_none()).count())
}

fn of_turn(protocol: Protocol, turn: &Value) -> Vec<Step> {
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    match protocol {
        Protocol::OpenaiChat | Protocol::Cohere => {
            if turn["role"] == "tool" {
                return vec![Step::Result(id(&turn["tool_call_id"]))];
            }
            let calls = turn["tool_calls"].as_array().into_iter().flatten();
            std::iter::once(Step::Other).chain(calls.map(|call| Step::Call(id(&call["id"])))).collect()
        }
        Protocol::OpenaiResponses => vec![match turn["type"].as_str() {
            Some("function_call") => Step::Call(id(&turn["call_id"])),
            Some("function_call_output") => Step::Result(id(&turn["call_id"])),
            _ => Step::Other,
        }],
        Protocol::Anthropic => parts(turn, "content", |part| match part["type"].as_str() {
            Some("tool_use") => Step::Call(id(&part["id"])),
            Some("tool_result") => Step::Result(id(&part["tool_use_id"])),
            _ => Step::Other,
        }),
        Protocol::Gemini => parts(turn, "parts", |part| {
            if let Some(call) = part.get("functionCall") {
                return Step::Call(id(&call["id"]));
            }
            part.get("functionResponse").map_or(Step::Other, |result| Step::Result(id(&result["id"])))
        }),
        Protocol::Bedrock => parts(turn, "content", |part| {
            if let Some(call) = part.get("toolUse") {
                return Step::Call(id(&call["toolUseId"]));
            }
            part.get("toolResult").map_or(Step::Other, |result| Step::Result(id(&result["toolUseId"])))
        }),
    }
}

fn parts(turn: &Value, member: &str, read: impl Fn(&Value) -> Step) -> Vec<Step> {
    turn[member].as_array().into_iter().flatten().map(read).collect()
}
