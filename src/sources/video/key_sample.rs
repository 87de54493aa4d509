//! Key samples: at which of them decoding may begin with the result that it has when it began before.

use super::{
    bytes::read_at,
    index::{Entry, SampleEntry},
};
use crate::av::codec::Id;
use std::io::{self, Read, Seek};

/// Units of a sample that are looked at before its picture.
const MAX_UNITS: usize = 256;
/// Bytes of a unit of side information that are looked at.
const SEI: usize = 1024;
/// Types of side information: data of the encoder, and how the picture is turned.
const USER_DATA: u32 = 5;
const DISPLAY_ORIENTATION: u32 = 47;

/// How the samples of a stream are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// H.264 or HEVC: units with their lengths before them.
    Units {
        is_hevc: bool,
        /// Bytes of a length.
        length: usize,
        /// Whether the sample entry has parameter sets of all kinds.
        has_sets: bool,
        /// Whether samples may have others.
        may_change: bool,
    },
    /// JPEG pictures.
    Jpeg,
    /// Pictures that depend on nothing.
    Alone,
}

/// What a key sample holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KeySample {
    /// Whether its picture and those after it need none before it.
    pub(super) begins: bool,
    /// Whether all parameter sets that it needs are in it.
    pub(super) has_sets: bool,
    /// Whether it states how the picture is turned.
    pub(super) is_turned: bool,
    /// Version of x264, where it is said.
    pub(super) x264: Option<u32>,
}

impl Coding {
    /// That of a codec with such a sample entry.
    ///
    /// # Errors
    /// Why samples of it cannot be told apart.
    pub(super) fn of(codec: Id, entry: &SampleEntry) -> Result<Self, String> {
        let configuration = &entry.configuration;
        let byte = |at: usize| configuration.get(at).copied().unwrap_or(0);
        let length = |byte: u8| usize::from(byte & 3) + 1;
        let is_configured = byte(0) == 1;
        let may_change = matches!(&entry.tag, b"avc3" | b"hev1");
        match codec {
            Id::H264 | Id::HEVC if !is_configured => {
                Err("its sample entry does not say how its samples are stored".to_owned())
            }
            Id::H264 => Ok(Self::Units {
                is_hevc: false,
                length: length(byte(4)),
                has_sets: has_sets_of_h264(configuration),
                may_change,
            }),
            Id::HEVC => Ok(Self::Units {
                is_hevc: true,
                length: length(byte(21)),
                // Video, sequence and picture parameter sets are an array each.
                has_sets: byte(22) >= 3,
                may_change,
            }),
            Id::MJPEG => Ok(Self::Jpeg),
            Id::PRORES | Id::DNXHD => Ok(Self::Alone),
            other => Err(format!(
                "it is coded as {other:?}, and H.264, HEVC, MJPEG, ProRes and DNxHD alone are divided"
            )),
        }
    }

    /// Looks into a key sample.
    ///
    /// # Errors
    /// What reading gives.
    pub(super) fn key_sample<R: Read + Seek>(
        self,
        file: &mut R,
        entry: &Entry,
    ) -> io::Result<KeySample> {
        let Ok(at) = u64::try_from(entry.position) else {
            return Ok(KeySample::default());
        };
        let end = at.saturating_add(u64::from(entry.size));
        match self {
            Self::Units {
                is_hevc, length, ..
            } => units(file, at, end, is_hevc, length),
            Self::Jpeg => jpeg(file, at, end),
            Self::Alone => Ok(KeySample {
                begins: true,
                has_sets: true,
                ..KeySample::default()
            }),
        }
    }
}

/// Whether a configuration of H.264 has a sequence and a picture parameter set.
fn has_sets_of_h264(configuration: &[u8]) -> bool {
    let Some((&[.., sequence_sets], mut rest)) = configuration.split_first_chunk::<6>() else {
        return false;
    };
    for _ in 0..sequence_sets & 0x1f {
        let Some((size, after)) = rest.split_first_chunk::<2>() else {
            return false;
        };
        rest = after
            .get(usize::from(u16::from_be_bytes(*size))..)
            .unwrap_or_default();
    }
    sequence_sets & 0x1f > 0 && rest.first().is_some_and(|&picture_sets| picture_sets > 0)
}

