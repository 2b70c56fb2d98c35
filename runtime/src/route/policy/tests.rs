//! The policies, by example and by what holds of every order.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const FASTEST: Policy = Policy::Fastest { explore: Policy::EXPLORE };
/// A draw that never explores.
const STEADY: f64 = 0.99;

fn lanes<const N: usize>(change: [fn(&mut Candidate); N]) -> Vec<Candidate> {
    let lane = |change: fn(&mut Candidate)| {
        let mut lane = Candidate::default();
        change(&mut lane);
        lane
    };
    change.into_iter().map(lane).collect()
}

fn took(seconds: f64, weight: f64) -> Option<Average> {
    Some(Average { value: seconds, weight })
}

fn once(policy: Policy, candidates: &[Candidate]) -> Ranking {
    order(policy, candidates, &mut Turns::default(), STEADY)
}

/// How often each was first.
fn firsts(policy: Policy, candidates: &[Candidate], times: usize) -> Vec<usize> {
    let (mut turns, mut firsts) = (Turns::default(), vec![0; candidates.len()]);
    for number in 0..times {
        let draw = (number as f64 + 0.5) / times as f64;
        firsts[order(policy, candidates, &mut turns, draw).order[0]] += 1;
    }
    firsts
}

#[test]
fn weighted_shares_by_weight_and_fails_over_to_whom_is_owed_most() {
    let lanes = lanes([|it| it.weight = 5, |it| it.weight = 1, |it| it.weight = 1]);
    assert_eq!(firsts(Policy::Weighted, &lanes, 70), [50, 10, 10]);
    let mut turns = Turns::default();
    let orders: Vec<_> = (0..3).map(|_| order(Policy::Weighted, &lanes, &mut turns, STEADY).order).collect();
    assert_eq!(orders, [[0, 1, 2], [0, 1, 2], [1, 2, 0]]);
    assert_eq!(once(Policy::Weighted, &lanes).why, "weighted: weight 5 of 7");
}

#[test]
fn weighted_spreads_the_share_of_one_that_is_out() {
    let out = |it: &mut Candidate| it.availability = Availability::Out;
    let lanes = lanes([out, |it| it.weight = 2, |it| it.weight = 1]);
    assert_eq!(firsts(Policy::Weighted, &lanes, 30), [0, 20, 10]);
}

#[test]
fn cheapest_takes_the_least_price_and_shares_among_equals() {
    let lanes = lanes([
        |it| it.price = Some(0.02),
        |it| it.price = None,
        |it| it.price = Some(0.004),
        |it| it.price = Some(0.004),
        |it| it.price = Some(f64::NAN),
    ]);
    let ranking = once(Policy::Cheapest, &lanes);
    assert_eq!(ranking.order, [2, 3, 0, 1, 4]);
    assert_eq!(ranking.why, "cheapest: 0.004000 dollars expected");
    assert_eq!(firsts(Policy::Cheapest, &lanes, 10), [0, 0, 5, 5, 0]);
    assert_eq!(
        once(Policy::Cheapest, &[lanes[1].clone(), lanes[4].clone()]).why,
        "cheapest: no price known, by weight"
    );
}

#[test]
fn fastest_takes_the_shortest_wait_and_tries_the_unknown() {
    let lanes = lanes([
        |it| it.first_token = took(0.9, 5.0),
        |it| it.first_token = took(0.3, 5.0),
        |it| it.first_token = took(0.32, 5.0),
        |it| it.first_token = None,
    ]);
    let ranking = once(FASTEST, &lanes);
    assert_eq!(ranking.order, [1, 2, 3, 0]);
    assert_eq!(ranking.why, "fastest: 300 ms to the first token");
    // Equally fast ones and the unknown one share.
    assert_eq!(firsts(Policy::Fastest { explore: 0.0 }, &lanes, 30), [0, 10, 10, 10]);
}

#[test]
fn fastest_explores_with_its_share_whom_it_knows_least() {
    let lanes = lanes([
        |it| it.first_token = took(0.1, 5.0),
        |it| it.first_token = took(0.9, 0.3),
        |it| it.first_token = took(0.8, 0.2),
        |it| (it.first_token, it.tier) = (None, 1),
    ]);
    assert_eq!(firsts(Policy::Fastest { explore: 0.1 }, &lanes, 100), [90, 0, 10, 0]);
    let ranking = order(Policy::Fastest { explore: 0.1 }, &lanes, &mut Turns::default(), 0.05);
    assert_eq!(ranking.order, [2, 0, 1, 3]);
    assert_eq!(ranking.why, "fastest: explores the one measured least");
}

#[test]
fn least_busy_counts_for_the_weight_or_the_limit() {
    let lanes = lanes([
        |it| (it.in_flight, it.weight) = (3, 1),
        |it| (it.in_flight, it.weight) = (6, 4),
        |it| (it.in_flight, it.weight) = (1, 1),
    ]);
    let ranking = once(Policy::LeastBusy, &lanes);
    assert_eq!(ranking.order, [1, 2, 0]);
    assert_eq!(ranking.why, "least_busy: 6 in flight at weight 4");

    let limited: Vec<_> = lanes
        .into_iter()
        .zip([20, 10, 1])
        .map(|(it, limit)| Candidate { limit: Some(limit), ..it })
        .collect();
    let ranking = once(Policy::LeastBusy, &limited);
    assert_eq!(ranking.order, [0, 1, 2]);
    assert_eq!(ranking.why, "least_busy: 3 of 20 in flight");
}

