//! Who goes next where a lane serves only so many at once: a bounded, fair queue without clock, lock or waker.
//!
//! Whoever wants the lane [`Queue::enter`]s and gets a number. Whatever comes of it, [`Queue::leave`] gives the
//! number back, waiting or served, once or more often: so one guard that leaves on drop cannot lose a place.
//! The numbers that `leave` returns hold a place from then on; whoever wired the queue wakes them.
//!
//! Callers take turns, each one's own requests in the order in which they came. A caller that fills the queue
//! makes room: its newest is ousted for one that waits for less.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How many a lane serves, and how many wait for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many are served at once.
    pub limit: usize,
    /// How many wait at most; 0 refuses at once.
    pub waiting: usize,
    /// How long one waits at most.
    pub wait: Duration,
}

/// What came of entering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// There is room: served at once.
    Served(u64),
    /// There is none yet.
    Waits {
        /// The number that [`Queue::leave`] will name.
        number: u64,
        /// When it is no longer worth waiting.
        until: Instant,
        /// The number that lost its place for this: it will not be served, and is to be told.
        ousted: Option<u64>,
    },
    /// The queue is full.
    Full,
}

/// The queue of one lane; `K` tells callers apart.
#[derive(Debug)]
pub struct Queue<K> {
    bounds: Bounds,
    next: u64,
    served: HashSet<u64>,
    /// Who waits with what number.
    waiting: HashMap<u64, K>,
    /// The numbers of each caller that waits, with the time until which they do.
    lines: HashMap<K, VecDeque<(u64, Instant)>>,
    /// The callers that wait, in the order of their turns.
    turns: VecDeque<K>,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// A queue that nobody is in.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            next: 0,
            served: HashSet::new(),
            waiting: HashMap::new(),
            lines: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// Asks for a place.
    pub fn enter(&mut self, now: Instant, caller: &K) -> Entered {
        // Nobody waits then: those who did have been served when the room came to be.
        if let Some(number) = self.try_enter() {
            return Entered::Served(number);
        }
        let number = self.next;
        if self.bounds.waiting == 0 {
            return Entered::Full;
        }
        let mut ousted = None;
        if self.waiting.len() >= self.bounds.waiting {
            ousted = self.oust_for(caller);
            if ousted.is_none() {
                return Entered::Full;
            }
        }
        self.next += 1;
        let until = now + self.bounds.wait;
        self.waiting.insert(number, caller.clone());
        let line = self.lines.entry(caller.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(caller.clone());
        }
        line.push_back((number, until));
        Entered::Waits { number, until, ousted }
    }

    /// A place that is free at once; none where one would have to wait.
    pub fn try_enter(&mut self) -> Option<u64> {
        let number = self.next;
        self.has_room().then(|| {
            self.next += 1;
            self.served.insert(number);
            number
        })
    }

    /// Gives a number back; returns those that are served now.
    pub fn leave(&mut self, now: Instant, number: u64) -> Vec<u64> {
        if !self.served.remove(&number) {
            self.forget(number);
        }
        self.serve(now)
    }

    /// Goes over to other bounds; those who wait keep their places. Returns those that are served now.
    pub fn adopt(&mut self, now: Instant, bounds: Bounds) -> Vec<u64> {
        self.bounds = bounds;
        self.serve(now)
    }

