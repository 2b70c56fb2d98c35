//! Whether and how much the model reasons.

use busbar_protocols::{EffectKind, Num, Text, ir};

use super::super::facts::ReasoningForm;
use super::super::shape::Shape;
use super::turns::is_reasoning;

/// Asks for reasoning in the target's way.
pub(super) fn fit_reasoning(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if request.reasoning == ir::ReasoningAsk::default() {
        return;
    }
    if shape.facts.reasoning == ReasoningForm::None {
        return turn_off(request, shape, "the model does not reason");
    }
    if shape.to.reasoning.by_budget { by_budget(request, shape) } else { by_effort(request, shape) }
}

/// By a number of tokens, or left to the model.
fn by_budget(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let rules = shape.to.reasoning;
    let effort = request.reasoning.effort.clone();
    let off = request.reasoning.mode == Some(ir::ReasoningMode::Off) || effort == Some(ir::Effort::None);
    if off && shape.facts.reasoning == ReasoningForm::Always {
        return turn_off(request, shape, "the model cannot be kept from reasoning");
    }
    if effort == Some(ir::Effort::None) {
        request.reasoning = ir::ReasoningAsk {
            mode: Some(ir::ReasoningMode::Off),
            display: request.reasoning.display.take(),
            ..ir::ReasoningAsk::default()
        };
    }
    if request.reasoning.mode == Some(ir::ReasoningMode::Off) {
        let ask = &mut request.reasoning;
        let said = [
            (ask.budget_tokens.take().is_some(), "reasoning.budget_tokens"),
            (ask.effort.take().is_some(), "reasoning.effort"),
        ];
        for (_, path) in said.into_iter().filter(|(said, _)| *said) {
            shape.report.request(EffectKind::Dropped, path, "reasoning is off");
        }
        request.reasoning.display = fit_display(request.reasoning.display.take(), true, shape);
        return;
    }
    let forced = matches!(request.tool_choice.mode, Some(ir::ChoiceMode::Required | ir::ChoiceMode::Named));
    if forced && !rules.with_forced_choice {
        return turn_off(
            request,
            shape,
            "the target cannot reason when a tool is forced, and the tool counts more",
        );
    }
    if matches!(shape.facts.reasoning, ReasoningForm::Adaptive | ReasoningForm::Always) {
        request.reasoning.display = fit_display(request.reasoning.display.take(), false, shape);
        let word = request.reasoning.effort.take().map(|effort| fit_word(&effort, shape));
        request.reasoning.effort = word;
        request.reasoning.budget_tokens = None;
        request.reasoning.mode = Some(ir::ReasoningMode::Adaptive);
        return;
    }
    if fit_loop(request, shape) {
        return;
    }
    let asked = request.reasoning.budget_tokens.as_ref().and_then(Num::as_u64);
    let wanted = asked.unwrap_or_else(|| tokens(effort.as_ref(), rules.efforts));
    let room = request.output.max_tokens.as_ref().and_then(Num::as_u64).unwrap_or(u64::MAX);
    let wanted = match rules.max_budget.filter(|most| wanted > *most) {
        Some(most) => {
            let reason = "more tokens than the target takes; lowered to its highest";
            shape.report.request(EffectKind::Adapted, ask_path(request), reason);
            most
        }
        None => wanted,
    };
    let budget = wanted.max(rules.min_budget).min(room.saturating_sub(ANSWER_ROOM.min(room / 4).max(1)));
    if budget < rules.min_budget {
        return turn_off(request, shape, "the bound of the answer leaves no room for reasoning");
    }
    if budget < wanted {
        shape.report.request(
            EffectKind::Adapted,
            ask_path(request),
            "lowered, so that the bound of the answer leaves room for the answer itself",
        );
    } else if asked.is_none() && effort.is_some() {
        shape.report.request(EffectKind::Adapted, "reasoning.effort", "the effort became a number of tokens");
    }
    if asked.is_some() && effort.is_some() {
        let reason = "the number of tokens beside it says how much";
        shape.report.request(EffectKind::Dropped, "reasoning.effort", reason);
    }
    request.reasoning.display = fit_display(request.reasoning.display.take(), false, shape);
    request.reasoning.effort = None;
    request.reasoning.mode = Some(ir::ReasoningMode::On);
    request.reasoning.budget_tokens = Some(Num::from(budget));
}

