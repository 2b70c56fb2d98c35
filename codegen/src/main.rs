//! The `busbar-codegen` command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use busbar_codegen::generate;
use busbar_codegen::import::{Extras, import, overlay::Overlay, read_document};
use busbar_codegen::leaves::leaves;
use busbar_codegen::schema::{PROTOCOLS, Schema};
use clap::{Parser, Subcommand};

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
    /// List the leaf paths that only schemas/<PROTOCOL>/schema.json or only another document has.
    ClosureReport {
        /// Protocol name.
        #[arg(value_parser = PROTOCOLS)]
        protocol: String,
        /// The other document, in any form that `import` reads.
        document: PathBuf,
    },
    /// Write generated/src from schemas/.
    Generate,
    /// Fail when generated/src is not what schemas/ says.
    Check,
    /// Read a provider's official document into schemas/<PROTOCOL>/schema.json.
    Import {
        /// Protocol name.
        #[arg(value_parser = PROTOCOLS)]
        protocol: String,
        /// The document.
        document: PathBuf,
        /// An older document of the same provider.
        #[arg(long)]
        older: Option<PathBuf>,
        /// A member of the older document that clients still send (`Type.member`).
        #[arg(long, requires = "older")]
        keep: Vec<String>,
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
    match cli.command {
        Command::ClosureReport { protocol, document } => {
            let ours = leaves(&Schema::load(&cli.root.join("schemas").join(&protocol).join("schema.json"))?);
            let theirs = leaves(&import(&protocol, &read_document(&document)?, &Extras::default())?);
            for (sign, here, there) in [("only here   ", &ours, &theirs), ("only there  ", &theirs, &ours)] {
                for path in here.difference(there) {
                    print(&format!("{sign}{path}"));
                }
            }
            Ok(if ours == theirs { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Generate => {
            let changed = generate::write(&cli.root)?;
            report(&format!("{changed} files changed"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => {
            generate::check(&cli.root)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import { protocol, document, older, keep, fresh } => {
            let dir = cli.root.join("schemas").join(&protocol);
            let target = dir.join("schema.json");
            let previous = if fresh || !target.exists() { None } else { Some(Schema::load(&target)?) };
            let overlay = Overlay::load(&dir.join("overlay.json"))?;
            let older = older.map(|path| read_document(&path)).transpose()?;
            let older = older.as_ref().map(|document| (document, keep.into_iter().collect()));
            let extras = Extras { older, previous, overlay };
            let schema = import(&protocol, &read_document(&document)?, &extras)?;
            write(&target, &schema.to_text())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    Ok(std::fs::write(path, text)?)
}

#[expect(clippy::print_stdout, reason = "a command line tool speaks to its user")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a command line tool speaks to its user")]
fn report(text: &str) {
    eprintln!("{text}");
}
