//! The arrows of the code map: which crate and which module of the gateway may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The gateway's modules, by rank; a module uses modules of its own rank and below, and never in a circle.
const RANKS: &[&[&str]] = &[
    &["fault", "config", "observe", "store"],
    &[
        "dialect",
        "translate",
        "stream",
        "govern",
        "route",
        "breaker",
        "upstream",
        "fetch",
        "count",
        "lists",
        "hooks",
    ],
    &["gateway"],
    &["admin", "server"],
    &["demo"],
];

/// Judged by nobody but the conformance suites, so it shares nothing with what it judges.
const APART: &str = "simulator";

/// What plays providers in front of people, and so may use it too.
const SHOW: &str = "demo";

/// What each crate may use of ours.
const CRATES: &[(&str, &[&str])] = &[
    ("codegen", &[]),
    ("generated", &[]),
    ("catalog", &[]),
    ("runtime", &["busbar-catalog", "busbar-protocols"]),
    ("conformance", &["busbar", "busbar-catalog", "busbar-codegen", "busbar-protocols"]),
    ("tests", &["busbar-codegen"]),
];

/// The longest file that is written by hand, in lines; most are a third of it.
const MAX_LINES: usize = 1000;

#[test]
fn modules_use_lower_ranks_alone() {
    for (module, used) in uses() {
        if module == APART {
            assert!(used.is_empty(), "{APART} uses {used:?}");
            continue;
        }
        let own = rank(&module);
        for other in &used {
            if other == APART {
                assert_eq!(module, SHOW, "{module} uses {APART}");
                continue;
            }
            assert!(rank(other) <= own, "{module} uses {other}, which is above it");
        }
    }
}

#[test]
fn modules_do_not_go_in_circles() {
    let mut left = uses();
    while let Some(free) =
        left.keys().find(|module| left[*module].iter().all(|used| !left.contains_key(used)))
    {
        left.remove(&free.clone());
    }
    assert!(left.is_empty(), "these use each other: {left:?}");
}

#[test]
fn crates_use_what_the_map_says() {
    for (folder, allowed) in CRATES {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let names = manifest.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        for name in names.filter(|name| *name == "busbar" || name.starts_with("busbar-")) {
            assert!(allowed.contains(&name), "{folder} depends on {name}");
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for folder in ["codegen", "catalog/src", "runtime", "conformance", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", file.display());
        }
    }
}

/// Which modules of the gateway each of them names.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let source = root().join("runtime/src");
    let mut uses = BTreeMap::new();
    for entry in fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let files = if path.is_dir() { rust_files(&path) } else { vec![path] };
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let mut used = BTreeSet::new();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            used.extend(named(&code.collect::<Vec<_>>().join("\n")));
        }
        used.remove(&module);
        uses.insert(module, used);
    }
    let modules: BTreeSet<String> = uses.keys().cloned().collect();
    for used in uses.values_mut() {
        used.retain(|name| modules.contains(name));
    }
    uses
}

/// The names after `crate::`, one or a list in braces.
fn named(code: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect()
    };
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            names.push(name(after));
            continue;
        };
        // Only the first name of each item at the first level is a module.
        let (mut depth, mut item) = (0_usize, String::new());
        for letter in list.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(name(&std::mem::take(&mut item))),
                _ if depth == 0 => item.push(letter),
                _ => {}
            }
        }
        names.push(name(&item));
    }
    names
}

fn rank(module: &str) -> usize {
    RANKS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("{module} has no rank: give it one here and in the code map"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn names_are_found_in_every_form() {
    let code =
        "use crate::config; use crate::{fault::{Class, Fault}, stream, self as x}; crate::route::pick()";
    assert_eq!(named(code), ["config", "fault", "stream", "self", "route"]);
}
