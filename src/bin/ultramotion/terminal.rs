//! Messages on stderr, results on stdout, progress bars on a terminal and lines of progress elsewhere.

use crate::{
    args::Global,
    progress::{Rate, digits},
};
use indicatif::{
    HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use serde::Serialize;
use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use ultramotion::text::counted;

/// Time between lines of progress where stderr is no terminal; `ULTRAMOTION_PROGRESS_SECONDS` sets another.
const BEAT: Duration = Duration::from_secs(30);
/// Columns below which a bar leaves no room for its numbers.
const NARROW: u16 = 70;

/// Nobody reads standard output any more: what ends a program quietly.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed by its reader")]
pub(crate) struct ClosedStdout;

/// What a failure to write to standard output means.
pub(crate) fn stdout_error(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ClosedStdout.into(),
        _ => anyhow::anyhow!("stdout: cannot be written: {error}"),
    }
}

/// Where the program's messages and results go.
pub(crate) struct Terminal {
    pub(crate) json: bool,
    quiet: bool,
    verbosity: u8,
    bars: MultiProgress,
    /// Whether the terminal shows characters beyond ASCII.
    unicode: bool,
    /// When the last line of progress was printed, where there are lines; none where there are bars, or neither.
    beat: Option<Mutex<Instant>>,
    interval: Duration,
}

impl Terminal {
    /// As the options say; bars are drawn only where stderr is a terminal.
    pub(crate) fn new(global: &Global) -> Self {
        let draw = !global.quiet && io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(if draw {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let beat = (!global.quiet && bars.is_hidden()).then(|| Mutex::new(Instant::now()));
        let seconds = std::env::var("ULTRAMOTION_PROGRESS_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let interval = seconds.map_or(BEAT, Duration::from_secs);
        let unicode = is_unicode(|name| std::env::var(name).ok());
        Self {
            json: global.json,
            quiet: global.quiet,
            verbosity: global.verbose,
            bars,
            unicode,
            beat,
            interval,
        }
    }

    /// A line of progress, if stderr is no terminal and the last one was long enough ago.
    pub(crate) fn beat(&self, text: impl FnOnce() -> String) {
        let Some(beat) = &self.beat else { return };
        let mut last = beat.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= self.interval {
            *last = Instant::now();
            drop(last);
            self.line(&format!("progress: {}", text()));
        }
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
        self.line(&format!("error: {}", error_chain(error)));
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
            let _ = writeln!(io::stderr(), "{text}");
        });
    }

    /// A line of results on stdout.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        self.bars
            .suspend(|| writeln!(io::stdout(), "{text}"))
            .map_err(stdout_error)
    }

    /// A value as one JSON line on stdout.
    pub(crate) fn print_json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        self.print(&serde_json::to_string(value)?)
    }

    /// A bar of frames: count, rate, time left.
    pub(crate) fn frame_bar(self: &Arc<Self>, name: &str, length: Option<u64>) -> FrameBar {
        self.bar_of("frames", name, length)
    }

    /// The same of `things`.
    pub(crate) fn bar_of(
        self: &Arc<Self>,
        things: &'static str,
        name: &str,
        length: Option<u64>,
    ) -> FrameBar {
        let (bar, numbers) = match length {
            Some(length) => (
                ProgressBar::new(length),
                format!("{{human_pos}}/{{human_len}} {things}, {{rate}}/s, {{eta}} left"),
            ),
            None => (
                ProgressBar::new_spinner(),
                format!("{{spinner}} {{human_pos}} {things}, {{rate}}/s, {{elapsed}}"),
            ),
        };
        let style = self.style(length.is_some(), &numbers);
        let bar = self.bars.add(bar.with_style(style).with_prefix(tail(name)));
        FrameBar {
            terminal: self.clone(),
            bar,
            things,
            name: name.to_owned(),
            rate: Mutex::default(),
        }
    }

    /// A bar of bytes for a download.
    fn byte_bar(&self, name: &str, length: u64) -> ProgressBar {
        let style = self.style(
            true,
            "{binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        );
        self.bars.add(
            ProgressBar::new(length)
                .with_style(style)
                .with_prefix(tail(name)),
        )
    }

    /// A bar whose numbers are its message.
    pub(crate) fn message_bar(&self, name: &str, length: u64) -> ProgressBar {
        self.bars.add(
            ProgressBar::new(length)
                .with_style(self.style(true, "{wide_msg}"))
                .with_prefix(tail(name)),
        )
    }

    /// One line of text that changes, drawn where stderr is a terminal.
    pub(crate) fn status_line(&self, name: &str) -> ProgressBar {
        self.bars.add(
            ProgressBar::new_spinner()
                .with_style(self.style(false, "{wide_msg}"))
                .with_prefix(tail(name)),
        )
    }

    /// One line that never wraps: a narrow terminal has the numbers alone.
    fn style(&self, bar: bool, numbers: &str) -> ProgressStyle {
        let (_, columns) = console::Term::stderr().size();
        let template = match bar {
            _ if columns < NARROW => numbers.to_owned(),
            true => format!(
                "{{prefix:>{PREFIX}!}} {{bar:{}}} {numbers}",
                (columns - NARROW + 4).clamp(4, 30)
            ),
            false => format!("{{prefix:>{PREFIX}!}} {numbers}"),
        };
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&digits(state.per_sec()));
        };
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", rate);
        if self.unicode {
            style
        } else {
            style.progress_chars("=> ").tick_chars("|/-\\ ")
        }
    }
}

