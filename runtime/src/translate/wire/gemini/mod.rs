//! What only the words of `gemini` can say.

mod cite;
mod dialect;
mod pieces;
mod tools;

use busbar_protocols::gemini as wire;
use busbar_protocols::prelude::{Checked, Paths, ReadCx, Wire as _};
use busbar_protocols::{EffectKind, Field, Json, Num, Text, WireError, ir};

use super::super::shape::Shape;
use super::{Malformed, Request, Response, malformed, no_answer};

/// Media type that asks for JSON.
const JSON: &str = "application/json";
/// Media type that asks for text.
const TEXT: &str = "text/plain";
/// Tokens of thinking that stand for "as the model sees fit".
const DYNAMIC: &str = "-1";
/// The word for reasoning that is not shown.
const HIDDEN: &str = "omitted";

pub(super) fn read_request(body: Checked<'_>, home: bool) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Request::from_checked(body)?;
    if home {
        return Ok(Request {
            ir: wire::request_to_ir(document, &mut cx),
            cx,
            legacy_calls: false,
            finder: None,
        });
    }
    let tools = tools::read(take(&mut document.tools), &mut cx);
    let choice = tools::take_choice(&mut document.tool_config);
    let config = match &mut document.generation_config {
        Field::Value(config) => Config::take(config),
        _ => Config::default(),
    };
    let mut ir = wire::request_to_ir(document, &mut cx);
    ir.tools = tools;
    ir.tool_choice = choice;
    ir.reasoning = config.reasoning;
    ir.output.format = config.format;
    ir.output.schema = config.schema.or(ir.output.schema.take());
    if ir.output.schema.is_some() && matches!(ir.output.format, None | Some(ir::OutputFormat::Json)) {
        ir.output.format = Some(ir::OutputFormat::JsonSchema);
    }
    ir.output.modalities = config.modalities;
    for turn in ir.turns.iter_mut().flatten() {
        // A turn of nobody is the user's.
        if turn.role.is_none() && turn.native.kept().all(|leftover| *leftover.name() != *"role") {
            turn.role = Some(ir::Role::User);
        }
    }
    if let Some(turns) = &mut ir.turns {
        pieces::join(turns);
    }
    super::super::passes::each_block(&mut ir, &mut |block| {
        let source = match block {
            ir::Block::Image(node) => &mut node.source,
            ir::Block::Document(node) => &mut node.source,
            ir::Block::Audio(node) => &mut node.source,
            ir::Block::Video(node) => &mut node.source,
            ir::Block::ToolCall(node) => return no_arguments(node),
            _ => return,
        };
        pieces::standard_base64(&mut source.data);
        uploaded(source);
    });
    Ok(Request { ir, cx, legacy_calls: false, finder: None })
}

/// A call without arguments has none of them: a message that says nothing is left out.
fn no_arguments(call: &mut ir::ToolCallBlock<'_>) {
    if call.input.is_none() {
        call.input = Json::parse("{}").ok();
    }
}

/// A file that the caller uploaded to Google is no address for others.
fn uploaded(source: &mut ir::Source<'_>) {
    let is_file = source.url.as_ref().is_some_and(|url| {
        let url = url.decode();
        url.contains("generativelanguage.") && url.contains("/files/")
    });
    if is_file {
        source.file_id = source.url.take();
        source.kind = Some(ir::SourceKind::File);
    }
}

/// What several members of the configuration say together.
#[derive(Default)]
struct Config<'a> {
    format: Option<ir::OutputFormat<'a>>,
    schema: Option<Json<'a>>,
    modalities: Option<Vec<Text<'a>>>,
    reasoning: ir::ReasoningAsk<'a>,
}

impl<'a> Config<'a> {
    fn take(config: &mut wire::GenerationConfig<'a>) -> Self {
        let mut taken = Self::default();
        let kind = config.response_mime_type.as_ref().map(|kind| kind.decode().into_owned());
        taken.format = match kind.as_deref() {
            Some(JSON) => Some(ir::OutputFormat::Json),
            Some(TEXT) => Some(ir::OutputFormat::Text),
            _ => None,
        };
        if taken.format.is_some() {
            config.response_mime_type = Field::Absent;
        }
        taken.schema = take(&mut config.response_schema).map(|schema| dialect::json_schema(&schema));
        let ordered = take(&mut config.response_json_schema_ordered);
        taken.schema = taken.schema.or(ordered);
        let words = take(&mut config.response_modalities);
        taken.modalities = words.map(|words| {
            words.iter().map(|word| Text::plain(word.text().decode().to_ascii_lowercase())).collect()
        });
        if let Field::Value(thinking) = &mut config.thinking_config {
            taken.reasoning = reasoning_of(thinking);
            if *thinking == wire::ThinkingConfig::default() {
                config.thinking_config = Field::Absent;
            }
        }
        taken
    }
}

