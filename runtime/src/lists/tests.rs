use http::{HeaderMap, Method};
use serde_json::Value;

use super::*;
use crate::config::{Environment, parse, resolve};
use crate::dialect::{Recognised, recognise};

const CONFIG: &str = r#"
providers:
  anthropic: { api_key_env: KEY }
  local:     { protocol: openai_chat, base_url: "http://127.0.0.1:1/v1" }
models:
  claude:    { provider: anthropic, upstream_model: claude-sonnet-5-5 }
  old:       { provider: anthropic, upstream_model: claude-sonnet-4-5 }
  team/own:  { provider: local, context_window: 4096 }
pools:
  fast: { members: [{ model: claude }, { model: team/own }] }
"#;

fn settings(text: &str) -> Settings {
    let environment: Environment = [("KEY", "k"), ("COHERE_API_KEY", "k")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let catalog = busbar_catalog::Catalog::embedded().unwrap();
    resolve(parse(text, "f").unwrap(), "f", &catalog, &environment).unwrap()
}

/// What a caller with one more header is told at an address.
fn get(settings: &Settings, address: &str, header: (&'static str, &'static str)) -> Result<Value, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(header.0, header.1.parse().unwrap());
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    let Recognised::Call(call) = recognise(&Method::GET, path, &headers) else {
        panic!("{address} is no call")
    };
    answer(settings, &call, query).map(|body| serde_json::from_slice(&body).unwrap())
}

const OPENAI: (&str, &str) = ("authorization", "Bearer k");
const ANTHROPIC: (&str, &str) = ("x-api-key", "k");
const COHERE: (&str, &str) = ("user-agent", "cohere/7.3.1");
const GEMINI: (&str, &str) = ("x-goog-api-key", "k");

