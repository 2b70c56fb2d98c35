//! The hand-written part: how values are held, read, written, located and reported.
//!
//! These files are copied from `codegen/prelude` as they are; edit them there.

pub(crate) mod cursor;
pub mod error;
pub mod field;
pub mod json;
pub mod ledger;
pub mod map;
pub mod protocol;
pub mod rules;
pub mod text;
pub mod transforms;
pub mod wire;

pub use cursor::{Checked, Cursor, Kind};
pub use error::WireError;
pub use field::{Field, Unknown};
pub use json::{Json, Num};
pub use ledger::{Effect, EffectKind, Ledger};
pub use map::{At, Fate, Lack, Leftover, Native, Paths, ReadCx, Row, WriteCx};
pub use protocol::Protocol;
pub use rules::{AnswerPass, Pass, Rules};
pub use text::Text;
pub use wire::{Keyed, Object, Wire, write_object};