/// Takes a wish to think out of its settings.
fn reasoning_of<'a>(thinking: &mut wire::ThinkingConfig<'a>) -> ir::ReasoningAsk<'a> {
    let mut ask = ir::ReasoningAsk::default();
    if let Some(level) = take(&mut thinking.thinking_level) {
        match wire::read_thinking_level(level) {
            effort @ ir::Effort::Other(_) => ask.effort = Some(effort),
            effort => {
                ask.mode = Some(ir::ReasoningMode::On);
                ask.effort = Some(effort);
            }
        }
    }
    if let Some(budget) = take(&mut thinking.thinking_budget) {
        match budget.as_u64() {
            Some(0) => ask.mode = Some(ir::ReasoningMode::Off),
            Some(_) => {
                ask.mode = Some(ir::ReasoningMode::On);
                ask.budget_tokens = Some(budget);
            }
            None => ask.mode = Some(ir::ReasoningMode::Adaptive),
        }
    }
    if ask != ir::ReasoningAsk::default() && take(&mut thinking.include_thoughts) == Some(false) {
        ask.display = Some(Text::plain(HIDDEN));
    }
    ask
}

pub(super) fn write_request(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    if shape.home() {
        return wire::request_from_ir(request, &mut shape.report.cx).to_json_sized(expected);
    }
    let tools = tools::write(request.tools.take(), shape);
    let config = tools::write_choice(&mut request.tool_choice);
    let thinking = thinking_of(std::mem::take(&mut request.reasoning), shape);
    let (format, schema) = (request.output.format.take(), request.output.schema.take());
    // The path names it.
    request.model = None;
    nameless(request, shape);
    let modalities = request.output.modalities.take();
    let mut document = wire::request_from_ir(request, &mut shape.report.cx);
    if !tools.is_empty() {
        document.tools = Field::Value(tools);
    }
    if let Some(config) = config {
        let config = wire::ToolConfig { function_calling_config: Field::Value(config), ..Default::default() };
        document.tool_config = Field::Value(Box::new(config));
    }
    let mut settings = match std::mem::take(&mut document.generation_config) {
        Field::Value(settings) => settings,
        _ => Box::default(),
    };
    if let Some(thinking) = thinking {
        settings.thinking_config = Field::Value(thinking);
    }
    let is_json = matches!(format, Some(ir::OutputFormat::Json | ir::OutputFormat::JsonSchema));
    if is_json {
        settings.response_mime_type = Field::Value(Text::plain(JSON));
    }
    if let Some(schema) = schema {
        settings.response_json_schema = Field::Value(schema);
    }
    if let Some(modalities) = modalities {
        let words = modalities.iter().map(|word| {
            wire::GenerationConfigModality::from_text(Text::plain(word.decode().to_ascii_uppercase()))
        });
        settings.response_modalities = Field::Value(words.collect());
    }
    if *settings != wire::GenerationConfig::default() {
        document.generation_config = Field::Value(settings);
    }
    document.to_json_sized(expected)
}

/// Leaves out the names of files, which Google's documents do not know.
fn nameless(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let report = &mut shape.report;
    super::super::passes::each_block(request, &mut |block| {
        let (source, kind) = match block {
            ir::Block::Image(node) => (&mut node.source, "Block.image"),
            ir::Block::Document(node) => (&mut node.source, "Block.document"),
            ir::Block::Audio(node) => (&mut node.source, "Block.audio"),
            ir::Block::Video(node) => (&mut node.source, "Block.video"),
            _ => return,
        };
        if source.filename.take().is_some() {
            let reason = "Gemini takes files without a name";
            report.member(EffectKind::Dropped, block.at(), kind, "source.filename", reason);
        }
    });
}