/// Columns of a bar's name.
const PREFIX: usize = 24;

/// The end of a name, by which paths differ.
fn tail(name: &str) -> String {
    let length = name.chars().count();
    name.chars().skip(length.saturating_sub(PREFIX)).collect()
}

/// Whether the locale's characters are UTF-8; where the environment names no locale they are ASCII (on Windows, UTF-8).
fn is_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    match locale {
        Some(locale) => locale
            .to_ascii_lowercase()
            .replace('-', "")
            .contains("utf8"),
        None => cfg!(windows),
    }
}

/// A bar of frames or other things, or lines of progress where there are no bars.
pub(crate) struct FrameBar {
    terminal: Arc<Terminal>,
    bar: ProgressBar,
    things: &'static str,
    name: String,
    rate: Mutex<Rate>,
}

impl FrameBar {
    /// One more is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.add(Instant::now());
        self.terminal.beat(|| {
            let of = self
                .bar
                .length()
                .map(|length| format!("/{length}"))
                .unwrap_or_default();
            let rate = rate
                .per_second()
                .map(|rate| format!(", {}/s", digits(rate)))
                .unwrap_or_default();
            let (name, things) = (&self.name, self.things);
            format!("{name}: {}{of} {things}{rate}", self.bar.position())
        });
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
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
        Self {
            terminal,
            bar: None,
        }
    }
}

impl ultramotion::weights::DownloadProgress for Downloads<'_> {
    fn start(&mut self, file: &str, bytes: u64) {
        self.terminal
            .detail(&format!("fetching {file}, {}", counted(bytes, "byte")));
        self.bar = Some(self.terminal.byte_bar(file, bytes));
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            let so_far = || {
                format!(
                    "fetching {}: {} of {}",
                    bar.prefix(),
                    HumanBytes(bar.position()),
                    HumanBytes(bar.length().unwrap_or(0))
                )
            };
            self.terminal.beat(so_far);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A panic is a fault of this program: say so in one line instead of a backtrace (RUST_BACKTRACE=1 shows it).
pub(crate) fn report_panics_briefly() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|info| {
            let place = info
                .location()
                .map(|l| format!("{}:{}", l.file(), l.line()))
                .unwrap_or_default();
            let _ = writeln!(
                io::stderr(),
                "internal error at {place}: {info_text}",
                info_text = payload(info)
            );
        }));
    }
}

fn payload<'a>(info: &'a std::panic::PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}
/// An error and its causes, each once, since messages of the library contain their cause; then the options that help against it.
fn error_chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    match crate::hints::hint(error) {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn bars_are_ascii_where_the_locale_is_not_utf_8() {
        let of = |set: &'static [(&str, &str)]| {
            is_unicode(|name| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(of(&[("LANG", "en_US.UTF-8")]) && of(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(
            !of(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")])
                && !of(&[("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "en_US.UTF-8")])
        );
        assert!(of(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")]));
        assert_eq!(of(&[]), cfg!(windows));
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(tail("a/clip"), "a/clip");
        assert_eq!(
            tail("a very long folder of studies/söme clip"),
            "der of studies/söme clip"
        );
    }

    #[test]
    fn causes_are_shown_once() {
        assert_eq!(
            error_chain(&anyhow!("no disk").context("out: cannot be written: no disk")),
            "out: cannot be written: no disk"
        );
        assert_eq!(
            error_chain(&anyhow!("no disk").context("out: cannot be written")),
            "out: cannot be written: no disk"
        );
    }
}
