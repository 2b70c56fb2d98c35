//! What only the words of `anthropic` can say.

use busbar_protocols::anthropic as wire;
use busbar_protocols::prelude::{Checked, ReadCx, Wire as _};
use busbar_protocols::{Field, Num, WireError, ir};

use super::super::shape::Shape;
use super::{Malformed, Request, Response, malformed, no_answer};

pub(super) fn read_request(body: Checked<'_>) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let document = wire::root::Request::from_checked(body)?;
    let ir = wire::request_to_ir(document, &mut cx);
    Ok(Request { ir, cx, legacy_calls: false })
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
