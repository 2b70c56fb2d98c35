//! What the reader looks at of an event: little of a large one, as it is written.

use busbar_protocols::prelude::Checked;
use busbar_protocols::{Json, Num, Text, Wire};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::stream::StreamFault;

/// A member as it is written.
type Raw<'a> = Option<&'a RawValue>;

/// One event; which members it has depends on its type.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow, default)]
    r#type: Raw<'a>,
    #[serde(borrow, default)]
    output_index: Raw<'a>,
    #[serde(borrow, default)]
    item_id: Raw<'a>,
    #[serde(borrow, default)]
    content_index: Raw<'a>,
    #[serde(borrow, default)]
    summary_index: Raw<'a>,
    #[serde(borrow, default)]
    delta: Raw<'a>,
    #[serde(borrow, default)]
    text: Raw<'a>,
    #[serde(borrow, default)]
    refusal: Raw<'a>,
    #[serde(borrow, default)]
    arguments: Raw<'a>,
    #[serde(borrow, default)]
    input: Raw<'a>,
    #[serde(borrow, default)]
    annotation: Raw<'a>,
    #[serde(borrow, default)]
    part: Raw<'a>,
    #[serde(borrow, default)]
    item: Raw<'a>,
    #[serde(borrow, default)]
    response: Raw<'a>,
    #[serde(borrow, default)]
    logprobs: Raw<'a>,
}

/// The answer as the events that begin and end it have it.
#[derive(Deserialize)]
pub(super) struct Whole<'a> {
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    model: Raw<'a>,
    #[serde(borrow, default)]
    created_at: Raw<'a>,
    #[serde(borrow, default)]
    service_tier: Raw<'a>,
    #[serde(borrow, default)]
    status: Raw<'a>,
    #[serde(borrow, default)]
    incomplete_details: Raw<'a>,
    #[serde(borrow, default)]
    output: Raw<'a>,
    #[serde(borrow, default)]
    usage: Raw<'a>,
}

/// One item of the output, of whatever type.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, default)]
    r#type: Raw<'a>,
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    call_id: Raw<'a>,
    #[serde(borrow, default)]
    name: Raw<'a>,
    #[serde(borrow, default)]
    namespace: Raw<'a>,
    #[serde(borrow, default)]
    arguments: Raw<'a>,
    #[serde(borrow, default)]
    input: Raw<'a>,
    #[serde(borrow, default)]
    content: Raw<'a>,
    #[serde(borrow, default)]
    summary: Raw<'a>,
    #[serde(borrow, default)]
    encrypted_content: Raw<'a>,
}

/// One part of an item's content or summary.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    r#type: Raw<'a>,
    #[serde(borrow, default)]
    text: Raw<'a>,
    #[serde(borrow, default)]
    refusal: Raw<'a>,
    #[serde(borrow, default)]
    annotations: Raw<'a>,
    #[serde(borrow, default)]
    logprobs: Raw<'a>,
}

/// What a text points at.
#[derive(Deserialize)]
pub(super) struct Annotation<'a> {
    #[serde(borrow, default)]
    r#type: Raw<'a>,
    #[serde(borrow, default)]
    url: Raw<'a>,
    #[serde(borrow, default)]
    title: Raw<'a>,
    #[serde(borrow, default)]
    filename: Raw<'a>,
    #[serde(borrow, default)]
    file_id: Raw<'a>,
    #[serde(borrow, default)]
    container_id: Raw<'a>,
    #[serde(borrow, default)]
    start_index: Raw<'a>,
    #[serde(borrow, default)]
    end_index: Raw<'a>,
    #[serde(borrow, default)]
    index: Raw<'a>,
}

#[derive(Deserialize)]
struct Why<'a> {
    #[serde(borrow, default)]
    reason: Raw<'a>,
}

