//! Fields of fixed size. Numbers are big-endian.

use super::error::EncodeError;

/// Reads fields one after another from bytes whose length was checked before; what would lie beyond them reads as 0.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (field, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        field
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut number = [0; N];
        let field = self.bytes(N);
        number[..field.len()].copy_from_slice(field);
        number
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.number())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.number())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.number())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.number())
    }

    pub(super) fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.number())
    }

    pub(super) fn f32(&mut self) -> f32 {
        f32::from_be_bytes(self.number())
    }

    pub(super) fn f32x3(&mut self) -> [f32; 3] {
        [self.f32(), self.f32(), self.f32()]
    }

    pub(super) fn u16x3(&mut self) -> [u16; 3] {
        [self.u16(), self.u16(), self.u16()]
    }

    /// A text that is filled up with NUL; bytes that are no UTF-8 become `?`, so that it does not grow.
    pub(super) fn text(&mut self, size: usize) -> String {
        let field = self.bytes(size);
        lossy(field.split(|&b| b == 0).next().unwrap_or_default())
    }
}

/// UTF-8, with `?` for each byte that is none.
pub(super) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| text.push('?'));
    }
    text
}

pub(super) fn put_f32s(out: &mut Vec<u8>, values: &[f32]) {
    values
        .iter()
        .for_each(|v| out.extend_from_slice(&v.to_be_bytes()));
}

pub(super) fn put_u16s(out: &mut Vec<u8>, values: &[u16]) {
    values
        .iter()
        .for_each(|v| out.extend_from_slice(&v.to_be_bytes()));
}

/// Text, filled up with NUL to `size`; `check_text` has seen it.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str, size: usize) {
    let end = out.len() + size;
    out.extend_from_slice(&text.as_bytes()[..text.len().min(size)]);
    out.resize(end, 0);
}

/// Whether a text fits into a field that is filled up with NUL.
pub(super) fn check_text(what: &'static str, text: &str, most: usize) -> Result<(), EncodeError> {
    if text.len() > most {
        return Err(EncodeError::TooLong {
            what,
            found: text.len(),
            most,
        });
    }
    if text.contains('\0') {
        return Err(EncodeError::Nul(what));
    }
    Ok(())
}
