//! A walk over the headers of a data set: where each element lies, and proof that every length in it is backed by bytes.
//!
//! dicom-rs allocates an element's stated length before it reads, and recurses into sequences; both are unsafe on
//! a hostile file. This walk reads headers alone, checks each length against the bytes there are and bounds the depth;
//! dicom-rs then parses single values, never structure (see [`super::parse`]).

use super::{
    bytes::Bytes,
    error::{DicomError, Result},
};
use dicom_core::{DataDictionary, Tag, VR, dictionary::DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

/// Deepest nesting of sequences; real structured reports stay below 20.
const MAX_DEPTH: u32 = 64;

/// How the elements of a data set are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

/// Where an element lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) tag: Tag,
    pub(super) vr: VR,
    /// First byte of the header.
    pub(super) start: u64,
    /// First byte of the value.
    pub(super) value: u64,
    /// First byte after the value and its delimiter.
    pub(super) end: u64,
    /// Bytes of the value as the header states them; fewer are there where the file is cut off.
    pub(super) stated: u64,
    /// Whether the length is undefined: a sequence, or encapsulated pixel data.
    pub(super) undefined: bool,
}

struct Header {
    tag: Tag,
    vr: VR,
    value: u64,
    len: u32,
}

const UNDEFINED: u32 = u32::MAX;
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

impl Encoding {
    pub(super) fn u16(self, b: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(b)
        } else {
            u16::from_le_bytes(b)
        }
    }

    pub(super) fn u32(self, b: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(b)
        } else {
            u32::from_le_bytes(b)
        }
    }
}

/// The VR two bytes stand for, if they are one.
pub(super) fn vr_of(bytes: [u8; 2]) -> Option<VR> {
    VR::from_binary(bytes)
}

/// The VR the standard dictionary gives `tag`, for implicit encoding.
pub(super) fn implicit_vr(tag: Tag) -> VR {
    StandardDataDictionary
        .by_tag(tag)
        .map_or(VR::UN, |entry| entry.vr().relaxed())
}

fn header(bytes: &mut Bytes, at: u64, encoding: Encoding) -> Result<Option<Header>> {
    let (b, n) = bytes.peek::<12>(at)?;
    if n == 0 {
        return Ok(None);
    }
    if n < 8 {
        return Err(DicomError::cut_off(
            at,
            "the file ends inside an element's header",
        ));
    }
    let tag = Tag(encoding.u16([b[0], b[1]]), encoding.u16([b[2], b[3]]));
    let short = |vr, len: u32| {
        Ok(Some(Header {
            tag,
            vr,
            value: at + 8,
            len,
        }))
    };
    if tag.0 == 0xFFFE {
        return short(VR::UN, encoding.u32([b[4], b[5], b[6], b[7]]));
    }
    // A header whose two VR bytes are no capital letters is an implicit one that strayed into an explicit data set.
    if !(encoding.explicit && b[4].is_ascii_uppercase() && b[5].is_ascii_uppercase()) {
        return short(implicit_vr(tag), encoding.u32([b[4], b[5], b[6], b[7]]));
    }
    let vr = vr_of([b[4], b[5]]).unwrap_or(VR::UN);
    if !has_long_length(vr) {
        return short(vr, u32::from(encoding.u16([b[6], b[7]])));
    }
    if n < 12 {
        return Err(DicomError::cut_off(
            at,
            "the file ends inside an element's header",
        ));
    }
    Ok(Some(Header {
        tag,
        vr,
        value: at + 12,
        len: encoding.u32([b[8], b[9], b[10], b[11]]),
    }))
}