    /// How many are served.
    pub fn served(&self) -> usize {
        self.served.len()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn has_room(&self) -> bool {
        self.served.len() < self.bounds.limit
    }

    /// Serves whose turn it is for as long as there is room; passes over those who have waited too long.
    fn serve(&mut self, now: Instant) -> Vec<u64> {
        let mut served = Vec::new();
        while self.has_room() {
            let Some(caller) = self.turns.pop_front() else { break };
            let Some(line) = self.lines.get_mut(&caller) else { continue };
            let first = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&caller);
            } else if first.is_some_and(|(_, until)| until <= now) {
                // One that is too late has not had the caller's turn.
                self.turns.push_front(caller);
            } else {
                self.turns.push_back(caller);
            }
            let Some((number, until)) = first else { continue };
            self.waiting.remove(&number);
            if now < until {
                self.served.insert(number);
                served.push(number);
            }
        }
        served
    }

    fn forget(&mut self, number: u64) {
        let Some(caller) = self.waiting.remove(&number) else { return };
        let Some(line) = self.lines.get_mut(&caller) else { return };
        line.retain(|(other, _)| *other != number);
        if line.is_empty() {
            self.lines.remove(&caller);
            self.turns.retain(|other| *other != caller);
        }
    }

    /// Takes the newest of the longest line, if that stays no shorter than the caller's becomes.
    fn oust_for(&mut self, caller: &K) -> Option<u64> {
        let own = self.lines.get(caller).map_or(0, VecDeque::len);
        // By the order of turns, so that the same history ousts the same one.
        let mut longest: Option<(&K, usize)> = None;
        for other in &self.turns {
            let length = self.lines.get(other).map_or(0, VecDeque::len);
            if longest.is_none_or(|(_, most)| length > most) {
                longest = Some((other, length));
            }
        }
        let (other, length) = longest?;
        if length < own + 2 {
            return None;
        }
        let (number, _) = *self.lines.get(other)?.back()?;
        self.forget(number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(limit: usize, waiting: usize) -> (Queue<&'static str>, Instant) {
        (Queue::new(Bounds { limit, waiting, wait: 10 * SECOND }), Instant::now())
    }

    fn number(entered: Entered) -> u64 {
        match entered {
            Entered::Served(number) | Entered::Waits { number, .. } => number,
            Entered::Full => panic!("full"),
        }
    }

    #[test]
    fn callers_take_turns() {
        let (mut queue, now) = queue(1, 10);
        let mut holder = number(queue.enter(now, &"a"));
        let greedy: Vec<u64> = (0..4).map(|_| number(queue.enter(now, &"a"))).collect();
        let (b, c) = (number(queue.enter(now, &"b")), number(queue.enter(now, &"c")));
        let mut order = Vec::new();
        while let [next] = queue.leave(now, holder)[..] {
            order.push(next);
            holder = next;
        }
        assert_eq!(order, [greedy[0], b, c, greedy[1], greedy[2], greedy[3]]);
        assert_eq!((queue.served(), queue.waiting()), (0, 0));
    }

    #[test]
    fn it_is_full_at_its_bound() {
        let (mut queue, now) = queue(1, 2);
        queue.enter(now, &"a");
        assert_eq!(
            queue.enter(now, &"a"),
            Entered::Waits { number: 1, until: now + 10 * SECOND, ousted: None }
        );
        queue.enter(now, &"b");
        assert_eq!(queue.enter(now, &"a"), Entered::Full);
        assert_eq!(queue.enter(now, &"c"), Entered::Full);
        let (mut none, now) = self::queue(1, 0);
        none.enter(now, &"a");
        assert_eq!(none.enter(now, &"a"), Entered::Full);
    }

    #[test]
    fn who_fills_it_makes_room() {
        let (mut queue, now) = queue(1, 3);
        queue.enter(now, &"a");
        let waits: Vec<u64> = (0..3).map(|_| number(queue.enter(now, &"a"))).collect();
        let Entered::Waits { ousted, number: b, .. } = queue.enter(now, &"b") else { panic!("no place") };
        assert_eq!(ousted, Some(waits[2]));
        // Two against one: neither is owed a place of the other's.
        assert_eq!(queue.enter(now, &"b"), Entered::Full);
        assert!(queue.leave(now, waits[2]).is_empty());
        assert_eq!(queue.leave(now, 0), [waits[0]]);
        assert_eq!(queue.leave(now, waits[0]), [b]);
    }

    #[test]
    fn leaving_twice_frees_one_place() {
        let (mut queue, now) = queue(1, 5);
        queue.enter(now, &"a");
        let (first, second) = (number(queue.enter(now, &"a")), number(queue.enter(now, &"a")));
        assert_eq!(queue.leave(now, 0), [first]);
        assert!(queue.leave(now, 0).is_empty());
        assert!(queue.leave(now, second).is_empty());
        assert!(queue.leave(now, second).is_empty());
        // Served while it gave up: the place goes on.
        let third = number(queue.enter(now, &"b"));
        assert_eq!(queue.leave(now, first), [third]);
    }

    #[test]
    fn who_has_waited_too_long_is_not_served() {
        let (mut queue, now) = queue(1, 5);
        queue.enter(now, &"a");
        queue.enter(now, &"a");
        let other = number(queue.enter(now + SECOND, &"a"));
        let b = number(queue.enter(now + 2 * SECOND, &"b"));
        assert_eq!(queue.leave(now + 10 * SECOND, 0), [other]);
        assert_eq!(queue.leave(now + 11 * SECOND, other), [b]);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn other_bounds_serve_at_once_and_take_no_place_away() {
        let (mut queue, now) = queue(1, 5);
        let numbers: Vec<u64> = (0..4).map(|_| number(queue.enter(now, &"a"))).collect();
        let wide = Bounds { limit: 3, waiting: 1, wait: SECOND };
        assert_eq!(queue.adopt(now, wide), numbers[1..3]);
        assert!(queue.adopt(now, Bounds { limit: 1, ..wide }).is_empty());
        assert!(queue.leave(now, numbers[0]).is_empty());
        assert!(queue.leave(now, numbers[1]).is_empty());
        assert_eq!(queue.leave(now, numbers[2]), [numbers[3]]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Enter(u8),
        Leave(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u8..4).prop_map(Step::Enter),
            3 => (0_usize..64).prop_map(Step::Leave),
            1 => (0_u64..4_000).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Against a list that is searched anew each time.
        #[test]
        fn it_serves_whom_it_should(
            limit in 0_usize..4,
            waiting in 0_usize..8,
            steps in proptest::collection::vec(step(), 0..150),
        ) {
            let mut now = Instant::now();
            let mut queue = Queue::new(Bounds { limit, waiting, wait: 10 * SECOND });
            // All who are in: number, caller, until when they wait (none when served).
            let mut all: Vec<(u64, u8, Option<Instant>)> = Vec::new();
            // How many turns went by that somebody who could be served did not get.
            let mut passed: HashMap<u64, usize> = HashMap::new();
            for step in steps {
                match step {
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                    Step::Enter(caller) => match queue.enter(now, &caller) {
                        Entered::Served(number) => {
                            prop_assert!(all.iter().filter(|(.., until)| until.is_none()).count() < limit);
                            all.push((number, caller, None));
                        }
                        Entered::Waits { number, until, ousted } => {
                            if let Some(ousted) = ousted {
                                let at = all.iter().position(|(number, ..)| *number == ousted).unwrap();
                                let (_, loser, until) = all.remove(at);
                                prop_assert!(until.is_some() && loser != caller);
                                let waits = |who| {
                                    all.iter().filter(|(_, other, until)| *other == who && until.is_some()).count()
                                };
                                prop_assert!(waits(loser) > waits(caller));
                            }
                            all.push((number, caller, Some(until)));
                        }
                        Entered::Full => {
                            let waits = all.iter().filter(|(.., until)| until.is_some()).count();
                            prop_assert_eq!(waits, waiting);
                        }
                    },
                    Step::Leave(which) if !all.is_empty() => {
                        let (number, ..) = all.remove(which % all.len());
                        for next in queue.leave(now, number) {
                            let at = all.iter().position(|(number, ..)| *number == next).unwrap();
                            let (_, caller, until) = all[at];
                            prop_assert!(until.is_some_and(|until| now < until));
                            // First come, first served, within a caller.
                            let earlier = all[..at].iter().filter(|(_, other, until)| {
                                *other == caller && until.is_some_and(|until| now < until)
                            });
                            prop_assert_eq!(earlier.count(), 0);
                            all[at].2 = None;
                            // Nobody at the head of a line is passed over by more than the other callers.
                            for (number, other, until) in &all {
                                let head = all.iter().find(|(_, who, until)| {
                                    who == other && until.is_some_and(|until| now < until)
                                });
                                if until.is_some() && head.is_some_and(|(head, ..)| head == number) {
                                    let passed = passed.entry(*number).or_default();
                                    *passed += 1;
                                    prop_assert!(*passed <= 4, "{} starves", number);
                                }
                            }
                        }
                    }
                    Step::Leave(_) => {}
                }
                let served = all.iter().filter(|(.., until)| until.is_none()).count();
                prop_assert_eq!(queue.served(), served);
                prop_assert!(served <= limit && queue.waiting() <= waiting);
                // Those who were passed over have waited too long, and are gone.
                all.retain(|(number, _, until)| {
                    until.is_none_or(|until| now < until) || queue.waiting.contains_key(number)
                });
                prop_assert_eq!(queue.waiting(), all.len() - served);
                prop_assert!(served == limit || queue.waiting() == 0, "room, and somebody waits");
            }
        }
    }
}
