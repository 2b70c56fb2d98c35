//! What the text of an answer comes from: beside the content at Google, at the text elsewhere.
//!
//! Google counts in bytes of the whole text of an answer, others in characters.

use busbar_protocols::gemini as wire;
use busbar_protocols::{EffectKind, Field, Num, Text, ir};

use super::super::super::shape::Shape;
use super::take as take_field;

/// Citations of one answer at most.
const MAX_CITATIONS: usize = 4096;

/// A source, and the bytes of the text that come from it.
pub(super) struct Found<'a> {
    citation: ir::Citation<'a>,
    start: usize,
    end: Option<usize>,
}

/// Takes what says where the text comes from out of a candidate; what else is said stays.
pub(super) fn take<'a>(candidate: &mut wire::Candidate<'a>) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let parts = candidate.content.as_ref().and_then(|content| content.parts.as_ref());
    let is_text =
        |part: &wire::Part<'_>| part.text.as_ref().is_some() && part.thought.as_ref() != Some(&true);
    if !parts.into_iter().flatten().any(is_text) {
        return found;
    }
    if let Field::Value(metadata) = &mut candidate.grounding_metadata {
        let chunks = take_field(&mut metadata.grounding_chunks).unwrap_or_default();
        let mut used = vec![false; chunks.len()];
        let mut left = Vec::new();
        for mut support in take_field(&mut metadata.grounding_supports).unwrap_or_default() {
            let segment = take_field(&mut support.segment).unwrap_or_default();
            let (start, end) = (at(&segment.start_index).unwrap_or(0), at(&segment.end_index));
            let mut nowhere = Vec::new();
            for index in take_field(&mut support.grounding_chunk_indices).unwrap_or_default() {
                let place = index.as_u64().and_then(|index| usize::try_from(index).ok());
                let citation = place.and_then(|place| Some((place, source_of(chunks.get(place)?)?)));
                if let Some((place, citation)) = citation {
                    used[place] = true;
                    push(&mut found, Found { citation, start, end });
                } else {
                    nowhere.push(index);
                }
            }
            if !nowhere.is_empty() {
                support.grounding_chunk_indices = Field::Value(nowhere);
                support.segment = Field::Value(segment);
            }
            if support != wire::GroundingSupport::default() {
                left.push(support);
            }
        }
        if !left.is_empty() {
            metadata.grounding_supports = Field::Value(left);
        }
        // What no support points to is no citation of these words; it stays, to be reported.
        let unused: Vec<_> =
            chunks.into_iter().zip(used).filter(|(_, used)| !used).map(|(chunk, _)| chunk).collect();
        if !unused.is_empty() {
            metadata.grounding_chunks = Field::Value(unused);
        }
        if **metadata == wire::GroundingMetadata::default() {
            candidate.grounding_metadata = Field::Absent;
        }
    }
    if let Field::Value(metadata) = &mut candidate.citation_metadata {
        let mut left = Vec::new();
        for mut source in take_field(&mut metadata.citation_sources).unwrap_or_default() {
            let (start, end) = (at(&source.start_index).unwrap_or(0), at(&source.end_index));
            if let Some(citation) = address(take_field(&mut source.uri), None) {
                push(&mut found, Found { citation, start, end });
                (source.start_index, source.end_index) = (Field::Absent, Field::Absent);
            }
            if source != wire::CitationSource::default() {
                left.push(source);
            }
        }
        if !left.is_empty() {
            metadata.citation_sources = Field::Value(left);
        }
        let mut left = Vec::new();
        for mut source in take_field(&mut metadata.citations).unwrap_or_default() {
            let (start, end) = (at(&source.start_index).unwrap_or(0), at(&source.end_index));
            if source.uri.as_ref().is_some_and(|uri| !uri.is_empty()) {
                let said = (take_field(&mut source.uri), take_field(&mut source.title));
                if let Some(citation) = address(said.0, said.1) {
                    push(&mut found, Found { citation, start, end });
                }
                (source.start_index, source.end_index) = (Field::Absent, Field::Absent);
            }
            if source != wire::Citation::default() {
                left.push(source);
            }
        }
        if !left.is_empty() {
            metadata.citations = Field::Value(left);
        }
        if *metadata == wire::CitationMetadata::default() {
            candidate.citation_metadata = Field::Absent;
        }
    }
    found
}

/// Adds one that is not there yet: Google may tell of a source in both ways.
fn push<'a>(found: &mut Vec<Found<'a>>, one: Found<'a>) {
    let is_same = |known: &Found<'_>| {
        (known.start, known.end) == (one.start, one.end)
            && known.citation.url == one.citation.url
            && (known.citation.source == one.citation.source)
            && (one.citation.title.is_none() || known.citation.title == one.citation.title)
    };
    if found.len() < MAX_CITATIONS && !found.iter().any(is_same) {
        found.push(one);
    }
}

