//! Bad inputs beside good ones: a clear error for each bad one, all good ones done, exit code 2, no panic.

use crate::common::{program, stderr};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

/// A detector that is there, so that the options are what is refused.
const DETECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/dfine-n-phantom");

fn extract(inputs: &[&Path], output: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command
        .arg("extract")
        .arg("--output")
        .arg(output)
        .args(more);
    for input in inputs {
        command.arg("--input").arg(input);
    }
    command.output().unwrap()
}

fn pngs(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| {
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pngs(&path)
                } else {
                    usize::from(path.extension() == Some(OsStr::new("png")))
                }
            })
            .sum()
    })
}

fn picture() -> image::RgbImage {
    image::RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([(x * 4) as u8, (y * 5) as u8, 90])
    })
}

/// Good files of every image format.
fn good(folder: &Path) -> Vec<PathBuf> {
    ["png", "jpg", "tiff", "bmp", "webp"]
        .iter()
        .map(|extension| {
            let path = folder.join(format!("good.{extension}"));
            picture().save(&path).unwrap();
            path
        })
        .collect()
}

/// A PNG that says it is 50,000×50,000 and has next to no data.
fn giant_png(path: &Path) {
    let mut bytes = Vec::new();
    picture()
        .write_to(
            &mut std::io::Cursor::new(&mut bytes),
            image::ImageFormat::Png,
        )
        .unwrap();
    bytes[16..20].copy_from_slice(&50_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&50_000u32.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            if c & 1 == 1 {
                (c >> 1) ^ 0xEDB8_8320
            } else {
                c >> 1
            }
        })
    })
}

#[test]
fn truncated_empty_lying_and_giant_files_fail_alone() {
    let dir = tempfile::tempdir().unwrap();
    let good = good(dir.path());
    let mut bad = Vec::new();
    for path in &good {
        let bytes = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        for (kind, cut) in [
            ("empty", 0),
            ("head", 10.min(bytes.len())),
            ("half", bytes.len() / 2),
        ] {
            let path = dir.path().join(format!("{kind}-{name}"));
            fs::write(&path, &bytes[..cut]).unwrap();
            bad.push(path);
        }
    }
    for (name, text) in [
        ("text.png", "not a picture"),
        ("text.mp4", "not a video"),
        ("text.dcm", "not DICOM"),
        ("text.avi", "RIFF"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        bad.push(path);
    }
    bad.push(dir.path().join("absent.png"));
    let giant = dir.path().join("giant.png");
    giant_png(&giant);
    bad.push(giant.clone());

    let all: Vec<&Path> = bad.iter().chain(&good).map(PathBuf::as_path).collect();
    let output = dir.path().join("out");
    let done = extract(&all, &output, &[]);
    let text = stderr(&done);
    assert_eq!(done.status.code(), Some(2), "{text}");
    assert!(
        !text.contains("panicked") && !text.contains("internal error"),
        "{text}"
    );
    for path in &bad {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains(path.to_str().unwrap()))
            .collect();
        assert_eq!(lines.len(), 1, "{}: {lines:?}", path.display());
    }
    assert!(
        text.lines()
            .any(|l| l.contains("giant.png") && l.contains("50000")),
        "{text}"
    );
    assert_eq!(pngs(&output.join("frames")), good.len(), "{text}");
}

#[test]
fn an_extension_that_lies_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let png = dir.path().join("a.png");
    picture().save(&png).unwrap();
    let lying = dir.path().join("a.mp4");
    fs::rename(&png, &lying).unwrap();
    let output = dir.path().join("out");
    let done = extract(&[&lying], &output, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(pngs(&output.join("frames")), 1);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_works() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let strange = dir.path().join(OsStr::from_bytes(b"caf\xe9 \xff.png"));
    let plain = dir.path().join("plain.png");
    picture().save(&plain).unwrap();
    fs::copy(&plain, &strange).unwrap();
    let output = dir.path().join("out");
    let done = extract(
        &[&strange, &plain],
        &output,
        &["--write", "jsonl,coco,frames,overlay"],
    );
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(pngs(&output.join("frames")), 2);
}

