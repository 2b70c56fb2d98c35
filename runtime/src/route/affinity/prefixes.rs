//! Which lane's provider has the beginning of a prompt in its cache.

use std::time::{Duration, Instant};

use super::recent::Recent;

/// How many blocks of one prompt are noted: half from its beginning, which other prompts share, half from its
/// end, which its next turn begins with.
pub const MAX_BLOCKS: usize = 32;

/// At how many lanes one beginning is noted.
pub const MAX_LANES: usize = 8;

/// A part of a prompt, such as the tools, the instructions or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// A fingerprint of it and of all that stands before it.
    pub prefix: u64,
    /// How many tokens it and all that stands before it have, by estimate.
    pub tokens: u64,
}

/// What a lane's provider has in its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warm {
    /// The lane.
    pub lane: u64,
    /// How many tokens of the prompt, by estimate.
    pub tokens: u64,
}

/// What a choice of lane gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The lane that has more of the prompt in its cache.
    pub lane: u64,
    /// How many tokens more, by estimate.
    pub tokens: u64,
}

/// The beginnings of prompts that were sent of late, and where to.
#[derive(Clone, Debug)]
pub struct Prefixes(Recent<Vec<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    lane: u64,
    until: Instant,
}

impl Prefixes {
    /// Keeps at most so many beginnings.
    pub fn new(most: usize) -> Self {
        Self(Recent::new(most))
    }

    /// Notes that a lane has served a prompt, whose provider keeps it for a time.
    pub fn served(&mut self, now: Instant, lane: u64, prompt: &[Block], keeps: Duration) {
        let until = now + keeps;
        let skipped = MAX_BLOCKS / 2..prompt.len().saturating_sub(MAX_BLOCKS / 2).max(MAX_BLOCKS / 2);
        // The longest last: the beginnings that fewer prompts share make room first, if any must.
        let noted = prompt.iter().enumerate().filter(|(at, _)| !skipped.contains(at));
        for (_, block) in noted.rev() {
            self.0.put(block.prefix, |seen| {
                let mut seen = seen.unwrap_or_default();
                // Using it keeps a cache alive, and never shortens its time.
                let was = seen.iter().find(|seen| seen.lane == lane).map(|seen| seen.until);
                seen.retain(|seen| seen.lane != lane && now < seen.until);
                if seen.len() >= MAX_LANES {
                    seen.remove(0);
                }
                seen.push(Seen { lane, until: was.map_or(until, |was| was.max(until)) });
                seen
            });
        }
    }

    /// Forgets a lane's part of a prompt: it turned out to be gone.
    pub fn gone(&mut self, lane: u64, prompt: &[Block]) {
        for block in prompt {
            if let Some(mut seen) = self.0.take(block.prefix) {
                seen.retain(|seen| seen.lane != lane);
                if !seen.is_empty() {
                    self.0.put(block.prefix, |_| seen);
                }
            }
        }
    }

    /// The lanes that have a beginning of the prompt, the longest first.
    pub fn warm(&self, now: Instant, prompt: &[Block]) -> Vec<Warm> {
        let mut warm: Vec<Warm> = Vec::new();
        for block in prompt.iter().rev() {
            // The last one noted first: the others' caches are older.
            for seen in self.0.get(block.prefix).into_iter().flatten().rev() {
                if now < seen.until && warm.iter().all(|warm| warm.lane != seen.lane) {
                    warm.push(Warm { lane: seen.lane, tokens: block.tokens });
                }
            }
        }
        warm
    }

