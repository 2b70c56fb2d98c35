//! What a client of each protocol makes of an answer: its words, whether it is complete, and the error told.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::http::{Connection, Message};

/// An answer as its reader has it in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The words of the model.
    pub words: String,
    /// Whether it says that it is complete.
    pub complete: bool,
    /// The error that it tells, in the protocol's own form.
    pub error: Option<String>,
    /// Whether the transfer ended as HTTP has it.
    pub ended: bool,
    /// The model that answered.
    pub lane: Option<String>,
    /// How many were tried.
    pub attempts: usize,
}

/// Sends a request and reads all of the answer, broken off or not.
///
/// # Errors
/// When there is no head of an answer, or what came is not in the protocol's form.
pub fn ask(connection: &mut Connection, dialect: Dialect, request: &[u8], streamed: bool) -> Result<Answer> {
    connection.write(request)?;
    let mut message = connection.head()?;
    let mut answer = Answer {
        status: message.status(),
        lane: message.header("x-busbar-lane").map(str::to_owned),
        attempts: message.header("x-busbar-attempts").map_or(Ok(1), str::parse)?,
        ..Answer::default()
    };
    (message.body, answer.ended) = match message.header("content-length") {
        Some(length) => (connection.bytes(length.parse()?)?, true),
        None => connection.chunks(),
    };
    if answer.status != 200 {
        answer.error = Some(dialect.error(&message)?.message);
        return Ok(answer);
    }
    if !streamed {
        (answer.words, answer.complete) = whole(dialect, &message.json()?).context(message.text())?;
        return Ok(answer);
    }
    let documents = match dialect {
        Dialect::Bedrock => frames(&message.body)?,
        _ => events(&message)?,
    };
    for document in documents {
        let is_afterwards = is_afterwards(dialect, &document);
        ensure!(answer.error.is_none() || is_afterwards, "something comes after an error: {document}");
        ensure!(!answer.complete || is_afterwards, "something comes after the end: {document}");
        let Said { words, end, error } = read(dialect, &document);
        answer.words += &words;
        answer.complete |= end;
        answer.error = error.or(answer.error);
    }
    Ok(answer)
}

/// What an event of a stream says.
#[derive(Default)]
struct Said {
    words: String,
    end: bool,
    error: Option<String>,
}

