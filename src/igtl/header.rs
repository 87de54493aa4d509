//! The header of a message: 58 bytes.
//!
//! | bytes | field |
//! |---|---|
//! | 2 | version of the header: 1, or 2 where the body has an extended header and metadata |
//! | 12 | type, filled up with NUL |
//! | 20 | device name, filled up with NUL |
//! | 8 | time: seconds since 1970-01-01 UTC, and 2⁻³² seconds |
//! | 8 | size of the body |
//! | 8 | CRC-64 of the body |

use super::{
    error::{DecodeError, EncodeError},
    wire::{Fields, check_text, put_text},
};
use std::time::Duration;

/// Bytes of a header.
pub(super) const HEADER: usize = 58;

/// Bytes of the field of a type.
pub(super) const TYPE: usize = 12;

/// Bytes of the field of a device name.
pub(super) const DEVICE: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u16,
    pub(super) kind: String,
    pub(super) device: String,
    pub(super) time: Option<Duration>,
    pub(super) body: u64,
    pub(super) crc: u64,
}

impl Header {
    /// # Errors
    /// [`DecodeError::Version`], [`DecodeError::TypeName`].
    pub(super) fn decode(bytes: &[u8; HEADER]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(bytes);
        let version = fields.u16();
        if !(1..=3).contains(&version) {
            return Err(DecodeError::Version(version));
        }
        let kind = fields.bytes(TYPE);
        let kind = kind.split(|&b| b == 0).next().unwrap_or_default();
        let kind = str::from_utf8(kind)
            .unwrap_or_default()
            .trim_end_matches(' ');
        if !is_type(kind) {
            return Err(DecodeError::TypeName);
        }
        Ok(Self {
            version,
            kind: kind.to_owned(),
            device: fields.text(DEVICE),
            time: time_of(fields.u32(), fields.u32()),
            body: fields.u64(),
            crc: fields.u64(),
        })
    }

    /// Appends the header; its texts were checked before.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        put_text(out, &self.kind, TYPE);
        put_text(out, &self.device, DEVICE);
        let (seconds, fraction) = self.time.map_or((0, 0), fields_of);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&fraction.to_be_bytes());
        out.extend_from_slice(&self.body.to_be_bytes());
        out.extend_from_slice(&self.crc.to_be_bytes());
    }
}

/// Whether a text can be the type of a message.
fn is_type(kind: &str) -> bool {
    !kind.is_empty() && kind.len() <= TYPE && kind.bytes().all(|b| b.is_ascii_graphic())
}

/// # Errors
/// [`EncodeError`] for a type, device name or time that does not fit into its field.
pub(super) fn check(kind: &str, device: &str, time: Option<Duration>) -> Result<(), EncodeError> {
    if !is_type(kind) {
        return Err(EncodeError::TypeName(kind.to_owned()));
    }
    check_text("a device name", device, DEVICE)?;
    match time {
        Some(time) if time.as_secs() > u64::from(u32::MAX) => {
            Err(EncodeError::Time(time.as_secs()))
        }
        _ => Ok(()),
    }
}

/// Rounded down; a time that [`fields_of`] wrote comes back as it was.
fn time_of(seconds: u32, fraction: u32) -> Option<Duration> {
    let nanoseconds = (u64::from(fraction) * 1_000_000_000) >> 32;
    let time = Duration::new(u64::from(seconds), nanoseconds as u32);
    (seconds, fraction).ne(&(0, 0)).then_some(time)
}

/// Rounded up: 2⁻³² seconds are less than a nanosecond.
fn fields_of(time: Duration) -> (u32, u32) {
    let fraction = (u64::from(time.subsec_nanos()) << 32).div_ceil(1_000_000_000);
    (
        u32::try_from(time.as_secs()).unwrap_or(u32::MAX),
        u32::try_from(fraction).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_nanosecond() {
        for nanoseconds in [0, 1, 2, 3, 499_999_999, 500_000_000, 999_999_999] {
            let time = Duration::new(1_700_000_000, nanoseconds);
            let (seconds, fraction) = fields_of(time);
            assert_eq!(time_of(seconds, fraction), Some(time));
        }
        assert_eq!(fields_of(Duration::new(1, 500_000_000)), (1, 1 << 31));
        assert_eq!(time_of(0, 0), None);
    }

    #[test]
    fn other_protocols_are_no_headers() {
        let mut http = [b' '; HEADER];
        http[..14].copy_from_slice(b"GET / HTTP/1.1");
        assert_eq!(Header::decode(&http), Err(DecodeError::Version(0x4745)));
        assert_eq!(Header::decode(&[0; HEADER]), Err(DecodeError::Version(0)));
        let mut binary = [0xFE; HEADER];
        binary[..2].copy_from_slice(&[0, 1]);
        assert_eq!(Header::decode(&binary), Err(DecodeError::TypeName));
        assert!(check("", "", None).is_err() && check("GET STATUS", "", None).is_err());
        let late = Some(Duration::from_secs(1 << 32));
        assert_eq!(check("X", "", late), Err(EncodeError::Time(1 << 32)));
    }
}
