//! What is written is read back; what Label Studio exports is read; what is broken is refused.

use super::{convert::Reading, reader::read_from, *};
use crate::{
    datasets::{
        MaskForm, Outline,
        masks::{Budget, crop, fill, overlap, polygons},
        reader::{Dataset, DatasetError},
        samples::{self, Compare, assert_same, options, write},
    },
    frame::Mask,
    geometry::Size,
};
use proptest::prelude::*;
use std::{fs, path::Path};

fn parse(text: &str) -> Result<(Dataset, Vec<String>), DatasetError> {
    let (path, mut warnings) = (Path::new("export.json"), Vec::new());
    read_from(text.as_bytes(), path, Reading::default(), &mut warnings).map(|set| (set, warnings))
}

fn task(image: &str, regions: &str) -> String {
    format!(
        r#"[{{"id":5,"data":{{"image":"{image}"}},"annotations":[{{"result":[{regions}]}}],"predictions":[17]}}]"#
    )
}

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
        for results in [ResultsAs::Scored, ResultsAs::Annotations] {
            let dir = tempfile::tempdir().unwrap();
            let mut settings = LabelStudioOptions::new(form);
            settings.results = results;
            write(
                LabelStudioWriter::new(options(dir.path()), settings),
                &items,
            );
            let path = dir.path().join("labelstudio.json");
            assert!(sniff(&path));
            let set = read(&path, &mut Vec::new()).unwrap();
            assert_same(&set, &items, compare);
            assert_eq!(&*set.classes[1], "Gefäß");
            assert_eq!(set.items[4].place.as_ref().unwrap().frame, 0);
        }
    }
}

