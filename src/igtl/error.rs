//! Errors of messages.

use std::io;

/// The bytes of a message do not make one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The header's version is none that is known: what arrives is not OpenIGTLink, or out of step.
    #[error(
        "header version {0} is none of OpenIGTLink, which has 1 to 3; the bytes are of another protocol or out of step"
    )]
    Version(u16),
    /// The header's type is no name.
    #[error(
        "the type of the message is no printable ASCII; the bytes are of another protocol or out of step"
    )]
    TypeName,
    /// The stated size of the body is beyond the bound of its type.
    #[error("{kind} states a body of {stated} bytes; at most {most} are read")]
    TooLarge {
        /// Type of the message.
        kind: String,
        /// Stated size of the body.
        stated: u64,
        /// Greatest size that is read.
        most: u64,
    },
    /// The check sum of the header is not that of the body.
    #[error("the check sum (CRC-64) of the body is {found:016x}, the header states {stated:016x}")]
    CheckSum {
        /// Of the header.
        stated: u64,
        /// Of the body.
        found: u64,
    },
    /// The extended header's size is below its 12 bytes, or beyond the body.
    #[error(
        "an extended header of {stated} bytes in a body of {body}; it has at least 12 and lies within the body"
    )]
    ExtendedHeader {
        /// Stated size.
        stated: u64,
        /// Size of the body.
        body: u64,
    },
    /// Sizes within the metadata do not fit.
    #[error("metadata: {0}")]
    Metadata(&'static str),
    /// Text in an encoding that is not read.
    #[error("text in the encoding {0} (IANA MIBenum); 3 (US-ASCII) and 106 (UTF-8) are read")]
    Encoding(u16),
    /// Text that is not in the encoding that it states.
    #[error("text that is not UTF-8")]
    Text,
    /// The content has a size that its type cannot have.
    #[error("{kind} of {found} bytes; it has {expected}")]
    Size {
        /// Type of the message.
        kind: &'static str,
        /// Size of the content.
        found: u64,
        /// What sizes it can have.
        expected: &'static str,
    },
    /// A `STATUS` whose text does not end with a NUL.
    #[error("STATUS whose text does not end with NUL")]
    Unterminated,
    /// A kind of `IMAGE` that is not read.
    #[error("IMAGE of {0}")]
    Image(ImageProblem),
}

/// What is wrong with an `IMAGE`, or why it is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageProblem {
    /// Version of the image header.
    #[error("header version {0}; 1 is read")]
    Version(u16),
    /// Number of components.
    #[error("{0} components; 1 and 3 are read")]
    Components(u8),
    /// Type of values.
    #[error(
        "scalar type {0}; 3 (8 bit without sign), 4 and 5 (16 bit with and without sign) are read"
    )]
    Scalar(u8),
    /// Order of bytes.
    #[error("byte order {0}; 1 (big endian) and 2 (little endian) are defined")]
    Endian(u8),
    /// Coordinate system.
    #[error("coordinate system {0}; 1 (RAS) and 2 (LPS) are defined")]
    Coordinates(u8),
    /// A side of 0, or a sub-volume that is not within the volume.
    #[error("{size:?} voxels, of which {part:?} from {offset:?}: empty, or not within it")]
    Extent {
        /// Size of the volume.
        size: [u16; 3],
        /// First voxel of the sub-volume.
        offset: [u16; 3],
        /// Size of the sub-volume.
        part: [u16; 3],
    },
    /// Fewer or more bytes of pixels than size, components and type of values make.
    #[error("{found} bytes of pixels; its header makes it {expected}")]
    Pixels {
        /// Bytes that are there.
        found: u64,
        /// Bytes that should be there.
        expected: u64,
    },
}

/// A message cannot be put into bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A name or text is too long for its field.
    #[error("{what} of {found} bytes; at most {most} fit")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its bytes.
        found: usize,
        /// Bytes of the field.
        most: usize,
    },
    /// A NUL in a field that ends with one.
    #[error("{0} has a NUL in it")]
    Nul(&'static str),
    /// A type that is empty, or not printable ASCII.
    #[error("{0:?} is no type of a message: 1 to 12 printable ASCII characters")]
    TypeName(String),
    /// An image without pixels, or of another number of values than size and components make.
    #[error(
        "an image of {size:?} with {components} components has {found} values; it needs {expected}"
    )]
    Samples {
        /// Columns, rows, slices.
        size: [u16; 3],
        /// Components.
        components: u8,
        /// Values that are there.
        found: usize,
        /// Values that should be there.
        expected: u64,
    },
    /// A number of components that is not sent.
    #[error("an image of {0} components; 1 and 3 are sent")]
    Components(u8),
    /// A time after the year 2106.
    #[error("a time of {0} seconds since 1970; the field ends at 4294967295")]
    Time(u64),
}

/// A connection cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream ended within a message.
    #[error("the stream ends within a message")]
    Truncated,
    /// What arrives cannot be followed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The system's error.
    #[error(transparent)]
    Io(#[from] io::Error),
}
