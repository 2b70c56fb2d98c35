//! The committed schemas hold what is known of each protocol, in their one spelling.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use busbar_codegen::import::{Extras, import, overlay::Overlay, sdk};
use busbar_codegen::leaves::leaves;
use busbar_codegen::schema::{Def, Field, PROTOCOLS, Schema, Source, Type, Union};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace").to_path_buf()
}

fn schema(protocol: &str) -> Schema {
    Schema::load(&root().join("schemas").join(protocol).join("schema.json")).unwrap()
}

fn objects(schema: &Schema) -> impl Iterator<Item = (&String, &BTreeMap<String, Field>)> {
    schema.types.iter().filter_map(|(name, def)| match def {
        Def::Object(fields) => Some((name, fields)),
        _ => None,
    })
}

fn field<'a>(schema: &'a Schema, place: &str) -> &'a Field {
    let (name, member) = place.split_once('.').unwrap();
    match schema.types.get(name) {
        Some(Def::Object(fields)) => fields.get(member).unwrap_or_else(|| panic!("no {place}")),
        other => panic!("{name} is {other:?}"),
    }
}

fn tags(schema: &Schema, name: &str) -> BTreeSet<String> {
    match schema.types.get(name) {
        Some(Def::Union(Union::Tag { variants, .. })) => variants.keys().cloned().collect(),
        Some(Def::Union(Union::Key(forms))) => forms.keys().cloned().collect(),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn every_schema_is_in_its_one_spelling() {
    for protocol in PROTOCOLS {
        let path = root().join("schemas").join(protocol).join("schema.json");
        let schema = schema(protocol);
        assert_eq!(schema.protocol, protocol);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(schema.to_text() == text, "{} is not as import writes it", path.display());
    }
}

#[test]
fn every_variant_says_its_own_tag() {
    for protocol in PROTOCOLS {
        let schema = schema(protocol);
        for (name, def) in &schema.types {
            let Def::Union(Union::Tag { field: tag, variants, .. }) = def else { continue };
            for (value, target) in variants {
                let own = field(&schema, &format!("{target}.{tag}"));
                let known = match (&own.constant, &own.ty) {
                    (Some(constant), _) => constant == value,
                    (None, Type::Ref(values)) => {
                        matches!(schema.types.get(values), Some(Def::Enum(values)) if values.contains(value))
                    }
                    (None, _) => false,
                };
                assert!(known, "{protocol}: {name} takes {value:?} to {target}, which does not say so");
            }
        }
    }
}

/// Leaf paths by root, as counted when the schemas were first imported: an importer that loses a part of a
/// document is noticed, and documents themselves lose nothing, since what they drop stays.
#[test]
fn no_root_has_fewer_leaf_paths_than_were_counted() {
    let counted = [
        ("openai_chat", [114, 80, 73, 8]),
        ("openai_responses", [421, 706, 1011, 8]),
        ("anthropic", [660, 254, 526, 4]),
        ("gemini", [262, 270, 270, 4]),
        ("bedrock", [127, 110, 63, 3]),
        ("cohere", [51, 30, 34, 2]),
    ];
    for (protocol, counts) in counted {
        let leaves = leaves(&schema(protocol));
        for (root, count) in ["request/", "response/", "stream/", "error/"].iter().zip(counts) {
            let found = leaves.iter().filter(|path| path.starts_with(root)).count();
            assert!(found >= count, "{protocol} {root}: {found} leaf paths, and there were {count}");
        }
    }
}

#[test]
fn members_that_must_be_there_are() {
    let chat = schema("openai_chat");
    assert_eq!(field(&chat, "ChatCompletionMessageFunctionToolCallFunction.arguments").ty, Type::String);
    assert_eq!(field(&chat, "FunctionDefinition.parameters").ty, Type::Json);
    assert_eq!(field(&chat, "CompletionCreateParams.model").ty, Type::String);
    assert_eq!(field(&chat, "ChatCompletionMessage.reasoning_content").source, Some(Source::Overlay));
    assert!(field(&chat, "CompletionCreateParams.temperature").nullable);

    let anthropic = schema("anthropic");
    for member in ["temperature", "top_k", "top_p"] {
        assert_eq!(field(&anthropic, &format!("MessageCreateParams.{member}")).source, Some(Source::Legacy));
    }
    assert_eq!(field(&anthropic, "Tool.input_schema").ty, Type::Json);
    assert_eq!(field(&anthropic, "ToolUseBlock.input").ty, Type::Json);
    match &anthropic.types["ToolUnion"] {
        Def::Union(Union::Tag { untagged, .. }) => assert_eq!(untagged.as_deref(), Some("Tool")),
        other => panic!("ToolUnion is {other:?}"),
    }

    let gemini = schema("gemini");
    assert_eq!(field(&gemini, "Part.thoughtSignature").ty, Type::Base64);
    assert_eq!(field(&gemini, "FunctionDeclaration.parameters").ty, Type::Json);
    assert_eq!(gemini.roots.response, gemini.roots.stream);

    let bedrock = schema("bedrock");
    let Def::Object(request) = &bedrock.types[&bedrock.roots.request] else { panic!("no request") };
    assert!(!request.contains_key("modelId"), "modelId is in the path");
    assert_eq!(field(&bedrock, "ToolUseBlock.input").ty, Type::Json);

    let responses = schema("openai_responses");
    let Def::Object(response) = &responses.types[&responses.roots.response] else { panic!("no response") };
    assert!(!response.contains_key("output_text"), "a convenience of the package is not on the wire");
    match &responses.types["ResponseInputItem"] {
        Def::Union(Union::Tag { untagged, .. }) => {
            assert_eq!(untagged.as_deref(), Some("ResponseInputItemMessage"));
        }
        other => panic!("ResponseInputItem is {other:?}"),
    }
}

#[test]
fn headers_and_client_options_are_not_members_of_a_body() {
    let alien =
        ["betas", "workspace_id", "user_profile_id", "timeout", "extra_headers", "extra_body", "extra_query"];
    for protocol in PROTOCOLS {
        let schema = schema(protocol);
        let Def::Object(request) = &schema.types[&schema.roots.request] else {
            panic!("{protocol}: no request")
        };
        for name in alien {
            assert!(!request.contains_key(name), "{protocol}: {name}");
        }
    }
}

#[test]
fn stream_events_are_complete() {
    let anthropic = tags(&schema("anthropic"), "RawMessageStreamEvent");
    let expected = [
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "error",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    ];
    assert_eq!(anthropic, expected.map(str::to_owned).into());
    assert_eq!(tags(&schema("anthropic"), "RawContentBlockDelta").len(), 6);
    assert_eq!(tags(&schema("openai_responses"), "ResponseStreamEvent").len(), 59);
    assert_eq!(tags(&schema("bedrock"), "ConverseStreamOutput").len(), 11);
    let cohere = tags(&schema("cohere"), "ChatStreamEvent");
    assert_eq!(cohere.len(), 12);
    assert!(cohere.contains("citation-start") && cohere.contains("citation-end"));
    let modes = match &schema("cohere").types["CitationOptionsMode"] {
        Def::Enum(values) => values.clone(),
        other => panic!("{other:?}"),
    };
    assert!(modes.contains(&"OFF".to_owned()));
}

#[test]
fn only_named_members_are_legacy() {
    let pins = sdk::pins(&root()).unwrap();
    for protocol in PROTOCOLS {
        let keep = pins[protocol].older.as_ref().map(|older| older.keep.clone()).unwrap_or_default();
        let schema = schema(protocol);
        let legacy: BTreeSet<String> = objects(&schema)
            .flat_map(|(name, fields)| fields.iter().map(move |(member, field)| (name, member, field)))
            .filter(|(_, _, field)| field.source == Some(Source::Legacy))
            .map(|(name, member, _)| format!("{name}.{member}"))
            .collect();
        assert_eq!(legacy, keep, "{protocol}");
    }
}

#[test]
fn every_protocol_has_pinned_packages_with_a_clean_licence() {
    let pins = sdk::pins(&root()).unwrap();
    assert_eq!(pins.keys().map(String::as_str).collect::<BTreeSet<_>>(), PROTOCOLS.into());
    for (protocol, pins) in pins {
        let older = pins.older.iter().flat_map(|older| &older.packages);
        for package in pins.packages.iter().chain(older) {
            assert!(["Apache-2.0", "MIT"].contains(&package.licence.as_str()), "{protocol}: {package:?}");
            assert!(
                package.version.chars().all(|c| c.is_ascii_digit() || c == '.'),
                "{protocol}: {package:?}"
            );
        }
    }
}

#[test]
fn import_again_changes_nothing_and_a_newer_document_loses_nothing() {
    let document = serde_json::json!({
        "x-roots": {"request": "#/$defs/Request", "response": "#/$defs/Answer", "stream": "#/$defs/Answer", "error": "#/$defs/Answer"},
        "$defs": {
            "Request": {"type": "object", "required": ["model"], "properties": {
                "model": {"type": "string"},
                "top_k": {"type": "integer"},
                "tools": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/ToolParam"}, {"$ref": "#/$defs/Search"}]}}}},
            "ToolParam": {"type": "object", "required": ["type"], "properties": {"type": {"const": "custom"}}},
            "Search": {"type": "object", "required": ["type"], "properties": {"type": {"const": "search"}}},
            "Answer": {"type": "object", "properties": {"text": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
        }
    });
    let first = import("cohere", &document, &Extras::default()).unwrap();
    let again = |document: &serde_json::Value| {
        let extras = Extras { older: None, previous: Some(first.clone()), overlay: Overlay::default() };
        import("cohere", document, &extras).unwrap()
    };
    assert_eq!(again(&document), first);

    let mut newer = document.clone();
    newer["$defs"]["Request"]["properties"].as_object_mut().unwrap().remove("top_k");
    newer["$defs"]["Answer"]["properties"]["tool"] = serde_json::json!({"$ref": "#/$defs/Tool"});
    newer["$defs"]["Tool"] = serde_json::json!({"type": "object", "properties": {"id": {"type": "string"}}});
    let newer = again(&newer);
    assert_eq!(field(&newer, "Request.top_k").source, Some(Source::Legacy));
    assert_eq!(field(&newer, "Answer.tool").ty, Type::Ref("ToolResponse".to_owned()));
    assert_eq!(field(&newer, "Tool.type").constant.as_deref(), Some("custom"));
}

#[test]
fn a_document_of_no_known_form_is_refused() {
    let error = import("cohere", &serde_json::json!({"hello": 1}), &Extras::default()).unwrap_err();
    assert!(error.to_string().starts_with("the document is none of"), "{error}");
}
