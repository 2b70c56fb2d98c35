//! What only the words of `bedrock` can say.

use busbar_protocols::bedrock as wire;
use busbar_protocols::prelude::{Checked, ReadCx, Wire as _, transforms};
use busbar_protocols::{EffectKind, Field, Json, Num, Text, WireError, ir};
use serde_json::{Map, Value, json};

use super::super::shape::Shape;
use super::super::text;
use super::{Malformed, Request, Response, malformed, no_answer};

/// The field of a model's own answer that names the stop sequence, as a JSON pointer.
const STOP_SEQUENCE: &str = "/stop_sequence";
/// Names under which models are asked to reason, the one that is written first.
const THINKING: [&str; 2] = ["thinking", "reasoning_config"];

pub(super) fn read_request(body: Checked<'_>, home: bool) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Request::from_checked(body)?;
    let fields = if home { None } else { take_fields(&mut document.additional_model_request_fields) };
    if !home && asks_for_stop_alone(&document) {
        // The answer says it unasked.
        document.additional_model_response_field_paths = Field::Absent;
    }
    let thinks = home && asks_to_think(&document.additional_model_request_fields);
    let mut ir = wire::request_to_ir(document, &mut cx);
    if thinks {
        // The fields stay as they came; what decides about a tool loop only has to know.
        ir.reasoning.mode.get_or_insert(ir::ReasoningMode::On);
    }
    if let Some(fields) = fields {
        if ir.reasoning == ir::ReasoningAsk::default() || fields.reasoning.mode.is_some() {
            let effort = ir.reasoning.effort.take();
            ir.reasoning = fields.reasoning;
            ir.reasoning.effort = ir.reasoning.effort.take().or(effort);
        }
        ir.sampling.top_k = fields.top_k;
    }
    if !home {
        each_source(&mut ir, &mut |source| {
            if source.kind == Some(ir::SourceKind::File) {
                source.url = source.file_id.take();
                source.kind = Some(ir::SourceKind::Url);
            }
        });
    }
    Ok(Request { ir, cx, legacy_calls: false, finder: None })
}

/// What the fields of one model say that all protocols know.
#[derive(Default)]
struct ModelFields {
    reasoning: ir::ReasoningAsk<'static>,
    top_k: Option<Num<'static>>,
}

/// Takes what is known out of the fields of one model; what is left is reported by its map.
fn take_fields(fields: &mut Field<Json<'_>>) -> Option<ModelFields> {
    let mut members = match fields.as_ref()?.to_value().ok()? {
        Value::Object(members) => members,
        _ => return None,
    };
    let mut taken = ModelFields::default();
    for name in THINKING {
        if let Some(ask) = members.get(name).and_then(Value::as_object).and_then(reasoning_of) {
            members.remove(name);
            taken.reasoning = ask;
        }
    }
    if let Some(config) = members.get_mut("output_config").and_then(Value::as_object_mut)
        && let Some(Value::String(word)) = config.get("effort")
    {
        taken.reasoning.effort = transforms::effort_word::read(Text::plain(word.clone())).ok();
        config.remove("effort");
        if config.is_empty() {
            members.remove("output_config");
        }
    }
    if let Some(Value::Number(count)) = members.get("top_k") {
        taken.top_k = Num::parse(count.to_string().as_bytes()).ok().map(Num::into_owned);
        if taken.top_k.is_some() {
            members.remove("top_k");
        }
    }
    *fields = match members.is_empty() {
        true => Field::Absent,
        false => Field::Value(text::json(&Value::Object(members))),
    };
    Some(taken)
}

/// Whether the fields of one model ask for reasoning up to a budget.
fn asks_to_think(fields: &Field<Json<'_>>) -> bool {
    let Some(Ok(Value::Object(members))) = fields.as_ref().map(Json::to_value) else { return false };
    let asks = THINKING.iter().filter_map(|name| members.get(*name)?.as_object());
    asks.filter_map(reasoning_of).any(|ask| ask.mode == Some(ir::ReasoningMode::On))
}

