//! Models from what the user named to what runs on frames.

use crate::{
    engine::{Engine, Params},
    geometry::Size,
    models::{
        dfine::{self, ConfigFile, DFineError, InputSizes, Labels},
        mobile_sam::{self, MobileSam},
    },
    session::{
        detector::Detector, error::ModelError, model_origin::ModelOrigin, segmenter::Segmenter,
    },
    weights::{Checkpoint, DownloadProgress, Extra, Hub, ModelFile, ModelFiles, ModelRef, Role},
};
use candle_core::Tensor;
use std::{collections::BTreeMap, convert::Infallible, fs::File, io::Read, path::Path};

/// Most bytes of a file of class names: COCO's own instances have 450 MB.
const MAX_LABELS: u64 = 1 << 30;

fn find(name: Option<&str>, role: Role) -> Result<ModelRef, ModelError> {
    Ok(name.map_or_else(
        || ModelRef::default_of(role),
        |name| ModelRef::parse(name, Some(role)),
    )?)
}

/// Which detector to load, and what its checkpoint does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct DetectorOptions<'a> {
    /// A path, a name or a hub id; without it the one that is part of the program.
    pub name: Option<&'a str>,
    /// A file of class names: one name a line, a JSON list, a COCO file, or the data.yaml of Ultralytics.
    pub labels: Option<&'a Path>,
    /// Size of the input, both sides multiples of 32.
    pub input_size: Option<Size>,
}

/// Loads a detector: finds it by name, hub id or path, fetches it if need be, and builds it on the engine's device. Without
/// a name it is the one that is part of the program.
/// `labels` is a file of class names, as in [`DetectorOptions`].
///
/// # Errors
/// [`ModelError`] if it cannot be found, fetched or read, or is not a D-FINE.
pub fn load_detector(
    engine: &Engine,
    name: Option<&str>,
    labels: Option<&Path>,
    hub: &Hub,
    progress: &mut dyn DownloadProgress,
) -> Result<Detector, ModelError> {
    load_detector_with(
        engine,
        DetectorOptions {
            name,
            labels,
            input_size: None,
        },
        hub,
        progress,
    )
}

/// As [`load_detector`], with all that can be said of a detector.
///
/// # Errors
/// As [`load_detector`].
pub fn load_detector_with(
    engine: &Engine,
    options: DetectorOptions<'_>,
    hub: &Hub,
    progress: &mut dyn DownloadProgress,
) -> Result<Detector, ModelError> {
    let names = options
        .labels
        .map(read_labels)
        .transpose()?
        .map_or(Names::Needed, Names::Given);
    let files = find(options.name, Role::Detector)?.resolve(hub, progress)?;
    let loaded = build_detector(
        engine,
        &files,
        &Checkpoint::of(&files.weights)?,
        names,
        options.input_size,
    )?;
    Ok(Detector::new(engine, loaded, ModelOrigin::from(&files)))
}

/// As [`load_detector`], where names of the classes do not matter: without any, classes are called by their numbers.
///
/// # Errors
/// As [`load_detector`].
pub fn load_detector_unnamed(
    engine: &Engine,
    name: &str,
    hub: &Hub,
    progress: &mut dyn DownloadProgress,
) -> Result<Detector, ModelError> {
    let files = ModelRef::parse(name, Some(Role::Detector))?.resolve(hub, progress)?;
    let loaded = build_detector(
        engine,
        &files,
        &Checkpoint::of(&files.weights)?,
        Names::OrNumbers,
        None,
    )?;
    Ok(Detector::new(engine, loaded, ModelOrigin::from(&files)))
}

/// Where a detector's class names come from.
pub(crate) enum Names {
    /// The user's file.
    Given((String, Labels)),
    /// The checkpoint, which must have them.
    Needed,
    /// The checkpoint, or numbers where it has none.
    OrNumbers,
}

