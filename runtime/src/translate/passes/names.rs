//! Names of participants.

use busbar_protocols::{EffectKind, ir};

use super::super::{shape::Shape, text};

/// Puts the name of a participant in front of what it says, where turns have no names.
pub(super) fn fit_names(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.turns.names {
        return;
    }
    for turn in request.turns.iter_mut().flatten() {
        let Some(name) = turn.name.take() else { continue };
        let said = turn.content.iter_mut().flatten().find_map(|block| match block {
            ir::Block::Text(node) => Some(node),
            _ => None,
        });
        match said {
            Some(node) => {
                let said = node.text.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
                node.text = Some(format!("{name}: {said}").into());
            }
            None => {
                let said = text::block(format!("{name}:"), turn.at);
                super::content(turn).insert(0, said);
            }
        }
        shape.report.member(
            EffectKind::Adapted,
            turn.at,
            "Turn",
            "name",
            "the name stands in front of what is said",
        );
    }
}
