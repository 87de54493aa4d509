//! Key samples: at which of them decoding may begin with the result that it has when it began before.

use super::{
    bytes::read_at,
    coding::Coding,
    index::Entry,
    units::{SideFacts, Unit, unit},
};
use std::io::{self, Read, Seek};

/// Units of a sample that are looked at before its picture.
const MAX_UNITS: usize = 256;
/// Bytes of a unit of side information that are looked at.
const SEI: usize = 1024;

/// What a key sample holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KeySample {
    /// Whether its picture and those after it need none before it.
    pub(super) begins: bool,
    /// Whether all parameter sets that it needs are in it.
    pub(super) has_sets: bool,
    /// What is said beside the picture.
    pub(super) side: SideFacts,
}

/// Looks into a key sample.
///
/// # Errors
/// What reading gives.
pub(super) fn key_sample<R: Read + Seek>(
    coding: Coding,
    file: &mut R,
    entry: &Entry,
) -> io::Result<KeySample> {
    let Ok(at) = u64::try_from(entry.position) else {
        return Ok(KeySample::default());
    };
    let end = at.saturating_add(u64::from(entry.size));
    match coding {
        Coding::Units {
            is_hevc, length, ..
        } => units(file, at, end, is_hevc, length),
        Coding::Jpeg => jpeg(file, at, end),
        Coding::Alone => Ok(KeySample {
            begins: true,
            has_sets: true,
            ..KeySample::default()
        }),
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
                found.side.note(bytes.get(..left).unwrap_or(bytes));
            }
            Unit::Other => {}
        }
        at += size;
    }
    found.has_sets = sets == if is_hevc { 7 } else { 3 };
    Ok(found)
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
        key_sample(coding, &mut Cursor::new(sample), &entry).unwrap()
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
            (found.side.x264, found.side.is_turned, found.begins),
            (Some(31), true, true)
        );
    }

    #[test]
    fn jpeg_pictures_need_tables_of_their_own() {
        let jpeg = |bytes: &[u8]| {
            let entry = entry(bytes.len());
            key_sample(Coding::Jpeg, &mut Cursor::new(bytes), &entry).unwrap()
        };
        let whole = b"\xff\xd8\xff\xdb\0\x03a\xff\xff\xc4\0\x03a\xff\xda\0\x02";
        assert!(jpeg(whole).begins && jpeg(whole).has_sets);
        let found = jpeg(b"\xff\xd8\xff\xdb\0\x03a\xff\xda\0\x02");
        assert!(found.begins && !found.has_sets);
        assert!(!jpeg(b"\xff\xd8ab").begins);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(
            bytes in proptest::collection::vec(
                proptest::prop_oneof![0..8u8, 0x26..0x29u8, proptest::prelude::any::<u8>()],
                0..200,
            ),
            length in 1..5usize,
            is_hevc: bool,
        ) {
            let coding = Coding::Units { is_hevc, length, has_sets: true, may_change: false };
            for coding in [coding, Coding::Jpeg] {
                let found = key_sample(coding, &mut Cursor::new(&bytes), &entry(bytes.len()));
                let leads = crate::sources::video::units::is_leading(&bytes, coding);
                proptest::prop_assert!(!found.unwrap().begins || !leads);
            }
        }
    }
}
