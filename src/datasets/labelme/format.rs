//! The fields of a file, for writing.

use serde::Serialize;

/// A file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File<'a> {
    pub(crate) version: &'a str,
    pub(crate) flags: Flags,
    pub(crate) shapes: Vec<Shape<'a>>,
    pub(crate) image_path: &'a str,
    pub(crate) image_data: Option<&'a str>,
    pub(crate) image_height: u32,
    pub(crate) image_width: u32,
}

/// No flags: an empty object.
#[derive(Serialize)]
pub(crate) struct Flags {}

/// A shape. `score`, `mask_score` and `track_id` are not labelme's: it keeps what it does not know.
#[derive(Serialize)]
pub(crate) struct Shape<'a> {
    pub(crate) label: &'a str,
    pub(crate) points: Vec<[f64; 2]>,
    pub(crate) group_id: Option<u64>,
    pub(crate) description: String,
    pub(crate) shape_type: &'a str,
    pub(crate) flags: Flags,
    /// The pixels of a shape of type `mask`: a PNG in base64.
    pub(crate) mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mask_score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) track_id: Option<u64>,
}
