//! What only the words of `cohere` can say.

use busbar_protocols::cohere as wire;
use busbar_protocols::prelude::{At, Checked, Native, Paths, ReadCx, Wire as _};
use busbar_protocols::{EffectKind, Field, Json, Num, Text, WireError, ir};
use serde_json::{Map, Value};

use super::super::shape::Shape;
use super::super::state::FREE_TEXT;
use super::super::text;
use super::{Malformed, Request, Response, malformed, no_answer};

/// Words for how finely the model looks at a picture.
const DETAILS: [&str; 3] = ["auto", "low", "high"];
/// The word for not citing at all.
const NO_CITATIONS: &str = "OFF";
/// Members in the schemas of all tools together, where they are strict.
const MAX_STRICT_FIELDS: usize = 200;
/// Schemas nest no deeper than this where they are read.
const MAX_DEPTH: usize = 64;

pub(super) fn read_request(body: Checked<'_>, home: bool) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let document = wire::root::Request::from_checked(body)?;
    let mut ir = wire::request_to_ir(document, &mut cx);
    if !home {
        if ir.output.format == Some(ir::OutputFormat::Json) && ir.output.schema.is_some() {
            ir.output.format = Some(ir::OutputFormat::JsonSchema);
        }
        let strict = ir.strict_tools;
        for tool in ir.tools.iter_mut().flatten() {
            if let ir::Tool::Function(node) = tool {
                (node.strict, ir.strict_tools) = (strict, None);
            }
        }
    }
    Ok(Request { ir, cx, legacy_calls: false, finder: None })
}

pub(super) fn write_request(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    if !shape.home() {
        if request.output.format == Some(ir::OutputFormat::JsonSchema) {
            request.output.format = Some(ir::OutputFormat::Json);
        }
        fit_cite(&mut request.cite);
        fit_strict(request, shape);
        super::super::passes::each_block(request, &mut |block| match block {
            // Only a plan of its own stands beside the content.
            ir::Block::Reasoning(node) => node.bare = None,
            ir::Block::Image(node) => fit_detail(node, shape),
            _ => {}
        });
    }
    wire::request_from_ir(request, &mut shape.report.cx).to_json_sized(expected)
}

/// Says by the mode whether answers cite; they do where nothing is said.
fn fit_cite(cite: &mut ir::Cite<'_>) {
    if cite.on.take() == Some(false) {
        cite.mode = Some(Text::plain(NO_CITATIONS));
    }
}

/// Makes all tools strict where each is asked to be and can be; otherwise they are what they are by default.
fn fit_strict(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let mut fields = 0;
    let mut functions = request.tools.iter().flatten().filter_map(|tool| match tool {
        ir::Tool::Function(node) => Some(node),
        _ => None,
    });
    let all = functions.all(|node| {
        let schema = node.parameters.as_ref().and_then(|schema| schema.to_value().ok()).unwrap_or_default();
        fields += members(&schema, 0);
        node.strict == Some(true) && can_be_strict(&schema)
    });
    let strict = all && fields > 0 && fields <= MAX_STRICT_FIELDS;
    if strict {
        request.strict_tools = Some(true);
    }
    for tool in request.tools.iter_mut().flatten() {
        let ir::Tool::Function(node) = tool else { continue };
        if node.strict.take() == Some(true) && !strict {
            shape.report.member(
                EffectKind::Dropped,
                node.at,
                "Tool.function",
                "strict",
                "tools are strict all at once, each with a member that is required and no more members than the target takes",
            );
        }
    }
}

/// A strict tool requires one of its members at least.
fn can_be_strict(schema: &Value) -> bool {
    let some = |name| {
        let of: Option<&Value> = schema.get(name);
        of.and_then(Value::as_array).is_some_and(|list| !list.is_empty())
            || of.and_then(Value::as_object).is_some_and(|map| !map.is_empty())
    };
    !some("properties") || some("required")
}

