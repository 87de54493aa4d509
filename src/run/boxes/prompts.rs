//! Boxes by frame, as a file has them.

use crate::{
    coco::Classes,
    geometry::{BoxXyxy, Size},
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Highest class number that names are listed up to.
const MAX_CLASSES: u32 = 100_000;

/// A box to prompt with, and what it is said to hold.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BoxPrompt {
    /// In pixels of the frame, as the file has it.
    pub bbox: BoxXyxy,
    /// Confidence; 1 where the file states none.
    pub score: f32,
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    pub label: Arc<str>,
}

/// Prompts by frame. [`BoxPrompts::read`] takes `detections.jsonl`, a COCO data set (`images`, `annotations`,
/// `categories`) or a COCO results list; all of it is kept in memory. [`BoxPrompts::for_sources`] finds which of its images
/// are which frames of a run.
///
/// The images of a results list are those of another COCO file: the one that is named, else the `coco.json` beside it in
/// the folder of a run; without either its image ids are those of the published COCO images (`000000000139.jpg`).
#[derive(Debug, Clone, Default)]
pub struct BoxPrompts {
    pub(super) path: PathBuf,
    pub(super) images: Vec<Image>,
    pub(super) sources: Vec<KnownSource>,
}

/// An image or frame that the file knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) prompts: Vec<BoxPrompt>,
    /// What its file may be called, normalised (see [`crate::run_files`]).
    pub(super) names: Vec<String>,
    /// Its source by place among the file's sources, and its number there.
    pub(super) place: Option<(usize, u64)>,
    /// Width and height that the boxes refer to, where the file states them.
    pub(super) size: Option<Size>,
}

/// A source of several frames that the file knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownSource {
    pub(super) path: String,
    pub(super) name: String,
    /// Whether its frames are the pages of one image file.
    pub(super) pages: bool,
}

impl BoxPrompts {
    /// Those of the file at `path`, of no images yet.
    pub(super) fn of_file(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            ..Self::default()
        }
    }

    /// The classes of the boxes by the names the file gives them; a class that no box has is called by its number.
    pub fn classes(&self) -> Classes {
        let mut names: BTreeMap<u32, Arc<str>> = BTreeMap::new();
        for prompt in self.images.iter().flat_map(|image| &image.prompts) {
            names
                .entry(prompt.class)
                .or_insert_with(|| Arc::clone(&prompt.label));
        }
        let count = names
            .last_key_value()
            .map_or(0, |(last, _)| (*last).min(MAX_CLASSES) + 1);
        Classes::new((0..count).map(|class| {
            names
                .get(&class)
                .cloned()
                .unwrap_or_else(|| Arc::from(class.to_string()))
        }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 in hexadecimal of what was read: the images and all that is known of them.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for source in &self.sources {
            hash.update(format!("{:?}\n", [&source.path, &source.name]));
        }
        for Image {
            prompts,
            names,
            place,
            size,
        } in &self.images
        {
            hash.update(format!("{names:?} {place:?} {size:?}\n"));
            for BoxPrompt {
                bbox,
                score,
                class,
                label,
            } in prompts
            {
                let bits = [bbox.x0, bbox.y0, bbox.x1, bbox.y1, *score].map(f32::to_bits);
                hash.update(format!("{bits:?} {class} {label:?}\n"));
            }
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Number of frames and images that the file knows.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The prompt, if its box and score are finite.
pub(super) fn checked(prompt: BoxPrompt) -> Result<BoxPrompt, String> {
    let b = prompt.bbox;
    if [b.x0, b.y0, b.x1, b.y1, prompt.score]
        .iter()
        .all(|v| v.is_finite())
    {
        Ok(prompt)
    } else {
        Err("a box is not finite".into())
    }
}
