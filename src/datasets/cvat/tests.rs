//! What is written is read back; what CVAT exports is read; what is broken is refused.

use super::{reader::read_from, *};
use crate::datasets::{
    MaskForm, Outline,
    masks::{fill, overlap},
    reader::{Dataset, DatasetError},
    samples::{self, Compare, assert_same, options, write},
    xml::Xml,
};
use std::path::Path;

fn parse(text: &str) -> Result<(Dataset, Vec<String>), DatasetError> {
    let (path, mut warnings) = (Path::new("job 1.xml"), Vec::new());
    read_from(Xml::new(path, text.as_bytes()), path, &mut warnings).map(|set| (set, warnings))
}

fn images(shapes: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><annotations><version>1.1</version><meta><task><labels>\
         <label><name>b</name></label><label><name>a</name></label></labels></task></meta>\
         <image id=\"0\" name=\"x/1.png\" width=\"40\" height=\"30\">{shapes}</image></annotations>"
    )
}

#[test]
fn pictures_come_back() {
    for (form, compare) in [
        (MaskForm::Rle, Compare::Exact),
        (MaskForm::Polygon, Compare::Near),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(
            CvatWriter::new(options(dir.path()), form),
            &samples::stills(),
        );
        let path = dir.path().join("cvat/images.xml");
        assert!(sniff(&path));
        let set = read(&path, &mut Vec::new()).unwrap();
        assert_same(&set, &samples::stills(), compare);
        assert_eq!(&*set.classes[1], "Gefäß");
        assert_eq!(set.classes.len(), 3);
    }
}

#[test]
fn videos_come_back() {
    for (form, compare) in [
        (MaskForm::Rle, Compare::Exact),
        (MaskForm::Polygon, Compare::Near),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(
            CvatWriter::new(options(dir.path()), form),
            &samples::frames(),
        );
        assert!(!dir.path().join("cvat/images.xml").exists());
        let path = dir.path().join("cvat/clips/Übung 1.b.xml");
        let set = read(&path, &mut Vec::new()).unwrap();
        assert_same(&set, &samples::frames(), compare);
        let place = set.items[5].place.as_ref().unwrap();
        assert_eq!(
            (&*place.source, &*place.path, place.frame),
            ("clips/Übung 1.b", "Übung 1.b.mp4", 5)
        );
    }
}

#[test]
fn a_track_is_closed_where_its_object_is_missing_and_not_beyond_the_last_frame() {
    let dir = tempfile::tempdir().unwrap();
    write(
        CvatWriter::new(options(dir.path()), MaskForm::Polygon),
        &samples::frames(),
    );
    let text = std::fs::read_to_string(dir.path().join("cvat/clips/Übung 1.b.xml")).unwrap();
    assert!(!text.contains("frame=\"6\""), "{text}");
    assert!(
        text.contains("<polygon frame=\"3\" outside=\"1\""),
        "{text}"
    );
    assert!(text.contains("<stop_frame>5</stop_frame>"));
    assert!(text.contains("<size>6</size>"));
}

#[test]
fn nothing_at_all_is_an_empty_file_of_pictures() {
    let dir = tempfile::tempdir().unwrap();
    write(CvatWriter::new(options(dir.path()), MaskForm::Rle), &[]);
    let set = read(&dir.path().join("cvat/images.xml"), &mut Vec::new()).unwrap();
    assert_eq!((set.items.len(), set.classes.len()), (0, 2));
}

#[test]
fn shapes_of_an_export_are_read_and_others_counted() {
    let (set, warnings) = parse(&images(
        "<box label=\"a\" source=\"manual\" occluded=\"0\" xtl=\"1.50\" ytl=\"2\" xbr=\"9\" ybr=\"8\" z_order=\"0\">\
         <attribute name=\"score\">0.5</attribute><attribute name=\"kind\">x &amp; y</attribute></box>\
         <box label=\"a\" xtl=\"10\" ytl=\"10\" xbr=\"20\" ybr=\"14\" rotation=\"90.00\"/>\
         <ellipse label=\"c\" cx=\"20\" cy=\"15\" rx=\"8\" ry=\"4\"/>\
         <mask label=\"b\" rle=\"1, 2, 3\" left=\"4\" top=\"5\" width=\"3\" height=\"2\"/>\
         <polygon label=\"b\" group_id=\"3\" points=\"1,1;5,1;5,5\"/><polygon label=\"b\" group_id=\"3\" points=\"10,10;12,10;12,12\"/>\
         <polyline label=\"b\" points=\"1,1;5,1\"/><points label=\"b\" points=\"1,1\"/><tag label=\"a\"/><polyline label=\"b\" points=\"1,1;5,1\"/>",
    ))
    .unwrap();
    let found = &set.items[0].annotations;
    assert_eq!(
        set.classes.iter().map(|c| &**c).collect::<Vec<_>>(),
        ["b", "a", "c"]
    );
    assert_eq!(
        found.iter().map(|a| a.class).collect::<Vec<_>>(),
        [1, 1, 2, 0, 0]
    );
    assert_eq!((found[0].bbox.x0, found[0].score), (1.5, Some(0.5)));
    let turned = found[1].bbox;
    assert!(
        (turned.x0 - 13.0).abs() < 1e-4 && (turned.y1 - 17.0).abs() < 1e-4,
        "{turned:?}"
    );
    let Some(Outline::Mask(mask)) = &found[3].outline else {
        panic!()
    };
    assert_eq!((mask.area(), mask.bounds().unwrap().x0), (2, 5.0));
    assert!(matches!(&found[4].outline, Some(Outline::Polygons(lines)) if lines.len() == 2));
    assert_eq!(found[4].bbox.x1, 12.0);
    assert_eq!(
        warnings,
        ["points", "polyline", "tag"].map(|what| format!(
            "job 1.xml: {what}: {} left out",
            if what == "polyline" { 2 } else { 1 }
        ))
    );
}

