//! Files that are read back.

use super::NrrdWriter;
use crate::{
    coco::Classes,
    datasets::{
        Annotation, DatasetWriter, Item, SegCodes, VolumeNote, WriteOptions,
        volume::testing::{CINE, CT, dicom_file, item, object, write_record},
    },
    geometry::Size,
};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use flate2::read::GzDecoder;
use std::{fs, io::Read, path::Path, time::Duration};

const SIZE: Size = Size::new(6, 4);

fn write(root: &Path, items: &[Item]) -> Vec<VolumeNote> {
    let to = WriteOptions {
        root: root.to_path_buf(),
        classes: Classes::new(["bone", "cyst"]),
        images: None,
        masks: Default::default(),
        parts: Default::default(),
    };
    let mut writer = NrrdWriter::new(&to, SegCodes::default());
    items.iter().for_each(|item| writer.item(item).unwrap());
    writer.finish().unwrap();
    writer.take_volume_notes()
}

/// Header and voxels.
fn read(path: &Path) -> (String, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let end = bytes.windows(2).position(|w| w == b"\n\n").unwrap();
    let mut voxels = Vec::new();
    GzDecoder::new(&bytes[end + 2..])
        .read_to_end(&mut voxels)
        .unwrap();
    (
        String::from_utf8(bytes[..end + 1].to_vec()).unwrap(),
        voxels,
    )
}

fn value(header: &str, key: &str) -> String {
    let line = |separator: &str| {
        let start = format!("{key}{separator}");
        header
            .lines()
            .find_map(|line| line.strip_prefix(&start).map(str::to_owned))
    };
    line(": ")
        .or_else(|| line(":="))
        .unwrap_or_else(|| panic!("no {key} in {header}"))
}

fn bone(rectangle: [u32; 4]) -> Annotation {
    object(SIZE, 0, "bone", None, rectangle)
}

fn cyst(rectangle: [u32; 4]) -> Annotation {
    object(SIZE, 1, "cyst", None, rectangle)
}

fn cine(folder: &Path, objects: Vec<Vec<Annotation>>) -> Vec<Item> {
    let path = folder.join("cine.dcm");
    dicom_file(&path, CINE, "1.2.3", SIZE, Some(objects.len() as u32), &[]);
    let frames = objects.into_iter().enumerate();
    frames
        .map(|(n, found)| {
            let mut item = item("a/cine", &path, None, n as u64, SIZE, found);
            let place = item.place.as_mut().unwrap();
            place.timestamp = Some(Duration::from_millis(40 * n as u64));
            item
        })
        .collect()
}

#[test]
fn a_cine_is_a_volume_and_a_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let items = cine(
        dir.path(),
        vec![vec![bone([1, 0, 2, 1])], vec![], vec![cyst([5, 3, 1, 1])]],
    );
    assert_eq!(write(dir.path(), &items), []);
    let (header, voxels) = read(&dir.path().join("nrrd/a/cine.seg.nrrd"));
    assert_eq!(value(&header, "sizes"), "6 4 3");
    assert_eq!(
        value(&header, "space directions"),
        "(0.3,0,0) (0,0.2,0) (0,0,1)"
    );
    assert_eq!(value(&header, "Segment0_Extent"), "1 2 0 0 0 0");
    assert_eq!(value(&header, "Segment1_Extent"), "5 5 3 3 2 2");
    assert_eq!(value(&header, "Segment1_Name"), "cyst");
    assert!(value(&header, "Segment0_Tags").contains("~SCT^272673000^Bone~"));
    let set: Vec<(usize, u8)> = voxels
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, v)| *v > 0)
        .collect();
    assert_eq!((voxels.len(), set), (72, vec![(1, 1), (2, 1), (71, 2)]));
    let (header, same) = read(&dir.path().join("nrrd/a/cine.seq.nrrd"));
    assert_eq!(value(&header, "sizes"), "6 4 1 3");
    assert_eq!(value(&header, "axis 3 index values"), "0 0.04 0.08");
    assert_eq!(
        value(&header, "DataNodeClassName"),
        "vtkMRMLLabelMapVolumeNode"
    );
    assert_eq!(same, voxels);
}

