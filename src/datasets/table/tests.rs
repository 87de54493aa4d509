//! What tables hold.

use super::writer::{EVENTS, HEADER, OBJECTS, TableWriter};
use crate::{
    coco::Classes,
    datasets::{
        item::{Annotation, Item, Outline, Place},
        writer::{DatasetWriter, WriteOptions},
    },
    frame::{Mask, Physical, SourceKind, Visibility, VisibilityChange},
    geometry::{BoxXyxy, Size},
};
use std::{fs, path::Path, sync::Arc, time::Duration};

fn options(root: &Path) -> WriteOptions {
    WriteOptions {
        root: root.to_path_buf(),
        classes: Classes::new(["cyst"]),
        images: None,
        masks: Default::default(),
        parts: Default::default(),
    }
}

fn object(outline: Option<Outline>) -> Annotation {
    Annotation {
        class: 0,
        label: Arc::from("cyst, \"simple\""),
        bbox: BoxXyxy::new(1.0, 1.0, 4.0, 3.0),
        outline,
        score: Some(0.875),
        mask_score: None,
        track_id: Some(7),
        visibility: None,
        visibility_score: None,
    }
}

fn item(physical: Option<Physical>, annotations: Vec<Annotation>) -> Item {
    Item {
        file_name: "a b/ü/000001.png".to_owned(),
        original: None,
        size: Size::new(6, 4),
        place: Some(Place {
            source: Arc::from("a b/ü"),
            kind: SourceKind::Video,
            path: Arc::from("in/a b/ü.mp4"),
            file: None,
            frame: 1,
            timestamp: Some(Duration::from_millis(40)),
            frame_rate: Some(25.0),
            attributes: Default::default(),
        }),
        annotations,
        physical,
        exif_orientation: None,
        changes: Vec::new(),
    }
}

/// Both tables.
fn written(items: &[Item]) -> (String, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let mut table = TableWriter::new(&options(dir.path())).unwrap();
    items.iter().for_each(|item| table.item(item).unwrap());
    let path = dir.path().join(OBJECTS);
    assert!(!path.exists(), "before it is complete");
    table.finish().unwrap();
    table.finish().unwrap();
    assert!(table.item(&item(None, vec![object(None)])).is_err());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
    (read(OBJECTS).unwrap(), read(EVENTS))
}

/// The tracked object at `x` in frame `frame` of a source, at 10 frames a second.
fn moved(source: &str, frame: u64, x: f32, spacing: f64) -> Item {
    let physical = Physical {
        pixel_spacing_mm: Some([spacing; 2]),
        ..Physical::default()
    };
    let object = Annotation {
        bbox: BoxXyxy::new(x, 0.0, x + 2.0, 2.0),
        visibility: Some(Visibility::Visible),
        visibility_score: Some(0.75),
        ..object(None)
    };
    let mut item = item(Some(physical), vec![object]);
    if let Some(place) = &mut item.place {
        place.source = Arc::from(source);
        place.frame = frame;
        place.timestamp = Some(Duration::from_millis(100 * frame));
    }
    item
}

#[test]
fn speed_is_the_way_since_the_row_before_of_the_track() {
    let items = [
        moved("a", 0, 0.0, 0.5),
        moved("a", 1, 3.0, 0.5),
        // Two frames without it: the time counts, not the rows.
        moved("a", 4, 0.0, 0.5),
        moved("a", 5, 1.0, 0.25),
        moved("b", 6, 3.0, 0.25),
    ];
    let (text, events) = written(&items);
    let columns: Vec<&str> = HEADER.trim_end().split(',').collect();
    let column = |name: &str| columns.iter().position(|c| *c == name).unwrap();
    let cells = |line: &str, name: &str| {
        line.replace("\"cyst, \"\"simple\"\"\"", "")
            .split(',')
            .nth(column(name))
            .unwrap()
            .to_owned()
    };
    let speeds: Vec<[String; 2]> = text
        .lines()
        .skip(1)
        .map(|line| ["speed_px_s", "speed_mm_s"].map(|name| cells(line, name)))
        .collect();
    assert_eq!(
        speeds,
        [["", ""], ["30", "15"], ["10", "5"], ["10", ""], ["", ""]]
    );
    let row = text.lines().nth(1).unwrap();
    assert_eq!(cells(row, "visibility"), "visible");
    assert_eq!(cells(row, "visibility_score"), "0.75");
    assert_eq!(events.unwrap().lines().count(), 1, "the heading line alone");
}

