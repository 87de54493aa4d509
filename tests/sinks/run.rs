//! Made-up sources with results, and a run over them that drives the sinks as the pipeline does.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use ultramotion::{
    coco::Classes,
    datasets::{Export, ExportSource},
    frame::{Channels, Detections, Frame, Image, Mask, Object, Physical, SourceInfo, SourceKind},
    geometry::{BoxXyxy, Size},
    run::{InputProblem, InputProblems, OutputDir, OutputMode, Record, RunReport, RunStatus},
    session::StageTimes,
    sinks::{OutputKind, Sink, SinkError, SinkOptions, SinkSet, Stills},
};

/// When a run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Never,
    AfterFrames(usize),
    /// Never, but with a pause after each frame.
    Slowly(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Stopped,
}

/// A source of the run.
pub(crate) struct TestSource {
    pub(crate) info: Arc<SourceInfo>,
    size: Size,
    frames: u64,
    times: fn(u64) -> Option<Duration>,
    physical: Option<Arc<Physical>>,
    error: Option<&'static str>,
}

/// An image, a video that cannot be opened, a folder of numbered frames, a video of varying frame rate, a DICOM cine.
/// (The order is that of their ordinals: image, sequence, video, broken, cine.)
pub(crate) fn sources() -> Vec<TestSource> {
    let source = |ordinal, path: &str, name: &str, kind, size, frames| TestSource {
        info: Arc::new(SourceInfo {
            ordinal,
            path: path.into(),
            name: name.into(),
            kind,
            folder: None,
            frame_count: Some(frames),
            frame_rate: (kind == SourceKind::Video).then_some(25.0),
            attributes: BTreeMap::new(),
        }),
        size,
        frames,
        times: |_| None,
        physical: None,
        error: None,
    };
    let picture = source(
        0,
        "in/set/picture.png",
        "set/picture",
        SourceKind::Image,
        Size::new(50, 40),
        1,
    );
    let walk = source(
        1,
        "in/walk",
        "walk",
        SourceKind::Sequence,
        Size::new(64, 48),
        5,
    );
    let mut clip = source(
        2,
        "in/clip.mp4",
        "clip",
        SourceKind::Video,
        Size::new(97, 65),
        12,
    );
    clip.times = |i| {
        Some(Duration::from_millis(
            [0, 40, 80, 100, 180, 181, 200, 300, 340, 380, 420, 1000][i as usize % 12],
        ))
    };
    let mut broken = source(
        3,
        "in/broken.mp4",
        "broken",
        SourceKind::Video,
        Size::new(8, 8),
        0,
    );
    broken.error = Some("is empty");
    let mut cine = source(
        4,
        "in/cine.dcm",
        "cine",
        SourceKind::Dicom,
        Size::new(80, 60),
        4,
    );
    cine.times = |i| Some(Duration::from_nanos(i * 33_333_333 + i / 3 * 2));
    cine.physical = Some(Arc::new(Physical {
        pixel_spacing_mm: Some([0.1, 0.2]),
        ultrasound_regions: vec![],
        pixel_aspect: None,
        sop_instance_uid: None,
    }));
    if let Some(info) = Arc::get_mut(&mut cine.info) {
        info.attributes.insert("Modality".into(), "US".into());
    }
    vec![picture, walk, clip, broken, cine]
}

