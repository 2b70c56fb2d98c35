//! What one stream may hold in memory.

/// Bounds of one stream; each has a fault of its own when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line.
    pub line: usize,
    /// Bytes of one event's data.
    pub event: usize,
    /// Bytes of a plain JSON body that answers a streaming call.
    pub body: usize,
    /// Bytes kept for blocks that have to wait for others, or are told once more as a whole.
    pub held: usize,
    /// Blocks of one answer.
    pub blocks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 8 << 20, event: 8 << 20, body: 32 << 20, held: 4 << 20, blocks: 4096 }
    }
}