#[test]
fn changes_are_events_and_there_is_no_table_of_them_without_tracks() {
    let change = VisibilityChange {
        track_id: Some(3),
        class: 0,
        label: Arc::from("cyst"),
        from: Some(Visibility::Visible),
        to: Visibility::Relocalizing,
        score: 0.25,
    };
    let of_class = VisibilityChange {
        track_id: None,
        from: None,
        to: Visibility::Visible,
        ..change.clone()
    };
    let changed = Item {
        changes: vec![change, of_class],
        ..item(None, Vec::new())
    };
    let (_, events) = written(&[changed]);
    assert_eq!(
        events.unwrap(),
        "source,frame,time_s,track_id,class,label,from,to,score\n\
         a b/ü,1,0.04,3,0,cyst,visible,relocalizing,0.25\n\
         a b/ü,1,0.04,,0,cyst,,visible,0.25\n"
    );
    let untracked = Annotation {
        track_id: None,
        ..object(None)
    };
    assert_eq!(written(&[item(None, vec![untracked])]).1, None);
}

#[test]
fn a_row_has_what_is_known() {
    let physical = Physical {
        pixel_spacing_mm: Some([0.5, 0.1 + 0.2]),
        ..Physical::default()
    };
    #[rustfmt::skip]
    let mask = Mask::from_row_major(Size::new(6, 4), &[
        0, 0, 0, 0, 0, 0,
        0, 1, 1, 1, 0, 0,
        0, 1, 1, 1, 0, 0,
        0, 0, 0, 0, 0, 0,
    ]).unwrap();
    let lines = vec![vec![[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]]];
    let objects = vec![
        object(Some(Outline::Mask(mask))),
        object(Some(Outline::Polygons(lines))),
        object(None),
    ];
    let still = Item {
        place: None,
        ..item(None, vec![object(None)])
    };
    let (text, _) = written(&[item(Some(physical), objects), still]);
    let lines: Vec<&str> = text.lines().collect();
    let columns = HEADER.split(',').count();
    assert_eq!((lines[0], columns), (HEADER.trim_end(), 31));
    assert_eq!(
        lines[3],
        "a b/ü,video,a b/ü/000001.png,1,0.04,7,,,0,\"cyst, \"\"simple\"\"\",0.875,,1,1,4,3,\
         6,10,2.5,2,0.9,1,0.9,3.8,0.75,1,0.3,0.5,,,"
    );
    assert_eq!(
        lines[4],
        "a b/ü/000001.png,image,a b/ü/000001.png,,,7,,,0,\"cyst, \"\"simple\"\"\",0.875,,1,1,4,3,6,10,2.5,2,,,,,,,,,,,"
    );
    assert_eq!(lines[1], lines[2], "polygons are measured as their pixels");
    assert_ne!(lines[1], lines[3], "the perimeter of a mask is an estimate");
    assert!(lines[1].contains(",0.9,1,0.9,"), "{}", lines[1]);
}

#[test]
fn an_outline_that_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = TableWriter::new(&options(dir.path())).unwrap();
    let mask = Mask::from_row_major(Size::new(1, 1), &[1]).unwrap();
    let wrong = item(None, vec![object(Some(Outline::Mask(mask)))]);
    let error = table.item(&wrong).unwrap_err().to_string();
    assert!(error.contains("a b/ü/000001.png"), "{error}");
}
