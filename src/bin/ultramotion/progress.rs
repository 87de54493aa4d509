//! How far a run has come: frames over all sources, rate, time left.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use ultramotion::text::counted;

/// How long frames count for the rate.
const WINDOW: Duration = Duration::from_secs(20);
/// Steps of the window.
const STEP: Duration = Duration::from_millis(250);
/// No rate before frames have come for so long.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is known of the frames of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Unknown,
    /// As the file states it.
    Stated(u64),
    /// It ended, or an earlier run did it.
    Ended(u64),
}

/// The rate at which things come, over the last while.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// Times and how many had come by then.
    steps: VecDeque<(Instant, u64)>,
    count: u64,
}

impl Rate {
    /// One more came.
    pub(crate) fn add(&mut self, now: Instant) {
        self.count += 1;
        if self
            .steps
            .back()
            .is_none_or(|(last, _)| now.saturating_duration_since(*last) >= STEP)
        {
            self.steps.push_back((now, self.count));
        }
        // Few that take long each are all kept.
        while self.steps.len() > 5
            && self
                .steps
                .front()
                .is_some_and(|(first, _)| now.saturating_duration_since(*first) > WINDOW)
        {
            self.steps.pop_front();
        }
    }

    /// So many a second; none before there is enough to tell.
    pub(crate) fn per_second(&self) -> Option<f64> {
        let ((first, before), (last, count)) = (self.steps.front()?, self.steps.back()?);
        let time = last.saturating_duration_since(*first);
        (time >= SHORTEST).then(|| (count - before) as f64 / time.as_secs_f64())
    }
}

/// Frames of a run over all its sources.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    sources: Vec<Length>,
    /// Sources before this one were done by an earlier run.
    first: usize,
    /// The source that is worked on, and its frames so far.
    current: Option<(usize, u64)>,
    done: u64,
    rate: Rate,
}

impl Progress {
    /// That of so many sources.
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            sources: vec![Length::Unknown; sources],
            ..Self::default()
        }
    }

    /// What a file states, where nothing better is known.
    pub(crate) fn state(&mut self, source: usize, frames: Option<u64>) {
        if let (Some(length @ Length::Unknown), Some(frames)) =
            (self.sources.get_mut(source), frames)
        {
            *length = Length::Stated(frames);
        }
    }

    /// Whether nothing is known of the frames of a source.
    pub(crate) fn lacks(&self, source: usize) -> bool {
        self.sources.get(source) == Some(&Length::Unknown)
    }

    /// So many sources were done by an earlier run.
    pub(crate) fn resume_at(&mut self, source: usize) {
        self.first = source;
        self.sources
            .iter_mut()
            .take(source)
            .for_each(|length| *length = Length::Ended(0));
    }

    pub(crate) fn began(&mut self, source: usize, frames: Option<u64>) {
        self.current = Some((source, 0));
        if let (Some(length), Some(frames)) = (self.sources.get_mut(source), frames) {
            *length = Length::Stated(frames);
        }
    }

    /// A frame of the current source is done; one that this run `computed` counts for the rate.
    pub(crate) fn frame(&mut self, computed: bool, now: Instant) {
        self.done += 1;
        if let Some((_, frames)) = &mut self.current {
            *frames += 1;
        }
        if computed {
            self.rate.add(now);
        }
    }

    pub(crate) fn ended(&mut self, source: usize) {
        let frames = self
            .current
            .take()
            .filter(|(current, _)| *current == source)
            .map_or(0, |(_, frames)| frames);
        if let Some(length) = self.sources.get_mut(source) {
            *length = Length::Ended(frames);
        }
    }

    /// Frames that are done.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Frames in all as far as they are known, and how many sources may have more.
    pub(crate) fn total(&self) -> (u64, usize) {
        let (mut frames, mut open) = (0, 0);
        for (source, length) in self.sources.iter().enumerate() {
            let so_far = self
                .current
                .filter(|(current, _)| *current == source)
                .map_or(0, |(_, frames)| frames);
            frames += match length {
                Length::Ended(frames) => *frames,
                Length::Stated(frames) => so_far.max(*frames),
                Length::Unknown => so_far,
            };
            open += usize::from(*length == Length::Unknown);
        }
        (frames, open)
    }

    /// `120/550 frames, 2.53/s, 2m50s left`.
    pub(crate) fn text(&self) -> String {
        let (total, open) = self.total();
        let known = total > self.done || open == 0;
        let mut text = if known {
            format!("{}/{total} frames", self.done)
        } else {
            counted(self.done, "frame")
        };
        if open > 0 {
            text = format!("{text} and {} of unknown length", counted(open, "source"));
        }
        if let Some(rate) = self.rate.per_second() {
            text = format!("{text}, {}/s", digits(rate));
            if total > self.done && rate > 0.0 {
                let over = if open > 0 { "over " } else { "" };
                text = format!(
                    "{text}, {over}{} left",
                    time((total - self.done) as f64 / rate)
                );
            }
        }
        text
    }

    /// The same for a line of its own, with the sources.
    pub(crate) fn line(&self) -> String {
        let ended = self
            .sources
            .iter()
            .skip(self.first)
            .filter(|length| matches!(length, Length::Ended(_)))
            .count();
        let sources = self.sources.len() - self.first.min(self.sources.len());
        if sources < 2 {
            self.text()
        } else {
            format!(
                "{}; {ended} of {} done",
                self.text(),
                counted(sources, "source")
            )
        }
    }
}

