//! What targets demand of the shape, on the intermediate form itself.

use busbar_protocols::prelude::ReadCx;
use busbar_protocols::{Json, Text, ir};

use super::super::shape::Shape;
use super::super::{CallState, Carriage, passes};
use super::facts;
use crate::Protocol::{self, Anthropic, Bedrock, Cohere, Gemini, OpenaiChat, OpenaiResponses};

/// The request as it goes up, and what was done to it: kind and reason.
fn up(
    source: Protocol,
    target: Protocol,
    mut request: ir::Request<'static>,
) -> (ir::Request<'static>, Vec<String>) {
    let facts = facts();
    let mut state = CallState::new(source, target, &facts);
    let cx = ReadCx::default();
    let carriage = Carriage::default();
    let mut shape = Shape::new(source, target, &facts, &carriage, &mut state, &cx.paths).unwrap();
    passes::run(&mut request, &mut shape);
    let effects = shape.report.cx.ledger.effects().iter();
    let effects = effects
        .map(|effect| {
            let lost = if effect.semantic { "lost" } else { effect.kind.name() };
            format!("{lost}: {}", effect.reason)
        })
        .collect();
    (request, effects)
}

fn text(said: &'static str) -> ir::Block<'static> {
    ir::Block::Text(ir::TextBlock { text: Some(Text::plain(said)), ..Default::default() })
}

fn bare(said: &'static str) -> ir::Block<'static> {
    let node = ir::TextBlock { text: Some(Text::plain(said)), bare: Some(true), ..Default::default() };
    ir::Block::Text(node)
}

fn json(raw: &'static str, bare: Option<bool>) -> ir::Block<'static> {
    let value = Some(Json::parse(raw).unwrap());
    ir::Block::Json(ir::JsonBlock { value, bare, ..Default::default() })
}

fn call(id: &'static str) -> ir::Block<'static> {
    ir::Block::ToolCall(ir::ToolCallBlock {
        id: Some(Text::plain(id)),
        name: Some(Text::plain("f")),
        input: Some(Json::parse("{}").unwrap()),
        ..Default::default()
    })
}

fn result(id: &'static str, content: Vec<ir::Block<'static>>) -> ir::Block<'static> {
    ir::Block::ToolResult(ir::ToolResultBlock {
        call_id: Some(Text::plain(id)),
        content: Some(content),
        ..Default::default()
    })
}

fn turn(role: ir::Role<'static>, content: Vec<ir::Block<'static>>) -> ir::Turn<'static> {
    ir::Turn { role: Some(role), content: Some(content), ..Default::default() }
}

fn user(content: Vec<ir::Block<'static>>) -> ir::Turn<'static> {
    turn(ir::Role::User, content)
}

fn request(turns: Vec<ir::Turn<'static>>) -> ir::Request<'static> {
    ir::Request { turns: Some(turns), ..Default::default() }
}

fn tool(name: &'static str) -> ir::Tool<'static> {
    ir::Tool::Function(ir::FunctionTool {
        name: Some(Text::plain(name)),
        parameters: Some(Json::parse("{\"type\":\"object\"}").unwrap()),
        ..Default::default()
    })
}

fn cache(ttl: Option<&'static str>) -> ir::CacheMark<'static> {
    ir::CacheMark { kind: Some(Text::plain("ephemeral")), ttl: ttl.map(Text::plain) }
}

/// Turn by turn what stands in it, in short.
fn short(request: &ir::Request<'_>) -> Vec<String> {
    let one = |turn: &ir::Turn<'_>| {
        let item = turn.item.as_ref().map(|item| format!("{}:", item.text())).unwrap_or_default();
        let blocks: Vec<String> = turn.content.iter().flatten().map(block).collect();
        format!("{}{} {}", item, turn.role.as_ref().unwrap().text(), blocks.join("|"))
    };
    request.turns.iter().flatten().map(one).collect()
}

fn block(block: &ir::Block<'_>) -> String {
    let own = |text: &Option<Text<'_>>| text.as_ref().map(|t| t.decode().into_owned()).unwrap_or_default();
    match block {
        ir::Block::Text(node) if node.cache == ir::CacheMark::default() => own(&node.text),
        ir::Block::Text(node) => format!("{}*{}", own(&node.text), own(&node.cache.ttl)),
        ir::Block::Json(node) => {
            let bare = if node.bare == Some(true) { "bare " } else { "" };
            format!("{bare}{}", node.value.as_ref().unwrap().as_str())
        }
        ir::Block::CacheMark(node) => format!("*{}", own(&node.cache.ttl)),
        ir::Block::ToolCall(node) => format!("call {}", own(&node.id)),
        ir::Block::ToolResult(node) => {
            let failed = if node.is_error == Some(true) { "!" } else { "" };
            let inner: Vec<String> = node.content.iter().flatten().map(self::block).collect();
            format!("result{failed} {} [{}]", own(&node.call_id), inner.join("|"))
        }
        ir::Block::Document(node) => {
            let data = node.data.as_ref().map(|data| data.as_str().to_owned()).unwrap_or_default();
            let cite = if node.cite.on == Some(true) { " cited" } else { "" };
            format!("doc {:?} {}{data}{cite}", own(&node.title), own(&node.source.text))
        }
        other => other.kind().to_owned(),
    }
}

/// A tool loop with this content in its one result.
fn with_result(content: Vec<ir::Block<'static>>) -> ir::Request<'static> {
    request(vec![
        user(vec![text("go")]),
        turn(ir::Role::Assistant, vec![call("a")]),
        turn(ir::Role::Tool, vec![result("a", content)]),
    ])
}

fn failed(mut request: ir::Request<'static>) -> ir::Request<'static> {
    let blocks = request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten());
    for block in blocks {
        if let ir::Block::ToolResult(node) = block {
            node.is_error = Some(true);
        }
    }
    request
}

#[test]
fn marks_that_stand_apart_go_to_what_they_mark() {
    let mark = |ttl| ir::Block::CacheMark(ir::CacheMarkBlock { cache: cache(ttl), ..Default::default() });
    let tools = vec![
        tool("f"),
        ir::Tool::CacheMark(ir::CacheMarkTool { cache: cache(Some("1h")), ..Default::default() }),
    ];
    let asked = ir::Request {
        tools: Some(tools),
        instructions: Some(vec![text("s"), mark(None)]),
        ..request(vec![user(vec![mark(None), text("a"), mark(Some("5m")), text("b")])])
    };
    let (sent, effects) = up(Bedrock, Anthropic, asked.clone());
    assert_eq!(short(&sent), ["user a*5m|b"]);
    assert_eq!(block(&sent.instructions.unwrap()[0]), "s*");
    let [ir::Tool::Function(tool)] = &sent.tools.unwrap()[..] else { panic!("one tool") };
    assert_eq!(tool.cache, cache(Some("1h")));
    assert_eq!(effects[0], "dropped: nothing that can be marked stands in front of the mark");
    let (sent, effects) = up(Bedrock, OpenaiChat, asked);
    assert!(!format!("{sent:?}").contains("ephemeral"), "{sent:?}");
    assert!(effects.iter().any(|effect| effect.contains("without marks")), "{effects:?}");
}

#[test]
fn marks_become_elements_behind_what_they_mark_and_the_last_ones_stay() {
    let marked = |said: &'static str, ttl| {
        let node = ir::TextBlock { text: Some(Text::plain(said)), cache: cache(ttl), ..Default::default() };
        ir::Block::Text(node)
    };
    let tool = |cache| {
        let parameters = Some(Json::parse(r#"{"type":"object"}"#).unwrap());
        let name = Some(Text::plain("f"));
        ir::Tool::Function(ir::FunctionTool { name, parameters, cache, ..Default::default() })
    };
    let asked = ir::Request {
        instructions: Some(vec![marked("s", None)]),
        tools: Some(vec![tool(ir::CacheMark::default())]),
        ..request(vec![
            user(vec![marked("a", Some("1h")), text("b")]),
            turn(ir::Role::Assistant, vec![marked("c", None), call("x")]),
            turn(ir::Role::Tool, vec![result("x", vec![marked("d", None)])]),
        ])
    };
    let (sent, effects) = up(Anthropic, Bedrock, asked.clone());
    assert_eq!(short(&sent), ["user a|*1h|b", "assistant c|*|call x", "user result x [d]|*"]);
    assert_eq!(sent.instructions.map(|blocks| blocks.len()), Some(2));
    assert_eq!(effects, Vec::<String>::new());
    let tools = Some(vec![tool(cache(None))]);
    let (sent, effects) = up(Anthropic, Bedrock, ir::Request { tools, ..asked });
    assert_eq!(sent.tools.map(|tools| tools.len()), Some(1), "the first mark gives way");
    assert_eq!(
        short(&sent_turns(&sent.turns)),
        ["user a|*1h|b", "assistant c|*|call x", "user result x [d]|*"]
    );
    assert!(effects.contains(&"dropped: the target takes fewer cache marks".to_owned()), "{effects:?}");
    let whole = ir::Request { cache: cache(None), ..request(vec![user(vec![text("a")])]) };
    let (sent, effects) = up(Anthropic, Bedrock, whole);
    assert_eq!(
        (short(&sent), effects),
        (vec!["user a|*".to_owned()], vec!["emulated: the end of the conversation is marked".to_owned()],)
    );
}

#[test]
fn marks_on_elements_are_bounded_too() {
    let marked = |said: &'static str| {
        let node = ir::TextBlock { text: Some(Text::plain(said)), cache: cache(None), ..Default::default() };
        ir::Block::Text(node)
    };
    let asked = request(vec![user(["a", "b", "c", "d", "e"].map(marked).to_vec())]);
    let (sent, effects) = up(Bedrock, Anthropic, asked);
    assert_eq!(short(&sent), ["user a|b*|c*|d*|e*"]);
    assert_eq!(effects[0], "dropped: the target takes fewer cache marks");
}

fn sent_turns(turns: &Option<Vec<ir::Turn<'static>>>) -> ir::Request<'static> {
    ir::Request { turns: turns.clone(), ..Default::default() }
}

#[test]
fn a_result_is_one_object_where_the_target_wants_that() {
    let sent = |request| short(&up(OpenaiChat, Gemini, request).0)[2].clone();
    let said = |said| sent(with_result(vec![text(said)]));
    assert_eq!(said(r#"{"z":1.0,"a":{}}"#), r#"user result a [bare {"z":1.0,"a":{}}]"#);
    assert_eq!(said("[1]"), r#"user result a [bare {"output":"[1]"}]"#);
    assert_eq!(said("sunny"), r#"user result a [bare {"output":"sunny"}]"#);
    assert_eq!(
        said(r##"{"a":[{"$ref":"#/x"}]}"##),
        r##"user result a [bare {"output":"{\"a\":[{\"$ref\":\"#/x\"}]}"}]"##
    );
    assert_eq!(sent(with_result(Vec::new())), r#"user result a [bare {"output":""}]"#);
    assert_eq!(
        sent(failed(with_result(vec![text("{\"code\":1}")]))),
        r#"user result a [bare {"error":"{\"code\":1}"}]"#
    );
    let image = ir::Block::Image(ir::ImageBlock {
        source: ir::Source {
            kind: Some(ir::SourceKind::Url),
            url: Some(Text::plain("https://example.com/a.png")),
            ..Default::default()
        },
        ..Default::default()
    });
    let (sent, _) = up(Anthropic, Gemini, with_result(vec![image, text("seen")]));
    assert_eq!(short(&sent)[2], r#"user result a [bare {"output":"seen"}|image]"#);
}

#[test]
fn an_object_that_is_a_result_is_read_as_what_it_says() {
    let sent =
        |target, raw| short(&up(Gemini, target, with_result(vec![json(raw, Some(true))])).0)[2].clone();
    assert_eq!(sent(OpenaiChat, r#"{"output":"sunny"}"#), "tool result a [sunny]");
    assert_eq!(sent(OpenaiChat, r#"{"z":1,"a":2}"#), r#"tool result a [{"z":1,"a":2}]"#);
    assert_eq!(sent(Anthropic, r#"{"error":"no"}"#), "user result! a [no]");
    assert_eq!(sent(OpenaiChat, r#"{"error":"no"}"#), "tool result a [[tool error] no]");
    assert_eq!(sent(Bedrock, r#"{"z":1,"a":2}"#), r#"user result a [{"z":1,"a":2}]"#);
    assert_eq!(sent(Bedrock, r#"{"a":{"":1}}"#), r#"user result a [{"a":{"":1}}]"#);
    let (sent, _) = up(Gemini, Bedrock, with_result(vec![json(r#"{"a":{"":1}}"#, Some(true))]));
    let content = sent.turns.unwrap().remove(2).content.unwrap();
    let ir::Block::ToolResult(node) = &content[0] else { panic!("a result") };
    assert!(matches!(node.content.as_deref(), Some([ir::Block::Text(_)])), "an empty name is no JSON there");
    let (sent, _) = up(OpenaiChat, Bedrock, with_result(vec![text(r#"{"":1}"#)]));
    assert_eq!(short(&sent)[2], r#"user result a [{"":1}]"#);
}

#[test]
fn a_turn_becomes_items_and_items_become_a_turn() {
    let thought = ir::Block::Reasoning(ir::ReasoningBlock {
        text: Some(Text::plain("hm")),
        signature: Some(Text::plain("S")),
        issuer: Some(Text::plain("openai_responses")),
        id: Some(Text::plain("rs_1")),
        ..Default::default()
    });
    let asked = request(vec![
        user(vec![bare("go")]),
        turn(ir::Role::Assistant, vec![thought, text("a"), text("b"), call("x"), call("y"), text("c")]),
        turn(ir::Role::User, vec![result("x", vec![text("1")]), result("y", vec![text("2")]), text("on")]),
    ]);
    let (sent, effects) = up(Anthropic, OpenaiResponses, asked);
    let items = [
        "message:user go",
        "reasoning:assistant reasoning",
        "message:assistant a|b",
        "call:assistant call x",
        "call:assistant call y",
        "message:assistant c",
        "result:tool result x [1]",
        "result:tool result y [2]",
        "message:user on",
    ];
    assert_eq!(short(&sent), items);
    assert_eq!(effects, ["injected: the caller did not ask the provider to keep the answer"]);
    assert_eq!(sent.store, Some(false));
    // Back through a client that has items.
    let mut asked = sent_turns(&sent.turns);
    for (n, turn) in asked.turns.iter_mut().flatten().enumerate() {
        turn.id = Some(Text::plain(format!("item_{n}")));
        turn.status = Some(Text::plain("completed"));
    }
    let (sent, _) = up(OpenaiResponses, Anthropic, asked.clone());
    assert_eq!(
        short(&sent),
        [
            "user go",
            "assistant <reasoning>\nhm\n</reasoning>|a|b|call x|call y|c",
            "user result x [1]|result y [2]|on",
        ]
    );
    assert!(sent.turns.iter().flatten().all(|turn| turn.id.is_none() && turn.status.is_none()));
    let (sent, _) = up(OpenaiResponses, OpenaiChat, asked);
    assert_eq!(short(&sent).len(), 5);
    assert_eq!(short(&sent)[1], "assistant reasoning|a|b|call x|call y|c");
}

fn document(data: &'static str) -> ir::Block<'static> {
    let data = Some(Json::parse(data).unwrap());
    ir::Block::Document(ir::DocumentBlock { data, ..Default::default() })
}

#[test]
fn documents_beside_the_turns_stand_in_front_of_the_last_question() {
    let asked = || ir::Request {
        documents: Some(vec![
            document(r#"{"title":"T","text":"one"}"#),
            document(r#"{"b":"x","a":2}"#),
            document(r#""plain""#),
        ]),
        ..request(vec![
            user(vec![bare("q")]),
            turn(ir::Role::Assistant, vec![bare("a")]),
            user(vec![bare("q2")]),
        ])
    };
    let (sent, effects) = up(Cohere, Anthropic, asked());
    assert_eq!(
        short(&sent)[2],
        r#"user doc "T" one cited|doc "" b: x
a: 2 cited|doc "" plain cited|q2"#
    );
    assert_eq!(sent.documents, None);
    assert_eq!(effects[0], "adapted: the document stands in front of what the user said last");
    let off = ir::Request { cite: ir::Cite { mode: Some(Text::plain("OFF")), on: None }, ..asked() };
    assert!(!short(&up(Cohere, Anthropic, off).0)[2].contains("cited"));
    let (sent, _) = up(Cohere, OpenaiChat, asked());
    assert!(
        short(&sent)[2].starts_with("user <document title=\"T\">\none\n</document>|<document>\nb: x"),
        "{:?}",
        short(&sent)
    );
}

#[test]
fn documents_that_are_text_stand_beside_the_turns_where_the_target_has_them_there() {
    let plain = ir::Block::Document(ir::DocumentBlock {
        title: Some(Text::plain("T")),
        source: ir::Source {
            kind: Some(ir::SourceKind::Text),
            text: Some(Text::plain("one")),
            ..Default::default()
        },
        ..Default::default()
    });
    let found = ir::Block::SearchResult(ir::SearchResultBlock {
        source: Some(Text::plain("http://x")),
        content: Some(vec![text("two")]),
        ..Default::default()
    });
    let pdf = ir::Block::Document(ir::DocumentBlock {
        source: ir::Source {
            kind: Some(ir::SourceKind::Bytes),
            media_type: Some(Text::plain("application/pdf")),
            data: Some(Text::plain("AA==")),
            ..Default::default()
        },
        ..Default::default()
    });
    let (sent, effects) = up(Anthropic, Cohere, request(vec![user(vec![plain, found, pdf, text("q")])]));
    assert_eq!(short(&sent), ["user q"]);
    let documents: Vec<String> = sent.documents.iter().flatten().map(block).collect();
    assert_eq!(
        documents,
        [r#"doc "" {"title":"T","text":"one"}"#, r#"doc "" {"url":"http://x","text":"two"}"#]
    );
    assert_eq!(effects.last().unwrap(), "lost: this protocol takes no documents of this media type");
}

#[test]
fn documents_have_names_that_the_target_takes_and_a_text_beside_them() {
    let pdf = |name: Option<&'static str>| {
        ir::Block::Document(ir::DocumentBlock {
            source: ir::Source {
                kind: Some(ir::SourceKind::Bytes),
                media_type: Some(Text::plain("application/pdf")),
                data: Some(Text::plain("AA==")),
                filename: name.map(Text::plain),
                ..Default::default()
            },
            ..Default::default()
        })
    };
    let asked = request(vec![
        user(vec![pdf(Some("Q3 report (v2).final_draft.pdf")), pdf(Some("a.pdf")), pdf(Some("a.pdf"))]),
        turn(ir::Role::Assistant, vec![text("x")]),
        user(vec![pdf(None), text("and this?")]),
    ]);
    let (sent, effects) = up(OpenaiChat, Bedrock, asked);
    assert_eq!(
        short(&sent),
        [
            "user doc \"Q3 report (v2)-final-draft\" |doc \"a\" |doc \"a (2)\" |The documents are attached.",
            "assistant x",
            "user doc \"document\" |and this?",
        ]
    );
    assert!(effects[0].contains("Q3 report (v2).final_draft.pdf"), "{effects:?}");
    assert_eq!(effects.last().unwrap(), "injected: the target wants a text beside a document");
}

#[test]
fn a_choice_that_the_target_has_no_word_for_is_said_in_other_ways() {
    let asked = |mode, turns| ir::Request {
        tools: Some(vec![tool("f"), tool("g")]),
        tool_choice: ir::ToolChoice { mode: Some(mode), name: Some(Text::plain("g")), ..Default::default() },
        ..request(turns)
    };
    let plain = || vec![user(vec![text("q")])];
    let (sent, effects) = up(OpenaiChat, Bedrock, asked(ir::ChoiceMode::None, plain()));
    assert_eq!((sent.tools, sent.tool_choice), (None, ir::ToolChoice::default()));
    let gone = "emulated: not offered, because none may be called";
    assert_eq!(effects, [gone, "emulated: no tool is offered, because none may be called"]);
    let history = with_result(vec![text("x")]).turns.unwrap();
    let (sent, effects) = up(OpenaiChat, Bedrock, asked(ir::ChoiceMode::None, history));
    assert_eq!(sent.tools.map(|tools| tools.len()), Some(2), "the history speaks of them");
    assert!(block(&sent.instructions.unwrap()[0]).starts_with("Do not call"));
    assert_eq!(effects, ["emulated: the model is asked in words to call no tool"]);
    let (sent, _) = up(OpenaiChat, Cohere, asked(ir::ChoiceMode::Named, plain()));
    assert_eq!(sent.tool_choice.mode, Some(ir::ChoiceMode::Required));
    assert_eq!(sent.tools, Some(vec![tool("g")]));
    let (sent, effects) = up(OpenaiChat, Cohere, asked(ir::ChoiceMode::Auto, plain()));
    assert_eq!((sent.tool_choice.mode, effects), (None, Vec::new()));
    let (sent, _) = up(OpenaiChat, Gemini, asked(ir::ChoiceMode::Named, plain()));
    assert_eq!(sent.tool_choice.mode, Some(ir::ChoiceMode::Named));
}

#[test]
fn tools_of_the_history_are_declared_where_they_must_be_and_none_may_be_called() {
    let asked = with_result(vec![text("sunny")]);
    let (sent, effects) = up(OpenaiChat, Bedrock, asked.clone());
    let names: Vec<_> = sent.tools.iter().flatten().map(|tool| format!("{tool:?}")).collect();
    assert!(matches!(names.as_slice(), [one] if one.contains(r#""f""#)), "{names:?}");
    assert!(format!("{:?}", sent.instructions).contains("Do not call any tool"), "{:?}", sent.instructions);
    assert_eq!(sent.tool_choice, ir::ToolChoice::default());
    assert!(
        effects.iter().any(|effect| effect.starts_with("injected: the target wants tools")),
        "{effects:?}"
    );
    let (sent, _) = up(OpenaiChat, Anthropic, asked);
    assert_eq!(sent.tools, None);
    let (sent, _) = up(OpenaiChat, Bedrock, request(vec![user(vec![text("a")])]));
    assert_eq!(sent.tools, None);
}

#[test]
fn one_call_at_a_time_is_asked_for_in_words_where_there_is_no_switch() {
    let asked = ir::Request {
        tools: Some(vec![tool("f")]),
        tool_choice: ir::ToolChoice { parallel: Some(false), ..Default::default() },
        ..request(vec![user(vec![text("q")])])
    };
    for target in [Gemini, Bedrock, Cohere] {
        let (sent, effects) = up(OpenaiChat, target, asked.clone());
        assert_eq!(sent.tool_choice.parallel, None);
        let told = format!("{:?}{:?}", sent.instructions, sent.turns);
        assert!(told.contains("at most one tool"), "{target}: {told}");
        assert!(
            effects.iter().any(|effect| effect.starts_with("emulated: the model is asked")),
            "{effects:?}"
        );
    }
    let (sent, _) = up(OpenaiChat, Anthropic, asked.clone());
    assert_eq!(sent.tool_choice.parallel, Some(false));
    let without = ir::Request { tools: None, ..asked };
    let (sent, effects) = up(OpenaiChat, Gemini, without);
    assert_eq!((sent.instructions, effects), (None, Vec::new()));
}
