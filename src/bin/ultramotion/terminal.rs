//! Talk on stderr, results on stdout, progress bars on a terminal only.

use crate::args::Global;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Where the program talks.
pub(crate) struct Terminal {
    pub(crate) json: bool,
    quiet: bool,
    verbosity: u8,
    bars: MultiProgress,
}

impl Terminal {
    /// As the options say; bars are drawn only where stderr is a terminal.
    pub(crate) fn new(global: &Global) -> Self {
        let draw = !global.quiet && std::io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(if draw { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        Self { json: global.json, quiet: global.quiet, verbosity: global.verbose, bars }
    }

    /// A line for the user, unless `--quiet`.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// A line for the curious, with `-v`.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity > 0 {
            self.line(text);
        }
    }

    /// An error that ends the program.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.line(&format!("error: {}", told(error)));
    }

    /// An error the run goes on after.
    pub(crate) fn problem(&self, text: &str) {
        self.line(&format!("error: {text}"));
    }

    /// Something that may not be as the user meant it, unless `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        self.say(&format!("warning: {text}"));
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            // A closed stderr must not end the run.
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }

    /// A line of results on stdout.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        self.bars.suspend(|| writeln!(std::io::stdout(), "{text}")).map_err(|e| anyhow::anyhow!("stdout: {e}"))
    }

    /// A value as one JSON line on stdout.
    pub(crate) fn print_json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        self.print(&serde_json::to_string(value)?)
    }

    /// A bar of frames: count, rate, time left.
    pub(crate) fn frame_bar(&self, name: &str, length: Option<u64>) -> ProgressBar {
        let bar = match length {
            Some(length) => {
                ProgressBar::new(length).with_style(style("{prefix:>24!} {bar:30} {human_pos}/{human_len} frames, {per_sec}, {eta} left"))
            }
            None => ProgressBar::new_spinner().with_style(style("{prefix:>24!} {spinner} {human_pos} frames, {per_sec}, {elapsed}")),
        };
        self.bars.add(bar.with_prefix(name.to_owned()))
    }

    /// A bar of bytes for a download.
    pub(crate) fn byte_bar(&self, name: &str, length: u64) -> ProgressBar {
        let bar = ProgressBar::new(length)
            .with_style(style("{prefix:>24!} {bar:30} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"));
        self.bars.add(bar.with_prefix(name.to_owned()))
    }

    /// A bar of sources: how much of the whole set is done.
    pub(crate) fn source_bar(&self, length: u64) -> ProgressBar {
        let bar = ProgressBar::new(length).with_style(style("{prefix:>24!} {bar:30} {human_pos}/{human_len} sources, {eta} left"));
        self.bars.add(bar.with_prefix("all"))
    }
}

/// Shows downloads of models.
pub(crate) struct Downloads<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
}

impl<'a> Downloads<'a> {
    /// Shows them on `terminal`.
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, bar: None }
    }
}

impl ultramotion::weights::DownloadProgress for Downloads<'_> {
    fn start(&mut self, file: &str, bytes: u64) {
        self.terminal.detail(&format!("fetching {file}, {bytes} bytes"));
        self.bar = Some(self.terminal.byte_bar(file, bytes));
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A panic is a fault of this program: say so in one line instead of a backtrace (RUST_BACKTRACE=1 shows it).
pub(crate) fn report_panics_briefly() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "internal error at {place}: {info_text}", info_text = payload(info));
        }));
    }
}

fn payload<'a>(info: &'a std::panic::PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}
/// An error and what caused it, each said once: messages of the library have their cause in them.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_said_once() {
        assert_eq!(told(&anyhow!("no disk").context("out: cannot be written: no disk")), "out: cannot be written: no disk");
        assert_eq!(told(&anyhow!("no disk").context("out: cannot be written")), "out: cannot be written: no disk");
    }
}
