//! Which bytes of the file hold which frame.

use super::{
    bytes::Bytes,
    error::{DicomError, Result},
    file::DicomFile,
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
}

impl Fragments {
    /// Reads the item headers of the pixel data and groups fragments into `frames` frames, by the Extended or Basic Offset
    /// Table where there is one, else one to one, else by the markers that start a JPEG or JPEG 2000 stream.
    pub(super) fn index(file: &mut DicomFile, span: &Span, frames: u64) -> Result<Self> {
        let (table, fragments) = items(&mut file.bytes, span, file.encoding)?;
        if fragments.is_empty() {
            return Err(DicomError::structure(span.value, "the encapsulated pixel data hold no fragment"));
        }
        let base = fragments.first().map_or(0, |f| f.offset - 8);
        let extended = file.attributes().quads(tags::EXTENDED_OFFSET_TABLE).unwrap_or_default();
        let basic = table.map_or(Ok(Vec::new()), |t| file.bytes.range(t.offset, t.len))?;
        let basic = basic.as_chunks::<4>().0.iter().map(|&b| u64::from(file.encoding.u32(b)));
        let starts = from_offsets(&fragments, base, extended.into_iter(), frames)
            .or_else(|| from_offsets(&fragments, base, basic, frames))
            .map_or_else(|| without_table(&mut file.bytes, &fragments, frames), Ok)?;
        Ok(Self { fragments, starts })
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
        let truncated = DicomError::Truncated { frame, available: self.frames(), needed: frame.saturating_add(1) };
        let Some(&start) = self.starts.get(index) else { return Err(truncated) };
        let end = self.starts.get(index + 1).copied().unwrap_or(self.fragments.len());
        let parts = self.fragments.get(start..end).unwrap_or_default();
        let mut out = Vec::new();
        for part in parts {
            if part.offset + part.len > bytes.len() {
                return Err(DicomError::Truncated { frame, available: bytes.len().saturating_sub(part.offset), needed: part.len });
            }
            match parts {
                [_] => out = bytes.range(part.offset, part.len)?,
                _ => out.extend(bytes.range(part.offset, part.len)?),
            }
        }
        if out.is_empty() {
            return Err(DicomError::structure(parts.first().map_or(0, |p| p.offset), format!("frame {frame} is an empty fragment")));
        }
        Ok(out)
    }
}

/// The Basic Offset Table, if it has entries, and the fragments.
fn items(bytes: &mut Bytes, span: &Span, encoding: Encoding) -> Result<(Option<Stretch>, Vec<Stretch>)> {
    let mut at = span.value;
    let mut all = Vec::new();
    while at < span.end {
        let (b, n) = bytes.peek::<8>(at)?;
        let tag = (encoding.u16([b[0], b[1]]), encoding.u16([b[2], b[3]]));
        if n < 8 || tag == (SEQUENCE_END.0, SEQUENCE_END.1) {
            break;
        }
        if tag != (ITEM.0, ITEM.1) {
            return Err(DicomError::structure(at, "no item of encapsulated pixel data where one should start"));
        }
        let len = u64::from(encoding.u32([b[4], b[5], b[6], b[7]]));
        all.push(Stretch { offset: at + 8, len });
        at += 8 + len;
    }
    if all.is_empty() {
        return Err(DicomError::structure(span.value, "the encapsulated pixel data hold no item"));
    }
    let table = all.remove(0);
    Ok(((table.len > 0 && table.offset + table.len <= bytes.len()).then_some(table), all))
}

/// Frame starts by an offset table, if it is for these frames and each offset meets a fragment's item in ascending order.
fn from_offsets(fragments: &[Stretch], base: u64, offsets: impl ExactSizeIterator<Item = u64>, frames: u64) -> Option<Vec<usize>> {
    if offsets.len() == 0 || (offsets.len() as u64) < frames {
        return None;
    }
    let starts: Option<Vec<usize>> = offsets
        .take(usize::try_from(frames).ok()?)
        .map(|offset| {
            let place = base.checked_add(offset)?.checked_add(8)?;
            fragments.binary_search_by_key(&place, |f| f.offset).ok()
        })
        .collect();
    starts.filter(|s| s.first() == Some(&0) && s.is_sorted_by(|a, b| a < b))
}

fn without_table(bytes: &mut Bytes, fragments: &[Stretch], frames: u64) -> Result<Vec<usize>> {
    if frames == 1 {
        return Ok(vec![0]);
    }
    // Fewer fragments than frames: the frames there are come one to one, the rest is reported when asked for.
    if fragments.len() as u64 <= frames {
        return Ok((0..fragments.len()).collect());
    }
    let mut starts = Vec::new();
    for (i, fragment) in fragments.iter().enumerate() {
        let (b, n) = bytes.peek::<4>(fragment.offset)?;
        if i == 0 || n >= 4 && fragment.len >= 4 && (b.starts_with(&[0xFF, 0xD8, 0xFF]) || b == [0xFF, 0x4F, 0xFF, 0x51]) {
            starts.push(i);
        }
    }
    // More starts than stated frames: the stated ones are given, as for native data.
    if starts.len() as u64 >= frames {
        return Ok(starts);
    }
    let offset = fragments.first().map_or(0, |f| f.offset);
    let problem =
        format!("{} without an offset table cannot be shared out to {}", counted(fragments.len(), "fragment"), counted(frames, "frame"));
    Err(DicomError::structure(offset, problem))
}
