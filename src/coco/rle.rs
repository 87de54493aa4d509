//! COCO's compressed run lengths: the string in `counts`.
//!
//! Each run is written in groups of five bits, lowest first, bit 5 telling that another follows, plus 48 so that the
//! bytes are printable. From the fourth run on the difference to the run two before is written instead, in two's
//! complement: runs of the same value tend to be alike. This is the form of pycocotools' `rleToString`.

/// The string for run lengths.
pub fn encode_counts(counts: &[u32]) -> String {
    let mut text = String::with_capacity(counts.len() * 2);
    for (i, &count) in counts.iter().enumerate() {
        let before = if i > 2 { i64::from(counts[i - 2]) } else { 0 };
        let mut rest = i64::from(count) - before;
        loop {
            let group = (rest & 0x1f) as u8;
            rest >>= 5;
            // Done when what is left is nothing but copies of the sign, which bit 4 already carries.
            let more = if group & 0x10 != 0 {
                rest != -1
            } else {
                rest != 0
            };
            text.push(char::from(48 + (group | if more { 0x20 } else { 0 })));
            if !more {
                break;
            }
        }
    }
    text
}

/// The run lengths of a string; none if it is not of that form or a run is negative or beyond `u32`.
pub fn decode_counts(text: &str) -> Option<Vec<u32>> {
    let mut counts: Vec<u32> = Vec::with_capacity(text.len() / 2 + 1);
    let (mut value, mut shift) = (0i64, 0u32);
    for byte in text.bytes() {
        let group = byte.checked_sub(48).filter(|g| *g < 64)?;
        // Seven groups hold 35 bits: more than any difference of two u32 needs.
        if shift > 30 {
            return None;
        }
        value |= i64::from(group & 0x1f) << shift;
        shift += 5;
        if group & 0x20 != 0 {
            continue;
        }
        if group & 0x10 != 0 {
            value |= -1i64 << shift;
        }
        if counts.len() > 2 {
            value += i64::from(counts[counts.len() - 2]);
        }
        counts.push(u32::try_from(value).ok()?);
        (value, shift) = (0, 0);
    }
    (shift == 0).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From pycocotools 2.0.11: `mask.encode` of random masks, the last two `mask.frPyObjects` of the run lengths.
    const EXPECTED: &[(&[u32], &str)] = &[
        (&[3, 1, 1, 1, 1, 1, 8, 3, 1], "31100072I"),
        (&[2, 1, 3, 1, 1, 1, 4, 3, 2, 1, 2], "2130N032NN0"),
        (&[9], "9"),
        (&[0, 9], "09"),
        (
            &[
                38, 1, 7, 1, 77, 1, 15, 1, 15, 1, 71, 1, 4, 1, 43, 1, 12, 1, 29, 1, 3, 1, 12, 1,
                130, 1, 82, 1, 48,
            ],
            "V1170V20RN000h10mM0W10QO0a00VO090f30`N0nN",
        ),
        (&[1_000_000, 5, 31, 32, 33, 15, 16, 17], "Pb`n05o0k02_O_O2"),
        (
            &[0, 70_000, 3, 1, 100_000, 70_000, 2],
            "0`[T23adkMmdQ3_[T2R[nL",
        ),
    ];

    #[test]
    fn strings_are_those_of_pycocotools() {
        for (counts, text) in EXPECTED {
            assert_eq!(encode_counts(counts), *text, "{counts:?}");
            assert_eq!(decode_counts(text).as_deref(), Some(*counts), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_runs_come_back(
            counts in proptest::collection::vec(
                prop_oneof![0..3u32, 0..1000u32, 0..1_000_000u32, u32::MAX - 5..=u32::MAX],
                0..40,
            )
        ) {
            let text = encode_counts(&counts);
            prop_assert!(text.bytes().all(|byte| (48..112).contains(&byte)));
            prop_assert_eq!(decode_counts(&text), Some(counts));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Some(counts) = decode_counts(&text) {
                prop_assert_eq!(decode_counts(&encode_counts(&counts)), Some(counts));
            }
        }
    }

    #[test]
    fn broken_strings_are_refused() {
        for text in ["é", "P", "PPPPPPPPPPPP0", "\u{1f}", "O", " "] {
            assert_eq!(decode_counts(text), None, "{text:?}");
        }
    }
}
