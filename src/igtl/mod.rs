//! OpenIGTLink: the messages that 3D Slicer, PLUS and their like exchange, as values and as bytes.
//!
//! [`Encoded`] makes bytes of a [`Message`], [`MessageReader`] makes messages of bytes. Known are `IMAGE` (1 and 3 components of 8 and
//! 16 bits), `TRANSFORM`, `STATUS`, `STRING`, `POINT`, `CAPABILITY` and requests without content (`GET_…`, `STT_…`, `STP_…`), with
//! headers of version 1 and, with metadata, of version 2 and later; others are passed over.
//!
//! [`Server`] and [`Client`] exchange messages over TCP, on threads of their own. Headers are of version 1 until the peer has sent one
//! of version 2. `GET_CAPABIL` and `GET_STATUS` are answered.

mod client;
mod content;
mod crc;
mod encode;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod header;
mod hub;
mod image;
mod link;
mod link_event;
mod link_options;
mod message;
mod metadata;
mod outbox;
mod read;
mod serve_link;
mod server;
mod wire;

pub use client::Client;
pub use encode::{Encoded, Version};
pub use error::{DecodeError, EncodeError, ImageProblem, ReadError};
pub use hub::{LinkFigures, Sender};
pub use link_event::{LinkEnd, LinkEvent};
pub use link_options::LinkOptions;
pub use message::{
    Content, CoordinateSystem, Image, ImageGeometry, Message, Point, Samples, Status,
};
pub use read::{Incoming, MessageReader, ReadLimits};
pub use server::{DEFAULT_PORT, Server};

#[cfg(test)]
pub(crate) mod tests;
