//! A prompt that does not fit, in the words on which each protocol's clients begin to compact a conversation.

use std::borrow::Cow;

use crate::Protocol;

/// Smallest number that is taken for a model's window, in tokens; smaller ones count something else.
const LEAST_WINDOW: u64 = 256;

/// The message with the words that the protocol's clients look for, and its numbers where both are known.
pub(super) fn worded(protocol: Protocol, message: &str) -> Cow<'_, str> {
    let words = match protocol {
        Protocol::Anthropic => "prompt is too long",
        Protocol::Bedrock => "Input is too long for requested model",
        Protocol::Gemini => "exceeds the maximum number of tokens allowed",
        Protocol::Cohere => "too many tokens",
        // They have a code for it.
        Protocol::OpenaiChat | Protocol::OpenaiResponses => return message.into(),
    };
    if message.contains(words) {
        return message.into();
    }
    let said = match (protocol, numbers(message)) {
        (Protocol::Anthropic, Some((tokens, most))) => format!("{words}: {tokens} tokens > {most} maximum"),
        (Protocol::Gemini, Some((tokens, most))) => {
            format!("The input token count ({tokens}) {words} ({most})")
        }
        (Protocol::Gemini, None) => format!("The input token count {words}"),
        (Protocol::Cohere, Some((tokens, most))) => {
            format!("{words}: total number of tokens in the prompt cannot exceed {most} - received {tokens}")
        }
        _ => words.to_owned(),
    };
    if message.is_empty() { said.into() } else { format!("{said}: {message}").into() }
}

/// How many tokens a prompt has, and how many the model takes, where a message has these numbers and no sum.
fn numbers(message: &str) -> Option<(u64, u64)> {
    // A sum of a prompt and of the answer it leaves room for is not the prompt's.
    if message.contains(" + ") {
        return None;
    }
    let number = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
        is_number.then(|| word.replace(',', "").parse::<u64>().ok())?
    };
    let mut found = message.split_whitespace().filter_map(number).filter(|number| *number >= LEAST_WINDOW);
    let (first, second) = (found.next()?, found.next()?);
    (first != second).then(|| (first.max(second), first.min(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_found_in_any_words() {
        for (message, expected) in [
            ("prompt is too long: 210000 tokens > 200000 maximum", Some((210_000, 200_000))),
            (
                "This model's maximum context length is 8,192 tokens. However, your messages resulted in 9,001 tokens.",
                Some((9001, 8192)),
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                Some((1_200_000, 1_048_576)),
            ),
            ("prompt tokens (210000) exceed model maximum (200000)", Some((210_000, 200_000))),
            ("total number of tokens in the prompt cannot exceed 4081 - received 4292.", Some((4292, 4081))),
            ("exceed context limit: 190000 + 21333 > 200000", None),
            ("size limit exceeded by 11326 tokens.", None),
            ("m-2024-08-06 takes at most 128000 tokens", None),
            ("Input is too long for requested model.", None),
            ("9 tokens are more than 8", None),
            ("4096 4096", None),
            ("99999999999999999999999 300", None),
            ("", None),
        ] {
            assert_eq!(numbers(message), expected, "{message}");
        }
    }

    #[test]
    fn each_protocol_has_its_own_words() {
        let chat = "maximum context length is 8192 tokens, 9001 were sent";
        for (protocol, message, expected) in [
            (
                Protocol::Anthropic,
                chat,
                "prompt is too long: 9001 tokens > 8192 maximum: maximum context length is 8192 tokens, 9001 were sent",
            ),
            (Protocol::Anthropic, "", "prompt is too long"),
            (Protocol::Anthropic, "no room", "prompt is too long: no room"),
            (
                Protocol::Anthropic,
                "told: prompt is too long: 2 tokens > 1 maximum",
                "told: prompt is too long: 2 tokens > 1 maximum",
            ),
            (
                Protocol::Gemini,
                "no room",
                "The input token count exceeds the maximum number of tokens allowed: no room",
            ),
            (
                Protocol::Gemini,
                "300 of 256",
                "The input token count (300) exceeds the maximum number of tokens allowed (256): 300 of 256",
            ),
            (Protocol::Bedrock, "no room", "Input is too long for requested model: no room"),
            (
                Protocol::Cohere,
                "300 of 256",
                "too many tokens: total number of tokens in the prompt cannot exceed 256 - received 300: 300 of 256",
            ),
            (Protocol::OpenaiChat, "no room", "no room"),
        ] {
            assert_eq!(worded(protocol, message), expected, "{protocol}");
        }
    }
}
