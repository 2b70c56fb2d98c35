//! The providers' official SDKs through the built gateway, over the strict simulator.

use busbar_tests::python;
use busbar_tests::simulator::Simulator;

/// One test for each group of functions of a script, so that a summary says what works.
macro_rules! sdk {
    ($($name:ident: $script:literal, $functions:expr;)+) => {$(
        #[test]
        fn $name() {
            let simulator = Simulator::start().unwrap();
            let gateway = simulator.gateway().unwrap();
            python::check($script, &$functions, &gateway.url(), &format!("http://{}", simulator.address));
        }
    )+};
}

/// The same straight at the simulator: it has to be what an SDK takes for its provider.
macro_rules! straight {
    ($($name:ident: $script:literal, $functions:expr;)+) => {$(
        #[test]
        fn $name() {
            let simulator = Simulator::start().unwrap();
            let url = format!("http://{}", simulator.address);
            python::check($script, &$functions, &url, &url);
        }
    )+};
}

straight! {
    google_sdk_straight_text_and_endings: "straight_gemini", ["text", "endings", "usage", "grounding", "counting"];
    google_sdk_straight_thinking_and_tools: "straight_gemini", ["thinking", "tools", "thinking_and_tools", "chat"];
    google_sdk_straight_media_and_schemas: "straight_gemini", ["media", "schemas"];
    google_sdk_straight_errors: "straight_gemini", ["errors", "refusals"];
    cohere_sdk_straight_text_and_endings: "straight_cohere", ["text", "usage", "endings"];
    cohere_sdk_straight_thinking_and_tools: "straight_cohere", ["thinking", "tools", "tool_choice"];
    cohere_sdk_straight_media_and_schemas: "straight_cohere", ["image", "documents", "schema"];
    cohere_sdk_straight_errors: "straight_cohere", ["errors", "refusals"];
    boto3_straight_text_and_endings: "straight_bedrock", ["text", "usage", "endings"];
    boto3_straight_thinking_and_tools: "straight_bedrock", ["thinking", "tools", "tool_choice", "thinking_and_tools"];
    boto3_straight_media_and_schemas: "straight_bedrock", ["media", "schema"];
    boto3_straight_errors: "straight_bedrock", ["errors", "refusals"];
    openai_sdk_straight_responses: "straight_responses", ["text", "endings", "usage"];
    openai_sdk_straight_responses_reasoning_and_tools: "straight_responses", ["reasoning", "tools"];
    openai_sdk_straight_responses_media_and_schemas: "straight_responses", ["media", "schemas"];
    openai_sdk_straight_responses_errors: "straight_responses", ["errors", "refusals"];
}

sdk! {
    openai_sdk_chat_text_and_stream: "forward_openai", ["chat_text", "chat_stream"];
    openai_sdk_chat_errors: "forward_openai", ["chat_errors", "chat_refused_by_the_gateway"];
    openai_sdk_responses: "forward_openai", ["responses_text", "responses_stream", "responses_errors"];
    anthropic_sdk_text_and_stream: "forward_anthropic", ["text", "stream"];
    anthropic_sdk_thinking_and_tools: "forward_anthropic", ["thinking_and_tools"];
    anthropic_sdk_errors: "forward_anthropic", ["errors", "refused_by_the_gateway"];
    google_sdk: "forward_gemini", ["text", "stream", "errors", "refused_by_the_gateway"];
    boto3: "forward_bedrock", ["text", "stream", "errors", "refused_by_the_gateway"];
    openai_sdk_over_anthropic_text_and_stream: "translate_openai", ["text", "stream", "turns", "media"];
    openai_sdk_over_anthropic_tools: "translate_openai", ["tool_loop", "tool_results", "tool_choice"];
    openai_sdk_over_anthropic_thinking: "translate_openai", ["thinking_tool_loop", "thinking_of_every_shape", "accumulator"];
    openai_sdk_over_anthropic_endings: "translate_openai", ["several_answers", "stop_reasons", "usage_with_cache", "structured_output"];
    openai_sdk_over_anthropic_errors: "translate_openai", ["errors", "broken_streams"];
    openai_sdk_over_anthropic_losses: "translate_openai", ["losses", "what_the_backend_gets"];
    anthropic_sdk_over_openai_text_and_stream: "translate_anthropic", ["text", "stream", "turns", "media"];
    anthropic_sdk_over_openai_tools: "translate_anthropic", ["tool_loop", "tool_choice"];
    anthropic_sdk_over_openai_reasoning: "translate_anthropic", ["reasoning"];
    anthropic_sdk_over_openai_endings: "translate_anthropic", ["stop_reasons", "usage_with_cache", "structured_output"];
    anthropic_sdk_over_openai_errors: "translate_anthropic", ["errors", "broken_streams"];
    anthropic_sdk_over_openai_losses: "translate_anthropic", ["losses", "what_the_backend_gets"];
    anthropic_sdk_counts: "counting", ["anthropic_counts", "anthropic_counts_what_agents_send"];
    openai_google_and_aws_sdks_count: "counting", ["responses_counts", "gemini_counts", "bedrock_counts"];
    every_sdk_lists_models: "lists", ["openai_models", "anthropic_models", "gemini_models", "cohere_models", "bedrock_models"];
    cohere_sdk: "forward_cohere", ["text", "stream", "errors", "refused_by_the_gateway"];
}

