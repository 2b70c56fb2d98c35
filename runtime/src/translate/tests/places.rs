//! Opaque state through every client's places: what an issuer gave comes back to it and to nobody else.

use busbar_protocols::prelude::ReadCx;
use busbar_protocols::{Json, Text, ir};
use proptest::prelude::*;

use super::super::carriage::{Carriage, CarriageLimits, Envelope, SealedBlock, SealedKind};
use super::super::shape::Shape;
use super::super::{CallState, answer, passes};
use super::facts;
use crate::Protocol;

/// A block, as far as carriage knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Thought { text: String, signature: Option<String>, id: Option<String> },
    Redacted { data: String, id: Option<String> },
    Text { text: String, signature: Option<String> },
    Call { id: String, signature: Option<String> },
}

/// What the client does with an answer before it gives it back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Echo {
    /// Gives all of it back, also what is listed beside the content.
    Whole,
    /// Keeps texts and calls alone.
    Plain,
}

const SKIP: &str = "skip_thought_signature_validator";

pub(crate) fn blocks(said: &[Said]) -> Vec<ir::Block<'static>> {
    let plain = |text: &String| Some(Text::plain(text.clone()));
    said.iter()
        .map(|one| match one {
            Said::Thought { text, signature, id } => ir::Block::Reasoning(ir::ReasoningBlock {
                text: plain(text),
                signature: signature.clone().map(Text::plain),
                id: id.clone().map(Text::plain),
                ..Default::default()
            }),
            Said::Redacted { data, id } => ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
                data: plain(data),
                id: id.clone().map(Text::plain),
                ..Default::default()
            }),
            Said::Text { text, signature } => ir::Block::Text(ir::TextBlock {
                text: plain(text),
                signature: signature.clone().map(Text::plain),
                ..Default::default()
            }),
            Said::Call { id, signature } => ir::Block::ToolCall(ir::ToolCallBlock {
                id: plain(id),
                name: Some(Text::plain("f")),
                input: Some(Json::from_value(&serde_json::json!({}))),
                signature: signature.clone().map(Text::plain),
                ..Default::default()
            }),
        })
        .collect()
}

