//! What the user may give for a model: a path, a name, or a hub id.

use super::hub::{Choice, Hub, HubRepo, ModelFile, Snapshot, Wanted, file_names};
use super::known::{self, KnownModel, Role};
use super::{DownloadProgress, EmbeddedModel, HubError, WeightsError};
use serde::Serialize;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Extensions of checkpoints, best first.
const EXTENSIONS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];
const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// A model as the user named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// A checkpoint file, or a directory that holds one.
    Path(PathBuf),
    /// A model that is part of the program.
    Embedded(&'static EmbeddedModel),
    /// A model with a name, at its own revision or another.
    Known(&'static KnownModel, HubRepo),
    /// A repository on the hub.
    Hub(HubRepo),
}

/// Where the files of a model came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "source")]
pub enum ModelOrigin {
    /// A path of this machine.
    Path,
    /// The program itself.
    Embedded,
    /// The hub or its cache.
    Hub {
        /// `org/name`.
        repo: String,
        /// Branch, tag or commit that was asked for.
        revision: String,
        /// Commit the files are of.
        commit: String,
    },
}

/// The files of a model on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFiles {
    /// The model as the user named it.
    pub name: String,
    /// Where the files came from.
    pub origin: ModelOrigin,
    /// The checkpoint.
    pub weights: ModelFile,
    /// `config.json`, where there is one.
    pub config: Option<ModelFile>,
    /// `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<ModelFile>,
}

impl ModelRef {
    /// Understands what the user gave for a model, of `role` where only such a one will do.
    ///
    /// A path that exists is that path, whatever else it could mean. Else a name of [`super::KNOWN_MODELS`], `@REVISION` behind
    /// it or not; else `ORG/NAME` or `ORG/NAME@REVISION` on the hub. What has the form of a path (begins with `.`,
    /// `/` or `~`, or ends as checkpoints do) is never looked for on the hub.
    ///
    /// # Errors
    /// [`WeightsError::UnknownModel`] with what is known.
    pub fn parse(text: impl AsRef<OsStr>, role: Option<Role>) -> Result<Self, WeightsError> {
        let path = Path::new(text.as_ref());
        if !path.as_os_str().is_empty() && path.exists() {
            return Ok(Self::Path(path.to_owned()));
        }
        let unknown = |reason: &str| WeightsError::UnknownModel {
            text: path.display().to_string(),
            reason: reason.to_owned(),
            known: format!(
                "give a path, a hub id ORG/NAME[@REVISION], or one of {}",
                known::names(role).join(", ")
            ),
        };
        let Some(text) = path.to_str() else {
            return Err(unknown("there is no such file or directory"));
        };
        if let Some(model) = EmbeddedModel::find(text) {
            return match role.filter(|role| *role != model.role) {
                Some(role) => Err(unknown(&format!(
                    "goes with {}, not {}",
                    model.role.option(),
                    role.option()
                ))),
                None => Ok(Self::Embedded(model)),
            };
        }
        let (name, revision) = text
            .split_once('@')
            .map_or((text, None), |(name, revision)| (name, Some(revision)));
        if let Some(model) = KnownModel::find(name) {
            if let Some(role) = role.filter(|role| *role != model.role) {
                return Err(unknown(&format!(
                    "goes with {}, not {}",
                    model.role.option(),
                    role.option()
                )));
            }
            let repo = HubRepo::new(model.repo, revision.unwrap_or(model.revision));
            return repo
                .map(|repo| Self::Known(model, repo))
                .ok_or_else(|| unknown("the revision is malformed"));
        }
        if looks_like_path(text) {
            return Err(unknown("there is no such file or directory"));
        }
        if !name.contains('/') {
            let close = known::close_to(name, role);
            if !close.is_empty() {
                return Err(WeightsError::UnknownModel {
                    text: text.to_owned(),
                    reason: "is neither a file nor the name of a model".to_owned(),
                    known: format!(
                        "did you mean {}? `ultramotion models list` shows all names",
                        one_of(&close)
                    ),
                });
            }
            return Err(unknown("is neither a file nor the name of a model"));
        }
        HubRepo::new(name, revision.unwrap_or("main"))
            .map(Self::Hub)
            .ok_or_else(|| unknown("is neither a file nor a hub id"))
    }

    /// The model for `role` where the user named none: the one that is part of the program.
    ///
    /// # Errors
    /// [`WeightsError::NoDefault`] if the program was built without models.
    pub fn default_of(role: Role) -> Result<Self, WeightsError> {
        let none = || WeightsError::NoDefault {
            option: role.option(),
            known: known::names(Some(role)).join(", "),
        };
        EmbeddedModel::default_of(role)
            .map(Self::Embedded)
            .ok_or_else(none)
    }

