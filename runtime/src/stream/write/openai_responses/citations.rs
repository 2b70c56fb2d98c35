//! What a text cites, as annotations of its part.

use busbar_protocols::ir::{Citation, CitationKind};
use busbar_protocols::{EffectKind, Num, Text};

use super::super::{WriteState, write_str, write_u64};

/// A citation that outlives its event.
pub(super) fn owned(citation: &Citation<'_>) -> Citation<'static> {
    let text = |text: &Option<Text<'_>>| text.clone().map(Text::into_owned);
    let num = |num: &Option<Num<'_>>| num.clone().map(Num::into_owned);
    Citation {
        kind: citation.kind.as_ref().map(|kind| match kind {
            CitationKind::Url => CitationKind::Url,
            other => CitationKind::Other(other.text().into_owned()),
        }),
        url: text(&citation.url),
        title: text(&citation.title),
        file_id: text(&citation.file_id),
        source: text(&citation.source),
        document_index: num(&citation.document_index),
        text_start: num(&citation.text_start),
        text_end: num(&citation.text_end),
        ..Citation::default()
    }
}

/// The annotations of a text that stands as it is between quotes.
pub(super) fn written(
    citations: Vec<Citation<'static>>,
    text: &[u8],
    cx: &mut WriteState<'_>,
) -> Vec<Vec<u8>> {
    if citations.is_empty() {
        return Vec::new();
    }
    let quoted = [b"\"", text, b"\""].concat();
    let length = serde_json::from_slice::<String>(&quoted).map_or(0, |text| text.chars().count() as u64);
    let home = cx.call.client == cx.call.backend;
    let mut written = Vec::with_capacity(citations.len());
    for citation in citations {
        match annotation(&citation, length, home) {
            Some(json) => written.push(json),
            None => {
                let reason = "this protocol's answer cites addresses and files of the provider alone";
                cx.ledger.note(EffectKind::Dropped, "content.citations", reason);
            }
        }
    }
    written
}

fn annotation(citation: &Citation<'_>, length: u64, home: bool) -> Option<Vec<u8>> {
    let number = |number: &Option<Num<'_>>| number.as_ref().and_then(Num::as_u64);
    let (start, end) = (number(&citation.text_start), number(&citation.text_end));
    let index = number(&citation.document_index).unwrap_or(0);
    let mut json = br#"{"type":""#.to_vec();
    let kind = citation.kind.as_ref()?.text();
    let kind = kind.decode();
    let (name, texts, numbers): (_, Vec<(_, &Option<Text<'_>>)>, Vec<(_, u64)>) = match &*kind {
        "url" => (
            "url_citation",
            vec![("title", &citation.title), ("url", &citation.url)],
            vec![("start_index", start.unwrap_or(0)), ("end_index", end.unwrap_or(length))],
        ),
        // Other protocols' ids of files mean nothing to these clients.
        "file_citation" if home => (
            "file_citation",
            vec![("file_id", &citation.file_id), ("filename", &citation.title)],
            vec![("index", index)],
        ),
        "file_path" if home => ("file_path", vec![("file_id", &citation.file_id)], vec![("index", index)]),
        "container_file_citation" if home => (
            "container_file_citation",
            vec![
                ("container_id", &citation.source),
                ("file_id", &citation.file_id),
                ("filename", &citation.title),
            ],
            vec![("start_index", start.unwrap_or(0)), ("end_index", end.unwrap_or(length))],
        ),
        _ => return None,
    };
    json.extend_from_slice(name.as_bytes());
    json.push(b'"');
    for (name, number) in numbers {
        json.extend_from_slice(b",\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":");
        write_u64(number, &mut json);
    }
    for (name, text) in texts {
        json.extend_from_slice(b",\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":");
        match text {
            Some(text) => text.write(&mut json),
            None => write_str("", &mut json),
        }
    }
    json.push(b'}');
    Some(json)
}