/// Asks for no reasoning while a tool loop goes on that began without, where the target would refuse that; whether
/// it did so.
pub(super) fn fit_loop(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) -> bool {
    let asked = request.reasoning.mode == Some(ir::ReasoningMode::On) || !shape.home();
    let cut = asked && shape.to.reasoning.loop_needs_it && loop_lacks_reasoning(request);
    if cut {
        turn_off(
            request,
            shape,
            "the tool loop goes on without the reasoning that began it, which the target wants back",
        );
    }
    cut
}

/// Tokens that reasoning leaves for the answer at least, where the bound allows it.
const ANSWER_ROOM: u64 = 1024;

/// By a word for the effort.
fn by_effort(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let ask = std::mem::take(&mut request.reasoning);
    let off = ask.mode == Some(ir::ReasoningMode::Off) || ask.effort == Some(ir::Effort::None);
    request.reasoning.display = fit_display(ask.display, off, shape);
    if ask.mode == Some(ir::ReasoningMode::Off) {
        if ask.budget_tokens.is_some() {
            let reason = "reasoning is off, and needs no tokens";
            shape.report.request(EffectKind::Dropped, "reasoning.budget_tokens", reason);
        }
        if ask.effort.is_some() {
            shape.report.request(
                EffectKind::Dropped,
                "reasoning.effort",
                "reasoning is off, and this protocol has no other effort",
            );
        }
        if shape.facts.reasoning_off {
            request.reasoning.effort = Some(ir::Effort::None);
        } else {
            shape.report.request(
                EffectKind::Dropped,
                "reasoning.mode",
                "the model has no word for it; its own default holds",
            );
        }
        return;
    }
    let budget = ask.budget_tokens.as_ref().and_then(Num::as_u64);
    request.reasoning.effort = match (ask.effort, budget) {
        (Some(effort), budget) => {
            if budget.is_some() {
                shape.report.request(
                    EffectKind::Adapted,
                    "reasoning.budget_tokens",
                    "the effort beside it says how much",
                );
            }
            Some(fit_word(&effort, shape))
        }
        (None, Some(budget)) => {
            shape.report.request(
                EffectKind::Adapted,
                "reasoning.budget_tokens",
                "the number of tokens became an effort",
            );
            Some(effort_for(budget, shape.to.reasoning.efforts))
        }
        (None, None) => {
            shape.report.request(
                EffectKind::Adapted,
                "reasoning.mode",
                "how much to reason is left to the model's own default",
            );
            None
        }
    };
}

/// The target's word for how much of the reasoning is shown.
fn fit_display<'a>(asked: Option<Text<'a>>, off: bool, shape: &mut Shape<'_>) -> Option<Text<'a>> {
    let (from, to) = (shape.from.reasoning, shape.to.reasoning);
    let path = "reasoning.display";
    let Some(asked) = asked else {
        // Where it is shown only when asked for, who asks for reasoning wants to see it.
        let wanted = !off && !to.shown.is_empty() && to.hidden.is_empty();
        if wanted {
            shape.report.request(EffectKind::Injected, path, "the target shows reasoning only when asked to");
        }
        return wanted.then(|| Text::plain(to.shown));
    };
    if off {
        shape.report.request(EffectKind::Dropped, path, "without reasoning there is nothing to show");
        return None;
    }
    if (from.shown, from.hidden) == (to.shown, to.hidden) {
        return Some(asked);
    }
    if to.shown.is_empty() {
        let reason = "this protocol's providers decide how much of the reasoning is shown";
        shape.report.request(EffectKind::Dropped, path, reason);
        return None;
    }
    if !from.hidden.is_empty() && asked == *from.hidden {
        return Some(to.hidden).filter(|word| !word.is_empty()).map(Text::plain);
    }
    if asked != *from.shown {
        shape.report.request(EffectKind::Adapted, path, "the target's nearest word for it");
    }
    Some(Text::plain(to.shown))
}

