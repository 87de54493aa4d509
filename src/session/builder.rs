//! What a [`Session`] is made of.

use crate::{
    engine::{DeviceSpec, Engine, Precision},
    frame::Confidence,
    geometry::Size,
    session::{
        error::ModelError,
        error::SessionError,
        execution::{Execution, Mode},
        load::{DetectorOptions, load_detector_with, load_segmenter},
        refine::{Refining, Tracking},
        segmenter::Segmenter,
        session::Session,
    },
    track::TrackOptions,
    weights::{DownloadProgress, Hub, HubConfig},
};
use std::{path::PathBuf, sync::Arc};

/// Frames that are worked on together on a GPU where nothing else is said.
pub const DEFAULT_BATCH: usize = 4;
/// Maximum of frames that are worked on together.
pub const MAX_BATCH: usize = 64;

/// Options of a [`Session`]. Without any, it is the built-in detector and segmenter on the GPU where there is one, else on
/// the CPU.
#[derive(Debug, Clone)]
#[must_use]
pub struct SessionBuilder {
    detector: Role,
    segmenter: Role,
    labels: Option<PathBuf>,
    input_size: Option<Size>,
    device: DeviceSpec,
    engine: Option<Engine>,
    mode: Option<Mode>,
    latency: bool,
    precision: Precision,
    confidence: f64,
    max_objects: usize,
    classes: Vec<String>,
    multimask: bool,
    batch: Option<usize>,
    hub: Option<HubConfig>,
    nms: Option<f64>,
    track: Option<TrackOptions>,
    camera_motion: bool,
}

/// A model of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    BuiltIn,
    Named(String),
    Without,
}

impl Role {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::BuiltIn | Self::Without => None,
        }
    }
}

impl Session {
    /// Options to begin with: the built-in models on the GPU where there is one, else on the CPU.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }
}

impl Default for SessionBuilder {
    fn default() -> Self {
        Self {
            detector: Role::BuiltIn,
            segmenter: Role::BuiltIn,
            labels: None,
            input_size: None,
            device: DeviceSpec::Auto,
            engine: None,
            mode: None,
            latency: false,
            precision: Precision::Auto,
            confidence: Confidence::DEFAULT.get(),
            max_objects: 100,
            classes: Vec::new(),
            multimask: false,
            batch: None,
            hub: None,
            nms: None,
            track: None,
            camera_motion: false,
        }
    }
}

impl SessionBuilder {
    /// The detector: a known name (`dfine-s`), a hub id (`org/name[@revision]`) or a path.
    pub fn detector(self, name: impl Into<String>) -> Self {
        Self {
            detector: Role::Named(name.into()),
            ..self
        }
    }

    /// No detector: only [`Session::segment`] can be used.
    pub fn without_detector(self) -> Self {
        Self {
            detector: Role::Without,
            ..self
        }
    }

    /// The segmenter: `mobile-sam`, a hub id or a path.
    pub fn segmenter(self, name: impl Into<String>) -> Self {
        Self {
            segmenter: Role::Named(name.into()),
            ..self
        }
    }

    /// No segmenter: objects have boxes and no masks.
    pub fn without_segmenter(self) -> Self {
        Self {
            segmenter: Role::Without,
            ..self
        }
    }

    /// A file of class names for a detector whose checkpoint has none: one a line, a JSON list, a COCO file, or the
    /// data.yaml of Ultralytics.
    pub fn labels(self, path: impl Into<PathBuf>) -> Self {
        Self {
            labels: Some(path.into()),
            ..self
        }
    }

    /// Size of the detector's input where its checkpoint does not say it; both sides multiples of 32.
    pub fn input_size(self, width: u32, height: u32) -> Self {
        Self {
            input_size: Some(Size::new(width, height)),
            ..self
        }
    }

    /// The device; default [`DeviceSpec::Auto`].
    pub fn device(self, device: DeviceSpec) -> Self {
        Self { device, ..self }
    }

    /// An opened engine, instead of a device and a precision.
    pub fn engine(self, engine: Engine) -> Self {
        Self {
            engine: Some(engine),
            ..self
        }
    }

    /// How frames go through the models; default [`Mode::Resident`] on a GPU. The CPU has [`Mode::Staged`] only.
    pub fn mode(self, mode: Mode) -> Self {
        Self {
            mode: Some(mode),
            ..self
        }
    }

    /// One batch in flight at a time, and batches of one frame unless [`SessionBuilder::batch`] is set: each result as soon
    /// as possible, at the price of throughput. Default false.
    pub fn latency(self, latency: bool) -> Self {
        Self { latency, ..self }
    }

    /// The type of numbers between layers; default f16 on a GPU, f32 on the CPU.
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Threshold of scores, 0 to 1: objects with at least this are found. Default 0.5.
    pub fn confidence(self, confidence: f64) -> Self {
        Self { confidence, ..self }
    }

    /// Maximum number of objects of a frame, best first; default 100.
    pub fn max_objects(self, max_objects: usize) -> Self {
        Self {
            max_objects,
            ..self
        }
    }