impl TestSource {
    /// The frames and what is found in them: always the same.
    pub(crate) fn frames(&self, masks: bool) -> impl Iterator<Item = (Frame, Detections)> + '_ {
        (0..self.frames).map(move |index| {
            let file = (self.info.kind == SourceKind::Sequence)
                .then(|| self.info.path.join(format!("{:05}.jpg", index + 1)));
            let frame = Frame {
                source: Arc::clone(&self.info),
                index,
                timestamp: (self.times)(index),
                file: file.clone(),
                pixels: self.image(index).into(),
                physical: self.physical.clone(),
                exif_orientation: None,
                stored: None,
            };
            let mut objects = self.objects(index);
            if !masks {
                objects
                    .iter_mut()
                    .for_each(|o| (o.mask, o.mask_score) = (None, None));
            }
            let result = Detections::new(self.size, objects);
            (frame, result)
        })
    }

    fn image(&self, index: u64) -> Image {
        let gray = self.info.ordinal.is_multiple_of(2);
        let channels = if gray { Channels::Gray } else { Channels::Rgb };
        let count = self.size.pixels() * channels.count() as u64;
        let noise = |i: u64| ((i + index * 7919).wrapping_mul(2_654_435_761) >> 13) as u8 / 2;
        Image::new(self.size, channels, (0..count).map(noise).collect()).unwrap()
    }

    /// Two or three overlapping discs that wander; none in every fifth frame; one mask is empty.
    fn objects(&self, index: u64) -> Vec<Object> {
        if index % 5 == 4 {
            return vec![];
        }
        let (w, h) = (self.size.width as f32, self.size.height as f32);
        let step = index as f32;
        let mut objects = vec![
            self.disc(
                w / 2.0 + step / 3.0,
                h / 2.0,
                h / 4.0,
                0.912_345_6,
                0,
                "bone",
            ),
            self.disc(
                w / 2.0 + step,
                h / 2.0 + step / 7.0,
                h / 3.0,
                0.1 + 0.2,
                1,
                "Schatten é",
            ),
        ];
        if index == 3 {
            objects.push(self.disc(-50.0, -50.0, 1.0, 0.05, 7, "beyond"));
        }
        objects
    }

    fn disc(&self, cx: f32, cy: f32, r: f32, score: f32, class: u32, label: &str) -> Object {
        let Size { width, height } = self.size;
        let pixels: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| u8::from((x as f32 - cx).hypot(y as f32 - cy) < r))
            .collect();
        Object {
            bbox: BoxXyxy::new(cx - r, cy - r, cx + r, cy + r).clamped(self.size),
            score,
            class,
            label: label.into(),
            mask: Mask::from_row_major(self.size, &pixels),
            mask_score: Some(score / 3.0),
            track: None,
        }
    }
}

/// Runs over [`sources`] into `root`; objects have masks where `outputs` has them.
pub(crate) fn run(
    root: &Path,
    mode: OutputMode,
    outputs: &str,
    stop: Stop,
) -> Result<Outcome, SinkError> {
    let dir = OutputDir::prepare(root, mode)?;
    let layout = dir.layout();
    let settings = BTreeMap::from([("outputs".to_owned(), serde_json::Value::from(outputs))]);
    let mut report = RunReport::start(vec!["pipeline".into()], settings, vec![], "cpu".into());
    let mut record = match dir.earlier() {
        Some(earlier) => {
            report.check_resumes(earlier, layout)?;
            Record::resume(layout)?
        }
        None => Record::create(layout)?,
    };
    report.write(layout)?;
    let classes = Classes::new(["bone", "Schatten é"]);
    let options = SinkOptions {
        images: ultramotion::sinks::ImagesMode::None,
        outputs: outputs.parse().unwrap(),
        classes: classes.clone(),
        stills: Stills::Skip,
        threads: 2,
    };
    let mut sinks = SinkSet::new(layout, &options)?;
    let times = StageTimes::default();
    let mut done = 0;
    for source in sources().into_iter().skip(record.ended_sources()) {
        let mut stored = record.stored()?;
        sinks.begin_source(&source.info)?;
        for (frame, found) in source.frames(outputs.contains("masks")) {
            if stop == Stop::AfterFrames(done) {
                return Ok(Outcome::Stopped);
            }
            let result = match stored.next().transpose()? {
                Some(stored) => stored.found,
                None => {
                    record.append(&frame, &found)?;
                    found.clone()
                }
            };
            assert_eq!(result, found, "a stored result is the result");
            times.time("write", || sinks.write(&frame, &result))?;
            done += 1;
            if let Stop::Slowly(pause) = stop {
                std::thread::sleep(pause);
            }
        }
        sinks.end_source(&source.info)?;
        let mut errors = InputProblems::default();
        if let Some(problem) = source.error {
            errors.push(InputProblem {
                input: source.info.path.display().to_string(),
                problem: problem.into(),
                kind: Default::default(),
            });
        }
        record.end_source(&source.info, errors)?;
    }
    if matches!(stop, Stop::AfterFrames(_)) {
        return Ok(Outcome::Stopped);
    }
    sinks.finish()?;
    let by_sinks = [OutputKind::Masks, OutputKind::Instances];
    let export = Export::new(
        options
            .outputs
            .iter()
            .filter(|kind| kind.is_of_record() && !by_sinks.contains(kind)),
    );
    export.write(ExportSource::Record(&layout.record(), &classes), root)?;
    report.counts = record.counts().clone();
    report.errors = record.errors().clone();
    report.timings = times.summaries();
    report.end(RunStatus::Completed);
    report.write(layout)?;
    Ok(Outcome::Completed)
}

/// All files below `root` with their bytes.
pub(crate) fn read_tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                tree.insert(
                    path.strip_prefix(root).unwrap().to_path_buf(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    tree
}