#[test]
fn stop_ends_at_the_first_bad_input_and_skip_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.png");
    picture().save(&good).unwrap();
    let bad = dir.path().join("bad.png");
    fs::write(&bad, &fs::read(&good).unwrap()[..60]).unwrap();
    let stopped = extract(
        &[&bad, &good],
        &dir.path().join("stop"),
        &["--on-error", "stop"],
    );
    assert_eq!(stopped.status.code(), Some(2));
    assert_eq!(pngs(&dir.path().join("stop/frames")), 0);
    let skipped = extract(&[&bad, &good], &dir.path().join("skip"), &[]);
    assert_eq!(skipped.status.code(), Some(2));
    assert_eq!(pngs(&dir.path().join("skip/frames")), 1);
}

#[test]
fn an_output_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.png");
    picture().save(&good).unwrap();
    let output = good.join("below-a-file");
    let done = extract(&[&good], &output, &[]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("below-a-file"), "{}", stderr(&done));
}

#[test]
fn hostile_and_foreign_checkpoints_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.png");
    picture().save(&good).unwrap();
    let huge_header = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
    let foreign = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let foreign = [
        (foreign.len() as u64).to_le_bytes().as_slice(),
        foreign,
        &[0; 4],
    ]
    .concat();
    for (name, bytes) in [
        ("empty.pth", Vec::new()),
        ("huge.safetensors", huge_header),
        ("foreign.safetensors", foreign),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut command = program();
        command
            .arg("detect")
            .arg("--input")
            .arg(&good)
            .arg("--detector")
            .arg(&path)
            .arg("--output")
            .arg(dir.path().join("out"));
        let done = command.output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{name}");
        assert!(
            stderr(&done).contains(name) && !stderr(&done).contains("internal error"),
            "{}",
            stderr(&done)
        );
    }
}

#[test]
fn the_place_of_decoding_is_recorded_and_nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media/h264.mp4");
    let run = |more: &[&str], name: &str| extract(&[&clip], &folder.path().join(name), more);
    let done = run(&["--verbose", "--frames", "..2"], "out");
    assert!(
        done.status.success() && stderr(&done).contains("h264.mp4: decoded on the CPU"),
        "{}",
        stderr(&done)
    );
    let mut report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("out/run.json")).unwrap()).unwrap();
    let ahead = report["decoding"]
        .as_object_mut()
        .and_then(|decoding| decoding.remove("most_ahead_bytes"));
    assert!(ahead.unwrap().as_u64().unwrap() > 0);
    assert_eq!(
        report["decoding"],
        serde_json::json!({ "gpu": 0, "cpu": 1, "sources": [{ "source": "h264", "decoder": "cpu" }] })
    );
    let nonsense = run(&["--decode", "nvdec"], "a");
    assert_eq!(nonsense.status.code(), Some(64), "{}", stderr(&nonsense));
    assert!(
        stderr(&nonsense)
            .contains("--decode: nvdec: not a place to decode at; use auto, cpu or gpu"),
        "{}",
        stderr(&nonsense)
    );
    let mut detect = program();
    detect
        .args(["detect", "--device", "cpu", "--decode", "gpu", "--output"])
        .arg(folder.path().join("b"))
        .arg("--input")
        .arg(&clip);
    let refused = detect.output().unwrap();
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("--decode gpu: the device is the CPU; run with --device cuda"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_command_line_that_makes_no_sense_is_64() {
    let run = |args: &[&str]| program().args(args).output().unwrap();
    assert_eq!(run(&["extract"]).status.code(), Some(64));
    assert_eq!(
        run(&["extract", "--input", "x", "--frames", "5..2"])
            .status
            .code(),
        Some(64)
    );
    assert_eq!(
        run(&["extract", "--input", "x", "--write", "gif"])
            .status
            .code(),
        Some(64)
    );
    assert_eq!(
        run(&[
            "detect",
            "--input",
            "x",
            "--detector",
            "dfine-n",
            "--device",
            "gpu"
        ])
        .status
        .code(),
        Some(64)
    );
    for options in [
        &["--batch", "0"][..],
        &["--batch", "many"],
        &["--batch", "65"],
        &["--batch", "2", "--device", "cpu"],
        &["--mode", "fast"],
        &["--mode", "resident", "--device", "cpu"],
        &["--devices", "1,1"],
        &["--devices", "0", "--device", "cpu"],
        &["--decode", "tape"],
        &["--decode", "gpu", "--device", "cpu"],
    ] {
        let output = run(&[
            &["detect", "--input", "x", "--detector", DETECTOR][..],
            options,
        ]
        .concat());
        assert_eq!(
            output.status.code(),
            Some(64),
            "{options:?}: {}",
            stderr(&output)
        );
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}