    /// Only these classes, by name or number; all if there are none.
    pub fn classes<S: Into<String>>(self, classes: impl IntoIterator<Item = S>) -> Self {
        Self {
            classes: classes.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Three masks a prompt, of which the one with the best estimated IoU is kept; for ambiguous prompts.
    pub fn multimask(self, multimask: bool) -> Self {
        Self { multimask, ..self }
    }

    /// Frames that a GPU works on together in [`Session::run_batch`] and [`Session::stream`], 1 to [`MAX_BATCH`]; default
    /// [`DEFAULT_BATCH`]. What is found does not depend on which frames these are. The CPU works on one frame at a time.
    pub fn batch(self, batch: usize) -> Self {
        Self {
            batch: Some(batch),
            ..self
        }
    }

    /// Where models of the hub are looked for; default as the environment says (`HF_HOME`, `HF_ENDPOINT` …).
    pub fn hub(self, hub: HubConfig) -> Self {
        Self {
            hub: Some(hub),
            ..self
        }
    }

    /// Merges duplicates: of two objects of a class with a larger IoU than this, the one with the lower score is left out. The
    /// IoU is that of the boxes, or that of the masks where both have one and it is lower. 0 to 1; default none, as D-FINE is published. Where objects are tracked, [`TrackOptions::nms`] does it.
    pub fn nms(self, iou: f64) -> Self {
        Self {
            nms: Some(iou),
            ..self
        }
    }

    /// Gives objects of videos, sequences and live loops an identity over time: [`Session::stream`], [`Session::try_next`] and
    /// runs; single images have none. The detector then finds objects down to [`TrackOptions::low_threshold`], and
    /// [`TrackOptions::high_threshold`] takes the place of [`SessionBuilder::confidence`]: see
    /// [`TrackOptions::for_confidence`]. Times are those of the frames; images that are pushed to a live loop without one count as
    /// [`NOMINAL_FRAME_RATE`](crate::track::NOMINAL_FRAME_RATE) frames a second. Results on the device
    /// ([`Session::run_on_device`]) have no tracks, keep duplicates and go down to the low threshold.
    pub fn track(self, options: TrackOptions) -> Self {
        Self {
            track: Some(options),
            ..self
        }
    }

    /// Whether tracks follow the motion of the camera or probe, estimated from the pixels of the frames: translation, rotation
    /// and scale. Where frames are decoded on the GPU it costs a copy of each to the host. Default false.
    pub fn camera_motion(self, camera_motion: bool) -> Self {
        Self {
            camera_motion,
            ..self
        }
    }

    /// Loads the models onto the device.
    ///
    /// # Errors
    /// [`SessionError::Option`] for an option out of its range, [`SessionError::Model`] if the device cannot be opened or
    /// a model cannot be found, fetched, read or placed on it.
    pub fn build(self) -> Result<Session, SessionError> {
        self.build_with_progress(&mut ())
    }

    /// As [`SessionBuilder::build`], with reports of downloads.
    ///
    /// # Errors
    /// As [`SessionBuilder::build`].
    pub fn build_with_progress(
        self,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Session, SessionError> {
        let confidence = Confidence::new(self.confidence).map_err(|e| option("confidence", e))?;
        let refining = self.refining(confidence)?;
        let found_from = refining.found_from(confidence);
        if self.detector == Role::Without && self.segmenter == Role::Without {
            return Err(option(
                "detector",
                "there is neither a detector nor a segmenter",
            ));
        }
        let engine = match self.engine.clone() {
            Some(engine) => engine,
            None => Engine::open(self.device)
                .and_then(|engine| engine.with_precision(self.precision))
                .map_err(ModelError::from)?,
        };
        let execution = self.execution(&engine)?;
        let hub = match self.hub {
            Some(config) => config,
            None => HubConfig::from_env().map_err(|e| option("hub", e))?,
        };
        let hub = Hub::new(hub);
        let detector = match self.detector {
            Role::Without => None,
            role => {
                let options = DetectorOptions {
                    name: role.name(),
                    labels: self.labels.as_deref(),
                    input_size: self.input_size,
                };
                let detector = load_detector_with(&engine, options, &hub, progress)?;
                Some(Arc::new(detector.with_selection(
                    found_from,
                    self.max_objects,
                    &self.classes,
                )?))
            }
        };
        let segmenter = match self.segmenter {
            Role::Without => None,
            role => {
                // On a stream of its own it works beside the detector.
                let engine = if detector.is_some() {
                    engine.with_new_stream().map_err(ModelError::from)?
                } else {
                    engine.clone()
                };
                let segmenter: Segmenter = load_segmenter(&engine, role.name(), &hub, progress)?;
                Some(Arc::new(segmenter.with_multimask(self.multimask)))
            }
        };
        Ok(Session::new(
            engine, detector, segmenter, execution, refining,
        ))
    }

    fn refining(&self, confidence: Confidence) -> Result<Refining, SessionError> {
        if let Some(iou) = self.nms.filter(|iou| !(0.0..=1.0).contains(iou)) {
            return Err(option("nms", format!("{iou}: give an IoU from 0 to 1")));
        }
        let options = self.track.clone();
        let track = options.map(|track| Tracking::new(track, confidence, self.camera_motion));
        Ok(Refining {
            nms: self.nms,
            track: track.transpose().map_err(|e| option("track", e))?,
        })
    }

    fn execution(&self, engine: &Engine) -> Result<Execution, SessionError> {
        let available = Mode::available(engine.is_cpu());
        let mode = match self.mode {
            Some(mode) if available.contains(&mode) => mode,
            Some(mode) => {
                let problem = format!("{mode}: the CPU has no such mode; leave it out");
                return Err(option("mode", problem));
            }
            None => Execution::of(engine).mode,
        };
        let batch = self
            .batch
            .unwrap_or(if self.latency { 1 } else { DEFAULT_BATCH });
        if !(1..=MAX_BATCH).contains(&batch) {
            let problem = format!("{batch}: give a number from 1 to {MAX_BATCH}");
            return Err(option("batch", problem));
        }
        Ok(Execution {
            mode,
            batch: match mode {
                Mode::Resident => batch,
                Mode::Staged => 1,
            },
            latency: self.latency,
        })
    }
}

fn option(name: &'static str, problem: impl std::fmt::Display) -> SessionError {
    SessionError::Option {
        name,
        problem: problem.to_string(),
    }
}
