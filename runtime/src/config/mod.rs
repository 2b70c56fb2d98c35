//! The configuration: found, read strictly, resolved once.

pub mod known;
pub mod raw;
mod resolve;
mod settings;
mod units;
mod values;

use std::path::{Path, PathBuf};

use busbar_catalog::Catalog;
use serde_saphyr::Location;

pub use resolve::{Environment, SIMULATOR, resolve, with_simulator};
pub use settings::{
    BaseUrl, Capabilities, Credential, Facts, FetchSettings, Lane, Limits, LogSettings, Member, Named, Pool,
    Provider, Settings, Timeouts,
};
pub use units::Span;

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// The environment variable that names the configuration file.
pub const FILE_VARIABLE: &str = "BUSBAR_CONFIG";

/// Where the configuration is looked for when nothing names it.
pub const DEFAULT_FILES: [&str; 2] = ["busbar.yaml", "config.yaml"];

/// The name errors use when there is no file.
const NO_FILE: &str = "(no configuration file)";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not valid YAML of this grammar.
    #[error("{file}:{line}:{column}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong, naming the field.
        message: String,
    },
    /// A catalog is broken.
    #[error(transparent)]
    Catalog(#[from] busbar_catalog::Broken),
}

impl ConfigError {
    fn at(file: &str, location: Location, message: impl Into<String>) -> Self {
        ConfigError::Invalid {
            file: file.to_owned(),
            line: location.line().max(1),
            column: location.column().max(1),
            message: message.into(),
        }
    }
}

/// The file to read: the one named on the command line, else by `BUSBAR_CONFIG`, else one of the defaults that is there.
pub fn find(named: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    if let Some(path) = environment.get(FILE_VARIABLE) {
        return Some(PathBuf::from(path));
    }
    DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Reads and resolves the configuration; without a file, the catalog's providers whose key is set.
///
/// # Errors
/// [`ConfigError`], with line and column when the text is at fault.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Settings, ConfigError> {
    let mut catalog = Catalog::embedded()?;
    let Some(path) = path else {
        return resolve(raw::Config::default(), NO_FILE, &catalog, environment);
    };
    let text = read(path)?;
    let file = path.display().to_string();
    let config = parse(&text, &file)?;
    if let Some(more) = &config.catalog {
        // As an operator reads it: from where the configuration is, not from where the gateway was started.
        let more = path.parent().unwrap_or(Path::new("")).join(more);
        catalog.add(&more.display().to_string(), &read(&more)?)?;
    }
    resolve(config, &file, &catalog, environment)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(unreadable(format!("the file has {length} bytes, more than {MAX_FILE}")));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

/// Reads a configuration's text.
///
/// # Errors
/// [`ConfigError::Invalid`] with line and column.
pub fn parse(text: &str, file: &str) -> Result<raw::Config, ConfigError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(raw::Config::default());
    }
    let invalid = |error: serde_saphyr::Error| {
        let error = error.without_snippet();
        let location = error.location().unwrap_or(Location::UNKNOWN);
        ConfigError::at(file, location, error.render())
    };
    // First as YAML of any kind: what is not even that is told as such, not as a field of the wrong type.
    serde_saphyr::from_str::<serde_json::Value>(text).map_err(invalid)?;
    serde_saphyr::from_str(text).map_err(invalid)
}

/// The JSON Schema of the configuration.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::Config).to_value()
}

#[cfg(test)]
mod tests;
