//! What the results of a run depend on, as `run.json` keeps it: a run is resumed only where all of it is the same.
//!
//! The models are compared by the hashes of their files, the sources by their names as they end; both are in the record
//! already. All else that can change a byte of an output is here, derived from the plan, so that no caller can leave it out.

use crate::{
    dicom::Window,
    models::mobile_sam::PointLabel,
    run::{plan::Plan, prompts::UserPrompts, task::Task},
    session::{Detector, Refining, Segmenter, Tracking},
    sources::{FrameSelection, SourceOptions},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Settings = BTreeMap<String, Value>;

impl Plan {
    /// What the results depend on, by the names of the program's options where there are such.
    pub(crate) fn fingerprint(&self) -> Settings {
        let mut settings = Settings::new();
        let mut add = |name: &str, value: Value| {
            settings.insert(name.to_owned(), value);
        };
        add("task", json!(self.task.name()));
        add("write", json!(self.outputs.to_string()));
        add("images", json!(self.images().name()));
        add("masks", json!(format!("{:?}", self.masks).to_lowercase()));
        add(
            "split",
            json!(
                self.split
                    .map(|(shares, by, seed)| format!("{shares} by {by:?} seed {seed}"))
            ),
        );
        let seg = &self.seg;
        add(
            "seg",
            json!(format!(
                "{:?} {:?} deflate {} codes {:?}",
                seg.seg_type, seg.geometry, seg.deflate, seg.codes
            )),
        );
        add("stills", json!(self.stills()));
        // In their last digits they depend on how many frames are worked on together, and how.
        add("mode", json!(self.execution.mode.to_string()));
        add("batch", json!(self.execution.batch));
        of_sources(&self.source_options, &mut add);
        of_refining(&self.refining, &mut add);
        match &self.task {
            Task::Extract { stored_values } => add("stored-values", json!(stored_values)),
            Task::Detect(detector) => of_detector(detector, &self.refining, &mut add),
            Task::Segment(segmenter, prompts) => {
                of_segmenter(segmenter, &mut add);
                of_prompts(prompts, &mut add);
            }
            Task::Pipeline(detector, segmenter) => {
                of_detector(detector, &self.refining, &mut add);
                of_segmenter(segmenter, &mut add);
            }
        }
        settings
    }
}

fn of_sources(options: &SourceOptions, add: &mut impl FnMut(&str, Value)) {
    let SourceOptions {
        selection: FrameSelection { range, stride },
        decode,
        max_pixels,
        dicom,
        device: _,
        decode_threads: _,
        planes: _,
        aliases,
    } = options;
    add(
        "frames",
        json!(
            range
                .as_ref()
                .map(|range| format!("{}..{}", range.start, range.end))
        ),
    );
    add("stride", json!(stride));
    add("decode", json!(decode.to_string()));
    add("max-pixels", json!(max_pixels));
    add("window", window(dicom.window));
    add("keep-patient-data", json!(dicom.keep_patient_data));
    add("keep-uids", json!(dicom.keep_uids));
    // Which names, the sources' own names say as they end.
    add("rename-sources", json!(aliases.is_some()));
}

/// All that decides about duplicates and tracks; the threshold that the caller gave is that of the objects.
fn of_refining(refining: &Refining, add: &mut impl FnMut(&str, Value)) {
    let Refining { nms, track } = refining;
    add("nms", json!(nms));
    let Some(Tracking {
        options,
        tracker: _,
        keep: _,
        camera_motion,
    }) = track
    else {
        return add("track", Value::Null);
    };
    add("track", json!(options));
    add("camera-motion", json!(camera_motion));
}

fn window(window: Window) -> Value {
    match window {
        Window::Auto => json!("auto"),
        Window::Fixed { center, width } => json!([center, width]),
    }
}

fn of_detector(detector: &Detector, refining: &Refining, add: &mut impl FnMut(&str, Value)) {
    add("dtype", json!(detector.engine().precision().to_string()));
    // For the sake of tracks the detector finds objects below the threshold that was requested.
    let track = refining.track.as_ref();
    let confidence = track.map_or(detector.confidence(), |track| track.keep);
    add("confidence", json!(confidence));
    add("max-objects", json!(detector.selection_limit()));
    add("classes", json!(detector.chosen_classes()));
    add(
        "input-size",
        json!(detector.model().input_size().to_string()),
    );
    add(
        "labels",
        json!(
            detector
                .labels()
                .iter()
                .map(|name| &**name)
                .collect::<Vec<_>>()
        ),
    );
}

fn of_segmenter(segmenter: &Segmenter, add: &mut impl FnMut(&str, Value)) {
    add("dtype", json!(segmenter.engine().precision().to_string()));
    add("multimask", json!(segmenter.multimask()));
}

fn of_prompts(prompts: &UserPrompts, add: &mut impl FnMut(&str, Value)) {
    let UserPrompts {
        boxes,
        points,
        of_frames,
        confidence,
    } = prompts;
    add(
        "box",
        json!(
            boxes
                .iter()
                .map(|b| [b.x0, b.y0, b.x1, b.y1])
                .collect::<Vec<_>>()
        ),
    );
    add(
        "point",
        json!(
            points
                .iter()
                .map(|p| json!([p.x, p.y, p.label == PointLabel::Foreground]))
                .collect::<Vec<_>>()
        ),
    );
    add("boxes", json!(of_frames.as_ref().map(|file| file.sha256())));
    add("confidence", json!(confidence));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run::output_dir::OutputMode, session::Execution};
    use std::sync::Arc;

    fn plan(output: &std::path::Path, change: impl FnOnce(&mut Plan)) -> Plan {
        let task = Task::Extract {
            stored_values: false,
        };
        let mut plan = Plan::new(task, Execution::default(), output);
        plan.output_mode = OutputMode::Resume;
        change(&mut plan);
        plan
    }

    /// Whoever starts the run: the caller has no say in what is compared.
    #[test]
    fn a_run_with_another_setting_is_not_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        plan(&out, |_| ()).run().unwrap();
        plan(&out, |_| ()).run().unwrap();
        type Change = (&'static str, fn(&mut Plan));
        let changes: [Change; 7] = [
            ("stored-values", |plan| {
                plan.task = Task::Extract {
                    stored_values: true,
                }
            }),
            ("stride", |plan| {
                plan.source_options.selection.stride = std::num::NonZeroU64::new(2).unwrap()
            }),
            ("frames", |plan| {
                plan.source_options.selection.range = Some(0..3)
            }),
            ("window", |plan| {
                plan.source_options.dicom.window = Window::Fixed {
                    center: 40.0,
                    width: 400.0,
                }
            }),
            ("keep-patient-data", |plan| {
                plan.source_options.dicom.keep_patient_data = true
            }),
            ("keep-uids", |plan| {
                plan.source_options.dicom.keep_uids = true
            }),
            ("rename-sources", |plan| {
                plan.source_options.aliases = Some(Arc::default())
            }),
        ];
        for (setting, change) in changes {
            let error = plan(&out, change).run().unwrap_err().to_string();
            assert!(
                error.contains("cannot be resumed") && error.contains(setting),
                "{setting}: {error}"
            );
        }
    }
}
