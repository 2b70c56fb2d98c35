//! Marks for the prompt cache.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::shape::Shape;

/// The word for a mark of the usual kind.
const USUAL: &str = "ephemeral";
/// Why a mark gives way.
const FEWER: &str = "the target takes fewer cache marks";
const COVERED: &str = "one mark covers what it is in, and another holds there";
const UNMARKED: &str = "this protocol's providers cache prompts without marks";

/// Puts marks that are elements of their own at what stands in front of them, where the target has marks.
pub(super) fn attach_marks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.turns.cache_marks {
        return drop_elements(request, shape);
    }
    if let Some(tools) = &mut request.tools {
        attach_tools(tools, shape);
    }
    if let Some(blocks) = &mut request.instructions {
        attach_blocks(blocks, true, shape);
    }
    for turn in request.turns.iter_mut().flatten() {
        let instructs = matches!(turn.role, Some(ir::Role::System | ir::Role::Developer));
        if let Some(content) = &mut turn.content {
            attach_blocks(content, instructs, shape);
        }
    }
}

/// Leaves out marks that are elements, which nothing beside them stands for.
fn drop_elements(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let mut goes = |at| {
        shape.report.node(EffectKind::Dropped, at, UNMARKED);
        false
    };
    if let Some(tools) = &mut request.tools {
        tools.retain(|tool| !matches!(tool, ir::Tool::CacheMark(_)) || goes(tool.at()));
    }
    let turns = request.turns.iter_mut().flatten().filter_map(|turn| turn.content.as_mut());
    for content in request.instructions.iter_mut().chain(turns) {
        content.retain(|block| !is_mark(block) || goes(block.at()));
    }
}

/// Instructions are text; what else stands among them goes, and would take the mark along.
fn attach_blocks<'a>(blocks: &mut Vec<ir::Block<'a>>, instructs: bool, shape: &mut Shape<'_>) {
    if !blocks.iter().any(|block| matches!(block, ir::Block::CacheMark(_))) {
        return;
    }
    let mut kept: Vec<ir::Block<'a>> = Vec::with_capacity(blocks.len());
    for block in blocks.drain(..) {
        let ir::Block::CacheMark(mut node) = block else {
            kept.push(block);
            continue;
        };
        let marked = kept.iter_mut().rev().filter(|block| !instructs || matches!(block, ir::Block::Text(_)));
        let before = marked.filter_map(mark).map(|(cache, _)| cache).next();
        attach(before, &mut node.cache, node.at, shape);
        shape.report.cx.leftovers(&node.native);
    }
    *blocks = kept;
}

fn attach_tools<'a>(tools: &mut Vec<ir::Tool<'a>>, shape: &mut Shape<'_>) {
    let mut kept: Vec<ir::Tool<'a>> = Vec::with_capacity(tools.len());
    for tool in tools.drain(..) {
        let ir::Tool::CacheMark(mut node) = tool else {
            kept.push(tool);
            continue;
        };
        let before = kept.iter_mut().rev().find_map(tool_mark);
        attach(before, &mut node.cache, node.at, shape);
        shape.report.cx.leftovers(&node.native);
    }
    *tools = kept;
}

fn attach<'a>(
    before: Option<&mut ir::CacheMark<'a>>,
    cache: &mut ir::CacheMark<'a>,
    at: busbar_protocols::prelude::At,
    shape: &mut Shape<'_>,
) {
    let mut cache = std::mem::take(cache);
    cache.kind = Some(Text::plain(USUAL));
    match before {
        Some(before) if *before == ir::CacheMark::default() => *before = cache,
        Some(_) => shape.report.node(
            EffectKind::Adapted,
            at,
            "what stands in front of the mark has one of its own, which holds",
        ),
        None => {
            shape.report.node(
                EffectKind::Dropped,
                at,
                "nothing that can be marked stands in front of the mark",
            );
        }
    }
}

