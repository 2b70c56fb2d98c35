//! Shape passes: what a target demands of a request, one step at a time.
//!
//! A pass reads rules and facts, never a protocol's name, and reports what it did under the caller's paths.

mod arguments;
mod carriage;
mod choice;
mod cited;
mod custom_tools;
mod declare;
mod document_names;
mod documents;
mod empty;
mod ends;
mod errors;
mod fetch;
mod forms;
mod groups;
mod history;
mod hosted;
mod ids;
mod instructions;
mod items;
mod marks;
mod media;
mod names;
mod output;
mod pairs;
mod places;
mod reasoning;
mod results;
mod sampling;
mod schema_output;
mod stop;
mod store;
mod turns;

use busbar_protocols::{Pass, ir};

use super::shape::Shape;

/// Runs the passes that the target lists, in its order.
pub(super) fn run(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.home() {
        // The document is in its target's shape already; only what was carried must come out.
        carriage::open_carriage(request, shape);
        let said = shape.report.cx.ledger.effects().len();
        history::fit_history_reasoning(request, shape);
        if shape.report.cx.ledger.effects().len() > said {
            // Reasoning of another provider is gone, and a tool loop may have begun with it.
            reasoning::fit_loop(request, shape);
        }
        return;
    }
    for pass in shape.to.request {
        one(*pass, request, shape);
    }
}

fn one(pass: Pass, request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    match pass {
        Pass::OpenCarriage => carriage::open_carriage(request, shape),
        Pass::DropPrivateText => instructions::drop_private_text(request, shape),
        Pass::OrderContent => turns::order_content(request, shape),
        Pass::FlattenGroups => groups::flatten_groups(request, shape),
        Pass::FitHostedTools => hosted::fit_hosted_tools(request, shape),
        Pass::FitCustomTools => custom_tools::fit_custom_tools(request, shape),
        Pass::PairCalls => pairs::pair_calls(request, shape),
        Pass::HoistSystem => instructions::hoist_system(request, shape),
        Pass::LowerSystem => instructions::lower_system(request, shape),
        Pass::SplitToolResults => results::split_tool_results(request, shape),
        Pass::GroupToolResults => results::group_tool_results(request, shape),
        Pass::RenderDocuments => documents::render_documents(request, shape),
        Pass::FetchMedia => fetch::fetch_media(request, shape),
        Pass::FitMedia => media::fit_media(request, shape),
        Pass::FitErrors => errors::fit_errors(request, shape),
        Pass::FitRefusals => turns::fit_refusals(request, shape),
        Pass::FitNames => names::fit_names(request, shape),
        Pass::DropCacheMarks => marks::drop_cache_marks(request, shape),
        Pass::DropEmpty => empty::drop_empty(request, shape),
        Pass::MergeTurns => turns::merge_turns(request, shape),
        Pass::FitEnds => ends::fit_ends(request, shape),
        Pass::FitToolIds => ids::fit_tool_ids(request, shape),
        Pass::FitToolNames => ids::fit_tool_names(request, shape),
        Pass::FitArguments => arguments::fit_arguments(request, shape),
        Pass::DeclareTools => declare::declare_tools(request, shape),
        Pass::FitToolChoice => choice::fit_tool_choice(request, shape),
        Pass::FitOutput => output::fit_output(request, shape),
        Pass::FitSchemaOutput => schema_output::fit_schema_output(request, shape),
        Pass::FitStop => stop::fit_stop(request, shape),
        Pass::FitReasoning => reasoning::fit_reasoning(request, shape),
        Pass::FitSampling => sampling::fit_sampling(request, shape),
        Pass::FitHistoryReasoning => history::fit_history_reasoning(request, shape),
        Pass::JoinItems => items::join_items(request, shape),
        Pass::SplitItems => items::split_items(request, shape),
        Pass::AttachMarks => marks::attach_marks(request, shape),
        Pass::DetachMarks => marks::detach_marks(request, shape),
        Pass::FitResults => forms::fit_results(request, shape),
        Pass::PlaceDocuments => places::place_documents(request, shape),
        Pass::FitDocumentNames => document_names::fit_document_names(request, shape),
        Pass::FitCitedHistory => cited::fit_cited_history(request, shape),
        Pass::FitStore => store::fit_store(request, shape),
        Pass::JoinInstructions => instructions::join_instructions(request, shape),
    }
}

/// The turns of a request.
pub(super) fn turns<'r, 'a>(request: &'r mut ir::Request<'a>) -> &'r mut Vec<ir::Turn<'a>> {
    request.turns.get_or_insert_with(Vec::new)
}

/// Whether the model speaks in a turn; items of a conversation say so by their kind.
pub(super) fn of_model(turn: &ir::Turn<'_>) -> bool {
    turn.role == Some(ir::Role::Assistant)
        || matches!(turn.item, Some(ir::ItemKind::Call | ir::ItemKind::CustomCall | ir::ItemKind::Reasoning))
}

/// The content of a turn.
pub(super) fn content<'r, 'a>(turn: &'r mut ir::Turn<'a>) -> &'r mut Vec<ir::Block<'a>> {
    turn.content.get_or_insert_with(Vec::new)
}

/// Calls `f` with every block of the conversation, blocks inside results and documents included.
pub(in crate::translate) fn each_block<'a>(
    request: &mut ir::Request<'a>,
    f: &mut dyn FnMut(&mut ir::Block<'a>),
) {
    for block in request.instructions.iter_mut().flatten() {
        visit(block, f, 0);
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        visit(block, f, 0);
    }
}

/// Blocks in blocks nest no deeper than this on any wire.
const MAX_NESTING: usize = 8;

fn visit<'a>(block: &mut ir::Block<'a>, f: &mut dyn FnMut(&mut ir::Block<'a>), depth: usize) {
    f(block);
    if depth == MAX_NESTING {
        return;
    }
    let inner = match block {
        ir::Block::ToolResult(node) => &mut node.content,
        ir::Block::SearchResult(node) => &mut node.content,
        ir::Block::Document(node) => &mut node.source.blocks,
        _ => return,
    };
    for block in inner.iter_mut().flatten() {
        visit(block, f, depth + 1);
    }
}
