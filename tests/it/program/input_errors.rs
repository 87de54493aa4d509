//! What the program does with inputs that are none: no folder is left, nothing runs away, an interrupt ends it at once.

use crate::common;
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = common::program();
    command.args(arguments).current_dir(folder);
    command
}

fn extract(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = program(
        folder,
        &[&["extract", "--output", "out"], arguments].concat(),
    )
    .output()
    .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn picture(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_fn(32, 24, |x, y| {
        image::Rgb([(x * 8) as u8, (y * 9) as u8, 90])
    })
    .save(path)
    .unwrap();
}

#[test]
fn a_run_whose_inputs_cannot_be_read_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    picture(&at.join("good.png"));
    fs::write(
        at.join("cut.png"),
        &fs::read(at.join("good.png")).unwrap()[..40],
    )
    .unwrap();
    fs::write(at.join("cut.mp4"), b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom").unwrap();
    fs::create_dir(at.join("empty")).unwrap();
    for input in [
        "nope",
        "cut.png",
        "cut.mp4",
        "empty",
        "*.tif",
        "rtsp://camera/1",
    ] {
        for more in [
            &[][..],
            &["--on-error", "stop"],
            &["--overwrite"],
            &["--resume"],
        ] {
            let (code, said) = extract(at, &[&["--input", input], more].concat());
            // A stream cannot be resumed: an error of the command line.
            let is_usage = input.starts_with("rtsp") && more == ["--resume"];
            assert!(
                code == Some(if is_usage { 64 } else { 2 }) && said.contains(input),
                "{input} {more:?}: {said}"
            );
            assert!(!at.join("out").exists(), "{input} {more:?}: {said}");
        }
    }
    let (code, said) = extract(at, &["--input", "good.png", "--frames", "10.."]);
    assert!(
        code == Some(2) && said.contains("good.png: has one frame") && !at.join("out").exists(),
        "{said}"
    );
    // What is there is kept, and a corrected command runs without further options.
    assert_eq!(
        extract(at, &["--input", "cut.png", "--input", "good.png"]).0,
        Some(2)
    );
    assert!(at.join("out/frames/good.png").exists());
    let report = fs::read(at.join("out/run.json")).unwrap();
    assert_eq!(extract(at, &["--input", "nope", "--overwrite"]).0, Some(2));
    assert!(
        at.join("out/frames/good.png").exists()
            && fs::read(at.join("out/run.json")).unwrap() == report
    );
}

#[test]
fn a_run_does_not_take_its_own_results_as_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    ["a.png", "b.png", "sub/c.png"]
        .iter()
        .for_each(|name| picture(&at.join(name)));
    for (output, mode) in [
        ("out", ""),
        ("out", "--overwrite"),
        ("out", "--resume"),
        ("other", ""),
    ] {
        let mut arguments = vec!["extract", "--input", ".", "--output", output, "--json"];
        arguments.extend((!mode.is_empty()).then_some(mode));
        let run = program(at, &arguments).output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout);
        let summary: serde_json::Value =
            serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(
            summary["counts"]["frames"],
            3,
            "{output} {mode}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        let warned = text
            .lines()
            .any(|line| line.contains(r#""type":"warning""#) && line.contains("left out"));
        assert_eq!(warned, (output, mode) != ("out", ""), "{text}");
    }
    let (code, said) = extract(at, &["--input", "out/frames", "--overwrite"]);
    assert!(
        code == Some(2)
            && said.contains("lies in the output folder")
            && at.join("out/frames/a.png").exists(),
        "{said}"
    );
}

fn piped(folder: &Path, bytes: &[u8]) -> Output {
    let mut command = program(
        folder,
        &[
            "extract",
            "--input",
            "-",
            "--output",
            "out",
            "--overwrite",
            "--json",
        ],
    );
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is refused is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

#[test]
fn media_on_standard_input_are_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let phantom = [
        "phantom",
        "--seed",
        "5",
        "--frames",
        "3",
        "--size",
        "64x48",
        "--write",
        "mp4,dicom",
        "--output",
        "made",
    ];
    assert!(program(at, &phantom).output().unwrap().status.success());
    picture(&at.join("one.png"));
    for (file, frames) in [("made/clip.mp4", 3), ("made/clip.dcm", 3), ("one.png", 1)] {
        let run = piped(at, &fs::read(at.join(file)).unwrap());
        let text = String::from_utf8_lossy(&run.stdout);
        assert!(
            run.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        assert_eq!(
            text.lines()
                .filter(
                    |line| line.contains(r#""type":"frame""#) && line.contains(r#""path":"stdin""#)
                )
                .count(),
            frames
        );
        let pngs: Vec<_> = fs::read_dir(at.join("out/frames")).unwrap().collect();
        assert_eq!(pngs.len(), 1, "{file}: stdin.png, or a folder stdin");
    }
    let start = Instant::now();
    let run = piped(at, &[3; 1 << 20]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.code() == Some(2)
            && said.contains("give a list of paths")
            && start.elapsed() < Duration::from_secs(5),
        "{said}"
    );
    let run = piped(at, b"one.png\nmade/clip.mp4\n");
    assert!(
        run.status.success(),
        "a list is a list: {}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_search_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(dir.path(), &["extract", "--input", "-", "--output", "out"]);
    let mut run = command
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Part of a list, whose end never comes.
    // Kept: waiting for the program would close it, and the list would end.
    let mut list = run.stdin.take().unwrap();
    list.write_all(b"a.png\n").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        run.try_wait().unwrap().is_none(),
        "it waits for the end of the list"
    );
    let start = Instant::now();
    Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    drop(list);
    assert!(!dir.path().join("out").exists());
}
