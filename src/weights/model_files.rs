//! The files of a model: which of a folder or repository they are, and where they came from.

use super::error::WeightsError;
use super::hub::{Choice, ModelFile, file_names};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Extensions of checkpoints, best first.
pub(super) const EXTENSIONS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];
pub(super) const CONFIG: &str = "config.json";
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";

/// Where the files of a model came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "source")]
#[non_exhaustive]
pub enum ModelOrigin {
    /// A path of this machine.
    Path,
    /// The program itself.
    Embedded,
    /// The hub or its cache.
    Hub {
        /// `org/name`.
        repo: String,
        /// Branch, tag or commit that was requested.
        revision: String,
        /// Commit the files are of.
        commit: String,
    },
}

/// The files of a model on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
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

/// Files of a model among those of a folder or repository, the small ones first; the error says why there is no checkpoint.
pub(super) fn choose(names: &[String]) -> Choice {
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
pub(super) fn local(path: &Path) -> Result<ModelFiles, WeightsError> {
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
    use super::super::{Hub, HubConfig, ModelRef};
    use super::*;

    #[test]
    fn what_exists_is_a_path_and_directories_are_searched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let resolve = || {
            ModelRef::parse(path, None)
                .unwrap()
                .resolve(&Hub::new(HubConfig::new(path)), &mut ())
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
            file.resolve(&Hub::new(HubConfig::new(path)), &mut ())
                .unwrap()
                .config,
            None
        );
    }
}