/// Whether an explicit header of this VR has a length of 32 bits (PS3.5 7.1.2).
pub(super) fn has_long_length(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// The element at `at`, with everything inside it checked; none at the end of the data.
///
/// # Errors
/// [`DicomError::Structure`] where a length reaches past `limit`, sequences nest too deep or are broken.
pub(super) fn element(
    bytes: &mut Bytes,
    at: u64,
    limit: u64,
    encoding: Encoding,
) -> Result<Option<Span>> {
    if at >= limit {
        return Ok(None);
    }
    element_at_depth(bytes, at, limit, encoding, 0)
}

fn element_at_depth(
    bytes: &mut Bytes,
    at: u64,
    limit: u64,
    encoding: Encoding,
    depth: u32,
) -> Result<Option<Span>> {
    let Some(h) = header(bytes, at, encoding)? else {
        return Ok(None);
    };
    if depth > MAX_DEPTH {
        return Err(DicomError::structure(at, "sequences nest too deep"));
    }
    let undefined = h.len == UNDEFINED;
    let end = if undefined {
        items(
            bytes,
            h.value,
            limit,
            inner_encoding(h.vr, encoding),
            is_pixel_data(h.tag),
            depth + 1,
            &mut |_, _| (),
        )?
    } else {
        let end = defined_end(bytes, at, &h, limit, depth)?;
        if h.vr == VR::SQ {
            let inside = &mut |_, _| ();
            items(bytes, h.value, end, encoding, false, depth + 1, inside)?;
        }
        end
    };
    let stated = if undefined {
        end - h.value
    } else {
        u64::from(h.len)
    };
    Ok(Some(Span {
        tag: h.tag,
        vr: h.vr,
        start: at,
        value: h.value,
        end,
        stated,
        undefined,
    }))
}

/// Where an element of a defined length, whose header stands at `at`, ends. Pixel data of the data set that were cut off
/// end at `limit`: the reader of frames reads those before the cut.
fn defined_end(bytes: &Bytes, at: u64, h: &Header, limit: u64, depth: u32) -> Result<u64> {
    let end = h.value + u64::from(h.len);
    if end <= limit {
        return Ok(end);
    }
    if depth == 0 && is_pixel_data(h.tag) {
        return Ok(limit);
    }
    let problem = format!(
        "element {} of {} bytes reaches past the end of its data",
        h.tag, h.len
    );
    Err(if end > bytes.len() {
        DicomError::cut_off(at, problem)
    } else {
        DicomError::structure(at, problem)
    })
}

fn is_pixel_data(tag: Tag) -> bool {
    matches!(tag, Tag(0x7FE0, 0x0008..=0x0010))
}

/// The places of the items of a sequence whose span is known to be sound, and how they are encoded inside.
pub(super) fn items_of(
    bytes: &mut Bytes,
    span: &Span,
    encoding: Encoding,
) -> Result<(Vec<(u64, u64)>, Encoding)> {
    let inner = inner_encoding(span.vr, encoding);
    let mut found = Vec::new();
    items(
        bytes,
        span.value,
        span.end,
        inner,
        false,
        1,
        &mut |start, end| found.push((start, end)),
    )?;
    Ok((found, inner))
}

/// Sequences of unknown VR are implicit inside (PS3.5 6.2.2).
fn inner_encoding(vr: VR, encoding: Encoding) -> Encoding {
    if vr == VR::UN {
        Encoding {
            explicit: false,
            ..encoding
        }
    } else {
        encoding
    }
}

/// Walks the items from `at` to a sequence delimiter or `limit`, calling `found` with the start and end of each; returns the byte after. Raw items
/// (fragments) are not entered.
fn items(
    bytes: &mut Bytes,
    mut at: u64,
    limit: u64,
    encoding: Encoding,
    raw: bool,
    depth: u32,
    found: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    while at < limit {
        let h = header(bytes, at, encoding)?
            .ok_or_else(|| DicomError::cut_off(at, "the file ends inside a sequence"))?;
        match h.tag {
            SEQUENCE_END => return Ok(h.value),
            ITEM if h.len == UNDEFINED => {
                at = undefined_item(bytes, h.value, limit, encoding, depth)?;
                found(h.value, at - 8);
            }
            ITEM => {
                let end = h.value + u64::from(h.len);
                // A last fragment that was cut off is left to the reader of frames: the frames before it are whole.
                if end > limit && raw {
                    return Ok(limit);
                }
                if end > limit {
                    let problem = "an item reaches past the end of its sequence";
                    return Err(if end > bytes.len() {
                        DicomError::cut_off(at, problem)
                    } else {
                        DicomError::structure(at, problem)
                    });
                }
                if !raw {
                    let mut inner = h.value;
                    while let Some(span) = within(bytes, inner, end, encoding, depth)? {
                        inner = span.end;
                    }
                }
                found(h.value, end);
                at = end;
            }
            tag => {
                return Err(DicomError::structure(
                    at,
                    format!("{tag} where an item of a sequence should start"),
                ));
            }
        }
    }
    Ok(at)
}

fn within(
    bytes: &mut Bytes,
    at: u64,
    end: u64,
    encoding: Encoding,
    depth: u32,
) -> Result<Option<Span>> {
    if at >= end {
        Ok(None)
    } else {
        element_at_depth(bytes, at, end, encoding, depth)
    }
}

fn undefined_item(
    bytes: &mut Bytes,
    mut at: u64,
    limit: u64,
    encoding: Encoding,
    depth: u32,
) -> Result<u64> {
    loop {
        let h = header(bytes, at, encoding)?
            .ok_or_else(|| DicomError::cut_off(at, "the file ends inside an item"))?;
        if h.tag == ITEM_END {
            return Ok(h.value);
        }
        let span = within(bytes, at, limit, encoding, depth)?;
        at = span
            .ok_or_else(|| DicomError::structure(at, "the data end inside an item"))?
            .end;
    }
}
