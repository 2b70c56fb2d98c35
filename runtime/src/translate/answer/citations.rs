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
        for (content, _) in super::contents(response) {
            for block in content {
                let ir::Block::Text(node) = block else { continue };
                let Some(citations) = &mut node.citations else { continue };
                citations.retain(|citation| !is_of_file(citation) || lose_file(citation, shape));
                node.citations.take_if(|citations| citations.is_empty());
            }
        }
        // An annotation says where in the answer, a citation which words of the source; both keep the address.
        return;
    }
    for (content, _) in super::contents(response) {
        for block in content {
            let ir::Block::Text(node) = block else { continue };
            let Some(citations) = &mut node.citations else { continue };
            let length = node.text.as_ref().map_or(0, |text| text.decode().chars().count() as u64);
            citations.retain_mut(|citation| keep_address(citation, length, shape));
            if citations.is_empty() {
                node.citations = None;
            }
        }
    }
}

/// Whether it cites a file that its provider stores.
fn is_of_file(citation: &ir::Citation<'_>) -> bool {
    use ir::CitationKind::{ContainerFileCitation, FileCitation, FilePath};
    matches!(citation.kind, Some(FileCitation | FilePath | ContainerFileCitation))
}

fn lose_file(citation: &ir::Citation<'_>, shape: &mut Shape<'_>) -> bool {
    let reason = "it cites a file that is stored at another provider";
    shape.report.node(EffectKind::Dropped, citation.at, reason);
    false
}

/// Whether a citation is of an address, which then says where in the text it stands and no more.
pub(in crate::translate) fn keep_address(
    citation: &mut ir::Citation<'_>,
    length: u64,
    shape: &mut Shape<'_>,
) -> bool {
    if citation.kind != Some(ir::CitationKind::Url) {
        let reason = "this protocol's answer cites addresses alone";
        shape.report.node(EffectKind::Dropped, citation.at, reason);
        return false;
    }
    for (lost, name) in
        [(&mut citation.cited_text, "cited_text"), (&mut citation.encrypted_index, "encrypted_index")]
    {
        if lost.take().is_some() {
            let reason = "this protocol's answer says the address and the place in the answer";
            shape.report.member(EffectKind::Dropped, citation.at, "Citation", name, reason);
        }
    }
    citation.text_start.get_or_insert_with(|| Num::from(0));
    citation.text_end.get_or_insert_with(|| Num::from(length));
    true
}
