mod answers;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::validate;
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::{Wire, sign};

const PIXEL: &str = "aGVsbG8=";

/// A good request with some members replaced.
fn request(changes: &Value) -> Value {
    let mut body = json!({"messages": [user(&json!([{"text": "hi"}]))]});
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: &Value) -> Value {
    json!({"role": "assistant", "content": content})
}

fn call(id: &str) -> Value {
    json!({"toolUse": {"toolUseId": id, "name": "f", "input": {}}})
}

fn result(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "content": [{"text": "x"}]}})
}

fn tool(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "description": "d", "inputSchema": {"json": {"type": "object"}}}})
}

fn image() -> Value {
    json!({"image": {"format": "png", "source": {"bytes": PIXEL}}})
}

fn document(name: &str) -> Value {
    json!({"document": {"format": "pdf", "name": name, "source": {"bytes": PIXEL}}})
}

fn thought(text: &str) -> Value {
    json!({"reasoningContent": {"reasoningText": {"text": text, "signature": sign::sign("bedrock", text)}}})
}

/// A request of turns, with a tool.
fn turns(turns: &[Value]) -> Value {
    json!({"messages": turns, "toolConfig": {"tools": [tool("f")]}})
}

/// A request of one user's turn.
fn said(content: &Value) -> Value {
    json!({"messages": [user(content)]})
}

/// A request whose history has one turn of the assistant.
fn answered(content: &Value) -> Value {
    let hi = user(&json!([{"text": "hi"}]));
    turns(&[hi.clone(), assistant(content), hi])
}

fn refusal(changes: &Value) -> Refusal {
    validate("m", &request(changes), false).expect_err(&changes.to_string())
}

/// Is refused as invalid with exactly these words.
fn refused(changes: &Value, words: &str) {
    let refusal = refusal(changes);
    assert_eq!(refusal.message, words, "{changes}");
    assert_eq!((refusal.status, refusal.kind(Wire::Bedrock)), (400, "ValidationException"));
}

/// Is refused with one constraint of the service model.
fn constrained(changes: &Value, words: &str) {
    refused(changes, &format!("1 validation error detected: {words}"));
}

/// Is refused by the model behind the service.
fn model_refused(changes: &Value, words: &str) {
    refused(changes, &format!("The model returned the following errors: {words}"));
}

/// Cannot be read.
fn unreadable(changes: &Value, words: &str) {
    let refusal = refusal(changes);
    assert_eq!(refusal.message, words, "{changes}");
    assert_eq!(refusal.kind(Wire::Bedrock), "SerializationException");
}

fn taken(changes: &Value) -> Seen {
    match validate("m", &request(changes), false) {
        Ok(seen) => seen,
        Err(refusal) => panic!("{changes}: {}", refusal.message),
    }
}

#[test]
fn unknown_members_are_refused_at_any_depth() {
    for (changes, said) in [
        (json!({"x": 1}), "extraneous key [x] is not permitted"),
        (
            json!({"inferenceConfig": {"topK": 1}}),
            "#/inferenceConfig: extraneous key [topK] is not permitted",
        ),
        (
            said(&json!([{"text": "a", "type": "text"}])),
            "#/messages/0/content/0: extraneous key [type] is not permitted",
        ),
        (
            json!({"toolConfig": {"tools": [tool("f")], "toolChoice": {"none": {}}}}),
            "#/toolConfig/toolChoice: extraneous key [none] is not permitted",
        ),
        (
            json!({"guardrailConfig": {"streamProcessingMode": "sync"}}),
            "#/guardrailConfig: extraneous key [streamProcessingMode] is not permitted",
        ),
    ] {
        refused(
            &changes,
            &format!("Malformed input request: {said}, please reformat your input and try again."),
        );
    }
    let streamed = request(&json!({"guardrailConfig": {"streamProcessingMode": "sync"}}));
    assert!(validate("m", &streamed, true).is_ok());
}

