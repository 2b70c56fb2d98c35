//! Whether the provider keeps the answer.

use busbar_protocols::{EffectKind, ir};

use super::super::shape::Shape;

/// Asks the target to keep nothing, where the caller did not ask for it: the caller's own protocol has no such
/// memory, and reasoning that the provider does not keep comes back encrypted.
pub(super) fn fit_store(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if request.store.is_none() {
        request.store = Some(false);
        shape.report.request(
            EffectKind::Injected,
            "store",
            "the caller did not ask the provider to keep the answer",
        );
    }
}
