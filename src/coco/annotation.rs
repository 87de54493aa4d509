//! Entries of `annotations`, and of results lists.

use crate::{
    coco::{
        lazy::Lazy,
        number::{extension, integer, optional_flag, optional_integer, optional_plain_number},
        segmentation::Segmentation,
    },
    frame::Visibility,
};
use serde::{Deserialize, Serialize};

/// What `attributes` say of a track; other attributes are passed over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrackAttributes {
    /// Number of the object over all images of its video.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) track_id: Option<u64>,
    /// Whether the object is seen.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) visibility: Option<Visibility>,
    /// The score behind `visibility`, in 0..1.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) visibility_score: Option<f32>,
}

/// An object of an image, or an entry of a results list, which states fewer fields. `N` is the type of its numbers: `f32`
/// gives what this program writes in the same bits, `f64` what evaluation computes with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "N: Serialize", deserialize = "N: Deserialize<'de>"))]
pub(crate) struct Annotation<'a, N> {
    #[serde(
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) id: Option<i64>,
    #[serde(deserialize_with = "integer")]
    pub(crate) image_id: i64,
    #[serde(deserialize_with = "integer")]
    pub(crate) category_id: i64,
    /// `[x, y, width, height]` in pixels; an empty list is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bbox: Option<Vec<N>>,
    /// Pixels of the mask, else of the box.
    #[serde(
        default,
        serialize_with = "optional_plain_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) area: Option<f64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) segmentation: Option<Lazy<'a, Segmentation<'a>>>,
    /// 1 for a region of many objects.
    #[serde(
        default,
        deserialize_with = "optional_flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) iscrowd: Option<u8>,
    /// Confidence in 0..1 of a prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<N>,
    /// Extension: the segmenter's estimate of its mask's IoU.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) mask_score: Option<f32>,
    /// Extension: the object's number over all images of a video; in what this program writes, over those of all videos.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) track_id: Option<u32>,
    /// Extension: what CVAT and FiftyOne have of a track.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) attributes: Option<TrackAttributes>,
    /// Extension of ground truth: the share of the object's pixels in 0..1 that the image shows.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) visible_fraction: Option<f32>,
    /// Extension of ground truth of moving objects: the share of the object in 0..1 that is in the picture and in plane, as
    /// MOTChallenge's column of that name.
    #[serde(
        default,
        deserialize_with = "extension",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) visibility: Option<f32>,
}

impl<N> Annotation<'_, N> {
    /// An annotation without a place.
    pub(crate) fn new(image_id: i64, category_id: i64) -> Self {
        Self {
            id: None,
            image_id,
            category_id,
            bbox: None,
            area: None,
            segmentation: None,
            iscrowd: None,
            score: None,
            mask_score: None,
            track_id: None,
            attributes: None,
            visible_fraction: None,
            visibility: None,
        }
    }

    /// Whether it is a region of many objects, to be ignored.
    pub(crate) fn is_crowd(&self) -> bool {
        self.iscrowd.unwrap_or(0) != 0
    }

    /// The numbers of the box, as many as the file states; none if it states no box.
    pub(crate) fn box_numbers(&self) -> Option<&[N]> {
        self.bbox.as_deref().filter(|b| !b.is_empty())
    }
}