#[test]
fn a_union_has_exactly_one_member() {
    let blocks = "text, image, document, video, audio, toolUse, toolResult, guardContent, cachePoint, reasoningContent, citationsContent, searchResult, toolAddition, toolRemoval";
    for empty in [json!({}), json!({"text": null})] {
        refused(
            &said(&json!([empty])),
            &format!(
                "The ContentBlock object at messages.0.content.0 must set one of the following keys: {blocks}."
            ),
        );
    }
    refused(
        &said(&json!([{"text": "a", "cachePoint": {"type": "default"}}])),
        &format!(
            "The ContentBlock object at messages.0.content.0 must set only one of the following keys: {blocks}."
        ),
    );
    refused(
        &said(&json!([{"image": {"format": "png", "source": {}}}])),
        "The ImageSource object at messages.0.content.0.image.source must set one of the following keys: bytes, s3Location.",
    );
    refused(
        &json!({"toolConfig": {"tools": [tool("f")], "toolChoice": {"any": {}, "auto": {}}}}),
        "The ToolChoice object at toolConfig.toolChoice must set only one of the following keys: auto, any, tool.",
    );
}

#[test]
fn values_have_the_types_of_the_service_model() {
    unreadable(&json!({"messages": "hi"}), "Unexpected value type in payload.");
    unreadable(&json!({"messages": {}}), "Start of structure or map found where not expected.");
    unreadable(&said(&json!([{"text": ["a"]}])), "Start of list found where not expected.");
    unreadable(&said(&json!([{"text": 1}])), "NUMBER_VALUE can not be converted to a String");
    for (number, token) in [(json!("9"), "STRING"), (json!(1.5), "NUMBER"), (json!(1_u64 << 32), "NUMBER")] {
        unreadable(
            &json!({"inferenceConfig": {"maxTokens": number}}),
            &format!("{token}_VALUE can not be converted to an Integer"),
        );
    }
    unreadable(&json!({"inferenceConfig": {"topP": true}}), "TRUE_VALUE can not be converted to a Float");
    unreadable(
        &said(&json!([{"image": {"format": "png", "source": {"bytes": "%"}}}])),
        "The value at messages.0.content.0.image.source.bytes is not valid base64.",
    );
    let refusal = validate("m", &json!([]), false).expect_err("a list is no request");
    assert_eq!(refusal.kind(Wire::Bedrock), "SerializationException");
    taken(&json!({"system": null, "inferenceConfig": {"maxTokens": null}}));
}

#[test]
fn constraints_are_told_together_with_their_paths() {
    let bad = json!([{"image": {"format": "bmp", "source": {"bytes": ""}}}]);
    let body = json!({
        "inferenceConfig": {"maxTokens": 0, "temperature": 1.5, "topP": -0.1},
        "messages": [{"role": "tool", "content": bad}, {"content": []}],
    });
    let told = refusal(&body).message;
    for said in [
        "7 validation errors detected: ",
        "Value '0' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1",
        "Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1",
        "Value '-0.1' at 'inferenceConfig.topP' failed to satisfy constraint: Member must have value greater than or equal to 0",
        "Value 'tool' at 'messages.1.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]",
        "Value 'bmp' at 'messages.1.member.content.1.member.image.format' failed to satisfy constraint: Member must satisfy enum value set: [png, jpeg, gif, webp]",
        "Value '' at 'messages.1.member.content.1.member.image.source.bytes' failed to satisfy constraint: Member must have length greater than or equal to 1",
        "Value null at 'messages.2.member.role' failed to satisfy constraint: Member must not be null",
    ] {
        assert!(told.contains(said), "{said} is not in {told}");
    }
    let many: Vec<Value> = (0..99).map(|_| json!({"role": "x", "content": []})).collect();
    let told = refusal(&json!({"messages": many})).message;
    assert!(told.starts_with("32 validation errors detected: "), "{told}");
}

