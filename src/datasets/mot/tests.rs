//! What is written is read again, and what other programs write is read.

use super::{MotWriter, MotsWriter, read_mot, read_mots};
use crate::{
    datasets::{
        DatasetKind,
        item::{Annotation, Item, Outline},
        reader::Dataset,
        samples::{self, options, write},
        writer::{DatasetWriter, Note},
    },
    frame::Mask,
};
use std::{fs, path::Path, sync::Arc};

const NAME: &str = "clips/Übung 1.b";

/// Frames with tracks 7 and 9 alone, of which the better one lies on the other in part.
fn tracked() -> Vec<Item> {
    let mut frames = samples::frames();
    for (n, item) in frames.iter_mut().enumerate() {
        item.annotations.retain(|a| a.track_id.is_some());
        let mut more = item.annotations.clone();
        for other in &mut more {
            let x = 4 * n as i32;
            let mask =
                samples::mask(|px, py| (x + 3..x + 20).contains(&px) && (8..20).contains(&py));
            other.bbox = mask.bounds().unwrap();
            other.outline = Some(Outline::Mask(mask));
            other.track_id = Some(9);
            (other.class, other.label) = (0, Arc::from("bone <&> \"x\" 'y'"));
            other.score = Some(0.9);
        }
        more.append(&mut item.annotations);
        item.annotations = more;
    }
    frames
}

fn rows(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn notes(mut writer: impl DatasetWriter, items: &[Item]) -> Vec<String> {
    items.iter().for_each(|item| writer.item(item).unwrap());
    writer.finish().unwrap();
    Note::lines(&writer.take_notes())
}

fn bare(items: &[Item], change: impl Fn(&mut Annotation)) -> Vec<Item> {
    let mut items = items.to_vec();
    items
        .iter_mut()
        .flat_map(|item| &mut item.annotations)
        .for_each(change);
    items
}

fn same(read: &Dataset, written: &[Item], compare: samples::Compare) {
    samples::assert_same(read, written, compare);
    for (read, written) in read.items.iter().zip(written) {
        let place = |item: &Item| {
            item.place
                .clone()
                .map(|p| (p.source, p.frame, p.frame_rate))
        };
        assert_eq!(place(read), place(written));
    }
}

#[test]
fn boxes_are_ground_truth_and_results_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let items = tracked();
    assert!(notes(MotWriter::new(&options(dir.path())), &items).is_empty());
    let root = dir.path().join("mot");
    let folder = root.join("sequences").join(NAME);
    assert_eq!(
        rows(&folder.join("gt/gt.txt"))[..3],
        [
            "1,9,3,8,17,12,1,1,1",
            "1,7,0,5,35,45,1,2,1",
            "2,9,7,8,17,12,1,1,1"
        ]
    );
    let results = root.join("data").join(format!("{NAME}.txt"));
    assert_eq!(rows(&results)[1], "1,7,0,5,35,45,0.625,2,1");
    assert_eq!(
        rows(&folder.join("seqinfo.ini"))[1..5],
        [
            "name=clips/Übung 1.b",
            "imDir=img1",
            "frameRate=25",
            "seqLength=6"
        ]
    );
    assert_eq!(rows(&folder.join("gt/labels.txt")).len(), 2);

    let scored = bare(&items, |a| {
        a.outline = None;
        a.mask_score = None;
    });
    let unscored = bare(&scored, |a| a.score = None);
    for (path, expected) in [
        (&root.join("data"), &scored),
        (&results, &scored),
        (&root, &unscored),
        (&folder, &unscored),
        (&folder.join("gt/gt.txt"), &unscored),
    ] {
        assert_eq!(
            DatasetKind::of(path),
            Some(DatasetKind::Mot),
            "{}",
            path.display()
        );
        let mut warnings = Vec::new();
        let set = read_mot(path, &mut warnings).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        same(&set, expected, samples::Compare::Boxes);
        let seen = set.items[0].annotations[0].visibility_score;
        assert_eq!(seen, Some(1.0));
    }
}

