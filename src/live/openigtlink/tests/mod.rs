//! Inputs and outputs with peers on the loopback.

mod input;
mod output;

use crate::igtl::{
    Content, CoordinateSystem, Encoded, Image, ImageGeometry, Incoming, Message, MessageReader,
    ReadLimits, Samples, Version,
};
use std::{
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A peer that a test drives.
struct Peer(MessageReader<BufReader<TcpStream>>, TcpStream);

impl Peer {
    fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reading = BufReader::new(stream.try_clone().unwrap());
        Self(MessageReader::new(reading, ReadLimits::default()), stream)
    }

    fn send(&mut self, message: Message, version: Version) {
        let bytes = Encoded::new(message).unwrap().to_bytes(version);
        self.1.write_all(&bytes).unwrap();
    }

    fn read(&mut self) -> Message {
        match self.0.next_message().unwrap().unwrap() {
            Incoming::Message { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    /// The next message of a device; others are passed over.
    fn of_device(&mut self, device: &str) -> Message {
        loop {
            let message = self.read();
            if message.device == device {
                return message;
            }
        }
    }
}

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
