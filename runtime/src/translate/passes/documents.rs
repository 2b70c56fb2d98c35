//! Documents and search results that the target has no form for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use busbar_protocols::prelude::At;
use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Renders documents and search results as marked text, where the target has no form of their own for them.
pub(super) fn render_documents(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if let Some(blocks) = &mut request.instructions {
        render_all(blocks, shape);
    }
    for turn in request.turns.iter_mut().flatten() {
        let Some(content) = &mut turn.content else { continue };
        render_all(content, shape);
        for block in content {
            if let ir::Block::ToolResult(node) = block
                && let Some(content) = &mut node.content
            {
                render_all(content, shape);
            }
        }
    }
}

fn render_all<'a>(blocks: &mut Vec<ir::Block<'a>>, shape: &mut Shape<'_>) {
    let mut rendered = Vec::with_capacity(blocks.len());
    for mut block in blocks.drain(..) {
        match &mut block {
            ir::Block::Document(node) => match document(node, shape) {
                Some(mut blocks) => rendered.append(&mut blocks),
                None => rendered.push(block),
            },
            ir::Block::SearchResult(node) if !shape.to.media.search_results => {
                shape.report.node(EffectKind::Emulated, node.at, "the search result stands as marked text");
                report_cite(std::mem::take(&mut node.cite), node.at, "Block.search_result", shape);
                let said = text::joined(node.content.as_deref().unwrap_or_default(), "\n");
                let attributes = [("title", &node.title), ("source", &node.source)];
                rendered.push(marked("search_result", &attributes, &said, node.at));
            }
            _ => rendered.push(block),
        }
    }
    *blocks = rendered;
}

/// What a document becomes; none when it stays as it is.
fn document<'a>(node: &mut ir::DocumentBlock<'a>, shape: &mut Shape<'_>) -> Option<Vec<ir::Block<'a>>> {
    let media = shape.to.media;
    if node.source.kind == Some(ir::SourceKind::Bytes) {
        let kind = node.source.media_type.as_ref().map(|kind| kind.decode().into_owned()).unwrap_or_default();
        if media.document_bytes.contains(&kind.as_str()) {
            if !media.document_name.is_empty() && node.source.filename.is_none() {
                let name = node.title.take().unwrap_or_else(|| Text::plain(media.document_name));
                node.source.filename = Some(name);
            }
            fit_title(node, shape);
            return None;
        }
        // Text in disguise is text everywhere.
        if let Some(plain) = plain_text(&kind, node.source.data.as_ref()) {
            node.source = ir::Source {
                kind: Some(ir::SourceKind::Text),
                text: Some(Text::plain(plain)),
                filename: node.source.filename.take(),
                ..ir::Source::default()
            };
        }
    }
    match &node.source.kind {
        Some(ir::SourceKind::Text) if media.document_text => {
            fit_title(node, shape);
            None
        }
        Some(ir::SourceKind::Text) => {
            let said = node.source.text.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
            Some(vec![stand_in(node, &said, shape)])
        }
        Some(ir::SourceKind::Blocks) if media.document_text => None,
        Some(ir::SourceKind::Blocks) => {
            let blocks = node.source.blocks.take().unwrap_or_default();
            let said = text::joined(&blocks, "\n");
            let mut rendered = vec![stand_in(node, &said, shape)];
            rendered.extend(blocks.into_iter().filter(|block| !matches!(block, ir::Block::Text(_))));
            Some(rendered)
        }
        _ => None,
    }
}

/// A file's name serves as its title where documents have titles, and the other way round.
fn fit_title(node: &mut ir::DocumentBlock<'_>, shape: &Shape<'_>) {
    if shape.to.media.document_titles && node.title.is_none() {
        node.title = node.source.filename.take();
    }
}

fn stand_in<'a>(node: &mut ir::DocumentBlock<'a>, said: &str, shape: &mut Shape<'_>) -> ir::Block<'a> {
    shape.report.node(EffectKind::Emulated, node.at, "the document stands as marked text");
    report_cite(std::mem::take(&mut node.cite), node.at, "Block.document", shape);
    let title = node.title.take().or_else(|| node.source.filename.take());
    let attributes = [("id", &node.id.take()), ("title", &title), ("context", &node.context.take())];
    let mut block = marked("document", &attributes, said, node.at);
    block.native_mut().append(std::mem::take(&mut node.native));
    block
}

/// Marked text can be quoted and not cited.
fn report_cite(cite: ir::Cite<'_>, at: At, kind: &str, shape: &mut Shape<'_>) {
    if cite != ir::Cite::default() {
        shape.report.member(EffectKind::Dropped, at, kind, "cite.on", "marked text is not cited from");
    }
}

/// Text between marks that say what it is.
fn marked<'a>(tag: &str, attributes: &[(&str, &Option<Text<'_>>)], said: &str, at: At) -> ir::Block<'a> {
    let mut open = format!("<{tag}");
    for (name, value) in attributes {
        if let Some(value) = value {
            open.push_str(&format!(" {name}={:?}", value.decode()));
        }
    }
    text::block(format!("{open}>\n{said}\n</{tag}>"), at)
}

/// The text of bytes that are text.
fn plain_text(kind: &str, data: Option<&Text<'_>>) -> Option<String> {
    let is_text = kind.starts_with("text/") || matches!(kind, "application/json" | "application/xml");
    let bytes = STANDARD.decode(data.filter(|_| is_text)?.decode().as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}