fn turn_off(request: &mut ir::Request<'_>, shape: &mut Shape<'_>, reason: &'static str) {
    let ask = std::mem::take(&mut request.reasoning);
    let said = [
        (ask.mode.is_some(), "reasoning.mode"),
        (ask.budget_tokens.is_some(), "reasoning.budget_tokens"),
        (ask.effort.is_some(), "reasoning.effort"),
        (ask.display.is_some(), "reasoning.display"),
    ];
    for (_, path) in said.into_iter().filter(|(said, _)| *said) {
        shape.report.request(EffectKind::Dropped, path, reason);
    }
}

/// The member by which the caller asked.
fn ask_path(request: &ir::Request<'_>) -> &'static str {
    let ask = &request.reasoning;
    match (&ask.budget_tokens, &ask.effort, &ask.mode) {
        (Some(_), _, _) => "reasoning.budget_tokens",
        (None, Some(_), _) => "reasoning.effort",
        _ => "reasoning.mode",
    }
}

fn tokens(effort: Option<&ir::Effort<'_>>, table: &[(&str, u64)]) -> u64 {
    let word = effort.map(ir::Effort::text);
    let known = word.and_then(|word| table.iter().find(|(known, _)| word == **known));
    known.or_else(|| table.get(table.len() / 2)).map_or(0, |(_, tokens)| *tokens)
}

fn effort_for<'a>(budget: u64, table: &[(&'static str, u64)]) -> ir::Effort<'a> {
    let word =
        table.iter().find(|(_, tokens)| budget <= *tokens).or(table.last()).map_or("", |(word, _)| *word);
    effort(word)
}

fn effort<'a>(word: &'static str) -> ir::Effort<'a> {
    let known = [
        ir::Effort::None,
        ir::Effort::Minimal,
        ir::Effort::Low,
        ir::Effort::Medium,
        ir::Effort::High,
        ir::Effort::Xhigh,
        ir::Effort::Max,
    ];
    known.into_iter().find(|known| known.text() == *word).unwrap_or(ir::Effort::Other(Text::plain(word)))
}

/// The target's word for an effort: its own, or the nearest.
fn fit_word<'a>(asked: &ir::Effort<'a>, shape: &mut Shape<'_>) -> ir::Effort<'a> {
    let words = shape.to.reasoning.words;
    let word = asked.text();
    if words.iter().any(|known| word == **known) {
        return asked.clone();
    }
    let nearest = match asked {
        ir::Effort::None | ir::Effort::Minimal | ir::Effort::Low => words.first(),
        ir::Effort::Max | ir::Effort::Xhigh | ir::Effort::High => words.last(),
        ir::Effort::Medium | ir::Effort::Other(_) => words.get(words.len() / 2),
    };
    shape.report.request(EffectKind::Adapted, "reasoning.effort", "the target's nearest word for it");
    nearest.map_or_else(|| asked.clone(), |word| effort(word))
}

/// Whether the running tool loop began without reasoning that the target can check.
fn loop_lacks_reasoning(request: &ir::Request<'_>) -> bool {
    let turns = request.turns.as_deref().unwrap_or_default();
    let answers = |turn: &ir::Turn<'_>| {
        turn.content.iter().flatten().any(|block| matches!(block, ir::Block::ToolResult(_)))
    };
    let Some(last) = turns.last().filter(|turn| answers(turn)) else { return false };
    debug_assert!(answers(last));
    let running = turns.iter().rev().take_while(|turn| {
        turn.role == Some(ir::Role::Assistant) || turn.role == Some(ir::Role::Tool) || answers(turn)
    });
    running.filter(|turn| turn.role == Some(ir::Role::Assistant)).any(|turn| {
        let content = turn.content.as_deref().unwrap_or_default();
        let calls = content.iter().any(|block| matches!(block, ir::Block::ToolCall(_)));
        calls && !content.first().is_some_and(is_reasoning)
    })
}
