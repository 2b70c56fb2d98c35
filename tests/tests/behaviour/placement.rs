//! Which model of a pool a request is put on.

use busbar_tests::dialect::Dialect;
use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Message};
use busbar_tests::upstream::{self, Upstream};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}]}"#;

/// A pool `p` of models `a`, `b`, `c`... of chat, each at a provider of its own, with more settings of each.
fn pool(members: &[(&Upstream, &str)], more: &str) -> Gateway {
    let names = || (b'a'..).map(char::from).zip(members);
    let providers: String = names()
        .map(|(name, (upstream, _))| {
            let address = upstream.address;
            format!(
                "  at-{name}: {{ protocol: openai_chat, base_url: \"http://{address}/v1\", api_key_env: TEST_PROVIDER_KEY }}\n"
            )
        })
        .collect();
    let models: String =
        names().map(|(name, (_, more))| format!("  {name}: {{ provider: at-{name}{more} }}\n")).collect();
    let members: Vec<String> = names().map(|(name, _)| format!("{{ model: {name} }}")).collect();
    Gateway::start(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n{providers}models:\n{models}pools:\n  \
         p: {{ members: [{}]{more} }}\n",
        members.join(", ")
    ))
    .unwrap()
}

fn ask(gateway: &Gateway) -> Message {
    let body = Dialect::OpenaiChat.request("p", false);
    http::post(gateway.address, "/v1/chat/completions", &[], &body).unwrap()
}

fn lane(answer: &Message) -> &str {
    answer.header("x-busbar-lane").unwrap_or_default()
}

#[test]
fn a_prompt_that_is_too_long_goes_where_there_is_more_room() {
    let overflow = || {
        Upstream::fixed(
            400,
            &[],
            r#"{"error":{"message":"This model's maximum context length is 1000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        )
    };
    let (first, second, third) = (overflow(), overflow(), Upstream::fixed(200, &[], ANSWER));
    let window = |tokens: u32| format!(", context_window: {tokens}");
    let (small, large) = (window(1000), window(2000));
    let gateway = pool(
        &[(&first, &small), (&second, &small), (&third, &large)],
        ", attempts: 2, fallback: q }\n  q: { members: [{ model: a }, { model: b }]",
    );
    let mut seen = 0;
    for _ in 0..6 {
        let answer = ask(&gateway);
        assert_eq!((answer.status(), lane(&answer)), (200, "c"), "{}", answer.text());
        seen += first.requests() + second.requests();
    }
    // Turns by weight put one of the small ones first at times, and never the other after it.
    assert_eq!(seen, 4);
    // Nothing larger: the provider's own words, at once.
    let gateway = pool(&[(&first, &small), (&second, &small)], "");
    let answer = ask(&gateway);
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("context_length_exceeded"), "{}", answer.text());
    assert_eq!(first.requests() + second.requests(), 1);
    let answer = http::send(gateway.admin(), &http::request("GET", "/busbar/lanes", &[], b"")).unwrap();
    for lane in answer.json().unwrap()["lanes"].as_array().unwrap() {
        assert_eq!(lane["failures"], 0, "an overflow is no fault of the lane: {lane}");
    }
}

#[test]
fn by_usage_the_model_with_more_of_its_quota_left_serves() {
    let telling = |left: &'static str| {
        Upstream::start(move |_, connection| {
            let headers = [
                ("x-ratelimit-limit-tokens", "1000"),
                ("x-ratelimit-remaining-tokens", left),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ];
            Ok(connection.write(&upstream::response(200, &headers, ANSWER))?)
        })
    };
    let (first, second) = (telling("100"), telling("900"));
    let gateway = pool(&[(&first, ""), (&second, "")], ", policy: usage");
    let served: Vec<String> = (0..6).map(|_| lane(&ask(&gateway)).to_owned()).collect();
    // Once each to hear of it, and then the one that has more.
    assert_eq!(served[2..], ["b"; 4], "{served:?}");
    assert!(ask(&gateway).header("x-busbar-policy").unwrap().starts_with("usage"));
    let answer = http::send(gateway.admin(), &http::request("GET", "/busbar/lanes", &[], b"")).unwrap();
    let left = answer.json().unwrap()["lanes"][1]["quota_left"].as_f64().unwrap();
    assert!((0.9..0.95).contains(&left), "{left}");
}
