//! What only the words of `anthropic` can say.

use busbar_protocols::anthropic as wire;
use busbar_protocols::prelude::{Checked, ReadCx, Wire as _};
use busbar_protocols::{Field, Json, Num, Text, WireError, ir};

use super::super::shape::Shape;
use super::{Malformed, Request, Response, malformed, no_answer};

pub(super) fn read_request(body: Checked<'_>, home: bool) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Request::from_checked(body)?;
    if !home {
        document.tools.as_mut().into_iter().flatten().for_each(first_search);
    }
    let ir = wire::request_to_ir(document, &mut cx);
    Ok(Request { ir, cx, legacy_calls: false, finder: None })
}

/// Makes the first version of the search of the web out of a newer one, which differs in how results are filtered.
fn first_search(tool: &mut wire::ToolUnion<'_>) {
    macro_rules! first {
        ($newer:expr) => {
            wire::WebSearchTool20250305Param {
                name: std::mem::take(&mut $newer.name),
                r#type: Field::Value(Text::plain("web_search_20250305")),
                allowed_callers: std::mem::take(&mut $newer.allowed_callers),
                allowed_domains: std::mem::take(&mut $newer.allowed_domains),
                blocked_domains: std::mem::take(&mut $newer.blocked_domains),
                cache_control: std::mem::take(&mut $newer.cache_control),
                defer_loading: std::mem::take(&mut $newer.defer_loading),
                max_uses: std::mem::take(&mut $newer.max_uses),
                strict: std::mem::take(&mut $newer.strict),
                user_location: std::mem::take(&mut $newer.user_location),
                unknown: std::mem::take(&mut $newer.unknown),
            }
        };
    }
    let first = match tool {
        wire::ToolUnion::WebSearch20260209(newer) => first!(newer),
        wire::ToolUnion::WebSearch20260318(newer) => {
            let mut first = first!(newer);
            if let Field::Value(word) = std::mem::take(&mut newer.response_inclusion) {
                let word = Json::from_value(&word.text().decode().into_owned().into());
                first.unknown.push(Text::plain("response_inclusion"), word);
            }
            first
        }
        _ => return,
    };
    *tool = wire::ToolUnion::WebSearch20250305(first);
}

pub(super) fn write_request(request: &ir::Request<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    wire::request_from_ir(request, &mut shape.report.cx).to_json_sized(expected)
}

pub(super) fn read_response(body: &[u8]) -> Result<Response<'_>, Malformed> {
    let mut cx = ReadCx::default();
    let document = wire::root::Response::parse(body).map_err(|error| malformed(&error))?;
    if document.content.as_ref().is_none() {
        return Err(no_answer("content"));
    }
    let ir = wire::response_to_ir(document, &mut cx);
    Ok(Response { ir, cx })
}

pub(super) fn write_response(response: &ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let mut document = wire::response_from_ir(response, &mut shape.report.cx);
    if !shape.home() {
        // Clients read these as null or zero, and not as missing.
        null(&mut document.stop_reason);
        null(&mut document.stop_sequence);
        if document.content.is_absent() {
            document.content = Field::Value(Vec::new());
        }
        if document.usage.as_ref().is_none() {
            document.usage = Field::Value(Box::default());
        }
        if let Field::Value(usage) = &mut document.usage {
            zero(&mut usage.input_tokens);
            zero(&mut usage.output_tokens);
            zero(&mut usage.cache_creation_input_tokens);
            zero(&mut usage.cache_read_input_tokens);
            if let Field::Value(written) = &mut usage.cache_creation {
                // Clients' models have both lifetimes or none.
                zero(&mut written.ephemeral_5m_input_tokens);
                zero(&mut written.ephemeral_1h_input_tokens);
            }
        }
    }
    document.to_json_sized(shape.expected)
}

fn null<T>(field: &mut Field<T>) {
    if field.is_absent() {
        *field = Field::Null;
    }
}

fn zero(field: &mut Field<Num<'_>>) {
    if field.as_ref().is_none() {
        *field = Field::Value(Num::from(0));
    }
}