macro_rules! members {
    ($type:ident: $($kind:ident $name:ident),+) => {
        impl<'a> $type<'a> {
            $(pub(super) fn $name(&self) -> members!(@type $kind) { $kind(self.$name) })+
        }
    };
    (@type text) => { Option<Text<'a>> };
    (@type count) => { Option<u64> };
    (@type num) => { Option<Num<'a>> };
    (@type raw) => { Option<&'a str> };
    (@type list) => { Vec<&'a RawValue> };
}

members!(Said:
    count output_index, text item_id, count content_index, count summary_index, text delta, text text, text refusal,
    text arguments, text input, raw annotation, raw part, raw item, raw response, list logprobs);
members!(Whole:
    text id, text model, num created_at, text service_tier, text status, list output, raw usage);
members!(Item:
    text id, text call_id, text name, text namespace, text input, text encrypted_content, list content, list summary);
members!(Part: text text, text refusal, list annotations, list logprobs);
members!(Annotation:
    text url, text title, text filename, text file_id, text container_id, num start_index, num end_index, num index);

impl<'a> Said<'a> {
    /// The event's type; empty when there is none.
    pub(super) fn kind(&self) -> Text<'a> {
        text(self.r#type).unwrap_or_default()
    }
}

impl<'a> Whole<'a> {
    /// Why it is not complete.
    pub(super) fn reason(&self) -> Option<Text<'a>> {
        let why: Why<'a> = serde_json::from_str(raw(self.incomplete_details)?).ok()?;
        text(why.reason)
    }
}

impl<'a> Item<'a> {
    /// The item's type; empty when there is none.
    pub(super) fn kind(&self) -> Text<'a> {
        text(self.r#type).unwrap_or_default()
    }

    /// The arguments' text, also of servers that write the object itself.
    pub(super) fn arguments(&self) -> Option<Text<'a>> {
        text(self.arguments).or_else(|| raw(self.arguments).map(Text::plain))
    }
}

impl<'a> Part<'a> {
    /// The part's type; empty when there is none.
    pub(super) fn kind(&self) -> Text<'a> {
        text(self.r#type).unwrap_or_default()
    }
}

impl<'a> Annotation<'a> {
    /// Its type; empty when there is none.
    pub(super) fn kind(&self) -> Text<'a> {
        text(self.r#type).unwrap_or_default()
    }
}

/// Reads a value of one of these types.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, StreamFault> {
    // The parser's own words name this program's types, and perhaps what is said.
    serde_json::from_str(json).map_err(|_| StreamFault::Malformed {
        path: String::new(),
        message: "expected an object with each member once".into(),
    })
}

/// The value, unless it is null.
fn raw(raw: Raw<'_>) -> Option<&str> {
    raw.map(RawValue::get).filter(|value| *value != "null")
}

fn text(member: Raw<'_>) -> Option<Text<'_>> {
    let value = raw(member).filter(|value| value.starts_with('"'))?;
    Text::from_checked(Checked::assume(value.as_bytes()).ok()?).ok()
}

fn num(member: Raw<'_>) -> Option<Num<'_>> {
    let value = raw(member)?;
    Num::from_checked(Checked::assume(value.as_bytes()).ok()?).ok()
}

fn count(member: Raw<'_>) -> Option<u64> {
    num(member).as_ref().and_then(Num::as_u64)
}

fn list(member: Raw<'_>) -> Vec<&RawValue> {
    raw(member).and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
}

/// A value as it came.
pub(super) fn json(value: &str) -> Option<Json<'_>> {
    Json::from_checked(Checked::assume(value.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_other_kinds_count_as_missing() {
        let said: Said<'_> = read(
            r#"{"type":"t","output_index":2,"content_index":null,"delta":"a\nb","text":{"x":1},"logprobs":{}}"#,
        )
        .unwrap();
        assert_eq!((said.kind(), said.output_index(), said.content_index()), ("t".into(), Some(2), None));
        assert_eq!(said.delta().unwrap().decode(), "a\nb");
        assert!(said.text().is_none() && said.logprobs().is_empty());
    }

    #[test]
    fn arguments_that_are_an_object_are_its_text() {
        let item: Item<'_> = read(r#"{"arguments":{"b": 1.0}}"#).unwrap();
        assert_eq!(item.arguments().unwrap(), r#"{"b": 1.0}"#);
        let item: Item<'_> = read(r#"{"arguments":"{}"}"#).unwrap();
        assert_eq!(item.arguments().unwrap(), "{}");
    }
}
