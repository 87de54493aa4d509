//! Inputs and outputs with peers on the loopback.

mod input;
mod output;

use crate::igtl::{
    Content, CoordinateSystem, Encoded, Image, ImageGeometry, Message, Samples, Version,
    tests::peer::Peer,
};
use std::{io::Write, net::SocketAddr, time::Duration};

fn local() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn geometry() -> ImageGeometry {
    ImageGeometry {
        column_step: [0.0, 0.5, 0.0],
        row_step: [0.0, 0.0, -0.25],
        slice_step: [1.0, 0.0, 0.0],
        centre: [10.0, 20.0, 30.0],
        coordinates: CoordinateSystem::Lps,
    }
}

fn image(device: &str, stamp: u64, size: [u16; 3], components: u8, samples: Samples) -> Message {
    Message {
        device: device.to_owned(),
        time: Some(Duration::from_millis(stamp)),
        metadata: Vec::new(),
        content: Content::Image(Image {
            size,
            components,
            samples,
            geometry: geometry(),
        }),
    }
}