/// A positive number with three digits that count.
pub(crate) fn digits(value: f64) -> String {
    if !(value.is_finite() && value > 0.0) {
        return "0".to_owned();
    }
    // The exponent of the number as it is rounded.
    let exponent: i32 = format!("{value:.2e}")
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    format!(
        "{value:.*}",
        usize::try_from(2 - exponent).unwrap_or(0).min(6)
    )
}

/// Seconds in words: `45s`, `2m50s`, `3h05m`.
pub(crate) fn time(seconds: f64) -> String {
    let seconds = if seconds.is_finite() {
        seconds.round().max(0.0) as u64
    } else {
        0
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(progress: &mut Progress, count: u64, from: Instant, every: Duration) -> Instant {
        let mut now = from;
        for _ in 0..count {
            now += every;
            progress.frame(true, now);
        }
        now
    }

    #[test]
    fn frames_of_images_and_videos_make_one_total() {
        let mut progress = Progress::new(303);
        let start = Instant::now();
        (0..300).for_each(|image| progress.state(image, Some(1)));
        assert_eq!(
            progress.text(),
            "0/300 frames and 3 sources of unknown length"
        );
        (300..303).for_each(|video| progress.state(video, Some(100)));
        assert_eq!(progress.text(), "0/600 frames");
        let mut now = start;
        for image in 0..300 {
            progress.began(image, Some(1));
            now = frames(&mut progress, 1, now, Duration::from_millis(100));
            progress.ended(image);
        }
        assert_eq!(progress.text(), "300/600 frames, 10.0/s, 30s left");
        progress.began(300, Some(100));
        frames(&mut progress, 80, now, Duration::from_millis(500));
        progress.ended(300);
        // The video had 20 frames less than it stated, and frames of videos take longer.
        assert_eq!(progress.text(), "380/580 frames, 2.00/s, 1m40s left");
        assert_eq!(
            progress.line(),
            "380/580 frames, 2.00/s, 1m40s left; 301 of 303 sources done"
        );
    }

    #[test]
    fn sources_of_unknown_length_are_said() {
        let mut progress = Progress::new(2);
        progress.began(0, None);
        let now = frames(&mut progress, 1, Instant::now(), Duration::from_millis(1));
        assert_eq!(progress.text(), "1 frame and 2 sources of unknown length");
        frames(&mut progress, 40, now, Duration::from_millis(100));
        progress.state(1, Some(50));
        assert_eq!(
            progress.text(),
            "41/91 frames and 1 source of unknown length, 10.0/s, over 5s left"
        );
        progress.ended(0);
        assert_eq!(progress.text(), "41/91 frames, 10.0/s, 5s left");
    }

    #[test]
    fn more_frames_than_stated_and_resumed_sources() {
        let mut progress = Progress::new(3);
        progress.resume_at(1);
        progress.state(0, Some(1000));
        progress.state(2, Some(1));
        progress.began(1, Some(2));
        (0..5).for_each(|_| progress.frame(false, Instant::now()));
        assert_eq!(progress.total(), (6, 0));
        assert_eq!(progress.text(), "5/6 frames");
        progress.ended(1);
        assert_eq!(progress.line(), "5/6 frames; 1 of 2 sources done");
        // A source without frames that this run saw.
        progress.ended(2);
        assert_eq!(progress.line(), "5/5 frames; 2 of 2 sources done");
    }

    #[test]
    fn slow_frames_have_a_rate_too() {
        let mut rate = Rate::default();
        let start = Instant::now();
        (0..10).for_each(|i| rate.add(start + Duration::from_secs(30 * i)));
        assert_eq!(rate.per_second().map(digits), Some("0.0333".to_owned()));
    }

    #[test]
    fn numbers_have_three_digits_and_times_two_units() {
        let rates = [13.9156, 2.5298, 0.4712, 1234.5, 99.96, 0.001234, 0.0];
        assert_eq!(
            rates.map(digits),
            ["13.9", "2.53", "0.471", "1234", "100", "0.00123", "0"]
        );
        assert_eq!(
            [0.4, 59.4, 59.6, 170.0, 3599.7, 11_100.0].map(time),
            ["0s", "59s", "1m00s", "2m50s", "1h00m", "3h05m"]
        );
    }
}