/// Calls beside generation: the simulator has none, so the provider is a script.
mod beside {
    use anyhow::Result;
    use busbar_tests::gateway::{Gateway, config};
    use busbar_tests::http::{Connection, Message};
    use busbar_tests::python;
    use busbar_tests::upstream::{self, Upstream};
    use serde_json::{Value, json};

    /// What a text is embedded as.
    fn vector(text: &str) -> Value {
        json!([text.len(), text.matches('a').count()])
    }

    fn embedded(texts: impl Iterator<Item = Value>) -> (Vec<Value>, usize) {
        let texts: Vec<String> = texts.map(|text| text.as_str().expect("a text").to_owned()).collect();
        (texts.iter().map(|text| vector(text)).collect(), texts.iter().map(String::len).sum())
    }

    fn list(value: &Value) -> impl Iterator<Item = Value> {
        value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]).into_iter()
    }

    fn provider(request: &Message, connection: &mut Connection) -> Result<()> {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        let body = request.json()?;
        let call = path.rsplit([':', '/']).next().unwrap_or_default();
        let answer = match call {
            "embeddings" => {
                let (vectors, tokens) = embedded(list(&body["input"]));
                // The two texts that are sent, as little-endian floats.
                let packed = |vector: &Value| match vector[0].as_u64() {
                    Some(6) => json!("AADAQAAAQEA="),
                    _ => json!("AAAAQAAAAEA="),
                };
                let is_packed = body["encoding_format"] == "base64";
                let data: Vec<Value> = vectors
                    .iter()
                    .enumerate()
                    .map(|(index, vector)| {
                        let embedding = if is_packed { packed(vector) } else { vector.clone() };
                        json!({"object": "embedding", "index": index, "embedding": embedding})
                    })
                    .collect();
                json!({"object": "list", "model": body["model"], "data": data,
                    "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
            }
            "batchEmbedContents" => {
                // As Gemini does: what the body names must be what the path does.
                assert!(
                    list(&body["requests"]).all(|one| path.contains(one["model"].as_str().unwrap_or("?")))
                );
                let texts = list(&body["requests"]).map(|one| one["content"]["parts"][0]["text"].clone());
                let (vectors, tokens) = embedded(texts);
                let vectors: Vec<Value> = vectors.iter().map(|vector| json!({"values": vector})).collect();
                json!({"embeddings": vectors, "usageMetadata": {"promptTokenCount": tokens}})
            }
            "embed" => {
                assert!(body["input_type"].is_string(), "{body}");
                let (vectors, tokens) = embedded(list(&body["texts"]));
                json!({"id": "e", "embeddings": {"float": vectors}, "texts": body["texts"],
                    "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}}})
            }
            "rerank" => json!({"id": "r", "results": [
                {"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}),
            "moderations" => json!({"id": "m", "model": "m", "results": [
                {"flagged": false, "categories": {}, "category_scores": {}}]}),
            "completions" if body["stream"] == true => {
                connection.write(&upstream::stream_head())?;
                for text in ["b", "c"] {
                    let event = json!({"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": text}]});
                    connection.write(&upstream::chunk(format!("data: {event}\n\n").as_bytes()))?;
                }
                connection.write(&upstream::chunk(b"data: [DONE]\n\n"))?;
                return Ok(connection.write(b"0\r\n\r\n")?);
            }
            "completions" => json!({"id": "c", "object": "text_completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "text": "b", "finish_reason": "stop", "logprobs": null}]}),
            "speech" => {
                connection.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 5\r\n\r\nID3\x00\xff",
                )?;
                return Ok(());
            }
            "generations" => json!({"created": 1, "data": [{"b64_json": "QUJD"}]}),
            "invoke" => json!({"embedding": [0.5]}),
            _ => return Ok(connection.write(&upstream::response(404, &[], "{}"))?),
        };
        Ok(connection.write(&upstream::response(200, &[], &answer.to_string()))?)
    }

    #[test]
    fn the_sdks_that_have_them() {
        let upstream = Upstream::start(provider);
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let functions = [
            "openai_embeddings",
            "gemini_embeddings",
            "cohere_embeddings",
            "cohere_rerank",
            "openai_beside",
            "bedrock_invoke",
        ];
        python::check("beside", &functions, &gateway.url(), "");
    }
}
