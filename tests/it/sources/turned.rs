//! EXIF turns in the outputs, and pictures that are not read by name.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use ultramotion::{
    coco::Classes,
    datasets::{Export, ExportSource},
    frame::{Detections, SourceKind},
    run::{InputProblems, Record},
    sinks::{Layout, OutputKind, Sink, SinkOptions, SinkSet, Stills},
    sources::{
        ExpandOptions, ImageOptions, ImageSource, SequenceSource, Source, SourceSpec, expand,
    },
};

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media")
        .join(name)
}

fn lines(path: PathBuf) -> Vec<serde_json::Value> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_outputs_say_by_which_exif_orientation_a_picture_was_turned() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let mut record = Record::create(&layout).unwrap();
    let classes = Classes::new(["thing"]);
    let options = SinkOptions {
        images: ultramotion::sinks::ImagesMode::None,
        outputs: "jsonl,coco".parse().unwrap(),
        classes,
        stills: Stills::Skip,
        threads: 1,
    };
    let mut sinks = SinkSet::new(&layout, &options).unwrap();
    let spec = |name: &str, kind| SourceSpec {
        path: media(name),
        kind,
        files: vec![media(name)],
        name: name.to_owned(),
        folder: None,
    };
    let options = ImageOptions::default();
    let sources: Vec<Box<dyn Source>> = vec![
        Box::new(
            ImageSource::open(&spec("orientation1.jpg", SourceKind::Image), 0, &options).unwrap(),
        ),
        Box::new(
            ImageSource::open(&spec("orientation6.jpg", SourceKind::Image), 1, &options).unwrap(),
        ),
        Box::new(SequenceSource::new(
            &spec("orientation3.jpg", SourceKind::Sequence),
            2,
            &options,
        )),
    ];
    for mut source in sources {
        let info = Arc::clone(source.info());
        sinks.begin_source(&info).unwrap();
        while let Some(frame) = source.next_frame().unwrap() {
            let size = frame.size();
            let result = Detections::new(size, vec![]);
            record.append(&frame, &result).unwrap();
            sinks.write(&frame, &result).unwrap();
        }
        sinks.end_source(&info).unwrap();
        record.end_source(&info, InputProblems::default()).unwrap();
    }
    sinks.finish().unwrap();
    Export::new([OutputKind::Coco])
        .write(
            ExportSource::Record(&layout.record(), &Classes::new(["thing"])),
            dir.path(),
        )
        .unwrap();
    let turns = |values: &[serde_json::Value]| {
        values
            .iter()
            .map(|v| v.get("exif_orientation").and_then(|n| n.as_u64()))
            .collect::<Vec<_>>()
    };
    assert_eq!(turns(&lines(layout.record())), [None, Some(6), Some(3)]);
    let coco: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("coco.json")).unwrap()).unwrap();
    assert_eq!(
        turns(coco["images"].as_array().unwrap()),
        [None, Some(6), Some(3)]
    );
}

#[test]
fn heic_and_avif_are_named_with_the_way_out_wherever_they_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for (file, copy, words) in [
        ("cases/p.heic", "photo.heic", ["HEIC", "heif-convert"]),
        ("cases/p.heic", "photo.jpg", ["HEIC", "heif-convert"]),
        ("cases/rot.avif", "photo.avif", ["AVIF", "avifdec"]),
        ("cases/rot.avif", "photo.mp4", ["AVIF", "avifdec"]),
        ("cases/rot.avif", "photo", ["AVIF", "avifdec"]),
    ] {
        let folder = dir.path().join(copy.replace('.', "-"));
        fs::create_dir(&folder).unwrap();
        let path = folder.join(copy);
        fs::copy(media(file), &path).unwrap();
        for input in [&path, &folder] {
            let found = expand(
                &[input.clone().into()],
                ExpandOptions::default(),
                &mut &b""[..],
            );
            let [Err(error)] = &found.sources[..] else {
                panic!("{copy}: {found:?}")
            };
            let text = error.to_string();
            assert!(
                words.iter().all(|word| text.contains(word))
                    && error.path == path
                    && !text.contains("damaged"),
                "{text}"
            );
        }
    }
}