#[test]
fn addresses_are_of_local_files_or_relative() {
    let dir = tempfile::tempdir().unwrap();
    let first = |image: ImageUrl| {
        let mut settings = LabelStudioOptions::new(MaskForm::Rle);
        settings.image = image;
        write(
            LabelStudioWriter::new(options(dir.path()), settings),
            &samples::stills(),
        );
        let text = fs::read_to_string(dir.path().join("labelstudio.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json[0]["data"]["image"].as_str().unwrap().to_owned()
    };
    let name = "a%20b/M%C3%B6we%20%26%20%22x%22%20%3Cy%3E.png";
    assert_eq!(
        first(ImageUrl::default()),
        format!("/data/local-files/?d=images/{name}")
    );
    let prefix = Some("set 1/".to_owned());
    assert_eq!(
        first(ImageUrl::LocalFiles { prefix }),
        format!("/data/local-files/?d=set%201/{name}")
    );
    let plain = first(ImageUrl::Relative { prefix: None });
    assert_eq!(plain, "images/a b/Möwe & \"x\" <y>.png");
}

#[test]
fn regions_of_an_export_are_read_and_others_counted() {
    let size = r#""original_width":200,"original_height":100"#;
    let (set, warnings) = parse(&task(
        "/data/upload/3/0a1b2c3d-M%20w.png",
        &format!(
            r#"{{"id":"a","type":"rectangle",{size},"value":{{"x":10,"y":10,"width":5,"height":20,"rotation":0}}}},
               {{"id":"a","type":"labels",{size},"value":{{"x":10,"y":10,"labels":["late"]}}}},
               {{"id":"b","type":"rectanglelabels",{size},"value":{{"x":50,"y":50,"width":10,"height":10,"rotation":90,"rectanglelabels":["z"]}}}},
               {{"id":"c","type":"ellipselabels",{size},"value":{{"x":50,"y":50,"radiusX":10,"radiusY":10,"ellipselabels":["e"]}}}},
               {{"id":"d","type":"keypointlabels",{size},"value":{{"x":5,"y":5,"keypointlabels":["k"]}}}},
               {{"id":"e","type":"choices","value":{{"choices":["good"]}}}},
               {{"type":"rectangle",{size},"value":{{"x":10,"y":10,"width":5,"height":20}}}}"#
        ),
    ))
    .unwrap();
    let item = &set.items[0];
    assert_eq!(
        (item.file_name.as_str(), item.size),
        ("M w.png", Size::new(200, 100))
    );
    assert_eq!(
        set.classes.iter().map(|c| &**c).collect::<Vec<_>>(),
        ["e", "late", "z"]
    );
    let found = &item.annotations;
    assert_eq!(found.len(), 3);
    assert_eq!(
        (
            found[0].bbox.x0,
            found[0].bbox.y1,
            found[0].outline.as_ref()
        ),
        (20.0, 30.0, None)
    );
    // Turned about its upper left corner.
    assert!((found[1].bbox.x0 - 90.0).abs() < 1e-4 && (found[1].bbox.y1 - 70.0).abs() < 1e-4);
    assert!(matches!(&found[2].outline, Some(Outline::Polygons(lines)) if lines[0].len() == 64));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn the_last_annotation_that_counts_is_taken_and_else_a_prediction() {
    let set = |label: &str, more: &str| {
        format!(
            r#"{{{more}"result":[{{"type":"rectanglelabels","original_width":10,"original_height":10,"value":{{"x":1,"y":1,"width":2,"height":2,"rectanglelabels":["{label}"]}}}}]}}"#
        )
    };
    let cancelled = r#""was_cancelled":true,"#;
    let text = format!(
        r#"[{{"data":{{"image":"a.png"}},"annotations":[{},{},{}]}},{{"data":{{"image":"b.png"}},"annotations":[],"predictions":[{}]}},
           {{"data":{{"image":"c.png"}},"completions":[{}]}},{{"data":{{"image":"d.png"}},"annotations":[]}},{{"data":{{"text":"x"}}}}]"#,
        set("1", ""),
        set("2", ""),
        set("3", cancelled),
        set("4", ""),
        set("5", "")
    );
    let (set, warnings) = parse(&text).unwrap();
    let labels: Vec<_> = set.items.iter().map(|i| &*i.annotations[0].label).collect();
    assert_eq!(labels, ["2", "4", "5"]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn any_brush_stroke_comes_back_and_every_cut_of_it_is_refused() {
    for mask in samples::masks() {
        let bytes = brush::encode(&mask).unwrap();
        let decode = |bytes: &[u8]| brush::decode(bytes, mask.size(), &mut Budget::default());
        assert_eq!(decode(&bytes), Ok(mask.clone()));
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err());
        }
        let other = brush::decode(&bytes, Size::new(5, 5), &mut Budget::default());
        assert!(other.unwrap_err().contains("a picture of 5×5 has 100"));
    }
}

proptest! {
    #[test]
    fn any_mask_comes_back_from_its_rows(
        width in 1..9u32,
        pixels in proptest::collection::vec(prop_oneof![3 => Just(0u8), 2 => Just(1)], 8..72),
    ) {
        let size = Size::new(width, pixels.len() as u32 / width);
        let mask = Mask::from_row_major(size, &pixels[..size.pixels() as usize]).unwrap();
        let bytes = brush::encode(&mask).unwrap();
        prop_assert_eq!(brush::decode(&bytes, size, &mut Budget::default()), Ok(mask.clone()));
        let cut = crop(&mask);
        prop_assert_eq!(cut.is_some(), mask.area() > 0);
        if let Some(cut) = cut {
            prop_assert_eq!(cut.counts.iter().sum::<u64>(), cut.size.pixels());
            let inside: u64 = cut.counts.iter().skip(1).step_by(2).sum();
            prop_assert_eq!(inside, mask.area());
        }
        prop_assert_eq!(fill(&polygons(&mask), size).map(|f| overlap(&f, &mask) >= 0.99), Ok(true));
    }
}

#[test]
fn strokes_are_those_of_the_converter() {
    let size = Size::new(3, 2);
    let mask = Mask::from_row_major(size, &[0, 1, 0, 0, 1, 1]).unwrap();
    // From `label_studio_sdk.converter.brush.mask2rle` of version 2.1.2.
    let bytes = [0, 0, 0, 24, 57, 27, 252, 96, 17, 255, 206, 1, 63, 248];
    assert_eq!(brush::encode(&mask).as_deref(), Some(bytes.as_slice()));
    // Values of 4 bits, lengths of 5: 24 singles, of which the alpha of pixel 1 is 8.
    let mut bits = format!(
        "{:032b}{:05b}{}0{:02b}{:05b}",
        24,
        3,
        "0100".repeat(4),
        0,
        23
    );
    bits.extend((0..24).map(|i| if i == 7 { "1111" } else { "0000" }));
    let singles: Vec<u8> = (0..bits.len().div_ceil(8))
        .map(|i| {
            u8::from_str_radix(
                &format!("{:0<8}", &bits[8 * i..bits.len().min(8 * i + 8)]),
                2,
            )
            .unwrap()
        })
        .collect();
    let found = brush::decode(&singles, size, &mut Budget::default());
    assert_eq!(found, Ok(Mask::from_row_major(size, &[0; 6]).unwrap()));
}

#[test]
fn broken_and_hostile_files_are_errors_that_name_the_task() {
    let region = |value: &str| {
        format!(
            r#"{{"type":"brushlabels","original_width":10,"original_height":10,"value":{{"brushlabels":["a"],{value}}}}}"#
        )
    };
    for (text, says) in [
        ("{}".to_owned(), "a list of tasks"),
        ("[{}]".to_owned(), "task 0: it has no data"),
        ("[1]".to_owned(), "task 0"),
        ("[".to_owned(), "EOF"),
        (
            task("a", &region("\"rle\":[0,0,1,144,57,27,252]")),
            "task 0: region 0 (brushlabels): the brush stroke ends early",
        ),
        (
            task("a", &region("\"rle\":[0,0,9,144,57,27,252]")),
            "the brush stroke has 2448 bytes",
        ),
        (task("a", &region("\"rle\":[256]")), "256"),
        (
            task(
                "a",
                r#"{"type":"rectangle","value":{"rectanglelabels":["a"]}}"#,
            ),
            "original_width",
        ),
    ] {
        let error = parse(&text).map(|_| text.clone()).unwrap_err().to_string();
        assert!(
            error.starts_with("export.json: ") && error.contains(says),
            "{error}"
        );
    }
}
