//! `parse` and `write` lose nothing, for documents of every root type of every protocol.

use std::path::Path;

use busbar_codegen::schema::Schema;
use busbar_conformance::canon::canonical;
use busbar_conformance::codecs::through_types;
use busbar_conformance::docs::{Extras, Root, document};
use busbar_protocols::Protocol;

const CASES: u64 = 400;

fn schema(protocol: Protocol) -> Schema {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    Schema::load(&root.join(protocol.name()).join("schema.json")).unwrap()
}

#[test]
fn types_lose_nothing() {
    let mut leaves = 0;
    for protocol in Protocol::ALL {
        let schema = schema(protocol);
        for root in Root::ALL {
            for seed in 0..CASES {
                let extras = Extras { unknown: seed % 2 == 0, nulls: seed % 3 == 0 };
                let before = document(&schema, root, seed, extras);
                let after = through_types(protocol, root, before.as_bytes())
                    .unwrap_or_else(|e| panic!("{protocol} {root:?} seed {seed}: {e}\n{before}"));
                let after = String::from_utf8(after).unwrap();
                assert_eq!(
                    canonical(&before).unwrap(),
                    canonical(&after).unwrap(),
                    "{protocol} {root:?} seed {seed}"
                );
                leaves += before.matches(':').count();
            }
        }
    }
    assert!(leaves > 50_000, "the documents are too thin to prove anything: {leaves} members");
}

#[test]
fn wrong_types_are_named_by_path() {
    let cases: [(Protocol, &str, &str, &str); 6] = [
        (
            Protocol::OpenaiChat,
            r#"{"messages":[{"role":"user","content":5}]}"#,
            "messages[0].content",
            "a string",
        ),
        (Protocol::OpenaiChat, r#"{"messages":{}}"#, "messages", "an array"),
        (Protocol::OpenaiChat, r#"{"temperature":"hot"}"#, "temperature", "a number"),
        (
            Protocol::Anthropic,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":[]}]}]}"#,
            "messages[0].content[0].text",
            "a string",
        ),
        (Protocol::Anthropic, r#"{"messages":[7]}"#, "messages[0]", "an object"),
        (
            Protocol::Bedrock,
            r#"{"inferenceConfig":{"maxTokens":true}}"#,
            "inferenceConfig.maxTokens",
            "a number",
        ),
    ];
    for (protocol, body, path, expected) in cases {
        let error = through_types(protocol, Root::Request, body.as_bytes()).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
}
