//! The `busbar-codegen` command.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use busbar_codegen::diff::{Change, diff};
use busbar_codegen::drift::{Drift, Moved};
use busbar_codegen::import::{Extras, import, keep_names, overlay::Overlay, read_document, sdk};
use busbar_codegen::leaves::leaves;
use busbar_codegen::map::Map;
use busbar_codegen::schema::{Def, PROTOCOLS, Schema};
use busbar_codegen::{fates, generate};
use clap::{Parser, Subcommand};
use serde_json::Value;

/// Imports provider schemas, generates wire types and maps, and checks that both are current.
#[derive(Debug, Parser)]
#[command(name = "busbar-codegen", version)]
struct Cli {
    /// Where the workspace is.
    #[arg(long, global = true, default_value = ".")]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what a newer document changes; exits with 0 when nothing, 1 when something, 2 on an error.
    Diff {
        /// Protocol name.
        #[arg(value_parser = PROTOCOLS)]
        protocol: String,
        /// The newer document, in any form that `import` reads.
        newer: PathBuf,
        /// The older document; the committed schema when there is none.
        #[arg(long)]
        from: Option<PathBuf>,
    },
    /// Print what the newest releases of the pinned packages change, of all protocols or some; exits with 0 when
    /// nothing, 1 when something, 2 on an error (needs python3 and the package index).
    Drift {
        /// Protocol names; all when there are none.
        #[arg(value_parser = PROTOCOLS)]
        protocols: Vec<String>,
    },
    /// Print the document that the pinned packages, or other releases of them, amount to (needs python3).
    Document {
        /// Protocol name.
        #[arg(value_parser = PROTOCOLS)]
        protocol: String,
        /// Another release than the pinned one, as NAME==VERSION.
        #[arg(long)]
        package: Vec<String>,
    },
    /// List the leaf paths that only schemas/<PROTOCOL>/schema.json or only another document has.
    ClosureReport {
        /// Protocol name.
        #[arg(value_parser = PROTOCOLS)]
        protocol: String,
        /// The other document, in any form that `import` reads.
        document: PathBuf,
    },
    /// Print how many wire fields of each protocol have which fate.
    Fates,
    /// Write generated/src from schemas/.
    Generate,
    /// Fail when generated/src is not what schemas/ says.
    Check,
    /// Read a provider's official document into schemas/<PROTOCOL>/schema.json.
    Import {
        /// Protocol name.
        #[arg(value_parser = PROTOCOLS)]
        protocol: String,
        /// The document: JSON Schema with x-roots, OpenAPI, AWS service model, Google descriptors or discovery.
        #[arg(required_unless_present = "sdk", conflicts_with = "sdk")]
        document: Option<PathBuf>,
        /// Read the packages that schemas/sources.toml pins instead (needs python3).
        #[arg(long)]
        sdk: bool,
        /// Forget what is committed: members the document does not have go.
        #[arg(long)]
        fresh: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            report(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let root = cli.root.as_path();
    match cli.command {
        Command::Fates => {
            print(&fates::table(root)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Generate => {
            let changed = generate::write(root)?;
            report(&format!("{changed} files changed"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => {
            generate::check(root)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import { protocol, document, sdk: _, fresh } => {
            run_import(root, &protocol, document.as_deref(), fresh)
        }
        Command::Diff { protocol, newer, from } => run_diff(root, &protocol, &newer, from.as_deref()),
        Command::Drift { protocols } => run_drift(root, &protocols),
        Command::Document { protocol, package } => run_document(root, &protocol, &package),
        Command::ClosureReport { protocol, document } => run_closure_report(root, &protocol, &document),
    }
}

fn run_import(root: &Path, protocol: &str, document: Option<&Path>, fresh: bool) -> Result<ExitCode> {
    let dir = root.join("schemas").join(protocol);
    let target = dir.join("schema.json");
    let previous = if fresh || !target.exists() { None } else { Some(Schema::load(&target)?) };
    let overlay = Overlay::load(&dir.join("overlay.json"))?;
    let schema = match document {
        // A document given by hand comes without the older release: what that had is in the committed schema.
        Some(path) => import(protocol, &read_document(path)?, &Extras { older: None, previous, overlay })?,
        None => {
            let pins = pinned(root, protocol)?;
            let newer = sdk::document(root, protocol, &pins.packages)?;
            let older = match &pins.older {
                Some(older) => Some((sdk::document(root, protocol, &older.packages)?, &older.keep)),
                None => None,
            };
            let older = older.as_ref().map(|(document, keep)| (document, *keep));
            import(protocol, &newer, &Extras { older, previous, overlay })?
        }
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    std::fs::write(&target, schema.to_text()).with_context(|| format!("write {}", target.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn run_diff(root: &Path, protocol: &str, newer: &Path, from: Option<&Path>) -> Result<ExitCode> {
    let newer = read_document(newer)?;
    let from = from.map(read_document).transpose()?;
    let changes = changes(root, protocol, &newer, from.as_ref())?;
    for change in &changes {
        print(&change.to_string());
    }
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a newer document changes, of an older one or else of the committed schema.
fn changes(root: &Path, protocol: &str, newer: &Value, from: Option<&Value>) -> Result<Vec<Change>> {
    let dir = root.join("schemas").join(protocol);
    let committed = Schema::load(&dir.join("schema.json"))?;
    // Both take the committed names, which are the ones that the map speaks of.
    let read = |document: &Value| -> Result<Schema> {
        let overlay = Overlay::load(&dir.join("overlay.json"))?;
        let mut schema = import(protocol, document, &Extras { overlay, ..Extras::default() })?;
        keep_names::run(&mut schema, &committed);
        Ok(schema)
    };
    let newer = read(newer)?;
    let older = match from {
        Some(document) => read(document)?,
        None => committed.clone(),
    };
    let map = dir.join("map.toml");
    let fateless = if map.exists() { fateless(&mut Map::load(&map)?, &newer)? } else { BTreeSet::new() };
    Ok(diff(&older, &newer, &fateless))
}

fn run_drift(root: &Path, protocols: &[String]) -> Result<ExitCode> {
    let mut still = true;
    for protocol in
        PROTOCOLS.into_iter().filter(|it| protocols.is_empty() || protocols.iter().any(|own| own == it))
    {
        let mut packages = pinned(root, protocol)?.packages;
        let mut moved = Vec::new();
        let pins = packages.clone();
        for package in packages.iter_mut().filter(|package| package.name != sdk::WRITER) {
            let newest = sdk::newest(root, &pins, &package.name)?;
            if newest != package.version {
                let pinned = std::mem::replace(&mut package.version, newest.clone());
                moved.push(Moved { name: package.name.clone(), pinned, newest });
            }
        }
        let changes = if moved.is_empty() {
            Vec::new()
        } else {
            changes(root, protocol, &sdk::document(root, protocol, &packages)?, None)?
        };
        still &= moved.is_empty();
        print(Drift { protocol: protocol.to_owned(), moved, changes }.report().trim_end());
    }
    Ok(if still { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_document(root: &Path, protocol: &str, releases: &[String]) -> Result<ExitCode> {
    let mut packages = pinned(root, protocol)?.packages;
    for wanted in releases {
        let (name, version) = wanted.split_once("==").context("--package is NAME==VERSION")?;
        let pin = packages.iter_mut().find(|p| p.name == name);
        version
            .clone_into(&mut pin.with_context(|| format!("{name} is not a package of {protocol}"))?.version);
    }
    print(&serde_json::to_string_pretty(&sdk::document(root, protocol, &packages)?)?);
    Ok(ExitCode::SUCCESS)
}

fn run_closure_report(root: &Path, protocol: &str, document: &Path) -> Result<ExitCode> {
    let ours = leaves(&Schema::load(&root.join("schemas").join(protocol).join("schema.json"))?);
    let theirs = leaves(&import(protocol, &read_document(document)?, &Extras::default())?);
    for (sign, here, there) in [("only here   ", &ours, &theirs), ("only there  ", &theirs, &ours)] {
        for path in here.difference(there) {
            print(&format!("{sign}{path}"));
        }
    }
    Ok(if ours == theirs { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pinned(root: &Path, protocol: &str) -> Result<sdk::Pins> {
    sdk::pins(root)?.remove(protocol).with_context(|| format!("{protocol} is not in schemas/sources.toml"))
}

/// What has no fate in the map: types, members, and values of enums that have a map.
fn fateless(map: &mut Map, schema: &Schema) -> Result<BTreeSet<String>> {
    let (seen, _) = map.resolve(schema)?;
    let mut places = map.fateless(&seen);
    for (name, words) in &map.enums {
        if let Some(Def::Enum(values)) = schema.types.get(name) {
            places.extend(
                values.iter().filter(|v| !words.read.contains_key(*v)).map(|v| format!("{name}#{v}")),
            );
        }
    }
    Ok(places)
}

#[expect(clippy::print_stdout, reason = "a command line tool speaks to its user")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a command line tool speaks to its user")]
fn report(text: &str) {
    eprintln!("{text}");
}