#[test]
fn usage_takes_the_most_headroom() {
    let lanes = lanes([
        |it| it.headroom = Some(0.2),
        |it| it.headroom = Some(0.81),
        |it| it.headroom = Some(0.79),
        |it| it.headroom = Some(-3.0),
        |it| it.headroom = None,
    ]);
    let ranking = once(Policy::Usage, &lanes);
    assert_eq!((ranking.order, ranking.why.as_str()), (vec![4, 1, 2, 0, 3], "usage: no quota known"));
    let ranking = once(Policy::Usage, &lanes[..4]);
    assert_eq!((ranking.order, ranking.why.as_str()), (vec![1, 2, 0, 3], "usage: 81 % of quota left"));
    assert_eq!(firsts(Policy::Usage, &lanes[..4], 10), [0, 5, 5, 0]);
}

#[test]
fn what_comes_before_the_policy_is_said() {
    let lanes = lanes([
        |it| it.availability = Availability::Out,
        |it| it.fits = false,
        |it| (it.tier, it.weight) = (1, 0),
        |it| (it.limit, it.in_flight) = (Some(2), 2),
        |it| it.availability = Availability::Ramping,
        |it| it.weight = 0,
    ]);
    let mut left = lanes.clone();
    assert_eq!(once(Policy::Weighted, &lanes).order, [4, 3, 5, 2, 1, 0]);
    let mut said = Vec::new();
    for at in [4, 3, 5, 2, 1] {
        said.push(once(Policy::Weighted, &left).why);
        left[at].availability = Availability::Out;
        left[at].fits = false;
        left[at].tier = 9;
    }
    assert_eq!(
        said,
        [
            "weighted: the only one of its kind; coming back",
            "weighted: the only one of its kind; full",
            "weighted: the only one of its kind",
            "weighted: the only one of its kind; standby tier 1",
            "weighted: the only one of its kind; with loss",
        ]
    );
    assert_eq!(once(Policy::Usage, &[]), Ranking { order: vec![], why: "usage: no lanes".into() });
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let number = || {
        prop_oneof![
            2 => Just(None),
            6 => (0.0..2.0).prop_map(Some),
            1 => select(vec![Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)]),
        ]
    };
    let availability = select(vec![Availability::Available, Availability::Ramping, Availability::Out]);
    let limit = prop_oneof![Just(None), (0_u32..8).prop_map(Some)];
    ((0_u32..4, 0_u8..3, availability, any::<bool>(), 0_u32..8, limit), (number(), number(), number()))
        .prop_map(|((weight, tier, availability, fits, in_flight, limit), (price, time, headroom))| {
            Candidate {
                weight,
                tier,
                availability,
                fits,
                in_flight,
                limit,
                price,
                first_token: time.map(|value| Average { value, weight: 1.0 }),
                headroom,
            }
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    select(vec![
        Policy::Weighted,
        Policy::Cheapest,
        Policy::Fastest { explore: 0.5 },
        Policy::LeastBusy,
        Policy::Usage,
    ])
}

proptest! {
    #[test]
    fn every_order_is_whole_and_keeps_the_ranks(
        policy in policy(),
        candidates in proptest::collection::vec(candidate(), 0..9),
        draws in proptest::collection::vec(0.0..1.0, 1..9),
    ) {
        let mut turns = Turns::new(candidates.len());
        for draw in draws {
            let Ranking { order, why } = order(policy, &candidates, &mut turns, draw);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..candidates.len()).collect::<Vec<_>>());
            prop_assert!(why.len() < 120 && why.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", why);
            for pair in order.windows(2) {
                let (a, b) = (&candidates[pair[0]], &candidates[pair[1]]);
                let out = |it: &Candidate| it.availability == Availability::Out;
                prop_assert!(out(a) <= out(b), "out before in");
                if out(a) == out(b) {
                    prop_assert!(a.fits >= b.fits, "loss before none");
                    prop_assert!(a.fits != b.fits || a.tier <= b.tier, "standby before its time");
                }
            }
        }
    }

    #[test]
    fn the_first_is_the_best_by_the_policys_own_measure(
        candidates in proptest::collection::vec(candidate(), 1..9),
    ) {
        let rank = candidates.iter().map(Candidate::rank).min().unwrap();
        let peers = || candidates.iter().filter(|it| it.rank() == rank);
        let finite = |value: Option<f64>| value.filter(|value| (0.0..1e9).contains(value));
        let least = |of: &dyn Fn(&Candidate) -> Option<f64>| peers().filter_map(of).fold(f64::MAX, f64::min);
        let first = |policy| &candidates[once(policy, &candidates).order[0]];

        let cheapest = first(Policy::Cheapest);
        let price = least(&|it| finite(it.price));
        prop_assert_eq!(finite(cheapest.price).unwrap_or(f64::MAX), price);

        let time = |it: &Candidate| finite(it.first_token.map(|average| average.value));
        let best = least(&time);
        prop_assert!(time(first(FASTEST)).is_none_or(|time| time <= best * 1.1));

        let left = |it: &Candidate| it.headroom.filter(|left| !left.is_nan()).unwrap_or(1.0).clamp(0.0, 1.0);
        let most = peers().map(left).fold(0.0, f64::max);
        prop_assert!(left(first(Policy::Usage)) >= most - 0.1);
    }

    /// Load that follows the order comes to rest in proportion to the weights.
    #[test]
    fn least_busy_levels_the_load(weights in proptest::collection::vec(1_u32..9, 1..6)) {
        let mut lanes: Vec<_> =
            weights.iter().map(|weight| Candidate { weight: *weight, ..Candidate::default() }).collect();
        let mut turns = Turns::new(lanes.len());
        let total: u32 = weights.iter().sum();
        for _ in 0..total * 10 {
            let first = order(Policy::LeastBusy, &lanes, &mut turns, STEADY).order[0];
            lanes[first].in_flight += 1;
        }
        for lane in lanes {
            prop_assert!(lane.in_flight.abs_diff(lane.weight * 10) <= 1);
        }
    }
}
