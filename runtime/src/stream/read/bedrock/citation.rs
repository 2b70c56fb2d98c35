//! Citations in a stream of Converse events.

use busbar_protocols::bedrock::{CitationLocationForm, CitationsDelta};
use busbar_protocols::ir::{Citation, CitationKind};
use busbar_protocols::prelude::Field;
use busbar_protocols::{Num, Text};

/// The citation that a delta tells.
pub(super) fn read(delta: CitationsDelta<'_>) -> Citation<'_> {
    let mut out =
        Citation { title: delta.title.value(), source: delta.source.value(), ..Citation::default() };
    let words = delta.source_content.value().unwrap_or_default();
    let mut words = words.into_iter().filter_map(|part| part.text.value());
    out.cited_text = words.next();
    for more in words {
        let before = out.cited_text.take().unwrap_or_default();
        out.cited_text = Some(Text::from(format!("{}{}", before.decode(), more.decode())));
    }
    match delta.location.value().and_then(|location| location.value) {
        Some(CitationLocationForm::DocumentChar(at)) => {
            within(&mut out, CitationKind::Char, at.start, at.end);
            out.document_index = at.document_index.value();
        }
        Some(CitationLocationForm::DocumentPage(at)) => {
            within(&mut out, CitationKind::Page, at.start, at.end);
            out.document_index = at.document_index.value();
        }
        Some(CitationLocationForm::DocumentChunk(at)) => {
            within(&mut out, CitationKind::Block, at.start, at.end);
            out.document_index = at.document_index.value();
        }
        Some(CitationLocationForm::SearchResultLocation(at)) => {
            within(&mut out, CitationKind::SearchResult, at.start, at.end);
            out.search_result_index = at.search_result_index.value();
        }
        Some(CitationLocationForm::Web(at)) => {
            out.kind = Some(CitationKind::Url);
            out.url = at.url.value();
        }
        None => {}
    }
    out
}

fn within<'a>(out: &mut Citation<'a>, kind: CitationKind<'a>, start: Field<Num<'a>>, end: Field<Num<'a>>) {
    out.kind = Some(kind);
    out.start = start.value();
    out.end = end.value();
}