/// Takes the wish to reason out of the fields of one model, and leaves the rest.
fn take_thinking(fields: &mut Field<Json<'_>>) {
    let Some(Ok(Value::Object(mut members))) = fields.as_ref().map(Json::to_value) else { return };
    members.retain(|name, _| !THINKING.contains(&name.as_str()));
    *fields = match members.is_empty() {
        true => Field::Absent,
        false => Field::Value(text::json(&Value::Object(members))),
    };
}

/// A wish to reason in the words of the models' maker; none when it says more than is known.
fn reasoning_of(ask: &Map<String, Value>) -> Option<ir::ReasoningAsk<'static>> {
    let mut reasoning = ir::ReasoningAsk::default();
    for (name, value) in ask {
        match (name.as_str(), value) {
            ("type", Value::String(word)) => {
                reasoning.mode = Some(match word.as_str() {
                    "enabled" => ir::ReasoningMode::On,
                    "disabled" => ir::ReasoningMode::Off,
                    "adaptive" => ir::ReasoningMode::Adaptive,
                    _ => return None,
                });
            }
            ("budget_tokens", Value::Number(count)) => {
                reasoning.budget_tokens = count.as_u64().map(Num::from)
            }
            ("display", Value::String(word)) => reasoning.display = Some(Text::plain(word.clone())),
            _ => return None,
        }
    }
    Some(reasoning)
}

fn asks_for_stop_alone(document: &wire::root::Request<'_>) -> bool {
    let paths = document.additional_model_response_field_paths.as_ref();
    paths.is_some_and(|paths| !paths.is_empty() && paths.iter().all(|path| *path == *STOP_SEQUENCE))
}

pub(super) fn write_request(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    if shape.home() {
        let thinks = request.reasoning.mode.take() == Some(ir::ReasoningMode::On);
        let mut document = wire::request_from_ir(request, &mut shape.report.cx);
        if !thinks && asks_to_think(&document.additional_model_request_fields) {
            take_thinking(&mut document.additional_model_request_fields);
        }
        return document.to_json_sized(expected);
    }
    let mut fields = Map::new();
    let ask = &mut request.reasoning;
    if let Some(mode) = ask.mode.take() {
        let mut thinking = Map::new();
        let word = match mode {
            ir::ReasoningMode::Off => "disabled",
            ir::ReasoningMode::Adaptive => "adaptive",
            _ => "enabled",
        };
        thinking.insert("type".to_owned(), json!(word));
        if let Some(budget) = ask.budget_tokens.take().as_ref().and_then(Num::as_u64) {
            thinking.insert("budget_tokens".to_owned(), json!(budget));
        }
        if let Some(display) = ask.display.take() {
            thinking.insert("display".to_owned(), json!(display.decode()));
        }
        fields.insert(THINKING[0].to_owned(), Value::Object(thinking));
    }
    if let Some(top_k) = request.sampling.top_k.take().as_ref().and_then(Num::as_u64) {
        fields.insert("top_k".to_owned(), json!(top_k));
    }
    each_source(request, &mut |source| {
        if source.kind == Some(ir::SourceKind::Url) {
            source.file_id = source.url.take();
            source.kind = Some(ir::SourceKind::File);
        }
    });
    let stops = request.output.stop.as_ref().is_some_and(|stops| !stops.is_empty());
    let mut document = wire::request_from_ir(request, &mut shape.report.cx);
    if !fields.is_empty() {
        document.additional_model_request_fields = Field::Value(text::json(&Value::Object(fields)));
    }
    if stops {
        // A path that the model's answer lacks is passed over.
        document.additional_model_response_field_paths = Field::Value(vec![Text::plain(STOP_SEQUENCE)]);
    }
    document.to_json_sized(expected)
}

/// Calls `f` with where each picture, document and film comes from.
///
/// The one place that this protocol knows is a bucket: an address of the provider's own, and to others an
/// address among those that they may take or not.
fn each_source<'a>(request: &mut ir::Request<'a>, f: &mut dyn FnMut(&mut ir::Source<'a>)) {
    super::super::passes::each_block(request, &mut |block| match block {
        ir::Block::Image(node) => f(&mut node.source),
        ir::Block::Document(node) => f(&mut node.source),
        ir::Block::Video(node) => f(&mut node.source),
        ir::Block::Audio(node) => f(&mut node.source),
        _ => {}
    });
}

