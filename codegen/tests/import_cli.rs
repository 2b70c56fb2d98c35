//! The command's own promises: what it writes, what it prints, how it exits.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn codegen(root: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_busbar-codegen")).arg("--root").arg(root).args(args).output().unwrap()
}

/// An empty workspace of this test's own.
fn workspace(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if root.exists() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    std::fs::create_dir_all(&root).unwrap();
    root
}

fn document(root: &Path, name: &str, request: serde_json::Value) -> String {
    let path = root.join(name);
    let document = serde_json::json!({
        "x-roots": {"request": "Request", "response": "Answer", "stream": "Answer", "error": "Answer"},
        "$defs": {"Request": request, "Answer": {"type": "object", "properties": {}}}
    });
    std::fs::write(&path, document.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn import_is_stable_and_diff_tells_by_its_exit_code() {
    let root = workspace("diff");
    let first = document(
        &root,
        "first.json",
        serde_json::json!({"type": "object", "properties": {"a": {"type": "string"}}}),
    );
    assert_eq!(codegen(&root, &["import", "cohere", &first]).status.code(), Some(0));
    let target = root.join("schemas/cohere/schema.json");
    let text = std::fs::read_to_string(&target).unwrap();
    assert_eq!(codegen(&root, &["import", "cohere", &first]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&target).unwrap(), text);

    let same = codegen(&root, &["diff", "cohere", &first]);
    assert_eq!((same.status.code(), same.stdout.len()), (Some(0), 0));

    let request = serde_json::json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}});
    let newer = document(&root, "newer.json", request);
    let changed = codegen(&root, &["diff", "cohere", &newer]);
    assert_eq!(changed.status.code(), Some(1));
    let lines = String::from_utf8(changed.stdout).unwrap();
    let expected = "changed field        Request.a  (string, optional -> integer, optional)\n\
                    new     field        Request.b  (string, optional)\n";
    assert_eq!(lines, expected);

    std::fs::write(root.join("schemas/cohere/map.toml"), "").unwrap();
    let lines = String::from_utf8(codegen(&root, &["diff", "cohere", &newer]).stdout).unwrap();
    assert!(lines.contains("Request.b  (string, optional)  no fate\n"), "{lines}");

    assert_eq!(codegen(&root, &["diff", "cohere", "missing.json"]).status.code(), Some(2));
    assert_eq!(codegen(&root, &["diff", "nobody", &newer]).status.code(), Some(2));
}

#[test]
fn the_commands_that_the_page_names_are_there() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas.md");
    let page = std::fs::read_to_string(page).unwrap();
    let named: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run -p busbar-codegen -- ")?.split_whitespace().next())
        .collect();
    assert!(named.len() >= 5, "{named:?}");
    for command in named {
        let help = codegen(Path::new("."), &[command, "--help"]);
        assert!(help.status.success(), "{command}");
    }
}
