//! Items to write and to read back, and those of a record.

use super::{
    item::{Annotation, Item, Outline, Place},
    masks::{fill, overlap},
    reader::Dataset,
    writer::{DatasetWriter, WriteOptions},
};
use crate::{
    coco::Classes,
    frame::{Mask, SourceKind},
    geometry::{BoxXyxy, Size},
    sinks::RecordLine,
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
};

pub(crate) const SIZE: Size = Size::new(97, 61);

/// Class 2 is not of the list.
const LABELS: [&str; 3] = ["bone <&> \"x\" 'y'", "Gefäß", "other"];

pub(crate) fn options(root: &Path) -> WriteOptions {
    WriteOptions {
        root: root.to_path_buf(),
        classes: Classes::new(LABELS[..2].iter().copied()),
        images: Some("images".into()),
        masks: Default::default(),
        parts: Default::default(),
    }
}

pub(crate) fn mask(inside: impl Fn(i32, i32) -> bool) -> Mask {
    let pixels: Vec<u8> = (0..SIZE.pixels() as i32)
        .map(|i| u8::from(inside(i % SIZE.width as i32, i / SIZE.width as i32)))
        .collect();
    Mask::from_row_major(SIZE, &pixels).unwrap()
}

/// Masks of all kinds of shape.
pub(crate) fn masks() -> Vec<Mask> {
    let disc =
        |x: i32, y: i32, r: i32| move |px: i32, py: i32| (px - x).pow(2) + (py - y).pow(2) <= r * r;
    vec![
        // A ring with a disc in it, and a part of its own.
        mask(|x, y| {
            (disc(30, 30, 22)(x, y) && !disc(30, 30, 12)(x, y))
                || disc(30, 30, 5)(x, y)
                || ((70..90).contains(&x) && (5..9).contains(&y))
        }),
        // Thin lines.
        mask(|x, y| x == y),
        mask(|x, y| y == 3 && x > 4),
        mask(|x, y| (x - 2 * y).abs() <= 1),
        // One pixel, in a corner; all pixels.
        mask(|x, y| (x, y) == (96, 60)),
        mask(|_, _| true),
        // Holes that touch the outer line at corners.
        mask(|x, y| (5..20).contains(&x) && (5..20).contains(&y) && (x + y) % 7 != 0),
    ]
}

fn boxed(class: usize, bbox: [f32; 4]) -> Annotation {
    let [x0, y0, x1, y1] = bbox;
    Annotation {
        class: class as u32,
        label: Arc::from(LABELS[class]),
        bbox: BoxXyxy::new(x0, y0, x1, y1),
        outline: None,
        score: Some(0.875),
        mask_score: None,
        track_id: None,
        visibility: None,
        visibility_score: None,
    }
}

fn masked(class: usize, mask: Mask) -> Annotation {
    Annotation {
        bbox: mask.bounds().unwrap(),
        outline: Some(Outline::Mask(mask)),
        mask_score: Some(0.77),
        score: Some(0.625),
        ..boxed(class, [0.0; 4])
    }
}

fn item(file_name: &str, annotations: Vec<Annotation>) -> Item {
    Item {
        file_name: file_name.to_owned(),
        size: SIZE,
        place: None,
        annotations,
        physical: None,
        exif_orientation: None,
        changes: Vec::new(),
        original: None,
    }
}

/// Stills, one of them empty, with names that have to be escaped.
pub(crate) fn stills() -> Vec<Item> {
    let boxes = vec![
        boxed(0, [0.1, 2.375, 96.99, 60.5]),
        boxed(2, [3.0, 3.3, 4.7, 5.1]),
    ];
    let shapes = masks().into_iter().enumerate();
    vec![
        item("a b/Möwe & \"x\" <y>.png", boxes),
        item("empty.jpg", Vec::new()),
        item(
            "shapes.v2.png",
            shapes.map(|(i, m)| masked(i % 2, m)).collect(),
        ),
        // Differs from another in its extension alone.
        item("empty.png", vec![boxed(1, [1.0, 2.0, 3.0, 4.0])]),
    ]
}

/// Frames of a video: an object with a track number whose parts change, one that is left out for a frame, and others.
pub(crate) fn frames() -> Vec<Item> {
    let source: Arc<str> = Arc::from("clips/Übung 1.b");
    (0..6u64)
        .map(|frame| {
            let x = 4 * frame as i32;
            let tracked = mask(|px, py| {
                ((x..x + 9).contains(&px) && (5..15).contains(&py))
                    || (frame % 3 != 1 && (x + 30..x + 35).contains(&px) && (40..50).contains(&py))
            });
            let mut annotations = vec![boxed(0, [x as f32 + 0.25, 1.0, 60.0, 50.0])];
            let tracked = Annotation {
                track_id: Some(7),
                ..masked(1, tracked)
            };
            if frame != 3 {
                annotations.push(tracked);
            }
            if frame == 2 {
                annotations.extend(masks().into_iter().map(|mask| masked(0, mask)));
            }
            if frame == 4 {
                annotations.clear();
            }
            Item {
                place: Some(Place {
                    source: source.clone(),
                    kind: SourceKind::Video,
                    path: Arc::from("/data/Übung 1.b.mp4"),
                    file: None,
                    frame,
                    timestamp: None,
                    frame_rate: Some(25.0),
                    attributes: Default::default(),
                }),
                ..item(&format!("{source}/{frame:06}.png"), annotations)
            }
        })
        .collect()
}

