//! The fuzzer's doors to the readers of annotation tools' files.

use super::{
    coco::read_coco,
    cvat,
    item::{Item, Outline},
    label_studio, labelme, mot,
    reader::{Dataset, DatasetError},
    seg::SegCodes,
    voc,
    yolo::read_yolo,
};
use std::{fs, path::Path};

/// CVAT's XML.
pub(crate) fn cvat(bytes: &[u8], folder: &Path) {
    check(bytes, &folder.join("a.xml"), cvat::read);
}

/// VOC's XML.
pub(crate) fn voc(bytes: &[u8], folder: &Path) {
    check(bytes, &folder.join("a.xml"), |path, warnings| {
        voc::read(path, voc::VocCorners::Pixels, warnings)
    });
}

/// labelme's JSON.
pub(crate) fn labelme(bytes: &[u8], folder: &Path) {
    check(bytes, &folder.join("a.json"), labelme::read);
}

/// Label Studio's JSON.
pub(crate) fn label_studio(bytes: &[u8], folder: &Path) {
    check(bytes, &folder.join("a.json"), label_studio::read);
}

/// A file of MOT, as results and as ground truth of pictures of 64 × 48 pixels.
pub(crate) fn mot(bytes: &[u8], folder: &Path) {
    sequences(bytes, folder, mot::read_mot);
}

/// A file of MOTS likewise, and a picture of it.
pub(crate) fn mots(bytes: &[u8], folder: &Path) {
    sequences(bytes, folder, mot::read_mots);
    let pictures = folder.join("pictures");
    let picture = pictures.join("instances/000001.png");
    if fs::create_dir_all(pictures.join("instances")).is_ok() {
        check(bytes, &picture, |_, warnings| {
            mot::read_mots(&pictures, warnings)
        });
    }
}

fn sequences(
    bytes: &[u8],
    folder: &Path,
    read: fn(&Path, &mut Vec<String>) -> Result<Dataset, DatasetError>,
) {
    check(bytes, &folder.join("a.txt"), read);
    let sequence = folder.join("sequence");
    let info = "[Sequence]\nname=a\nseqLength=4\nimWidth=64\nimHeight=48\n";
    if fs::create_dir_all(sequence.join("gt")).is_ok()
        && fs::write(sequence.join("seqinfo.ini"), info).is_ok()
    {
        check(bytes, &sequence.join("gt/gt.txt"), |_, warnings| {
            read(&sequence, warnings)
        });
    }
}

/// A COCO data set.
pub(crate) fn coco(bytes: &[u8], folder: &Path) {
    check(bytes, &folder.join("a.json"), |path, _| read_coco(path));
}

/// A label file of YOLO for a picture of 12 × 8 pixels and, after a NUL byte, the `data.yaml` beside it.
pub(crate) fn yolo(bytes: &[u8], folder: &Path) {
    let (labels, data) = match bytes.iter().position(|b| *b == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b"names: [a]"[..]),
    };
    let picture = folder.join("images/a.png");
    let made = picture.is_file()
        || fs::create_dir_all(folder.join("labels")).is_ok()
            && fs::create_dir_all(folder.join("images")).is_ok()
            && image::GrayImage::new(12, 8).save(&picture).is_ok();
    if made && fs::write(folder.join("data.yaml"), data).is_ok() {
        check(labels, &folder.join("labels/a.txt"), |_, _| {
            read_yolo(folder)
        });
    }
}

/// A table of codes for DICOM Segmentations.
pub(crate) fn codes(bytes: &[u8], _: &Path) {
    let _ = SegCodes::parse(bytes);
}

/// What is read has classes that exist, finite boxes, and masks of the picture's size.
fn check(
    bytes: &[u8],
    path: &Path,
    read: impl Fn(&Path, &mut Vec<String>) -> Result<Dataset, DatasetError>,
) {
    if fs::write(path, bytes).is_err() {
        return;
    }
    let Ok(set) = read(path, &mut Vec::new()) else {
        return;
    };
    for item in &set.items {
        check_item(item, set.classes.len());
    }
}

fn check_item(item: &Item, classes: usize) {
    let mut parts = item.file_name.split(['/', '\\']);
    assert!(parts.all(|part| !matches!(part, "" | "." | "..")));
    for annotation in &item.annotations {
        let b = annotation.bbox;
        assert!((annotation.class as usize) < classes);
        assert!([b.x0, b.y0, b.x1, b.y1].iter().all(|v| v.is_finite()));
        assert!(b.x0 <= b.x1 && b.y0 <= b.y1);
        match &annotation.outline {
            Some(Outline::Mask(mask)) => {
                assert_eq!(mask.size(), item.size);
                assert_eq!(mask.bounds(), Some(b));
            }
            Some(Outline::Polygons(lines)) => assert!(lines.iter().all(|line| line.len() > 2)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{
        MaskForm,
        cvat::CvatWriter,
        label_studio::{LabelStudioOptions, LabelStudioWriter},
        labelme::LabelmeWriter,
        mot::{MotWriter, MotsWriter},
        samples::{self, options, write},
        voc::{VocCorners, VocWriter},
    };
    use proptest::{prelude::*, sample::Index};

    type Door = fn(&[u8], &Path);

    /// Files as they are written, of pictures and of a video.
    fn files() -> Vec<(Door, Vec<u8>)> {
        let dir = tempfile::tempdir().unwrap();
        let mut items = samples::stills();
        items.extend(samples::frames());
        for form in [MaskForm::Polygon, MaskForm::Rle] {
            let mut options = options(dir.path());
            options.root = dir.path().join(format!("{form:?}"));
            write(CvatWriter::new(options.clone(), form), &items);
            write(LabelmeWriter::new(options.clone(), form), &items);
            write(VocWriter::new(options.clone(), VocCorners::Edges), &items);
            write(MotWriter::new(&options), &items);
            write(MotsWriter::new(&options), &items);
            let settings = LabelStudioOptions::new(form);
            write(LabelStudioWriter::new(options, settings), &items);
        }
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
        vec![
            (cvat, read("Rle/cvat/images.xml")),
            (cvat, read("Polygon/cvat/clips/Übung 1.b.xml")),
            (voc, read("Polygon/voc/Annotations/shapes.v2.xml")),
            (mot, read("Rle/mot/data/clips/Übung 1.b.txt")),
            (mots, read("Rle/mots/data/clips/Übung 1.b.txt")),
            (
                mots,
                read("Rle/mots/sequences/clips/Übung 1.b/instances/000001.png"),
            ),
            (labelme, read("Rle/labelme/shapes.v2.json")),
            (label_studio, read("Rle/labelstudio.json")),
        ]
    }

    #[test]
    fn any_damage_is_survived() {
        let files = files();
        let dir = tempfile::tempdir().unwrap();
        let damage = (any::<Index>(), any::<Index>(), any::<u8>(), 0..4u8);
        let damages = proptest::collection::vec(damage, 1..4);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let run = runner.run(&(any::<Index>(), damages), |(which, damages)| {
            let (door, bytes) = &files[which.index(files.len())];
            let mut bytes = bytes.clone();
            for (at, to, byte, kind) in damages {
                let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes[at] = b"0123456789"[usize::from(byte) % 10],
                    2 => bytes.truncate(at.max(1)),
                    _ => {
                        let (start, end) = (at.min(to), at.max(to).min(at.min(to) + 40));
                        let piece = bytes[start..end].to_vec();
                        bytes.splice(to..to, piece);
                    }
                }
            }
            door(&bytes, dir.path());
            Ok(())
        });
        run.unwrap();
    }
}
