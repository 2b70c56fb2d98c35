//! What SDKs put back of a stream: the content of each response as a turn, each piece of a text as a part.

use busbar_protocols::{Text, ir};

/// Joins turns of the model that follow each other, and the pieces in them up to their signature.
pub(super) fn join(turns: &mut Vec<ir::Turn<'_>>) {
    let mut joined: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns.drain(..) {
        let of_model = turn.role == Some(ir::Role::Assistant);
        match joined.last_mut() {
            Some(last) if of_model && last.role == turn.role => {
                last.content.get_or_insert_with(Vec::new).extend(turn.content.into_iter().flatten());
                last.native.append(turn.native);
            }
            _ => joined.push(turn),
        }
    }
    for turn in joined.iter_mut().filter(|turn| turn.role == Some(ir::Role::Assistant)) {
        if let Some(content) = &mut turn.content {
            join_blocks(content);
        }
    }
    *turns = joined;
}

fn join_blocks(content: &mut Vec<ir::Block<'_>>) {
    let mut joined: Vec<ir::Block<'_>> = Vec::with_capacity(content.len());
    for block in content.drain(..) {
        match (joined.last_mut(), block) {
            (Some(ir::Block::Reasoning(last)), ir::Block::Reasoning(next)) if last.signature.is_none() => {
                add(&mut last.text, next.text);
                last.signature = next.signature;
                last.native.append(next.native);
            }
            (Some(ir::Block::Text(last)), ir::Block::Text(next)) if last.signature.is_none() => {
                add(&mut last.text, next.text);
                last.signature = next.signature;
                last.native.append(next.native);
            }
            (_, block) => joined.push(block),
        }
    }
    *content = joined;
}

fn add<'a>(text: &mut Option<Text<'a>>, more: Option<Text<'a>>) {
    let Some(more) = more.filter(|more| !more.is_empty()) else { return };
    *text = Some(match text.take().filter(|text| !text.is_empty()) {
        Some(text) => Text::from(text.decode().into_owned() + &more.decode()),
        None => more,
    });
}

/// Bytes as JSON has them: SDKs write base64 with two letters of its other alphabet, and without its end.
pub(super) fn standard_base64(data: &mut Option<Text<'_>>) {
    let Some(text) = data else { return };
    let decoded = text.decode();
    if decoded.len() % 4 == 0 && !decoded.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        return;
    }
    let mut standard: String = decoded
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            letter => letter,
        })
        .collect();
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    *data = Some(Text::from(standard));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thought(said: &'static str, signature: Option<&'static str>) -> ir::Block<'static> {
        let signature = signature.map(Text::plain);
        ir::Block::Reasoning(ir::ReasoningBlock {
            text: Some(Text::plain(said)),
            signature,
            ..Default::default()
        })
    }

    fn text(said: &'static str) -> ir::Block<'static> {
        ir::Block::Text(ir::TextBlock { text: Some(Text::plain(said)), ..Default::default() })
    }

    fn turn(role: ir::Role<'static>, content: Vec<ir::Block<'static>>) -> ir::Turn<'static> {
        ir::Turn { role: Some(role), content: Some(content), ..Default::default() }
    }

    #[test]
    fn pieces_are_joined_up_to_their_signature_and_in_turns_of_the_model_alone() {
        let mut turns = vec![
            turn(ir::Role::User, vec![text("a"), text("b")]),
            turn(ir::Role::Assistant, vec![thought("x", None)]),
            turn(ir::Role::Assistant, vec![thought("y", None), thought("", Some("s")), thought("z", None)]),
            turn(ir::Role::Assistant, vec![text("c"), text("d")]),
            turn(ir::Role::User, vec![text("e")]),
            turn(ir::Role::User, vec![text("f")]),
        ];
        join(&mut turns);
        let expected = vec![
            turn(ir::Role::User, vec![text("a"), text("b")]),
            turn(ir::Role::Assistant, vec![thought("xy", Some("s")), thought("z", None), text("cd")]),
            turn(ir::Role::User, vec![text("e")]),
            turn(ir::Role::User, vec![text("f")]),
        ];
        let said = |turns: &[ir::Turn<'_>]| -> Vec<String> {
            let block = |block: &ir::Block<'_>| match block {
                ir::Block::Text(node) => node.text.as_ref().unwrap().decode().into_owned(),
                ir::Block::Reasoning(node) => {
                    format!("{}:{}", node.text.as_ref().unwrap().decode(), node.signature.is_some())
                }
                other => format!("{other:?}"),
            };
            turns
                .iter()
                .map(|turn| turn.content.iter().flatten().map(block).collect::<Vec<_>>().join("|"))
                .collect()
        };
        assert_eq!(said(&turns), said(&expected));
    }

    #[test]
    fn bytes_are_in_the_usual_alphabet() {
        for (from, to) in [("-_-_", "+/+/"), ("QQ", "QQ=="), ("QQ==", "QQ=="), ("", ""), ("QUJD", "QUJD")] {
            let mut data = Some(Text::plain(from));
            standard_base64(&mut data);
            assert_eq!(data.unwrap(), to);
        }
    }
}
