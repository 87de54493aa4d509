//! Small files after reports to other readers, with the values that are right (tests/fixtures/dicom/cases).

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use ultramotion::{
    frame::Frame,
    sources::{ExpandOptions, Inputs, SourceOptions, expand, open},
};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dicom/cases")
        .join(name)
}

fn expanded(path: &Path) -> Inputs {
    let inputs: [OsString; 1] = [path.as_os_str().to_owned()];
    expand(&inputs, ExpandOptions::default(), &mut &b""[..])
}

/// All frames of an input, and the warnings but for burned-in annotation. Every source and frame must be sound.
fn frames(path: &Path, options: &SourceOptions) -> (Vec<Frame>, Vec<String>) {
    let (mut frames, mut warnings) = (Vec::new(), Vec::new());
    for (i, spec) in expanded(path).sources.into_iter().enumerate() {
        let mut source = open(&spec.expect("a source"), i, options).expect("a source that opens");
        while let Some(frame) = source.next_frame().expect("a frame") {
            frames.push(frame);
        }
        warnings.extend(
            source
                .take_warnings()
                .into_iter()
                .map(|w| w.problem.clone())
                .filter(|w| !w.contains("BurnedInAnnotation")),
        );
    }
    (frames, warnings)
}

/// The mean difference of a frame from a picture of 8-bit RGB.
fn off(frame: &Frame, expected: &[u8]) -> f64 {
    let shown = frame.image().expect("a picture in memory");
    assert_eq!(shown.data().len(), expected.len());
    let sum: u64 = shown
        .data()
        .iter()
        .zip(expected)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / expected.len() as f64
}

fn picture(name: &str) -> Vec<u8> {
    image::open(case(name))
        .expect("the expected picture")
        .to_rgb8()
        .into_raw()
}

#[test]
fn native_444_labelled_422_has_its_colours() {
    let (still, warnings) = frames(
        &case("dicom-422-full/full_1frame"),
        &SourceOptions::default(),
    );
    assert!(still.len() == 1 && off(&still[0], &picture("dicom-422-full/expected-000.png")) < 2.0);
    assert!(
        matches!(&warnings[..], [w] if w.contains("4:4:4")),
        "{warnings:?}"
    );
    let (cine, warnings) = frames(
        &case("dicom-422-full-cine/full_3frames"),
        &SourceOptions::default(),
    );
    assert_eq!((cine.len(), warnings.len()), (3, 1));
    for (i, frame) in cine.iter().enumerate() {
        assert!(
            off(
                frame,
                &picture(&format!("dicom-422-full-cine/expected-00{i}.png"))
            ) < 2.0,
            "frame {i}"
        );
    }
}

#[test]
fn files_without_preamble_are_read_alone_and_as_a_folder() {
    let study = case("dicom-no-preamble/study");
    let (together, _) = frames(&study, &SourceOptions::default());
    assert_eq!(together.len(), 8);
    assert!(expanded(&study).ignored.is_empty());
    for entry in std::fs::read_dir(&study).expect("the study") {
        let path = entry.expect("a file").path();
        let (alone, warnings) = frames(&path, &SourceOptions::default());
        assert!(
            alone.len() == 1 && warnings.is_empty(),
            "{}: {warnings:?}",
            path.display()
        );
        assert!(
            together
                .iter()
                .any(|frame| off(frame, alone[0].image().expect("a picture").data()) == 0.0),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_dicomdir_finds_its_files_with_an_extension() {
    for input in ["dicomdir-ext/cd_ext/DICOMDIR", "dicomdir-ext/cd_ext"] {
        assert_eq!(
            frames(&case(input), &SourceOptions::default()).0.len(),
            3,
            "{input}"
        );
    }
}

/// Stored values times the slope of 0.0001, in the window 0.2, 0.4 (LINEAR_EXACT).
fn narrow(stored: u16) -> u8 {
    let x = f64::from(stored) * 0.0001;
    ((((x - 0.2) / 0.4 + 0.5) * 255.0).clamp(0.0, 255.0) + 0.5).floor() as u8
}

#[test]
fn a_window_narrower_than_1_is_shown_and_accepted() {
    let mut options = SourceOptions::default();
    options.dicom.stored_values = true;
    for window in ["auto", "0.2,0.4"] {
        options.dicom.window = window.parse().expect("a window");
        let (shown, warnings) = frames(&case("narrow-window/pet_narrow"), &options);
        let stored = shown[0].stored.as_ref().expect("stored values");
        let expected: Vec<u8> = stored.values.iter().map(|&v| narrow(v)).collect();
        assert_eq!(
            shown[0].image().expect("a picture").data(),
            expected,
            "{window}"
        );
        assert!(
            expected.iter().any(|v| (1..255).contains(v)) && warnings.is_empty(),
            "{warnings:?}"
        );
    }
}

/// The picture that the JPEG of this case was made from, as libjpeg shows its YCbCr.
#[test]
fn a_jpeg_labelled_rgb_with_subsampled_chroma_has_its_colours() {
    let (shown, warnings) = frames(
        &case("jpeg-rgb-label-subsampled/jpeg_rgb_stated_sub2"),
        &SourceOptions::default(),
    );
    assert!(
        matches!(&warnings[..], [w] if w.contains("the stream is YCbCr")),
        "{warnings:?}"
    );
    assert!(
        off(
            &shown[0],
            &picture("jpeg-rgb-label-subsampled/expected-000.png")
        ) < 2.0
    );
}

#[test]
fn a_missing_number_of_frames_is_told() {
    let (shown, warnings) = frames(
        &case("frames-count-missing/nf_missing_3frames"),
        &SourceOptions::default(),
    );
    assert_eq!(shown.len(), 1);
    assert!(
        matches!(&warnings[..], [w] if w.contains("NumberOfFrames is absent, but the pixel data hold 3 frames")),
        "{warnings:?}"
    );
}