/// Members of all objects that the schema speaks of.
fn members(schema: &Value, depth: usize) -> usize {
    if depth == MAX_DEPTH {
        return MAX_STRICT_FIELDS + 1;
    }
    let beneath = |value: &Value| members(value, depth + 1);
    match schema {
        Value::Object(map) => {
            let own = map.get("properties").and_then(Value::as_object).map_or(0, Map::len);
            own.saturating_add(map.values().map(beneath).sum())
        }
        Value::Array(items) => items.iter().map(beneath).sum(),
        _ => 0,
    }
}

fn fit_detail(node: &mut ir::ImageBlock<'_>, shape: &mut Shape<'_>) {
    let Some(detail) = &node.detail else { return };
    if DETAILS.iter().any(|word| *detail == **word) {
        return;
    }
    node.detail = None;
    let reason = "the target has no such word for it";
    shape.report.member(EffectKind::Dropped, node.at, "Block.image", "detail", reason);
}

pub(super) fn read_response(body: &[u8], home: bool) -> Result<Response<'_>, Malformed> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Response::parse(body).map_err(|error| malformed(&error))?;
    let Field::Value(message) = &mut document.message else { return Err(no_answer("message")) };
    if home {
        return Ok(Response { ir: wire::response_to_ir(document, &mut cx), cx });
    }
    if let Some(wire::ChatFinishReason::Error | wire::ChatFinishReason::Timeout) =
        document.finish_reason.as_ref()
    {
        return Err(Malformed { message: "the provider could not finish the answer".to_owned() });
    }
    let plan = std::mem::take(&mut message.tool_plan).value();
    let texts = texts(message);
    let mut cited = vec![Vec::new(); texts.len()];
    if let Field::Value(citations) = &mut message.citations {
        let at = cx.member(Paths::ROOT, "message");
        let at = cx.member(at, "citations");
        let mut unplaced = Vec::new();
        for (index, citation) in std::mem::take(citations).into_iter().enumerate() {
            let at = cx.item(at, index);
            match text_of(&citation, &texts).and_then(|text| cited.get_mut(text)) {
                Some(list) => list.extend(each_source(citation, &mut cx, at)),
                // What has no place at a text stays, and is reported.
                None => unplaced.push(citation),
            }
        }
        *citations = unplaced;
        if citations.is_empty() {
            message.citations = Field::Absent;
        }
    }
    if let Field::Value(usage) = &mut document.usage {
        count(usage);
    }
    let mut ir = wire::response_to_ir(document, &mut cx);
    let Some(candidate) = ir.candidates.iter_mut().flatten().next() else {
        return Ok(Response { ir, cx });
    };
    let content = candidate.content.get_or_insert_with(Vec::new);
    for (block, citations) in content.iter_mut().zip(cited) {
        if let ir::Block::Text(node) = block
            && !citations.is_empty()
        {
            node.citations = Some(citations);
        }
    }
    if let Some(text) = plan.filter(|text| !text.is_empty()) {
        let first = content.iter().position(|block| matches!(block, ir::Block::ToolCall(_)));
        let at = cx.member(Paths::ROOT, "message");
        let at = cx.member(at, "tool_plan");
        let plan = ir::ReasoningBlock { text: Some(text), bare: Some(true), at, ..Default::default() };
        content.insert(first.unwrap_or(content.len()), ir::Block::Reasoning(plan));
    }
    Ok(Response { ir, cx })
}

/// Which parts of the content are text.
fn texts(message: &wire::AssistantMessageResponse<'_>) -> Vec<bool> {
    let parts = message.content.as_ref();
    parts.into_iter().flatten().map(|part| matches!(part, wire::AssistantContent::Text(_))).collect()
}