fn at(position: &Field<Num<'_>>) -> Option<usize> {
    position.as_ref().and_then(Num::as_u64).and_then(|at| usize::try_from(at).ok())
}

/// What a chunk of grounding names.
fn source_of<'a>(chunk: &wire::GroundingChunk<'a>) -> Option<ir::Citation<'a>> {
    let text = |field: &Field<Text<'a>>| field.as_ref().cloned();
    if let Some(web) = chunk.web.as_ref() {
        return address(text(&web.uri), text(&web.title));
    }
    if let Some(place) = chunk.maps.as_ref() {
        return address(text(&place.uri), text(&place.title));
    }
    if let Some(image) = chunk.image.as_ref() {
        return address(text(&image.source_uri), text(&image.title));
    }
    let context = chunk.retrieved_context.as_ref()?;
    let uri = text(&context.uri).filter(|uri| !uri.is_empty());
    let is_address = uri.as_ref().is_some_and(|uri| uri.starts_with("http"));
    let (kind, url, source) = if is_address {
        (ir::CitationKind::Url, uri, None)
    } else {
        (ir::CitationKind::SearchResult, None, uri)
    };
    let (title, cited_text) = (text(&context.title), text(&context.text));
    Some(ir::Citation { kind: Some(kind), url, source, title, cited_text, ..ir::Citation::default() })
}

fn address<'a>(url: Option<Text<'a>>, title: Option<Text<'a>>) -> Option<ir::Citation<'a>> {
    let url = Some(url.filter(|url| !url.is_empty())?);
    Some(ir::Citation { kind: Some(ir::CitationKind::Url), url, title, ..ir::Citation::default() })
}

/// Puts citations at the texts that they end in.
pub(super) fn put<'a>(candidate: &mut ir::Candidate<'a>, found: Vec<Found<'a>>) {
    if found.is_empty() {
        return;
    }
    let mut said = String::new();
    let mut ends = Vec::new();
    let content = candidate.content.get_or_insert_with(Vec::new);
    for (place, block) in content.iter().enumerate() {
        if let ir::Block::Text(node) = block {
            let text = node.text.as_ref().map(Text::decode).unwrap_or_default();
            said.push_str(&text);
            // An empty text may be left out, and what is cited with it.
            if !text.is_empty() || ends.is_empty() {
                ends.push((said.len(), place));
            }
        }
    }
    for Found { mut citation, start, end } in found {
        let chars = |bytes: usize| said.get(..bytes).map(|before| before.chars().count() as u64);
        if let Some((first, last)) = end.and_then(|end| Some((chars(start)?, chars(end)?))) {
            (citation.text_start, citation.text_end) = (Some(Num::from(first)), Some(Num::from(last)));
        }
        let end = end.unwrap_or(said.len());
        let block = ends.iter().find(|(until, _)| end <= *until).or(ends.last());
        if let Some(ir::Block::Text(node)) = block.and_then(|(_, place)| content.get_mut(*place)) {
            node.citations.get_or_insert_with(Vec::new).push(citation);
        }
    }
}

/// Takes the citations of a candidate's texts and says them as Google does.
pub(super) fn write(
    candidate: &mut ir::Candidate<'_>,
    shape: &mut Shape<'_>,
) -> Option<wire::GroundingMetadata<'static>> {
    let mut said = String::new();
    let mut chunks: Vec<wire::GroundingChunk<'static>> = Vec::new();
    let mut supports = Vec::new();
    for block in candidate.content.iter_mut().flatten() {
        let ir::Block::Text(node) = block else { continue };
        let begin = said.len();
        said.push_str(&node.text.as_ref().map(Text::decode).unwrap_or_default());
        for citation in node.citations.take().into_iter().flatten().take(MAX_CITATIONS) {
            tell_lost(&citation, shape);
            if citation.kind != Some(ir::CitationKind::Url) {
                let reason = "a citation of a supplied document names the document, not the place in it";
                shape.report.node(EffectKind::Adapted, citation.at, reason);
            }
            let chunk = chunk_of(&citation);
            let index = chunks.iter().position(|known| *known == chunk).unwrap_or_else(|| {
                chunks.push(chunk);
                chunks.len() - 1
            });
            let bytes = |position: &Option<Num<'_>>| {
                let chars = usize::try_from(position.as_ref()?.as_u64()?).ok()?;
                said.char_indices().map(|(at, _)| at).chain([said.len()]).nth(chars)
            };
            let place = bytes(&citation.text_start).zip(bytes(&citation.text_end));
            let (start, end) = place.filter(|(start, end)| start <= end).unwrap_or((begin, said.len()));
            let words = said.get(start..end).unwrap_or_default().to_owned();
            supports.push(wire::GroundingSupport {
                segment: Field::Value(wire::Segment {
                    start_index: Field::Value(Num::from(start as u64)),
                    end_index: Field::Value(Num::from(end as u64)),
                    text: Field::Value(Text::plain(words)),
                    ..Default::default()
                }),
                grounding_chunk_indices: Field::Value(vec![Num::from(index as u64)]),
                ..Default::default()
            });
        }
    }
    (!supports.is_empty()).then(|| wire::GroundingMetadata {
        grounding_chunks: Field::Value(chunks),
        grounding_supports: Field::Value(supports),
        ..Default::default()
    })
}

