//! Pages of a TIFF file. The decoder of the `image` crate reads the first page alone: it is given each page by a view
//! of the file whose header points to that page.

use super::decode;
use crate::{frame::Image, sources::SourceError};
use image::ImageFormat;
use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};
use tiff::{Directory, TiffError, decoder::Decoder, tags::Tag};

/// Most pages that are read.
const MAX_PAGES: usize = 1_000_000;

/// Where the directory of a page stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page(u64);

fn damaged(path: &Path, error: &TiffError) -> SourceError {
    match error {
        TiffError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => SourceError::new(path, "the file ends early"),
        e => SourceError::new(path, format!("cannot be decoded: {e}")),
    }
}

fn open(path: &Path) -> Result<File, SourceError> {
    File::open(path).map_err(|e| SourceError::new(path, format!("cannot be read: {e}")))
}

/// The pages of a file, those left out that are a smaller copy or a mask of another; at least one.
pub(super) fn list(path: &Path) -> Result<Vec<Page>, SourceError> {
    let failed = |e: TiffError| damaged(path, &e);
    let mut decoder = Decoder::new(BufReader::new(open(path)?)).map_err(failed)?;
    let (mut pages, mut seen, mut pointer) = (Vec::new(), HashSet::new(), decoder.ifd_pointer());
    while let Some(at) = pointer {
        if !seen.insert(at.0) || seen.len() > MAX_PAGES {
            return Err(SourceError::new(path, "is damaged: its pages form a loop or are too many"));
        }
        let directory = decoder.read_directory(at).map_err(failed)?;
        if is_page(&mut decoder, &directory).map_err(failed)? {
            pages.push(Page(at.0));
        }
        pointer = directory.next();
    }
    if pages.is_empty() { Err(SourceError::new(path, "holds no full-size page")) } else { Ok(pages) }
}

/// Whether NewSubfileType says neither reduced-resolution copy (bit 0) nor transparency mask (bit 2).
fn is_page(decoder: &mut Decoder<BufReader<File>>, directory: &Directory) -> Result<bool, TiffError> {
    let kind: Option<u32> = decoder.read_directory_tags(directory).find_tag_unsigned(Tag::NewSubfileType)?;
    Ok(kind.unwrap_or(0) & 0b101 == 0)
}

/// Decodes one page.
pub(super) fn decode(path: &Path, page: Page, max_pixels: u64) -> Result<Image, SourceError> {
    let mut file = open(path)?;
    let view = PageView::new(&mut file, page).map_err(|e| SourceError::new(path, format!("cannot be read: {e}")))?;
    decode::decode(path, BufReader::with_capacity(1 << 16, view), ImageFormat::Tiff, max_pixels)
}

/// The file with a header that points to one page.
struct PageView<'a> {
    file: &'a mut File,
    header: Vec<u8>,
    at: u64,
}

impl<'a> PageView<'a> {
    fn new(file: &'a mut File, page: Page) -> io::Result<Self> {
        let mut header = vec![0; 8];
        file.read_exact(&mut header)?;
        let little = header.starts_with(b"I");
        let is_big_tiff = header.get(2..4) == Some(if little { &[43, 0] } else { &[0, 43] });
        if is_big_tiff {
            header.extend(if little { page.0.to_le_bytes() } else { page.0.to_be_bytes() });
        } else {
            let offset = u32::try_from(page.0).map_err(|_| io::ErrorKind::InvalidData)?;
            header.truncate(4);
            header.extend(if little { offset.to_le_bytes() } else { offset.to_be_bytes() });
        }
        file.rewind()?;
        Ok(Self { file, header, at: 0 })
    }
}

impl Read for PageView<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let header = usize::try_from(self.at).ok().and_then(|at| self.header.get(at..)).unwrap_or(&[]);
        let read = if header.is_empty() {
            self.file.read(buffer)?
        } else {
            let n = header.len().min(buffer.len());
            buffer[..n].copy_from_slice(&header[..n]);
            self.file.seek(SeekFrom::Start(self.at + n as u64))?;
            n
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for PageView<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}
