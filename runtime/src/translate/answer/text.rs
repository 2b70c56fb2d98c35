//! The text of an answer.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::shape::Shape;

/// Cuts the answer at the first of the texts that the backend was not told to stop at.
pub(super) fn cut_stops(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    if shape.state.stops.is_empty() {
        return;
    }
    for (content, stop) in super::contents(response) {
        for index in 0..content.len() {
            let Some(ir::Block::Text(node)) = content.get_mut(index) else { continue };
            let said = node.text.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
            let Some((at, hit)) = first_stop(&said, &shape.state.stops) else { continue };
            node.text = Some(Text::plain(said[..at].to_owned()));
            content.truncate(index + 1);
            stop.reason = Some(ir::StopReason::StopSequence);
            stop.sequence = Some(Text::plain(hit.to_owned()));
            break;
        }
    }
}

/// Where the first stop text begins, and which it is; of two at one place the longer.
pub(super) fn first_stop<'s>(said: &str, stops: &'s [String]) -> Option<(usize, &'s str)> {
    stops
        .iter()
        .filter_map(|stop| Some((said.find(stop.as_str())?, stop.as_str())))
        .min_by_key(|(at, stop)| (*at, std::cmp::Reverse(stop.len())))
}

/// Takes a code fence off an answer that must be bare JSON.
pub(super) fn unfence_json(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    if !shape.state.bare_json {
        return;
    }
    for (content, _) in super::contents(response) {
        for block in content {
            let ir::Block::Text(node) = block else { continue };
            let Some(said) = node.text.as_ref().map(|text| text.decode().into_owned()) else { continue };
            if let Some(bare) = unfenced(&said) {
                node.text = Some(Text::plain(bare.to_owned()));
                shape.report.member(
                    EffectKind::Emulated,
                    node.at,
                    "Block.text",
                    "text",
                    "the JSON was taken out of a code fence",
                );
            }
        }
    }
}

/// What stands between the fences, if that is JSON.
fn unfenced(said: &str) -> Option<&str> {
    let start = said.find("```")? + 3;
    let rest = said.get(start..)?;
    let body = &rest[rest.find('\n')? + 1..];
    let bare = body[..body.rfind("```")?].trim();
    serde_json::from_str::<serde::de::IgnoredAny>(bare).is_ok().then_some(bare)
}

/// Makes one text of several, where the target has room for one; likewise of reasoning and refusals.
pub(super) fn join_text(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    if !shape.to.answer.one_text {
        return;
    }
    for (content, _) in super::contents(response) {
        let mut first: Option<usize> = None;
        let mut joined: Vec<ir::Block<'_>> = Vec::with_capacity(content.len());
        for block in content.drain(..) {
            match (block, first) {
                (ir::Block::Text(node), Some(index)) => {
                    shape.report.node(EffectKind::Adapted, node.at, "this protocol's answer has one text");
                    if let Some(ir::Block::Text(into)) = joined.get_mut(index) {
                        append(into, node);
                    }
                }
                (block, _) => {
                    if matches!(block, ir::Block::Text(_)) {
                        first = Some(joined.len());
                    }
                    joined.push(block);
                }
            }
        }
        *content = joined;
    }
}

fn append<'a>(into: &mut ir::TextBlock<'a>, node: ir::TextBlock<'a>) {
    let mut said = into.text.take().map(|text| text.decode().into_owned()).unwrap_or_default();
    let shift = said.chars().count() as u64;
    said.push_str(&node.text.map(|text| text.decode().into_owned()).unwrap_or_default());
    into.text = Some(Text::plain(said));
    into.native.append(node.native);
    // Of several signatures the last one is that of the whole.
    if node.signature.is_some() {
        (into.signature, into.issuer) = (node.signature, node.issuer);
    }
    for mut citation in node.citations.into_iter().flatten() {
        for place in [&mut citation.text_start, &mut citation.text_end] {
            if let Some(at) = place.as_ref().and_then(busbar_protocols::Num::as_u64) {
                *place = Some(busbar_protocols::Num::from(at + shift));
            }
        }
        into.citations.get_or_insert_with(Vec::new).push(citation);
    }
}