/// The text that a citation supports, if it is one and names a source.
fn text_of(citation: &wire::Citation<'_>, texts: &[bool]) -> Option<usize> {
    let of_text = matches!(citation.r#type.as_ref(), None | Some(wire::CitationType::TextContent));
    let sources = citation.sources.as_ref().is_some_and(|sources| !sources.is_empty());
    let index = match &citation.content_index {
        Field::Value(index) => usize::try_from(index.as_u64()?).ok()?,
        // The first text is what is meant where none is named.
        _ => texts.iter().position(|is_text| *is_text)?,
    };
    (of_text && sources && texts.get(index) == Some(&true)).then_some(index)
}

/// One citation for each source of a citation.
fn each_source<'a>(citation: wire::Citation<'a>, cx: &mut ReadCx, at: At) -> Vec<ir::Citation<'a>> {
    let mut rest = wire::Citation { unknown: citation.unknown, ..Default::default() };
    (rest.start, rest.end) = (citation.start.clone(), citation.end.clone());
    let sources = citation.sources.value().unwrap_or_default();
    let mut all: Vec<ir::Citation<'a>> = sources.iter().map(cited).collect();
    let said: Vec<_> = sources.into_iter().filter_map(leftover).collect();
    if !said.is_empty() {
        rest.sources = Field::Value(said);
    }
    if let Some(first) = all.first_mut() {
        let mut native = Native::default();
        wire::read_citation(rest, first, &mut native, cx, at);
        first.native.append(native);
    }
    for one in &mut all {
        (one.text_start, one.text_end) = (citation.start.clone().value(), citation.end.clone().value());
        one.at = at;
    }
    all
}

