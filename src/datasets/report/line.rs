//! The lines that the page's script reads: a letter, then JSON. Masks are lines of their own, so that the page parses only
//! those of frames that it shows.
//!
//! | letter | what | JSON |
//! |---|---|---|
//! | `c` | a class that the options do not name so | `[class, name]` |
//! | `s` | a source begins | `[name, kind, path, frames a second or null]` |
//! | `f` | a frame | see [`frame`] |
//! | `e` | changes of visibility at the frame before | a list of `[track or null, class, from or null, to, score]` |
//! | `m` | outlines of the frame before | a list of null, COCO run lengths as text, or polygons, for each object |

use super::{
    doubt::{Kind, Reason},
    page::inert,
};
use crate::{
    coco::rle::encode_counts,
    datasets::item::{Annotation, Item, Outline, Place},
    frame::Visibility,
};
use serde::Serialize;

/// What the JSON of a frame is: file name below the images, width, height, 1 for a picture of the last source and 0 for
/// a still one, number in the source, seconds, file as given, objects, doubt, reasons.
#[derive(Serialize)]
struct FrameLine<'a>(
    &'a str,
    u32,
    u32,
    u8,
    u64,
    Option<f64>,
    Option<&'a str>,
    Vec<ObjectLine>,
    f64,
    Vec<ReasonLine>,
);

/// Class, box, score, mask score, number of the track and, where it is known, whether it is seen: 0 visible, 1 relocalizing,
/// 2 lost.
#[derive(Serialize)]
struct ObjectLine(
    u32,
    [f64; 4],
    Option<f64>,
    Option<f64>,
    Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")] Option<u8>,
);

/// Track, class, state before, state, score.
#[derive(Serialize)]
struct ChangeLine(Option<u64>, u32, Option<u8>, u8, f64);

/// Kind, object or -1, weight, value.
#[derive(Serialize)]
struct ReasonLine(u8, i64, f64, f64);

#[derive(Serialize)]
#[serde(untagged)]
enum OutlineLine<'a> {
    Rle(String),
    Polygons(&'a [Vec<[f64; 2]>]),
}

pub(super) fn class(class: u32, name: &str) -> String {
    line('c', &(class, name))
}

pub(super) fn source(place: &Place) -> String {
    line(
        's',
        &(&*place.source, place.kind, &*place.path, place.frame_rate),
    )
}

/// The frame's line.
pub(super) fn frame(item: &Item, doubt: f64, reasons: &[Reason]) -> String {
    let place = item.place.as_ref();
    let parts = FrameLine(
        &item.file_name,
        item.size.width,
        item.size.height,
        place.is_some().into(),
        place.map_or(0, |p| p.frame),
        place
            .and_then(|p| p.timestamp)
            .map(|t| rounded(t.as_secs_f64(), 4)),
        place.and_then(|p| p.file.as_deref()),
        item.annotations.iter().map(object).collect(),
        rounded(doubt, 3),
        reasons.iter().map(reason).collect(),
    );
    line('f', &parts)
}

/// The line of the frame's outlines; none where no object has one.
pub(super) fn outlines(item: &Item) -> Option<String> {
    let of = |annotation: &Annotation| annotation.outline.is_some();
    item.annotations.iter().any(of).then(|| {
        let all: Vec<Option<OutlineLine<'_>>> = item
            .annotations
            .iter()
            .map(|a| a.outline.as_ref().map(outline))
            .collect();
        line('m', &all)
    })
}

fn outline(outline: &Outline) -> OutlineLine<'_> {
    match outline {
        Outline::Mask(mask) => OutlineLine::Rle(encode_counts(mask.counts())),
        Outline::Polygons(polygons) => OutlineLine::Polygons(polygons),
    }
}

fn object(a: &Annotation) -> ObjectLine {
    let b = a.bbox;
    ObjectLine(
        a.class,
        [b.x0, b.y0, b.x1, b.y1].map(|v| rounded(v.into(), 1)),
        a.score.map(|s| rounded(s.into(), 4)),
        a.mask_score.map(|s| rounded(s.into(), 4)),
        a.track_id,
        a.visibility.map(state),
    )
}

fn state(visibility: Visibility) -> u8 {
    match visibility {
        Visibility::Visible => 0,
        Visibility::Relocalizing => 1,
        Visibility::Lost => 2,
    }
}

/// The line of the frame's changes of visibility; none where there are none.
pub(super) fn changes(item: &Item) -> Option<String> {
    (!item.changes.is_empty()).then(|| {
        let all: Vec<ChangeLine> = (item.changes.iter())
            .map(|change| {
                ChangeLine(
                    change.track_id,
                    change.class,
                    change.from.map(state),
                    state(change.to),
                    rounded(change.score.into(), 4),
                )
            })
            .collect();
        line('e', &all)
    })
}

fn reason(reason: &Reason) -> ReasonLine {
    // Objects of a frame are far fewer than i64 holds.
    let object = reason.object.and_then(|o| i64::try_from(o).ok());
    let digits = match reason.kind {
        Kind::Threshold | Kind::Mask => 4,
        Kind::Class | Kind::Lone | Kind::Gap | Kind::Overlap => 0,
    };
    ReasonLine(
        reason.kind as u8,
        object.unwrap_or(-1),
        rounded(reason.weight, 3),
        rounded(reason.value, digits),
    )
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// A letter and JSON that is safe inside a script element. JSON of these types cannot fail; an empty line would be
/// skipped by the page.
fn line(letter: char, value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("{letter}{}\n", inert(&json))
}
