//! Tracks the objects of records (`detections.jsonl`) of one source each, without their pixels, and prints
//! `RECORD FRAME ID CLASS X0 Y0 X1 Y1`, tab-separated, for each object that belongs to a track. tools/track_peers.py
//! compares trackers with it.
//!
//! ```sh
//! cargo run --release --example track_record -- out/detections.jsonl
//! cargo run --release --example track_record -- --set high_threshold=0.4 out/detections.jsonl
//! cargo run --release --example track_record -- --defaults      # the options as JSON
//! cargo run --release --example track_record -- --times         # how long a frame takes, with masks at 1080p
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
    frame::{Channels, Detections, Image, Mask, Object},
    geometry::{BoxXyxy, Size},
    track::{CameraMotion, FrameTime, Thumbnail, TrackOptions, Tracker},
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

/// Frames of 1920×1080 with `count` ellipses that move about, with their masks: a tenth of the height each if there are
/// few, so that all have room if there are many.
fn ellipses(count: u32, frames: u64) -> Vec<(FrameTime, Detections)> {
    let size = Size::new(1920, 1080);
    let (columns, rows) = if count > 50 { (20, 10) } else { (5, 2) };
    let radius = if count > 50 { 30.0 } else { 108.0 };
    let frame = |index: u64| {
        let objects = (0..count).map(|number| {
            let phase = 0.1 * index as f32 + 1.7 * number as f32;
            let cell = |at: u32, of: u32, side: f32| (at as f32 + 0.5) * side / of as f32;
            let x = cell(number % columns, columns, 1920.0) + 0.4 * radius * phase.sin();
            let y = cell(number / columns % rows, rows, 1080.0) + 0.4 * radius * phase.cos();
            let half = [radius, 0.8 * radius];
            Object {
                bbox: BoxXyxy::new(x - half[0], y - half[1], x + half[0], y + half[1]),
                score: 0.8 + 0.1 * (3.0 * phase).sin(),
                class: 0,
                label: "object".into(),
                mask: ellipse(size, [x, y], half),
                mask_score: None,
                track: None,
            }
        });
        let at = FrameTime {
            index,
            timestamp: None,
            frame_rate: Some(30.0),
        };
        (at, Detections::new(size, objects.collect()))
    };
    (0..frames).map(frame).collect()
}

fn ellipse(size: Size, [x, y]: [f32; 2], [rx, ry]: [f32; 2]) -> Option<Mask> {
    let (mut counts, mut end) = (Vec::new(), 0u32);
    for column in 0..size.width {
        let across = (column as f32 + 0.5 - x) / rx;
        let half = ry * (1.0 - across * across).max(0.0).sqrt();
        let [top, bottom] =
            [y - half, y + half].map(|v| v.round().clamp(0.0, size.height as f32) as u32);
        if bottom > top {
            let begin = column * size.height + top;
            counts.extend([begin - end, bottom - top]);
            end = begin + bottom - top;
        }
    }
    counts.push(size.width * size.height - end);
    Mask::from_counts(size, counts)
}

/// Median time of `update` in milliseconds, and how many objects of a frame have a track at the end.
fn median_ms(frames: &[(FrameTime, Detections)]) -> Result<(f64, usize), Box<dyn Error>> {
    let mut tracker = Tracker::new(TrackOptions::default())?;
    let (mut times, mut tracked) = (Vec::new(), 0);
    for (at, found) in frames {
        let mut found = found.clone();
        let start = Instant::now();
        tracker.update(*at, &CameraMotion::IDENTITY, &mut found);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        tracked = found.iter().filter(|o| o.track.is_some()).count();
    }
    times.sort_by(f64::total_cmp);
    Ok((
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
        tracked,
    ))
}

/// Median times in milliseconds of making the thumbnail of a 1080p frame and of estimating the camera's motion.
fn camera_ms() -> Option<[f64; 2]> {
    let size = Size::new(1920, 1080);
    let frame = |shift: f32| {
        let pixel = |place: u64| {
            let (x, y) = ((place % 1920) as f32 - shift, (place / 1920) as f32);
            let waves =
                (0.011 * x).sin() + (0.013 * y + 0.004 * x).sin() + (0.05 * x - 0.03 * y).sin();
            (127.0 + 40.0 * waves) as u8
        };
        Image::new(
            size,
            Channels::Gray,
            (0..size.pixels()).map(pixel).collect(),
        )
    };
    let (before, after) = (frame(0.0)?, frame(20.0)?);
    let (mut reduced, mut estimated) = (Vec::new(), Vec::new());
    let before = Thumbnail::of(&before);
    for _ in 0..50 {
        let start = Instant::now();
        let after = Thumbnail::of(&after);
        reduced.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        let motion = CameraMotion::estimate(&before, &after);
        estimated.push(start.elapsed().as_secs_f64() * 1e3);
        if (motion.shift()[0] - 20.0).abs() > 1.0 {
            return None;
        }
    }
    Some([reduced, estimated].map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut set, mut records) = (Map::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--defaults" => {
                println!("{}", serde_json::to_string(&TrackOptions::default())?);
                return Ok(());
            }
            "--times" => {
                for count in [10, 200] {
                    let (median, tracked) = median_ms(&ellipses(count, 600))?;
                    println!(
                        "{count} objects, {tracked} tracked: {median:.4} ms a frame (median of 600)"
                    );
                }
                let [reduced, estimated] = camera_ms().ok_or("the motion was not found")?;
                println!(
                    "camera: {reduced:.3} ms for the thumbnail of a frame, {estimated:.3} ms for the motion"
                );
                return Ok(());
            }
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
        for (at, mut found) in read(path)? {
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
