//! Tools that a provider runs itself.

use busbar_protocols::{EffectKind, ir};

use super::super::shape::Shape;

/// Why a search is left out.
const NO_SEARCH: &str =
    "the target has no search of the web beside functions; the caller's own tools are offered";
/// Why another tool is left out.
const SPARE: &str = "a tool that its provider runs; the caller's own tools are offered without it";

/// Leaves out tools of a provider's that a request with tools of the caller's own can do without.
///
/// A tool that stands alone, or that must be called, is what the request is about: that it has no form is a reason
/// to refuse.
pub(super) fn fit_hosted_tools(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    fit_search(request, shape);
    for tool in request.tools.iter_mut().flatten() {
        let (defer, kind, at) = match tool {
            ir::Tool::Function(node) => (&mut node.defer, "Tool.function", node.at),
            ir::Tool::Custom(node) => (&mut node.defer, "Tool.custom", node.at),
            _ => continue,
        };
        if defer.take() == Some(true) {
            let reason = "the tool is offered at once: what would find it is another provider's search";
            shape.report.member(EffectKind::Dropped, at, kind, "defer", reason);
        }
    }
    let Some(tools) = &mut request.tools else { return };
    let own = |tool: &ir::Tool<'_>| {
        matches!(tool, ir::Tool::Function(_) | ir::Tool::Custom(_) | ir::Tool::Group(_))
    };
    if !tools.iter().any(own) {
        return choose_search(request, shape);
    }
    if forces_hosted(&request.tool_choice, tools)
        || request.native.kept().any(|more| *more.name() == *"tool_choice")
    {
        return;
    }
    let searches = shape.to.tools.web_search && shape.to.tools.search_beside;
    tools.retain(|tool| {
        let reason = match tool {
            ir::Tool::WebSearch(_) if !searches => NO_SEARCH,
            ir::Tool::Native(node) if is_spare(node, shape.from.tools.spare) => SPARE,
            _ => return true,
        };
        shape.report.node(EffectKind::Dropped, tool.at(), reason);
        false
    });
}

/// Leaves out what the target's search of the web cannot be told.
fn fit_search(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.tools.web_search {
        return;
    }
    fit_limit(request, shape);
    let reason = "the target's search of the web has no such setting";
    let lacks = |path: &str| !shape.to.tools.search_says.contains(&path);
    for tool in request.tools.iter_mut().flatten() {
        let ir::Tool::WebSearch(node) = tool else { continue };
        let at = node.at;
        for (domains, path) in
            [(&mut node.allowed_domains, "allowed_domains"), (&mut node.blocked_domains, "blocked_domains")]
        {
            if lacks(path) && domains.take().is_some_and(|domains| !domains.is_empty()) {
                shape.report.lose_member(at, "Tool.web_search", path, reason);
            }
        }
        let lost = [
            (lacks("max_uses") && node.max_uses.take().is_some(), "max_uses"),
            (lacks("context_size") && node.context_size.take().is_some(), "context_size"),
            (lacks("place") && std::mem::take(&mut node.place) != ir::SearchPlace::default(), "place"),
        ];
        for (_, path) in lost.into_iter().filter(|(is_lost, _)| *is_lost) {
            shape.report.member(EffectKind::Dropped, at, "Tool.web_search", path, reason);
        }
    }
}

/// Says how many searches may be made as the target does: of the search alone, or of all tools that it runs together.
fn fit_limit(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let own = |tool: &&mut ir::Tool<'_>| {
        !matches!(
            tool,
            ir::Tool::Function(_) | ir::Tool::Custom(_) | ir::Tool::Group(_) | ir::Tool::CacheMark(_)
        )
    };
    let mut hosted = request.tools.iter_mut().flatten().filter(own);
    let (Some(ir::Tool::WebSearch(node)), None) = (hosted.next(), hosted.next()) else { return };
    if shape.to.tools.search_says.contains(&"max_uses") {
        node.max_uses = node.max_uses.take().or_else(|| request.hosted_calls.take());
    } else if shape.to.tools.hosted_limit && node.max_uses.is_some() {
        request.hosted_calls = node.max_uses.take();
        let reason =
            "the target limits the calls of all of its tools together, of which the search is the only one";
        shape.report.member(EffectKind::Adapted, node.at, "Tool.web_search", "max_uses", reason);
    }
}

fn is_spare(tool: &ir::NativeTool<'_>, spare: &[&str]) -> bool {
    tool.kind.as_ref().is_some_and(|kind| spare.iter().any(|known| *kind == **known))
}

/// Whether the one tool that must be called is none of the caller's.
fn forces_hosted(choice: &ir::ToolChoice<'_>, tools: &[ir::Tool<'_>]) -> bool {
    let (Some(ir::ChoiceMode::Named), Some(name)) = (&choice.mode, &choice.name) else { return false };
    let name = name.decode();
    !tools.iter().any(|tool| match tool {
        ir::Tool::Function(node) => node.name.as_ref().is_some_and(|known| *known == *name),
        ir::Tool::Custom(node) => node.name.as_ref().is_some_and(|known| *known == *name),
        ir::Tool::Group(_) => true,
        _ => false,
    })
}

/// Says in the target's way that the search, which is all that is offered, must be made.
fn choose_search(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let only = request.tools.iter().flatten().all(|tool| matches!(tool, ir::Tool::WebSearch(_)));
    if !only || !shape.to.tools.web_search {
        return;
    }
    let mut choice = std::mem::take(&mut request.tool_choice);
    if choice.mode == Some(ir::ChoiceMode::Named) {
        (choice.mode, choice.kind) = (Some(ir::ChoiceMode::Required), None);
        if choice.name.take().is_some() {
            let reason = "the search is the one tool that can be called";
            shape.report.request(EffectKind::Adapted, "tool_choice.name", reason);
        }
    }
    if shape.to.tools.search_beside {
        request.tool_choice = choice;
        return;
    }
    if choice.mode == Some(ir::ChoiceMode::None) {
        for tool in request.tools.take().into_iter().flatten() {
            let reason = "not offered, because none may be called";
            shape.report.node(EffectKind::Emulated, tool.at(), reason);
        }
    }
    let reason = "to ask for the search is to choose it: the target has no other choice";
    let said = [
        (choice.mode.is_some(), "tool_choice"),
        (choice.allowed.is_some(), "tool_choice.allowed"),
        (choice.required.is_some(), "tool_choice.required"),
        (choice.parallel.is_some(), "tool_choice.parallel"),
    ];
    for (_, path) in said.into_iter().filter(|(said, _)| *said) {
        shape.report.request(EffectKind::Adapted, path, reason);
    }
}
