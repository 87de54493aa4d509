//! A peer that a test drives.

use crate::igtl::{Encoded, Incoming, Message, MessageReader, ReadLimits, Version};
use std::{
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What it reads, and its connection.
pub(crate) struct Peer(
    pub(crate) MessageReader<BufReader<TcpStream>>,
    pub(crate) TcpStream,
);

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reading = BufReader::new(stream.try_clone().unwrap());
        Self(MessageReader::new(reading, ReadLimits::default()), stream)
    }

    pub(crate) fn send(&mut self, message: Message, version: Version) {
        let bytes = Encoded::new(message).unwrap().to_bytes(version);
        self.1.write_all(&bytes).unwrap();
    }

    /// The next message, and the version of its header.
    pub(crate) fn read(&mut self) -> (Message, u16) {
        match self.0.next_message().unwrap().unwrap() {
            Incoming::Message {
                message, version, ..
            } => (message, version),
            other => panic!("{other:?}"),
        }
    }

    /// The next message of a device; others are passed over.
    pub(crate) fn of_device(&mut self, device: &str) -> Message {
        loop {
            let (message, _) = self.read();
            if message.device == device {
                return message;
            }
        }
    }
}
