//! Messages about classes, about objects that change, and about the stream.

use super::{output_options::MaskValues, report::fitting};
use crate::{
    frame::{Visibility, VisibilityChange},
    igtl::{Content, Message, Status},
    sinks::class_colour,
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Codes of `STATUS`.
const OK: u16 = 1;
const NOT_FOUND: u16 = 4;
const BUSY: u16 = 6;
const CONNECTION_LOST: u16 = 7;

fn message(device: &str, time: SystemTime, content: Content) -> Message {
    let time = time.duration_since(UNIX_EPOCH).ok();
    Message {
        device: device.to_owned(),
        time: time.filter(|time| *time > Duration::ZERO),
        metadata: Vec::new(),
        content,
    }
}

/// The classes as JSON: `{"values": "classes", "classes": [{"class": 0, "value": 1, "name": "bone", "colour": [230, 159, 0]}, …]}`;
/// `value` is there where masks have values of classes.
pub(super) fn classes(device: &str, labels: &[Arc<str>], values: MaskValues) -> Message {
    let classes: Vec<_> = (0u32..)
        .zip(labels)
        .map(|(class, name)| {
            let mut entry = json!({"class": class, "name": &**name, "colour": class_colour(class)});
            if values == MaskValues::Classes {
                entry["value"] = json!(u64::from(class) + 1);
            }
            entry
        })
        .collect();
    let values = match values {
        MaskValues::Classes => "classes",
        MaskValues::Tracks => "tracks",
    };
    let text = json!({"values": values, "classes": classes}).to_string();
    message(device, SystemTime::now(), Content::String(text))
}

/// An object, or a class, that changed its visibility at a frame: the name is the state, the sub-code the track (0 for a class), the
/// text JSON. Code 1 (OK) is visible, 6 (busy) relocalizing, 4 (not found) lost.
pub(super) fn change(
    device: &str,
    change: &VisibilityChange,
    frame: u64,
    time: SystemTime,
) -> Message {
    let code = match change.to {
        Visibility::Visible => OK,
        Visibility::Relocalizing => BUSY,
        Visibility::Lost => NOT_FOUND,
    };
    let track = change.track_id.unwrap_or(0);
    let text = json!({
        "frame": frame, "track": change.track_id, "class": change.class, "name": &*change.label,
        "from": change.from.map(Visibility::name), "to": change.to.name(), "score": change.score,
    });
    let status = Status {
        code,
        sub_code: i64::try_from(track).unwrap_or(i64::MAX),
        name: change.to.name().to_owned(),
        text: text.to_string(),
    };
    message(device, time, Content::Status(status))
}

/// Whether the stream is there: code 1 (OK), or 7 (connection lost) and why.
pub(super) fn stream(input: &str, lost: Option<&str>) -> Status {
    let (code, name, text) = match lost {
        None => (OK, "connected", input.to_owned()),
        Some(reason) => (
            CONNECTION_LOST,
            "disconnected",
            format!("{input}: {reason}"),
        ),
    };
    Status {
        code,
        sub_code: 0,
        name: name.to_owned(),
        text: fitting(&text, 1000),
    }
}

/// The message of a state of the stream.
pub(super) fn of_stream(device: &str, status: Status) -> Message {
    message(device, SystemTime::now(), Content::Status(status))
}
