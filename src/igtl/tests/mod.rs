//! Tests of the codec as a whole.

mod hostile;
mod links;
pub(crate) mod peer;
mod round_trip;
mod vectors;

use super::*;
use std::io::Cursor;

/// All that a stream of bytes holds, and the error at its end.
fn read_all(bytes: &[u8], limits: ReadLimits) -> (Vec<Incoming>, Option<ReadError>) {
    let mut reader = MessageReader::new(Cursor::new(bytes), limits);
    let mut all = Vec::new();
    loop {
        match reader.next_message() {
            Ok(Some(incoming)) => all.push(incoming),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// The only message of some bytes, and the version of its header.
fn only(bytes: &[u8]) -> (Message, u16) {
    let (mut all, error) = read_all(bytes, ReadLimits::default());
    assert!(error.is_none() && all.len() == 1, "{all:?} {error:?}");
    match all.remove(0) {
        Incoming::Message {
            message, version, ..
        } => (message, version),
        other => panic!("{other:?}"),
    }
}

fn message(device: &str, content: Content) -> Message {
    Message {
        device: device.to_owned(),
        time: None,
        metadata: Vec::new(),
        content,
    }
}

fn geometry() -> ImageGeometry {
    ImageGeometry {
        column_step: [0.5, 0.0, 0.0],
        row_step: [0.0, 0.25, 0.0],
        slice_step: [0.0, 0.0, 1.0],
        centre: [10.0, 20.0, 30.0],
        coordinates: CoordinateSystem::Ras,
    }
}

fn image(size: [u16; 3], components: u8, samples: Samples) -> Content {
    Content::Image(Image {
        size,
        components,
        samples,
        geometry: geometry(),
    })
}