#[test]
fn constraints_are_those_of_the_service_model() {
    let call_at = "messages.2.member.content.1.member.toolUse.toolUseId";
    let long = "a".repeat(65);
    for (changes, value, place, constraint) in [
        (
            answered(&json!([call(&long)])),
            format!("'{long}'"),
            call_at,
            "have length less than or equal to 64",
        ),
        (
            answered(&json!([call("a b")])),
            "'a b'".to_owned(),
            call_at,
            "satisfy regular expression pattern: [a-zA-Z0-9_.:-]+",
        ),
        (
            json!({"toolConfig": {"tools": [tool("a.b")]}}),
            "'a.b'".to_owned(),
            "toolConfig.tools.1.member.toolSpec.name",
            "satisfy regular expression pattern: [a-zA-Z0-9_-]+",
        ),
        (
            json!({"toolConfig": {"tools": []}}),
            "'[]'".to_owned(),
            "toolConfig.tools",
            "have length greater than or equal to 1",
        ),
        (
            json!({"system": [{"text": ""}]}),
            "''".to_owned(),
            "system.1.member.text",
            "have length greater than or equal to 1",
        ),
        (
            said(&json!([{"text": "a"}, null])),
            "null".to_owned(),
            "messages.1.member.content.2.member",
            "not be null",
        ),
    ] {
        constrained(
            &changes,
            &format!("Value {value} at '{place}' failed to satisfy constraint: Member must {constraint}"),
        );
    }
}

