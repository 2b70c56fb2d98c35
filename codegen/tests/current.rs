//! `generated/src` is what `schemas/` says, and generating twice gives the same bytes.

use std::path::Path;

use busbar_codegen::generate;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn generated_code_is_current() {
    if let Err(error) = generate::check(&root()) {
        panic!("{error:#}");
    }
}

#[test]
fn generating_twice_gives_the_same_bytes() {
    assert_eq!(generate::generate(&root()).unwrap(), generate::generate(&root()).unwrap());
}

#[test]
fn a_stale_file_is_named_with_the_command() {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["schemas", "codegen/prelude", "generated/src"] {
        copy_tree(&root().join(folder), &copy.path().join(folder));
    }
    let path = copy.path().join("generated/src/anthropic/types.rs");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("pub struct", "pub  struct", 1)).unwrap();
    std::fs::write(copy.path().join("generated/src/left_over.rs"), "").unwrap();
    let error = format!("{:#}", generate::check(copy.path()).unwrap_err());
    assert!(error.contains("anthropic/types.rs differs"), "{error}");
    assert!(error.contains("left_over.rs is no longer generated"), "{error}");
    assert!(error.contains(generate::COMMAND), "{error}");

    assert_eq!(generate::write(copy.path()).unwrap(), 2);
    generate::check(copy.path()).unwrap();
    assert_eq!(generate::write(copy.path()).unwrap(), 0, "a second run changes nothing");
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
