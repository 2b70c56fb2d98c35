//! How a conversation begins and ends.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// What the user is taken to have said before a conversation that another side begins.
const BEGIN: &str = "Begin.";
/// What the user is taken to say where an answer cannot be begun for the model.
const CONTINUE: &str = "Go on exactly where your last message ends, and repeat nothing of it.";

/// Lets the user speak first, and ends the conversation in a way that the target takes.
pub(super) fn fit_ends(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let rules = shape.to.turns;
    let turns = super::turns(request);
    let at = turns.first().map(|turn| turn.at).unwrap_or_default();
    if rules.user_first && turns.first().is_none_or(|turn| turn.role == Some(ir::Role::Assistant)) {
        turns.insert(0, user(BEGIN, at));
        shape.report.request(EffectKind::Injected, "turns", "the target wants the user to speak first");
    }
    let Some(last) = turns.last_mut().filter(|turn| turn.role == Some(ir::Role::Assistant)) else { return };
    let at = last.at;
    if last.content.iter().flatten().any(|block| matches!(block, ir::Block::ToolCall(_))) {
        return;
    }
    if !rules.trailing_space
        && let Some(ir::Block::Text(node)) = last.content.iter_mut().flatten().last()
        && let Some(said) = &node.text
        && said.decode().ends_with(char::is_whitespace)
    {
        node.text = Some(Text::plain(said.decode().trim_end().to_owned()));
        shape.report.node(
            EffectKind::Adapted,
            node.at,
            "the target refuses white space at the end of a begun answer",
        );
    }
    if !shape.facts.prefill {
        turns.push(user(CONTINUE, at));
        shape.report.node(
            EffectKind::Emulated,
            at,
            "the model is asked in words to go on with the begun answer",
        );
    }
}

fn user<'a>(said: &'static str, at: busbar_protocols::prelude::At) -> ir::Turn<'a> {
    ir::Turn {
        role: Some(ir::Role::User),
        content: Some(vec![text::block(said, at)]),
        at,
        ..ir::Turn::default()
    }
}
