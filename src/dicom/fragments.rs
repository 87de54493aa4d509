//! Which bytes of the file hold which frame.

use super::{
    bytes::Bytes,
    error::{DicomError, Result},
    file::DicomFile,
    finding::DicomFinding,
    syntax::PixelEncoding,
    walk::{Encoding, ITEM, SEQUENCE_END, Span},
};
use crate::text::counted;
use dicom_dictionary_std::tags;

/// A stretch of bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The fragments of encapsulated pixel data and how they make up frames.
#[derive(Debug)]
pub(super) struct Fragments {
    fragments: Vec<Stretch>,
    /// First fragment of each frame.
    starts: Vec<usize>,
    /// Whether the file ends before the delimiter that closes the fragments.
    cut_off: bool,
}

impl Fragments {
    /// The fragments of compressed pixel data, also where they have a defined length, which is a finding: then they are
    /// items all the same, or one frame without any.
    ///
    /// # Errors
    /// As [`Fragments::index`]; [`DicomError::WrongEncoding`] where they are neither.
    pub(super) fn of(
        file: &mut DicomFile,
        span: &Span,
        frames: u64,
        encoding: PixelEncoding,
    ) -> Result<(Self, Option<DicomFinding>)> {
        if span.undefined {
            return Ok((Self::index(file, span, frames, encoding)?, None));
        }
        let (b, n) = file.bytes.peek::<4>(span.value)?;
        let tag = (
            file.encoding.u16([b[0], b[1]]),
            file.encoding.u16([b[2], b[3]]),
        );
        if n == 4 && tag == (ITEM.0, ITEM.1) {
            return Ok((
                Self::index(file, span, frames, encoding)?,
                Some(DicomFinding::DefinedLength { read: "fragments" }),
            ));
        }
        let whole = Stretch {
            offset: span.value,
            len: span.end - span.value,
        };
        if !begins_frame(&mut file.bytes, &whole, encoding)? {
            return Err(file.wrong_encoding(span, "of a defined length, as native data are"));
        }
        let cut_off = span.stated > whole.len;
        Ok((
            Self {
                fragments: vec![whole],
                starts: vec![0],
                cut_off,
            },
            Some(DicomFinding::DefinedLength { read: "one frame" }),
        ))
    }

    /// Reads the item headers of the pixel data and groups fragments into `frames` frames, by the Extended or Basic Offset
    /// Table where there is one, else one to one, else by what starts a stream of the encoding. There may be more frames
    /// than `frames` where each begins as a frame of the encoding does.
    pub(super) fn index(
        file: &mut DicomFile,
        span: &Span,
        frames: u64,
        encoding: PixelEncoding,
    ) -> Result<Self> {
        let (table, fragments, cut_off) = items(&mut file.bytes, span, file.encoding)?;
        if fragments.is_empty() {
            return Err(DicomError::structure(
                span.value,
                "the encapsulated pixel data hold no fragment",
            ));
        }
        let base = fragments.first().map_or(0, |f| f.offset - 8);
        let extended = file
            .attributes()
            .quads(tags::EXTENDED_OFFSET_TABLE)
            .unwrap_or_default();
        let basic = table.map_or(Ok(Vec::new()), |t| file.bytes.range(t.offset, t.len))?;
        let basic = basic
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| u64::from(file.encoding.u32(b)));
        let begins =
            |fragment: &Stretch, bytes: &mut Bytes| begins_frame(bytes, fragment, encoding);
        let mut starts = from_offsets(&fragments, base, extended.into_iter(), frames)
            .or_else(|| from_offsets(&fragments, base, basic, frames))
            .map_or_else(
                || without_table(&mut file.bytes, &fragments, frames, &begins),
                Ok,
            )?;
        // Entries beyond the stated frames count as frames if they begin like some; else they are parts of the last.
        let stated = usize::try_from(frames).unwrap_or(usize::MAX);
        for place in stated..starts.len() {
            let fragment = starts.get(place).and_then(|&start| fragments.get(start));
            if !fragment.map_or(Ok(false), |fragment| begins(fragment, &mut file.bytes))? {
                starts.truncate(stated);
                break;
            }
        }
        Ok(Self {
            fragments,
            starts,
            cut_off,
        })
    }

    /// All fragments one after another, as a video stream is stored.
    pub(super) fn all(&self) -> &[Stretch] {
        &self.fragments
    }

    /// How many frames there are fragments for.
    pub(super) fn frames(&self) -> u64 {
        self.starts.len() as u64
    }

    /// The encoded bytes of a frame.
    pub(super) fn frame(&self, bytes: &mut Bytes, frame: u64) -> Result<Vec<u8>> {
        let index = usize::try_from(frame).unwrap_or(usize::MAX);
        let needed = frame.saturating_add(1);
        let truncated = DicomError::Truncated {
            frame,
            available: self.frames(),
            needed,
            cut_off: self.cut_off,
        };
        let Some(&start) = self.starts.get(index) else {
            return Err(truncated);
        };
        let end = self
            .starts
            .get(index + 1)
            .copied()
            .unwrap_or(self.fragments.len());
        let parts = self.fragments.get(start..end).unwrap_or_default();
        let mut out = Vec::new();
        for part in parts {
            if part.offset + part.len > bytes.len() {
                let available = bytes.len().saturating_sub(part.offset);
                return Err(DicomError::Truncated {
                    frame,
                    available,
                    needed: part.len,
                    cut_off: true,
                });
            }
            match parts {
                [_] => out = bytes.range(part.offset, part.len)?,
                _ => out.extend(bytes.range(part.offset, part.len)?),
            }
        }
        if out.is_empty() {
            return Err(DicomError::structure(
                parts.first().map_or(0, |p| p.offset),
                format!("frame {frame} is an empty fragment"),
            ));
        }
        Ok(out)
    }
}

