//! Coding agents through the built gateway over every backend: each is told to read a file, and does.
//!
//! They are large, so they run when asked alone: `AGENTS=true cargo test -p busbar-tests --test agents`.

use busbar_tests::agents;
use busbar_tests::dialect::{self, Dialect};

macro_rules! agents {
    ($($agent:ident)+) => {$(
        #[test]
        fn $agent() {
            agents::$agent(&dialect::ALL.map(Dialect::name));
        }
    )+};
}

agents! { claude_code codex gemini_cli opencode }
