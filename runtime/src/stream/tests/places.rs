//! Opaque state through a stream into every client's places.

use busbar_protocols::ir::{self, Block, BlockStartEvent, BlockStopEvent, DeltaEvent, Event, StopEvent};
use busbar_protocols::{Num, Text};
use proptest::prelude::*;

use super::super::Limits;
use super::super::shape::Shaper;
use super::call;
use crate::Protocol;
use crate::translate::Carriage;
use crate::translate::carriage::{CarriageLimits, Envelope};
use crate::translate::tests::places::{Echo, Said, blocks, by_ids, cases, echoed, read, sent};

/// The events in which a provider says something; `late` says that signatures come behind what they sign.
fn events(said: &[Said], late: bool) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    for (n, mut block) in blocks(said).into_iter().enumerate() {
        let index = Some(Num::from(n as u64));
        let mut deltas = Vec::new();
        let mut push = |delta: DeltaEvent<'static>| {
            deltas.push(Event::Delta(DeltaEvent { index: index.clone(), ..delta }));
        };
        match &mut block {
            Block::Reasoning(node) => {
                push(DeltaEvent { reasoning: node.text.take(), ..Default::default() });
                push(DeltaEvent { signature: node.signature.take(), ..Default::default() });
            }
            Block::Text(node) => {
                push(DeltaEvent { text: node.text.take(), ..Default::default() });
                if late {
                    push(DeltaEvent { signature: node.signature.take(), ..Default::default() });
                }
            }
            Block::ToolCall(node) => {
                node.input = None;
                push(DeltaEvent { arguments: Some(Text::plain("{}")), ..Default::default() });
                if late {
                    push(DeltaEvent { signature: node.signature.take(), ..Default::default() });
                }
            }
            _ => {}
        }
        events.push(Event::BlockStart(BlockStartEvent {
            block: Some(Box::new(block)),
            index: index.clone(),
            ..Default::default()
        }));
        events.append(&mut deltas);
        events.push(Event::BlockStop(BlockStopEvent { index, ..Default::default() }));
    }
    events.push(Event::Stop(StopEvent::default()));
    events
}