    /// Brings the files of the model to this machine, from the cache where it has them.
    ///
    /// # Errors
    /// [`WeightsError::Hub`] if the hub or its cache do not give them, [`WeightsError::Directory`] if a directory has no
    /// checkpoint or several, [`WeightsError::Io`] if a path cannot be read.
    pub fn resolve(
        &self,
        hub: &Hub,
        progress: &mut dyn DownloadProgress,
    ) -> Result<ModelFiles, WeightsError> {
        self.fetch(hub, false, progress)
    }

    /// As [`ModelRef::resolve`], but asks the hub what a branch or tag stands for now, even where the cache has it.
    ///
    /// # Errors
    /// As [`ModelRef::resolve`].
    pub fn pull(
        &self,
        hub: &Hub,
        progress: &mut dyn DownloadProgress,
    ) -> Result<ModelFiles, WeightsError> {
        self.fetch(hub, true, progress)
    }

    fn fetch(
        &self,
        hub: &Hub,
        refresh: bool,
        progress: &mut dyn DownloadProgress,
    ) -> Result<ModelFiles, WeightsError> {
        match self {
            Self::Path(path) => local(path),
            Self::Embedded(model) => Ok(model.files()),
            Self::Known(model, repo) => {
                // What is known of the weights holds for the revision it was found at.
                let sha256 = model
                    .weights_sha256
                    .filter(|_| repo.revision() == model.revision);
                let files: Vec<_> = model
                    .files()
                    .map(|name| (name, sha256.filter(|_| name == model.weights)))
                    .collect();
                let snapshot = hub.snapshot(repo, &Wanted::Exactly(&files), refresh, progress)?;
                self.assemble(repo, snapshot)
            }
            Self::Hub(repo) => self.assemble(
                repo,
                hub.snapshot(repo, &Wanted::Chosen(choose), refresh, progress)?,
            ),
        }
    }

