//! Blocks for clients that know one open block at a time.
//!
//! What belongs to another block than the open one is kept back until it is that one's turn.

use std::collections::VecDeque;

use crate::stream::{Limits, StreamFault};

/// The open block, and behind it those that wait.
#[derive(Debug)]
pub(super) struct Turns {
    blocks: VecDeque<Turn>,
    held: usize,
    limit: usize,
    next: u64,
}

/// A block that has not been closed towards the client.
#[derive(Debug)]
struct Turn {
    /// The reader's number.
    block: u64,
    /// The client's number.
    index: u64,
    /// Events that wait.
    waiting: Vec<u8>,
    closed: bool,
    events: usize,
}

impl Turns {
    pub(super) fn new(limits: Limits) -> Self {
        Self { blocks: VecDeque::new(), held: 0, limit: limits.held, next: 0 }
    }

    /// A block begins.
    pub(super) fn begin(&mut self, block: u64) {
        let turn = Turn { block, index: self.next, waiting: Vec::new(), closed: false, events: 0 };
        self.next += 1;
        self.blocks.push_back(turn);
    }

    /// How many events of a block have been written or kept back.
    pub(super) fn events(&self, block: u64) -> usize {
        self.blocks.iter().find(|turn| turn.block == block).map_or(0, |turn| turn.events)
    }

    /// Writes into the stream if it is the block's turn, else keeps it back; nothing for an unknown block.
    ///
    /// `write` gets the client's number of the block.
    pub(super) fn write(
        &mut self,
        block: u64,
        out: &mut Vec<u8>,
        write: impl FnOnce(u64, &mut Vec<u8>),
    ) -> Result<(), StreamFault> {
        let Some(place) = self.blocks.iter().position(|turn| turn.block == block) else { return Ok(()) };
        let Some(turn) = self.blocks.get_mut(place) else { return Ok(()) };
        turn.events += 1;
        if place == 0 {
            write(turn.index, out);
            return Ok(());
        }
        let before = turn.waiting.len();
        write(turn.index, &mut turn.waiting);
        self.held += turn.waiting.len() - before;
        if self.held > self.limit {
            return Err(StreamFault::TooMuchHeld { limit: self.limit });
        }
        Ok(())
    }

    /// A block is complete: those that waited for it have their turn.
    pub(super) fn close(&mut self, block: u64, out: &mut Vec<u8>) {
        if let Some(turn) = self.blocks.iter_mut().find(|turn| turn.block == block) {
            turn.closed = true;
        }
        while self.blocks.front().is_some_and(|turn| turn.closed) {
            self.blocks.pop_front();
            if let Some(next) = self.blocks.front_mut() {
                let waiting = std::mem::take(&mut next.waiting);
                self.held -= waiting.len();
                out.extend_from_slice(&waiting);
            }
        }
    }
}
