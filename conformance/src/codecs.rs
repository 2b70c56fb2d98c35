//! The generated types and maps, addressed by protocol.

use busbar_protocols::prelude::{Paths, ReadCx, Wire, WriteCx};
use busbar_protocols::{Ledger, Protocol, WireError};

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

/// A document that went into the IR and out again.
#[derive(Debug)]
pub struct Outcome {
    /// What was written.
    pub body: Vec<u8>,
    /// What the write reported.
    pub ledger: Ledger,
}

/// `from_ir(to_ir(document))`, towards the same protocol. Stream events have no map of their own.
pub fn through_ir(protocol: Protocol, root: Root, body: &[u8]) -> Result<Outcome, WireError> {
    let mut read = ReadCx::default();
    let (body, ledger) = by_protocol!(protocol, module => match root {
        Root::Request => {
            let node = module::request_to_ir(module::root::Request::parse(body)?, &mut read);
            let mut write = writer(protocol, &read.paths);
            (module::request_from_ir(&node, &mut write).to_json(), write.ledger)
        }
        Root::Response => {
            let node = module::response_to_ir(module::root::Response::parse(body)?, &mut read);
            let mut write = writer(protocol, &read.paths);
            (module::response_from_ir(&node, &mut write).to_json(), write.ledger)
        }
        Root::Error => {
            let node = module::error_to_ir(module::root::Error::parse(body)?, &mut read);
            let mut write = writer(protocol, &read.paths);
            (module::error_from_ir(&node, &mut write).to_json(), write.ledger)
        }
        Root::Stream => (module::root::StreamEvent::parse(body)?.to_json(), Ledger::default()),
    });
    Ok(Outcome { body, ledger })
}

fn writer(protocol: Protocol, paths: &Paths) -> WriteCx<'_> {
    WriteCx::new(protocol, protocol, paths)
}
