//! Messages as values.

use std::time::Duration;

/// A message of OpenIGTLink.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Name of the device, at most 20 bytes; receivers tell messages apart by it.
    pub device: String,
    /// Time since 1970-01-01 UTC; none where the sender states 0.
    pub time: Option<Duration>,
    /// Keys and values of a message of header version 2 or later; not sent to a peer that has shown only version 1.
    pub metadata: Vec<(String, String)>,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// `IMAGE`.
    Image(Image),
    /// `TRANSFORM`: the upper three rows of a 4×4 matrix, row by row; millimetres.
    Transform([[f32; 4]; 3]),
    /// `STATUS`.
    Status(Status),
    /// `STRING`.
    String(String),
    /// `POINT`.
    Points(Vec<Point>),
    /// `CAPABILITY`: types of messages that the sender knows.
    Capability(Vec<String>),
    /// A request without content, of a type that begins with `GET_`, `STT_` (start) or `STP_` (stop): the type, such as
    /// `GET_CAPABIL`.
    Request(String),
}

/// Pixels of an `IMAGE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Columns, rows, slices.
    pub size: [u16; 3],
    /// 1 for grey, 3 for RGB.
    pub components: u8,
    /// Values: components interleaved, columns fastest, then rows, then slices.
    pub samples: Samples,
    /// Where it lies.
    pub geometry: ImageGeometry,
}

/// Values of an image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Samples {
    /// 8 bit without sign.
    U8(Vec<u8>),
    /// 16 bit without sign.
    U16(Vec<u16>),
    /// 16 bit with sign.
    I16(Vec<i16>),
}

impl Samples {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I16(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where an image lies in space: for the step of one column, one row and one slice, and its centre, in millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageGeometry {
    /// From a pixel to its right neighbour: direction times spacing.
    pub column_step: [f32; 3],
    /// From a pixel to the one below.
    pub row_step: [f32; 3],
    /// From a slice to the next.
    pub slice_step: [f32; 3],
    /// Position of the centre of the image.
    pub centre: [f32; 3],
    /// Axes of these vectors.
    pub coordinates: CoordinateSystem,
}

/// Axes of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoordinateSystem {
    /// Right, anterior, superior: 3D Slicer's.
    Ras,
    /// Left, posterior, superior: DICOM's.
    Lps,
}

/// A `STATUS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Code: 1 is OK.
    pub code: u16,
    /// Code of the device's own.
    pub sub_code: i64,
    /// Name of the error, at most 20 bytes.
    pub name: String,
    /// Text for people.
    pub text: String,
}

/// An element of `POINT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Name, at most 64 bytes.
    pub name: String,
    /// Group, at most 32 bytes.
    pub group: String,
    /// Red, green, blue, opacity.
    pub rgba: [u8; 4],
    /// Position in millimetres.
    pub position: [f32; 3],
    /// Diameter in millimetres; 0 where it has none.
    pub diameter: f32,
    /// Device name of the image that it lies in, at most 20 bytes.
    pub owner: String,
}
