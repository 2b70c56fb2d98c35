//! Every official SDK over every backend: `python/matrix` played through the built gateway, one test a pair.
//!
//! One pair by hand: `cargo test -p busbar-tests --test matrix openai_chat::gemini -- --nocapture`, with
//! `MATRIX=think_tools,usage` in the environment to play those scenarios alone.

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::matrix;

/// A module a client and in it a test a backend; `straight` is the simulator itself, without the gateway.
macro_rules! matrix {
    ($($client:ident),+ over $backends:tt) => {
        const NAMES: &[&str] = &[$(stringify!($client)),+];
        $(mod $client { row!($client $backends); })+
    };
}

macro_rules! row {
    ($client:ident ($($backend:ident),+)) => {$(
        #[test]
        fn $backend() {
            busbar_tests::matrix::check(stringify!($client), stringify!($backend));
        }
    )+};
}

matrix! {
    openai_chat, openai_responses, anthropic, gemini, bedrock, cohere
    over (openai_chat, openai_responses, anthropic, gemini, bedrock, cohere, straight)
}

#[test]
fn the_names_are_those_of_all_protocols() {
    assert_eq!(NAMES, dialect::ALL.map(Dialect::name));
}

#[test]
fn every_exception_is_of_a_pair_and_a_scenario_that_exist() {
    matrix::check_exceptions();
}
