//! Named conversions that the maps refer to by `via`.
//!
//! A conversion of a value has `read` (wire to IR, or the value back when it is of another form) and
//! `write` (IR to wire, or `None`); what `read` accepts, `write` gives back exactly. A conversion of a
//! node has `after_read`.

pub mod arguments;
pub mod audio_format;
pub mod audio_word;
pub mod auto_or_required;
pub mod data_url;
pub mod document_word;
pub mod effort_word;
pub mod error_status;
pub mod file_data;
pub mod flat_tool_names;
mod format_word;
pub mod image_word;
pub mod json_text;
pub mod negated;
pub mod nested_tool_names;
pub mod source_kind;
pub mod turn_word;
pub mod usage;
pub mod usage_with_total;
pub mod video_word;
