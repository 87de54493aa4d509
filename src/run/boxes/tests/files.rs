//! Files of boxes and of images: what is read from them, and what is refused.

use super::*;

#[test]
fn classes_are_those_of_names_then_ids_then_places() {
    let text = "\u{feff}{\"images\":[{\"id\":7,\"file_name\":\"a/x.png\"},{\"id\":9,\"file_name\":\"b/y.png\"}],
        \"annotations\":[{\"image_id\":7,\"category_id\":90,\"bbox\":[1,2,3,4]},{\"image_id\":9,\"category_id\":5,\"bbox\":[0,0,1,1],\"iscrowd\":1}],
        \"categories\":[{\"id\":90,\"name\":\"toothbrush\"},{\"id\":5,\"name\":\"aeroplane\"}]}";
    let known = read(text, &Classes::new(COCO_NAMES)).unwrap();
    let first = &known.images[0].prompts[0];
    assert_eq!(
        (&*first.label, first.class, first.bbox),
        ("toothbrush", 79, BoxXyxy::new(1.0, 2.0, 4.0, 6.0))
    );
    assert!(known.images[1].prompts.is_empty(), "crowds are left out");
    assert_eq!(
        read(text, &Classes::default()).unwrap().images[0].prompts[0].class,
        1,
        "the second of the file's categories"
    );
}

#[test]
fn results_without_images_are_those_of_published_coco_images_alone() {
    let text = r#"[{"image_id":139,"category_id":1,"bbox":[1,2,3,4],"score":0.5},
        {"image_id":139,"category_id":2,"score":0.4,"segmentation":{"size":[3,3],"counts":"09"}},
        {"image_id":139,"category_id":2,"score":0.3,"segmentation":{"size":[3,3],"counts":"9"}}]"#;
    let prompts = read(text, &Classes::new(["bone"])).unwrap();
    let found_in = |path| found(&prompts, &[still(path, "x")]).pop().unwrap();
    assert_eq!(found_in("val/000000000139.jpg"), Some(vec![1.0, 0.0]));
    for other in [
        "val/000000000140.jpg",
        "000139.png",
        "139.png",
        "frames/139.png",
    ] {
        assert_eq!(found_in(other), None, "{other}");
    }
    let labels: Vec<(&str, u32)> = prompts.images[0]
        .prompts
        .iter()
        .map(|p| (&*p.label, p.class))
        .collect();
    assert_eq!(labels, [("bone", 0), ("class 1", 1)]);
}

#[test]
fn results_with_images_are_those_of_these_images() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let list = put(
        "coco_results.json",
        r#"[{"image_id":2,"category_id":5,"bbox":[1,2,3,4],"score":0.5}]"#,
    );
    let images = r#"{"images":[{"id":1,"file_name":"s/000002.png"},{"id":2,"file_name":"s/000003.png"}],"annotations":[],"categories":[{"id":5,"name":"cyst"}]}"#;
    let images = put("coco.json", images);
    let files = || [sequence("s", "s", &["000002.png", "000003.png"])];
    let none = BoxPrompts::read(&list, &Classes::default()).unwrap();
    assert_eq!(
        found(&none, &files()),
        [None, None],
        "nothing says whose numbers they are"
    );
    let named = BoxPrompts::read_with_images(&list, Some(&images), &Classes::default()).unwrap();
    assert_eq!(found(&named, &files()), [Some(vec![]), Some(vec![1.0])]);
    assert_eq!(&*named.images[1].prompts[0].label, "cyst");
    put("run.json", r#"{"program":"ultramotion"}"#);
    let beside = BoxPrompts::read(&list, &Classes::default()).unwrap();
    assert_eq!(found(&beside, &files()), [Some(vec![]), Some(vec![1.0])]);
    let error = BoxPrompts::read_with_images(&images, Some(&images), &Classes::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("leave the file of images out"), "{error}");
    let other = put(
        "other.json",
        r#"[{"image_id":3,"category_id":5,"bbox":[1,2,3,4],"score":0.5}]"#,
    );
    let error = BoxPrompts::read_with_images(&other, Some(&images), &Classes::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("image 3") && error.contains("give the COCO file that belongs to it"),
        "{error}"
    );
}

#[test]
fn files_that_hold_no_boxes_or_contradict_themselves_are_errors() {
    let classes = Classes::default();
    for text in [
        "{",
        "[1]",
        "hello",
        r#"{"images":[]}"#,
        r#"[{"image_id":1,"category_id":0,"bbox":[0,0,1,1]}]"#,
    ] {
        assert!(read(text, &classes).is_err(), "{text}");
    }
    assert!(
        read("", &classes).unwrap().is_empty()
            && read("[]", &classes).unwrap().is_empty()
            && read("\u{feff}", &classes).unwrap().is_empty()
    );
    assert!(
        read(r#"[{"image_id":1,"category_id":1}]"#, &classes)
            .unwrap_err()
            .to_string()
            .contains("no box")
    );
    let twice =
        r#"{"images":[{"id":1,"file_name":"a"},{"id":1,"file_name":"b"}],"annotations":[]}"#;
    assert!(
        read(twice, &classes)
            .unwrap_err()
            .to_string()
            .contains("several images have the id 1")
    );
    let stray = r#"{"images":[{"id":1,"file_name":"a"}],"annotations":[{"image_id":2,"category_id":1,"bbox":[0,0,1,1]}]}"#;
    assert!(
        read(stray, &classes)
            .unwrap_err()
            .to_string()
            .contains("image 2")
    );
    let again = line("v", "video", "v.mp4", None, 3, 1.0).repeat(2);
    assert!(
        read(&again, &classes)
            .unwrap_err()
            .to_string()
            .contains("line 2 is not a frame's result: frame 3 of v was there before")
    );
    assert!(
        BoxPrompts::read(Path::new("/no/such.json"), &classes)
            .unwrap_err()
            .to_string()
            .starts_with("/no/such.json: cannot open")
    );
}
