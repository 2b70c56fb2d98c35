use super::*;

fn parts(parts: Value) -> Value {
    json!({ "messages": [{ "role": "user", "content": parts }] })
}

fn refusal(from: Protocol, body: Value) -> Refusal {
    try_up(from, &with(body, json!({ "model": "x", "max_tokens": 9 })), &facts(), &Carriage::default())
        .err()
        .unwrap()
}

#[test]
fn pictures_go_by_bytes_and_by_address() {
    let up = chat(parts(json!([
        { "type": "text", "text": "see" },
        { "type": "image_url", "image_url": { "url": "data:image/jpeg;base64,/9j/" } },
        { "type": "image_url", "image_url": { "url": "https://example.com/a.png", "detail": "low" } },
    ])));
    assert_eq!(
        up.body["messages"][0]["content"],
        json!([
            { "type": "text", "text": "see" },
            { "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "/9j/" } },
            { "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } },
        ])
    );
    assert_eq!(up.effects, ["dropped messages[0].content[2].image_url.detail"]);
    let up = messages(parts(json!([
        { "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "/9j/" } },
        { "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } },
    ])));
    assert_eq!(
        up.body["messages"][0]["content"],
        json!([
            { "type": "image_url", "image_url": { "url": "data:image/jpeg;base64,/9j/" } },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
        ])
    );
}

#[test]
fn a_pdf_is_a_document_both_ways() {
    let file = json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0=" } });
    let up = chat(parts(json!([file])));
    let document = json!({
        "type": "document", "title": "a.pdf",
        "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERi0=" },
    });
    assert_eq!(up.body["messages"][0]["content"], json!([document]));
    assert_eq!(up.effects, Vec::<String>::new());
    let up = messages(parts(json!([document])));
    assert_eq!(up.body["messages"][0]["content"], json!([file]));
    let untitled = json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERi0=" } });
    let up = messages(parts(json!([untitled])));
    assert_eq!(up.body["messages"][0]["content"][0]["file"]["filename"], "document.pdf");
}

#[test]
fn a_text_file_is_a_text_document() {
    let up = chat(parts(json!([
        { "type": "file", "file": { "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8=" } },
    ])));
    assert_eq!(
        up.body["messages"][0]["content"],
        json!([{ "type": "document", "title": "a.txt", "source": { "type": "text", "media_type": "text/plain", "data": "hello" } }])
    );
}

#[test]
fn text_documents_and_search_results_stand_as_marked_text() {
    let up = messages(parts(json!([
        { "type": "document", "title": "Q3", "context": "old", "source": { "type": "text", "media_type": "text/plain", "data": "body" } },
        { "type": "document", "source": { "type": "content", "content": [
            { "type": "text", "text": "one" },
            { "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } },
        ] } },
        { "type": "search_result", "source": "https://e.com", "title": "T", "content": [{ "type": "text", "text": "found" }] },
    ])));
    assert_eq!(
        up.body["messages"][0]["content"],
        json!([
            { "type": "text", "text": "<document title=\"Q3\" context=\"old\">\nbody\n</document>" },
            { "type": "text", "text": "<document>\none\n</document>" },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
            { "type": "text", "text": "<search_result title=\"T\" source=\"https://e.com\">\nfound\n</search_result>" },
        ])
    );
    assert_eq!(
        up.effects,
        [
            "emulated messages[0].content[0]",
            "emulated messages[0].content[1]",
            "emulated messages[0].content[2]",
        ]
    );
}

#[test]
fn citing_from_marked_text_is_reported() {
    let up = messages(parts(json!([
        { "type": "document", "citations": { "enabled": true }, "source": { "type": "text", "media_type": "text/plain", "data": "body" } },
    ])));
    assert_eq!(
        up.effects,
        ["emulated messages[0].content[0]", "dropped messages[0].content[0].citations.enabled"]
    );
}

#[test]
fn what_would_be_lost_is_refused_by_name() {
    for (from, part, reason) in [
        (
            OpenaiChat,
            json!({ "type": "input_audio", "input_audio": { "data": "QUJD", "format": "wav" } }),
            "sound",
        ),
        (OpenaiChat, json!({ "type": "file", "file": { "file_id": "file-1" } }), "another provider"),
        (
            OpenaiChat,
            json!({ "type": "file", "file": { "filename": "a.docx", "file_data": "data:application/msword;base64,QUJD" } }),
            "media type",
        ),
        (
            Anthropic,
            json!({ "type": "image", "source": { "type": "file", "file_id": "f" } }),
            "another provider",
        ),
        (
            Anthropic,
            json!({ "type": "document", "source": { "type": "url", "url": "https://e.com/a.pdf" } }),
            "address",
        ),
        (Anthropic, json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} }), ""),
    ] {
        let refusal = refusal(from, parts(json!([{ "type": "text", "text": "a" }, part])));
        assert_eq!((refusal.path.as_str(), refusal.semantic), ("messages[0].content[1]", true));
        assert!(refusal.message.contains(reason), "{refusal}");
    }
}

#[test]
fn escapes_are_carried_as_they_are() {
    let body = br#"{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"a\u00e9\n\ud83d\/"}]}"#;
    let out = request(OpenaiChat, Anthropic, body, &facts(), &Carriage::default()).unwrap();
    let text = String::from_utf8(out.body).unwrap();
    assert!(text.contains(r#""content":"a\u00e9\n\ud83d\/""#), "{text}");
}

#[test]
fn an_unknown_field_is_reported_and_goes_no_further() {
    let up = messages(json!({ "context_management": { "edits": [] }, "brand_new": 1 }));
    assert_eq!((up.body.get("context_management"), up.body.get("brand_new")), (None, None));
    let mut effects = up.effects;
    effects.sort();
    assert_eq!(effects, ["dropped brand_new", "dropped context_management"]);
}
