//! Values of elements by dicom-rs, one at a time, under headers written here: dicom-rs never sees a length or a nesting
//! that [`super::walk`] has not proven.

use super::{
    bytes::Bytes,
    error::Result,
    walk::{self, Encoding, ITEM, Span},
};
use dicom_core::{
    DataElement, PrimitiveValue, Tag, VR,
    value::{C, DataSetSequence},
};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, mem::InMemElement};
use dicom_transfer_syntax_registry::entries;

/// Largest value that is kept in memory; pixel data are never among them. Text takes up to 24 times its bytes once split.
const MAX_VALUE: u64 = 16 << 20;
/// Largest sequence that is kept in memory.
const MAX_SEQUENCE: u64 = 64 << 20;
/// Sequences deeper than what anything here reads are passed over.
const MAX_DEPTH: u32 = 8;

/// Parses the elements of a data set in their order: Specific Character Set counts for what follows it.
pub(super) struct Parser {
    encoding: Encoding,
    charset: Vec<u8>,
}

impl Parser {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            charset: Vec::new(),
        }
    }

    /// The element of a sound span; none if it is too large to be an attribute.
    ///
    /// # Errors
    /// [`DicomError::Io`](super::DicomError::Io).
    pub(super) fn element(
        &mut self,
        bytes: &mut Bytes,
        span: &Span,
    ) -> Result<Option<InMemElement>> {
        self.element_at_depth(bytes, span, self.encoding, 0)
    }

    fn element_at_depth(
        &mut self,
        bytes: &mut Bytes,
        span: &Span,
        encoding: Encoding,
        depth: u32,
    ) -> Result<Option<InMemElement>> {
        // A delimiter that strayed among elements: dicom-rs takes what follows one for more of the data set.
        if span.tag.0 == ITEM.0 {
            return Ok(None);
        }
        // A known attribute of unknown VR passed through a system that did not know it: its value is as in implicit encoding.
        let vr = if span.vr == VR::UN {
            walk::implicit_vr(span.tag)
        } else {
            span.vr
        };
        let len = span.end - span.value;
        if vr == VR::SQ || span.undefined {
            return if len <= MAX_SEQUENCE && depth < MAX_DEPTH {
                self.sequence(bytes, span, encoding, depth)
            } else {
                Ok(None)
            };
        }
        if len > MAX_VALUE {
            return Ok(None);
        }
        let value = bytes.value(span.value, len)?;
        if span.tag == tags::SPECIFIC_CHARACTER_SET && depth == 0 {
            self.charset.clone_from(&value);
        }
        // Values of unknown VR are in little endian whatever the data set is.
        let big_endian = encoding.big_endian && span.vr != VR::UN;
        Ok(Some(self.primitive(span.tag, vr, &value, big_endian)))
    }

    /// A value that dicom-rs cannot parse is kept as bytes, so that it shows as there but unreadable.
    fn primitive(&self, tag: Tag, vr: VR, value: &[u8], big_endian: bool) -> InMemElement {
        let charset = header(
            tags::SPECIFIC_CHARACTER_SET,
            VR::CS,
            self.charset.len(),
            big_endian,
        );
        let parts = charset
            .zip(header(tag, vr, value.len(), big_endian))
            .map(|(charset, own)| match tag {
                tags::SPECIFIC_CHARACTER_SET => [&own, value].concat(),
                _ if self.charset.is_empty() => [&own, value].concat(),
                _ => [&charset, &self.charset[..], &own, value].concat(),
            });
        let syntax = if big_endian {
            entries::EXPLICIT_VR_BIG_ENDIAN.erased()
        } else {
            entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()
        };
        let parsed = parts.and_then(|data| {
            InMemDicomObject::read_dataset_with_ts(&data[..], &syntax)
                .ok()?
                .take(tag)
        });
        parsed.unwrap_or_else(|| DataElement::new(tag, VR::UN, PrimitiveValue::from(value)))
    }

    fn sequence(
        &mut self,
        bytes: &mut Bytes,
        span: &Span,
        encoding: Encoding,
        depth: u32,
    ) -> Result<Option<InMemElement>> {
        // The items of a value of unknown VR were not walked over yet; if they are broken the sequence counts as empty.
        let (places, inner) =
            walk::items_of(bytes, span, encoding).unwrap_or_else(|_| (Vec::new(), encoding));
        let mut items = C::new();
        for (mut at, end) in places {
            let mut item = InMemDicomObject::new_empty();
            while let Ok(Some(span)) = walk::element(bytes, at, end, inner) {
                if let Some(element) = self.element_at_depth(bytes, &span, inner, depth + 1)? {
                    item.put(element);
                }
                at = span.end;
            }
            items.push(item);
        }
        Ok(Some(DataElement::new(
            span.tag,
            VR::SQ,
            DataSetSequence::from(items),
        )))
    }
}

/// The header of an element in explicit VR; none if its VR cannot state such a length.
fn header(tag: Tag, vr: VR, len: usize, big_endian: bool) -> Option<Vec<u8>> {
    let u16_bytes = |v: u16| {
        if big_endian {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    };
    let mut out = [u16_bytes(tag.0), u16_bytes(tag.1), vr.to_bytes()].concat();
    if walk::has_long_length(vr) {
        let len = u32::try_from(len).ok()?;
        out.extend([0, 0]);
        out.extend(if big_endian {
            len.to_be_bytes()
        } else {
            len.to_le_bytes()
        });
    } else {
        out.extend(u16_bytes(u16::try_from(len).ok()?));
    }
    Some(out)
}