/// The settings that ask for thinking; thoughts are shown unless the caller does not want them.
fn thinking_of<'a>(ask: ir::ReasoningAsk<'a>, shape: &mut Shape<'_>) -> Option<wire::ThinkingConfig<'a>> {
    if ask == ir::ReasoningAsk::default() {
        return None;
    }
    let mut thinking = wire::ThinkingConfig::default();
    let dynamic = || Num::parse(DYNAMIC.as_bytes()).ok();
    let budget = match (ask.mode, &ask.effort) {
        (Some(ir::ReasoningMode::Off), _) => Some(Num::from(0)),
        (Some(ir::ReasoningMode::Adaptive), None) => ask.budget_tokens.or_else(dynamic),
        _ => ask.budget_tokens,
    };
    if let Some(budget) = budget {
        let is_on = budget.as_u64() != Some(0);
        thinking.thinking_budget = Field::Value(budget);
        if !is_on {
            return Some(thinking);
        }
    } else if let Some(effort) = ask.effort {
        let word = effort.text().into_owned();
        match wire::write_thinking_level(&effort) {
            Some(level) => {
                thinking.thinking_level =
                    Field::Value(wire::ThinkingLevel::from_text(level.text().into_owned()));
            }
            None => shape.report.request(
                EffectKind::Dropped,
                "reasoning.effort",
                format!("Gemini has no level `{:.32}`", word.decode()),
            ),
        }
    }
    let hidden = ask.display.as_ref().is_some_and(|display| *display == HIDDEN);
    if ask.display.is_some_and(|display| !hidden && display != shape.to.reasoning.shown) {
        let reason = "Gemini shows thoughts as summaries or not at all";
        shape.report.request(EffectKind::Adapted, "reasoning.display", reason);
    }
    thinking.include_thoughts = Field::Value(!hidden);
    Some(thinking)
}

pub(super) fn read_response(body: &[u8]) -> Result<Response<'_>, Malformed> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Response::parse(body).map_err(|error| malformed(&error))?;
    if document.candidates.as_ref().is_none() && document.prompt_feedback.as_ref().is_none() {
        return Err(no_answer("candidates"));
    }
    let mut found = Vec::new();
    if let Field::Value(candidates) = &mut document.candidates {
        for candidate in candidates {
            found.push(cite::take(candidate));
        }
    }
    let blocked = match &mut document.prompt_feedback {
        Field::Value(feedback) if found.is_empty() => take(&mut feedback.block_reason),
        _ => None,
    };
    let counts = match &mut document.usage_metadata {
        Field::Value(usage) => [
            take_counts(&mut usage.prompt_tokens_details, &[0, 1, 2]),
            take_counts(&mut usage.candidates_tokens_details, &[0, 2]),
        ],
        _ => Default::default(),
    };
    if let Field::Value(usage) = &mut document.usage_metadata {
        count_found(usage);
        // Counts of zero are left out.
        for count in [&mut usage.prompt_token_count, &mut usage.candidates_token_count] {
            if count.as_ref().is_none() {
                *count = Field::Value(Num::from(0));
            }
        }
    }
    let words: Vec<_> = document.candidates.as_ref().into_iter().flatten().map(category_of).collect();
    let mut ir = wire::response_to_ir(document, &mut cx);
    for (candidate, word) in ir.candidates.iter_mut().flatten().zip(words) {
        for block in candidate.content.iter_mut().flatten() {
            if let ir::Block::ToolCall(call) = block {
                no_arguments(call);
            }
        }
        candidate.stop.category = word.map(Text::plain);
    }
    for (candidate, found) in ir.candidates.iter_mut().flatten().zip(found) {
        cite::put(candidate, found);
    }
    if let Some(usage) = &mut ir.usage {
        let [input, output] = counts;
        [usage.text_input, usage.image_input, usage.audio_input] = input;
        [usage.text_output, _, usage.audio_output] = output;
    }
    if let Some(reason) = blocked {
        let said = format!("the prompt was blocked: {}", reason.text().decode());
        let stop = ir::Stop {
            reason: Some(ir::StopReason::ContentFilter),
            explanation: Some(Text::plain(said)),
            ..ir::Stop::default()
        };
        ir.candidates = Some(vec![ir::Candidate { stop, at: Paths::ROOT, ..ir::Candidate::default() }]);
    }
    Ok(Response { ir, cx })
}

/// Counts what Google's own tools found as a part of the prompt, which the model read as well.
pub(crate) fn count_found(usage: &mut wire::GenerateContentResponseUsageMetadata<'_>) {
    let Some(found) = usage.tool_use_prompt_token_count.as_ref().and_then(Num::as_u64) else { return };
    usage.tool_use_prompt_token_count = Field::Absent;
    let prompt = usage.prompt_token_count.as_ref().and_then(Num::as_u64).unwrap_or(0);
    usage.prompt_token_count = Field::Value(Num::from(prompt.saturating_add(found)));
}

