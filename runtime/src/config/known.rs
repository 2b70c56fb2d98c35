//! What is known of the configured models, for people.

use std::fmt::Write;

use super::raw::{MaxTokensField, Reasoning};
use super::{Facts, Settings};

/// A few lines for each configured model; what is not known is not there.
pub fn text(settings: &Settings) -> String {
    let mut text = String::new();
    for lane in &settings.lanes {
        let provider = &settings.providers[lane.provider];
        let title = lane.title.as_ref().map(|title| format!(" ({title})")).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}: {} at {}{title}", lane.name, lane.upstream_model, provider.name);
        for line in lines(&lane.facts) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if text.is_empty() {
        text.push_str("no models are configured\n");
    }
    text
}

fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(tokens) = facts.context_window {
        lines.push(format!("context_window: {tokens}"));
    }
    if let Some(tokens) = facts.max_output_tokens {
        lines.push(format!("max_output_tokens: {tokens}"));
    }
    let field = match facts.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    lines.push(format!("max_tokens_field: {field}"));
    let reasoning = match facts.reasoning {
        Reasoning::Budget => "budget",
        Reasoning::Adaptive => "adaptive",
        Reasoning::Always => "always",
        Reasoning::None => "none",
    };
    lines.push(format!("reasoning: {reasoning}"));
    // Of these only what is unusual is worth a line.
    let unusual = [
        ("reasoning_off", facts.reasoning_off, false),
        ("reasoning_history", facts.reasoning_history, true),
        ("sampling", facts.sampling, true),
        ("sampling_together", facts.sampling_together, true),
        ("prefill", facts.prefill, true),
        ("forced_tools", facts.forced_tools, true),
    ];
    lines.extend(
        unusual.iter().filter(|(_, is, usual)| is != usual).map(|(name, is, _)| format!("{name}: {is}")),
    );
    let can = facts.capabilities;
    let known = [
        ("vision", can.vision),
        ("documents", can.documents),
        ("audio", can.audio),
        ("schema", can.schema),
        ("tools", can.tools),
    ];
    lines.extend(known.iter().filter_map(|(name, can)| Some(format!("{name}: {}", (*can)?))));
    if let Some(price) = facts.price {
        let dollars = |name: &str, rate: busbar_catalog::Rate| format!("{name} ${}", rate.as_dollars());
        let mut parts = vec![dollars("input", price.input), dollars("output", price.output)];
        parts.extend(price.cache_read.map(|rate| dollars("cache_read", rate)));
        parts.extend(price.cache_write.map(|rate| dollars("cache_write", rate)));
        lines.push(format!("price of a million tokens: {}", parts.join(", ")));
        if let Some(long) = price.long {
            let mut parts = vec![dollars("input", long.input), dollars("output", long.output)];
            parts.extend(long.cache_read.map(|rate| dollars("cache_read", rate)));
            parts.extend(long.cache_write.map(|rate| dollars("cache_write", rate)));
            lines.push(format!("  where a prompt has more than {}: {}", long.above, parts.join(", ")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, parse, resolve};
    use super::*;

    #[test]
    fn says_what_is_known_and_nothing_else() {
        let config = parse(
            "providers:\n  local: { protocol: openai_chat, base_url: \"http://127.0.0.1:1\" }\n  a: { catalog: anthropic, protocol: anthropic, base_url: \"http://127.0.0.1:1\" }\n\
             models:\n  x: { provider: local }\n  y: { provider: a, upstream_model: claude-haiku-5-5 }\n",
            "f",
        );
        let catalog = busbar_catalog::Catalog::embedded().unwrap();
        let settings = resolve(config.unwrap(), "f", &catalog, &Environment::new()).unwrap();
        let text = text(&settings);
        let (x, y) = text.split_once("y: ").unwrap();
        assert_eq!(x, "x: x at local\n  max_tokens_field: max_tokens\n  reasoning: budget\n");
        assert!(
            y.starts_with("claude-haiku-5-5 at a (Claude Haiku 5.5)\n  context_window: 1000000\n"),
            "{y}"
        );
        assert!(y.contains("  sampling: false\n  prefill: false\n  vision: true\n"), "{y}");
        let price = "input $0.1, output $0.5, cache_read $0.01, cache_write $0.125\n    where a prompt has more than 100000: input $0.5";
        assert!(y.contains(price), "{y}");
    }
}
