//! OpenIGTLink: the messages that 3D Slicer, PLUS and their like exchange, as values and as bytes.

mod message;

pub use message::{
    Content, CoordinateSystem, Image, ImageGeometry, Message, Point, Samples, Status,
};
