//! What is sent to viewers: messages of a kind, JSON and a picture.
//!
//! A message is one byte of kind, the lengths of JSON and picture as 32-bit numbers, big-endian, then both. Kinds are `H` (at the
//! beginning: what there was so far), `L` (columns of the chart and events since the last one; also once a second where nothing
//! happens) and `F` (a frame).

use super::tally::{Bin, Event, TrackRow, hex, rounded};
use crate::{
    frame::{Object, Visibility},
    live::LiveFigures,
    sinks::{class_colour, track_colour},
};
use bytes::Bytes;
use serde::Serialize;

/// Kinds of messages.
pub(super) const HELLO: u8 = b'H';
pub(super) const LOG: u8 = b'L';
pub(super) const FRAME: u8 = b'F';

/// Of `H` and `L`.
#[derive(Serialize)]
pub(super) struct Log<'a> {
    pub(super) source: &'a str,
    /// Version of the program.
    pub(super) version: &'static str,
    /// Milliseconds of a column.
    pub(super) bin: u64,
    /// The column of this moment.
    pub(super) now: u64,
    pub(super) bins: Vec<Bin>,
    pub(super) events: Vec<Event>,
}

/// Of `F`.
#[derive(Serialize)]
pub(super) struct FrameJson<'a> {
    pub(super) source: &'a str,
    pub(super) frame: u64,
    /// Time of arrival, milliseconds since 1970.
    pub(super) time: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Milliseconds: from arrival to result; decoding, waiting, models.
    pub(super) latency: [f32; 4],
    pub(super) figures: Figures,
    pub(super) objects: Vec<ObjectJson<'a>>,
    pub(super) tracks: Vec<TrackRow>,
    /// Why there is no picture.
    pub(super) no_picture: Option<String>,
}

/// The loop's figures.
#[derive(Serialize)]
pub(super) struct Figures {
    arrived: u64,
    done: u64,
    dropped: u64,
    failed: u64,
    reconnects: u64,
    output_dropped: u64,
    device_memory: u64,
    /// Uploads and downloads a frame.
    moves: [f32; 2],
    viewers: usize,
}

impl Figures {
    pub(super) fn new(of: &LiveFigures, moves: [f32; 2], viewers: usize) -> Self {
        Self {
            arrived: of.arrived,
            done: of.done,
            dropped: of.dropped,
            failed: of.failed,
            reconnects: of.reconnects,
            output_dropped: of.output_dropped,
            device_memory: of.device_memory,
            moves,
            viewers,
        }
    }
}

/// An object of a frame.
#[derive(Serialize)]
pub(super) struct ObjectJson<'a> {
    id: Option<u64>,
    label: &'a str,
    score: f32,
    state: Option<&'static str>,
    colour: String,
    /// x0, y0, x1, y1 in pixels of the frame.
    bounds: [f32; 4],
    lines: Vec<Vec<f32>>,
}

impl<'a> ObjectJson<'a> {
    pub(super) fn new(object: &'a Object, lines: Vec<Vec<f32>>) -> Self {
        let b = object.bbox;
        let id = object.track.map(|track| track.id);
        Self {
            id,
            label: &object.label,
            score: rounded(object.score.into()),
            state: object.track.map(|track| Visibility::name(track.visibility)),
            colour: hex(id.map_or_else(|| class_colour(object.class), track_colour)),
            bounds: [b.x0, b.y0, b.x1, b.y1].map(|v| rounded(v.into())),
            lines,
        }
    }
}

/// A message.
pub(super) fn message(kind: u8, json: &impl Serialize, picture: &[u8]) -> Bytes {
    let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 0, 0];
    if serde_json::to_writer(&mut bytes, json).is_err() {
        bytes.truncate(9);
        bytes.extend(b"{}");
    }
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let json = length(bytes.len() - 9);
    bytes[1..5].copy_from_slice(&json);
    bytes[5..9].copy_from_slice(&length(picture.len()));
    bytes.extend(picture);
    bytes.into()
}
