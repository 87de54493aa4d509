//! A file of a model on this machine, or in the program.

use super::digest;
use serde::Serialize;
use std::path::PathBuf;

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelFile {
    /// Its name within the model, for instance `model.safetensors`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Its bytes, where it is part of the program.
    #[serde(skip)]
    pub(in crate::weights) content: Option<&'static [u8]>,
}

impl ModelFile {
    /// Measures the file at `path`.
    pub(in crate::weights) fn measure(name: String, path: PathBuf) -> std::io::Result<Self> {
        let (bytes, sha256) = digest::digest(&path)?;
        Ok(Self {
            name,
            path,
            bytes,
            sha256,
            content: None,
        })
    }

    /// Its text, as UTF-8.
    ///
    /// # Errors
    /// If it cannot be read or is not UTF-8.
    pub fn text(&self) -> std::io::Result<String> {
        match self.content {
            Some(content) => String::from_utf8(content.to_vec()).map_err(std::io::Error::other),
            None => std::fs::read_to_string(&self.path),
        }
    }
}