pub(crate) fn build_detector(
    engine: &Engine,
    files: &ModelFiles,
    checkpoint: &Checkpoint,
    names: Names,
    input_size: Option<Size>,
) -> Result<dfine::Detector, ModelError> {
    let unreadable = |file: &ModelFile, e: std::io::Error| ModelError::File {
        path: file.path.clone(),
        problem: e.to_string(),
    };
    let read = |file: &Option<ModelFile>| {
        file.as_ref()
            .map(|f| f.text().map_err(|e| unreadable(f, e)))
            .transpose()
    };
    let (config, preprocessor) = (read(&files.config)?, read(&files.preprocessor)?);
    let origin = files.weights.path.display().to_string();
    // What the checkpoint itself says counts where there is no configuration.
    let own = || {
        class_names(checkpoint)
            .filter(|_| config.is_none())
            .map(|names| (origin.clone(), Labels::new(names)))
    };
    let stated = if config.is_none() {
        stated_input(files, checkpoint)?
    } else {
        None
    };
    let input = InputSizes {
        stated,
        requested: input_size,
    };
    let (labels, numbers) = match names {
        Names::Given(labels) => (Some(labels), false),
        Names::Needed => (own(), false),
        Names::OrNumbers => (own(), true),
    };
    let load = |labels: Option<&(String, Labels)>| -> Result<dfine::Detector, ModelError> {
        let tensors = read_tensors(checkpoint)?;
        let (config, preprocessor) = (config.as_deref(), preprocessor.as_deref());
        let parts = dfine::Checkpoint {
            origin: &origin,
            tensors,
            config,
            preprocessor,
        };
        let labels = labels.map(|(file, labels)| (file.as_str(), labels.clone()));
        dfine::Detector::load_for(parts, labels, input, engine).map_err(|e| with_path(e, files))
    };
    match load(labels.as_ref()) {
        Err(ModelError::DFine(DFineError::Labels(dfine::LabelsError::Missing {
            classes, ..
        }))) if numbers => load(Some(&(
            origin.clone(),
            Labels::new((0..classes).map(|class| class.to_string())),
        ))),
        loaded => loaded,
    }
}

/// The error with the path of the file that it speaks of.
fn with_path(error: DFineError, files: &ModelFiles) -> ModelError {
    let checkpoint = Some(&files.weights);
    let (file, problem) = match error {
        DFineError::Config(error) => match error.file {
            ConfigFile::Config => (files.config.as_ref(), error.problem.to_string()),
            ConfigFile::Preprocessor => (files.preprocessor.as_ref(), error.problem.to_string()),
            ConfigFile::Checkpoint => (checkpoint, error.problem.to_string()),
            ConfigFile::User => return ModelError::DFine(DFineError::Config(error)),
        },
        DFineError::Value { .. } => (checkpoint, error.to_string()),
        error => return error.into(),
    };
    let path = file.unwrap_or(&files.weights).path.clone();
    ModelError::Config { path, problem }
}

/// The size of the input that D-FINE-seg writes into its checkpoints.
fn stated_input(files: &ModelFiles, checkpoint: &Checkpoint) -> Result<Option<Size>, ModelError> {
    let extras = checkpoint.extras();
    let wrong = |problem: &str| ModelError::Config {
        path: files.weights.path.clone(),
        problem: problem.to_owned(),
    };
    if extras.get("meta.keep_ratio") == Some(&Extra::Flag(true)) {
        return Err(wrong(
            "meta: keep_ratio: true is not supported: images are stretched to the input's size, not padded; train with keep_ratio: false",
        ));
    }
    let side = |side: i64| u32::try_from(side).ok();
    match extras.get("meta.img_size") {
        None => Ok(None),
        Some(Extra::Integers(sides)) => match sides[..] {
            [height, width] => match (side(width), side(height)) {
                (Some(width), Some(height)) => Ok(Some(Size::new(width, height))),
                _ => Err(wrong(
                    "meta: img_size: height and width in pixels are expected",
                )),
            },
            _ => Err(wrong("meta: img_size: height and width are expected")),
        },
        Some(_) => Err(wrong("meta: img_size: height and width are expected")),
    }
}