/// Makes elements of marks, behind what they mark, where the target has them so.
///
/// Of more marks than the target takes the last ones stay, which cover the most.
pub(super) fn detach_marks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let rules = shape.to.turns;
    if !rules.marks_apart {
        return;
    }
    if let Some(tools) = &mut request.tools {
        let mut apart = Vec::with_capacity(tools.len());
        for mut tool in tools.drain(..) {
            let at = tool.at();
            let cache = tool_mark(&mut tool).map(std::mem::take).unwrap_or_default();
            apart.push(tool);
            if cache != ir::CacheMark::default() {
                apart.push(ir::Tool::CacheMark(ir::CacheMarkTool { cache, at, ..Default::default() }));
            }
        }
        *tools = apart;
    }
    if let Some(blocks) = &mut request.instructions {
        detach_blocks(blocks, shape);
    }
    for turn in request.turns.iter_mut().flatten() {
        let (at, cache) = (turn.at, std::mem::take(&mut turn.cache));
        let content = super::content(turn);
        detach_blocks(content, shape);
        if cache != ir::CacheMark::default() && !matches!(content.last(), Some(ir::Block::CacheMark(_))) {
            content.push(ir::Block::CacheMark(ir::CacheMarkBlock { cache, at, ..Default::default() }));
        }
    }
    if std::mem::take(&mut request.cache) != ir::CacheMark::default()
        && let Some(last) = request.turns.iter_mut().flatten().last()
    {
        let at = last.at;
        let cache = ir::CacheMark { kind: Some(Text::plain(USUAL)), ttl: None };
        super::content(last).push(ir::Block::CacheMark(ir::CacheMarkBlock {
            cache,
            at,
            ..Default::default()
        }));
        shape.report.request(EffectKind::Emulated, "cache", "the end of the conversation is marked");
    }
    let lists = request
        .instructions
        .iter_mut()
        .chain(request.turns.iter_mut().flatten().filter_map(|turn| turn.content.as_mut()));
    let mut over =
        count(request.tools.as_deref().unwrap_or_default(), |tool| matches!(tool, ir::Tool::CacheMark(_)));
    let mut lists: Vec<_> = lists.collect();
    over += lists.iter().map(|list| count(list, is_mark)).sum::<usize>();
    let mut over = over.saturating_sub(rules.max_marks);
    let mut goes = |at| {
        let goes = over > 0;
        if goes {
            over -= 1;
            shape.report.node(EffectKind::Dropped, at, FEWER);
        }
        goes
    };
    if let Some(tools) = &mut request.tools {
        tools.retain(|tool| !matches!(tool, ir::Tool::CacheMark(_)) || !goes(tool.at()));
    }
    for list in &mut lists {
        list.retain(|block| !is_mark(block) || !goes(block.at()));
    }
}

fn count<T>(list: &[T], is: impl Fn(&T) -> bool) -> usize {
    list.iter().filter(|one| is(one)).count()
}

fn is_mark(block: &ir::Block<'_>) -> bool {
    matches!(block, ir::Block::CacheMark(_))
}

fn detach_blocks<'a>(blocks: &mut Vec<ir::Block<'a>>, shape: &mut Shape<'_>) {
    let mut apart = Vec::with_capacity(blocks.len());
    for mut block in blocks.drain(..) {
        let at = block.at();
        let mut cache = mark(&mut block).map(|(cache, _)| std::mem::take(cache)).unwrap_or_default();
        // Inside a result or a document nothing can be marked; the mark covers all of it.
        super::visit(
            &mut block,
            &mut |inner| {
                let at = inner.at();
                let Some((found, kind)) = mark(inner) else { return };
                let found = std::mem::take(found);
                if cache == ir::CacheMark::default() {
                    cache = found;
                } else if found != ir::CacheMark::default() && found != cache {
                    shape.report.member(EffectKind::Dropped, at, kind, "cache", COVERED);
                }
            },
            0,
        );
        apart.push(block);
        if cache != ir::CacheMark::default() {
            apart.push(ir::Block::CacheMark(ir::CacheMarkBlock { cache, at, ..Default::default() }));
        }
    }
    *blocks = apart;
}

fn tool_mark<'t, 'a>(tool: &'t mut ir::Tool<'a>) -> Option<&'t mut ir::CacheMark<'a>> {
    match tool {
        ir::Tool::Function(node) => Some(&mut node.cache),
        ir::Tool::WebSearch(node) => Some(&mut node.cache),
        _ => None,
    }
}