fn whole(dialect: Dialect, body: &Value) -> Result<(String, bool)> {
    let texts = |list: &Value, kind: &str| -> String {
        let list = list.as_array().into_iter().flatten();
        let texts = list.filter(|part| kind.is_empty() || part["type"] == kind);
        texts.filter_map(|part| part["text"].as_str()).collect()
    };
    let (words, end) = match dialect {
        Dialect::OpenaiChat => {
            let choice = &body["choices"][0];
            (text(&choice["message"]["content"]), choice["finish_reason"] == "stop")
        }
        Dialect::OpenaiResponses => {
            let items = body["output"].as_array().context("no output")?;
            let messages = items.iter().filter(|item| item["type"] == "message");
            let words = messages.map(|item| texts(&item["content"], "output_text")).collect();
            (words, body["status"] == "completed")
        }
        Dialect::Anthropic => (texts(&body["content"], "text"), body["stop_reason"] == "end_turn"),
        Dialect::Gemini => {
            let candidate = &body["candidates"][0];
            (texts(&candidate["content"]["parts"], ""), candidate["finishReason"] == "STOP")
        }
        Dialect::Bedrock => {
            (texts(&body["output"]["message"]["content"], ""), body["stopReason"] == "end_turn")
        }
        Dialect::Cohere => (texts(&body["message"]["content"], "text"), body["finish_reason"] == "COMPLETE"),
    };
    Ok((words, end))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What may come after the end: usage, and the word that nothing comes.
fn is_afterwards(dialect: Dialect, document: &Value) -> bool {
    match dialect {
        Dialect::OpenaiChat => {
            document == "[DONE]" || document["choices"].as_array().is_some_and(Vec::is_empty)
        }
        Dialect::Gemini => document["candidates"].is_null(),
        Dialect::Bedrock => !document["metadata"].is_null(),
        // Told twice: as an event of its own, and as the state of the whole.
        Dialect::OpenaiResponses => document["type"] == "response.failed",
        _ => false,
    }
}

fn read(dialect: Dialect, document: &Value) -> Said {
    let words = |value: &Value| Said { words: text(value), ..Said::default() };
    let error = |value: &Value| Said { error: Some(text(value)), ..Said::default() };
    let end = || Said { end: true, ..Said::default() };
    let kind = document["type"].as_str().unwrap_or_default();
    match dialect {
        Dialect::OpenaiChat | Dialect::Gemini if !document["error"].is_null() => {
            error(&document["error"]["message"])
        }
        Dialect::OpenaiChat => {
            let choice = &document["choices"][0];
            Said { end: choice["finish_reason"] == "stop", ..words(&choice["delta"]["content"]) }
        }
        Dialect::OpenaiResponses => match kind {
            "response.output_text.delta" => words(&document["delta"]),
            "response.completed" => end(),
            "response.failed" => error(&document["response"]["error"]["message"]),
            "error" => error(&document["message"]),
            _ => Said::default(),
        },
        Dialect::Anthropic => match kind {
            "content_block_delta" => words(&document["delta"]["text"]),
            "message_stop" => end(),
            "error" => error(&document["error"]["message"]),
            _ => Said::default(),
        },
        Dialect::Gemini => {
            let candidate = &document["candidates"][0];
            let parts = candidate["content"]["parts"].as_array().into_iter().flatten();
            let words = parts.map(|part| text(&part["text"])).collect();
            Said { words, end: candidate["finishReason"] == "STOP", error: None }
        }
        Dialect::Bedrock => {
            if !document["exception"].is_null() {
                error(&document["exception"]["message"])
            } else if !document["messageStop"].is_null() {
                end()
            } else {
                words(&document["contentBlockDelta"]["delta"]["text"])
            }
        }
        Dialect::Cohere => match kind {
            "content-delta" => words(&document["delta"]["message"]["content"]["text"]),
            "message-end" if document["delta"]["finish_reason"] == "ERROR" => {
                error(&document["delta"]["error"])
            }
            "message-end" => end(),
            _ => Said::default(),
        },
    }
}

/// The events of a stream; one that was cut off inside is none.
fn events(message: &Message) -> Result<Vec<Value>> {
    let kind = message.header("content-type").unwrap_or_default();
    ensure!(kind.starts_with("text/event-stream"), "content-type {kind:?}: {}", message.text());
    let text = message.text().replace("\r\n", "\n");
    let events = text.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n"));
    let data = events.filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    data.map(|data| match data {
        "[DONE]" => Ok(Value::from(data)),
        _ => serde_json::from_str(data).with_context(|| format!("no JSON: {data:?}")),
    })
    .collect()
}

/// The frames of an AWS event stream, each under its kind; one that was cut off is none.
fn frames(mut bytes: &[u8]) -> Result<Vec<Value>> {
    const PRELUDE: usize = 12;
    const CHECKSUM: usize = 4;
    let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize);
    let mut found = Vec::new();
    while let (Some(length), Some(headers)) = (number(bytes), number(bytes.get(4..).unwrap_or_default())) {
        if bytes.len() < length {
            break;
        }
        ensure!(length >= PRELUDE + headers + CHECKSUM, "a frame of {length} bytes");
        let (frame, rest) = bytes.split_at(length);
        let (body, checksum) = frame.split_at(length - CHECKSUM);
        ensure!(number(checksum) == Some(crc32fast::hash(body) as usize), "a frame's checksum is wrong");
        let (head, payload) = body[PRELUDE..].split_at(headers);
        let fields = fields(head)?;
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let kind = match field(":message-type") {
            Some("event") => field(":event-type"),
            Some("exception") => Some("exception"),
            other => bail!("a message of type {other:?}"),
        };
        let payload: Value = serde_json::from_slice(payload).context("a frame without JSON")?;
        found.push(serde_json::json!({ kind.context("a frame without a kind")?: payload }));
        bytes = rest;
    }
    Ok(found)
}

/// The headers of a frame, all texts.
fn fields(mut head: &[u8]) -> Result<Vec<(String, String)>> {
    let mut take = |count: usize| -> Result<&[u8]> {
        let taken = head.get(..count).context("a header ends too early")?;
        head = &head[count..];
        Ok(taken)
    };
    let mut fields = Vec::new();
    while let Ok(length) = take(1) {
        let name = String::from_utf8(take(usize::from(length[0]))?.to_vec())?;
        ensure!(take(1)? == [7], "a header that is no text");
        let length = take(2)?;
        let value = take(usize::from(u16::from_be_bytes([length[0], length[1]])))?;
        fields.push((name, String::from_utf8(value.to_vec())?));
    }
    Ok(fields)
}
