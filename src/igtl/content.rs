//! Contents of the small types: `TRANSFORM`, `STATUS`, `STRING`, `POINT`, `CAPABILITY`, requests.

use super::{
    error::{DecodeError, EncodeError},
    header::TYPE,
    image,
    message::{Content, Point, Status},
    metadata::{encoding_of, text_of},
    wire::{Fields, check_text, put_f32s, put_text},
};

const TRANSFORM: usize = 48;
const STATUS: usize = 30;
const STRING: usize = 4;
const POINT: usize = 136;

/// Bytes of the names of a `STATUS`, a `POINT` and its group and owner.
const NAMES: [usize; 4] = [20, 64, 32, 20];

impl Content {
    /// The type as headers state it, such as `IMAGE`.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Image(_) => "IMAGE",
            Self::Transform(_) => "TRANSFORM",
            Self::Status(_) => "STATUS",
            Self::String(_) => "STRING",
            Self::Points(_) => "POINT",
            Self::Capability(_) => "CAPABILITY",
            Self::Request(kind) => kind,
        }
    }
}

/// Whether a type is one whose content is read; `IMAGE` is read elsewhere.
pub(super) fn is_known(kind: &str) -> bool {
    ["TRANSFORM", "STATUS", "STRING", "POINT", "CAPABILITY"].contains(&kind)
}

/// Whether a type is a request: `GET_`, `STT_` (start), `STP_` (stop) and what it is about.
pub(super) fn is_request(kind: &str) -> bool {
    ["GET_", "STT_", "STP_"]
        .iter()
        .any(|start| kind.len() > start.len() && kind.starts_with(start))
}

/// The content of a message of a known type.
///
/// # Errors
/// [`DecodeError`] for what does not fit.
pub(super) fn decode(kind: &str, bytes: &[u8]) -> Result<Content, DecodeError> {
    let size = |kind, expected, fits: bool| {
        let found = bytes.len() as u64;
        let wrong = DecodeError::Size {
            kind,
            found,
            expected,
        };
        if fits { Ok(()) } else { Err(wrong) }
    };
    let mut fields = Fields::new(bytes);
    match kind {
        "TRANSFORM" => {
            size("TRANSFORM", "48", bytes.len() == TRANSFORM)?;
            // Column by column on the wire.
            let columns = [
                fields.f32x3(),
                fields.f32x3(),
                fields.f32x3(),
                fields.f32x3(),
            ];
            let row = |row: usize| columns.map(|column| column[row]);
            Ok(Content::Transform([row(0), row(1), row(2)]))
        }
        "STATUS" => {
            size("STATUS", "31 and more", bytes.len() > STATUS)?;
            let (code, sub_code, name) = (fields.u16(), fields.i64(), fields.text(NAMES[0]));
            let text = bytes[STATUS..].strip_suffix(b"\0");
            let text = text.ok_or(DecodeError::Unterminated)?;
            let text = Fields::new(text).text(text.len());
            Ok(Content::Status(Status {
                code,
                sub_code,
                name,
                text,
            }))
        }
        "STRING" => {
            size("STRING", "4 and more", bytes.len() >= STRING)?;
            let (encoding, length) = (fields.u16(), usize::from(fields.u16()));
            let stated = "as many bytes as it states after its first 4";
            size("STRING", stated, bytes.len() - STRING == length)?;
            text_of(encoding, fields.bytes(length)).map(Content::String)
        }
        "POINT" => {
            let whole = bytes.len().is_multiple_of(POINT);
            size("POINT", "a multiple of 136", whole)?;
            Ok(Content::Points(
                bytes.chunks_exact(POINT).map(point).collect(),
            ))
        }
        _ => {
            let whole = bytes.len().is_multiple_of(TYPE);
            size("CAPABILITY", "a multiple of 12", whole)?;
            let names = bytes.chunks_exact(TYPE);
            let names = names.map(|name| Fields::new(name).text(TYPE));
            Ok(Content::Capability(names.collect()))
        }
    }
}

fn point(bytes: &[u8]) -> Point {
    let mut fields = Fields::new(bytes);
    Point {
        name: fields.text(NAMES[1]),
        group: fields.text(NAMES[2]),
        rgba: [fields.u8(), fields.u8(), fields.u8(), fields.u8()],
        position: fields.f32x3(),
        diameter: fields.f32(),
        owner: fields.text(NAMES[3]),
    }
}

/// # Errors
/// [`EncodeError`] for what does not fit into its field.
pub(super) fn check(content: &Content) -> Result<(), EncodeError> {
    match content {
        Content::Image(image) => image::check(image),
        Content::Transform(_) | Content::Request(_) => Ok(()),
        Content::Status(status) => {
            check_text("the name of a STATUS", &status.name, NAMES[0])?;
            check_text("the text of a STATUS", &status.text, usize::MAX)
        }
        Content::String(text) => {
            let (found, most) = (text.len(), usize::from(u16::MAX));
            let what = "a STRING";
            let long = EncodeError::TooLong { what, found, most };
            if found > most { Err(long) } else { Ok(()) }
        }
        Content::Points(points) => points.iter().try_for_each(|point| {
            check_text("the name of a POINT", &point.name, NAMES[1])?;
            check_text("the group of a POINT", &point.group, NAMES[2])?;
            check_text("the owner of a POINT", &point.owner, NAMES[3])
        }),
        Content::Capability(names) => names
            .iter()
            .try_for_each(|name| check_text("a type in CAPABILITY", name, TYPE)),
    }
}

/// Appends checked content; of an image its header alone.
pub(super) fn put(out: &mut Vec<u8>, content: &Content) {
    match content {
        Content::Image(image) => image::put_header(out, image),
        Content::Transform(rows) => {
            let [x, y, z] = rows;
            for ((x, y), z) in x.iter().zip(y).zip(z) {
                put_f32s(out, &[*x, *y, *z]);
            }
        }
        Content::Status(status) => {
            out.extend_from_slice(&status.code.to_be_bytes());
            out.extend_from_slice(&status.sub_code.to_be_bytes());
            put_text(out, &status.name, NAMES[0]);
            out.extend_from_slice(status.text.as_bytes());
            out.push(0);
        }
        Content::String(text) => {
            out.extend_from_slice(&encoding_of(text).to_be_bytes());
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Content::Points(points) => points.iter().for_each(|point| {
            put_text(out, &point.name, NAMES[1]);
            put_text(out, &point.group, NAMES[2]);
            out.extend_from_slice(&point.rgba);
            put_f32s(out, &point.position);
            put_f32s(out, &[point.diameter]);
            put_text(out, &point.owner, NAMES[3]);
        }),
        Content::Capability(names) => names.iter().for_each(|name| put_text(out, name, TYPE)),
        Content::Request(_) => {}
    }
}
