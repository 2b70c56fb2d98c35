//! The generated types and maps, addressed by protocol.

use busbar_protocols::prelude::Wire;
use busbar_protocols::{Protocol, WireError};

use crate::docs::Root;

macro_rules! by_protocol {
    ($protocol:expr, $module:ident => $body:expr) => {
        match $protocol {
            Protocol::OpenaiChat => {
                use busbar_protocols::openai_chat as $module;
                $body
            }
            Protocol::OpenaiResponses => {
                use busbar_protocols::openai_responses as $module;
                $body
            }
            Protocol::Anthropic => {
                use busbar_protocols::anthropic as $module;
                $body
            }
            Protocol::Gemini => {
                use busbar_protocols::gemini as $module;
                $body
            }
            Protocol::Bedrock => {
                use busbar_protocols::bedrock as $module;
                $body
            }
            Protocol::Cohere => {
                use busbar_protocols::cohere as $module;
                $body
            }
        }
    };
}

/// `parse`, then `write`.
pub fn through_types(protocol: Protocol, root: Root, body: &[u8]) -> Result<Vec<u8>, WireError> {
    by_protocol!(protocol, module => match root {
        Root::Request => module::root::Request::parse(body).map(|doc| doc.to_json()),
        Root::Response => module::root::Response::parse(body).map(|doc| doc.to_json()),
        Root::Stream => module::root::StreamEvent::parse(body).map(|doc| doc.to_json()),
        Root::Error => module::root::Error::parse(body).map(|doc| doc.to_json()),
    })
}
