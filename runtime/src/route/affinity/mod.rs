//! Which lane a request had better go to again: for the sake of its session, or of the provider's prompt cache.
//!
//! Lanes are known by a number that stays theirs across a reload, such as [`fingerprint`] of their name.
//! Everything is bounded and without clock or lock.
//!
//! A session begins at the lane that [`rendezvous`] gives it, the same in every replica, and stays where it was
//! last served ([`Sessions`]): when its lane is back after a failover, the cache is at the other one.
//! What a provider has cached is guessed from what was sent to it ([`Prefixes`]): a prompt is a row of blocks, each
//! known by a [`fingerprint`] of itself and all that stands before it.

mod near;
mod prefixes;
mod prompt;
mod recent;
mod sessions;

pub use near::{Near, Served};
pub use prefixes::{Block, GivenUp, MAX_BLOCKS, MAX_LANES, Prefixes, Warm, given_up};
pub use prompt::{Prompt, Session};
pub use sessions::{Sessions, rendezvous};

/// A number for bytes that follow others (`before`, or 0): the same in every process and version.
///
/// Spreads well and fast. It keeps nobody from finding two texts with one number, so scope it by caller:
/// who does so then misleads the choice of a lane for requests of its own, and nothing else.
pub fn fingerprint(before: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    // Both halves of the product: what is flipped at the top of a word moves every bit of the next.
    let fold = |hash: u64| {
        let product = u128::from(hash) * u128::from(FACTOR);
        (product >> 64) as u64 ^ product as u64
    };
    let mut hash = mix(before ^ mix(bytes.len() as u64 ^ FACTOR));
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(fold(hash ^ u64::from_le_bytes(last)))
}

/// Makes every bit depend on every other; the finish of MurmurHash3.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fingerprints_tell_apart() {
        let mut seen = HashSet::new();
        let long = [7_u8; 64];
        for length in 0..=64 {
            assert!(seen.insert(fingerprint(0, &long[..length])));
            assert!(seen.insert(fingerprint(1, &long[..length])));
        }
        for bit in 0..512 {
            let mut other = long;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(fingerprint(0, &other)));
        }
        for number in 0..10_000_u32 {
            assert!(seen.insert(fingerprint(0, format!("session-{number}").as_bytes())));
        }
    }

    /// Replicas of different versions send a session to the same lane.
    #[test]
    fn fingerprints_stay_what_they_are() {
        assert_eq!(fingerprint(0, b"a lane's name"), 5_199_447_132_463_304_718);
    }
}
