//! Image files as sources.

use super::{
    apng::Apng,
    decode::decode_file,
    picture::{ImageOptions, Picture},
    pixels::upright,
    tiff::{self, Page, Pages},
    webp_animation::WebpAnimation,
};
use crate::{
    frame::{Frame, SourceInfo, SourceKind},
    sources::{
        Source, SourceError, SourceSpec, SourceWarning,
        contents::{Contents, identify},
        parts::Positioned,
    },
};
use image::{ImageFormat, metadata::Orientation};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// A source of one image, of the pages of a TIFF, or of the frames of an animated WebP or PNG.
///
/// Files of several images have [`SourceKind::Sequence`]. Pages of a TIFF that are thumbnails or masks of others are
/// left out. Frames of an animation have their time from its start. Of a file that was cut short, what is whole comes
/// before the error.
pub struct ImageSource {
    info: Arc<SourceInfo>,
    path: PathBuf,
    options: ImageOptions,
    next: u64,
    content: Content,
    /// What comes after the last image of a file that was cut short.
    ending: Option<SourceError>,
    warnings: Vec<SourceWarning>,
}

enum Content {
    Single,
    Pages(Vec<Page>),
    Webp(Box<WebpAnimation>),
    Apng(Box<Apng>),
}

impl Content {
    /// Whether each frame builds on the one before.
    fn is_animation(&self) -> bool {
        matches!(self, Self::Webp(_) | Self::Apng(_))
    }
}

impl ImageSource {
    /// Opens the file and reads how many images it holds.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be read, is no image, or its directory of pages or frames is broken.
    pub fn open(
        spec: &SourceSpec,
        ordinal: usize,
        options: &ImageOptions,
    ) -> Result<Self, SourceError> {
        let (path, max_pixels) = (spec.path.clone(), options.max_pixels);
        let mut ending = None;
        let content = match identify(&path)? {
            Contents::Image(ImageFormat::Tiff) => {
                let Pages {
                    pages,
                    ending: after,
                } = tiff::list(&path)?;
                ending = after;
                Content::Pages(pages)
            }
            Contents::Image(ImageFormat::WebP) => match WebpAnimation::open(&path, max_pixels)? {
                Some(animation) => {
                    ending = animation.ending();
                    Content::Webp(Box::new(animation))
                }
                None => Content::Single,
            },
            Contents::Image(ImageFormat::Png) => match Apng::open(&path, max_pixels)? {
                Some(animation) => Content::Apng(Box::new(animation)),
                None => Content::Single,
            },
            Contents::Image(_) => Content::Single,
            other => return Err(other.refusal(&path)),
        };
        let count = match &content {
            Content::Single => 1,
            Content::Pages(pages) => pages.len() as u64,
            Content::Webp(animation) => animation.frame_count(),
            Content::Apng(animation) => animation.frame_count(),
        };
        let kind = if count == 1 && ending.is_none() {
            SourceKind::Image
        } else {
            SourceKind::Sequence
        };
        let info = SourceInfo {
            ordinal,
            path: path.clone(),
            name: spec.name.clone(),
            kind,
            folder: None,
            frame_count: Some(count),
            frame_rate: None,
            attributes: Default::default(),
        };
        Ok(Self {
            info: Arc::new(info),
            path,
            options: *options,
            next: 0,
            content,
            ending,
            warnings: Vec::new(),
        })
    }

    /// Whether it is a file of several images that stand alone.
    pub(in crate::sources) fn has_pages(&self) -> bool {
        matches!(self.content, Content::Pages(_)) && self.info.kind == SourceKind::Sequence
    }

    fn decode(&mut self, index: u64) -> Result<(Picture, Option<Duration>), SourceError> {
        let whole = |image| upright(image, Orientation::NoTransforms, None);
        match &mut self.content {
            Content::Single => {
                decode_file(&self.path, &self.options).map(|picture| (picture, None))
            }
            Content::Pages(pages) => {
                match pages.get(usize::try_from(index).unwrap_or(usize::MAX)) {
                    Some(page) => tiff::decode(&self.path, *page, &self.options)
                        .map(|picture| (picture, None)),
                    None => Err(SourceError::new(&self.path, "has no such page")),
                }
            }
            Content::Webp(animation) => animation
                .next(&self.path)
                .map(|(image, at)| (whole(image), Some(at))),
            Content::Apng(animation) => animation
                .next(&self.path)
                .map(|(image, at)| (whole(image), Some(at))),
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
            return self.ending.take().map_or(Ok(None), Err);
        }
        let index = self.next;
        self.next += 1;
        match self.decode(index) {
            Ok((picture, timestamp)) => {
                let of_several = self.info.kind == SourceKind::Sequence;
                self.warnings.extend(
                    picture
                        .warning(&self.path)
                        .map(|w| if of_several { w.at(index) } else { w }),
                );
                Ok(Some(picture.into_frame(&self.info, index, timestamp, None)))
            }
            Err(error) => {
                if self.content.is_animation() {
                    self.next = count;
                }
                if self.next == count {
                    // The cut has shown itself in the last page already.
                    self.ending = None;
                }
                Err(if self.info.kind == SourceKind::Sequence {
                    error.at(index)
                } else {
                    error
                })
            }
        }
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        if self.content.is_animation() {
            return self.next_frame().map(|frame| frame.is_some());
        }
        let there = self.next < self.info.frame_count.unwrap_or(0);
        self.next += u64::from(there);
        if there {
            Ok(true)
        } else {
            self.ending.take().map_or(Ok(false), Err)
        }
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

impl Positioned for ImageSource {
    /// Of the pages of a file alone: frames of an animation come in order.
    fn go_to(&mut self, index: u64) {
        self.next = index;
    }
}
