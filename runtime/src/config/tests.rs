use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn settings(text: &str) -> Result<Settings, String> {
    let environment = environment(&[("KEY", "sk-1"), ("OPENAI_API_KEY", "sk-2")]);
    let config = parse(text, "busbar.yaml").map_err(|error| error.to_string())?;
    let catalog = Catalog::embedded().unwrap();
    resolve(config, "busbar.yaml", &catalog, &environment).map_err(|error| error.to_string())
}

fn error(text: &str) -> String {
    settings(text).unwrap_err()
}

#[test]
fn the_documented_example_resolves() {
    let text = r#"
listen: 127.0.0.1:8080
admin: { listen: 127.0.0.1:8081 }
providers:
  anthropic: { api_key_env: KEY }
  openai:    { api_key_env: KEY }
  gemini:    { api_key_env: KEY }
  local:     { protocol: openai_chat, base_url: "http://127.0.0.1:11434/v1" }
models:
  claude-sonnet: { provider: anthropic, upstream_model: claude-sonnet-4-5, max_concurrent: 10 }
  gpt-4o:        { provider: openai }
  gemini-flash:  { provider: gemini, upstream_model: gemini-2.5-flash }
pools:
  fast:
    policy: weighted
    members:
      - { model: gemini-flash, standby: true }
      - { model: claude-sonnet, weight: 80 }
      - { model: gpt-4o, weight: 20 }
"#;
    let settings = settings(text).unwrap();
    assert_eq!(settings.providers.len(), 4);
    let weights: Vec<_> =
        settings.pools[0].members.iter().map(|m| (settings.lanes[m.lane].name.as_str(), m.weight)).collect();
    assert_eq!(weights, [("claude-sonnet", 80), ("gpt-4o", 20), ("gemini-flash", 0)]);
    assert_eq!(settings.names["fast"], Named::Pool(0));
    let local = settings.providers.iter().find(|provider| provider.name == "local").unwrap();
    assert_eq!((local.base.tls, local.base.port, local.base.path.as_str()), (false, 11434, "/v1"));
    assert!(matches!(local.credential, Credential::None));
}

#[test]
fn facts_come_from_the_model_then_its_provider_then_the_catalog() {
    let text = r#"
providers:
  openai:  { api_key_env: KEY }
  mistral: { api_key_env: KEY }
  local:   { protocol: openai_chat, base_url: "http://127.0.0.1:1/v1" }
  newer:   { protocol: openai_chat, base_url: "http://127.0.0.1:1/v1", max_tokens_field: max_completion_tokens }
models:
  a: { provider: openai }
  b: { provider: mistral, reasoning_history: true, reasoning: none }
  c: { provider: local, max_output_tokens: 4096, sampling: false }
  d: { provider: newer }
"#;
    use raw::MaxTokensField::{MaxCompletionTokens, MaxTokens};
    let settings = settings(text).unwrap();
    let facts: Vec<_> = settings.lanes.iter().map(|lane| lane.facts).collect();
    let fields: Vec<_> = facts.iter().map(|facts| facts.max_tokens_field).collect();
    assert_eq!(fields, [MaxCompletionTokens, MaxTokens, MaxTokens, MaxCompletionTokens]);
    assert_eq!(
        facts[0],
        Facts { max_tokens_field: MaxCompletionTokens, reasoning_history: false, ..Facts::default() }
    );
    assert_eq!(facts[1], Facts { reasoning: raw::Reasoning::None, ..Facts::default() });
    assert_eq!(facts[2], Facts { max_output_tokens: Some(4096), sampling: false, ..Facts::default() });
    let none = error(
        "providers:\n  openai: { api_key_env: KEY }\nmodels:\n  m: { provider: openai, max_output_tokens: 0 }\n",
    );
    assert!(none.contains("models.m.max_output_tokens: must be 1 or more"), "{none}");
}

#[test]
fn errors_name_line_column_and_field() {
    let unknown = error("listen: 127.0.0.1:1\nlimits:\n  bodi: 3\n");
    assert!(unknown.starts_with("busbar.yaml:3:3: "), "{unknown}");
    assert!(unknown.contains("bodi") && unknown.contains("body"), "{unknown}");
    let wrong = error("limits:\n  idle: soon\n");
    assert!(wrong.starts_with("busbar.yaml:2:9: "), "{wrong}");
    assert!(wrong.contains("`soon` is not a length of time"), "{wrong}");
    let provider = error("providers:\n  openai: { api_key_env: KEY }\nmodels:\n  m: { provider: opena1 }\n");
    assert_eq!(
        provider,
        "busbar.yaml:4:6: models.m.provider: there is no provider `opena1`; did you mean `openai`?"
    );
}

#[test]
fn a_secret_in_the_place_of_a_name_is_not_echoed() {
    let message = error("providers:\n  openai: { api_key_env: sk-proj-secret }\n");
    assert!(!message.contains("secret"), "{message}");
    assert!(message.contains("providers.openai.api_key_env"), "{message}");
}

#[test]
fn an_open_port_must_be_meant() {
    assert!(error("listen: 0.0.0.0:8080").contains("auth: open"));
    assert!(settings("listen: 0.0.0.0:8080\nauth: open").is_ok());
}

#[test]
fn without_providers_the_keys_in_the_environment_decide() {
    let settings = settings("").unwrap();
    let names: Vec<_> = settings.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["openai"]);
}

#[test]
fn bedrock_signs_with_the_usual_variables() {
    let catalog = Catalog::embedded().unwrap();
    let environment = environment(&[
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
    ]);
    let settings = resolve(raw::Config::default(), "f", &catalog, &environment).unwrap();
    assert_eq!(settings.providers[0].base.host, "bedrock-runtime.eu-west-1.amazonaws.com");
    assert!(
        matches!(&settings.providers[0].credential, Credential::SigV4 { region, .. } if region == "eu-west-1")
    );
}

#[test]
fn the_schema_names_every_section() {
    let schema = schema();
    for section in ["listen", "admin", "providers", "models", "pools", "limits", "auth", "log", "workers"] {
        assert!(schema["properties"].get(section).is_some(), "{section}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
