use super::*;
use crate::{
    coco::Classes,
    datasets::item::{Outline, Place},
    frame::{Mask, SourceKind},
    geometry::{BoxXyxy, Size},
};
use std::{fs, path::Path, time::Duration};

fn annotation(class: u32, label: &str, x: f32, outline: Option<Outline>) -> Annotation {
    Annotation {
        class,
        label: label.into(),
        bbox: BoxXyxy::new(x, 1.0, x + 2.04, 3.0),
        outline,
        score: Some(0.9),
        mask_score: None,
        track_id: None,
        visibility: None,
        visibility_score: None,
    }
}

fn still(name: &str, annotations: Vec<Annotation>) -> Item {
    Item {
        file_name: name.into(),
        size: Size::new(4, 3),
        place: None,
        annotations,
        physical: None,
        exif_orientation: None,
        changes: Vec::new(),
        original: None,
    }
}

fn frame(source: &str, frame: u64, annotations: Vec<Annotation>) -> Item {
    Item {
        place: Some(Place {
            source: source.into(),
            kind: SourceKind::Video,
            path: format!("{source}.mp4").into(),
            file: None,
            frame,
            timestamp: Some(Duration::from_millis(frame * 40)),
            frame_rate: Some(25.0),
            attributes: Default::default(),
        }),
        ..still(&format!("{source}/{frame:06}.png"), annotations)
    }
}

fn items() -> Vec<Item> {
    let mask = Mask::from_counts(Size::new(4, 3), vec![4, 2, 1, 2, 3]).unwrap();
    let mask = Some(Outline::Mask(mask));
    let hole = Some(Outline::Polygons(vec![vec![
        [0.0, 0.5],
        [2.0, 0.5],
        [2.0, 3.0],
    ]]));
    vec![
        still(
            "a/</script><b>ü #?%.png",
            vec![annotation(0, "bone", 1.0, None)],
        ),
        frame("clip", 0, vec![]),
        frame(
            "clip",
            1,
            vec![annotation(1, "</script>", 0.0, mask.clone())],
        ),
        frame("clip", 2, vec![]),
        frame(
            "other",
            0,
            vec![
                annotation(0, "bone", 0.0, hole),
                annotation(0, "bone", 1.9, None),
            ],
        ),
    ]
}

fn page(root: &Path, items: &[Item]) -> String {
    let options = WriteOptions {
        root: root.into(),
        classes: Classes::new(["bone"]),
        images: Some("images".into()),
        masks: Default::default(),
        parts: Default::default(),
    };
    let report = ReportOptions::new("t", 0.5);
    let mut writer = ReportWriter::new(&options, &report).unwrap();
    for item in items {
        writer.item(item).unwrap();
        assert!(!root.join(ReportWriter::FILE).exists());
    }
    writer.finish().unwrap();
    fs::read_to_string(root.join(ReportWriter::FILE)).unwrap()
}

#[test]
fn items_become_lines_in_which_nothing_ends_the_script() {
    let dir = tempfile::tempdir().unwrap();
    let page = page(dir.path(), &items());
    let (_, rest) = page.split_once("id=\"frames\">\n").unwrap();
    let (lines, _) = rest.split_once("</script>").unwrap();
    let expected = [
        r#"f["a/\u003c/script>\u003cb>ü #?%.png",4,3,0,0,null,null,[[0,[1.0,1.0,3.0,3.0],0.9,null,null]],0.0,[]]"#,
        r#"s["clip","video","clip.mp4",25.0]"#,
        r#"f["clip/000000.png",4,3,1,0,0.0,null,[],0.0,[]]"#,
        r#"c[1,"\u003c/script>"]"#,
        r#"f["clip/000001.png",4,3,1,1,0.04,null,[[1,[0.0,1.0,2.0,3.0],0.9,null,null]],0.7,[[2,0,0.7,2.0]]]"#,
        r#"m["42102"]"#,
        r#"f["clip/000002.png",4,3,1,2,0.08,null,[],0.0,[]]"#,
        r#"s["other","video","other.mp4",25.0]"#,
        r#"f["other/000000.png",4,3,1,0,0.0,null,[[0,[0.0,1.0,2.0,3.0],0.9,null,null],[0,[1.9,1.0,3.9,3.0],0.9,null,null]],0.0,[]]"#,
        r#"m[[[[0.0,0.5],[2.0,0.5],[2.0,3.0]]],null]"#,
    ];
    let found: Vec<&str> = lines.lines().collect();
    assert_eq!(found, expected);
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn the_same_items_give_the_same_bytes() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let pages = dirs.each_ref().map(|dir| page(dir.path(), &items()));
    assert!(pages[0] == pages[1]);
    for dir in &dirs {
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn numbers_that_json_has_no_form_for_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = WriteOptions {
        root: dir.path().into(),
        classes: Classes::default(),
        images: None,
        masks: Default::default(),
        parts: Default::default(),
    };
    let mut writer = ReportWriter::new(&options, &ReportOptions::new("t", 0.5)).unwrap();
    let mut item = still("a.png", vec![annotation(0, "bone", 0.0, None)]);
    item.annotations[0].score = Some(f32::NAN);
    let error = writer.item(&item).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::NotFinite);
    assert!(error.to_string().starts_with("a.png: object 0 "));
    // A page that is not finished leaves nothing.
    drop(writer);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