    fn assemble(&self, repo: &HubRepo, snapshot: Snapshot) -> Result<ModelFiles, WeightsError> {
        let Snapshot { commit, files } = snapshot;
        let origin = ModelOrigin::Hub {
            repo: repo.id().to_owned(),
            revision: repo.revision().to_owned(),
            commit,
        };
        let none = || HubError::NoWeights {
            repo: repo.to_string(),
            reason: "has no checkpoint".to_owned(),
        };
        let (mut config, mut preprocessor, mut weights) = (None, None, None);
        for file in files {
            match file.name.as_str() {
                CONFIG => config = Some(file),
                PREPROCESSOR => preprocessor = Some(file),
                _ => weights = Some(file),
            }
        }
        Ok(ModelFiles {
            name: self.to_string(),
            origin,
            weights: weights.ok_or_else(none)?,
            config,
            preprocessor,
        })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Embedded(model) => f.write_str(model.name),
            Self::Known(model, repo) if repo.revision() == model.revision => {
                f.write_str(model.name)
            }
            Self::Known(model, repo) => write!(f, "{}@{}", model.name, repo.revision()),
            Self::Hub(repo) => repo.fmt(f),
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn one_of(names: &[&str]) -> String {
    match names {
        [first @ .., before, last] => {
            first
                .iter()
                .map(|name| format!("{name}, "))
                .collect::<String>()
                + &format!("{before} or {last}")
        }
        _ => names.concat(),
    }
}

fn looks_like_path(text: &str) -> bool {
    let extension = Path::new(text)
        .extension()
        .and_then(OsStr::to_str)
        .unwrap_or_default()
        .to_ascii_lowercase();
    text.starts_with(['.', '/', '~'])
        || text.contains('\\')
        || EXTENSIONS.contains(&extension.as_str())
        || extension == "onnx"
}

/// Files of a model among those of a folder or repository, the small ones first; the error says why there is no checkpoint.
fn choose(names: &[String]) -> Choice {
    let mut chosen: Vec<String> = [CONFIG, PREPROCESSOR]
        .into_iter()
        .filter(|f| names.iter().any(|n| n == f))
        .map(str::to_owned)
        .collect();
    chosen.push(choose_weights(names)?);
    Ok(chosen)
}

/// `model.safetensors`, else the only checkpoint of the best kind that is there.
fn choose_weights(names: &[String]) -> Result<String, String> {
    if names.iter().any(|name| name == "model.safetensors") {
        return Ok("model.safetensors".to_owned());
    }
    for extension in EXTENSIONS {
        let has = |name: &&String| {
            !name.contains('/')
                && Path::new(name)
                    .extension()
                    .is_some_and(|e| e.eq_ignore_ascii_case(extension))
        };
        let found: Vec<&String> = names.iter().filter(has).collect();
        match found.as_slice() {
            [] => {}
            [name] => return Ok((*name).clone()),
            _ => {
                return Err(format!(
                    "has several checkpoints: {}",
                    found
                        .iter()
                        .map(|n| n.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                ));
            }
        }
    }
    Err("has no checkpoint (model.safetensors, .safetensors, .pth, .pt, .bin)".to_owned())
}

/// A checkpoint file, with the configuration beside it where it is a safetensors file; or a directory.
fn local(path: &Path) -> Result<ModelFiles, WeightsError> {
    let (dir, weights) = if path.is_dir() {
        let weights = choose_weights(&file_names(path));
        let weights = weights.map_err(|reason| WeightsError::Directory {
            path: path.to_owned(),
            reason,
        })?;
        (Some(path), path.join(weights))
    } else {
        let is_safetensors = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
        (path.parent().filter(|_| is_safetensors), path.to_owned())
    };
    let measure = |path: PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        ModelFile::measure(name, path.clone()).map_err(|source| WeightsError::Io { path, source })
    };
    let beside = |name: &str| {
        dir.map(|dir| dir.join(name))
            .filter(|path| path.is_file())
            .map(measure)
            .transpose()
    };
    let (config, preprocessor) = (beside(CONFIG)?, beside(PREPROCESSOR)?);
    Ok(ModelFiles {
        name: path.display().to_string(),
        origin: ModelOrigin::Path,
        weights: measure(weights)?,
        config,
        preprocessor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, role: Role) -> Result<String, String> {
        ModelRef::parse(text, Some(role))
            .map(|model| format!("{model:?}"))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn names_revisions_and_hub_ids_are_told_apart() {
        let named = ModelRef::parse("dfine-n", Some(Role::Detector)).unwrap();
        assert_eq!(named.to_string(), "dfine-n-coco");
        let other = ModelRef::parse("dfine-n@main", None).unwrap();
        assert_eq!(other.to_string(), "dfine-n-coco@main");
        assert_eq!(
            ModelRef::parse("a/b", None).unwrap(),
            ModelRef::Hub(HubRepo::new("a/b", "main").unwrap())
        );
        assert_eq!(
            ModelRef::parse("a/b@v1.0", None).unwrap().to_string(),
            "a/b@v1.0"
        );
    }

    #[test]
    fn what_is_unknown_is_answered_with_what_is_known() {
        for (text, role, expected) in [
            (
                "dfine-n-obj365",
                Role::Detector,
                "neither a file nor the name of a model; did you mean dfine-s-obj365, dfine-m-obj365, dfine-l-obj365",
            ),
            (
                "dfine-xx",
                Role::Detector,
                "neither a file nor the name of a model; did you mean dfine-x? `ultramotion models list`",
            ),
            ("dfine", Role::Detector, "dfine-s-obj2coco"),
            ("", Role::Segmenter, "mobile-sam, mobile-sam-safetensors"),
            (
                "mobile-sam",
                Role::Detector,
                "goes with --segmenter, not --detector",
            ),
            (
                "weights/best.pth",
                Role::Detector,
                "no such file or directory",
            ),
            ("./a/b", Role::Detector, "no such file or directory"),
            ("a/b/c", Role::Detector, "neither a file nor a hub id"),
            ("dfine-n@../x", Role::Detector, "the revision is malformed"),
        ] {
            let error = parse(text, role).unwrap_err();
            assert!(
                error.starts_with(&format!("{text}: ")) && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn what_exists_is_a_path_and_directories_are_searched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let resolve = || {
            ModelRef::parse(path, None)
                .unwrap()
                .resolve(&Hub::new(super::super::HubConfig::new(path)), &mut ())
        };
        assert!(
            resolve()
                .unwrap_err()
                .to_string()
                .contains("has no checkpoint")
        );
        std::fs::write(path.join("best.pt"), "x").unwrap();
        assert_eq!(resolve().unwrap().weights.name, "best.pt");
        std::fs::write(path.join("last.pt"), "y").unwrap();
        assert!(
            resolve()
                .unwrap_err()
                .to_string()
                .contains("several checkpoints: best.pt, last.pt")
        );
        std::fs::write(path.join("model.safetensors"), "abc").unwrap();
        std::fs::write(path.join("config.json"), "{}").unwrap();
        let files = resolve().unwrap();
        assert_eq!(
            (files.weights.name.as_str(), files.weights.bytes),
            ("model.safetensors", 3)
        );
        assert!(files.weights.sha256.starts_with("ba7816bf"));
        assert!(
            files.config.is_some()
                && files.preprocessor.is_none()
                && files.origin == ModelOrigin::Path
        );
        // A .pt file has nothing to do with a config.json that happens to lie beside it.
        let file = ModelRef::parse(path.join("best.pt"), None).unwrap();
        assert_eq!(
            file.resolve(&Hub::new(super::super::HubConfig::new(path)), &mut ())
                .unwrap()
                .config,
            None
        );
    }
}