#[test]
fn a_video_has_the_frames_of_its_task() {
    let (set, _) = parse(
        "<annotations><meta><task><name>t</name><size>3</size><start_frame>10</start_frame><stop_frame>20</stop_frame>\
         <frame_filter>step=5</frame_filter><labels><label><name>a</name></label></labels><original_size><width>40</width>\
         <height>30</height></original_size><source>dir/v.mp4</source></task></meta>\
         <track id=\"4\" label=\"a\"><box frame=\"10\" outside=\"0\" xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\"/>\
         <box frame=\"15\" outside=\"0\" xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\"/>\
         <box frame=\"20\" outside=\"1\" xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\"/></track></annotations>",
    )
    .unwrap();
    let frames: Vec<_> = set
        .items
        .iter()
        .map(|i| (i.place.as_ref().unwrap().frame, i.annotations.len()))
        .collect();
    assert_eq!(frames, [(10, 1), (15, 1), (20, 0)]);
    assert_eq!(set.items[0].annotations[0].track_id, Some(4));
    assert_eq!(set.items[0].file_name, "t/000010.png");
}

#[test]
fn broken_and_hostile_files_are_errors_that_name_the_place() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><annotations><meta><task><labels><label><name>&b;</name></label></labels></task></meta></annotations>";
    let deep = "<annotations>".to_owned() + &"<a>".repeat(100);
    for (text, says) in [
        (bomb.to_owned(), "byte"),
        (deep, "more than 64 elements"),
        ("<annotations><meta>".to_owned(), "ends within"),
        (
            "<annotation/>".to_owned(),
            "the root element is <annotation>",
        ),
        (images("<box label=\"a\" xtl=\"1\"/>"), "a box without ytl"),
        (
            images("<box label=\"a\" xtl=\"NaN\" ytl=\"1\" xbr=\"1\" ybr=\"1\"/>"),
            "xtl is no number",
        ),
        (
            images("<box xtl=\"1\" ytl=\"1\" xbr=\"1\" ybr=\"1\"/>"),
            "without label",
        ),
        (
            images("<polygon label=\"a\" points=\"1,1;2\"/>"),
            "without comma",
        ),
        (
            images(
                "<mask label=\"a\" rle=\"0, 7\" left=\"4\" top=\"5\" width=\"3\" height=\"2\"/>",
            ),
            "longer than",
        ),
        (
            images(
                "<mask label=\"a\" rle=\"0, 5\" left=\"4\" top=\"5\" width=\"3\" height=\"2\"/>",
            ),
            "shorter than",
        ),
        (
            images(
                "<mask label=\"a\" rle=\"0, 6\" left=\"38\" top=\"5\" width=\"3\" height=\"2\"/>",
            ),
            "does not fit",
        ),
        (
            images(
                "<mask label=\"a\" rle=\"4294967295,4294967295\" left=\"0\" top=\"0\" width=\"4294967295\" height=\"4294967295\"/>",
            ),
            "does not fit",
        ),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(
            error.starts_with("job 1.xml: ") && error.contains(says),
            "{error}"
        );
    }
    let huge = images("<mask label=\"a\" rle=\"0, 1600000000\" left=\"0\" top=\"0\" width=\"40000\" height=\"40000\"/>")
        .replace("\"40\"", "\"40000\"")
        .replace("\"30\"", "\"40000\"");
    assert!(parse(&huge).unwrap_err().to_string().contains("pixels"));
}

#[test]
fn names_stay_below_their_folder_and_a_mark_of_utf_8_is_passed_over() {
    let text = images("<tag label=\"a\"/>").replace("x/1.png", "/../x/./..\\\\../y.png");
    let (set, _) = parse(&format!("\u{feff}{text}")).unwrap();
    assert_eq!(set.items[0].file_name, "x/y.png");
}

#[test]
fn polygons_are_near_their_masks() {
    for mask in samples::masks() {
        let lines = crate::datasets::masks::polygons(&mask);
        assert!(overlap(&fill(&lines, mask.size()).unwrap(), &mask) >= 0.99);
    }
}
