//! What a request gave to be cited from, by the names that both sides have for it.

use busbar_protocols::{Num, Text, ir};

/// A document or a search result of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its id, where documents have one.
    pub id: String,
    /// Its number, where they have one.
    pub place: Place,
    /// Its title.
    pub title: Option<String>,
    /// Address or name of a search result.
    pub source: Option<String>,
}

/// A number among the documents, or among the search results, of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A document.
    Document(u64),
    /// A search result.
    SearchResult(u64),
}

/// The id of a document that has none, by its number.
pub(crate) fn made_id(number: usize) -> String {
    format!("doc:{number}")
}

/// Names what a citation cites as its reader knows it: by number where the backend knows an id, and the other way
/// round.
pub(crate) fn name(citation: &mut ir::Citation<'_>, given: &[Given]) {
    let text = |text: &Option<String>| text.clone().map(Text::plain);
    let by_id = citation.source.as_ref().and_then(|id| given.iter().find(|one| *id == *one.id));
    if let Some(one) = by_id {
        // Which words of it are meant is not said; all of it is one block.
        (citation.start, citation.end) = (Some(Num::from(0)), Some(Num::from(1)));
        (citation.source, citation.url) = (text(&one.source), None);
        citation.title = citation.title.take().or_else(|| text(&one.title));
        match one.place {
            Place::Document(number) => {
                citation.kind = Some(ir::CitationKind::Block);
                citation.document_index = Some(Num::from(number));
            }
            Place::SearchResult(number) => {
                citation.kind = Some(ir::CitationKind::SearchResult);
                citation.search_result_index = Some(Num::from(number));
            }
        }
        return;
    }
    let number = |number: &Option<Num<'_>>| number.as_ref().and_then(Num::as_u64);
    let place = number(&citation.document_index)
        .map(Place::Document)
        .or_else(|| number(&citation.search_result_index).map(Place::SearchResult));
    if let Some(one) = place.and_then(|place| given.iter().find(|one| one.place == place)) {
        citation.source = Some(Text::plain(one.id.clone()));
        citation.title = citation.title.take().or_else(|| text(&one.title));
        (citation.document_index, citation.search_result_index) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Vec<Given> {
        let result = Some("https://e.x/".to_owned());
        vec![
            Given { id: "moon".into(), place: Place::Document(2), title: Some("Moon".into()), source: None },
            Given { id: "doc:1".into(), place: Place::SearchResult(0), title: None, source: result },
        ]
    }

    #[test]
    fn an_id_becomes_a_number() {
        let mut citation = ir::Citation { source: Some(Text::plain("moon")), ..Default::default() };
        name(&mut citation, &given());
        assert_eq!(citation.document_index.unwrap().as_u64(), Some(2));
        assert_eq!((citation.source, citation.title.unwrap()), (None, Text::plain("Moon")));
        let mut citation = ir::Citation { source: Some(Text::plain("doc:1")), ..Default::default() };
        name(&mut citation, &given());
        assert_eq!(citation.search_result_index.unwrap().as_u64(), Some(0));
        assert_eq!(citation.source.unwrap(), "https://e.x/");
    }

    #[test]
    fn a_number_becomes_an_id() {
        let mut citation = ir::Citation { document_index: Some(Num::from(2)), ..Default::default() };
        name(&mut citation, &given());
        assert_eq!((citation.source.unwrap(), citation.document_index), (Text::plain("moon"), None));
    }

    #[test]
    fn what_was_not_given_stays_as_it_is() {
        for citation in [
            ir::Citation { source: Some(Text::plain("call_1:0")), ..Default::default() },
            ir::Citation { document_index: Some(Num::from(7)), ..Default::default() },
            ir::Citation { url: Some(Text::plain("https://e.x/")), ..Default::default() },
        ] {
            let mut named = citation.clone();
            name(&mut named, &given());
            assert_eq!(named, citation);
        }
    }
}
