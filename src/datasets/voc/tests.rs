//! What is written is read back; what others write is read; what is broken is refused.

use super::*;
use crate::datasets::samples::{self, Compare, assert_same, options, write};
use std::fs;

#[test]
fn boxes_come_back_in_both_conventions() {
    for corners in [VocCorners::Edges, VocCorners::Pixels] {
        let dir = tempfile::tempdir().unwrap();
        let items: Vec<_> = samples::stills()
            .into_iter()
            .chain(samples::frames())
            .collect();
        write(VocWriter::new(options(dir.path()), corners), &items);
        let root = dir.path().join("voc");
        assert!(sniff(&root) && sniff(&root.join("Annotations")));
        let set = read(&root, corners, &mut Vec::new()).unwrap();
        assert_same(&set, &items, Compare::Boxes);
        assert_eq!(set.classes.len(), 3);
        let list = fs::read_to_string(root.join("ImageSets/Main/default.txt")).unwrap();
        assert_eq!(list.lines().count(), items.len());
        assert!(
            list.contains("\nempty.png\n") && list.contains("\nempty\n"),
            "{list}"
        );
        let alone = read(
            &root.join("Annotations/shapes.v2.xml"),
            corners,
            &mut Vec::new(),
        )
        .unwrap();
        assert_eq!(alone.items[0].file_name, "shapes.v2.png");
    }
}

#[test]
fn a_divided_data_set_has_a_list_for_each_part() {
    use crate::datasets::{division::Division, split::SplitBy, writer::WriteOptions};
    let dir = tempfile::tempdir().unwrap();
    let items: Vec<_> = samples::stills()
        .into_iter()
        .chain(samples::frames())
        .collect();
    let mut division = Division::new("0.5,0.3,0.2".parse().unwrap(), SplitBy::Frame, 0);
    items.iter().for_each(|item| division.count(item));
    let parts = division.parts();
    let names = parts.names();
    let options = WriteOptions {
        parts,
        ..options(dir.path())
    };
    write(VocWriter::new(options, VocCorners::Edges), &items);
    let folder = dir.path().join("voc/ImageSets/Main");
    let lines = |name: &&str| {
        let text = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        text.lines().count()
    };
    assert!(names.len() > 1 && !folder.join("default.txt").exists());
    assert_eq!(names.iter().map(lines).sum::<usize>(), items.len());
}

#[test]
fn a_pixel_counted_from_1_is_first_and_last() {
    let dir = tempfile::tempdir().unwrap();
    write(
        VocWriter::new(options(dir.path()), VocCorners::Pixels),
        &samples::stills(),
    );
    let text = fs::read_to_string(dir.path().join("voc/Annotations/empty.png.xml")).unwrap();
    for corner in [
        "<xmin>2</xmin>",
        "<ymin>3</ymin>",
        "<xmax>3</xmax>",
        "<ymax>4</ymax>",
    ] {
        assert!(text.contains(corner), "{text}");
    }
}

#[test]
fn files_of_others_are_read_and_objects_without_box_counted() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("Annotations")).unwrap();
    fs::write(
        dir.path().join("labelmap.txt"),
        "# label\nbackground:0,0,0::\nz:1,2,3::\n",
    )
    .unwrap();
    let object = "<object><name>a</name><pose>Left</pose><difficult>1</difficult><bndbox><xmax>9.5</xmax><xmin>2</xmin>\
                  <ymin>3</ymin><ymax>8</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>";
    let turned =
        "<object><type>robndbox</type><name>a</name><robndbox><cx>1</cx></robndbox></object>";
    let text = format!(
        "<annotation verified=\"yes\"><folder>VOC</folder><filename>1.jpg</filename><path>C:\\x\\1.jpg</path>\
         <size><width>20</width><height>10</height><depth>3</depth></size>{object}{turned}</annotation>"
    );
    fs::write(dir.path().join("Annotations/1.xml"), text).unwrap();
    let mut warnings = Vec::new();
    let set = read(dir.path(), VocCorners::Edges, &mut warnings).unwrap();
    assert_eq!(
        set.classes.iter().map(|c| &**c).collect::<Vec<_>>(),
        ["z", "a"]
    );
    let found = &set.items[0].annotations;
    assert_eq!(
        (found.len(), found[0].bbox.x1, found[0].bbox.x0),
        (1, 9.5, 2.0)
    );
    assert!(
        warnings[0].ends_with("object without bndbox: 1 left out"),
        "{warnings:?}"
    );
}

#[test]
fn broken_files_are_errors_that_name_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.xml");
    let size = "<size><width>20</width><height>10</height></size>";
    for (text, says) in [
        ("<annotations/>".to_owned(), "the root element"),
        ("<annotation/>".to_owned(), "no size"),
        (
            "<annotation><size><width>-3</width></size></annotation>".to_owned(),
            "<width> is \"-3\"",
        ),
        (
            format!(
                "<annotation>{size}<object><name>a</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"
            ),
            "lacks a corner",
        ),
        (
            format!(
                "<annotation>{size}<object><bndbox><xmin>inf</xmin></bndbox></object></annotation>"
            ),
            "<xmin> is \"inf\"",
        ),
        ("<annotation>&x;</annotation>".to_owned(), "byte"),
        (String::new(), "no size"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = read(&path, VocCorners::Edges, &mut Vec::new()).unwrap_err();
        assert!(
            error.path == path && error.to_string().contains(says),
            "{error}"
        );
    }
    let none = read(&dir.path().join("none"), VocCorners::Edges, &mut Vec::new()).unwrap_err();
    assert!(none.to_string().contains("cannot open"), "{none}");
}
