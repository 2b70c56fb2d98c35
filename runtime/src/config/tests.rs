use secrecy::ExposeSecret as _;

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
    let members = settings.pools[0].members.iter();
    let members: Vec<_> = members.map(|m| (settings.lanes[m.lane].name.as_str(), m.weight, m.tier)).collect();
    assert_eq!(members, [("claude-sonnet", 80, 0), ("gpt-4o", 20, 0), ("gemini-flash", 1, 1)]);
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
fn what_the_catalog_knows_of_a_model_holds_unless_the_configuration_says_otherwise() {
    let text = r#"
providers:
  anthropic: { api_key_env: KEY }
  mine:      { catalog: anthropic, protocol: anthropic, base_url: "http://127.0.0.1:1", reasoning_history: false }
  openai:    { api_key_env: KEY, max_tokens_field: max_tokens }
models:
  claude: { provider: anthropic, upstream_model: claude-sonnet-4-5 }
  other:  { provider: mine, upstream_model: claude-opus-5-5, price: { input: 1, output: 2.5 }, vision: false }
  gpt:    { provider: openai, upstream_model: gpt-5-mini, context_window: 1000, sampling: true }
"#;
    let settings = settings(text).unwrap();
    let lane = |name: &str| settings.lanes.iter().find(|lane| lane.name == name).unwrap();
    let claude = lane("claude");
    assert_eq!(claude.title.as_deref(), Some("Claude Sonnet 4.5"));
    let facts = claude.facts;
    assert_eq!((facts.context_window, facts.max_output_tokens), (Some(200_000), Some(64_000)));
    assert_eq!((facts.sampling, facts.sampling_together, facts.prefill), (true, false, true));
    assert_eq!((facts.capabilities.documents, facts.capabilities.audio), (Some(true), None));
    let price = facts.price.unwrap();
    assert_eq!((price.input.0, price.cache_read.unwrap().0), (3_000_000, 300_000));
    let other = lane("other").facts;
    assert_eq!((other.reasoning, other.forced_tools, other.prefill), (raw::Reasoning::Always, false, false));
    assert_eq!((other.price.unwrap().output.0, other.capabilities.vision), (2_500_000, Some(false)));
    assert!(!other.reasoning_history);
    let gpt = lane("gpt").facts;
    assert_eq!((gpt.context_window, gpt.sampling), (Some(1000), true));
    assert_eq!(gpt.max_tokens_field, raw::MaxTokensField::MaxTokens);
    // A model that is not configured is known as well.
    let anthropic = settings.providers.iter().position(|provider| provider.name == "anthropic").unwrap();
    assert_eq!(settings.facts_of(anthropic, "claude-haiku-4-5").max_output_tokens, Some(64_000));
    assert_eq!(settings.facts_of(anthropic, "nobody"), settings.providers[anthropic].facts);
}

#[test]
fn a_catalog_of_the_users_own_is_read_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("busbar-catalog-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("busbar.yaml");
    std::fs::write(
        &file,
        "catalog: own.toml\nproviders:\n  local: { base_url: \"http://127.0.0.1:1/v1\" }\nmodels:\n  m: { provider: local, upstream_model: big-1 }\n",
    )
    .unwrap();
    let own = "[[provider]]\nname = \"local\"\nprotocols = [\"openai_chat\"]\nbase_url = \"http://127.0.0.1:2/v1\"\nkey_env = []\n[[model]]\nprovider = \"local\"\nprefixes = [\"big-\"]\ncontext_window = 4096\n";
    std::fs::write(folder.join("own.toml"), own).unwrap();
    let settings = load(Some(&file), &Environment::new()).unwrap();
    assert_eq!(settings.lanes[0].facts.context_window, Some(4096));
    std::fs::write(folder.join("own.toml"), "[[model]]\nids = [\"x\"]").unwrap();
    let broken = load(Some(&file), &Environment::new()).unwrap_err().to_string();
    assert!(broken.contains("own.toml") && broken.contains("`x` has no `provider`"), "{broken}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_price_or_a_catalog_that_is_none_is_told() {
    let model = |more: &str| {
        error(&format!(
            "providers:\n  openai: {{ api_key_env: KEY }}\nmodels:\n  m: {{ provider: openai, {more} }}\n"
        ))
    };
    let price = model("price: { input: -1, output: 1 }");
    assert!(price.contains("busbar.yaml:4:") && price.contains("-1 is not a price"), "{price}");
    assert!(model("context_window: 0").contains("models.m.context_window: must be 1 or more"));
    let catalog = error(
        "providers:\n  a: { catalog: openia, protocol: openai_chat, base_url: \"http://127.0.0.1:1\" }\n",
    );
    assert!(
        catalog.contains("providers.a.catalog") && catalog.contains("did you mean `openai`"),
        "{catalog}"
    );
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

#[test]
fn each_key_of_a_provider_is_a_lane_behind_its_models() {
    let folder = std::env::temp_dir().join(format!("busbar-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("busbar.yaml");
    std::fs::write(folder.join("second"), "sk-2\n").unwrap();
    let text = "providers:\n  openai: { api_key_env: [KEY, OTHER], api_key_file: second }\n  mistral: { api_key_env: KEY }\nmodels:\n  gpt: { provider: openai }\n  small: { provider: mistral }\npools:\n  p: { members: [{ model: gpt, weight: 2 }, { model: small }] }\n";
    std::fs::write(&file, text).unwrap();
    let environment = Environment::from([("KEY".into(), "sk-0".into()), ("OTHER".into(), "sk-1".into())]);
    let settings = load(Some(&file), &environment).unwrap();
    let names: Vec<_> = settings.lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(names, ["gpt#1", "gpt#2", "gpt#3", "small"]);
    let keys = settings.lanes[..3].iter().map(|lane| match &settings.providers[lane.provider].credential {
        Credential::Key(key) => key.expose_secret().to_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["sk-0", "sk-1", "sk-2"]);
    let shares = |name: &str| match settings.names[name] {
        Named::Pool(pool) => {
            settings.pools[pool].members.iter().map(|member| member.weight).collect::<Vec<_>>()
        }
        Named::Lane(_) => Vec::new(),
    };
    assert_eq!(shares("gpt"), [1, 1, 1]);
    assert_eq!(shares("p"), [2, 2, 2, 3], "a third of two to each, and one to the other");
    assert!(!settings.names.contains_key("gpt#1"));
    assert_eq!(settings.files, [folder.join("second")]);
    std::fs::write(folder.join("second"), " \n").unwrap();
    let empty = load(Some(&file), &environment).unwrap_err().to_string();
    assert!(empty.contains("providers.openai.api_key_file") && empty.contains("second"), "{empty}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn pools_that_fall_back_in_a_circle_are_refused() {
    let text = "providers:\n  openai: { api_key_env: KEY }\nmodels:\n  m: { provider: openai }\npools:\n  a: { fallback: b, members: [{ model: m }] }\n  b: { fallback: a, members: [{ model: m }] }\n";
    let circle = error(text);
    assert!(circle.contains("pools.a.fallback: goes in a circle: a > b > a"), "{circle}");
    let none = error(&text.replace("fallback: a,", "fallback: c,"));
    assert!(none.contains("pools.b.fallback: there is no pool `c`"), "{none}");
}
