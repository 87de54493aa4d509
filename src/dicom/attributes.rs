//! Lenient, panic-free access to the attributes of a data set or an item of a sequence.

use super::error::{DicomError, Result};
use dicom_core::{Tag, VR, value::PrimitiveValue};
use dicom_object::InMemDicomObject;

/// A view of a data set or of one item of a sequence.
///
/// A value that cannot be read as the requested type counts as absent: writers leave blanks, pads and stray text in
/// attributes. Those that decide over pixels are read by checks that report such values.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(pub(super) &'a InMemDicomObject);

impl<'a> Attributes<'a> {
    fn primitive(self, tag: Tag) -> Option<&'a PrimitiveValue> {
        self.0.get(tag)?.value().primitive()
    }

    /// Whether the attribute is there, with or without a value.
    pub fn has(self, tag: Tag) -> bool {
        self.0.get(tag).is_some()
    }

    /// The bytes of a value whose VR is unknown, or that its VR does not allow (such as a text of more than 64 KiB).
    fn unparsed(self, tag: Tag) -> Option<&'a [u8]> {
        match self
            .0
            .get(tag)
            .filter(|e| e.vr() == VR::UN)?
            .value()
            .primitive()?
        {
            PrimitiveValue::U8(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// All values as text, trimmed, joined by `\`; none if empty.
    pub fn text(self, tag: Tag) -> Option<String> {
        let text = self.unparsed(tag).map_or_else(
            || Some(self.primitive(tag)?.to_str()),
            |bytes| Some(String::from_utf8_lossy(bytes)),
        )?;
        let text = text.trim_matches(['\0', ' ', '\n', '\r', '\t']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// All values as integers (also from text such as IS).
    pub fn ints(self, tag: Tag) -> Option<Vec<i64>> {
        match self.primitive(tag)? {
            PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => self.numbers_in_text(tag),
            _ if self.unparsed(tag).is_some() => self.numbers_in_text(tag),
            value => value.to_multi_int::<i64>().ok(),
        }
        .filter(|v| !v.is_empty())
    }

    /// The first value as an integer.
    pub fn int(self, tag: Tag) -> Option<i64> {
        self.ints(tag)?.first().copied()
    }

    /// All values as floating-point numbers (also from text such as DS); none if one of them is not finite.
    pub fn floats(self, tag: Tag) -> Option<Vec<f64>> {
        match self.primitive(tag)? {
            PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => self.numbers_in_text(tag),
            _ if self.unparsed(tag).is_some() => self.numbers_in_text(tag),
            value => value.to_multi_float64().ok(),
        }
        .filter(|v| !v.is_empty() && v.iter().all(|x| x.is_finite()))
    }

    /// The first value as a floating-point number.
    pub fn float(self, tag: Tag) -> Option<f64> {
        self.floats(tag)?.first().copied()
    }

    /// As [`Self::int`] for an attribute that must be right if it is there.
    pub(super) fn checked_int(self, tag: Tag, name: &'static str) -> Result<Option<i64>> {
        let value = self.int(tag);
        if value.is_none() && self.text(tag).is_some() {
            let text: String = self
                .text(tag)
                .unwrap_or_default()
                .chars()
                .take(64)
                .collect();
            return Err(DicomError::invalid(
                name,
                format!("{text:?}"),
                "it is not a number",
            ));
        }
        Ok(value)
    }

    /// 16-bit values as bit patterns, whatever of US, SS, OW or OB they are written as; none if one does not fit 16 bits.
    pub fn words(self, tag: Tag) -> Option<Vec<u16>> {
        let words = match self.primitive(tag)? {
            PrimitiveValue::U16(v) => v.to_vec(),
            PrimitiveValue::I16(v) => v.iter().map(|&x| x as u16).collect(),
            PrimitiveValue::U8(v) => v
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&b| u16::from_le_bytes(b))
                .collect(),
            value => value
                .to_multi_int::<i64>()
                .ok()?
                .into_iter()
                .map(word)
                .collect::<Option<_>>()?,
        };
        (!words.is_empty()).then_some(words)
    }

    /// 64-bit values of an OV attribute.
    pub(super) fn quads(self, tag: Tag) -> Option<Vec<u64>> {
        match self.primitive(tag)? {
            PrimitiveValue::U64(v) => Some(v.to_vec()),
            PrimitiveValue::U8(v) => Some(
                v.as_chunks::<8>()
                    .0
                    .iter()
                    .map(|&b| u64::from_le_bytes(b))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// The items of a sequence; empty if it is absent or no sequence.
    pub fn items(self, tag: Tag) -> impl ExactSizeIterator<Item = Attributes<'a>> {
        self.0
            .get(tag)
            .and_then(|e| e.items())
            .unwrap_or_default()
            .iter()
            .map(Attributes)
    }

    /// An attribute of the first item of a sequence.
    pub(super) fn first_item(self, sequence: Tag) -> Option<Attributes<'a>> {
        self.items(sequence).next()
    }

    /// The first value as a finite number; `None` if absent.
    ///
    /// # Errors
    /// Its text, up to 64 characters, if it is no finite number.
    pub(super) fn first_number(self, tag: Tag) -> std::result::Result<Option<f64>, String> {
        if let Some(value) = self.float(tag) {
            return Ok(Some(value));
        }
        let Some(text) = self.text(tag) else {
            return Ok(None);
        };
        let first = text
            .split('\\')
            .next()
            .and_then(|part| part.trim_matches(['\0', ' ']).parse::<f64>().ok());
        first
            .filter(|v| v.is_finite())
            .map(Some)
            .ok_or_else(|| text.chars().take(64).collect())
    }

    fn numbers_in_text<T: std::str::FromStr>(self, tag: Tag) -> Option<Vec<T>> {
        self.text(tag)?
            .split('\\')
            .map(|part| part.trim_matches(['\0', ' ']).parse().ok())
            .collect()
    }
}

/// The bit pattern of a 16-bit value, with or without a sign.
fn word(value: i64) -> Option<u16> {
    u16::try_from(value)
        .ok()
        .or_else(|| i16::try_from(value).ok().map(|signed| signed as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_pattern_of_16_bits_or_none() {
        let words = [-32_768, -1, 0, 32_767, 65_535].map(word);
        assert_eq!(
            words,
            [
                Some(0x8000),
                Some(0xFFFF),
                Some(0),
                Some(0x7FFF),
                Some(0xFFFF)
            ]
        );
        assert_eq!([-32_769, 65_536, i64::MIN].map(word), [None; 3]);
    }
}