pub(super) fn read_response(body: &[u8]) -> Result<Response<'_>, Malformed> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Response::parse(body).map_err(|error| malformed(&error))?;
    if document.output.as_ref().is_none() {
        return Err(no_answer("output"));
    }
    let stop = take_stop(&mut document.additional_model_response_fields);
    let writes = match &mut document.usage {
        Field::Value(usage) => take_writes(usage),
        _ => [None, None],
    };
    let mut ir = wire::response_to_ir(document, &mut cx);
    if stop.is_some()
        && let Some(candidate) = ir.candidates.iter_mut().flatten().next()
    {
        candidate.stop.sequence = stop;
    }
    if let Some(usage) = &mut ir.usage {
        [usage.cache_write_5m, usage.cache_write_1h] = writes;
    }
    Ok(Response { ir, cx })
}

/// Takes the tokens written to the cache, for five minutes and for an hour; what says more stays.
fn take_writes(usage: &mut wire::TokenUsage<'_>) -> [Option<Num<'static>>; 2] {
    let mut writes: [Option<u64>; 2] = [None, None];
    let Field::Value(details) = &mut usage.cache_details else { return [None, None] };
    details.retain(|detail| {
        let place = match detail.ttl.as_ref() {
            Some(wire::CacheTTL::V5m) => 0,
            Some(wire::CacheTTL::V1h) => 1,
            _ => return true,
        };
        let Some(count) = detail.input_tokens.as_ref().and_then(Num::as_u64) else { return true };
        writes[place] = Some(writes[place].unwrap_or(0).saturating_add(count));
        !detail.unknown.is_empty()
    });
    if details.is_empty() {
        usage.cache_details = Field::Absent;
    }
    writes.map(|count| count.map(Num::from))
}