    /// How many beginnings are known, old ones too.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is given up when a lane is chosen, of what [`Prefixes::warm`] says; none when no lane has more.
pub fn given_up(warm: &[Warm], chosen: u64) -> Option<GivenUp> {
    let kept = warm.iter().find(|warm| warm.lane == chosen).map_or(0, |warm| warm.tokens);
    let best = warm.iter().max_by_key(|warm| warm.tokens)?;
    (best.tokens > kept).then(|| GivenUp { lane: best.lane, tokens: best.tokens - kept })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fingerprint;
    use super::*;

    const KEEPS: Duration = Duration::from_secs(300);

    /// A prompt of blocks, of 100 tokens each.
    fn prompt(blocks: &[u8]) -> Vec<Block> {
        let mut prefix = 0;
        let block = |(at, block): (usize, &u8)| {
            prefix = fingerprint(prefix, &[*block]);
            Block { prefix, tokens: 100 * (at as u64 + 1) }
        };
        blocks.iter().enumerate().map(block).collect()
    }

    fn warm(prefixes: &Prefixes, now: Instant, blocks: &[u8]) -> Vec<(u64, u64)> {
        prefixes.warm(now, &prompt(blocks)).into_iter().map(|warm| (warm.lane, warm.tokens)).collect()
    }

    #[test]
    fn the_longest_beginning_is_found() {
        let (now, mut prefixes) = (Instant::now(), Prefixes::new(100));
        assert!(prefixes.is_empty());
        prefixes.served(now, 1, &prompt(b"sys"), KEEPS);
        prefixes.served(now, 2, &prompt(b"system"), KEEPS);
        assert_eq!(warm(&prefixes, now, b"systems"), [(2, 600), (1, 300)]);
        assert_eq!(warm(&prefixes, now, b"synod"), [(2, 200), (1, 200)]);
        assert_eq!(warm(&prefixes, now, b"stem"), [(2, 100), (1, 100)]);
        assert!(warm(&prefixes, now, b"xsystem").is_empty());
        assert!(warm(&prefixes, now, b"").is_empty());
    }

    #[test]
    fn a_switch_says_what_it_gives_up() {
        let all = [Warm { lane: 2, tokens: 600 }, Warm { lane: 1, tokens: 200 }];
        assert_eq!(given_up(&all, 2), None);
        assert_eq!(given_up(&all, 1), Some(GivenUp { lane: 2, tokens: 400 }));
        assert_eq!(given_up(&all, 7), Some(GivenUp { lane: 2, tokens: 600 }));
        assert_eq!(given_up(&[], 7), None);
    }

    #[test]
    fn a_cache_lives_from_its_last_use() {
        let (now, mut prefixes) = (Instant::now(), Prefixes::new(100));
        prefixes.served(now, 1, &prompt(b"abc"), KEEPS);
        prefixes.served(now + KEEPS / 2, 1, &prompt(b"abd"), KEEPS);
        assert_eq!(warm(&prefixes, now + KEEPS, b"abcd"), [(1, 200)]);
        assert!(warm(&prefixes, now + KEEPS * 3 / 2, b"abcd").is_empty());
        // A shorter time does not cut a longer one.
        prefixes.served(now, 1, &prompt(b"x"), KEEPS * 12);
        prefixes.served(now, 1, &prompt(b"x"), KEEPS);
        assert_eq!(warm(&prefixes, now + KEEPS * 11, b"x"), [(1, 100)]);
    }

    #[test]
    fn what_turned_out_to_be_gone_is_forgotten() {
        let (now, mut prefixes) = (Instant::now(), Prefixes::new(100));
        prefixes.served(now, 1, &prompt(b"abc"), KEEPS);
        prefixes.served(now, 2, &prompt(b"ab"), KEEPS);
        prefixes.gone(1, &prompt(b"abc"));
        assert_eq!((warm(&prefixes, now, b"abc"), prefixes.len()), (vec![(2, 200)], 2));
    }

    #[test]
    fn of_a_long_prompt_both_ends_are_noted() {
        let (now, mut prefixes) = (Instant::now(), Prefixes::new(1000));
        let long: Vec<u8> = (0..=255).collect();
        prefixes.served(now, 1, &prompt(&long), KEEPS);
        assert_eq!(prefixes.len(), MAX_BLOCKS);
        assert_eq!(warm(&prefixes, now, &long), [(1, 25_600)]);
        assert_eq!(warm(&prefixes, now, &long[..200]), [(1, 1_600)]);
        for length in [1, 16, 17, 31, 32, 33] {
            let mut prefixes = Prefixes::new(1000);
            prefixes.served(now, 1, &prompt(&long[..length]), KEEPS);
            assert_eq!(prefixes.len(), length.min(MAX_BLOCKS));
        }
    }

    #[test]
    fn a_beginning_is_noted_at_so_many_lanes() {
        let (now, mut prefixes) = (Instant::now(), Prefixes::new(100));
        for lane in 0..20 {
            prefixes.served(now, lane, &prompt(b"a"), KEEPS);
        }
        let lanes: Vec<u64> = warm(&prefixes, now, b"a").into_iter().map(|(lane, _)| lane).collect();
        assert_eq!(lanes, [19, 18, 17, 16, 15, 14, 13, 12]);
    }

    proptest! {
        /// Against all that was ever sent, while nothing had to make room.
        #[test]
        fn it_finds_what_was_sent(
            sent in proptest::collection::vec((0_u64..4, "[ab]{0,6}", 0_u64..200), 0..20),
            asked in "[ab]{0,8}",
        ) {
            let (mut now, mut prefixes) = (Instant::now(), Prefixes::new(10_000));
            let mut log = Vec::new();
            for (lane, text, wait) in sent {
                now += Duration::from_secs(wait);
                prefixes.served(now, lane, &prompt(text.as_bytes()), KEEPS);
                log.push((lane, text, now + KEEPS));
            }
            let found = warm(&prefixes, now, asked.as_bytes());
            for lane in 0..4 {
                let longest = log.iter().filter(|(other, _, until)| *other == lane && now < *until);
                let longest = longest.map(|(_, text, _)| {
                    text.bytes().zip(asked.bytes()).take_while(|(a, b)| a == b).count() as u64 * 100
                });
                let tokens = found.iter().find(|(other, _)| *other == lane).map_or(0, |(_, tokens)| *tokens);
                prop_assert_eq!(tokens, longest.max().unwrap_or(0));
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }

        #[test]
        fn it_never_grows_past_its_bound(sent in proptest::collection::vec("[abc]{0,9}", 0..50)) {
            let (now, mut prefixes) = (Instant::now(), Prefixes::new(16));
            for text in sent {
                prefixes.served(now, 1, &prompt(text.as_bytes()), KEEPS);
                prop_assert!(prefixes.len() <= 16);
            }
        }
    }
}
