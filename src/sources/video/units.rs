//! The units that samples of H.264 and HEVC consist of.

use super::coding::Coding;

/// Types of side information: data of the encoder, and how the picture is turned.
const USER_DATA: u32 = 5;
const DISPLAY_ORIENTATION: u32 = 47;

/// What side information says that matters beyond its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SideFacts {
    /// Whether it states how the picture is turned.
    pub(super) is_turned: bool,
    /// Version of x264.
    pub(super) x264: Option<u32>,
}

/// What a unit before the picture, or that of the picture itself, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// The picture, at which decoding may begin or not.
    Picture(bool),
    /// A parameter set; one bit for each kind.
    Set(u8),
    /// Side information.
    Side,
    Other,
}

/// By the first bytes of a unit. A picture is one to begin at if it is an IDR picture, before which all others are shown.
pub(super) fn unit(head: &[u8], is_hevc: bool) -> Unit {
    let byte = |at: usize| head.get(at).copied().unwrap_or(0);
    if !is_hevc {
        return match byte(0) & 0x1f {
            5 => Unit::Picture(true),
            1..5 => Unit::Picture(false),
            6 => Unit::Side,
            7 => Unit::Set(1),
            8 => Unit::Set(2),
            // Extensions of sequence parameter sets.
            13 | 15 => Unit::Set(0),
            _ => Unit::Other,
        };
    }
    match (byte(0) >> 1) & 0x3f {
        // Pictures that wait to be shown are dropped at one that says so.
        19 | 20 => Unit::Picture(byte(2) & 0x40 == 0),
        0..32 => Unit::Picture(false),
        32 => Unit::Set(1),
        33 => Unit::Set(2),
        34 => Unit::Set(4),
        39 => Unit::Side,
        _ => Unit::Other,
    }
}

impl SideFacts {
    /// Takes note of the messages of a unit, without its header.
    pub(super) fn note(&mut self, mut bytes: &[u8]) {
        // Type and size are each a run of 255s and a byte, to be added; the last byte of the unit is not of a message.
        let number = |bytes: &mut &[u8]| {
            let mut sum = 0u32;
            while let [byte, rest @ ..] = *bytes {
                *bytes = rest;
                sum += u32::from(*byte);
                if *byte != 255 {
                    break;
                }
            }
            sum
        };
        while bytes.len() > 2 {
            let (kind, size) = (number(&mut bytes), number(&mut bytes) as usize);
            let payload = bytes.get(..size).unwrap_or(bytes);
            match kind {
                DISPLAY_ORIENTATION => self.is_turned = true,
                USER_DATA => self.x264 = self.x264.or_else(|| x264_version(payload)),
                _ => {}
            }
            bytes = bytes.get(size..).unwrap_or_default();
        }
    }
}

fn x264_version(payload: &[u8]) -> Option<u32> {
    const MARK: &[u8] = b"x264 - core ";
    let text = payload.get(16..)?.strip_prefix(MARK)?;
    let digits = text.iter().take(6).take_while(|b| b.is_ascii_digit());
    Some(digits.fold(0, |n, &b| n * 10 + u32::from(b - b'0')))
}

/// The units of a sample that is whole in memory; an error where they do not fill it, or one has a start code within, behind which
/// decoders look for another.
fn units_in(data: &[u8], length: usize) -> impl Iterator<Item = Result<&[u8], ()>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (size, after) = match rest.split_at_checked(length) {
            Some(parts) => parts,
            None if rest.is_empty() => return None,
            None => {
                rest = &[];
                return Some(Err(()));
            }
        };
        let size = size.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let Some((unit, after)) = after.split_at_checked(size).filter(|_| size > 0) else {
            rest = &[];
            return Some(Err(()));
        };
        rest = after;
        Some(if has_start_code(unit) {
            Err(())
        } else {
            Ok(unit)
        })
    })
}

/// Whether bytes have 0, 0, 1 in them, which units never have.
fn has_start_code(unit: &[u8]) -> bool {
    let mut at = 2;
    while let (Some(&last), Some(&[first, second])) = (
        unit.get(at),
        at.checked_sub(2)
            .and_then(|from| unit.get(from..)?.first_chunk::<2>()),
    ) {
        match (first, second, last) {
            (0, 0, 1) => return true,
            (.., 2..) => at += 3,
            _ => at += 1,
        }
    }
    false
}

