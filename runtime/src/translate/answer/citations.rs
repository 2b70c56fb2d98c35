//! Where the text of an answer comes from.

use busbar_protocols::{EffectKind, Num, ir};

use super::super::{given, shape::Shape};

/// Keeps the citations that clients have a form for, and says which part of the text they stand for.
pub(super) fn fit_citations(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    if !shape.state.given.is_empty() {
        for block in super::contents(response).flat_map(|(content, _)| content) {
            let ir::Block::Text(node) = block else { continue };
            for citation in node.citations.iter_mut().flatten() {
                given::name(citation, &shape.state.given);
            }
        }
    }
    for (content, _) in super::contents(response) {
        for block in content {
            if let ir::Block::Text(node) = block {
                node.citations.take_if(|citations| citations.is_empty());
            }
        }
    }
    if shape.to.answer.citations {
        // An annotation says where in the answer, a citation which words of the source; both keep the address.
        return;
    }
    for (content, _) in super::contents(response) {
        for block in content {
            let ir::Block::Text(node) = block else { continue };
            let length = node.text.as_ref().map_or(0, |text| text.decode().chars().count() as u64);
            let Some(citations) = &mut node.citations else { continue };
            citations.retain_mut(|citation| {
                if citation.kind != Some(ir::CitationKind::Url) {
                    shape.report.node(
                        EffectKind::Dropped,
                        citation.at,
                        "this protocol's answer cites addresses alone",
                    );
                    return false;
                }
                for (lost, name) in [
                    (&mut citation.cited_text, "cited_text"),
                    (&mut citation.encrypted_index, "encrypted_index"),
                ] {
                    if lost.take().is_some() {
                        shape.report.member(
                            EffectKind::Dropped,
                            citation.at,
                            "Citation",
                            name,
                            "this protocol's answer says the address and the place in the answer",
                        );
                    }
                }
                citation.text_start.get_or_insert_with(|| Num::from(0));
                citation.text_end.get_or_insert_with(|| Num::from(length));
                true
            });
            if citations.is_empty() {
                node.citations = None;
            }
        }
    }
}
