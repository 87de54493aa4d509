//! How samples are coded, as far as dividing a video needs it.

use super::index::SampleEntry;
use crate::av::codec::Id;

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

impl Coding {
    /// That of a codec with such a sample entry.
    ///
    /// # Errors
    /// Why samples of it cannot be distinguished.
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

#[cfg(test)]
mod tests {
    use super::*;

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
