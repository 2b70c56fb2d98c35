//! Where system text stands.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Leaves out system text that is meant for the source's own provider alone.
///
/// Such lines may change with every request and would spoil the prompt cache of any other provider.
pub(super) fn drop_private_text(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let private = shape.from.turns.private_text;
    let Some(blocks) = request.instructions.as_mut().filter(|_| !private.is_empty()) else { return };
    blocks.retain(|block| {
        let is_private =
            text::of(block).is_some_and(|text| private.iter().any(|beginning| text.starts_with(beginning)));
        if is_private {
            shape.report.node(
                EffectKind::Dropped,
                block.at(),
                "a note of the client to its own provider, which changes with every request",
            );
        }
        !is_private
    });
}

/// Tells the model something before anything else is said, where the target has system text.
pub(super) fn instruct(request: &mut ir::Request<'_>, said: impl Into<String>, shape: &Shape<'_>) {
    let blocks = if shape.to.turns.instructions {
        request.instructions.get_or_insert_with(Vec::new)
    } else {
        let turns = super::turns(request);
        if turns.first().is_none_or(|turn| turn.role != Some(ir::Role::System)) {
            turns.insert(0, ir::Turn { role: Some(ir::Role::System), ..ir::Turn::default() });
        }
        let Some(turn) = turns.first_mut() else { return };
        super::content(turn)
    };
    blocks.iter_mut().for_each(unwrap_bare);
    let at = blocks.first().map(ir::Block::at).unwrap_or_default();
    blocks.push(text::block(said, at));
}

/// Leaves out of system text what is no text and can become none.
fn keep_text(blocks: &mut Vec<ir::Block<'_>>, shape: &mut Shape<'_>) {
    blocks.retain(|block| {
        let stays = matches!(
            block,
            ir::Block::Text(_)
                | ir::Block::Document(_)
                | ir::Block::SearchResult(_)
                | ir::Block::CacheMark(_)
                | ir::Block::Native(_)
        );
        if !stays {
            shape.report.lose(block.at(), "system text is text");
        }
        stays
    });
}

/// Moves leading system turns out of the conversation.
///
/// A system turn further on stays in its place, so that the prefix before it is the same from turn to turn;
/// where the target has none there, it becomes marked text of the user.
pub(super) fn hoist_system(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.turns.instructions {
        return;
    }
    if let Some(blocks) = &mut request.instructions {
        keep_text(blocks, shape);
    }
    let Some(turns) = &mut request.turns else { return };
    let leading = turns.iter().take_while(|turn| is_system(turn)).count();
    let mut hoisted = Vec::new();
    for mut turn in turns.drain(..leading) {
        super::marks::mark_last(&mut turn, shape);
        if turn.name.take().is_some() {
            shape.report.member(
                EffectKind::Dropped,
                turn.at,
                "Turn",
                "name",
                "system text outside the turns has no speaker",
            );
        }
        if turn.cache != ir::CacheMark::default() {
            shape.report.member(EffectKind::Dropped, turn.at, "Turn", "cache", "there is nothing to mark");
        }
        // The turn's own leftovers are reported with the request's.
        request.native.append(std::mem::take(&mut turn.native));
        let mut content = turn.content.unwrap_or_default();
        keep_text(&mut content, shape);
        hoisted.extend(content);
    }
    if !hoisted.is_empty() {
        // A lone string stays one; several become blocks.
        if hoisted.len() > 1 || request.instructions.is_some() {
            hoisted.iter_mut().for_each(unwrap_bare);
        }
        request.instructions.get_or_insert_with(Vec::new).extend(hoisted);
    }
    for turn in turns.iter_mut().filter(|turn| is_system(turn)) {
        if shape.to.turns.system_inside {
            turn.role = Some(ir::Role::System);
            continue;
        }
        turn.role = Some(ir::Role::User);
        let said = text::joined(turn.content.as_deref().unwrap_or_default(), "\n\n");
        turn.content = Some(vec![text::block(format!("<system>\n{said}\n</system>"), turn.at)]);
        shape.report.node(
            EffectKind::Adapted,
            turn.at,
            "a system turn inside the conversation became marked text of the user",
        );
    }
}

/// Makes a leading system turn of the instructions, and of what the developer says where that has no role of its own.
pub(super) fn lower_system(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.turns.developer {
        for turn in request.turns.iter_mut().flatten().filter(|turn| is_system(turn)) {
            turn.role = Some(ir::Role::System);
        }
    }
    if shape.to.turns.instructions {
        return;
    }
    let Some(mut blocks) = request.instructions.take() else { return };
    keep_text(&mut blocks, shape);
    if blocks.is_empty() {
        return;
    }
    let at = blocks.first().map(ir::Block::at).unwrap_or_default();
    let turn = ir::Turn { role: Some(ir::Role::System), content: Some(blocks), at, ..ir::Turn::default() };
    super::turns(request).insert(0, turn);
}

/// Makes one text of the instructions, the gateway's own included, for a target that has room for one.
pub(super) fn join_instructions(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let Some(blocks) = &mut request.instructions else { return };
    let is_text = |block: &ir::Block<'_>| matches!(block, ir::Block::Text(_));
    if blocks.iter().filter(|block| is_text(block)).count() < 2 {
        return;
    }
    let said = text::joined(blocks, "\n\n");
    let mut first = true;
    blocks.retain_mut(|block| {
        let ir::Block::Text(node) = block else { return true };
        if std::mem::take(&mut first) {
            node.text = Some(Text::plain(said.clone()));
            return true;
        }
        shape.report.node(EffectKind::Adapted, node.at, "this protocol's instructions are one text");
        request.native.append(std::mem::take(&mut node.native));
        false
    });
}

fn is_system(turn: &ir::Turn<'_>) -> bool {
    matches!(turn.role, Some(ir::Role::System | ir::Role::Developer))
}

fn unwrap_bare(block: &mut ir::Block<'_>) {
    if let ir::Block::Text(node) = block {
        node.bare = None;
    }
}