/// What a unit before the picture, or that of the picture itself, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// The picture, at which decoding may begin or not.
    Picture(bool),
    /// A parameter set; one bit for each kind.
    Set(u8),
    /// Side information.
    Side,
    Other,
}

/// By the first bytes of a unit. A picture is one to begin at if it is an IDR picture, before which all others are shown.
fn unit(head: &[u8], is_hevc: bool) -> Unit {
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

fn units<R: Read + Seek>(
    file: &mut R,
    mut at: u64,
    end: u64,
    is_hevc: bool,
    length: usize,
) -> io::Result<KeySample> {
    let (mut found, mut sets) = (KeySample::default(), 0);
    for _ in 0..MAX_UNITS {
        let head = read_at::<16, _>(file, at)?;
        let (size, head) = head.split_at(length);
        let size = size.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
        at += length as u64;
        if size == 0 || at.saturating_add(size) > end {
            break;
        }
        match unit(head, is_hevc) {
            Unit::Picture(begins) => {
                found.begins = begins;
                break;
            }
            Unit::Set(kind) => sets |= kind,
            Unit::Side => {
                let header = if is_hevc { 2 } else { 1 };
                let bytes = read_at::<SEI, _>(file, at)?;
                let bytes = bytes.get(header..).unwrap_or_default();
                let left = usize::try_from(size).unwrap_or(SEI).saturating_sub(header);
                side(bytes.get(..left).unwrap_or(bytes), &mut found);
            }
            Unit::Other => {}
        }
        at += size;
    }
    found.has_sets = sets == if is_hevc { 7 } else { 3 };
    Ok(found)
}

/// Takes note of the messages of a unit of side information.
fn side(mut bytes: &[u8], found: &mut KeySample) {
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
            DISPLAY_ORIENTATION => found.is_turned = true,
            USER_DATA => found.x264 = found.x264.or_else(|| x264_version(payload)),
            _ => {}
        }
        bytes = bytes.get(size..).unwrap_or_default();
    }
}

fn x264_version(payload: &[u8]) -> Option<u32> {
    const MARK: &[u8] = b"x264 - core ";
    let text = payload.get(16..)?.strip_prefix(MARK)?;
    let digits = text.iter().take(6).take_while(|b| b.is_ascii_digit());
    Some(digits.fold(0, |n, &b| n * 10 + u32::from(b - b'0')))
}