#[test]
fn words_and_patterns_are_those_of_the_service_model() {
    let s3 = |uri: &str, owner: &str| {
        let stored = json!({"uri": uri, "bucketOwner": owner});
        said(&json!([{"image": {"format": "png", "source": {"s3Location": stored}}}]))
    };
    let metadata = |key: &str, value: &str| json!({"requestMetadata": {key: value}});
    let guardrail = |id: &str, version: &str| json!({"guardrailConfig": {"guardrailIdentifier": id, "guardrailVersion": version}});
    let arn = "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc";
    for good in [
        json!({"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}),
        s3("s3://a-bucket/key.png", "123456789012"),
        metadata("a key", ""),
        guardrail("abc1", "DRAFT"),
        guardrail(arn, "12"),
        guardrail("", ""),
        json!({"outputConfig": {"effort": "high"}}),
        json!({"inferenceConfig": {"stopSequences": vec!["a"; 2500]}}),
    ] {
        taken(&good);
    }
    let full: Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
    for bad in [
        json!({"performanceConfig": {"latency": "fast"}}),
        json!({"serviceTier": {"type": "auto"}}),
        json!({"serviceTier": {}}),
        s3("https://a-bucket/key.png", "123456789012"),
        s3("s3://A/key.png", "123456789012"),
        s3("s3://a-bucket/key.png", "1234"),
        metadata("a%", "x"),
        metadata("a", "ü"),
        metadata("", "x"),
        metadata("a", &"x".repeat(257)),
        json!({"requestMetadata": {}}),
        json!({"requestMetadata": full}),
        guardrail("ABC", "DRAFT"),
        guardrail("abc", "v1"),
        guardrail("abc", "0"),
        guardrail(&arn.replace("aws", "aws-"), "1"),
        json!({"guardrailConfig": {"trace": "on"}}),
        json!({"additionalModelResponseFieldPaths": vec!["/a"; 11]}),
        json!({"additionalModelResponseFieldPaths": [""]}),
        json!({"inferenceConfig": {"stopSequences": vec!["a"; 2501]}}),
        json!({"inferenceConfig": {"stopSequences": [""]}}),
        json!({"outputConfig": {"effort": "x".repeat(17)}}),
        said(&json!([{"cachePoint": {"type": "ephemeral"}}, {"text": "a"}])),
        said(&json!([{"cachePoint": {"type": "default", "ttl": "2h"}}, {"text": "a"}])),
        said(&json!([{"document": {"format": "rtf", "name": "a", "source": {"text": "a"}}}, {"text": "a"}])),
        said(&json!([{"document": {"name": "a".repeat(201), "source": {"text": "a"}}}, {"text": "a"}])),
        said(&json!([{"video": {"format": "avi", "source": {"bytes": PIXEL}}}])),
        said(&json!([{"audio": {"format": "au", "source": {"bytes": PIXEL}}}])),
        said(&json!([{"image": {"source": {"bytes": PIXEL}}}])),
    ] {
        let said = refusal(&bad).message;
        assert!(said.contains("failed to satisfy constraint: Member must "), "{bad}: {said}");
    }
}

#[test]
fn roles_take_turns_and_a_user_begins() {
    let (hi, hello) = (user(&json!([{"text": "hi"}])), assistant(&json!([{"text": "hello"}])));
    let start = "A conversation must start with a user message. Try again with a conversation that starts with a user message.";
    refused(&json!({"messages": []}), start);
    refused(&json!({"messages": null}), start);
    refused(&json!({"messages": [hello, hi]}), start);
    let turns = "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.";
    refused(&json!({"messages": [hi, hi]}), turns);
    refused(&json!({"messages": [hi, hello, hello]}), turns);
    model_refused(
        &json!({"messages": [hi, {"role": "system", "content": [{"text": "x"}]}]}),
        "messages.1: Unexpected role \"system\". The model takes system text in the top-level system field alone.",
    );
    taken(&json!({"messages": [hi, hello, hi, hello]}));
}

#[test]
fn content_is_neither_empty_nor_blank() {
    refused(
        &said(&json!([])),
        "The content field in the Message object at messages.0 is empty. Add a ContentBlock object to the content field and try again.",
    );
    refused(
        &said(&json!([{"text": "a"}, {"text": " \n"}])),
        "The text field in the ContentBlock object at messages.0.content.1 is blank. Add text to the text field, and try again.",
    );
    refused(
        &json!({"system": [{"text": " "}]}),
        "The text field in the SystemContentBlock object at system.0 is blank. Add text to the text field, and try again.",
    );
    model_refused(
        &json!({"messages": [user(&json!([{"text": "a"}])), assistant(&json!([{"text": "b "}]))]}),
        "messages: final assistant content cannot end with trailing whitespace",
    );
}

#[test]
fn blocks_have_their_roles() {
    for (changes, kind, at, role) in [
        (answered(&json!([image()])), "image", "messages.1.content.0", "assistant"),
        (answered(&json!([document("a"), {"text": "a"}])), "document", "messages.1.content.0", "assistant"),
        (answered(&json!([result("a")])), "toolResult", "messages.1.content.0", "assistant"),
        (turns(&[user(&json!([call("a")]))]), "toolUse", "messages.0.content.0", "user"),
        (said(&json!([thought("a")])), "reasoningContent", "messages.0.content.0", "user"),
        (said(&json!([{"citationsContent": {}}])), "citationsContent", "messages.0.content.0", "user"),
    ] {
        refused(
            &changes,
            &format!(
                "The {kind} field in the ContentBlock object at {at} is not permitted when the role is {role}."
            ),
        );
    }
    model_refused(
        &said(&json!([{"toolRemoval": {"tool": {"name": "f"}}}])),
        "messages.0.content.0: toolRemoval is not supported by this model",
    );
}

#[test]
fn results_answer_calls_at_once_and_first() {
    let hi = user(&json!([{"text": "hi"}]));
    let two = assistant(&json!([call("a"), call("b")]));
    let history = |results: &Value| turns(&[hi.clone(), two.clone(), user(results)]);
    let mark = json!({"cachePoint": {"type": "default"}});
    let seen = taken(&history(&json!([result("b"), mark, result("a"), {"text": "t"}])));
    assert_eq!((seen.results, seen.user.as_str()), (vec!["x".to_owned(), "x".to_owned()], "t"));
    let expected = "Expected toolResult blocks at messages.2.content for the following Ids:";
    refused(&history(&json!([result("a")])), &format!("{expected} b"));
    refused(&history(&json!([{"text": "t"}])), &format!("{expected} a, b"));
    let exceeds = "The number of toolResult blocks at messages.2.content exceeds the number of toolUse blocks of previous turn.";
    refused(&history(&json!([result("a"), result("b"), result("c")])), exceeds);
    refused(&turns(&[user(&json!([result("a")]))]), &exceeds.replace(".2.", ".0."));
    refused(
        &history(&json!([result("a"), result("a"), result("b")])),
        "The toolResult blocks at messages.2.content contain duplicate Ids: a",
    );
    refused(
        &answered(&json!([call("a"), call("a")])),
        "The toolUse blocks at messages.1.content contain duplicate Ids: a",
    );
    let unanswered = "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a, b. Each `tool_use` block must have a corresponding `tool_result` block in the next message.";
    model_refused(&history(&json!([{"text": "t"}, result("a"), result("b")])), unanswered);
    model_refused(&turns(&[hi.clone(), two.clone()]), unanswered);
    let mut bare = history(&json!([result("a"), result("b")]));
    bare["toolConfig"] = Value::Null;
    refused(&bare, "The toolConfig field must be defined when using toolUse and toolResult content blocks.");
    let pattern = "String should match pattern '^[a-zA-Z0-9_-]+$'";
    model_refused(&answered(&json!([call("a.b")])), &format!("messages.1.content.0.tool_use.id: {pattern}"));
    model_refused(
        &turns(&[user(&json!([result("a:b")]))]),
        &format!("messages.0.content.0.tool_result.tool_use_id: {pattern}"),
    );
}

#[test]
fn inputs_and_json_results_are_objects() {
    let mut text = call("a");
    text["toolUse"]["input"] = json!("{}");
    let again = "is invalid. Provide a json object for the field and try again.";
    refused(
        &answered(&json!([text])),
        &format!("The format of the value at messages.1.content.0.toolUse.input {again}"),
    );
    let history = |result: &Value| {
        turns(&[
            user(&json!([{"text": "hi"}])),
            assistant(&json!([call("a")])),
            user(&json!([{"toolResult": result}])),
        ])
    };
    refused(
        &history(&json!({"toolUseId": "a", "content": [{"text": "x"}, {"json": [1]}]})),
        &format!("The format of the value at messages.2.content.0.toolResult.content.1.json {again}"),
    );
    refused(
        &history(&json!({"toolUseId": "a", "content": [], "status": "error"})),
        "The content field at messages.2.content.0.toolResult cannot be empty when status value is error.",
    );
    let seen = taken(&history(&json!({
        "toolUseId": "a", "status": "error", "content": [{"json": {"a": 1}}, image(), {"text": "x"}],
    })));
    assert_eq!((seen.results, seen.images), (vec!["{\"a\":1} [content] x".to_owned()], 1));
}

#[test]
fn documents_have_good_names_and_a_text_beside_them() {
    let name = "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character. Check that the file name conforms to these restrictions and retry your request.";
    for bad in ["a.pdf", "a_b", "a  b", "a\u{3000}b", "résumé"] {
        refused(&said(&json!([document(bad), {"text": "t"}])), name);
    }
    taken(&said(&json!([document("My (1) [a]-b"), {"text": "t"}])));
    refused(
        &said(&json!([document("a"), document("a"), {"text": "t"}])),
        "The document name a is used more than once. Each document must have a unique name.",
    );
    refused(
        &said(&json!([document("a"), image()])),
        "A text block must be included in the message that has a document block.",
    );
    let many = |most: usize, one: &dyn Fn(usize) -> Value| {
        let mut content: Vec<Value> = (0..most).map(one).collect();
        content.push(json!({"text": "t"}));
        said(&Value::from(content))
    };
    let named = |n: usize| document(&format!("d{n}"));
    assert_eq!(taken(&many(5, &named)).documents, 5);
    refused(&many(6, &named), "The content field at messages.0 has too many documents. The maximum is 5.");
    assert_eq!(taken(&many(20, &|_| image())).images, 20);
    refused(
        &many(21, &|_| image()),
        "The content field at messages.0 has too many images. The maximum is 20.",
    );
}

#[test]
fn cache_points_are_counted_over_the_whole_request() {
    let mark = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    let marked = |more: usize| {
        let mut content = vec![json!({"text": "a"})];
        content.resize(1 + more, mark.clone());
        json!({
            "system": [{"text": "s"}, mark], "toolConfig": {"tools": [tool("f"), mark]},
            "messages": [user(&Value::from(content))],
        })
    };
    taken(&marked(2));
    model_refused(&marked(3), "A maximum of 4 blocks with cache_control may be provided. Found 5.");
}

#[test]
fn only_the_simulators_own_reasoning_comes_back() {
    taken(&answered(&json!([thought("a"), {"text": "b"}])));
    let hidden =
        |data: &str| answered(&json!([{"reasoningContent": {"redactedContent": data}}, {"text": "b"}]));
    taken(&hidden(&STANDARD.encode(sign::seal("bedrock", "a"))));
    let signed = |text: &str, signature: &str| {
        let thought = json!({"text": text, "signature": signature});
        answered(&json!([{"reasoningContent": {"reasoningText": thought}}, {"text": "b"}]))
    };
    let invalid = "messages.1.content.0: Invalid `signature` in `thinking` block";
    model_refused(&signed("b", &sign::sign("bedrock", "a")), invalid);
    model_refused(&signed("a", &sign::sign("anthropic", "a")), invalid);
    model_refused(
        &answered(&json!([{"reasoningContent": {"reasoningText": {"text": "a"}}}, {"text": "b"}])),
        "messages.1.content.0.thinking.signature: Field required",
    );
    for foreign in [PIXEL.to_owned(), STANDARD.encode(sign::seal("anthropic", "a"))] {
        model_refused(&hidden(&foreign), "messages.1.content.0: Invalid `data` in `redacted_thinking` block");
    }
    model_refused(
        &answered(&json!([{"text": "b"}, thought("a")])),
        "messages.1: The final block in an assistant message cannot be `thinking`.",
    );
}

fn thinking(asked: &Value) -> Value {
    json!({"inferenceConfig": {"maxTokens": 4096}, "additionalModelRequestFields": {"thinking": asked}})
}

#[test]
fn thinking_has_a_budget() {
    for good in [
        json!({"type": "enabled", "budget_tokens": 1024}),
        json!({"type": "adaptive"}),
        json!({"type": "disabled"}),
    ] {
        taken(&thinking(&good));
    }
    let budget = |budget: Value| thinking(&json!({"type": "enabled", "budget_tokens": budget}));
    let path = "thinking.enabled.budget_tokens";
    model_refused(&budget(json!(1023)), &format!("{path}: Input should be greater than or equal to 1024"));
    model_refused(&budget(json!("x")), &format!("{path}: Input should be a valid integer"));
    model_refused(&budget(json!(4096)), "`max_tokens` must be greater than `thinking.budget_tokens`.");
    model_refused(&thinking(&json!({"type": "enabled"})), &format!("{path}: Field required"));
    model_refused(
        &thinking(&json!({"type": "on"})),
        "thinking: Input tag does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'",
    );
    model_refused(
        &thinking(&json!({"type": "adaptive", "budget_tokens": 2000})),
        "thinking.budget_tokens: Extra inputs are not permitted",
    );
    model_refused(&thinking(&json!("on")), "thinking: Input should be a valid dictionary");
    let other = json!({"reasoning_config": {"type": "enabled", "budget_tokens": 1}});
    model_refused(
        &json!({"additionalModelRequestFields": other}),
        &format!("{path}: Input should be greater than or equal to 1024"),
    );
}

#[test]
fn little_goes_with_thinking() {
    let enabled = || thinking(&json!({"type": "enabled", "budget_tokens": 1024}));
    let beside = |name: &str, value: Value| {
        let mut body = enabled();
        body["inferenceConfig"][name] = value;
        body
    };
    taken(&beside("temperature", json!(1)));
    model_refused(
        &beside("temperature", json!(0.5)),
        "`temperature` may only be set to 1 when thinking is enabled.",
    );
    model_refused(
        &beside("topP", json!(0.9)),
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
    );
    let mut body = enabled();
    body["additionalModelRequestFields"]["top_k"] = json!(5);
    model_refused(&body, "`top_k` must be unset when thinking is enabled.");
    let mut body = enabled();
    for choice in [json!({"any": {}}), json!({"tool": {"name": "f"}})] {
        body["toolConfig"] = json!({"tools": [tool("f")], "toolChoice": choice});
        model_refused(&body, "Thinking may not be enabled when tool_choice forces tool use.");
    }
    body["toolConfig"] = json!({"tools": [tool("f")]});
    let history = |content: Value| {
        json!([user(&json!([{"text": "hi"}])), assistant(&content), user(&json!([result("a")]))])
    };
    body["messages"] = history(json!([thought("a"), call("a")]));
    taken(&body);
    body["messages"] = history(json!([call("a")]));
    model_refused(
        &body,
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found another type. When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
    );
}

#[test]
fn fields_of_the_model_are_an_object_that_repeats_nothing() {
    let fields = |fields: Value| json!({"additionalModelRequestFields": fields});
    taken(&fields(
        json!({"top_k": 5, "anthropic_beta": ["a"], "output_config": {"effort": "low"}, "own": [1]}),
    ));
    taken(&fields(Value::Null));
    refused(
        &fields(json!([1])),
        "The format of the value at additionalModelRequestFields is invalid. Provide a json object for the field and try again.",
    );
    refused(
        &fields(json!({"messages": []})),
        "The additional field messages conflicts with an existing field.",
    );
    let mut body = fields(json!({"temperature": 0.5}));
    taken(&body);
    body["inferenceConfig"] = json!({"temperature": 0.5});
    refused(&body, "The additional field temperature conflicts with an existing field.");
    model_refused(&fields(json!({"top_k": "x"})), "top_k: Input should be a valid integer");
    model_refused(&fields(json!({"anthropic_beta": "x"})), "anthropic_beta: Input should be a valid list");
    model_refused(
        &fields(json!({"output_config": {"effort": "much"}})),
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
    );
    for bad in ["stop_sequence", "/a~2b"] {
        refused(
            &json!({"additionalModelResponseFieldPaths": ["/ok~0", bad]}),
            "The value at additionalModelResponseFieldPaths.1 is not a valid JSON Pointer.",
        );
    }
}

#[test]
fn tools_have_schemas_and_choices_name_them() {
    let config =
        |tools: &[Value], choice: Value| json!({"toolConfig": {"tools": tools, "toolChoice": choice}});
    let with = |schema: Value| json!({"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}]}});
    let path = "toolConfig.tools.0.toolSpec.inputSchema.json";
    refused(
        &with(json!("{}")),
        &format!(
            "The format of the value at {path} is invalid. Provide a json object for the field and try again."
        ),
    );
    for schema in [json!({}), json!({"type": "array"})] {
        refused(&with(schema), &format!("The value at {path}.type must be one of the following: object."));
    }
    model_refused(&config(&[tool("f"), tool("f")], json!({"auto": {}})), "tools: Tool names must be unique.");
    model_refused(
        &config(&[tool("f")], json!({"tool": {"name": "g"}})),
        "Tool 'g' not found in provided tools",
    );
    let mark = json!({"cachePoint": {"type": "default"}});
    model_refused(
        &config(&[mark], json!({"any": {}})),
        "tool_choice: may only be specified while providing tools",
    );
    let seen = taken(&config(&[tool("f"), tool("g")], json!({"any": {}})));
    assert!(seen.must_call && seen.forced.is_none() && seen.tools.len() == 2);
    let seen = taken(&config(&[tool("f"), tool("g")], json!({"tool": {"name": "g"}})));
    assert_eq!(seen.forced.as_deref(), Some("g"));
}

#[test]
fn schemas_of_the_output_are_closed_and_stops_are_not_blank() {
    let output = |schema: &str| {
        let structure = json!({"jsonSchema": {"name": "a", "schema": schema}});
        json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}}})
    };
    let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});
    assert_eq!(taken(&output(&closed.to_string())).schema, Some(closed));
    let place = "outputConfig.textFormat.structure.jsonSchema.schema";
    refused(
        &output("{"),
        &format!(
            "Malformed input request: the value at {place} is not JSON, please reformat your input and try again."
        ),
    );
    refused(
        &output("[]"),
        &format!(
            "The format of the value at {place} is invalid. Provide a json object for the field and try again."
        ),
    );
    let open = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false";
    model_refused(&output(r#"{"type":"object"}"#), &format!("{open} (at the root)"));
    model_refused(
        &output(r#"{"type":"array","items":{"type":"object"}}"#),
        &format!("{open} (below the root)"),
    );
    model_refused(
        &json!({"inferenceConfig": {"stopSequences": ["a", " "]}}),
        "stop_sequences: each stop sequence must contain non-whitespace",
    );
}
