//! FFmpeg is loaded at the first video: the program starts without its libraries, and what reads no video works without them.

use crate::common::{program, stderr, stdout};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/phantom-demo.mp4");
const NAMES: [&str; 7] = [
    "avutil",
    "swresample",
    "swscale",
    "avcodec",
    "avformat",
    "avfilter",
    "avdevice",
];

/// A folder with files of the names of FFmpeg's libraries, of any version, that are none.
fn broken_libraries() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        for version in 1..100 {
            let file = folder.path().join(format!("lib{name}.so.{version}"));
            fs::write(file, "no library").unwrap();
        }
    }
    folder
}

/// The program where FFmpeg cannot be loaded.
fn without_ffmpeg(libraries: &TempDir) -> Command {
    let mut command = program();
    command.env("LD_LIBRARY_PATH", libraries.path());
    command
}

fn extract(libraries: &TempDir, input: &Path, output: &Path) -> Output {
    let mut command = without_ffmpeg(libraries);
    command
        .arg("extract")
        .arg(input)
        .arg("--output")
        .arg(output);
    command.output().unwrap()
}

#[test]
fn no_library_of_ffmpeg_is_needed_to_start() {
    // The loader lists what it would load, and does not start the program.
    let listed = program().env("LD_TRACE_LOADED_OBJECTS", "1").output();
    let listed = stdout(&listed.unwrap());
    assert!(listed.contains("libc.so"), "{listed}");
    for name in NAMES {
        assert!(!listed.contains(&format!("lib{name}.so")), "{listed}");
    }
}

#[test]
fn without_ffmpeg_a_video_is_an_error_and_all_else_works() {
    let (libraries, folder) = (broken_libraries(), tempfile::tempdir().unwrap());
    let help = without_ffmpeg(&libraries).arg("--help").output().unwrap();
    assert!(help.status.success(), "{}", stderr(&help));

    let input = folder.path().join("in");
    fs::create_dir(&input).unwrap();
    image::RgbImage::new(8, 8)
        .save(input.join("a.png"))
        .unwrap();
    fs::write(input.join("notes.txt"), "no video, as it seems").unwrap();
    let images = extract(&libraries, &input, &folder.path().join("images"));
    assert_eq!(images.status.code(), Some(0), "{}", stderr(&images));

    fs::copy(CLIP, input.join("b.mp4")).unwrap();
    let mixed = extract(&libraries, &input, &folder.path().join("mixed"));
    let said = stderr(&mixed);
    assert_eq!(mixed.status.code(), Some(2), "{said}");
    assert!(
        said.contains("b.mp4: needs FFmpeg, whose libavutil.so."),
        "{said}"
    );
    assert!(said.contains("cannot be loaded: /"), "{said}");
    assert!(said.contains("apt-get install libavutil"), "{said}");
    assert!(!said.contains("notes.txt: needs"), "{said}");
    let done = stdout(&mixed);
    assert!(done.contains("1 frame of 1 source"), "{done}");

    let clip = extract(&libraries, Path::new(CLIP), &folder.path().join("clip"));
    assert_eq!(clip.status.code(), Some(2), "{}", stderr(&clip));
    assert!(stderr(&clip).contains("needs FFmpeg, whose libavutil.so."));
}

#[test]
fn without_ffmpeg_streams_are_errors_and_doctor_says_so() {
    let (libraries, folder) = (broken_libraries(), tempfile::tempdir().unwrap());
    for address in ["udp://127.0.0.1:9", "lavfi:testsrc2"] {
        let output = folder.path().join("stream");
        let stream = extract(&libraries, Path::new(address), &output);
        let said = stderr(&stream);
        assert_eq!(stream.status.code(), Some(2), "{said}");
        assert!(said.contains("needs FFmpeg, whose libavutil.so."), "{said}");
    }
    // A device that is not there: it takes no speeds.
    let doctor = without_ffmpeg(&libraries)
        .args(["doctor", "--device", "cuda:99"])
        .output()
        .unwrap();
    let said = stdout(&doctor);
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(
        said.contains("libavutil.so.") && said.contains("cannot be loaded"),
        "{said}"
    );
}