/// Writes all items.
pub(crate) fn write(mut writer: impl DatasetWriter, items: &[Item]) {
    for item in items {
        writer.item(item).unwrap();
    }
    writer.finish().unwrap();
}

/// What is to be equal.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Compare {
    /// Boxes alone are kept.
    Boxes,
    /// Masks overlap by 0.97 or more.
    Near,
    /// Masks are the same.
    Exact,
}

/// Whether what was read is what was written.
pub(crate) fn assert_same(read: &Dataset, written: &[Item], compare: Compare) {
    assert_eq!(read.items.len(), written.len());
    for item in written {
        let found: Vec<&Item> = (read.items.iter())
            .filter(|other| other.file_name == item.file_name)
            .collect();
        assert_eq!(found.len(), 1, "{}", item.file_name);
        assert_eq!(found[0].size, item.size);
        let mut left: Vec<&Annotation> = found[0].annotations.iter().collect();
        assert_eq!(left.len(), item.annotations.len(), "{}", item.file_name);
        for annotation in &item.annotations {
            let place = left
                .iter()
                .position(|other| same(other, annotation, item.size, compare));
            let place = place.unwrap_or_else(|| {
                let others: Vec<_> = left
                    .iter()
                    .map(|a| (a.bbox, &a.label, a.score, a.track_id))
                    .collect();
                panic!(
                    "{}: {:?} {:?} is not among {others:?}",
                    item.file_name, annotation.bbox, annotation.label
                )
            });
            let other = left.remove(place);
            assert_eq!(read.classes[other.class as usize], other.label);
        }
    }
}

fn same(read: &Annotation, written: &Annotation, size: Size, compare: Compare) -> bool {
    let figures = |a: &Annotation| (a.label.clone(), a.bbox, a.score, a.mask_score, a.track_id);
    if figures(read) != figures(written) {
        return false;
    }
    let mask = |a: &Annotation| match &a.outline {
        Some(Outline::Mask(mask)) => Some(mask.clone()),
        Some(Outline::Polygons(lines)) => Some(fill(lines, size).unwrap()),
        None => None,
    };
    match (compare, mask(read), mask(written)) {
        (Compare::Boxes, None, _) | (_, None, None) => true,
        (Compare::Near, Some(a), Some(b)) => overlap(&a, &b) >= 0.97,
        (Compare::Exact, Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// The items of a run's record.
pub(crate) fn of_record(path: &Path) -> Vec<Item> {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    let mut frame_rate = None;
    file.lines()
        .map(|line| {
            let line = line.unwrap();
            let line: RecordLine<'_> = serde_json::from_str(&line).unwrap();
            if let Some(facts) = &line.source_info {
                frame_rate = facts.frame_rate;
            }
            let extension = |path: &str| {
                Path::new(path)
                    .extension()
                    .map(|e| e.to_string_lossy().into_owned())
                    .unwrap_or_default()
            };
            let file_name = match (line.kind, &line.file) {
                (SourceKind::Image, _) => format!("{}.{}", line.source, extension(&line.path)),
                (SourceKind::Sequence, Some(file)) => {
                    format!(
                        "{}/{}",
                        line.source,
                        Path::new(&**file).file_name().unwrap().to_string_lossy()
                    )
                }
                _ => format!("{}/{:06}.png", line.source, line.frame),
            };
            let place = (line.kind != SourceKind::Image).then(|| Place {
                source: Arc::from(&*line.source),
                kind: line.kind,
                path: Arc::from(&*line.path),
                file: line.file.as_deref().map(str::to_owned),
                frame: line.frame,
                timestamp: line.timestamp,
                frame_rate,
                attributes: Default::default(),
            });
            let objects = line.detections().unwrap().objects;
            Item {
                file_name,
                size: Size::new(line.width, line.height),
                place,
                annotations: objects
                    .into_iter()
                    .map(|o| Annotation {
                        class: o.class,
                        label: o.label,
                        bbox: o.mask.as_ref().and_then(Mask::bounds).unwrap_or(o.bbox),
                        outline: o.mask.filter(|mask| mask.area() > 0).map(Outline::Mask),
                        score: Some(o.score),
                        mask_score: o.mask_score,
                        track_id: None,
                        visibility: None,
                        visibility_score: None,
                    })
                    .collect(),
                physical: None,
                exif_orientation: line.exif_orientation,
                changes: Vec::new(),
                original: None,
            }
        })
        .collect()
}