/// What no citation takes of a source, if there is anything.
fn leftover(mut source: wire::Source<'_>) -> Option<wire::Source<'_>> {
    let (id, document, unknown) = match &mut source {
        wire::Source::Document(source) => (&mut source.id, &mut source.document, &source.unknown),
        wire::Source::Tool(source) => (&mut source.id, &mut source.tool_output, &source.unknown),
        wire::Source::Other(_) => return Some(source),
    };
    let mut more = !unknown.is_empty();
    let members = document.as_ref().and_then(|document| document.to_value().ok());
    if let Some(Value::Object(mut members)) = members {
        // Elsewhere an address is all the name that there is.
        let url = takes(&mut members, &["url"]);
        let named = members
            .get("id")
            .and_then(Value::as_str)
            .is_some_and(|own| id.as_ref().is_some_and(|id| *id == *own));
        if named {
            members.remove("id");
        }
        if !url {
            *id = Field::Absent;
        }
        takes(&mut members, &["title"]);
        takes(&mut members, &text::BODIES);
        more |= url || !members.is_empty();
        *document = match members.is_empty() {
            true => Field::Absent,
            false => Field::Value(text::json(&Value::Object(members))),
        };
    } else {
        more |= document.as_ref().is_some();
    }
    more.then_some(source)
}

/// Removes the first of the members that is a text; whether there was one.
fn takes(members: &mut Map<String, Value>, names: &[&str]) -> bool {
    let is_said =
        |name: &&&str| members.get(**name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let Some(name) = names.iter().find(is_said).copied() else { return false };
    members.shift_remove(name).is_some()
}

/// Takes what is billed for what was consumed, where nothing else is counted; what differs from the counts stays.
pub(crate) fn count(usage: &mut wire::Usage<'_>) {
    let Field::Value(billed) = &mut usage.billed_units else { return };
    let (input, output) = (billed.input_tokens.clone(), billed.output_tokens.clone());
    let tokens = match &usage.tokens {
        Field::Value(tokens) => tokens.clone(),
        _ => wire::UsageTokens { input_tokens: input, output_tokens: output, ..Default::default() },
    };
    for (billed, counted) in
        [(&mut billed.input_tokens, &tokens.input_tokens), (&mut billed.output_tokens, &tokens.output_tokens)]
    {
        if billed == counted {
            *billed = Field::Absent;
        }
    }
    usage.tokens = Field::Value(tokens);
    if *billed == wire::UsageBilledUnits::default() {
        usage.billed_units = Field::Absent;
    }
}

pub(super) fn write_response(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    if shape.home() {
        return wire::response_from_ir(response, &mut shape.report.cx).to_json_sized(expected);
    }
    fit_calls(response, shape);
    take_ending(response, shape);
    let citations = take_citations(response, shape);
    let mut document = wire::response_from_ir(response, &mut shape.report.cx);
    if document.message.as_ref().is_none() {
        document.message = Field::Value(Box::default());
    }
    if let Field::Value(message) = &mut document.message {
        message.role = Field::Value(Text::plain("assistant"));
        if !citations.is_empty() {
            message.citations = Field::Value(citations);
        }
    }
    if document.usage.as_ref().is_none() {
        document.usage = Field::Value(Box::default());
    }
    if let Field::Value(usage) = &mut document.usage {
        bill(usage);
    }
    document.to_json_sized(expected)
}

/// Makes calls of functions out of calls with free text.
fn fit_calls(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    for block in response.candidates.iter_mut().flatten().flat_map(|one| one.content.iter_mut().flatten()) {
        let ir::Block::ToolCall(node) = block else { continue };
        if node.kind.take() == Some(ir::ToolKind::Custom)
            && let Some(said) = node.text.take()
        {
            let mut input = Map::new();
            input.insert(FREE_TEXT.to_owned(), Value::String(said.decode().into_owned()));
            node.input = Some(text::json(&Value::Object(input)));
            let reason = "the free text of the call is its one argument";
            shape.report.node(EffectKind::Adapted, node.at, reason);
        }
    }
}

/// Reports what is said of the ending beside the reason.
fn take_ending(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    let Some(candidate) = response.candidates.iter_mut().flatten().next() else { return };
    let stop = &mut candidate.stop;
    for (said, path) in [
        (&mut stop.sequence, "stop.sequence"),
        (&mut stop.category, "stop.category"),
        (&mut stop.explanation, "stop.explanation"),
    ] {
        if said.take().is_some() {
            let reason = "Cohere gives one word for why an answer ended";
            shape.report.member(EffectKind::Dropped, candidate.at, "Candidate", path, reason);
        }
    }
}

/// Says as what is billed what is counted: what a provider bills is not said, and nothing is nearer.
pub(crate) fn bill(usage: &mut wire::Usage<'_>) {
    let mut tokens = std::mem::take(&mut usage.tokens).value().unwrap_or_default();
    for count in [&mut tokens.input_tokens, &mut tokens.output_tokens] {
        if count.as_ref().is_none() {
            *count = Field::Value(Num::from(0));
        }
    }
    usage.billed_units = Field::Value(wire::UsageBilledUnits {
        input_tokens: tokens.input_tokens.clone(),
        output_tokens: tokens.output_tokens.clone(),
        ..Default::default()
    });
    usage.tokens = Field::Value(tokens);
}

/// Takes the citations from the texts: they stand beside the content, with the words that they support.
fn take_citations(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<wire::Citation<'static>> {
    let mut taken = Vec::new();
    let blocks = response.candidates.iter_mut().flatten().next().and_then(|one| one.content.as_mut());
    let mut index = 0_u64;
    for block in blocks.into_iter().flatten() {
        let ir::Block::Text(node) = block else {
            index += u64::from(matches!(block, ir::Block::Reasoning(_)));
            continue;
        };
        let said = node.text.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
        for citation in node.citations.take().unwrap_or_default() {
            let (one, exact) = beside(&citation, &said, index);
            let place = citation.start.is_some() || citation.end.is_some() || citation.file_id.is_some();
            let numbered = citation.search_result_index.is_some() || citation.encrypted_index.is_some();
            if place || numbered || !exact {
                let reason = "Cohere's citations say what is cited, and not where in it";
                shape.report.node(EffectKind::Dropped, citation.at, reason);
            }
            shape.report.cx.leftovers(&citation.native);
            taken.push(one);
        }
        index += 1;
    }
    taken
}

/// A citation with the words that it supports; whether it names them, if it names any.
fn beside(citation: &ir::Citation<'_>, said: &str, index: u64) -> (wire::Citation<'static>, bool) {
    let length = said.chars().count() as u64;
    let at = |place: &Option<Num<'_>>| place.as_ref().and_then(Num::as_u64);
    let named = at(&citation.text_start).zip(at(&citation.text_end));
    let fits = named.filter(|(start, end)| start <= end && *end <= length);
    let exact = fits.is_some() || (citation.text_start.is_none() && citation.text_end.is_none());
    let (start, end) = fits.unwrap_or((0, length));
    let skip = usize::try_from(start).unwrap_or(usize::MAX);
    let words = said.chars().skip(skip).take(usize::try_from(end - start).unwrap_or(usize::MAX));
    let citation = wire::Citation {
        start: Field::Value(Num::from(start)),
        end: Field::Value(Num::from(end)),
        text: Field::Value(Text::plain(words.collect::<String>())),
        sources: Field::Value(vec![source(citation)]),
        content_index: Field::Value(Num::from(index)),
        r#type: Field::Value(wire::CitationType::TextContent),
        ..Default::default()
    };
    (citation, exact)
}

/// What is cited, as far as it says what it is: its members are the caller's own.
pub(crate) fn cited(source: &wire::Source<'_>) -> ir::Citation<'static> {
    let (id, document) = match source {
        wire::Source::Document(source) => (source.id.as_ref(), source.document.as_ref()),
        wire::Source::Tool(source) => (source.id.as_ref(), source.tool_output.as_ref()),
        wire::Source::Other(_) => (None, None),
    };
    let members = match document.and_then(|document| document.to_value().ok()) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let member = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| members.get(*name)?.as_str());
        found.find(|text| !text.is_empty()).map(|text| Text::plain(text.to_owned()))
    };
    let url = member(&["url"]);
    let kind = if url.is_some() { ir::CitationKind::Url } else { ir::CitationKind::SearchResult };
    ir::Citation {
        kind: Some(kind),
        source: id.map(|id| Text::plain(id.decode().into_owned())),
        title: member(&["title"]),
        cited_text: member(&text::BODIES),
        url,
        ..ir::Citation::default()
    }
}

/// The source of a citation, under the id that it has or by its place in the request.
pub(crate) fn source(citation: &ir::Citation<'_>) -> wire::Source<'static> {
    let named = citation.source.as_ref().or(citation.url.as_ref()).map(|id| id.decode().into_owned());
    let number = [&citation.document_index, &citation.search_result_index].into_iter().flatten().next();
    let id = named.unwrap_or_else(|| format!("doc:{}", number.and_then(Num::as_u64).unwrap_or(0)));
    let mut members = Map::new();
    for (name, text) in [("title", &citation.title), ("url", &citation.url), ("text", &citation.cited_text)] {
        if let Some(text) = text {
            members.insert(name.to_owned(), Value::String(text.decode().into_owned()));
        }
    }
    wire::Source::Document(wire::ChatDocumentSource {
        r#type: Field::Value(Text::plain("document")),
        id: Field::Value(Text::plain(id)),
        document: Field::Value(Json::from_value(&Value::Object(members))),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<'a, T: busbar_protocols::Wire<'a>>(json: &'a str) -> T {
        T::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_strict_tool_requires_something() {
        assert!(can_be_strict(&json!({ "type": "object", "properties": {} })));
        assert!(can_be_strict(&json!({ "properties": { "x": {} }, "required": ["x"] })));
        assert!(!can_be_strict(&json!({ "properties": { "x": {} }, "required": [] })));
    }

    #[test]
    fn members_are_counted_to_a_bounded_depth() {
        let inner = json!({ "properties": { "y": {}, "z": {} } });
        assert_eq!(members(&json!({ "properties": { "x": inner } }), 0), 3);
        let deep = (0..MAX_DEPTH).fold(json!({}), |schema, _| json!({ "items": schema }));
        assert!(members(&deep, 0) > MAX_STRICT_FIELDS);
    }

    #[test]
    fn a_citation_stands_at_a_text_that_there_is() {
        let texts = [false, true];
        let of = |rest: &str| {
            let citation = format!(r#"{{"sources":[{{"type":"document","id":"d"}}]{rest}}}"#);
            text_of(&read::<wire::Citation<'_>>(&citation), &texts)
        };
        assert_eq!(of(""), Some(1), "the first text where none is named");
        assert_eq!(of(r#","content_index":1,"type":"TEXT_CONTENT""#), Some(1));
        assert_eq!(of(r#","content_index":0"#), None, "reasoning");
        assert_eq!(of(r#","content_index":7"#), None);
        assert_eq!(of(r#","type":"PLAN""#), None);
        assert_eq!(text_of(&read::<wire::Citation<'_>>("{}"), &texts), None, "no source");
    }

    #[test]
    fn what_no_citation_takes_of_a_source_is_left() {
        let left = |source: &str| leftover(read::<wire::Source<'_>>(source)).map(|rest| rest.to_json());
        assert_eq!(
            left(r#"{"type":"document","id":"d","document":{"id":"d","title":"T","snippet":"x"}}"#),
            None
        );
        let rest = left(r#"{"type":"document","id":"d","document":{"text":"x","year":1999}}"#).unwrap();
        let rest: Value = serde_json::from_slice(&rest).unwrap();
        assert_eq!(rest, json!({ "type": "document", "document": { "year": 1999 } }));
        let rest = left(r#"{"type":"tool","id":"t:0","tool_output":{"url":"https://e.x/"}}"#).unwrap();
        let rest: Value = serde_json::from_slice(&rest).unwrap();
        assert_eq!(rest, json!({ "type": "tool", "id": "t:0" }), "an address is the name elsewhere");
    }

    #[test]
    fn the_words_of_a_citation_are_counted_in_characters() {
        let citation = ir::Citation {
            text_start: Some(Num::from(6)),
            text_end: Some(Num::from(8)),
            ..ir::Citation::default()
        };
        let (one, exact) = beside(&citation, "Naïve 北京.", 0);
        assert_eq!((one.text.value().unwrap(), exact), (Text::plain("北京"), true));
        let (one, exact) = beside(&citation, "Naïve", 0);
        assert_eq!((one.text.value().unwrap(), exact), (Text::plain("Naïve"), false));
    }

    #[test]
    fn what_is_billed_counts_where_nothing_else_does() {
        let mut usage: wire::Usage<'_> = read(r#"{"billed_units":{"input_tokens":3,"output_tokens":2}}"#);
        count(&mut usage);
        assert_eq!(usage.to_json(), br#"{"tokens":{"input_tokens":3,"output_tokens":2}}"#);
        let mut usage: wire::Usage<'_> = read(
            r#"{"billed_units":{"input_tokens":3,"output_tokens":2},"tokens":{"input_tokens":9,"output_tokens":2}}"#,
        );
        count(&mut usage);
        let billed = usage.billed_units.value().unwrap();
        assert_eq!(billed.to_json(), br#"{"input_tokens":3}"#);
    }

    #[test]
    fn an_answer_that_failed_is_none() {
        let body = br#"{"id":"c","finish_reason":"TIMEOUT","message":{"role":"assistant"}}"#;
        assert!(read_response(body, false).is_err());
        assert!(read_response(body, true).is_ok(), "at home it is the client's as it is");
        assert!(read_response(br#"{"id":"c","message":null}"#, false).is_err());
    }
}
