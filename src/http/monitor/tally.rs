//! What the page shows beside the frame.

use crate::{
    frame::{Detections, Visibility, VisibilityChange},
    live::{LiveEvent, LiveFigures, LiveFrame},
    sinks::track_colour,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Time that a column of the chart stands for.
pub(in crate::http) const BIN: Duration = Duration::from_millis(250);
/// Columns that are kept: three minutes.
const BINS: usize = 720;
/// Columns over which moves a frame are averaged: two seconds.
const RECENT: usize = 8;
/// Events that are kept.
const EVENTS: usize = 200;
/// Characters of an event.
const TEXT: usize = 300;
/// Time for which a track stays in the list that is lost, or of which nothing is heard.
const GONE: Duration = Duration::from_secs(20);
/// Tracks that are listed.
const TRACKS: usize = 64;

/// A column of the chart: its number since the beginning, frames, frames that were dropped, and milliseconds: means of decoding,
/// waiting and models, and the longest latency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Bin(
    pub(super) u64,
    pub(super) u32,
    pub(super) u64,
    pub(super) f32,
    pub(super) f32,
    pub(super) f32,
    pub(super) f32,
);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Event {
    /// Milliseconds since 1970.
    pub(super) time: u64,
    /// `connected`, `disconnected`, `client`, `dropped`, `failed`, `warning` or `track`.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// A track as the page lists it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct TrackRow {
    pub(super) id: u64,
    pub(super) label: String,
    pub(super) colour: String,
    pub(super) state: &'static str,
    pub(super) score: f32,
    /// Seconds for which it has had this state.
    pub(super) seconds: f32,
}

#[derive(Debug)]
struct Track {
    label: std::sync::Arc<str>,
    state: Visibility,
    score: f32,
    since: Instant,
    seen: Instant,
}

/// Sums of the column that is not complete.
#[derive(Debug, Default)]
struct Sums {
    number: u64,
    frames: u32,
    dropped: u64,
    parts: [f64; 3],
    longest: f64,
}

/// A number for every entry, so that a viewer gets each once.
#[derive(Debug)]
struct Numbered<T> {
    kept: VecDeque<T>,
    capacity: usize,
    /// Entries that there ever were.
    count: u64,
}

impl<T: Clone> Numbered<T> {
    fn new(capacity: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            capacity,
            count: 0,
        }
    }

    fn push(&mut self, entry: T) {
        if self.kept.len() == self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(entry);
        self.count += 1;
    }

    /// Those after the first `count` that are still kept.
    fn after(&self, count: u64) -> Vec<T> {
        let new = usize::try_from(self.count.saturating_sub(count)).unwrap_or(usize::MAX);
        let skipped = self.kept.len().saturating_sub(new);
        self.kept.iter().skip(skipped).cloned().collect()
    }
}

/// How far a viewer has been sent columns and events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    bins: u64,
    events: u64,
}

/// The books of the page.
#[derive(Debug)]
pub(super) struct Tally {
    start: Instant,
    bins: Numbered<Bin>,
    sums: Sums,
    events: Numbered<Event>,
    tracks: BTreeMap<u64, Track>,
    figures: LiveFigures,
    /// Frames and moves at the ends of the last columns.
    moves: VecDeque<(u64, [u64; 2])>,
    /// Name of the stream.
    pub(super) source: String,
}

