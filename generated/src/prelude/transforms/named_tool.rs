//! A choice that says only which kind of tool is named.

use crate::ir::{ChoiceMode, ToolChoice};

/// Naming a tool is a mode of its own.
pub fn after_read(choice: &mut ToolChoice<'_>) {
    choice.mode.get_or_insert(ChoiceMode::Named);
}
