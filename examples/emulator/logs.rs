//! What the emulator says while it runs: to standard error, for people or for programs.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line that people read.
    Text,
    /// A JSON object.
    Json,
}

/// Reads which lines are shown: a level, and levels of single modules.
///
/// # Errors
///
/// What is allowed.
pub(crate) fn read_filter(text: &str) -> Result<Targets, String> {
    // Left to itself the library takes a bare word for a module, and nothing for a level.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_known = |part: &str| match part.split_once('=') {
        Some((module, level)) => !module.is_empty() && is_level(level),
        None => is_level(part),
    };
    let filter = text.split(',').all(is_known).then(|| text.parse().ok()).flatten();
    filter.ok_or_else(|| {
        format!(
            "`{text}` is no filter: allowed are off, error, warn, info, debug and trace, also for \
             single modules, such as info,streamcore_emulator::routes=debug"
        )
    })
}

/// From here on what is said is shown, panics too.
pub(crate) fn begin(format: LogFormat, filter: Targets) {
    // Colours are for eyes: in a file they are noise.
    let colours = std::io::stderr().is_terminal();
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let layer = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    if format == LogFormat::Json {
        // A program that reads JSON should not meet a panic's text in between.
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("a panic without a text");
            let place = panic.location().map(ToString::to_string);
            tracing::error!(panic = message, place, "panicked");
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_of_all_or_of_modules() {
        for good in ["info", "off", "warn,streamcore_emulator=debug"] {
            assert!(read_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "info,", "a=loud", "=", "info,loud"] {
            assert!(read_filter(bad).is_err(), "{bad}");
        }
        let said = read_filter("loud").expect_err("no level");
        assert!(said.starts_with("`loud` is no filter: allowed are off, error"), "{said}");
    }
}
