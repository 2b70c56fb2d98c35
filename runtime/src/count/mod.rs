//! The size of a prompt in tokens: asked of a backend in its own form, or estimated.

mod estimate;
mod form;
mod media;
mod size;
mod text;

pub use estimate::{ERROR_PERCENT, ceiling, estimate};
pub use form::{Malformed, counts, read, render, unwrap, wrap};
pub use size::Size;
