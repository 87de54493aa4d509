//! A picture of a data set with what is annotated in it.

use crate::{
    frame::{Mask, Physical, SourceKind, Visibility, VisibilityChange},
    geometry::{BoxXyxy, Size},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A picture with its annotations.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Path of the picture's file below the image root, `/`-separated.
    pub file_name: String,
    /// The file as it was given that holds this picture alone, where there is one: a still image, a file of a sequence.
    pub original: Option<String>,
    /// Width and height in pixels; boxes and outlines refer to them.
    pub size: Size,
    /// Where it stands among the pictures of its source; none for a still picture, or where the data set does not say.
    pub place: Option<Place>,
    /// What is annotated, best score first where there are scores.
    pub annotations: Vec<Annotation>,
    /// Spacing and ultrasound regions, where known.
    pub physical: Option<Physical>,
    /// The EXIF orientation (2 to 8) by which the file's picture was turned.
    pub exif_orientation: Option<u8>,
    /// Changes of visibility of tracked objects and their classes at this picture.
    pub changes: Vec<VisibilityChange>,
}

/// Where a picture stands in a video, DICOM source or numbered sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Name of the source, unique in the data set: a path below the image root, `/`-separated, without extension.
    pub source: Arc<str>,
    /// Kind of source.
    pub kind: SourceKind,
    /// Path of the source's file or folder as it was given.
    pub path: Arc<str>,
    /// The picture's own file as it was given, where a sequence or series has a file for each.
    pub file: Option<String>,
    /// Number of the picture in its source, from 0.
    pub frame: u64,
    /// Presentation time from the start of the source.
    pub timestamp: Option<Duration>,
    /// Nominal frames a second, where stated.
    pub frame_rate: Option<f64>,
    /// DICOM attributes of the source by keyword.
    pub attributes: Arc<BTreeMap<String, String>>,
}

impl Item {
    /// The name of the picture's source, or of the picture where it has none.
    pub fn source(&self) -> &str {
        self.place
            .as_ref()
            .map_or(&self.file_name, |place| &place.source)
    }
}

/// An annotated object.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    pub label: Arc<str>,
    /// Box in pixels of the picture, right and lower edges exclusive: the tight one of the outline, where there is one.
    pub bbox: BoxXyxy,
    /// The outline, where there is one.
    pub outline: Option<Outline>,
    /// Confidence in 0..1 of a prediction; none of what a person annotated.
    pub score: Option<f32>,
    /// The segmenter's estimate of its mask's IoU.
    pub mask_score: Option<f32>,
    /// Number of the object over all pictures of its source, where it is tracked.
    pub track_id: Option<u64>,
    /// Whether the tracked object is seen, where that is known.
    pub visibility: Option<Visibility>,
    /// The score behind `visibility`, in 0..1; in data sets that have no states, the share of the object that is seen.
    pub visibility_score: Option<f32>,
}

/// The outline of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Outline {
    /// Its pixels, at the picture's size.
    Mask(Mask),
    /// Closed lines of x, y in pixels, on pixel edges (the upper left corner of the picture is 0, 0); the object is their
    /// union, without the closing point.
    Polygons(Vec<Vec<[f64; 2]>>),
}
