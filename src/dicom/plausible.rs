//! Whether bytes without any signature can be the start of a data set, and nothing else.

use super::{
    bytes::Bytes,
    walk::{self, Encoding, Span},
};
use dicom_core::{DataDictionary, Tag, VR, dictionary::DataDictionaryEntry, dictionary::VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

/// Elements of the standard that must be there before a file is taken for DICOM.
const NEEDED: u32 = 3;
/// Elements that are looked at: private ones may lie between.
const LOOKED_AT: u32 = 32;
/// Bytes of a text that are looked at.
const TEXT: u64 = 64;

/// Whether a data set starts at `at`: three elements of the standard in ascending order, the first of group 2, 4 or 8,
/// and, unless `lenient`, each with the VR of the dictionary (where VRs are written) and a value that the VR allows. Private
/// elements and group lengths may lie between, but prove nothing.
pub(super) fn looks_like_data_set(bytes: &mut Bytes, mut at: u64, lenient: bool) -> bool {
    let Ok((b, 8)) = bytes.peek::<8>(at) else {
        return false;
    };
    if !matches!([b[0], b[1]], [2 | 4 | 8, 0] | [0, 2 | 4 | 8]) {
        return false;
    }
    let mut encoding = guess_encoding(bytes, at);
    let limit = bytes.len();
    let (mut last, mut proven) = (None, 0);
    for _ in 0..LOOKED_AT {
        // The data set's own encoding may differ from that of group 2 before it.
        if last.is_some_and(|last: Tag| last.0 == 2)
            && !matches!(bytes.peek::<2>(at), Ok(([2, 0], 2)))
        {
            encoding = guess_encoding(bytes, at);
        }
        let Ok(Some(span)) = walk::element(bytes, at, limit, encoding) else {
            return false;
        };
        if last.is_some_and(|last| span.tag <= last) {
            return false;
        }
        match standing(bytes, &span, encoding) {
            Standing::Doubtful if lenient => proven += 1,
            Standing::Doubtful | Standing::Wrong => return false,
            Standing::Neutral => {}
            Standing::Proof => proven += 1,
        }
        if proven == NEEDED {
            return true;
        }
        (last, at) = (Some(span.tag), span.end);
    }
    false
}

enum Standing {
    /// No element of a data set.
    Wrong,
    /// One of the standard, but with another VR or value than it defines.
    Doubtful,
    /// It may be one.
    Neutral,
    /// As the standard defines it.
    Proof,
}

fn standing(bytes: &mut Bytes, span: &Span, encoding: Encoding) -> Standing {
    let len = span.end - span.value;
    if span.tag.1 == 0 {
        return if len == 4 && matches!(span.vr, VR::UL | VR::UN) {
            Standing::Neutral
        } else {
            Standing::Wrong
        };
    }
    if span.tag.0 % 2 == 1 {
        return Standing::Neutral;
    }
    let Some(entry) = StandardDataDictionary.by_tag(span.tag) else {
        return Standing::Wrong;
    };
    let fits_dictionary = match entry.vr() {
        VirtualVr::Exact(vr) => span.vr == vr || span.vr == VR::UN,
        _ => true,
    };
    if encoding.explicit && !fits_dictionary || !value_fits(bytes, span, len) {
        return Standing::Doubtful;
    }
    Standing::Proof
}

/// Whether a value is one of its VR, as far as its length and first bytes show.
fn value_fits(bytes: &mut Bytes, span: &Span, len: u64) -> bool {
    let whole = |width: u64| len.is_multiple_of(width);
    match span.vr {
        VR::UI => {
            len <= 64
                && text(bytes, span, len, |b| {
                    b.is_ascii_digit() || matches!(b, b'.' | b' ' | 0)
                })
        }
        VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::TM | VR::UR => {
            text(bytes, span, len, |b| (b' '..=b'~').contains(&b) || b == 0)
        }
        VR::LO | VR::LT | VR::PN | VR::SH | VR::ST | VR::UC | VR::UT => {
            text(bytes, span, len, |b| {
                b >= b' ' && b != 0x7F || matches!(b, 0 | b'\t' | b'\n' | b'\r' | 0x0C | 0x1B)
            })
        }
        VR::US | VR::SS | VR::OW => whole(2),
        VR::UL | VR::SL | VR::FL | VR::AT | VR::OF | VR::OL => whole(4),
        VR::FD | VR::SV | VR::UV | VR::OD | VR::OV => whole(8),
        // The walk has proven the structure of sequences.
        _ => true,
    }
}

fn text(bytes: &mut Bytes, span: &Span, len: u64, allowed: impl Fn(u8) -> bool) -> bool {
    bytes
        .value(span.value, len.min(TEXT))
        .is_ok_and(|value| value.iter().all(|&b| allowed(b)))
}

/// The encoding the first element of a data set is written in: VR letters mean explicit; the group number shows the byte order.
pub(super) fn guess_encoding(bytes: &mut Bytes, at: u64) -> Encoding {
    let (b, _) = bytes.peek::<8>(at).unwrap_or_default();
    Encoding {
        explicit: walk::vr_of([b[4], b[5]]).is_some(),
        big_endian: b[0] == 0 && b[1] != 0,
    }
}
