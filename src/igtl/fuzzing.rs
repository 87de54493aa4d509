//! The door of the fuzzer to the reader of messages.

use super::{
    encode::{Encoded, Version},
    message::Message,
    read::{Incoming, MessageReader, ReadLimits},
};
use std::path::Path;

/// A stream of messages. What is read can be sent in both versions, and is read again as it was.
pub(crate) fn messages(bytes: &[u8], _: &Path) {
    let limits = ReadLimits {
        body: 1 << 20,
        small: 1 << 16,
    };
    let mut reader = MessageReader::new(bytes, limits);
    while let Ok(Some(incoming)) = reader.next_message() {
        let Incoming::Message { message, .. } = incoming else {
            continue;
        };
        let encoded = Encoded::new(message).expect("what was read fits");
        let plain = Message {
            metadata: Vec::new(),
            ..encoded.message().as_ref().clone()
        };
        again(&encoded.to_bytes(Version::V2), &encoded, Version::V2);
        let plain = Encoded::new(plain).expect("what was read fits");
        again(&encoded.to_bytes(Version::V1), &plain, Version::V1);
    }
}

/// The bytes hold the message alone. Bytes are compared, as not every number equals itself.
fn again(bytes: &[u8], expected: &Encoded, version: Version) {
    let limits = ReadLimits::default();
    let read = MessageReader::new(bytes, limits).next_message();
    let Ok(Some(Incoming::Message { message, .. })) = read else {
        panic!("{read:?}");
    };
    let read = Encoded::new(message).expect("what was sent fits");
    assert_eq!(read.to_bytes(version), expected.to_bytes(version));
}
