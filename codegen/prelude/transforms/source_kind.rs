//! Which member of a source holds the content, where the wire tells it by presence alone.

use crate::ir::{AudioBlock, Block, Candidate, DocumentBlock, ImageBlock, Source, SourceKind};

/// A node that has a source, or blocks that have one.
pub trait HasSource {
    /// Says of each source what it is.
    fn settle(&mut self);
}

/// Says of each source what it is.
pub fn after_read(node: &mut impl HasSource) {
    node.settle();
}

fn settle(source: &mut Source<'_>) {
    if source.kind.is_none() {
        source.kind = if source.data.is_some() {
            Some(SourceKind::Bytes)
        } else if source.file_id.is_some() {
            Some(SourceKind::File)
        } else if source.url.is_some() {
            Some(SourceKind::Url)
        } else {
            None
        };
    }
}

impl HasSource for DocumentBlock<'_> {
    fn settle(&mut self) {
        settle(&mut self.source);
    }
}

impl HasSource for ImageBlock<'_> {
    fn settle(&mut self) {
        settle(&mut self.source);
    }
}

impl HasSource for AudioBlock<'_> {
    fn settle(&mut self) {
        settle(&mut self.source);
    }
}

impl HasSource for Candidate<'_> {
    fn settle(&mut self) {
        for block in self.content.iter_mut().flatten() {
            if let Block::Audio(audio) = block {
                audio.settle();
            }
        }
    }
}