/// The Basic Offset Table, if it has entries, the fragments, and whether the file ends before their delimiter.
fn items(
    bytes: &mut Bytes,
    span: &Span,
    encoding: Encoding,
) -> Result<(Option<Stretch>, Vec<Stretch>, bool)> {
    let mut at = span.value;
    let mut all = Vec::new();
    let mut cut_off = true;
    while at < span.end {
        let (b, n) = bytes.peek::<8>(at)?;
        let tag = (encoding.u16([b[0], b[1]]), encoding.u16([b[2], b[3]]));
        if n < 8 || tag == (SEQUENCE_END.0, SEQUENCE_END.1) {
            cut_off = n < 8;
            break;
        }
        if tag != (ITEM.0, ITEM.1) {
            return Err(DicomError::structure(
                at,
                "no item of encapsulated pixel data where one should start",
            ));
        }
        let len = u64::from(encoding.u32([b[4], b[5], b[6], b[7]]));
        all.push(Stretch {
            offset: at + 8,
            len,
        });
        at += 8 + len;
    }
    if all.is_empty() {
        return Err(DicomError::structure(
            span.value,
            "the encapsulated pixel data hold no item",
        ));
    }
    let table = all.remove(0);
    Ok((
        (table.len > 0 && table.offset + table.len <= bytes.len()).then_some(table),
        all,
        cut_off,
    ))
}

/// Whether a fragment begins as a frame of the encoding does.
fn begins_frame(bytes: &mut Bytes, fragment: &Stretch, encoding: PixelEncoding) -> Result<bool> {
    let (b, n) = bytes.peek::<8>(fragment.offset)?;
    let enough = n == 8 && fragment.len >= 8;
    Ok(enough
        && match encoding {
            // The header of RLE: 1 to 15 segments, of which the first follows at once.
            PixelEncoding::Rle => matches!(b, [1..=15, 0, 0, 0, 64, 0, 0, 0]),
            _ => {
                b.starts_with(&[0xFF, 0xD8, 0xFF])
                    || b.starts_with(&[0xFF, 0x4F, 0xFF, 0x51])
                    || b == *b"\0\0\0\x0cjP  "
            }
        })
}

/// Frame starts by an offset table, if it is for these frames and each offset meets a fragment's item in ascending order.
fn from_offsets(
    fragments: &[Stretch],
    base: u64,
    offsets: impl ExactSizeIterator<Item = u64>,
    frames: u64,
) -> Option<Vec<usize>> {
    if offsets.len() == 0 || (offsets.len() as u64) < frames {
        return None;
    }
    let found: Vec<Option<usize>> = offsets
        .map(|offset| {
            let place = base.checked_add(offset)?.checked_add(8)?;
            fragments.binary_search_by_key(&place, |f| f.offset).ok()
        })
        .collect();
    let right = |entries: &[Option<usize>]| -> Option<Vec<usize>> {
        let starts: Vec<usize> = entries.iter().copied().collect::<Option<_>>()?;
        (starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b)).then_some(starts)
    };
    right(&found).or_else(|| right(found.get(..usize::try_from(frames).ok()?)?))
}

fn without_table(
    bytes: &mut Bytes,
    fragments: &[Stretch],
    frames: u64,
    begins: &dyn Fn(&Stretch, &mut Bytes) -> Result<bool>,
) -> Result<Vec<usize>> {
    // Fewer fragments than frames: the frames there are come one to one, the others are errors when they are decoded.
    if fragments.len() as u64 <= frames {
        return Ok((0..fragments.len()).collect());
    }
    let mut starts = Vec::new();
    for (i, fragment) in fragments.iter().enumerate() {
        if i == 0 || begins(fragment, bytes)? {
            starts.push(i);
        }
    }
    // More starts than stated frames are more frames than stated; one frame may have any number of fragments.
    if starts.len() as u64 >= frames {
        return Ok(starts);
    }
    let offset = fragments.first().map_or(0, |f| f.offset);
    let problem = format!(
        "{} without an offset table cannot be shared out to {}",
        counted(fragments.len(), "fragment"),
        counted(frames, "frame")
    );
    Err(DicomError::structure(offset, problem))
}