#[test]
fn segments_that_share_pixels_are_in_layers() {
    let dir = tempfile::tempdir().unwrap();
    let found = vec![cyst([0, 0, 2, 1]), bone([1, 0, 2, 1])];
    let notes = write(dir.path(), &cine(dir.path(), vec![found, vec![]]));
    assert!(notes[0].to_string().contains("in .seq.nrrd"), "{notes:?}");
    let (header, voxels) = read(&dir.path().join("nrrd/a/cine.seg.nrrd"));
    assert_eq!(value(&header, "sizes"), "2 6 4 2");
    assert_eq!(value(&header, "kinds"), "list domain domain domain");
    assert_eq!(value(&header, "Segment1_Layer"), "1");
    assert_eq!(value(&header, "Segment1_LabelValue"), "1");
    assert_eq!(voxels[..8], [0, 1, 1, 1, 1, 0, 0, 0]);
    let (_, flat) = read(&dir.path().join("nrrd/a/cine.seq.nrrd"));
    assert_eq!(flat[..4], [2, 2, 1, 0]);
}

#[test]
fn slices_of_a_series_are_where_their_headers_say() {
    let dir = tempfile::tempdir().unwrap();
    let items = |z: [&str; 3]| {
        let slice = |(n, z): (usize, &str)| {
            let path = dir.path().join(format!("{n}.dcm"));
            let position = format!("1\\2\\{z}");
            let geometry = [
                (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
                (tags::IMAGE_POSITION_PATIENT, VR::DS, position.as_str()),
                (tags::PIXEL_SPACING, VR::DS, "0.5\\0.25"),
            ];
            dicom_file(&path, CT, &format!("1.2.{n}"), SIZE, None, &geometry);
            item(
                "ct",
                dir.path(),
                Some(&path),
                n as u64,
                SIZE,
                vec![bone([0, 0, 1, 1])],
            )
        };
        z.into_iter().enumerate().map(slice).collect::<Vec<_>>()
    };
    assert_eq!(write(dir.path(), &items(["-3", "-1", "1"])), []);
    let (header, _) = read(&dir.path().join("nrrd/ct.seg.nrrd"));
    assert_eq!(
        value(&header, "space directions"),
        "(0.25,0,0) (0,0.5,0) (0,0,2)"
    );
    assert_eq!(value(&header, "space origin"), "(1,2,-3)");
    assert!(!dir.path().join("nrrd/ct.seq.nrrd").exists());
    let other = dir.path().join("uneven");
    let notes = write(&other, &items(["0", "1", "5"]));
    assert!(
        notes[0]
            .to_string()
            .contains("not parallel and evenly spaced"),
        "{notes:?}"
    );
    let third = dir.path().join("one place");
    assert_eq!(write(&third, &items(["4", "4", "4"])), []);
    let (header, _) = read(&third.join("nrrd/ct.seq.nrrd"));
    assert_eq!(value(&header, "space origin"), "(1,2,4)");
    assert_eq!(value(&header, "labels"), "\"\" \"\" \"\" \"frame\"");
}

#[test]
fn stills_have_one_slice_and_names_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let still = |name: &str| {
        let mut item = item("x", Path::new("x"), None, 0, SIZE, vec![bone([0, 0, 1, 1])]);
        (item.file_name, item.place, item.physical) = (name.to_owned(), None, None);
        item
    };
    let mut empty = still("c.png");
    empty.annotations.clear();
    let notes = write(dir.path(), &[still("b.d/a.png"), still("b.d/a.jpg"), empty]);
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].to_string(), "c: nothing was found in it");
    for name in ["a.seg.nrrd", "a.jpg.seg.nrrd"] {
        let (header, voxels) = read(&dir.path().join("nrrd/b.d").join(name));
        assert_eq!((value(&header, "sizes").as_str(), voxels[0]), ("6 4 1", 1));
        assert_eq!(
            value(&header, "space directions"),
            "(1,0,0) (0,1,0) (0,0,1)"
        );
    }
    assert_eq!(
        fs::read_dir(dir.path().join("nrrd/b.d")).unwrap().count(),
        2
    );
}

/// Writes the files of the record of a run, `ULTRAMOTION_RECORD`, below `ULTRAMOTION_TO`, for the judges of
/// `tests/interop/seg.py`.
#[test]
#[ignore = "needs a run"]
fn files_of_a_record() {
    let [record, to] =
        ["ULTRAMOTION_RECORD", "ULTRAMOTION_TO"].map(|name| std::env::var(name).unwrap());
    for (name, tracks) in [("nrrd", false), ("nrrd-tracks", true)] {
        let to = WriteOptions {
            root: Path::new(&to).join(name),
            classes: Classes::default(),
            images: None,
            masks: Default::default(),
            parts: Default::default(),
        };
        let mut writer = NrrdWriter::new(&to, SegCodes::default());
        write_record(Path::new(&record), tracks, &mut writer);
        for note in writer.take_volume_notes() {
            println!("{name}: {note}");
        }
    }
}