pub(crate) fn read(blocks: &[ir::Block<'_>]) -> Vec<Said> {
    let own = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.decode().into_owned());
    blocks
        .iter()
        .map(|block| match block {
            ir::Block::Reasoning(node) => Said::Thought {
                text: own(&node.text).unwrap_or_default(),
                signature: own(&node.signature),
                id: own(&node.id),
            },
            ir::Block::RedactedReasoning(node) => {
                Said::Redacted { data: own(&node.data).unwrap(), id: own(&node.id) }
            }
            ir::Block::Text(node) => {
                Said::Text { text: own(&node.text).unwrap_or_default(), signature: own(&node.signature) }
            }
            ir::Block::ToolCall(node) => Said::Call {
                id: own(&node.id).unwrap(),
                signature: own(&node.signature).filter(|signature| signature != SKIP),
            },
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The content that a client of `client` sees of an answer of `issuer`, and what is listed beside it.
fn answered(
    issuer: Protocol,
    client: Protocol,
    said: &[Said],
    carriage: &Carriage,
) -> (Vec<ir::Block<'static>>, Vec<SealedBlock>) {
    let facts = facts();
    let mut state = CallState::new(client, issuer, &facts);
    let cx = ReadCx::default();
    let mut response = ir::Response {
        candidates: Some(vec![ir::Candidate { content: Some(blocks(said)), ..Default::default() }]),
        ..Default::default()
    };
    let mut shape = Shape::new(issuer, client, &facts, carriage, &mut state, &cx.paths).unwrap();
    answer::run(&mut response, &mut shape);
    let listed = std::mem::take(&mut shape.listed);
    (response.candidates.unwrap().remove(0).content.unwrap(), listed)
}

/// The turn that comes back, as the client's protocol is read.
pub(crate) fn echoed(
    issuer: Protocol,
    client: Protocol,
    (mut content, listed): (Vec<ir::Block<'static>>, Vec<SealedBlock>),
    echo: Echo,
) -> Vec<ir::Block<'static>> {
    let places = busbar_protocols::rules(client).unwrap().carriage;
    if echo == Echo::Plain {
        content.retain(|block| matches!(block, ir::Block::Text(_) | ir::Block::ToolCall(_)));
    } else if places.listed && !listed.is_empty() {
        content.retain(|block| !matches!(block, ir::Block::Reasoning(_)));
        let listed = listed.into_iter().map(|block| {
            let blocks = vec![SealedBlock { slot: 0, text: None, ..block.clone() }];
            let sealed = Some(Text::plain(Envelope { issuer, blocks, id: String::new() }.seal()));
            match block {
                SealedBlock { kind: SealedKind::Reasoning, data: None, text, .. } => {
                    ir::Block::Reasoning(ir::ReasoningBlock {
                        text: text.map(Text::plain),
                        signature: sealed,
                        ..Default::default()
                    })
                }
                _ => ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
                    data: sealed,
                    ..Default::default()
                }),
            }
        });
        content.splice(0..0, listed);
    }
    for block in &mut content {
        // The map of the client's protocol knows no issuer.
        match block {
            ir::Block::Reasoning(node) => node.issuer = None,
            ir::Block::RedactedReasoning(node) => node.issuer = None,
            ir::Block::Text(node) => node.issuer = None,
            ir::Block::ToolCall(node) => node.issuer = None,
            _ => {}
        }
    }
    content
}

/// What `target` gets of the turn.
pub(crate) fn sent(
    client: Protocol,
    target: Protocol,
    content: Vec<ir::Block<'static>>,
    items: bool,
    carriage: &Carriage,
) -> Vec<ir::Block<'static>> {
    let facts = facts();
    let user =
        |block| ir::Turn { role: Some(ir::Role::User), content: Some(vec![block]), ..Default::default() };
    let word = |word: &'static str| {
        ir::Block::Text(ir::TextBlock { text: Some(Text::plain(word)), ..Default::default() })
    };
    let results: Vec<_> = content
        .iter()
        .filter_map(|block| match block {
            ir::Block::ToolCall(node) => Some(node.id.clone()),
            _ => None,
        })
        .map(|call_id| {
            let content = Some(vec![word("done")]);
            ir::Block::ToolResult(ir::ToolResultBlock { call_id, content, ..Default::default() })
        })
        .collect();
    let assistant =
        |content| ir::Turn { role: Some(ir::Role::Assistant), content: Some(content), ..Default::default() };
    let mut turns = vec![user(word("go"))];
    if items {
        turns.extend(content.into_iter().map(|block| assistant(vec![block])));
    } else {
        turns.push(assistant(content));
    }
    turns.extend(results.into_iter().map(|block| ir::Turn { role: Some(ir::Role::Tool), ..user(block) }));
    turns.push(user(word("on")));
    let mut request = ir::Request { turns: Some(turns), ..Default::default() };
    let mut state = CallState::new(client, target, &facts);
    let cx = ReadCx::default();
    let mut shape = Shape::new(client, target, &facts, carriage, &mut state, &cx.paths).unwrap();
    passes::run(&mut request, &mut shape);
    let turns = request.turns.unwrap().into_iter().filter(|turn| turn.role == Some(ir::Role::Assistant));
    turns.flat_map(|turn| turn.content.unwrap()).collect()
}

/// Answers that a provider of the protocol gives; every opaque text is of its own.
pub(crate) fn answers(issuer: Protocol) -> BoxedStrategy<Vec<Said>> {
    let kinds = match issuer {
        Protocol::Gemini => vec![0, 1, 3, 4, 5, 6, 7],
        Protocol::OpenaiChat | Protocol::Cohere => vec![1, 3, 6],
        _ => vec![0, 2, 3, 6],
    };
    proptest::collection::vec((proptest::sample::select(kinds), "[a-z\"é]{1,6}"), 1..8)
        .prop_map(move |pieces| {
            let id = |n: usize| (issuer == Protocol::OpenaiResponses).then(|| format!("rs_{n}"));
            let mut said: Vec<Said> = Vec::new();
            for (n, (kind, word)) in pieces.into_iter().enumerate() {
                let signature = Some(format!("SIG+/{word}{n}="));
                said.push(match kind {
                    0 => Said::Thought { text: word, signature, id: id(n) },
                    1 => Said::Thought { text: word, signature: None, id: None },
                    2 => Said::Redacted { data: format!("SIG-{word}{n}"), id: id(n) },
                    3 => Said::Text { text: word, signature: None },
                    4 => Said::Text { text: word, signature },
                    5 => Said::Call { id: format!("call_{n}"), signature },
                    6 => Said::Call { id: format!("call_{n}"), signature: None },
                    _ => Said::Text { text: String::new(), signature },
                });
            }
            if issuer == Protocol::OpenaiChat {
                // It answers with one thought, one text, and calls.
                said.sort_by_key(|one| match one {
                    Said::Thought { .. } => 0,
                    Said::Text { .. } => 1,
                    _ => 2,
                });
                said.dedup_by_key(|one| match one {
                    Said::Call { id, .. } => id.clone(),
                    Said::Thought { .. } => "thought".to_owned(),
                    _ => "text".to_owned(),
                });
            }
            said
        })
        .boxed()
}

