//! Opening a DICOM file: preamble, file meta information, transfer syntax, attributes, place of the pixel data.

use super::{
    attributes::Attributes,
    bytes::Bytes,
    error::{DicomError, Result},
    finding::DicomFinding,
    parse::Parser,
    plausible,
    syntax::{self, Syntax},
    walk::{self, Encoding, Span},
};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Largest data set a deflated file may inflate to.
const MAX_INFLATED: u64 = 1 << 30;
/// Groups whose attributes are read. Private groups and those about other matters are passed over.
const GROUPS: [u16; 10] = [
    0x0004, 0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x2050, 0x5200, 0x7FE0,
];

/// An open DICOM file: its attributes in memory, its pixel data on disk.
#[derive(Debug)]
pub struct DicomFile {
    pub(super) bytes: Bytes,
    pub(super) encoding: Encoding,
    pub(super) syntax: Syntax,
    pub(super) pixel_data: Option<Span>,
    syntax_uid: String,
    data_set: InMemDicomObject,
}

/// Whether the content of the file is DICOM; its extension does not matter. False for a file that cannot be read.
///
/// A file is DICOM by `DICM` after the preamble. `DICM` at its start, a preamble without the mark, and a file that starts
/// with its data set need a data set there that can be nothing else: three standard elements in ascending order, the
/// first of group 2, 4 or 8, with values that their VR allows.
pub fn is_dicom(path: &Path) -> bool {
    File::open(path)
        .ok()
        .and_then(|f| Bytes::disk(f).ok())
        .is_some_and(|mut bytes| {
            find_start(&mut bytes).is_ok_and(|start| match start {
                Start::Marked(132) => true,
                Start::Marked(at) | Start::Bare(at) => {
                    plausible::looks_like_data_set(&mut bytes, at, false)
                }
            })
        })
}

enum Start {
    /// After `DICM`.
    Marked(u64),
    /// A data set without preamble.
    Bare(u64),
}

fn find_start(bytes: &mut Bytes) -> Result<Start> {
    if let (b, 132) = bytes.peek::<132>(0)?
        && b.ends_with(b"DICM")
    {
        return Ok(Start::Marked(132));
    }
    if bytes.peek::<4>(0)?.0 == *b"DICM" {
        return Ok(Start::Marked(4));
    }
    // The preamble may be there without the mark, or the file may start with its first element.
    for at in [0, 128] {
        if plausible::looks_like_data_set(bytes, at, true) {
            return Ok(Start::Bare(at));
        }
    }
    Err(DicomError::NotDicom)
}

impl DicomFile {
    /// Opens a file and reads its attributes; pixel data stay on disk (a deflated data set is inflated into memory).
    ///
    /// # Errors
    /// [`DicomError::Io`], [`DicomError::NotDicom`], or [`DicomError::Structure`] if it is broken before the pixel data.
    pub fn open(path: &Path) -> Result<Self> {
        let mut bytes = Bytes::disk(File::open(path)?)?;
        let (Start::Marked(at) | Start::Bare(at)) = find_start(&mut bytes)?;
        let (uid, data_set_at) = read_meta(&mut bytes, at)?;
        let mut syntax = match &uid {
            Some(uid) => syntax::syntax(uid),
            None => {
                let encoding = plausible::guess_encoding(&mut bytes, data_set_at);
                Syntax {
                    encoding,
                    ..syntax::syntax(syntax::EXPLICIT_LITTLE)
                }
            }
        };
        let mut at = data_set_at;
        if syntax.deflated {
            bytes = inflate(path, at)?;
            at = 0;
        } else if uid.is_some() && at < bytes.len() {
            // Files whose data set contradicts their meta information are common.
            let guess = plausible::guess_encoding(&mut bytes, at);
            if !syntax.encoding.big_endian {
                syntax.encoding.explicit = guess.explicit;
            }
        }
        let default = if syntax.encoding.big_endian {
            syntax::EXPLICIT_BIG
        } else if syntax.encoding.explicit {
            syntax::EXPLICIT_LITTLE
        } else {
            syntax::IMPLICIT_LITTLE
        };
        let mut file = Self {
            bytes,
            encoding: syntax.encoding,
            syntax,
            pixel_data: None,
            syntax_uid: uid.unwrap_or_else(|| default.to_owned()),
            data_set: InMemDicomObject::new_empty(),
        };
        file.read_attributes(at)?;
        Ok(file)
    }