/// Google's own word for why an answer ended, where others have one word for several of them.
fn category_of(candidate: &wire::Candidate<'_>) -> Option<String> {
    wire_category(candidate.finish_reason.as_ref()?)
}

/// The same of a reason.
pub(crate) fn wire_category(reason: &wire::CandidateFinishReason<'_>) -> Option<String> {
    let word = reason.text().decode().into_owned();
    let told = ["STOP", "MAX_TOKENS", "SAFETY", "OTHER", "FINISH_REASON_UNSPECIFIED", "CONTINUATION"];
    (!told.contains(&&*word)).then(|| word.to_ascii_lowercase())
}

/// Takes the counts of text, pictures and sound out of a list; what else is counted stays.
///
/// `known` are the places of those that others count, too.
fn take_counts<'a>(
    details: &mut Field<Vec<wire::ModalityTokenCount<'a>>>,
    known: &[usize],
) -> [Option<Num<'a>>; 3] {
    let mut counts = [None, None, None];
    let Field::Value(list) = details else { return counts };
    list.retain_mut(|detail| {
        let place = match detail.modality.as_ref() {
            Some(wire::Modality::Text) => 0,
            Some(wire::Modality::Image) => 1,
            Some(wire::Modality::Audio) => 2,
            _ => return true,
        };
        if !known.contains(&place) || counts[place].is_some() || !detail.unknown.is_empty() {
            return true;
        }
        counts[place] = take(&mut detail.token_count);
        false
    });
    if list.is_empty() {
        *details = Field::Absent;
    }
    counts
}

pub(super) fn write_response(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    if shape.home() {
        return wire::response_from_ir(response, &mut shape.report.cx).to_json_sized(expected);
    }
    let sources: Vec<_> =
        response.candidates.iter_mut().flatten().map(|candidate| cite::write(candidate, shape)).collect();
    let counts = response.usage.as_mut().map(|usage| {
        [
            [usage.text_input.take(), usage.image_input.take(), usage.audio_input.take()],
            [usage.text_output.take(), None, usage.audio_output.take()],
        ]
    });
    if let Some(usage) = &mut response.usage {
        // Without a count there is no thinking, and no cache; the others are always told.
        for count in [&mut usage.cache_read, &mut usage.reasoning] {
            count.take_if(|count| count.as_u64() == Some(0));
        }
    }
    let mut document = wire::response_from_ir(response, &mut shape.report.cx);
    if let Field::Value(candidates) = &mut document.candidates {
        for (candidate, sources) in candidates.iter_mut().zip(sources) {
            if candidate.content.is_absent() {
                let role = Field::Value(Text::plain("model"));
                candidate.content = Field::Value(wire::Content { role, ..Default::default() });
            }
            if let Some(metadata) = sources {
                candidate.grounding_metadata = Field::Value(Box::new(metadata));
            }
        }
    }
    if document.usage_metadata.as_ref().is_none() {
        document.usage_metadata = Field::Value(Box::default());
    }
    if let Field::Value(usage) = &mut document.usage_metadata {
        if let Some([input, output]) = counts {
            usage.prompt_tokens_details = details_of(input);
            usage.candidates_tokens_details = details_of(output);
        }
        for count in
            [&mut usage.prompt_token_count, &mut usage.candidates_token_count, &mut usage.total_token_count]
        {
            if count.as_ref().is_none() {
                *count = Field::Value(Num::from(0));
            }
        }
    }
    document.to_json_sized(expected)
}

fn details_of<'a>(counts: [Option<Num<'a>>; 3]) -> Field<Vec<wire::ModalityTokenCount<'a>>> {
    let kinds = [wire::Modality::Text, wire::Modality::Image, wire::Modality::Audio];
    let said = counts.into_iter().zip(kinds).filter_map(|(count, kind)| {
        let count = count.filter(|count| count.as_u64() != Some(0))?;
        let (modality, token_count) = (Field::Value(kind), Field::Value(count));
        Some(wire::ModalityTokenCount { modality, token_count, ..Default::default() })
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() { Field::Absent } else { Field::Value(said) }
}

/// Takes a value out of a field.
fn take<T>(field: &mut Field<T>) -> Option<T> {
    std::mem::take(field).value()
}
