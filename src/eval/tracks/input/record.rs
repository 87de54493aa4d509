//! The record of a run.

use super::kept::{Frames, Side, check_corners, mask};
use crate::{
    coco::{self, Lazy, Segmentation},
    eval::{
        error::EvalError,
        tracks::set::{Class, Format, Frame, Object, Role, TrackSet},
    },
};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap, path::Path};

/// Of a line what is needed here, with numbers as their decimals say.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(default)]
    source_index: usize,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    image: Option<Cow<'a, str>>,
    frame: u64,
    width: u32,
    height: u32,
    #[serde(borrow)]
    objects: Vec<Found<'a>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(rename = "box")]
    corners: [f64; 4],
    score: f64,
    class: u32,
    #[serde(borrow)]
    label: Cow<'a, str>,
    #[serde(borrow, default)]
    mask: Option<Lazy<'a, Segmentation<'a>>>,
    #[serde(default)]
    track_id: Option<u64>,
}

/// Reads a record. A last line that does not end is that of a killed run, and left out.
pub(super) fn read(path: &Path, side: Side) -> Result<TrackSet, EvalError> {
    let bytes =
        coco::read(path).map_err(|e| EvalError::new(path, format!("cannot be read: {e}")))?;
    let mut found = Reading {
        side,
        set: TrackSet {
            path: path.to_path_buf(),
            format: Format::Listed,
            ..TrackSet::default()
        },
        sources: BTreeMap::new(),
        labels: BTreeMap::new(),
        images: 0,
    };
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1u64..) {
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        found.add(line).map_err(|problem| {
            EvalError::new(
                path,
                format!("line {number} is not a frame's result: {problem}"),
            )
        })?;
    }
    Ok(found.finish())
}

struct Reading {
    side: Side,
    set: TrackSet,
    /// By number; separate pictures are together under the highest.
    sources: BTreeMap<usize, (String, Frames)>,
    labels: BTreeMap<u32, String>,
    images: u64,
}

impl Reading {
    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let (source, name, number) = if line.kind == "image" {
            self.images += 1;
            (usize::MAX, "images", self.images - 1)
        } else {
            (line.source_index, &*line.source, line.frame)
        };
        let mut objects = Vec::with_capacity(line.objects.len());
        for (at, object) in line.objects.iter().enumerate() {
            let Some(track) = object.track_id else {
                if self.side == Side::Truth {
                    return Err(format!("object {at} has no track_id"));
                }
                self.set.untracked += 1;
                continue;
            };
            let size = [line.height, line.width];
            objects
                .push(read_object(object, track, size).map_err(|e| format!("object {at}: {e}"))?);
            self.labels
                .entry(object.class)
                .or_insert_with(|| object.label.to_string());
        }
        let (_, frames) = self
            .sources
            .entry(source)
            .or_insert_with(|| (name.to_owned(), Frames::default()));
        frames.add(Frame {
            number,
            image: line.image.map(Cow::into_owned),
            size: Some([line.height, line.width]),
            objects,
        })
    }

    fn finish(mut self) -> TrackSet {
        let sources = self.sources.into_values();
        self.set.sequences = sources
            .map(|(name, frames)| frames.into_sequence(name, None))
            .collect();
        let labels = self.labels.into_iter();
        self.set.classes = labels
            .map(|(id, name)| Class {
                id: category_id(id),
                name,
            })
            .collect();
        self.set
    }
}

/// Classes of a record count from 0; those of files by which they may be distinguished without names, from 1.
fn category_id(class: u32) -> i64 {
    i64::from(class) + 1
}

fn read_object(object: &Found<'_>, track: u64, size: [u32; 2]) -> Result<Object, String> {
    check_corners(object.corners)?;
    let runs = match &object.mask {
        Some(found) => {
            let found = found.get().map_err(|e| e.to_string())?;
            mask(&found, Some(size))?
        }
        None => None,
    };
    Ok(Object {
        track: i64::try_from(track).map_err(|_| format!("track_id {track} is too large"))?,
        class: category_id(object.class),
        corners: object.corners,
        mask: runs,
        score: Some(object.score),
        role: Role::Object,
    })
}