/// Reports what of a citation has no place here.
fn tell_lost(citation: &ir::Citation<'_>, shape: &mut Shape<'_>) {
    shape.report.cx.leftovers(&citation.native);
    let is_url = citation.kind == Some(ir::CitationKind::Url);
    let said = [
        (citation.cited_text.is_some() && is_url, "cited_text", "an address is cited without its words"),
        (citation.encrypted_index.is_some(), "encrypted_index", "Google wants no reference back"),
        (citation.source.is_some() && (is_url || citation.url.is_some()), "source", "the address says it"),
        (citation.start.is_some(), "start", "the place in the source is not told"),
        (citation.end.is_some(), "end", "the place in the source is not told"),
        (citation.document_index.is_some(), "document_index", "the document is told by its name"),
        (citation.search_result_index.is_some(), "search_result_index", "the result is told by its name"),
        (citation.file_id.is_some(), "file_id", "the file is told by its name"),
    ];
    for (_, path, reason) in said.into_iter().filter(|(is_said, ..)| *is_said) {
        shape.report.member(EffectKind::Dropped, citation.at, "Citation", path, reason);
    }
}

fn chunk_of(citation: &ir::Citation<'_>) -> wire::GroundingChunk<'static> {
    let field = |text: &Option<Text<'_>>| match text {
        Some(text) => Field::Value(text.clone().into_owned()),
        None => Field::Absent,
    };
    let (uri, title) = (field(&citation.url), field(&citation.title));
    let mut chunk = wire::GroundingChunk::default();
    if citation.kind == Some(ir::CitationKind::Url) {
        chunk.web = Field::Value(wire::GroundingChunkWeb { uri, title, ..Default::default() });
        return chunk;
    }
    let uri = if uri.is_absent() { field(&citation.source) } else { uri };
    let context = wire::GroundingChunkRetrievedContext {
        uri,
        title,
        text: field(&citation.cited_text),
        ..Default::default()
    };
    chunk.retrieved_context = Field::Value(context.into());
    chunk
}

#[cfg(test)]
mod tests {
    use busbar_protocols::prelude::Wire as _;

    use super::*;

    fn text(said: &'static str) -> ir::Block<'static> {
        ir::Block::Text(ir::TextBlock { text: Some(Text::plain(said)), ..Default::default() })
    }

    #[test]
    fn bytes_of_the_whole_become_characters_at_the_text_that_ends_there() {
        let wire = r#"{"content":{"parts":[{"text":"x"}]},"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}}],
            "groundingSupports":[{"segment":{"endIndex":3},"groundingChunkIndices":[0]},
                {"segment":{"startIndex":3,"endIndex":6},"groundingChunkIndices":[0,7],"confidenceScores":[0.5]}],
            "webSearchQueries":["q"]},
            "citationMetadata":{"citationSources":[{"uri":"https://a","endIndex":3},
                {"uri":"https://b","endIndex":1,"license":"mit"}]}}"#;
        let mut wire = wire::Candidate::parse(wire.as_bytes()).unwrap();
        let found = take(&mut wire);
        wire.content = Field::Absent;
        let left = String::from_utf8(wire.to_json()).unwrap();
        assert_eq!(
            left,
            r#"{"citationMetadata":{"citationSources":[{"license":"mit"}]},"groundingMetadata":{"groundingSupports":[{"confidenceScores":[0.5],"groundingChunkIndices":[7],"segment":{"endIndex":6,"startIndex":3}}],"webSearchQueries":["q"]}}"#
        );
        let mut candidate =
            ir::Candidate { content: Some(vec![text("é!"), text("abc")]), ..ir::Candidate::default() };
        put(&mut candidate, found);
        let cited: Vec<Vec<_>> = candidate
            .content
            .iter()
            .flatten()
            .map(|block| {
                let ir::Block::Text(node) = block else { panic!("text") };
                let citations = node.citations.iter().flatten();
                citations
                    .map(|one| {
                        let position = |at: &Option<Num<'_>>| at.as_ref().and_then(Num::as_u64);
                        (one.url.as_ref().unwrap().decode().into_owned(), position(&one.text_end))
                    })
                    .collect()
            })
            .collect();
        let one = |url: &str, end| (url.to_owned(), end);
        // The second source ends inside a character: where it ends cannot be told in characters.
        assert_eq!(
            cited,
            [vec![one("https://a", Some(2)), one("https://b", None)], vec![one("https://a", Some(5))]]
        );
    }
}
