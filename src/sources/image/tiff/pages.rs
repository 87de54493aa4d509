//! The pages of a file and their decoding.

use super::{colour, fault::Fault, file::Tiff, layout::Layout, raw, view::View};
use crate::sources::{
    SourceError,
    image::{
        error::too_large,
        picture::{ImageOptions, Picture},
        pixels::upright,
    },
};
use image::metadata::Orientation;
use std::{collections::HashSet, fs::File, path::Path};
use tiff::{
    Directory,
    decoder::Decoder,
    tags::{IfdPointer, Tag},
};

/// Largest number of pages that are read.
const MAX_PAGES: usize = 1_000_000;

/// Where the directory of a page stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources::image) struct Page(u64);

/// The pages of a file, and why there are no more where the file was cut short.
pub(in crate::sources::image) struct Pages {
    pub(in crate::sources::image) pages: Vec<Page>,
    pub(in crate::sources::image) ending: Option<SourceError>,
}

/// The pages of a file, those left out that are a smaller copy or a mask of another; at least one. A file that was cut
/// short has those whose directories are there.
pub(in crate::sources::image) fn list(path: &Path) -> Result<Pages, SourceError> {
    let tiff = Tiff::open(path)?;
    let mut decoder = tiff.directories().map_err(|fault| fault.at(path))?;
    let (mut pages, mut seen, mut ending) = (Vec::new(), HashSet::new(), None);
    let mut pointer = Some(tiff.first);
    while let Some(at) = pointer {
        if !seen.insert(at) || seen.len() > MAX_PAGES {
            return Err(SourceError::new(
                path,
                "is damaged: its pages form a loop or are too many",
            ));
        }
        match directory(&tiff, &mut decoder, at) {
            Ok((directory, is_page)) => {
                pages.extend(is_page.then_some(Page(at)));
                pointer = directory.next().map(|next| next.0);
            }
            Err(fault) if pages.is_empty() => return Err(fault.at(path)),
            Err(fault) => {
                let mut error = fault.at(path);
                let missing = format!("; the pages after the first {} are missing", pages.len());
                error.problem.push_str(&missing);
                ending = Some(error);
                break;
            }
        }
    }
    if pages.is_empty() {
        Err(SourceError::new(path, "holds no full-size page"))
    } else {
        Ok(Pages { pages, ending })
    }
}

/// A directory, and whether it is a page: neither a reduced-resolution copy (bit 0 of NewSubfileType) nor a transparency
/// mask (bit 2).
fn directory(
    tiff: &Tiff,
    decoder: &mut Decoder<View<&File>>,
    at: u64,
) -> Result<(Directory, bool), Fault> {
    if at >= tiff.length {
        return Err(Fault::Early);
    }
    let directory = decoder.read_directory(IfdPointer(at))?;
    let kind: Option<u32> = decoder
        .read_directory_tags(&directory)
        .find_tag_unsigned(Tag::NewSubfileType)?;
    Ok((directory, kind.unwrap_or(0) & 0b101 == 0))
}

/// Decodes one page.
pub(in crate::sources::image) fn decode(
    path: &Path,
    page: Page,
    options: &ImageOptions,
) -> Result<Picture, SourceError> {
    let tiff = Tiff::open(path)?;
    let layout = layout(&tiff, page).map_err(|fault| fault.at(path))?;
    if layout.size.pixels() > options.max_pixels {
        return Err(too_large(
            path,
            &format!("the image of {} pixels", layout.size),
            options.max_pixels,
        ));
    }
    let shown = raw::read(&tiff, &layout, options.max_pixels)
        .and_then(|raw| colour::show(&layout, raw, options.window));
    let (image, remark) = shown.map_err(|fault| fault.at(path))?;
    let orientation = u8::try_from(layout.orientation)
        .ok()
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms);
    Ok(upright(image, orientation, remark))
}

fn layout(tiff: &Tiff, page: Page) -> Result<Layout, Fault> {
    let mut decoder = tiff.directories()?;
    let (directory, _) = directory(tiff, &mut decoder, page.0)?;
    Layout::read(&mut decoder, &directory)
}
