//! Entry points of the fuzzer for the parsers of this module; FFmpeg's demuxers and decoders are not fuzzed.

use super::{
    coding::Coding,
    ending::{Missing, missing_from},
    index::{Entry, SampleEntry},
    key_sample::key_sample as look,
    transport::Transport,
    units::{is_leading, leaves_others_alone},
};
use crate::av::codec::Id;
use std::{io::Cursor, path::Path};

/// A file of any container: what it lacks. A file that ought to be longer is shorter than that.
pub(crate) fn ending(data: &[u8], _: &Path) {
    match missing_from(&mut Cursor::new(data)) {
        Ok(Some(Missing::UpTo(end))) => assert!(end > data.len() as u64, "{end}"),
        Ok(Some(Missing::Rest) | None) => {}
        Err(error) => panic!("{error}"),
    }
}

/// A transport stream: two bytes of position, then the stream.
pub(crate) fn transport(data: &[u8], _: &Path) {
    let Some((&position, stream)) = data.split_first_chunk::<2>() else {
        return;
    };
    let mut transport = Transport::new(Cursor::new(stream.to_vec()));
    let position = u64::from(u16::from_le_bytes(position));
    let extent = transport.extent(position);
    // It keeps no state from one question to the next.
    match (extent, transport.extent(position)) {
        (Ok(first), Ok(second)) => assert_eq!(first, second),
        (first, second) => panic!("{first:?}, {second:?}"),
    }
}

/// A key sample: the codec, two bytes of the length of its decoder's configuration, that, and the sample.
pub(crate) fn key_sample(data: &[u8], _: &Path) {
    let Some((&[codec, low, high], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes([low, high]));
    let (configuration, sample) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    let codec = match codec % 3 {
        0 => Id::H264,
        1 => Id::HEVC,
        _ => Id::MJPEG,
    };
    let described = SampleEntry {
        tag: *b"avc3",
        configuration: configuration.to_vec(),
    };
    let Ok(coding) = Coding::of(codec, &described) else {
        return;
    };
    let entry = Entry {
        position: 0,
        size: u32::try_from(sample.len()).unwrap_or(u32::MAX),
        dts: 0,
        is_key: true,
        is_shown: true,
    };
    let _ = leaves_others_alone(sample, coding, false, false);
    match look(coding, &mut Cursor::new(sample), &entry) {
        // A picture to begin at leads none before it.
        Ok(found) => assert!(!found.begins || !is_leading(sample, coding)),
        Err(error) => panic!("{error}"),
    }
}
