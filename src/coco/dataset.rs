//! Data sets: all but their annotations.

use crate::{
    coco::{
        annotation::Annotation,
        number::{extension, integer, optional_integer},
    },
    geometry::Size,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// A data set as it is read.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "N: Deserialize<'de>"))]
pub(crate) struct Dataset<'a, N> {
    #[serde(borrow)]
    pub(crate) images: Vec<Image<'a>>,
    #[serde(borrow)]
    pub(crate) annotations: Vec<Annotation<'a, N>>,
    /// None where the file has no such list.
    #[serde(borrow, default)]
    pub(crate) categories: Option<Vec<Category<'a>>>,
    #[serde(borrow, default)]
    pub(crate) videos: Vec<Video<'a>>,
}

/// What a data set says of itself. Nothing in it depends on the time, so that the same data give the same bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Info<'a> {
    pub(crate) description: &'a str,
    /// Of phantoms: the first seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// Of phantoms: the number of sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequences: Option<u64>,
    /// Of phantoms: the classes that may appear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) targets: Option<Vec<&'a str>>,
    /// Of phantoms that are not calm: how they move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) motion: Option<&'a str>,
    /// Version of this program.
    pub(crate) version: &'a str,
}

impl<'a> Info<'a> {
    /// Of this version of the program.
    pub(crate) fn new(description: &'a str) -> Self {
        Self {
            description,
            seed: None,
            sequences: None,
            targets: None,
            motion: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Category<'a> {
    #[serde(deserialize_with = "integer")]
    pub(crate) id: i64,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) supercategory: Option<Cow<'static, str>>,
}

impl<'a> Category<'a> {
    /// As this program writes it.
    pub(crate) fn new(id: i64, name: impl Into<Cow<'a, str>>) -> Self {
        Self {
            id,
            name: name.into(),
            supercategory: Some(Cow::Borrowed("object")),
        }
    }
}

/// A source of several images; not all writers name it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Video<'a> {
    #[serde(deserialize_with = "integer")]
    pub(crate) id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Cow<'a, str>>,
    /// The path as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_name: Option<Cow<'a, str>>,
    /// Pixels a row.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) width: Option<u32>,
    /// Rows.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) height: Option<u32>,
    /// Number of its images.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) length: Option<u64>,
    /// Extension: nominal frames a second.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) frame_rate: Option<f64>,
    /// Extension: DICOM attributes by keyword.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Image<'a> {
    #[serde(deserialize_with = "integer")]
    pub(crate) id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    #[serde(
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) video_id: Option<i64>,
    /// Number in its video.
    #[serde(
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) frame_id: Option<i64>,
    /// Extension: presentation time in seconds.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<&'a RawValue>,
    /// Extension: pixel spacing and ultrasound regions.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) physical: Option<&'a RawValue>,
    /// Extension: the EXIF orientation (2 to 8) by which the file's picture was turned.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) exif_orientation: Option<u8>,
    /// Extension: the file as it was given that holds this picture alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<Cow<'a, str>>,
}

impl Image<'_> {
    /// By what it is found among other pictures: the file as it was given, else its name in the data set.
    pub(crate) fn path(&self) -> Option<&str> {
        self.original.as_deref().or(self.file_name.as_deref())
    }

    /// Width and height in pixels; none if the file does not state both, above 0.
    pub(crate) fn size(&self) -> Option<Size> {
        Some(Size::new(
            self.width.filter(|w| *w > 0)?,
            self.height.filter(|h| *h > 0)?,
        ))
    }
}