#[test]
fn masks_do_not_overlap_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let items = tracked();
    assert!(notes(MotsWriter::new(&options(dir.path())), &items).is_empty());
    let root = dir.path().join("mots");
    let folder = root.join("sequences").join(NAME);
    let text = rows(&folder.join("gt/gt.txt"));
    assert!(text[0].starts_with("1 1009 1 61 97 "), "{}", text[0]);
    assert!(text[1].starts_with("1 2007 2 61 97 "), "{}", text[1]);
    assert_eq!(text, rows(&root.join("data").join(format!("{NAME}.txt"))));

    let mut expected = bare(&items, |a| (a.score, a.mask_score) = (None, None));
    for item in expected
        .iter_mut()
        .filter(|item| !item.annotations.is_empty())
    {
        let pixels = |n: usize| match &item.annotations[n].outline {
            Some(Outline::Mask(mask)) => mask.to_row_major(),
            _ => unreachable!(),
        };
        let (above, below) = (pixels(0), pixels(1));
        let left: Vec<u8> = above.iter().zip(below).map(|(a, b)| b * (1 - a)).collect();
        assert_ne!(left, pixels(1), "they overlap");
        let mask = Mask::from_row_major(item.size, &left).unwrap();
        item.annotations[1].bbox = mask.bounds().unwrap();
        item.annotations[1].outline = Some(Outline::Mask(mask));
    }
    let pictures = dir.path().join("pictures");
    fs::create_dir_all(&pictures).unwrap();
    fs::rename(folder.join("instances"), pictures.join("instances")).unwrap();
    fs::copy(folder.join("seqinfo.ini"), pictures.join("seqinfo.ini")).unwrap();
    for path in [&root, &root.join("data"), &pictures] {
        assert_eq!(
            DatasetKind::of(path),
            Some(DatasetKind::Mots),
            "{}",
            path.display()
        );
        let mut warnings = Vec::new();
        let set = read_mots(path, &mut warnings).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        same(&set, &expected, samples::Compare::Exact);
    }
}

#[test]
fn what_has_no_track_is_left_out_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let mut items = samples::frames();
    items.extend(samples::stills());
    let options = options(dir.path());
    let said = notes(MotWriter::new(&options), &items);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("objects left out of MOT: without"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("still pictures: are no sequences"),
        "{said:?}"
    );

    let untracked = bare(&items, |a| a.track_id = None);
    let said = notes(MotsWriter::new(&options), &untracked);
    assert!(
        said[0].ends_with("no tracks, and are left out of MOTS"),
        "{said:?}"
    );

    let mut frame = tracked().remove(0);
    frame.annotations[0].track_id = Some(1000);
    frame.annotations[1].outline = None;
    let said = notes(MotsWriter::new(&options), &[frame]);
    assert!(said[0].contains("1 object without a mask"), "{said:?}");
    assert!(said[1].contains("tracks above 999"), "{said:?}");
    write(MotsWriter::new(&options), &[]);
}

#[test]
fn files_of_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("MOT17-02");
    fs::create_dir_all(folder.join("gt")).unwrap();
    let text = "1,2,10,20,30,40,1,1,0.5\r\n1,3,0,0,1,1,0,8,1\r\n3,2,11,20,30,40,1,7,1\r\n";
    fs::write(folder.join("gt/gt.txt"), text).unwrap();
    let mut warnings = Vec::new();
    let set = read_mot(dir.path(), &mut warnings).unwrap();
    let names: Vec<&str> = set.classes.iter().map(|name| &**name).collect();
    assert_eq!(names, ["pedestrian", "static person"]);
    assert_eq!(set.items.len(), 2);
    assert_eq!(set.items[1].file_name, "MOT17-02/000002.png");
    assert_eq!(set.items[0].annotations[0].visibility_score, Some(0.5));
    assert!(warnings.iter().any(|w| w.contains("not to be evaluated")));
    assert!(warnings.iter().any(|w| w.contains("size of the frames")));

    let results = dir.path().join("results.txt");
    fs::write(&results, "1,-1,0,0,2,2,0.25,-1,-1,-1\n").unwrap();
    let set = read_mot(&results, &mut warnings).unwrap();
    let found = &set.items[0].annotations[0];
    assert_eq!((found.track_id, found.score), (None, Some(0.25)));
    assert_eq!((&*found.label, found.visibility_score), ("object", None));
    // Tracks may be numbered from 0, names of classes may lie beside the file.
    fs::write(&results, "1 0 0 0 2 2 0.25 1\n").unwrap();
    fs::write(dir.path().join("labels.txt"), "bone\n").unwrap();
    let set = read_mot(&results, &mut warnings).unwrap();
    let found = &set.items[0].annotations[0];
    assert_eq!((found.track_id, &*found.label), (Some(0), "bone"));
    fs::remove_file(dir.path().join("labels.txt")).unwrap();

    fs::write(&results, "1 2001 2 4 4 0@0\n1 10000 10 4 4 0@0\n").unwrap();
    warnings.clear();
    let error = read_mots(&results, &mut warnings).unwrap_err().to_string();
    assert!(
        error.contains("results.txt: line 1: the run lengths"),
        "{error}"
    );
    fs::write(&results, "1 2001 2 4 4 0`0\n1 10000 10 4 4 0`0\n").unwrap();
    let set = read_mots(&results, &mut warnings).unwrap();
    assert_eq!(set.items[0].annotations.len(), 1);
    assert_eq!(&*set.classes[0], "pedestrian");
    assert!(warnings[0].contains("region to be ignored"), "{warnings:?}");
}
