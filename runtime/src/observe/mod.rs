//! What the gateway tells its operator: log, access records, metrics.

pub mod access;
pub mod metrics;

use tracing_subscriber::filter::LevelFilter;

use crate::config::LogSettings;
use crate::config::raw::{LogFormat, LogLevel};

/// Sends what is logged to standard error; a second call changes nothing.
pub fn init(settings: LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    let set = match settings.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if set.is_err() {
        tracing::debug!("logging was set up before");
    }
}
