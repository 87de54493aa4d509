//! COCO data sets and results lists as they are on disk.

use crate::{
    geometry::{BoxXyxy, Size},
    run::boxes::{BoxPrompt, Classes, rle},
};
use serde::Deserialize;
use std::{borrow::Cow, sync::Arc};

#[derive(Deserialize)]
pub(crate) struct Dataset<'a> {
    #[serde(borrow)]
    pub(crate) images: Vec<ImageEntry<'a>>,
    pub(crate) annotations: Vec<Annotation>,
    #[serde(borrow, default)]
    pub(crate) categories: Vec<Named<'a>>,
    #[serde(borrow, default)]
    pub(crate) videos: Vec<Video<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct ImageEntry<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) file_name: Cow<'a, str>,
    #[serde(default)]
    width: Option<u32>,
    #[serde(default)]
    height: Option<u32>,
    #[serde(default)]
    pub(crate) video_id: Option<u64>,
    #[serde(default)]
    pub(crate) frame_id: Option<u64>,
}

impl ImageEntry<'_> {
    /// Width and height, where the file states them.
    pub(crate) fn size(&self) -> Option<Size> {
        Some(Size::new(
            self.width.filter(|w| *w > 0)?,
            self.height.filter(|h| *h > 0)?,
        ))
    }
}

#[derive(Deserialize)]
pub(crate) struct Named<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
}

/// A video; not all writers give it a name.
#[derive(Deserialize)]
pub(crate) struct Video<'a> {
    pub(crate) id: u64,
    #[serde(borrow, default)]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) file_name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(crate) struct Annotation {
    pub(crate) image_id: u64,
    pub(crate) category_id: u64,
    #[serde(default)]
    bbox: Option<[f32; 4]>,
    #[serde(default)]
    score: Option<f32>,
    #[serde(default)]
    iscrowd: Option<u8>,
    #[serde(default)]
    segmentation: Option<Segmentation>,
}

/// Run lengths with a string; any other form is of no use here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Rle { size: [u32; 2], counts: String },
    Other(serde::de::IgnoredAny),
}

impl Annotation {
    /// The prompt that the annotation makes; none for a crowd, which is a region to be ignored, and for an empty mask.
    pub(crate) fn prompt(
        &self,
        (class, label): (u32, Arc<str>),
    ) -> Result<Option<BoxPrompt>, String> {
        if self.iscrowd.unwrap_or(0) != 0 {
            return Ok(None);
        }
        let [x, y, w, h] = self
            .place()
            .ok_or_else(|| format!("an annotation of image {} has no box", self.image_id))?;
        let bbox = BoxXyxy::new(x, y, x + w, y + h);
        if self.bbox.is_none() && !bbox.is_valid() {
            return Ok(None);
        }
        crate::run::boxes::checked(BoxPrompt {
            bbox,
            score: self.score.unwrap_or(1.0),
            class,
            label,
        })
        .map(Some)
    }

    /// `[x, y, width, height]`: the box, or the mask's where there is none, as in a results list of masks.
    fn place(&self) -> Option<[f32; 4]> {
        self.bbox.or_else(|| match &self.segmentation {
            Some(Segmentation::Rle {
                size: [height, width],
                counts,
            }) => {
                let mask = rle::mask_from_string(Size::new(*width, *height), counts)?;
                Some(mask.bounds().map_or([0.0; 4], |b| b.to_coco()))
            }
            Some(Segmentation::Other(_)) | None => None,
        })
    }
}

/// The class and its name of category ids.
pub(crate) struct Categories<'a> {
    named: Vec<(u64, &'a str)>,
    classes: &'a Classes,
}

impl<'a> Categories<'a> {
    pub(crate) fn new(named: &'a [Named<'_>], classes: &'a Classes) -> Self {
        let mut named: Vec<(u64, &str)> = named.iter().map(|c| (c.id, &*c.name)).collect();
        named.sort_unstable();
        named.dedup_by_key(|(id, _)| *id);
        Self { named, classes }
    }

    /// The class of category `id`: that of its name where the classes know it, else the one that gives this id, else its
    /// place among the file's ids.
    pub(crate) fn class(&self, id: u64) -> Result<(u32, Arc<str>), String> {
        let place = self.named.binary_search_by_key(&id, |(id, _)| *id).ok();
        let name = place
            .and_then(|at| self.named.get(at))
            .map(|(_, name)| *name);
        let own = self.classes.names();
        let by_name = name
            .and_then(|name| own.iter().position(|n| **n == *name))
            .and_then(|class| u32::try_from(class).ok());
        let by_place = || u32::try_from(place?).ok();
        let by_id = || self.classes.class_of(id);
        let class = by_name.or_else(|| {
            if own.is_empty() && !self.named.is_empty() {
                by_place()
            } else {
                by_id().or_else(by_place)
            }
        });
        let class = class.ok_or_else(|| format!("category {id} is not known"))?;
        Ok((class, name.map_or_else(|| self.label(class), Arc::from)))
    }

    fn label(&self, class: u32) -> Arc<str> {
        let known = usize::try_from(class)
            .ok()
            .and_then(|c| self.classes.names().get(c));
        known
            .cloned()
            .unwrap_or_else(|| Arc::from(format!("class {class}")))
    }
}
