//! Writes `generated/src`, or says how it differs from what the schemas say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;

use crate::emit;
use crate::ir::Ir;
use crate::map::Map;
use crate::rules::{Rules, Shape};
use crate::schema::{PROTOCOLS, Schema};

/// The one command that makes `generated/src` current.
pub const COMMAND: &str = "cargo run -p busbar-codegen -- generate";

/// Text of every generated file, by path below `generated/src`.
pub type Files = BTreeMap<PathBuf, String>;

/// Generates everything in memory.
pub fn generate(root: &Path) -> Result<Files> {
    let ir = Ir::load(&root.join("schemas/ir.json"))?;
    let mut files = Files::new();
    let mut done = Vec::new();
    for protocol in PROTOCOLS {
        let folder = root.join("schemas").join(protocol);
        if !folder.join("schema.json").exists() {
            continue;
        }
        let schema = Schema::load(&folder.join("schema.json"))?;
        let none = !folder.join("map.toml").exists();
        let map = if none { Map::parse("")? } else { Map::load(&folder.join("map.toml"))? };
        let problems = if none { Vec::new() } else { map.problems(&schema, &ir) };
        if !problems.is_empty() {
            bail!("schemas/{protocol}/map.toml:\n  {}", problems.join("\n  "));
        }
        let maps =
            emit::maps_module(&schema, &map, &ir).with_context(|| format!("schemas/{protocol}/map.toml"))?;
        done.push(protocol);
        let doc = format!("Wire types of `{protocol}` and their maps into the IR and back.");
        let path = PathBuf::from(protocol);
        files.insert(path.join("mod.rs"), module_root(&doc, &schema));
        files.insert(
            path.join("types.rs"),
            print(&format!("Wire types of `{protocol}`."), emit::types_module(&schema))?,
        );
        files.insert(path.join("maps.rs"), print(&format!("Maps of `{protocol}`."), maps)?);
        files.insert(
            path.join("rows.rs"),
            print(&format!("The map of `{protocol}`, row by row."), emit::rows_module(&schema, &map, &ir))?,
        );
    }
    let shape = Shape::load(&root.join("codegen/prelude/rules.rs"))?;
    for protocol in &done {
        let path = root.join("schemas").join(protocol).join("rules.toml");
        let rules = Rules::load(&path)?;
        let printed =
            emit::rules_module(&rules, &shape).with_context(|| format!("schemas/{protocol}/rules.toml"))?;
        let doc = format!("Limits and quirks of `{protocol}`.");
        files.insert(Path::new(protocol).join("rules.rs"), print(&doc, printed)?);
    }
    files.insert(
        "ir.rs".into(),
        print("The intermediate form; see `schemas/ir.json`.", emit::ir_module(&ir))?,
    );
    let lib = print_bare(emit::lib_module(&done))?;
    let guide = std::fs::read_to_string(root.join("codegen/prelude/lib_doc.md"))
        .context("codegen/prelude/lib_doc.md")?;
    let guide: String =
        guide.lines().map(|line| format!("//! {line}").trim_end().to_owned() + "\n").collect();
    files.insert("lib.rs".into(), format!("{guide}\n{lib}"));
    prelude(&root.join("codegen/prelude"), Path::new("prelude"), &mut files)?;
    Ok(files)
}

/// Writes all files and removes the ones that are no longer generated.
pub fn write(root: &Path) -> Result<usize> {
    let files = generate(root)?;
    let target = root.join("generated/src");
    let mut changed = 0;
    for stale in existing(&target)? {
        if !files.contains_key(&stale) {
            std::fs::remove_file(target.join(&stale))?;
            changed += 1;
        }
    }
    for (path, text) in &files {
        let full = target.join(path);
        if std::fs::read_to_string(&full).ok().as_deref() != Some(text) {
            std::fs::create_dir_all(full.parent().context("a file has a folder")?)?;
            std::fs::write(&full, text).with_context(|| format!("write {}", full.display()))?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// Fails, naming each file, when `generated/src` is not what the schemas say.
pub fn check(root: &Path) -> Result<()> {
    let files = generate(root)?;
    let target = root.join("generated/src");
    let mut stale: Vec<String> = existing(&target)?
        .into_iter()
        .filter(|path| !files.contains_key(path))
        .map(|path| format!("{} is no longer generated", path.display()))
        .collect();
    for (path, text) in &files {
        if std::fs::read_to_string(target.join(path)).ok().as_deref() != Some(text) {
            stale.push(format!("{} differs", path.display()));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("generated/src is not current; run `{COMMAND}` and commit the result:\n  {}", stale.join("\n  "))
}

fn module_root(doc: &str, schema: &Schema) -> String {
    let variant = emit::variant(&schema.protocol);
    let [request, response, stream, error] = schema.roots.all();
    format!(
        "// Generated by `{COMMAND}`; do not edit.\n\
         //! {doc}\n\n\
         #[allow(unused_imports, unused_variables, unused_mut, reason = \"every map has the same frame\")]\n\
         mod maps;\nmod rows;\nmod rules;\n\
         #[allow(unused_imports, reason = \"every module of types has the same frame\")]\n\
         pub mod types;\n\n\
         pub use maps::*;\npub use rows::{{LACKS, ROWS, wire_name}};\npub use rules::RULES;\npub use types::*;\n\n\
         /// This protocol.\n\
         pub const PROTOCOL: crate::prelude::Protocol = crate::prelude::Protocol::{variant};\n\n\
         /// The types of whole documents, under the same names in every protocol.\n\
         pub mod root {{\n\
         \x20   /// A request body.\n\
         \x20   pub type Request<'a> = super::types::{request}<'a>;\n\
         \x20   /// A buffered response body.\n\
         \x20   pub type Response<'a> = super::types::{response}<'a>;\n\
         \x20   /// One streamed event.\n\
         \x20   pub type StreamEvent<'a> = super::types::{stream}<'a>;\n\
         \x20   /// An error body.\n\
         \x20   pub type Error<'a> = super::types::{error}<'a>;\n\
         }}\n"
    )
}

fn print(doc: &str, tokens: TokenStream) -> Result<String> {
    Ok(format!("// Generated by `{COMMAND}`; do not edit.\n//! {doc}\n\n{}", print_bare(tokens)?))
}

fn print_bare(tokens: TokenStream) -> Result<String> {
    let file = syn::parse2(tokens).context("the printed tokens are no Rust file")?;
    Ok(prettyplease::unparse(&file))
}

fn prelude(folder: &Path, below: &Path, files: &mut Files) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?;
        if path.is_dir() {
            prelude(&path, &below.join(name), files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            files.insert(below.join(name), text);
        }
    }
    Ok(())
}

fn existing(target: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![target.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(below) = path.strip_prefix(target) {
                found.push(below.to_path_buf());
            }
        }
    }
    Ok(found)
}