impl Tally {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            bins: Numbered::new(BINS),
            sums: Sums::default(),
            events: Numbered::new(EVENTS),
            tracks: BTreeMap::new(),
            figures: LiveFigures::default(),
            moves: VecDeque::new(),
            source: String::new(),
        }
    }

    /// The number of the column at `now`.
    pub(super) fn bin_at(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.start).as_millis() / BIN.as_millis()) as u64
    }

    /// Enters a frame; whether there is something new for viewers beside it.
    pub(super) fn frame(&mut self, live: &LiveFrame) -> bool {
        let times = live.times;
        let [total, decode, wait, models] = milliseconds(live);
        let completed = self.advance(self.bin_at(times.done));
        let dropped = live.figures.dropped.saturating_sub(self.figures.dropped);
        self.sums.frames += 1;
        self.sums.dropped += dropped;
        for (sum, part) in self.sums.parts.iter_mut().zip([decode, wait, models]) {
            *sum += part;
        }
        self.sums.longest = self.sums.longest.max(total);
        self.figures = live.figures;
        if *self.source != *live.frame.source.name {
            self.source = live.frame.source.name.clone();
        }
        self.track(&live.detections, times.done);
        let events = self.events.count;
        for change in &live.detections.changes {
            self.change(change, times.arrival.time);
        }
        completed || self.events.count > events
    }

    /// Ends the current column if `number` is a later one.
    fn advance(&mut self, number: u64) -> bool {
        if number <= self.sums.number {
            return false;
        }
        let sums = std::mem::take(&mut self.sums);
        self.sums.number = number;
        if sums.frames == 0 {
            return false;
        }
        let mean = |sum: f64| rounded(sum / f64::from(sums.frames));
        self.bins.push(Bin(
            sums.number,
            sums.frames,
            sums.dropped,
            mean(sums.parts[0]),
            mean(sums.parts[1]),
            mean(sums.parts[2]),
            rounded(sums.longest),
        ));
        if self.moves.len() == RECENT {
            self.moves.pop_front();
        }
        let at = (self.figures.done, self.figures.transfers);
        self.moves.push_back(at);
        true
    }

    /// Uploads and downloads a frame, over the last two seconds; since the beginning before that.
    pub(super) fn moves_a_frame(&self) -> [f32; 2] {
        let (frames, moves) = self.moves.front().copied().unwrap_or_default();
        let frames = self.figures.done.saturating_sub(frames);
        let mean = |now: u64, then: u64| match frames {
            0 => 0.0,
            _ => rounded(now.saturating_sub(then) as f64 / frames as f64),
        };
        std::array::from_fn(|way| mean(self.figures.transfers[way], moves[way]))
    }

    fn track(&mut self, found: &Detections, now: Instant) {
        for object in &found.objects {
            let Some(track) = object.track else { continue };
            let row = self.tracks.entry(track.id).or_insert_with(|| Track {
                label: object.label.clone(),
                state: track.visibility,
                score: object.score,
                since: now,
                seen: now,
            });
            if row.state != track.visibility {
                (row.state, row.since) = (track.visibility, now);
            }
            (row.score, row.seen) = (object.score, now);
            if row.label != object.label {
                row.label = object.label.clone();
            }
        }
        for change in &found.changes {
            let row = change.track_id.and_then(|id| self.tracks.get_mut(&id));
            if let Some(row) = row.filter(|row| row.state != change.to) {
                (row.state, row.since, row.score) = (change.to, now, change.score);
            }
        }
        // A stream that begins again leaves tracks that are never said to be lost.
        let kept = |row: &Track| {
            let last = match row.state {
                Visibility::Lost => row.since,
                _ => row.seen,
            };
            now.saturating_duration_since(last) < GONE
        };
        self.tracks.retain(|_, row| kept(row));
        while self.tracks.len() > TRACKS {
            let oldest = self.tracks.iter().min_by_key(|(_, row)| row.seen);
            let Some(id) = oldest.map(|(id, _)| *id) else {
                break;
            };
            self.tracks.remove(&id);
        }
    }

    /// The tracks, in the order in which they began.
    pub(super) fn tracks(&self, now: Instant) -> Vec<TrackRow> {
        let row = |(&id, track): (&u64, &Track)| TrackRow {
            id,
            label: track.label.to_string(),
            colour: hex(track_colour(id)),
            state: track.state.name(),
            score: rounded(track.score.into()),
            seconds: rounded(now.saturating_duration_since(track.since).as_secs_f64()),
        };
        self.tracks.iter().map(row).collect()
    }

    fn change(&mut self, change: &VisibilityChange, time: SystemTime) {
        let Some(id) = change.track_id else { return };
        let from = change.from.map_or("new", Visibility::name);
        let text = format!("{} #{id}: {from} → {}", change.label, change.to.name());
        self.event("track", text, time);
    }

    /// Enters an event of the loop; whether there is something new for viewers.
    pub(super) fn live_event(&mut self, event: &LiveEvent, time: SystemTime) -> bool {
        let (kind, text) = match event {
            LiveEvent::Connected { input } => ("connected", format!("{input}: connected")),
            LiveEvent::Disconnected { input, reason } => {
                ("disconnected", format!("{input}: {reason}"))
            }
            LiveEvent::ClientConnected { client } => ("client", format!("{client}: connected")),
            LiveEvent::ClientDisconnected { client, reason } => {
                ("client", format!("{client}: {reason}"))
            }
            LiveEvent::Dropped { frames: 1 } => ("dropped", "1 frame dropped".to_owned()),
            LiveEvent::Dropped { frames } => ("dropped", format!("{frames} frames dropped")),
            LiveEvent::FrameFailed {
                frame: Some(frame),
                problem,
            } => ("failed", format!("frame {frame}: {problem}")),
            LiveEvent::FrameFailed {
                frame: None,
                problem,
            } => ("failed", problem.clone()),
            LiveEvent::Warning(warning) => ("warning", warning.to_string()),
            LiveEvent::OutputProblem { problem } => ("failed", problem.clone()),
            LiveEvent::Message(_) => return false,
        };
        self.event(kind, text, time);
        true
    }

    fn event(&mut self, kind: &'static str, text: String, time: SystemTime) {
        let time = milliseconds_of(time);
        let text = match text.char_indices().nth(TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        };
        self.events.push(Event { time, kind, text });
    }

    /// What a viewer at `cursor` has not been sent, and its cursor after it.
    pub(super) fn news(&self, cursor: Cursor) -> (Vec<Bin>, Vec<Event>, Cursor) {
        let next = Cursor {
            bins: self.bins.count,
            events: self.events.count,
        };
        let bins = self.bins.after(cursor.bins);
        (bins, self.events.after(cursor.events), next)
    }
}