pub(crate) fn cases() -> impl Strategy<Value = (Protocol, Protocol, Protocol, Vec<Said>)> {
    let any = || proptest::sample::select(Protocol::ALL.to_vec());
    (any(), any(), any()).prop_flat_map(|(issuer, client, other)| {
        answers(issuer).prop_map(move |said| (issuer, client, other, said))
    })
}

/// What an id alone brings back: nothing of the text's signature, and of thoughts those that led to a call.
pub(crate) fn by_ids(said: &[Said], whole: bool) -> (Vec<Said>, String) {
    let last = said.iter().rposition(|one| matches!(one, Said::Call { .. }));
    let mut text = String::new();
    let mut kept = Vec::new();
    for (at, one) in said.iter().enumerate() {
        match one {
            Said::Text { text: more, .. } => text.push_str(more),
            Said::Thought { signature: None, .. } => {}
            Said::Call { .. } => kept.push(one.clone()),
            one if whole || last.is_some_and(|last| at < last) => kept.push(one.clone()),
            _ => {}
        }
    }
    (kept, text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_an_issuer_gave_comes_back_to_it_and_to_nobody_else(
        (issuer, client, other, said) in cases(),
        whole in any::<bool>(),
        inline in proptest::sample::select(vec![0_usize, 1 << 16]),
    ) {
        prop_assume!(issuer != client);
        let places = busbar_protocols::rules(client).unwrap().carriage;
        let carriage = Carriage::new(CarriageLimits { inline, ..CarriageLimits::default() });
        let echo = if whole { Echo::Whole } else { Echo::Plain };
        let seen = answered(issuer, client, &said, &carriage);
        let debug = format!("{:?}", seen.0);
        prop_assert!(!debug.contains("SIG"), "bare: {debug}");
        let content = echoed(issuer, client, seen, echo);
        let back = sent(client, issuer, content.clone(), false, &carriage);
        let back = read(&back);
        if places.reasoning && whole {
            prop_assert_eq!(&back, &said);
            let back = read(&sent(client, issuer, content.clone(), true, &carriage));
            prop_assert_eq!(&back, &said, "as items");
        } else if places.calls || places.ids {
            let (mut kept, _) = by_ids(&back, true);
            let (mut expected, _) = by_ids(&said, whole && places.listed);
            if whole && places.listed {
                // The list does not say where behind the last call a thought stood.
                let key = |one: &Said| format!("{one:?}");
                kept.sort_by_key(key);
                expected.sort_by_key(key);
            }
            prop_assert_eq!(kept, expected);
        }
        if other != issuer && client == Protocol::OpenaiResponses {
            let sent = format!("{:?}", sent(client, other, content.clone(), true, &carriage));
            prop_assert!(!sent.contains("SIG") && !sent.contains("bb1"), "towards {other}: {sent}");
        }
        if other != issuer {
            let sent = format!("{:?}", sent(client, other, content, false, &carriage));
            prop_assert!(!sent.contains("SIG"), "towards {other}: {sent}");
            prop_assert!(!sent.contains("bb1") && !sent.contains("YmIx"), "towards {other}: {sent}");
        }
    }

    #[test]
    fn what_was_damaged_is_text_and_nothing_else(
        (issuer, client, other, said) in cases(),
        cut in 1_usize..30,
        flip in any::<prop::sample::Index>(),
    ) {
        prop_assume!(issuer != client && other != client);
        let (mut content, _) = answered(issuer, client, &said, &Carriage::default());
        for block in &mut content {
            let place = match block {
                ir::Block::Reasoning(node) => &mut node.signature,
                ir::Block::RedactedReasoning(node) => &mut node.data,
                ir::Block::Text(node) => &mut node.signature,
                ir::Block::ToolCall(node) if node.signature.is_some() => &mut node.signature,
                ir::Block::ToolCall(node) => &mut node.id,
                _ => continue,
            };
            let Some(sealed) = place.as_ref().map(|place| place.decode().into_owned()) else { continue };
            if Envelope::open(&sealed).is_none() { continue }
            let mut damaged = sealed.clone();
            damaged.truncate(sealed.len() - cut.min(sealed.len() - 1));
            let at = flip.index(damaged.len());
            damaged.replace_range(at..=at, if &damaged[at..=at] == "A" { "B" } else { "A" });
            *place = Some(Text::plain(damaged));
        }
        let sent = format!("{:?}", sent(client, other, content, false, &Carriage::default()));
        prop_assert!(!sent.contains("SIG"), "{sent}");
    }
}

fn signatures(blocks: &[ir::Block<'_>]) -> Vec<Option<String>> {
    let calls = blocks.iter().filter_map(|block| match block {
        ir::Block::ToolCall(node) => Some(&node.signature),
        _ => None,
    });
    calls.map(|signature| signature.as_ref().map(|text| text.decode().into_owned())).collect()
}

fn calls() -> [Said; 2] {
    ["a", "b"].map(|id| Said::Call { id: id.to_owned(), signature: None })
}

#[test]
fn the_first_call_of_a_step_of_another_provider_is_signed_with_the_word_for_that() {
    for client in [Protocol::OpenaiChat, Protocol::Anthropic, Protocol::Cohere] {
        let sent = sent(client, Protocol::Gemini, blocks(&calls()), false, &Carriage::default());
        assert_eq!(signatures(&sent), [Some(SKIP.to_owned()), None]);
    }
    let home = sent(Protocol::Gemini, Protocol::Gemini, blocks(&calls()), false, &Carriage::default());
    assert_eq!(signatures(&home), [None, None], "its own history is as it is");
    // A history that began at another provider, now at home.
    let said = [vec![Said::Redacted { data: "SIG".to_owned(), id: None }], calls().to_vec()].concat();
    let (content, _) = answered(Protocol::Anthropic, Protocol::Gemini, &said, &Carriage::default());
    let sent = sent(Protocol::Gemini, Protocol::Gemini, content, false, &Carriage::default());
    assert_eq!(signatures(&sent), [Some(SKIP.to_owned()), None]);
}

#[test]
fn a_signature_stays_on_the_first_of_parallel_calls() {
    let mut said = calls().to_vec();
    said[0] = Said::Call { id: "a".to_owned(), signature: Some("T==".to_owned()) };
    said.insert(0, Said::Thought { text: "hm".to_owned(), signature: None, id: None });
    for client in [Protocol::Anthropic, Protocol::Bedrock, Protocol::OpenaiResponses] {
        let (content, _) = answered(Protocol::Gemini, client, &said, &Carriage::default());
        // The thought has room for it, so that there is no block that the client has not asked for.
        assert_eq!(content.len(), 3, "{client}");
        let back = sent(client, Protocol::Gemini, content, false, &Carriage::default());
        assert_eq!(signatures(&back), [Some("T==".to_owned()), None]);
        assert_eq!(read(&back), said);
    }
}

#[test]
fn what_is_gone_from_the_store_is_left_out() {
    let said = [
        vec![Said::Thought { text: "hm".to_owned(), signature: Some("SIG".to_owned()), id: None }],
        calls().to_vec(),
    ]
    .concat();
    let small = || Carriage::new(CarriageLimits { inline: 0, ..CarriageLimits::default() });
    let carriage = small();
    let (content, listed) = answered(Protocol::Bedrock, Protocol::Cohere, &said, &carriage);
    let content = echoed(Protocol::Bedrock, Protocol::Cohere, (content, listed), Echo::Plain);
    let back = sent(Protocol::Cohere, Protocol::Bedrock, content.clone(), false, &carriage);
    assert_eq!(read(&back), said);
    let back = sent(Protocol::Cohere, Protocol::Bedrock, content, false, &small());
    assert_eq!(read(&back), calls());
}

#[test]
fn reasoning_of_a_provider_with_item_ids_keeps_its_id() {
    let signature = Some("SIG".to_owned());
    let said = [Said::Thought { text: "hm".to_owned(), signature, id: None }];
    let (content, _) = answered(Protocol::OpenaiResponses, Protocol::Anthropic, &said, &Carriage::default());
    let back = sent(Protocol::Anthropic, Protocol::OpenaiResponses, content, false, &Carriage::default());
    let [Said::Thought { id: Some(id), .. }] = &read(&back)[..] else { panic!("{back:?}") };
    assert!(id.starts_with("rs_"), "one is made where there was none: {id}");
}
