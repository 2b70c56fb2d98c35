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

/// Upstreams that answer everything, but what contains `fail`.
fn answering() -> Upstream {
    Upstream::start(|request, connection| {
        let (status, body) = match request.text().contains("fail") {
            true => (500, r#"{"error":{"message":"no"}}"#),
            false => (200, ANSWER),
        };
        Ok(connection.write(&upstream::response(status, &[], body))?)
    })
}

fn turn(gateway: &Gateway, key: &str, headers: &[(&str, &str)], messages: &str) -> Message {
    let body = format!(r#"{{"model":"p","messages":[{messages}]}}"#);
    let bearer = format!("Bearer {key}");
    let headers = [headers, &[("authorization", &bearer)]].concat();
    http::post(gateway.address, "/v1/chat/completions", &headers, &body).unwrap()
}

#[test]
fn a_session_stays_with_its_model_and_others_spread() {
    let (first, second, third) = (answering(), answering(), answering());
    let gateway = pool(&[(&first, ""), (&second, ""), (&third, "")], ", affinity: session");
    let message = r#"{"role":"user","content":"Hi"}"#;
    let serve = |session: &str| {
        let answer = turn(&gateway, "k", &[("x-session-id", session)], message);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        lane(&answer).to_owned()
    };
    let mut lanes = std::collections::BTreeSet::new();
    for session in 0..12 {
        let session = format!("session-{session}");
        let begun = serve(&session);
        assert_eq!([serve(&session), serve(&session)], [begun.clone(), begun.clone()]);
        lanes.insert(begun);
    }
    assert_eq!(lanes.len(), 3, "{lanes:?}");
    // Without a session the policy decides.
    let served: std::collections::BTreeSet<_> =
        (0..3).map(|_| lane(&turn(&gateway, "k", &[], message)).to_owned()).collect();
    assert_eq!(served.len(), 3);
    // Another replica begins the same sessions at the same models.
    let other = pool(&[(&first, ""), (&second, ""), (&third, "")], ", affinity: session");
    for session in ["session-100", "session-101", "session-102", "session-103"] {
        let begun = turn(&other, "k", &[("x-session-id", session)], message);
        assert_eq!(
            (serve(session).as_str(), begun.header("x-busbar-policy")),
            (lane(&begun), Some("session: begins"))
        );
    }
}

#[test]
fn a_prompt_goes_back_to_the_cache_that_has_its_beginning() {
    let (first, second) = (answering(), answering());
    let gateway = pool(&[(&first, ""), (&second, "")], ", affinity: prompt_cache");
    let system = |words: &str| {
        format!(r#"{{"role":"system","content":"{}"}},{{"role":"user","content":"one"}}"#, words.repeat(2000))
    };
    let mut begun = Vec::new();
    for words in ["alpha ", "beta ", "gamma ", "delta "] {
        let mut messages = system(words);
        let answer = turn(&gateway, "k", &[], &messages);
        let place = lane(&answer).to_owned();
        for word in ["two", "three", "four"] {
            messages +=
                &format!(r#",{{"role":"assistant","content":"well"}},{{"role":"user","content":"{word}"}}"#);
            let answer = turn(&gateway, "k", &[], &messages);
            assert_eq!(lane(&answer), place);
            assert!(answer.header("x-busbar-policy").unwrap().starts_with("prompt_cache: about "));
        }
        begun.push(place);
    }
    assert_eq!(begun, ["a", "b", "a", "b"], "prompts that begin are spread by the policy");
    // A caller hears nothing of what others have in a cache.
    let other = turn(&gateway, "another", &[], &system("alpha "));
    assert!(other.header("x-busbar-policy").unwrap().starts_with("weighted"));
    // A switch says what it gives up.
    let healthy = Upstream::fixed(200, &[], ANSWER);
    let gateway = pool(&[(&first, ""), (&healthy, "")], ", affinity: prompt_cache");
    let mut messages = system("alpha ");
    assert_eq!(lane(&turn(&gateway, "k", &[], &messages)), "a");
    messages += r#",{"role":"user","content":"fail"}"#;
    let answer = turn(&gateway, "k", &[], &messages);
    assert_eq!((lane(&answer), answer.header("x-busbar-attempts")), ("b", Some("2")));
    let why = answer.header("x-busbar-policy").unwrap();
    assert!(why.contains("; gives up about 3"), "{why}");
}

#[test]
fn the_cheapest_serves_and_what_does_not_fit_goes_elsewhere() {
    let (dear, cheap, small) = (answering(), answering(), answering());
    let price =
        |input: u32| format!(", price: {{ input: {input}, output: {input} }}, context_window: 1000000");
    let gateway = pool(&[(&dear, &price(5)), (&cheap, &price(1))], ", policy: cheapest");
    for _ in 0..4 {
        let answer = ask(&gateway);
        assert_eq!(lane(&answer), "b");
        assert!(
            answer.header("x-busbar-policy").unwrap().contains("dollars expected"),
            "{:?}",
            answer.headers
        );
    }
    let gateway = pool(&[(&small, ", context_window: 500"), (&dear, ", context_window: 100000")], "");
    let message = |words: usize| format!(r#"{{"role":"user","content":"{}"}}"#, "word ".repeat(words));
    let large = || turn(&gateway, "k", &[], &message(2000));
    for _ in 0..4 {
        assert_eq!(lane(&large()), "b");
    }
    let served: std::collections::BTreeSet<_> =
        (0..2).map(|_| lane(&turn(&gateway, "k", &[], &message(10))).to_owned()).collect();
    assert_eq!(served.len(), 2, "what fits goes to both");
}