/// Milliseconds from arrival to result, and those of decoding, waiting and models.
pub(super) fn milliseconds(live: &LiveFrame) -> [f64; 4] {
    let times = live.times;
    let between = |a: Instant, b: Instant| b.saturating_duration_since(a).as_secs_f64() * 1e3;
    [
        between(times.arrival.instant, times.done),
        between(times.arrival.instant, times.decoded),
        between(times.decoded, times.started),
        between(times.started, times.done),
    ]
}

/// Milliseconds since 1970.
pub(super) fn milliseconds_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A number with two digits behind the point.
pub(super) fn rounded(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}

/// A colour as styles have it.
pub(super) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_viewer_gets_every_entry_once_and_old_ones_are_forgotten() {
        let mut all = Numbered::new(3);
        assert!(all.after(0).is_empty());
        for entry in 0..5 {
            all.push(entry);
        }
        assert_eq!(all.after(0), [2, 3, 4], "those that are kept");
        assert_eq!(all.after(3), [3, 4]);
        assert_eq!(all.after(4), [4]);
        assert!(all.after(5).is_empty() && all.after(9).is_empty());
    }

    #[test]
    fn events_are_cut_and_pass_by_what_is_for_others() {
        let mut tally = Tally::new(Instant::now());
        let long = LiveEvent::FrameFailed {
            frame: Some(7),
            problem: "ä".repeat(2 * TEXT),
        };
        assert!(tally.live_event(&long, SystemTime::now()));
        for frames in 1..=2 * EVENTS as u64 {
            assert!(tally.live_event(&LiveEvent::Dropped { frames }, SystemTime::now()));
        }
        let (_, events, cursor) = tally.news(Cursor::default());
        assert_eq!(events.len(), EVENTS);
        assert_eq!(
            events[EVENTS - 1].text,
            format!("{} frames dropped", 2 * EVENTS)
        );
        assert!(tally.news(cursor).1.is_empty());
        let mut tally = Tally::new(Instant::now());
        tally.live_event(&long, SystemTime::now());
        let text = &tally.news(Cursor::default()).1[0].text;
        assert!(
            text.starts_with("frame 7: ää") && text.ends_with('…'),
            "{text}"
        );
        assert_eq!(text.chars().count(), TEXT + 1);
    }
}
