//! Models from what the user named to what runs on frames.

use super::{Detector, ModelError, Segmenter};
use crate::{
    engine::{Engine, Params},
    models::{
        dfine::{self, Labels},
        mobile_sam::MobileSam,
    },
    weights::{self, Checkpoint, DownloadProgress, Extra, Hub, ModelFile, ModelFiles, ModelRef, Role},
};
use candle_core::Tensor;
use std::{collections::BTreeMap, convert::Infallible, fs, path::Path};

/// Where a model came from, for `run.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelOrigin {
    /// As the user named it.
    pub name: String,
    /// Hub repository, where it came from one.
    pub repository: Option<String>,
    /// Commit in that repository.
    pub revision: Option<String>,
    /// Path and SHA-256 of its files.
    pub files: Vec<(String, String)>,
}

impl From<&ModelFiles> for ModelOrigin {
    fn from(files: &ModelFiles) -> Self {
        let (repository, revision) = match &files.origin {
            weights::ModelOrigin::Path | weights::ModelOrigin::Embedded => (None, None),
            weights::ModelOrigin::Hub { repo, commit, .. } => (Some(repo.clone()), Some(commit.clone())),
        };
        let all = [Some(&files.weights), files.config.as_ref(), files.preprocessor.as_ref()];
        let described = |file: &ModelFile| (file.path.display().to_string(), file.sha256.clone());
        Self { name: files.name.clone(), repository, revision, files: all.into_iter().flatten().map(described).collect() }
    }
}

fn find(name: Option<&str>, role: Role) -> Result<ModelRef, ModelError> {
    Ok(name.map_or_else(|| ModelRef::default_of(role), |name| ModelRef::parse(name, Some(role)))?)
}

/// Loads a detector: finds it by name, hub id or path, fetches it if need be, and builds it on the engine's device. Without
/// a name it is the one that is part of the program.
/// `labels` is a file of class names, one a line.
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
    let files = find(name, Role::Detector)?.resolve(hub, progress)?;
    let names = labels.map(read_labels).transpose()?.map_or(Names::Needed, Names::Given);
    let loaded = build_detector(engine, &files, &Checkpoint::of(&files.weights)?, names)?;
    Ok(Detector::new(engine, loaded, ModelOrigin::from(&files)))
}

/// As [`load_detector`], where names of the classes do not matter: without any, classes are called by their numbers.
///
/// # Errors
/// As [`load_detector`].
pub fn load_detector_unnamed(engine: &Engine, name: &str, hub: &Hub, progress: &mut dyn DownloadProgress) -> Result<Detector, ModelError> {
    let files = ModelRef::parse(name, Some(Role::Detector))?.resolve(hub, progress)?;
    let loaded = build_detector(engine, &files, &Checkpoint::of(&files.weights)?, Names::OrNumbers)?;
    Ok(Detector::new(engine, loaded, ModelOrigin::from(&files)))
}

/// Where a detector's class names come from.
enum Names {
    /// The user's file.
    Given((String, Labels)),
    /// The checkpoint, which must have them.
    Needed,
    /// The checkpoint, or numbers where it has none.
    OrNumbers,
}

fn build_detector(engine: &Engine, files: &ModelFiles, checkpoint: &Checkpoint, names: Names) -> Result<dfine::Detector, ModelError> {
    let unreadable = |file: &ModelFile, e: std::io::Error| ModelError::File { path: file.path.clone(), problem: e.to_string() };
    let read = |file: &Option<ModelFile>| file.as_ref().map(|f| f.text().map_err(|e| unreadable(f, e))).transpose();
    let (config, preprocessor) = (read(&files.config)?, read(&files.preprocessor)?);
    let origin = files.weights.path.display().to_string();
    // Names in the checkpoint count where nothing else names the classes.
    let own = || class_names(checkpoint).filter(|_| config.is_none()).map(|names| (origin.clone(), Labels::new(names)));
    let (labels, numbers) = match names {
        Names::Given(labels) => (Some(labels), false),
        Names::Needed => (own(), false),
        Names::OrNumbers => (own(), true),
    };
    let load = |labels: Option<&(String, Labels)>| -> Result<dfine::Detector, ModelError> {
        let tensors = read_tensors(checkpoint)?;
        let (config, preprocessor) = (config.as_deref(), preprocessor.as_deref());
        let parts = dfine::Checkpoint { origin: &origin, tensors, config, preprocessor };
        Ok(dfine::Detector::load(parts, labels.map(|(file, labels)| (file.as_str(), labels.clone())), engine)?)
    };
    match load(labels.as_ref()) {
        Err(ModelError::DFine(dfine::DFineError::Labels(dfine::LabelsError::Missing { classes, .. }))) if numbers => {
            load(Some(&(origin.clone(), Labels::new((0..classes).map(|class| class.to_string())))))
        }
        loaded => loaded,
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
    let unchanged = |name: String, tensor: Tensor| Ok::<_, Infallible>(vec![(name, tensor)]);
    let params: Params = Checkpoint::of(&files.weights)?.into_params(engine, unchanged)?;
    Ok(Segmenter::new(engine, MobileSam::load(&params)?, ModelOrigin::from(&files)))
}

/// What a model's files hold, in words: model, size, classes.
///
/// # Errors
/// [`ModelError`] of the detector if they make neither a D-FINE nor a MobileSAM.
pub fn describe(files: &ModelFiles) -> Result<String, ModelError> {
    let engine = Engine::cpu();
    let checkpoint = Checkpoint::of(&files.weights)?;
    if checkpoint.names().any(|name| name.starts_with("image_encoder.")) {
        let unchanged = |name: String, tensor: Tensor| Ok::<_, Infallible>(vec![(name, tensor)]);
        MobileSam::load(&checkpoint.into_params(&engine, unchanged)?)?;
        return Ok("MobileSAM (TinyViT)".to_owned());
    }
    let detector = build_detector(&engine, files, &checkpoint, Names::OrNumbers)?;
    let config = detector.config();
    let names: Vec<&str> = detector.labels().iter().map(|name| &**name).collect();
    let size = dfine::DFineSize::of(config)
        .map_or_else(|| "of no published size".to_owned(), |size| format!("-{}", size.to_string().to_uppercase()));
    Ok(format!(
        "D-FINE{size}, {} classes ({}), input {}x{} with {} channels",
        config.num_labels,
        names.join(", "),
        config.input_size.width,
        config.input_size.height,
        config.channels()
    ))
}

fn read_tensors(checkpoint: &Checkpoint) -> Result<BTreeMap<String, Tensor>, ModelError> {
    checkpoint.names().map(|name| Ok((name.to_owned(), checkpoint.tensor(name)?))).collect()
}

/// Keys under which trainers store class names.
const NAME_KEYS: [&str; 6] = ["names", "class_names", "classes", "label_names", "labels", "id2label"];

fn class_names(checkpoint: &Checkpoint) -> Option<Vec<String>> {
    NAME_KEYS.iter().find_map(|key| match checkpoint.extras().get(*key)? {
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
    let labels = Labels::parse(&origin, &read_text(path)?).map_err(dfine::DFineError::from)?;
    Ok((origin, labels))
}

fn read_text(path: &Path) -> Result<String, ModelError> {
    fs::read_to_string(path).map_err(|e| ModelError::File { path: path.to_owned(), problem: e.to_string() })
}