/// A JPEG picture with its own tables: a decoder keeps those of the picture before for one without.
fn jpeg<R: Read + Seek>(file: &mut R, mut at: u64, end: u64) -> io::Result<KeySample> {
    let (mut quantisation, mut huffman) = (false, false);
    for _ in 0..MAX_UNITS {
        let [mark, kind, high, low] = read_at::<4, _>(file, at)?;
        if mark != 0xff || at >= end {
            break;
        }
        match kind {
            0xd8 => {
                at += 2;
                continue;
            }
            0xff => {
                at += 1;
                continue;
            }
            0xdb => quantisation = true,
            0xc4 => huffman = true,
            0xda => {
                return Ok(KeySample {
                    begins: true,
                    has_sets: quantisation && huffman,
                    ..KeySample::default()
                });
            }
            _ => {}
        }
        at += 2 + u64::from(u16::from_be_bytes([high, low]));
    }
    Ok(KeySample::default())
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
                let mut found = KeySample::default();
                side(
                    bytes.get(if is_hevc { 2 } else { 1 }..).unwrap_or_default(),
                    &mut found,
                );
                turn_is_restated || !found.is_turned
            }
            Unit::Picture(_) | Unit::Other => true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn entry(size: usize) -> Entry {
        Entry {
            position: 0,
            size: size as u32,
            dts: 0,
            is_key: true,
            is_shown: true,
        }
    }

    fn look(is_hevc: bool, units: &[&[u8]]) -> KeySample {
        let coding = Coding::Units {
            is_hevc,
            length: 4,
            has_sets: false,
            may_change: false,
        };
        let sample: Vec<u8> = units
            .iter()
            .flat_map(|unit| [&(unit.len() as u32).to_be_bytes(), *unit].concat())
            .collect();
        let entry = entry(sample.len());
        coding.key_sample(&mut Cursor::new(sample), &entry).unwrap()
    }

    #[test]
    fn decoding_begins_at_idr_pictures_alone() {
        let (sps, pps, idr, i): (&[u8], &[u8], &[u8], &[u8]) =
            (b"\x67abc", b"\x68a", b"\x65\x88", b"\x41\x9a");
        let found = |begins, has_sets| KeySample {
            begins,
            has_sets,
            ..KeySample::default()
        };
        assert_eq!(look(false, &[sps, pps, idr]), found(true, true));
        assert_eq!(look(false, &[b"\x09\xf0", pps, idr]), found(true, false));
        assert_eq!(look(false, &[sps, pps, i, idr]), found(false, true));
        assert_eq!(look(false, &[sps]), found(false, false));
        let sets: [&[u8]; 3] = [b"\x40\x01v", b"\x42\x01s", b"\x44\x01p"];
        let hevc = |picture: &'static [u8]| look(true, &[sets[0], sets[1], sets[2], picture]);
        assert_eq!(hevc(b"\x26\x01\xaf"), found(true, true));
        assert_eq!(hevc(b"\x28\x01\xaf"), found(true, true));
        // Pictures that wait are dropped; a clean random access point; pictures that follow one that is not there.
        assert_eq!(hevc(b"\x26\x01\xef"), found(false, true));
        assert_eq!(hevc(b"\x2a\x01\xaf"), found(false, true));
        assert_eq!(hevc(b"\x20\x01\xaf"), found(false, true));
        assert_eq!(look(true, &[sets[0], b"\x28\x01\xaf"]), found(true, false));
    }

    #[test]
    fn side_information_says_what_begins_elsewhere() {
        let x264 = [
            &b"\x06\x05\x22"[..],
            &[7; 16],
            b"x264 - core 31 r100",
            &[0x80],
        ]
        .concat();
        let turned = b"\x06\x01\x02ab\x2f\x03abc\x80";
        let found = look(false, &[&x264, turned, b"\x65\x88"]);
        assert_eq!(
            (found.x264, found.is_turned, found.begins),
            (Some(31), true, true)
        );
        assert_eq!(x264_version(&[0; 16]), None);
    }

    #[test]
    fn jpeg_pictures_need_tables_of_their_own() {
        let jpeg = |bytes: &[u8]| {
            let entry = entry(bytes.len());
            Coding::Jpeg
                .key_sample(&mut Cursor::new(bytes), &entry)
                .unwrap()
        };
        let whole = b"\xff\xd8\xff\xdb\0\x03a\xff\xff\xc4\0\x03a\xff\xda\0\x02";
        assert!(jpeg(whole).begins && jpeg(whole).has_sets);
        let found = jpeg(b"\xff\xd8\xff\xdb\0\x03a\xff\xda\0\x02");
        assert!(found.begins && !found.has_sets);
        assert!(!jpeg(b"\xff\xd8ab").begins);
    }

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

    #[test]
    fn a_configuration_has_both_kinds_of_sets_or_not() {
        let sets = b"\x01\x64\0\x1f\xff\xe1\0\x02ab\x01\0\x01c";
        assert!(has_sets_of_h264(sets));
        for cut in 0..11 {
            assert!(!has_sets_of_h264(&sets[..cut]), "{cut}");
        }
        let entry = |tag: &[u8; 4], configuration: &[u8]| SampleEntry {
            tag: *tag,
            configuration: configuration.to_vec(),
        };
        assert_eq!(
            Coding::of(Id::H264, &entry(b"avc3", sets)),
            Ok(Coding::Units {
                is_hevc: false,
                length: 4,
                has_sets: true,
                may_change: true
            })
        );
        assert!(Coding::of(Id::H264, &entry(b"avc1", b"\0\0\0\x01")).is_err());
        assert!(Coding::of(Id::MPEG4, &entry(b"mp4v", b"")).is_err());
    }
}
