//! Still images: PNG, JPEG, TIFF, BMP, WebP; files of several (TIFF pages, WebP animations) give one frame each.

mod decode;
mod jpeg;
mod tiff_pages;
mod webp_animation;

pub(super) use decode::{composite_over_black, decode_file, oriented, to_8_bit};

use super::{
    Source, SourceError, SourceSpec,
    inputs::{Contents, identify},
};
use crate::frame::{Frame, Image, SourceInfo, SourceKind};
use image::ImageFormat;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tiff_pages::Page;
use webp_animation::WebpAnimation;

/// A source of one image, of the pages of a TIFF, or of the frames of an animated WebP.
///
/// Files of several images have [`SourceKind::Sequence`]. Pages of a TIFF that are thumbnails or masks of others are
/// left out. Frames of an animation have their time from its start.
pub struct ImageSource {
    info: Arc<SourceInfo>,
    path: PathBuf,
    max_pixels: u64,
    next: u64,
    content: Content,
}

enum Content {
    Single,
    Pages(Vec<Page>),
    Animation(Box<WebpAnimation>),
}

impl ImageSource {
    /// Opens the file and reads how many images it holds.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be read, is no image, or its directory of pages or frames is broken.
    pub fn open(spec: &SourceSpec, ordinal: usize, max_pixels: u64) -> Result<Self, SourceError> {
        let path = spec.path.clone();
        let content = match identify(&path)? {
            Contents::Image(ImageFormat::Tiff) => {
                let pages = tiff_pages::list(&path)?;
                if pages.len() == 1 { Content::Single } else { Content::Pages(pages) }
            }
            Contents::Image(ImageFormat::WebP) => match WebpAnimation::open(&path, max_pixels)? {
                Some(animation) => Content::Animation(Box::new(animation)),
                None => Content::Single,
            },
            Contents::Image(_) => Content::Single,
            other => return Err(other.refusal(&path)),
        };
        let count = match &content {
            Content::Single => 1,
            Content::Pages(pages) => pages.len() as u64,
            Content::Animation(animation) => animation.frame_count(),
        };
        let kind = if count == 1 { SourceKind::Image } else { SourceKind::Sequence };
        let info = SourceInfo {
            ordinal,
            path: path.clone(),
            name: spec.name.clone(),
            kind,
            frame_count: Some(count),
            frame_rate: None,
            attributes: Default::default(),
        };
        Ok(Self { info: Arc::new(info), path, max_pixels, next: 0, content })
    }

    fn decode(&mut self, index: u64) -> Result<(Image, Option<Duration>), SourceError> {
        match &mut self.content {
            Content::Single => decode_file(&self.path, self.max_pixels).map(|image| (image, None)),
            Content::Pages(pages) => match pages.get(usize::try_from(index).unwrap_or(usize::MAX)) {
                Some(page) => tiff_pages::decode(&self.path, *page, self.max_pixels).map(|image| (image, None)),
                None => Err(SourceError::new(&self.path, "has no such page")),
            },
            Content::Animation(animation) => animation.next(&self.path).map(|(image, at)| (image, Some(at))),
        }
    }
}

impl Source for ImageSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let count = self.info.frame_count.unwrap_or(0);
        if self.next >= count {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        match self.decode(index) {
            Ok((image, timestamp)) => Ok(Some(Frame {
                source: self.info.clone(),
                index,
                timestamp,
                file: None,
                pixels: image.into(),
                physical: None,
                stored: None,
            })),
            Err(error) => {
                // An animation builds each frame on the one before.
                if matches!(self.content, Content::Animation(_)) {
                    self.next = count;
                }
                Err(if count > 1 { error.at(index) } else { error })
            }
        }
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        if matches!(self.content, Content::Animation(_)) {
            return self.next_frame().map(|frame| frame.is_some());
        }
        let there = self.next < self.info.frame_count.unwrap_or(0);
        self.next += u64::from(there);
        Ok(there)
    }
}
