//! Reports of the passes, under the paths that the author of the document wrote.

use std::borrow::Cow;

use busbar_protocols::prelude::{At, Paths, WriteCx};
use busbar_protocols::{Effect, EffectKind, Protocol};

/// Collects what passes and maps did.
pub(crate) struct Report<'p> {
    /// What the generated maps write to.
    pub(crate) cx: WriteCx<'p>,
    paths: &'p Paths,
}

impl<'p> Report<'p> {
    /// A report of a document that came from `source`, on its way to `target`.
    pub(crate) fn new(source: Protocol, target: Protocol, paths: &'p Paths) -> Self {
        Self { cx: WriteCx::new(source, target, paths), paths }
    }

    /// Something happened to a whole node.
    pub(crate) fn node(&mut self, kind: EffectKind, at: At, reason: impl Into<Cow<'static, str>>) {
        let path = self.paths.render(at);
        self.cx.ledger.note(kind, path, reason);
    }

    /// Something happened to a member of a node; `ir` is the node's type and `path` the member in it.
    pub(crate) fn member(
        &mut self,
        kind: EffectKind,
        at: At,
        ir: &str,
        path: &str,
        reason: impl Into<Cow<'static, str>>,
    ) {
        let path = self.cx.path(at, ir, path);
        self.cx.ledger.note(kind, path, reason);
    }

    /// Something happened to a member of the request itself.
    pub(crate) fn request(&mut self, kind: EffectKind, path: &str, reason: impl Into<Cow<'static, str>>) {
        self.member(kind, Paths::ROOT, "Request", path, reason);
    }

    /// A node is lost, and with it what the document is about.
    pub(crate) fn lose(&mut self, at: At, reason: impl Into<Cow<'static, str>>) {
        let path = self.paths.render(at);
        self.push_loss(path, reason.into());
    }

    /// A member of a node is lost, and with it what the document is about.
    pub(crate) fn lose_member(&mut self, at: At, ir: &str, path: &str, reason: impl Into<Cow<'static, str>>) {
        let path = self.cx.path(at, ir, path);
        self.push_loss(path, reason.into());
    }

    /// A member of the request is lost, and with it what the request is about.
    pub(crate) fn lose_request(&mut self, path: &str, reason: impl Into<Cow<'static, str>>) {
        let path = self.cx.path(Paths::ROOT, "Request", path);
        self.push_loss(path, reason.into());
    }

    fn push_loss(&mut self, path: String, reason: Cow<'static, str>) {
        self.cx.ledger.push(Effect { path, kind: EffectKind::Dropped, reason, semantic: true });
    }
}
