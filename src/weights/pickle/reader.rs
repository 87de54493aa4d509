//! Bytes of a pickle, read with bounds, and the numbers and texts in them.

use super::graph::Node;
use crate::weights::error::Flaw;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let taken = self
            .bytes
            .get(self.position..)
            .and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| {
            Flaw::new(format!(
                "its pickle ends at byte {}, within an instruction",
                self.bytes.len()
            ))
        })?;
        self.position += count;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Flaw> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// `count` bytes, where `count` comes from the pickle.
    pub(super) fn take_u64(&mut self, count: u64) -> Result<&'a [u8], Flaw> {
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Bytes up to the next newline, which is consumed.
    pub(super) fn line(&mut self) -> Result<&'a [u8], Flaw> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let end = rest.iter().position(|b| *b == b'\n');
        let end = end.ok_or_else(|| Flaw::new("its pickle ends within a line"))?;
        let line = self.take(end + 1)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    pub(super) fn text_line(&mut self) -> Result<String, Flaw> {
        Ok(decode(self.line()?))
    }
}

/// UTF-8, else Latin-1, as strings of Python 2 were.
pub(super) fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Text of the UNICODE instruction: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn decode_raw_unicode_escape(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|b| char::from(*b)).collect();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let digits = match escape.as_bytes().get(1) {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let code = escape
            .get(2..2 + digits)
            .filter(|_| digits > 0)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match code.and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = escape.get(2 + digits..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = escape.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// An integer in two's complement, little-endian.
pub(super) fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Long(bytes.into());
    }
    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) {
        0xff
    } else {
        0
    };
    let mut wide = [fill; 8];
    wide.iter_mut().zip(bytes).for_each(|(w, b)| *w = *b);
    Node::Int(i64::from_le_bytes(wide))
}

/// A decimal integer; `00` and `01` are booleans in protocols 0 and 1.
pub(super) fn decimal(line: &[u8], booleans: bool) -> Result<Node, Flaw> {
    match line {
        b"00" if booleans => return Ok(Node::Bool(false)),
        b"01" if booleans => return Ok(Node::Bool(true)),
        _ => {}
    }
    let text = std::str::from_utf8(line).unwrap_or_default().trim();
    let digits = text.strip_suffix('L').unwrap_or(text);
    match digits.parse() {
        Ok(value) => Ok(Node::Int(value)),
        Err(error)
            if matches!(
                error.kind(),
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
            ) =>
        {
            Ok(Node::Long(Box::default()))
        }
        Err(_) => Err(Flaw::new("its pickle has a malformed integer")),
    }
}

pub(super) fn unquote(line: &[u8]) -> &[u8] {
    match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(decode_raw_unicode_escape(b"a\\u00e9\\U0001f600z"), "aé😀z");
        assert_eq!(
            decode_raw_unicode_escape(b"c:\\new \\u12 \\"),
            "c:\\new \\u12 \\"
        );
        assert_eq!(decode(&[b'a', 0xe9]), "aé");
    }
}
