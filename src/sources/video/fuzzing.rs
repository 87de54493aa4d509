//! Entry points of the fuzzer for the parsers of this module; FFmpeg's demuxers and decoders are not fuzzed.

use super::{
    ending::{Missing, missing_from},
    transport::Transport,
};
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
