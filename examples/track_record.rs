//! Tracks the objects of records (`detections.jsonl`) of one source each, without their pixels, and prints
//! `RECORD FRAME ID CLASS X0 Y0 X1 Y1`, tab-separated, for each object that belongs to a track. tools/track_peers.py
//! compares trackers with it.
//!
//! ```sh
//! cargo run --release --example track_record -- out/detections.jsonl
//! cargo run --release --example track_record -- --set high_threshold=0.4 out/detections.jsonl
//! cargo run --release --example track_record -- --defaults      # the options as JSON
//! cargo run --release --example track_record -- --times out/detections.jsonl
//! ```

use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    error::Error,
    fs,
    io::{BufWriter, Write},
    time::{Duration, Instant},
};
use ultramotion::{
    coco::rle::decode_counts,
    frame::{Detections, Mask, Object},
    geometry::{BoxXyxy, Size},
    track::{CameraMotion, FrameTime, TrackOptions, Tracker},
};

#[derive(Deserialize)]
struct Line {
    frame: u64,
    timestamp: Option<f64>,
    width: u32,
    height: u32,
    source_info: Option<SourceInfo>,
    objects: Vec<LineObject>,
}

#[derive(Deserialize)]
struct SourceInfo {
    frame_rate: Option<f64>,
}

#[derive(Deserialize)]
struct LineObject {
    #[serde(rename = "box")]
    bbox: [f32; 4],
    score: f32,
    class: u32,
    label: String,
    mask: Option<LineMask>,
}

#[derive(Deserialize)]
struct LineMask {
    counts: String,
}

impl LineObject {
    fn object(self, size: Size) -> Object {
        let [x0, y0, x1, y1] = self.bbox;
        let counts = self.mask.and_then(|mask| decode_counts(&mask.counts));
        Object {
            bbox: BoxXyxy::new(x0, y0, x1, y1),
            score: self.score,
            class: self.class,
            label: self.label.into(),
            mask: counts.and_then(|counts| Mask::from_counts(size, counts)),
            mask_score: None,
            track: None,
        }
    }
}

/// The frames of a record, with their times.
fn read(path: &str) -> Result<Vec<(FrameTime, Detections)>, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let mut frame_rate = None;
    let mut frames = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line: Line =
            serde_json::from_str(line).map_err(|e| format!("{path}, line {}: {e}", number + 1))?;
        frame_rate = line.source_info.and_then(|s| s.frame_rate).or(frame_rate);
        let size = Size::new(line.width, line.height);
        let at = FrameTime {
            index: line.frame,
            timestamp: line.timestamp.map(Duration::from_secs_f64),
            frame_rate,
        };
        let objects = line.objects.into_iter().map(|o| o.object(size)).collect();
        frames.push((at, Detections::new(size, objects)));
    }
    Ok(frames)
}

/// Median time of `update` in milliseconds, and the mean number of objects.
fn times(frames: &[(FrameTime, Detections)], options: &TrackOptions) -> (f64, f64) {
    let mut times = Vec::new();
    for _ in 0..5 {
        let Ok(mut tracker) = Tracker::new(options.clone()) else {
            break;
        };
        for (at, found) in frames {
            let mut found = found.clone();
            let start = Instant::now();
            tracker.update(*at, &CameraMotion::IDENTITY, &mut found);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    let objects: usize = frames.iter().map(|(_, found)| found.len()).sum();
    let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    (median, objects as f64 / frames.len() as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut set, mut records, mut only_times) = (Map::new(), Vec::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--defaults" => {
                println!("{}", serde_json::to_string(&TrackOptions::default())?);
                return Ok(());
            }
            "--times" => only_times = true,
            "--set" => {
                let text = arguments.next().ok_or("--set: give KEY=VALUE")?;
                let (key, value) = text.split_once('=').ok_or("--set: give KEY=VALUE")?;
                set.insert(key.to_owned(), serde_json::from_str(value)?);
            }
            _ => records.push(argument),
        }
    }
    let options: TrackOptions = serde_json::from_value(Value::Object(set))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (record, path) in records.iter().enumerate() {
        let mut tracker = Tracker::new(options.clone())?;
        let frames = read(path)?;
        if only_times {
            let (median, objects) = times(&frames, &options);
            writeln!(
                out,
                "{path}: {median:.4} ms a frame (median), {objects:.1} objects"
            )?;
            continue;
        }
        for (at, mut found) in frames {
            tracker.update(at, &CameraMotion::IDENTITY, &mut found);
            for object in &found {
                let Some(track) = object.track else { continue };
                let (b, id, class) = (object.bbox, track.id, object.class);
                let [x0, y0, x1, y1] = [b.x0, b.y0, b.x1, b.y1];
                writeln!(
                    out,
                    "{record}\t{}\t{id}\t{class}\t{x0}\t{y0}\t{x1}\t{y1}",
                    at.index
                )?;
            }
        }
    }
    Ok(())
}