/// Loads a segmenter, as [`load_detector`] does a detector.
///
/// # Errors
/// [`ModelError`] if it cannot be found, fetched or read, or is not a MobileSAM.
pub fn load_segmenter(
    engine: &Engine,
    name: Option<&str>,
    hub: &Hub,
    progress: &mut dyn DownloadProgress,
) -> Result<Segmenter, ModelError> {
    let files = find(name, Role::Segmenter)?.resolve(hub, progress)?;
    let (model, _) = build_segmenter(engine, Checkpoint::of(&files.weights)?)?;
    Ok(Segmenter::new(engine, model, ModelOrigin::from(&files)))
}

/// The model, and the prefix that the names of its tensors had.
pub(crate) fn build_segmenter(
    engine: &Engine,
    checkpoint: Checkpoint,
) -> Result<(MobileSam, String), ModelError> {
    let (params, prefix) = segmenter_params(engine, checkpoint)?;
    Ok((MobileSam::load(&params)?, prefix))
}

/// The tensors of a MobileSAM under the names of `mobile_sam.pt`, and the prefix that these had.
pub(crate) fn segmenter_params(
    engine: &Engine,
    checkpoint: Checkpoint,
) -> Result<(Params, String), ModelError> {
    let origin = checkpoint.path().display().to_string();
    let prefix = mobile_sam::prefix_of(&origin, checkpoint.names())?;
    let without = |name: String, tensor: Tensor| {
        let name = name
            .strip_prefix(&prefix)
            .map_or_else(|| name.clone(), str::to_owned);
        Ok::<_, Infallible>(vec![(name, tensor)])
    };
    Ok((checkpoint.into_params(engine, without)?, prefix))
}

fn read_tensors(checkpoint: &Checkpoint) -> Result<BTreeMap<String, Tensor>, ModelError> {
    checkpoint
        .names()
        .map(|name| Ok((name.to_owned(), checkpoint.tensor(name)?)))
        .collect()
}

/// Keys under which trainers store class names, and what they put these keys into.
const NAME_KEYS: [&str; 7] = [
    "names",
    "class_names",
    "classes",
    "label_names",
    "labels",
    "id2label",
    "label_to_name",
];
const NAME_PLACES: [&str; 3] = ["", "meta.", "hyper_parameters."];

fn class_names(checkpoint: &Checkpoint) -> Option<Vec<String>> {
    let mut keys = NAME_PLACES
        .iter()
        .flat_map(|place| NAME_KEYS.iter().map(move |key| format!("{place}{key}")));
    keys.find_map(|key| match checkpoint.extras().get(&key)? {
        Extra::Texts(names) => Some(names.clone()),
        Extra::Map(by_index) => {
            let mut names: Vec<(usize, String)> = Vec::new();
            for (index, name) in by_index {
                names.push((index.parse().ok()?, name.clone()));
            }
            names.sort();
            let complete = names.iter().enumerate().all(|(i, (index, _))| i == *index);
            complete.then(|| names.into_iter().map(|(_, name)| name).collect())
        }
        _ => None,
    })
}

fn read_labels(path: &Path) -> Result<(String, Labels), ModelError> {
    let origin = path.display().to_string();
    let labels = Labels::parse(&origin, &read_text(path)?).map_err(DFineError::from)?;
    Ok((origin, labels))
}

fn read_text(path: &Path) -> Result<String, ModelError> {
    let failed = |problem: String| ModelError::File {
        path: path.to_owned(),
        problem,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|e| failed(e.to_string()))?;
    file.take(MAX_LABELS + 1)
        .read_to_string(&mut text)
        .map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > MAX_LABELS {
        return Err(failed(format!(
            "it has more than {MAX_LABELS} bytes, which no file of class names has"
        )));
    }
    Ok(text)
}
