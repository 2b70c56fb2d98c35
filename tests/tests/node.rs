//! Every official Node SDK, and the Vercel AI SDK with each of its providers, over every backend.
//!
//! One client by hand: `cargo test -p busbar-tests --test node ai_gemini -- --nocapture`, with
//! `MATRIX=tools,reasoning` in the environment to play those scenarios alone.

use std::collections::BTreeSet;
use std::path::Path;

/// A test a client.
macro_rules! clients {
    ($($client:ident)+) => {
        const NAMES: &[&str] = &[$(stringify!($client)),+];
        $(#[test]
        fn $client() {
            busbar_tests::node::check(stringify!($client));
        })+
    };
}

clients! {
    openai_chat openai_responses anthropic gemini bedrock cohere
    ai_openai_chat ai_openai_responses ai_anthropic ai_gemini ai_bedrock ai_cohere
}

#[test]
fn every_client_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/clients");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        // What all providers of that SDK have in common.
        .filter(|name| name != "ai")
        .collect();
    assert_eq!(files, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn the_pins_name_no_registry() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("node/package-lock.json"));
    assert!(!lock.unwrap().contains("\"resolved\""), "written without omit-lockfile-registry-resolved");
}
