//! What is written is read back; what others write is read; what is broken is refused.

use super::*;
use crate::datasets::{
    MaskForm, Outline,
    samples::{self, Compare, assert_same, options, write},
};
use std::fs;

#[test]
fn pictures_come_back() {
    let items: Vec<_> = samples::stills()
        .into_iter()
        .chain(samples::frames())
        .collect();
    for (form, compare) in [
        (MaskForm::Rle, Compare::Exact),
        (MaskForm::Polygon, Compare::Near),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(LabelmeWriter::new(options(dir.path()), form), &items);
        let root = dir.path().join("labelme");
        assert!(sniff(&root));
        let set = read(&root, &mut Vec::new()).unwrap();
        assert_same(&set, &items, compare);
        assert_eq!(&*set.classes[1], "Gefäß");
    }
}

#[test]
fn the_picture_is_named_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path_of = |images: Option<&str>| {
        let mut options = options(dir.path());
        options.images = images.map(Into::into);
        write(
            LabelmeWriter::new(options, MaskForm::Polygon),
            &samples::stills(),
        );
        let text = fs::read(dir.path().join("labelme/a b/Möwe & \"x\" <y>.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        json["imagePath"].as_str().unwrap().to_owned()
    };
    let name = "Möwe & \"x\" <y>.png";
    assert_eq!(path_of(Some("images")), format!("../../images/a b/{name}"));
    assert_eq!(path_of(Some("../in")), format!("../../../in/a b/{name}"));
    assert_eq!(path_of(Some("/data")), format!("/data/a b/{name}"));
    assert_eq!(path_of(None), name);
}

#[test]
fn files_of_others_are_read_and_other_shapes_counted() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("other.json"), "{}").unwrap();
    fs::write(
        dir.path().join("sub/1.json"),
        r#"{"version":"3.16.7","shapes":[
            {"label":"b","points":[[9,8],[1,2]],"shape_type":"rectangle","flags":{}},
            {"label":"a","points":[[1,1],[5,1],[5,5]],"line_color":null,"group_id":4},
            {"label":"a","points":[[11,1],[15,1],[15,5]],"shape_type":"polygon","group_id":4,"difficult":false,"score":null},
            {"label":"b","points":[[10,10],[13,14]],"shape_type":"circle","score":0.5},
            {"label":"c","points":[[1,1]],"shape_type":"point"},
            {"label":"c","points":[[1,1],[2,2]],"shape_type":"line","track_id":"x"}],
            "imagePath":"..\\pictures\\1.jpg","imageData":"AAAA","imageHeight":30,"imageWidth":40}"#,
    )
    .unwrap();
    let mut warnings = Vec::new();
    let set = read(dir.path(), &mut warnings).unwrap();
    let item = &set.items[0];
    assert_eq!(item.file_name, "sub/1.jpg");
    assert_eq!(
        set.classes.iter().map(|c| &**c).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(item.annotations.len(), 3);
    assert_eq!(
        (
            item.annotations[0].bbox.x0,
            item.annotations[0].outline.as_ref()
        ),
        (1.0, None)
    );
    assert!(
        matches!(&item.annotations[1].outline, Some(Outline::Polygons(lines)) if lines.len() == 2)
    );
    assert!((item.annotations[2].bbox.width() - 10.0).abs() < 1e-4);
    assert_eq!(item.annotations[2].score, Some(0.5));
    assert_eq!(warnings.len(), 3);
    assert!(
        warnings[0].contains("JSON file that is not of labelme: 1"),
        "{warnings:?}"
    );
}

#[test]
fn broken_and_hostile_files_are_errors_that_name_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let file = |shape: &str| {
        format!(
            r#"{{"shapes":[{{"label":"l",{shape}}}],"imagePath":"a.png","imageHeight":30,"imageWidth":40}}"#
        )
    };
    for (text, says) in [
        ("[]".to_owned(), "not JSON of labelme"),
        (
            r#"{"shapes":[]}"#.to_owned(),
            "imageWidth or imageHeight is missing",
        ),
        (
            file(r#""points":[[1,2]],"shape_type":"rectangle""#),
            "shape 0 (\"l\"): it has 1 points",
        ),
        (
            file(r#""points":[[1e300,2],[1,2],[3,4]]"#),
            "beyond all numbers",
        ),
        (
            file(r#""points":[[1,2]],"shape_type":"mask""#),
            "a mask without pixels",
        ),
        (
            file(r#""points":[[1,2]],"shape_type":"mask","mask":"*""#),
            "not base64",
        ),
        (
            file(r#""points":[[1,2]],"shape_type":"mask","mask":"AAAA""#),
            "no PNG",
        ),
    ] {
        fs::write(&path, &text).unwrap();
        let error = read(&path, &mut Vec::new()).unwrap_err();
        assert!(
            error.path == path && error.to_string().contains(says),
            "{error}"
        );
    }
}
