//! Whatever is decoded at once, a run writes the same bytes, says the same and ends in the same way.

use crate::{
    progress::{Cancel, Observer},
    run::{OnError, OutputMode, event::Event, plan::Plan, task::Task},
    session::Execution,
    sources::{ExpandOptions, FrameSelection, SourceOptions, expand},
};
use std::{
    collections::BTreeMap,
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// What a run has to say, in order, and a request to end it after some frames.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    frames: Mutex<usize>,
    ends_after: Option<usize>,
    cancel: Cancel,
}

impl Observer<Event<'_>> for Said {
    fn event(&self, event: Event<'_>) {
        let line = match event {
            Event::SourceBegan(info) => format!("begin {} {:?}", info.name, info.frame_count),
            Event::FrameDone { frame, .. } => {
                let mut frames = self.frames.lock().unwrap();
                *frames += 1;
                if self.ends_after == Some(*frames) {
                    self.cancel.request();
                }
                format!("frame {} {:?}", frame.index, frame.timestamp)
            }
            Event::Problem { input, problem, .. } => format!("problem {input} {problem}"),
            Event::Warning(warning) => format!("warning {warning}"),
            Event::Decoding { source, decoding } => {
                format!("decoding {} {}", source.name, decoding.name())
            }
            Event::SourceEnded(info) => format!("end {}", info.name),
            _ => return,
        };
        self.lines.lock().unwrap().push(line);
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Media of all kinds, good, broken and cut short, and numbered images.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let numbered = folder.join("numbered");
    fs::create_dir(&numbered).unwrap();
    for n in 0..23u8 {
        let file = numbered.join(format!("{n:03}.png"));
        if n == 11 {
            fs::write(file, "no picture").unwrap();
        } else {
            image::GrayImage::from_pixel(5, 4, image::Luma([n * 9]))
                .save(file)
                .unwrap();
        }
    }
    vec![numbered, fixture("media"), fixture("dicom")]
}

fn plan(inputs: &[PathBuf], output: &Path, decoders: usize, said: &Arc<Said>) -> Plan {
    let task = Task::Extract {
        stored_values: false,
    };
    let inputs: Vec<_> = inputs
        .iter()
        .map(|path| path.clone().into_os_string())
        .collect();
    let expanded = expand(&inputs, ExpandOptions::default(), &mut std::io::empty());
    Plan {
        sources: expanded.sources,
        decoders: NonZeroUsize::new(decoders),
        least_part: Some(2),
        observer: said.clone(),
        cancel: said.cancel.clone(),
        ..Plan::new(task, Execution::default(), output)
    }
}

/// All files of a folder but the report, which has times.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in walkdir(folder) {
        if !entry.ends_with("run.json") {
            let name = entry.strip_prefix(folder).unwrap().to_owned();
            found.insert(name, fs::read(&entry).unwrap());
        }
    }
    found
}

fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walkdir(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn any_number_of_decoders_writes_the_bytes_of_one_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let run = |decoders: usize, stride: u64| {
        let said = Arc::new(Said::default());
        let output = folder.path().join(format!("out-{decoders}-{stride}"));
        let mut plan = plan(&inputs, &output, decoders, &said);
        plan.source_options = SourceOptions {
            selection: FrameSelection {
                range: None,
                stride: NonZeroU64::new(stride).unwrap(),
            },
            ..SourceOptions::default()
        };
        let summary = plan.run().unwrap();
        let lines = said.lines.lock().unwrap().clone();
        (files(&output), lines, summary.counts, summary.errors)
    };
    for stride in [1, 3] {
        let expected = run(1, stride);
        assert!(
            expected.0.len() > 100 && expected.1.iter().any(|line| line.starts_with("problem"))
        );
        for decoders in [2, 7] {
            let found = run(decoders, stride);
            let differ = found.1.iter().zip(&expected.1).find(|(f, e)| f != e);
            assert_eq!(differ, None, "{decoders} decoders, stride {stride}");
            assert_eq!(found.1.len(), expected.1.len());
            assert!(
                found.0 == expected.0,
                "{decoders} decoders, stride {stride}"
            );
            assert_eq!((found.2, found.3), (expected.2.clone(), expected.3.clone()));
        }
    }
}

#[test]
fn a_run_that_is_cut_short_resumes_to_the_same_bytes_with_any_number_of_decoders() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let whole = folder.path().join("whole");
    plan(&inputs, &whole, 1, &Arc::default()).run().unwrap();
    let expected = files(&whole);
    for (frames, first, second) in [(1, 3, 5), (9, 5, 1), (30, 4, 4), (60, 1, 6)] {
        let output = folder.path().join(format!("cut-{frames}"));
        let said = Arc::new(Said {
            ends_after: Some(frames),
            ..Said::default()
        });
        assert!(
            plan(&inputs, &output, first, &said)
                .run()
                .unwrap()
                .interrupted
        );
        let mut rest = plan(&inputs, &output, second, &Arc::default());
        rest.output_mode = OutputMode::Resume;
        rest.run().unwrap();
        assert!(files(&output) == expected, "cut after {frames} frames");
    }
}

#[test]
fn the_first_error_in_order_ends_a_run_that_is_to_stop_there() {
    let folder = tempfile::tempdir().unwrap();
    // What cannot be opened at all would end it before it begins.
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phantom-demo.mp4");
    let inputs = vec![
        fixture("media/gray.mkv"),
        inputs(folder.path()).swap_remove(0),
        clip,
    ];
    let run = |decoders: usize| {
        let said = Arc::new(Said::default());
        let output = folder.path().join(format!("stop-{decoders}"));
        let plan = Plan {
            on_error: OnError::Stop,
            ..plan(&inputs, &output, decoders, &said)
        };
        let error = plan.run().unwrap_err().to_string();
        let lines = said.lines.lock().unwrap().clone();
        (error, lines, files(&output))
    };
    let expected = run(1);
    assert!(expected.0.contains("011.png"), "{}", expected.0);
    for decoders in [2, 6] {
        assert!(run(decoders) == expected, "{decoders} decoders");
    }
}
