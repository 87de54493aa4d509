//! What the user may give for a model: a path, a name, or a hub id.

use super::embedded::EmbeddedModel;
use super::error::WeightsError;
use super::hub::{DownloadProgress, Hub, HubError, HubRepo, Snapshot, Wanted};
use super::known::{self, KnownModel};
use super::model_files::{
    CONFIG, EXTENSIONS, ModelFiles, ModelOrigin, PREPROCESSOR, choose, local,
};
use super::role::Role;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

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

impl ModelRef {
    /// Parses what the user gave for a model; with a `role`, only models of that role are accepted.
    ///
    /// In this order: a path that exists; the name of one of [`EMBEDDED_MODELS`](super::EMBEDDED_MODELS); a name of
    /// [`KNOWN_MODELS`](super::KNOWN_MODELS), with or without `@REVISION`; `ORG/NAME` or `ORG/NAME@REVISION` on the hub.
    /// Text in the form of a path (it begins with `.`, `/` or `~`, or ends as checkpoints do) is never sent to the hub.
    ///
    /// # Errors
    /// [`WeightsError::UnknownModel`] with the names that are understood, [`WeightsError::OtherRole`] if the name is of
    /// a model of another role.
    pub fn parse(text: impl AsRef<OsStr>, role: Option<Role>) -> Result<Self, WeightsError> {
        let path = Path::new(text.as_ref());
        if !path.as_os_str().is_empty() && path.exists() {
            return Ok(Self::Path(path.to_owned()));
        }
        let Some(text) = path.to_str() else {
            let text = path.display().to_string();
            return Err(unknown(&text, role, "there is no such file or directory"));
        };
        let (name, revision) = text
            .split_once('@')
            .map_or((text, None), |(name, revision)| (name, Some(revision)));
        if let Some(model) = EmbeddedModel::find(text) {
            has_role(text, model.role, role)?;
            return Ok(Self::Embedded(model));
        }
        if let Some(model) = KnownModel::find(name) {
            has_role(text, model.role, role)?;
            return HubRepo::new(model.repo, revision.unwrap_or(model.revision))
                .map(|repo| Self::Known(model, repo))
                .ok_or_else(|| unknown(text, role, "the revision is malformed"));
        }
        if looks_like_path(text) {
            return Err(unknown(text, role, "there is no such file or directory"));
        }
        if !name.contains('/') {
            return Err(misspelt(text, name, role));
        }
        HubRepo::new(name, revision.unwrap_or("main"))
            .map(Self::Hub)
            .ok_or_else(|| unknown(text, role, "is neither a file nor a hub id"))
    }

    /// The model for `role` where the user named none: the one that is compiled in.
    ///
    /// # Errors
    /// [`WeightsError::NoDefault`] if the feature `embedded-models` is off.
    pub fn default_of(role: Role) -> Result<Self, WeightsError> {
        let none = || WeightsError::NoDefault {
            role,
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

/// [`WeightsError::UnknownModel`] with every name that `role` has.
fn unknown(text: &str, role: Option<Role>, reason: &str) -> WeightsError {
    WeightsError::UnknownModel {
        text: text.to_owned(),
        reason: reason.to_owned(),
        known: understood(role),
    }
}

fn understood(role: Option<Role>) -> String {
    let names = known::names(role).join(", ");
    format!("give a path, a hub id ORG/NAME[@REVISION], or one of {names}")
}

/// [`WeightsError::UnknownModel`] with the names closest to `name`, or with all where none is close.
fn misspelt(text: &str, name: &str, role: Option<Role>) -> WeightsError {
    const REASON: &str = "is neither a file nor the name of a model";
    let close = known::close_to(name, role);
    if close.is_empty() {
        return unknown(text, role, REASON);
    }
    WeightsError::UnknownModel {
        text: text.to_owned(),
        reason: REASON.to_owned(),
        known: format!("did you mean {}?", one_of(&close)),
    }
}

fn has_role(text: &str, role: Role, wanted: Option<Role>) -> Result<(), WeightsError> {
    match wanted.filter(|wanted| *wanted != role) {
        None => Ok(()),
        Some(wanted) => Err(WeightsError::OtherRole {
            text: text.to_owned(),
            role,
            wanted,
            known: understood(Some(wanted)),
        }),
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
                "neither a file nor the name of a model; did you mean dfine-x?",
            ),
            ("dfine", Role::Detector, "dfine-s-obj2coco"),
            ("", Role::Segmenter, "mobile-sam, mobile-sam-safetensors"),
            (
                "mobile-sam",
                Role::Detector,
                "is a segmenter, not a detector; give a path",
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
}
