//! Any chunking of the bytes gives the same output.

use proptest::prelude::*;

use super::fixtures::{
    ANTHROPIC_TEXT, ANTHROPIC_TOOLS, CHAT_TEXT, CHAT_TOOLS, COHERE_TEXT, COHERE_TOOLS, GEMINI_TEXT,
    GEMINI_TOOLS, RESPONSES_TEXT, RESPONSES_TOOLS,
};
use super::{call, run, run_pieces, to_anthropic, to_chat};
use crate::Protocol;
use crate::stream::{Limits, Transcoder};
use crate::translate::{CallState, Carriage};

fn streams() -> Vec<(CallState, &'static [u8])> {
    let cutting = CallState { stops: vec!["京 😀\n".into(), "ask".into()], ..to_anthropic() };
    vec![
        (to_chat(), ANTHROPIC_TEXT),
        (to_chat(), ANTHROPIC_TOOLS),
        (to_anthropic(), CHAT_TEXT),
        (to_anthropic(), CHAT_TOOLS),
        (cutting, CHAT_TEXT),
        (call(Protocol::OpenaiResponses, Protocol::Anthropic), ANTHROPIC_TOOLS),
        (call(Protocol::OpenaiResponses, Protocol::OpenaiChat), CHAT_TOOLS),
        (call(Protocol::OpenaiResponses, Protocol::OpenaiResponses), RESPONSES_TOOLS),
        (call(Protocol::Anthropic, Protocol::OpenaiResponses), RESPONSES_TEXT),
        (call(Protocol::OpenaiChat, Protocol::OpenaiResponses), RESPONSES_TOOLS),
        (call(Protocol::OpenaiChat, Protocol::Gemini), GEMINI_TEXT),
        (call(Protocol::Anthropic, Protocol::Gemini), GEMINI_TOOLS),
        (call(Protocol::Gemini, Protocol::Anthropic), ANTHROPIC_TOOLS),
        (call(Protocol::Gemini, Protocol::OpenaiChat), CHAT_TOOLS),
        (call(Protocol::Gemini, Protocol::Cohere), COHERE_TEXT),
        (call(Protocol::Anthropic, Protocol::Cohere), COHERE_TOOLS),
        (call(Protocol::Cohere, Protocol::Gemini), GEMINI_TOOLS),
        (call(Protocol::Cohere, Protocol::OpenaiChat), CHAT_TOOLS),
    ]
}

#[test]
fn one_byte_at_a_time_and_other_line_ends() {
    for (call, stream) in streams() {
        let whole = run(&call, stream);
        assert!(whole.result.as_ref().is_ok_and(|progress| progress.done), "{whole:?}");
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        let cut = run_pieces(&call, &single, Limits::default());
        assert_eq!((cut.text, cut.result), (whole.text.clone(), whole.result));
        let crlf = String::from_utf8(stream.to_vec()).unwrap().replace('\n', "\r\n");
        let single: Vec<&[u8]> = crlf.as_bytes().chunks(1).collect();
        assert_eq!(run_pieces(&call, &single, Limits::default()).text, whole.text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_pieces(cuts in proptest::collection::vec(1usize..200, 1..40), end in 0usize..6000) {
        for (call, stream) in streams() {
            // Also of a stream that breaks off somewhere.
            let stream = &stream[..end.min(stream.len())];
            let whole = run(&call, stream);
            let mut pieces = Vec::new();
            let mut rest = stream;
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.push(head);
                rest = tail;
            }
            let cut = run_pieces(&call, &pieces, Limits::default());
            prop_assert_eq!((cut.text, cut.result, cut.counts), (whole.text, whole.result, whole.counts));
        }
    }

    #[test]
    fn garbage_is_a_fault_or_a_whole_answer(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (call, stream) in streams() {
            let mut stream = stream.to_vec();
            for (place, byte) in &changes {
                let place = place.index(stream.len());
                stream[place] = *byte;
            }
            let mut out = Vec::new();
            let mut transcoder = Transcoder::new(call.clone(), Limits::default(), Carriage::default()).unwrap();
            let result = transcoder.push(&stream, &mut out).and_then(|_| transcoder.finish(&mut out));
            let text = String::from_utf8(out).unwrap();
            let ends: &[&str] = match call.client {
                Protocol::OpenaiChat => &["[DONE]"],
                Protocol::OpenaiResponses => &["event: response.completed\n", "event: response.incomplete\n"],
                Protocol::Cohere => &["event: message-end\n"],
                Protocol::Gemini => &["\"finishReason\""],
                _ => &["\"message_stop\""],
            };
            let told = ends.iter().any(|end| text.contains(end));
            prop_assert_eq!(result.is_ok_and(|progress| progress.done), told);
        }
    }
}
