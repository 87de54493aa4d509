//! TIFF: pages, and samples of any kind that can be shown. The `tiff` crate reads directories and decompresses; what the
//! samples mean is decided here.

mod colour;
mod fax;
mod layout;
mod raw;
mod view;

use super::{ImageOptions, Picture, decode::too_large};
use crate::sources::SourceError;
use image::metadata::Orientation;
use layout::Layout;
use std::{collections::HashSet, fs::File, io, path::Path};
use tiff::{
    Directory, TiffError,
    decoder::{Decoder, Limits},
    tags::{IfdPointer, Tag},
};
use view::{Flavour, Values, View};

/// Most pages that are read.
const MAX_PAGES: usize = 1_000_000;
/// Most bytes of a tag's values: those of 4 million strips of a BigTIFF.
const MAX_TAG: usize = 64 << 20;

/// Where the directory of a page stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page(u64);

/// The pages of a file, and why there are no more where the file was cut short.
pub(super) struct Pages {
    pub(super) pages: Vec<Page>,
    pub(super) ending: Option<SourceError>,
}

/// Why a page is not read.
#[derive(Debug)]
enum Fault {
    /// The file ends before its data do.
    Early,
    Io(io::Error),
    /// In words, of the file.
    Damaged(String),
    /// Nothing is wrong with the file, but this is not read. In words, of the file.
    Unread(String),
    /// Samples of floating point, whose range nobody stated.
    NoRange,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Early
        } else {
            Self::Io(error)
        }
    }
}

impl From<TiffError> for Fault {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::IoError(e) => e.into(),
            TiffError::UnsupportedError(e) => {
                Self::Unread(format!("it needs what is not supported: {e}"))
            }
            e => Self::Damaged(format!("its data are damaged: {e}")),
        }
    }
}

impl Fault {
    fn at(self, path: &Path) -> SourceError {
        match self {
            Self::Early => SourceError::new(path, "the file ends early"),
            Self::Io(e) => SourceError::new(path, format!("cannot be decoded: {e}")),
            Self::Damaged(what) => {
                SourceError::new(path, format!("is a TIFF that cannot be decoded: {what}"))
            }
            Self::Unread(what) => {
                SourceError::new(path, format!("is a TIFF that is not read: {what}"))
                    .with_remedy("convert it to 8-bit PNG or TIFF")
            }
            Self::NoRange => super::decode::float_samples(path),
        }
    }
}

/// An opened file.
struct Tiff {
    file: File,
    length: u64,
    flavour: Flavour,
    first: u64,
}

impl Tiff {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let cannot = |e: io::Error| SourceError::new(path, format!("cannot be read: {e}"));
        let mut file = File::open(path).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        let (flavour, first) = Flavour::read(&mut file).map_err(|fault| fault.at(path))?;
        Ok(Self {
            file,
            length,
            flavour,
            first,
        })
    }

    /// A decoder over the file that sees a page with these tags.
    fn decoder(
        &self,
        entries: &[(u16, Values)],
        limits: Limits,
    ) -> Result<Decoder<View<&File>>, Fault> {
        Ok(
            Decoder::new(View::new(&self.file, self.length, self.flavour, entries)?)?
                .with_limits(limits),
        )
    }

    /// A decoder for reading directories alone: the page that it sees is a single pixel.
    fn directories(&self) -> Result<Decoder<View<&File>>, Fault> {
        let long = |v| Values::Longs(vec![v]);
        let short = |v| Values::Shorts(vec![v]);
        let entries = [
            (256, long(1)),
            (257, long(1)),
            (258, short(8)),
            (262, short(1)),
            (273, long(0)),
            (279, long(1)),
        ];
        let mut limits = Limits::default();
        limits.ifd_value_size = MAX_TAG;
        self.decoder(&entries, limits)
    }
}

/// The pages of a file, those left out that are a smaller copy or a mask of another; at least one. A file that was cut
/// short has those whose directories are there.
pub(super) fn list(path: &Path) -> Result<Pages, SourceError> {
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
                let error = fault.at(path);
                let problem = format!(
                    "{}; the pages after the first {} are missing",
                    error.problem,
                    pages.len()
                );
                ending = Some(SourceError { problem, ..error });
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

/// A directory, and whether NewSubfileType says neither reduced-resolution copy (bit 0) nor transparency mask (bit 2).
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
pub(super) fn decode(
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
    Ok(Picture {
        image,
        orientation: Orientation::NoTransforms,
        remark,
    }
    .turned(orientation))
}

fn layout(tiff: &Tiff, page: Page) -> Result<Layout, Fault> {
    let mut decoder = tiff.directories()?;
    let (directory, _) = directory(tiff, &mut decoder, page.0)?;
    Layout::read(&mut decoder, &directory)
}