fn names(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[member].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pools_and_models_are_listed_in_every_form() {
    let settings = settings(CONFIG);
    let expected = ["fast", "claude", "old", "team/own"];
    let openai = get(&settings, "/v1/models", OPENAI).unwrap();
    assert_eq!(names(&openai["data"], "id"), expected);
    assert_eq!(openai["data"][0]["owned_by"], "busbar");
    assert_eq!(
        openai["data"][3],
        serde_json::json!({
            "id": "team/own", "object": "model", "created": 0, "owned_by": "local", "context_window": 4096,
        })
    );
    assert_eq!(openai["data"][1]["capabilities"]["documents"], true);
    let anthropic = get(&settings, "/v1/models", ANTHROPIC).unwrap();
    assert_eq!(names(&anthropic["data"], "id"), expected);
    assert_eq!((anthropic["has_more"].as_bool(), &anthropic["last_id"]), (Some(false), &"team/own".into()));
    let gemini = get(&settings, "/v1beta/models", GEMINI).unwrap();
    assert_eq!(names(&gemini["models"], "name"), expected.map(|name| format!("models/{name}")));
    let cohere = get(&settings, "/v1/models", COHERE).unwrap();
    assert_eq!(names(&cohere["models"], "name"), expected);
    let bedrock = get(&settings, "/foundation-models", OPENAI).unwrap();
    assert_eq!(names(&bedrock["modelSummaries"], "modelId"), expected);
    let profiles = get(&settings, "/inference-profiles", OPENAI).unwrap();
    assert_eq!(names(&profiles["inferenceProfileSummaries"], "inferenceProfileId"), expected);
}

#[test]
fn a_pool_promises_what_every_member_takes() {
    let settings = settings(CONFIG);
    let fast = get(&settings, "/v1beta/models/fast", GEMINI).unwrap();
    assert_eq!((&fast["inputTokenLimit"], &fast["outputTokenLimit"]), (&4096.into(), &128_000.into()));
    // One of them sees, so what holds a picture goes there.
    let fast = get(&settings, "/foundation-models/fast", OPENAI).unwrap();
    assert_eq!(fast["modelDetails"]["inputModalities"], serde_json::json!(["TEXT", "IMAGE"]));
}

#[test]
fn one_model_is_told_by_its_name() {
    let settings = settings(CONFIG);
    let claude = get(&settings, "/v1/models/claude", ANTHROPIC).unwrap();
    assert_eq!(
        (&claude["display_name"], &claude["max_tokens"]),
        (&"Claude Sonnet 5.5".into(), &128_000.into())
    );
    let can = &claude["capabilities"];
    assert_eq!(can["image_input"]["supported"], true);
    assert_eq!(can["thinking"]["types"]["disabled"]["supported"], false);
    assert_eq!(can["thinking"]["types"]["enabled"]["supported"], false);
    let old = get(&settings, "/v1/models/old", ANTHROPIC).unwrap();
    assert_eq!(old["capabilities"]["thinking"]["types"]["enabled"]["supported"], true);
    let own = get(&settings, "/v1/models/team%2Fown", ANTHROPIC).unwrap();
    assert_eq!((&own["id"], &own["capabilities"]), (&"team/own".into(), &Value::Null));
    // Not configured, but it can be named all the same.
    let there = get(&settings, "/v1/models/anthropic/claude-haiku-4-5", OPENAI).unwrap();
    assert_eq!(
        (&there["id"], &there["context_window"]),
        (&"anthropic/claude-haiku-4-5".into(), &200_000.into())
    );
    let arn = "/foundation-models/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fclaude";
    assert_eq!(get(&settings, arn, OPENAI).unwrap()["modelDetails"]["modelId"], "claude");
    for (address, header) in [("/v1/models/nobody", OPENAI), ("/v1beta/models/no/body", GEMINI)] {
        let fault = get(&settings, address, header).unwrap_err();
        assert_eq!((fault.class, fault.status), (Class::NotFound, 404), "{address}");
    }
}

#[test]
fn pages_follow_one_another_and_end() {
    let settings = settings(CONFIG);
    let anthropic = |query: &str| get(&settings, &format!("/v1/models?{query}"), ANTHROPIC);
    let first = anthropic("limit=3").unwrap();
    assert_eq!((names(&first["data"], "id").len(), first["has_more"].as_bool()), (3, Some(true)));
    let second = anthropic("limit=3&after_id=old").unwrap();
    assert_eq!(
        (names(&second["data"], "id"), second["has_more"].as_bool()),
        (vec!["team/own".into()], Some(false))
    );
    let back = anthropic("limit=2&before_id=team%2Fown").unwrap();
    assert_eq!(
        (names(&back["data"], "id"), back["has_more"].as_bool()),
        (vec!["claude".into(), "old".into()], Some(true))
    );
    let none = anthropic("after_id=team%2Fown").unwrap();
    assert_eq!((&none["data"], &none["last_id"]), (&serde_json::json!([]), &Value::Null));
    for wrong in ["limit=0", "limit=x", "after_id=nobody", "after_id=fast&before_id=old"] {
        assert_eq!(anthropic(wrong).unwrap_err().class, Class::InvalidRequest, "{wrong}");
    }
    for (address, header, list, name, token, next) in [
        ("/v1beta/models?pageSize=3", GEMINI, "models", "name", "pageToken", "nextPageToken"),
        ("/v1/models?page_size=3.0", COHERE, "models", "name", "page_token", "next_page_token"),
        (
            "/inference-profiles?maxResults=3",
            OPENAI,
            "inferenceProfileSummaries",
            "inferenceProfileId",
            "nextToken",
            "nextToken",
        ),
    ] {
        let first = get(&settings, address, header).unwrap();
        assert_eq!(names(&first[list], name).len(), 3, "{address}");
        let more = format!("{address}&{token}={}", first[next].as_str().unwrap());
        let second = get(&settings, &more, header).unwrap();
        assert_eq!((names(&second[list], name).len(), &second[next]), (1, &Value::Null), "{address}");
        let wrong = get(&settings, &format!("{address}&{token}=%21"), header).unwrap_err();
        assert_eq!(wrong.class, Class::InvalidRequest, "{address}");
    }
}

#[test]
fn filters_hold() {
    let settings = settings(CONFIG);
    let bedrock = |query: &str| get(&settings, &format!("/foundation-models?{query}"), OPENAI).unwrap();
    assert_eq!(names(&bedrock("byProvider=Anthropic")["modelSummaries"], "modelId"), ["claude", "old"]);
    assert_eq!(names(&bedrock("byOutputModality=TEXT")["modelSummaries"], "modelId").len(), 4);
    assert_eq!(bedrock("byOutputModality=IMAGE")["modelSummaries"], serde_json::json!([]));
    assert_eq!(get(&settings, "/v1/models?endpoint=embed", COHERE).unwrap()["models"], serde_json::json!([]));
}

#[test]
fn without_a_configuration_what_is_known_of_the_providers_is_listed() {
    let settings = settings("");
    let list = get(&settings, "/v1/models", OPENAI).unwrap();
    let ids = names(&list["data"], "id");
    assert!(ids.contains(&"cohere/command-a-03-2025".to_owned()), "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("cohere/")), "{ids:?}");
    assert!(ids.is_sorted());
}