/// What a client makes of the events: the blocks in the order in which they begin.
fn gathered(shaper: &mut Shaper, events: Vec<Event<'static>>) -> Vec<Block<'static>> {
    let mut seen: Vec<(u64, String, Option<String>, Block<'static>)> = Vec::new();
    let number = |index: &Option<Num<'_>>| index.as_ref().and_then(Num::as_u64).unwrap();
    for event in events {
        shaper
            .event(event, &mut |event| {
                match event {
                    Event::BlockStart(start) => {
                        let mut block = *start.block.unwrap();
                        let signature = match &mut block {
                            Block::Reasoning(node) => node.signature.take(),
                            Block::Text(node) => node.signature.take(),
                            Block::ToolCall(node) => node.signature.take(),
                            _ => None,
                        };
                        let signature = signature.map(|text| text.decode().into_owned());
                        let block = owned(&block);
                        seen.push((number(&start.index), String::new(), signature, block));
                    }
                    Event::Delta(delta) => {
                        let index = number(&delta.index);
                        let (_, text, signature, block) =
                            seen.iter_mut().find(|(known, ..)| *known == index).unwrap();
                        let more = match block {
                            Block::Reasoning(_) => delta.reasoning,
                            _ => delta.text,
                        };
                        text.push_str(&more.unwrap_or_default().decode());
                        if let Some(more) = delta.signature {
                            signature.get_or_insert_default().push_str(&more.decode());
                        }
                    }
                    _ => {}
                }
                Ok(())
            })
            .unwrap();
    }
    seen.into_iter()
        .map(|(_, text, signature, mut block)| {
            let (text, signature) = (Some(Text::plain(text)), signature.map(Text::plain));
            match &mut block {
                Block::Reasoning(node) => (node.text, node.signature) = (text, signature),
                Block::Text(node) => (node.text, node.signature) = (text, signature),
                Block::ToolCall(node) => node.signature = signature,
                _ => {}
            }
            block
        })
        .collect()
}

/// A block that borrows nothing, as far as it is looked at here.
fn owned(block: &Block<'_>) -> Block<'static> {
    let own = |text: &Option<Text<'_>>| text.as_ref().map(|text| Text::plain(text.decode().into_owned()));
    match block {
        Block::Reasoning(_) => Block::Reasoning(ir::ReasoningBlock::default()),
        Block::RedactedReasoning(node) => Block::RedactedReasoning(ir::RedactedReasoningBlock {
            data: own(&node.data),
            ..Default::default()
        }),
        Block::Text(_) => Block::Text(ir::TextBlock::default()),
        Block::ToolCall(node) => Block::ToolCall(ir::ToolCallBlock {
            id: own(&node.id),
            name: own(&node.name),
            ..Default::default()
        }),
        other => panic!("{other:?}"),
    }
}

/// What the client gives back: what is listed beside the content stands in front of it.
fn given_back(content: Vec<Block<'static>>, client: Protocol, echo: Echo) -> Vec<Block<'static>> {
    if !busbar_protocols::rules(client).unwrap().carriage.listed || echo == Echo::Plain {
        return content;
    }
    let listed = |block: &Block<'_>| match block {
        Block::Reasoning(node) => node.signature.is_some(),
        Block::RedactedReasoning(_) => true,
        _ => false,
    };
    let (mut front, mut rest): (Vec<_>, Vec<_>) = content.into_iter().partition(listed);
    let reasons = front.iter().any(|block| matches!(block, Block::Reasoning(_)));
    rest.retain(|block| !reasons || !matches!(block, Block::Reasoning(_)));
    front.append(&mut rest);
    front
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_an_issuer_streamed_comes_back_to_it_and_to_nobody_else(
        (issuer, client, other, said) in cases(),
        whole in any::<bool>(),
        late in any::<bool>(),
        inline in proptest::sample::select(vec![0_usize, 1 << 16]),
    ) {
        prop_assume!(issuer != client);
        let rules = busbar_protocols::rules(client).unwrap();
        let places = rules.carriage;
        let carriage = Carriage::new(CarriageLimits { inline, ..CarriageLimits::default() });
        let mut call = call(client, issuer);
        call.scope = "key".into();
        let mut shaper = Shaper::new(&call, rules, carriage.clone(), Limits::default());
        let content = gathered(&mut shaper, events(&said, late));
        prop_assert!(!format!("{content:?}").contains("SIG"), "bare: {content:?}");
        let echo = if whole { Echo::Whole } else { Echo::Plain };
        let content = given_back(content, client, echo);
        let content = echoed(issuer, client, (content, Vec::new()), echo);
        let back = read(&sent(client, issuer, content.clone(), false, &carriage));
        // A signature that comes behind its call has no place in an id that is out.
        let mut said = said;
        if late && places.ids && !(whole && places.listed) {
            for one in &mut said {
                if let Said::Call { signature, .. } = one {
                    *signature = None;
                }
            }
        }
        if places.reasoning && whole {
            prop_assert_eq!(&back, &said);
        } else if places.ids || (places.calls && !late) {
            let (mut kept, _) = by_ids(&back, true);
            let (mut expected, _) = by_ids(&said, whole && places.listed);
            let key = |one: &Said| format!("{one:?}");
            kept.sort_by_key(key);
            expected.sort_by_key(key);
            prop_assert_eq!(kept, expected);
        }
        if other != issuer {
            let sent = format!("{:?}", sent(client, other, content, false, &carriage));
            prop_assert!(!sent.contains("SIG"), "towards {other}: {sent}");
            prop_assert!(!sent.contains("bb1") && !sent.contains("YmIx"), "towards {other}: {sent}");
        }
    }
}

#[test]
fn answers_beside_each_other_keep_their_own() {
    let said = |n: &str| {
        [
            Said::Thought { text: format!("hm{n}"), signature: Some(format!("SIG{n}")), id: None },
            Said::Call { id: format!("call_{n}"), signature: None },
        ]
    };
    let of = |n: u64| {
        let mut events = events(&said(&n.to_string()), false);
        events.pop();
        for event in &mut events {
            let index = match event {
                Event::BlockStart(start) => {
                    start.candidate = Some(Num::from(n));
                    &mut start.index
                }
                Event::Delta(delta) => &mut delta.index,
                Event::BlockStop(stop) => &mut stop.index,
                _ => continue,
            };
            let old = index.as_ref().and_then(Num::as_u64).unwrap();
            *index = Some(Num::from(old * 2 + n));
        }
        events
    };
    let woven = of(0).into_iter().zip(of(1)).flat_map(|(first, second)| [first, second]).collect();
    let call = call(Protocol::OpenaiChat, Protocol::Gemini);
    let rules = busbar_protocols::rules(Protocol::OpenaiChat).unwrap();
    let mut shaper = Shaper::new(&call, rules, Carriage::default(), Limits::default());
    let ids: Vec<String> = gathered(&mut shaper, woven)
        .iter()
        .filter_map(|block| match block {
            Block::ToolCall(node) => node.id.as_ref().map(|id| id.decode().into_owned()),
            _ => None,
        })
        .collect();
    for (n, id) in ids.iter().enumerate() {
        let envelope = Envelope::open(id).unwrap();
        let [block] = &envelope.blocks[..] else { panic!("{envelope:?}") };
        assert_eq!(block.text, Some(format!("hm{n}")));
        assert_eq!(block.signature, Some(format!("SIG{n}")));
    }
    assert_eq!(ids.len(), 2);
}