/// Takes the stop sequence out of the fields of one model's own answer.
fn take_stop(fields: &mut Field<Json<'_>>) -> Option<Text<'static>> {
    let Value::Object(mut members) = fields.as_ref()?.to_value().ok()? else { return None };
    let stop = match members.remove(STOP_SEQUENCE.trim_start_matches('/'))? {
        Value::String(stop) => Some(Text::plain(stop)),
        _ => None,
    };
    *fields = match members.is_empty() {
        true => Field::Absent,
        false => Field::Value(text::json(&Value::Object(members))),
    };
    stop
}

pub(super) fn write_response(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    if shape.home() {
        return wire::response_from_ir(response, &mut shape.report.cx).to_json_sized(shape.expected);
    }
    let stop = take_ending(response, shape);
    let mut writes = Vec::new();
    if let Some(usage) = &mut response.usage {
        for (count, ttl) in [
            (usage.cache_write_5m.take(), wire::CacheTTL::V5m),
            (usage.cache_write_1h.take(), wire::CacheTTL::V1h),
        ] {
            if let Some(count) = count.filter(|count| count.as_u64() != Some(0)) {
                let (input_tokens, ttl) = (Field::Value(count), Field::Value(ttl));
                writes.push(wire::CacheDetail { input_tokens, ttl, ..Default::default() });
            }
        }
    }
    let expected = shape.expected;
    let mut document = wire::response_from_ir(response, &mut shape.report.cx);
    if let Some(stop) = stop {
        document.additional_model_response_fields =
            Field::Value(text::json(&json!({ "stop_sequence": stop })));
    }
    if document.output.is_absent() {
        let message = wire::Message {
            role: Field::Value(wire::ConversationRole::Assistant),
            content: Field::Value(Vec::new()),
            ..Default::default()
        };
        document.output = Field::Value(wire::ConverseOutputForm::Message(message).into());
    }
    if document.usage.as_ref().is_none() {
        document.usage = Field::Value(Default::default());
    }
    if let Field::Value(usage) = &mut document.usage {
        if !writes.is_empty() {
            usage.cache_details = Field::Value(writes);
        }
        for count in [&mut usage.input_tokens, &mut usage.output_tokens, &mut usage.total_tokens] {
            if count.as_ref().is_none() {
                *count = Field::Value(Num::from(0));
            }
        }
    }
    // The latency is one that Bedrock measures inside; from here it cannot be told.
    document.metrics =
        Field::Value(wire::ConverseMetrics { latency_ms: Field::Value(Num::from(0)), ..Default::default() });
    document.to_json_sized(expected)
}

/// Takes how the answer ended as far as the protocol has a place beside the reason; the rest is reported.
fn take_ending(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) -> Option<String> {
    let candidate = response.candidates.iter_mut().flatten().next()?;
    for (said, path) in [
        (&mut candidate.stop.category, "stop.category"),
        (&mut candidate.stop.explanation, "stop.explanation"),
    ] {
        if said.take().is_some() {
            shape.report.member(
                EffectKind::Dropped,
                candidate.at,
                "Candidate",
                path,
                "Bedrock says that content was filtered and not why",
            );
        }
    }
    candidate.stop.sequence.take().map(|stop| stop.decode().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> (Option<ModelFields>, Option<String>) {
        let mut field = Field::Value(Json::parse(json).unwrap());
        let taken = take_fields(&mut field);
        (taken, field.as_ref().map(|rest| rest.as_str().to_owned()))
    }

    #[test]
    fn at_home_a_wish_to_reason_is_seen_and_only_taken_out_whole() {
        let after = |json: &str| {
            let mut field = Field::Value(Json::parse(json).unwrap());
            let asks = asks_to_think(&field);
            take_thinking(&mut field);
            (asks, field.as_ref().map(|rest| rest.as_str().to_owned()))
        };
        let enabled = r#"{"type":"enabled","budget_tokens":2048}"#;
        assert_eq!(after(&format!(r#"{{"thinking":{enabled}}}"#)), (true, None));
        let rest = r#"{"top_k":5}"#.to_owned();
        assert_eq!(
            after(&format!(r#"{{"reasoning_config":{enabled},"top_k":5}}"#)),
            (true, Some(rest.clone()))
        );
        assert_eq!(after(r#"{"thinking":{"type":"disabled"},"top_k":5}"#), (false, Some(rest.clone())));
        assert_eq!(after(&rest), (false, Some(rest)));
    }

    #[test]
    fn what_is_known_of_a_models_fields_is_taken_and_the_rest_stays() {
        let (taken, rest) = fields(
            r#"{"thinking":{"type":"enabled","budget_tokens":2048},"top_k":5,"anthropic_beta":["x"]}"#,
        );
        let taken = taken.unwrap();
        assert_eq!(taken.reasoning.mode, Some(ir::ReasoningMode::On));
        assert_eq!(taken.reasoning.budget_tokens.unwrap().as_u64(), Some(2048));
        assert_eq!(taken.top_k.unwrap().as_u64(), Some(5));
        assert_eq!(rest.as_deref(), Some(r#"{"anthropic_beta":["x"]}"#));
        let (taken, rest) = fields(r#"{"reasoning_config":{"type":"disabled"}}"#);
        assert_eq!((taken.unwrap().reasoning.mode, rest), (Some(ir::ReasoningMode::Off), None));
        let (taken, rest) = fields(r#"{"output_config":{"effort":"low"}}"#);
        assert_eq!((taken.unwrap().reasoning.effort, rest), (Some(ir::Effort::Low), None));
    }

    #[test]
    fn an_ask_in_unknown_words_is_left_where_it_is() {
        for json in [
            r#"{"thinking":{"type":"enabled","surprise":1}}"#,
            r#"{"thinking":{"type":"tomorrow"}}"#,
            r#"{"thinking":"on"}"#,
        ] {
            let (taken, rest) = fields(json);
            assert_eq!(taken.unwrap().reasoning, ir::ReasoningAsk::default(), "{json}");
            assert_eq!(rest.as_deref(), Some(json));
        }
        assert!(fields("[1]").0.is_none());
    }

    #[test]
    fn the_stop_sequence_is_found_among_a_models_fields() {
        let mut field = Field::Value(Json::parse(r#"{"stop_sequence":"END","x":1}"#).unwrap());
        assert_eq!(take_stop(&mut field).unwrap(), "END");
        assert_eq!(field.as_ref().unwrap().as_str(), r#"{"x":1}"#);
        let mut field = Field::Value(Json::parse(r#"{"stop_sequence":null}"#).unwrap());
        assert!(take_stop(&mut field).is_none());
        assert!(field.is_absent());
    }
}