    /// The attributes.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.data_set)
    }

    /// The transfer syntax's UID, as the file states it or as its content proves it.
    pub fn transfer_syntax_uid(&self) -> &str {
        &self.syntax_uid
    }

    /// Whether the file has pixel data.
    pub fn has_pixel_data(&self) -> bool {
        self.pixel_data.is_some()
    }

    /// Where the pixel data are.
    ///
    /// # Errors
    /// [`DicomError::NoImage`] or [`DicomError::NoPixelData`] where there are none.
    pub(super) fn pixel_span(&self) -> Result<Span> {
        self.pixel_data.ok_or_else(|| self.without_pixels())
    }

    /// Why there are no pixel data: an object of another kind has no rows either; an image has lost its pixels.
    pub(super) fn without_pixels(&self) -> DicomError {
        let a = self.attributes();
        match a.has(tags::ROWS) || !a.has(tags::SOP_CLASS_UID) {
            true => DicomError::NoPixelData,
            false => DicomError::NoImage {
                modality: a.text(tags::MODALITY).map(|m| m.chars().take(16).collect()),
            },
        }
    }

    pub(super) fn wrong_encoding(&self, span: &Span, found: &'static str) -> DicomError {
        DicomError::WrongEncoding {
            offset: span.start,
            found,
            syntax: self.syntax_uid.clone(),
        }
    }

    /// The finding about burned-in annotation: it is stated, or, in an ultrasound object, not denied.
    pub fn burned_in(&self) -> Option<DicomFinding> {
        /// Ultrasound Image and Multi-frame Image Storage, with the retired ones.
        const ULTRASOUND: [&str; 4] = [
            "1.2.840.10008.5.1.4.1.1.6.1",
            "1.2.840.10008.5.1.4.1.1.3.1",
            "1.2.840.10008.5.1.4.1.1.6",
            "1.2.840.10008.5.1.4.1.1.3",
        ];
        let a = self.attributes();
        match a.text(tags::BURNED_IN_ANNOTATION) {
            Some(stated) => stated
                .eq_ignore_ascii_case("YES")
                .then_some(DicomFinding::BurnedIn { absent: false }),
            None => {
                let class = a
                    .text(tags::SOP_CLASS_UID)
                    .is_some_and(|uid| ULTRASOUND.contains(&uid.as_str()));
                let modality = a
                    .text(tags::MODALITY)
                    .is_some_and(|m| m == "US" || m == "IVUS");
                (class || modality).then_some(DicomFinding::BurnedIn { absent: true })
            }
        }
    }

    /// Number of Frames as stated; 1 where it is absent, `None` where its value is no number above 0.
    pub fn stated_frames(&self) -> Option<u64> {
        match self.attributes().text(tags::NUMBER_OF_FRAMES) {
            Some(_) => self
                .attributes()
                .int(tags::NUMBER_OF_FRAMES)
                .and_then(|frames| u64::try_from(frames).ok())
                .filter(|frames| *frames > 0),
            None => Some(1),
        }
    }

    fn read_attributes(&mut self, mut at: u64) -> Result<()> {
        let limit = self.bytes.len();
        let mut parser = Parser::new(self.encoding);
        loop {
            let span = match walk::element(&mut self.bytes, at, limit, self.encoding) {
                Ok(Some(span)) => span,
                Ok(None) => return Ok(()),
                // What comes after the pixel data is of no use here, broken or not.
                Err(_) if self.pixel_data.is_some() => return Ok(()),
                Err(e) => return Err(e),
            };
            if matches!(
                span.tag,
                tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
            ) {
                self.pixel_data = Some(span);
            } else if GROUPS.contains(&span.tag.0)
                && let Some(element) = parser.element(&mut self.bytes, &span)?
            {
                self.data_set.put(element);
            }
            at = span.end;
        }
    }
}

/// The transfer syntax UID of the file meta information at `at`, if stated, and where the data set starts.
fn read_meta(bytes: &mut Bytes, mut at: u64) -> Result<(Option<String>, u64)> {
    let limit = bytes.len();
    let explicit = Encoding {
        explicit: true,
        big_endian: false,
    };
    let mut uid = None;
    // The group's stated length is not trusted: the group ends where another begins.
    while let ([2, 0], 2) = bytes.peek::<2>(at)? {
        let Some(span) = walk::element(bytes, at, limit, explicit)? else {
            break;
        };
        if span.tag == tags::TRANSFER_SYNTAX_UID && span.end - span.value <= 64 {
            let value = bytes.range(span.value, span.end - span.value)?;
            let text = String::from_utf8_lossy(&value)
                .trim_matches(['\0', ' '])
                .to_owned();
            uid = (!text.is_empty()).then_some(text);
        }
        at = span.end;
    }
    Ok((uid, at))
}

fn inflate(path: &Path, at: u64) -> Result<Bytes> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut data = Vec::new();
    let read = flate2::read::DeflateDecoder::new(file)
        .take(MAX_INFLATED + 1)
        .read_to_end(&mut data);
    // The end of a deflated data set may be cut off; what came before it is still checked element by element.
    if let Err(e) = read
        && data.is_empty()
    {
        return Err(DicomError::codec("deflate", e));
    }
    if data.len() as u64 > MAX_INFLATED {
        return Err(DicomError::structure(
            at,
            "the deflated data set inflates to more than 1 GiB",
        ));
    }
    Ok(Bytes::memory(data))
}
