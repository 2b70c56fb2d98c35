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
    openai_sdk_over_anthropic_endings: "translate_openai", ["stop_reasons", "usage_with_cache", "structured_output"];
    openai_sdk_over_anthropic_errors: "translate_openai", ["errors", "broken_streams"];
    openai_sdk_over_anthropic_losses: "translate_openai", ["losses", "what_the_backend_gets"];
    anthropic_sdk_over_openai_text_and_stream: "translate_anthropic", ["text", "stream", "turns", "media"];
    anthropic_sdk_over_openai_tools: "translate_anthropic", ["tool_loop", "tool_choice"];
    anthropic_sdk_over_openai_reasoning: "translate_anthropic", ["reasoning"];
    anthropic_sdk_over_openai_endings: "translate_anthropic", ["stop_reasons", "usage_with_cache", "structured_output"];
    anthropic_sdk_over_openai_errors: "translate_anthropic", ["errors", "broken_streams"];
    anthropic_sdk_over_openai_losses: "translate_anthropic", ["losses", "what_the_backend_gets"];
    every_sdk_lists_models: "lists", ["openai_models", "anthropic_models", "gemini_models", "cohere_models", "bedrock_models"];
    cohere_sdk: "forward_cohere", ["text", "stream", "errors", "refused_by_the_gateway"];
}