/// Whether a sample, whole in memory, is a picture that is shown before the IDR picture that it follows.
pub(super) fn is_leading(data: &[u8], coding: Coding) -> bool {
    let Coding::Units {
        is_hevc: true,
        length,
        ..
    } = coding
    else {
        return false;
    };
    let types = units_in(data, length)
        .map_while(Result::ok)
        .filter_map(|unit| unit.first().map(|byte| (byte >> 1) & 0x3f));
    // RADL, and the RASL that have no place there.
    let picture = types.into_iter().find(|kind| *kind < 32);
    picture.is_some_and(|kind| (6..=9).contains(&kind))
}

/// Whether a sample, whole in memory, has a picture in it.
pub(super) fn has_picture(data: &[u8], coding: Coding) -> bool {
    let Coding::Units {
        is_hevc, length, ..
    } = coding
    else {
        return true;
    };
    units_in(data, length)
        .map_while(Result::ok)
        .any(|bytes| matches!(unit(bytes, is_hevc), Unit::Picture(_)))
}

/// Whether a sample, whole in memory, leaves what is decoded after the next key sample as it is: with the parameter sets and the turn that
/// hold there in any case. Where damage makes a parameter set of something, nothing else tells.
pub(super) fn leaves_others_alone(
    data: &[u8],
    coding: Coding,
    sets_are_restated: bool,
    turn_is_restated: bool,
) -> bool {
    let Coding::Units {
        is_hevc, length, ..
    } = coding
    else {
        return true;
    };
    units_in(data, length).all(|found| {
        found.is_ok_and(|bytes| match unit(bytes, is_hevc) {
            Unit::Set(_) => sets_are_restated,
            Unit::Side => {
                let mut facts = SideFacts::default();
                facts.note(bytes.get(if is_hevc { 2 } else { 1 }..).unwrap_or_default());
                turn_is_restated || !facts.is_turned
            }
            Unit::Picture(_) | Unit::Other => true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_pictures_are_found_behind_other_units() {
        let coding = Coding::Units {
            is_hevc: true,
            length: 2,
            has_sets: true,
            may_change: false,
        };
        assert!(is_leading(b"\0\x03\x4e\x01x\0\x02\x0c\x01", coding));
        assert!(!is_leading(b"\0\x03\x4e\x01x\0\x02\x02\x01", coding));
        assert!(!is_leading(b"\0\x03\x4e", coding) && !is_leading(b"", coding));
        assert!(!is_leading(b"\0\x02\x0c\x01", Coding::Jpeg));
    }

    #[test]
    fn parameter_sets_among_other_units_are_found() {
        let coding = Coding::Units {
            is_hevc: false,
            length: 1,
            has_sets: true,
            may_change: false,
        };
        let alone = |data: &[u8]| leaves_others_alone(data, coding, false, false);
        assert!(alone(b"\x03\x41ab\x02\x41a") && alone(b""));
        assert!(has_picture(b"\x02\x09a\x03\x41ab", coding) && has_picture(b"", Coding::Jpeg));
        assert!(!has_picture(b"\x02\x09a", coding) && !has_picture(b"", coding));
        assert!(!alone(b"\x03\x41ab\x02\x68a"));
        assert!(leaves_others_alone(b"\x02\x68a", coding, true, false));
        // Behind a start code within a unit; units that do not fill the sample, or more.
        assert!(!alone(b"\x06\x41\0\0\x01\x68a"));
        assert!(!alone(b"\x03\x41ab\x02\x41") && !alone(b"\0\x41"));
        // A turn.
        assert!(!alone(b"\x05\x06\x2f\x01a\x80"));
        assert!(leaves_others_alone(
            b"\x05\x06\x2f\x01a\x80",
            coding,
            false,
            true
        ));
        assert!(leaves_others_alone(
            b"\x02\x68a",
            Coding::Jpeg,
            false,
            false
        ));
    }

    #[test]
    fn start_codes_are_found_anywhere() {
        for before in 0..7 {
            for after in 0..4 {
                let bytes = [vec![9; before], vec![0, 0, 1], vec![9; after]].concat();
                assert!(has_start_code(&bytes), "{before} {after}");
                let zeros = [vec![0; before], vec![0, 0, 1], vec![9; after]].concat();
                assert!(has_start_code(&zeros), "{before} {after}");
            }
        }
        assert!(!has_start_code(b"\0\0\x03\0\x01\0\x02\x01") && !has_start_code(b"\0\0"));
        assert!(!has_start_code(b""));
    }
}