/// Leaves out cache marks, where the target caches by itself.
pub(super) fn drop_cache_marks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.turns.cache_marks {
        return mark_blocks(request, shape);
    }
    if std::mem::take(&mut request.cache) != ir::CacheMark::default() {
        shape.report.request(EffectKind::Dropped, "cache", UNMARKED);
    }
    for tool in request.tools.iter_mut().flatten() {
        let (at, kind) = (tool.at(), format!("Tool.{}", tool.kind()));
        if tool_mark(tool).is_some_and(|cache| std::mem::take(cache) != ir::CacheMark::default()) {
            shape.report.member(EffectKind::Dropped, at, &kind, "cache", UNMARKED);
        }
    }
    for turn in request.turns.iter_mut().flatten() {
        if std::mem::take(&mut turn.cache) != ir::CacheMark::default() {
            shape.report.member(EffectKind::Dropped, turn.at, "Turn", "cache", UNMARKED);
        }
    }
    let report = &mut shape.report;
    super::each_block(request, &mut |block| {
        let at = block.at();
        if let Some((cache, kind)) = mark(block)
            && std::mem::take(cache) != ir::CacheMark::default()
        {
            report.member(EffectKind::Dropped, at, kind, "cache", UNMARKED);
        }
    });
}

fn mark_blocks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    request.turns.iter_mut().flatten().for_each(|turn| mark_last(turn, shape));
    if shape.to.turns.marks_apart {
        return;
    }
    let is_marked = |cache: &ir::CacheMark<'_>| *cache != ir::CacheMark::default();
    let tools = request.tools.iter_mut().flatten().filter_map(tool_mark);
    // The mark of the whole request is one of them.
    let mut marks = tools.filter(|cache| is_marked(cache)).count() + usize::from(is_marked(&request.cache));
    super::each_block(request, &mut |block| {
        marks += mark(block).map_or(0, |(cache, _)| usize::from(is_marked(cache)));
    });
    let mut over = marks.saturating_sub(shape.to.turns.max_marks);
    if over == 0 {
        return;
    }
    let report = &mut shape.report;
    let mut drop = |cache: &mut ir::CacheMark<'_>, at, kind| {
        if over > 0 && is_marked(cache) {
            over -= 1;
            *cache = ir::CacheMark::default();
            report.member(EffectKind::Dropped, at, kind, "cache", FEWER);
        }
    };
    for tool in request.tools.iter_mut().flatten() {
        let at = tool.at();
        if let Some(cache) = tool_mark(tool) {
            drop(cache, at, "Tool.function");
        }
    }
    super::each_block(request, &mut |block| {
        let at = block.at();
        if let Some((cache, kind)) = mark(block) {
            drop(cache, at, kind);
        }
    });
}

/// A mark of a whole turn stands at the turn's last block, where blocks alone have marks.
pub(super) fn mark_last(turn: &mut ir::Turn<'_>, shape: &mut Shape<'_>) {
    if turn.cache == ir::CacheMark::default() {
        return;
    }
    let marked = std::mem::take(&mut turn.cache);
    match turn.content.iter_mut().flatten().rev().find_map(mark) {
        Some((cache, _)) if *cache == ir::CacheMark::default() => *cache = marked,
        Some(_) => shape.report.member(
            EffectKind::Adapted,
            turn.at,
            "Turn",
            "cache",
            "the last block of the message has a mark of its own, which holds",
        ),
        // Nothing in the turn can be marked; what is left is reported by the map.
        None => turn.cache = marked,
    }
}

/// The cache mark of a block, and the block's type.
fn mark<'b, 'a>(block: &'b mut ir::Block<'a>) -> Option<(&'b mut ir::CacheMark<'a>, &'static str)> {
    Some(match block {
        ir::Block::Audio(node) => (&mut node.cache, "Block.audio"),
        ir::Block::Document(node) => (&mut node.cache, "Block.document"),
        ir::Block::Image(node) => (&mut node.cache, "Block.image"),
        ir::Block::SearchResult(node) => (&mut node.cache, "Block.search_result"),
        ir::Block::Text(node) => (&mut node.cache, "Block.text"),
        ir::Block::ToolCall(node) => (&mut node.cache, "Block.tool_call"),
        ir::Block::ToolResult(node) => (&mut node.cache, "Block.tool_result"),
        ir::Block::Video(node) => (&mut node.cache, "Block.video"),
        _ => return None,
    })
}
