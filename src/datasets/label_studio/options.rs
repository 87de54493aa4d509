//! What the writer is made with.

use crate::datasets::writer::MaskForm;

/// How a task names its picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageUrl {
    /// `/data/local-files/?d=PREFIX/NAME`: a file below Label Studio's `LOCAL_FILES_DOCUMENT_ROOT`. Without a prefix, the
    /// folder of the pictures stands for it, and the document root is the folder that is written to.
    LocalFiles {
        /// Folder of the pictures below the document root, `/`-separated.
        prefix: Option<String>,
    },
    /// The path from the JSON file, or the prefix of a server and the name below it.
    Relative {
        /// What stands before the name in place of the folder of the pictures, for example `https://example.org/images/`.
        prefix: Option<String>,
    },
}

impl Default for ImageUrl {
    fn default() -> Self {
        Self::LocalFiles { prefix: None }
    }
}

/// Whether regions are a model's or a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResultsAs {
    /// Predictions where any object of the picture has a score or there is no object, annotations elsewhere.
    #[default]
    Scored,
    /// Always predictions.
    Predictions,
    /// Always annotations: what Label Studio's own converter reads.
    Annotations,
}

/// What the writer is made with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LabelStudioOptions {
    /// Brush strokes of every pixel, or polygons.
    pub masks: MaskForm,
    /// How tasks name their pictures.
    pub image: ImageUrl,
    /// Predictions or annotations.
    pub results: ResultsAs,
}

impl LabelStudioOptions {
    /// Options with masks in `masks` form.
    pub fn new(masks: MaskForm) -> Self {
        Self {
            masks,
            ..Self::default()
        }
    }
}
