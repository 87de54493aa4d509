//! The expansion of inputs to sources.

use std::{
    cell::Cell,
    ffi::OsString,
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use ultramotion::{
    frame::{Frame, SourceKind},
    sources::{
        DicomGroup, ExpandOptions, FrameSelection, Inputs, SourceError, SourceOptions, SourceSpec,
        each_file_alone, expand, open,
    },
};

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media")
        .join(name)
}

/// A folder in which images, videos and DICOM files can be laid out.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn images(&self, names: &[&str]) {
        let bytes = fs::read(media("gray8.png")).unwrap();
        names.iter().for_each(|name| drop(self.put(name, &bytes)));
    }

    fn video(&self, name: &str) {
        self.put(name, &fs::read(media("one_frame.mp4")).unwrap());
    }

    fn dicom(&self, name: &str) {
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        self.put(name, &bytes);
    }
}

fn expanded(inputs: &[PathBuf]) -> Inputs {
    expand_with(inputs, ExpandOptions::default(), b"")
}

fn expand_with(inputs: &[PathBuf], options: ExpandOptions<'_>, mut stdin: &[u8]) -> Inputs {
    let inputs: Vec<OsString> = inputs.iter().map(|p| p.clone().into_os_string()).collect();
    expand(&inputs, options, &mut stdin)
}

fn good(inputs: &Inputs) -> Vec<&SourceSpec> {
    inputs.sources.iter().map(|s| s.as_ref().unwrap()).collect()
}

fn names(inputs: &Inputs) -> Vec<&str> {
    good(inputs).into_iter().map(|s| s.name.as_str()).collect()
}

fn errors(inputs: &Inputs) -> Vec<&SourceError> {
    inputs
        .sources
        .iter()
        .filter_map(|s| s.as_ref().err())
        .collect()
}

#[test]
fn a_folder_comes_in_natural_order_with_kinds_by_content() {
    let folder = Folder::new();
    folder.images(&["b.png", "sub/x.bin", ".hidden.png", ".git/y.png"]);
    folder.video("clip10.png");
    folder.video("clip2.mov");
    folder.put("readme.md", b"# words");
    let found = expanded(&[folder.path("")]);
    assert_eq!(names(&found), ["b", "clip2", "clip10", "sub/x"]);
    let kinds: Vec<SourceKind> = good(&found).iter().map(|s| s.kind).collect();
    assert_eq!(
        kinds,
        [
            SourceKind::Image,
            SourceKind::Video,
            SourceKind::Video,
            SourceKind::Image
        ]
    );
    assert_eq!(found.ignored, [folder.path("readme.md")]);
}

#[test]
fn numbered_images_are_one_sequence_unless_asked_otherwise() {
    let folder = Folder::new();
    folder.images(&["run/f10.png", "run/f9.png", "run/f1.png", "run/f01.PNG"]);
    folder.put("run/f8.png", b"");
    let found = expanded(&[folder.path("run")]);
    assert_eq!(names(&found), ["run"]);
    let spec = good(&found)[0];
    assert_eq!(
        (spec.kind, spec.path.as_path()),
        (SourceKind::Sequence, folder.path("run").as_path())
    );
    assert_eq!(
        spec.files,
        ["f01.PNG", "f1.png", "f8.png", "f9.png", "f10.png"].map(|n| folder.path("run").join(n))
    );
    let found = expand_with(
        &[folder.path("run")],
        ExpandOptions {
            as_images: true,
            ..Default::default()
        },
        b"",
    );
    let of_file = |s: &Result<SourceSpec, SourceError>| {
        s.as_ref()
            .map_or_else(|e| e.path.clone(), |s| s.path.clone())
    };
    assert_eq!(
        found.sources.iter().map(of_file).collect::<Vec<_>>(),
        spec.files
    );
    assert_eq!(errors(&found).len(), 1);
}

#[test]
fn several_patterns_are_several_sequences() {
    let folder = Folder::new();
    folder.images(&[
        "f1_left.png",
        "f2_left.png",
        "f1_right.png",
        "f2_right.png",
        "cover.png",
        "sub/1.png",
        "sub/2.png",
    ]);
    let found = expanded(&[folder.path("")]);
    let own = folder
        .0
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert_eq!(
        names(&found),
        [
            "cover".to_owned(),
            format!("{own}/f_left"),
            format!("{own}/f_right"),
            "sub".to_owned()
        ]
    );
}

#[test]
fn files_patterns_and_lists_are_sources_one_by_one() {
    let folder = Folder::new();
    folder.images(&["f1.png", "f2.png", "deep/a/f3.png", "[x].png", "x.png"]);
    assert_eq!(names(&expanded(&[folder.path("f*.png")])), ["f1", "f2"]);
    assert_eq!(
        names(&expanded(&[folder.path("**/f?.png")])),
        ["deep/a/f3", "f1", "f2"]
    );
    assert_eq!(names(&expanded(&[folder.path("{x,f2}.png")])), ["f2", "x"]);
    assert_eq!(names(&expanded(&[folder.path("[x].png")])), ["[x]"]);
    let list = folder.put(
        "in.txt",
        b"# wanted\nf2.png\r\n\ndeep/a/f3.png\nmissing.png\ndeep\n",
    );
    let found = expanded(&[list]);
    let texts: Vec<String> = found
        .sources
        .iter()
        .map(|s| {
            s.as_ref()
                .map_or_else(ToString::to_string, |s| s.name.clone())
        })
        .collect();
    assert_eq!((texts[0].as_str(), texts[1].as_str()), ("f2", "deep/a/f3"));
    assert!(
        texts[2].contains("missing.png: no such file"),
        "{}",
        texts[2]
    );
    let stdin = format!("{}\n", folder.path("f1.png").display());
    assert_eq!(
        names(&expand_with(
            &[PathBuf::from("-")],
            ExpandOptions::default(),
            stdin.as_bytes()
        )),
        ["f1"]
    );
}

#[test]
fn names_are_unique_and_the_same_in_every_run() {
    let folder = Folder::new();
    folder.images(&[
        "one/a.png",
        "one/a.bmp",
        "two/b.png",
        "three/b.png",
        "four/1.2.840.7",
    ]);
    folder.video("two/c.mp4");
    folder.images(&["two/c/0.png"]);
    let inputs: Vec<PathBuf> = ["one", "two", "three", "four", "two/b.png"]
        .iter()
        .map(|n| folder.path(n))
        .collect();
    let found = expanded(&inputs);
    let unique: std::collections::HashSet<&str> = names(&found).into_iter().collect();
    assert_eq!(unique.len(), 8, "{unique:?}");
    assert_eq!(names(&found)[..2], ["a.bmp", "a.png"]);
    assert!(
        unique.contains("c.mp4") && unique.contains("1.2.840.7") && unique.contains("three/b"),
        "{unique:?}"
    );
    assert_eq!(names(&found), names(&expanded(&inputs)));
}

#[test]
fn what_is_not_there_or_of_no_use_is_named() {
    let folder = Folder::new();
    fs::create_dir(folder.path("empty")).unwrap();
    folder.put("other/notes.md", b"words");
    let text = folder.put("words.png", b"words, not pixels");
    let zero = folder.put("zero.mp4", b"");
    let sound = media("sound_only.mp4");
    let cases = [
        (folder.path("absent.png"), "no such file or folder"),
        (folder.path("*.tif"), "matches nothing"),
        (folder.path("empty"), "the folder is empty"),
        (folder.path("other"), "holds no image"),
        (text, "its content is not"),
        (zero, "is empty (0 bytes)"),
    ];
    for (input, problem) in cases {
        let found = expanded(std::slice::from_ref(&input));
        let [error] = errors(&found)[..] else {
            panic!("{input:?}: {found:?}")
        };
        assert!(
            error.to_string().contains(problem) && error.path == input,
            "{error}"
        );
    }
    let found = expanded(&[sound]);
    let spec = good(&found)[0];
    let error = ultramotion::sources::open(spec, 0, &Default::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("no video stream"), "{error}");
}

#[test]
fn dicom_files_are_handed_to_the_grouping() {
    let folder = Folder::new();
    ["s/2", "s/10", "s/1"].iter().for_each(|n| folder.dicom(n));
    folder.images(&["s/0.png"]);
    folder.put("s/bare.dcm", b"no preamble");
    let group = |files: Vec<PathBuf>| {
        vec![Ok(DicomGroup {
            path: files[0].parent().unwrap().to_owned(),
            files,
        })]
    };
    let options = ExpandOptions {
        group_dicom: &group,
        ..Default::default()
    };
    let found = expand_with(&[folder.path("s")], options, b"");
    assert_eq!(
        good(&found).iter().map(|s| s.kind).collect::<Vec<_>>(),
        [SourceKind::Image, SourceKind::Dicom]
    );
    assert_eq!(
        good(&found)[1].files,
        ["1", "2", "10", "bare.dcm"].map(|n| folder.path("s").join(n))
    );
    let named = expand_with(
        &[
            folder.path("s/2"),
            folder.path("s/0.png"),
            folder.path("s/1"),
        ],
        options,
        b"",
    );
    assert_eq!(
        good(&named)
            .iter()
            .map(|s| s.files.len())
            .collect::<Vec<_>>(),
        [2, 1]
    );
    let apart = ExpandOptions {
        group_dicom: &each_file_alone,
        ..Default::default()
    };
    assert_eq!(
        expand_with(&[folder.path("s")], apart, b"").sources.len(),
        5
    );
}

#[cfg(unix)]
#[test]
fn loops_of_links_and_names_that_are_not_utf8_do_no_harm() {
    use std::os::unix::{ffi::OsStringExt, fs::symlink};
    let folder = Folder::new();
    folder.images(&["a/x.png"]);
    symlink(folder.path("a"), folder.path("a/again")).unwrap();
    symlink(folder.path("nowhere"), folder.path("a/y.png")).unwrap();
    let odd = folder.put(
        OsString::from_vec(b"a/\xff\xfe.png".to_vec()),
        &fs::read(media("gray8.png")).unwrap(),
    );
    let found = expanded(&[folder.path("a")]);
    let named: Vec<&str> = found
        .sources
        .iter()
        .flatten()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(named, ["x", "\u{fffd}\u{fffd}"]);
    assert_eq!(errors(&found).len(), 1);
    assert_eq!(names(&expanded(&[odd])), ["\u{fffd}\u{fffd}"]);
    assert_eq!(expanded(&[folder.path("a/*.png")]).sources.len(), 3);
}

const RUN: &[u8] = br#"{"program":"ultramotion","version":"0.1.0"}"#;

/// Where warnings are about, below the folder.
fn warned(folder: &Folder, inputs: &Inputs) -> Vec<String> {
    inputs
        .warnings
        .iter()
        .map(|w| {
            w.path
                .strip_prefix(folder.path(""))
                .unwrap_or(&w.path)
                .display()
                .to_string()
        })
        .collect()
}

#[test]
fn results_of_runs_are_left_out_unless_they_are_named() {
    let folder = Folder::new();
    folder.images(&[
        "a.png",
        "sub/b.png",
        "out/masks/a.png",
        "out/overlay/a.png",
        "sub/old/frames/c.png",
        "other/d.png",
    ]);
    folder.put("out/run.json", RUN);
    folder.put("sub/old/run.json", RUN);
    folder.put("other/run.json", br#"{"program":"something else"}"#);
    let found = expanded(&[folder.path("")]);
    assert_eq!(names(&found), ["a", "other/d", "sub/b"]);
    assert_eq!(warned(&folder, &found), ["out", "sub/old"]);
    assert!(
        found.warnings[0].to_string().contains("results of a run"),
        "{}",
        found.warnings[0]
    );
    // A pattern searches as a folder does; what it names it does not search for.
    let found = expanded(&[folder.path("**/?.png")]);
    assert_eq!(names(&found), ["a", "other/d", "sub/b"]);
    assert_eq!(warned(&folder, &found), ["out", "sub/old"]);
    assert_eq!(names(&expanded(&[folder.path("*")])), ["a", "d", "b"]);
    assert_eq!(
        names(&expanded(&[folder.path("sub/old/frames/*.png")])),
        ["c"]
    );
    assert_eq!(
        names(&expanded(&[
            folder.path("{out,sub}/{masks,old/frames}/*.png")
        ])),
        ["out/masks/a", "sub/old/frames/c"]
    );
    // Named by the user, they are inputs like others.
    assert_eq!(names(&expanded(&[folder.path("out/masks")])), ["a"]);
    assert_eq!(
        names(&expanded(&[folder.path("out")])),
        ["masks/a", "overlay/a"]
    );
    assert!(expanded(&[folder.path("out")]).warnings.is_empty());
}

#[test]
fn a_run_never_reads_where_it_writes() {
    let folder = Folder::new();
    folder.images(&["a.png", "new/frames/b.png"]);
    let output = folder.path("new");
    let options = ExpandOptions {
        output: Some(&output),
        ..Default::default()
    };
    let found = expand_with(&[folder.path("")], options, b"");
    assert_eq!(
        (names(&found), warned(&folder, &found)),
        (vec!["a"], vec!["new".to_owned()])
    );
    let found = expand_with(&[folder.path("*/frames/*.png")], options, b"");
    assert!(
        errors(&found)[0].to_string().contains("matches nothing")
            && warned(&folder, &found) == ["new"],
        "{found:?}"
    );
    for input in [
        "new",
        "new/frames",
        "new/frames/b.png",
        "new/../new/frames/*.png",
    ] {
        let found = expand_with(&[folder.path(input)], options, b"");
        let [error] = errors(&found)[..] else {
            panic!("{input}: {found:?}")
        };
        assert!(
            error
                .to_string()
                .contains("lies in the output folder of this run"),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn no_search_leaves_its_folder_by_links_or_reads_one_twice() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.images(&[
        "in/a/x.png",
        "in/.kept/y.png",
        "in/c/z.png",
        "outside/w.png",
    ]);
    symlink(folder.path("outside"), folder.path("in/away")).unwrap();
    symlink(folder.path("in/a"), folder.path("in/again")).unwrap();
    symlink(folder.path("in/.kept"), folder.path("in/shown")).unwrap();
    symlink(folder.path("in"), folder.path("in/c/up")).unwrap();
    symlink(folder.path("outside/w.png"), folder.path("in/w.png")).unwrap();
    let found = expanded(&[folder.path("in")]);
    assert_eq!(
        names(&found),
        ["a/x", "c/z", "shown/y", "w"],
        "links to files are files"
    );
    assert_eq!(warned(&folder, &found), ["in/away"]);
    assert!(
        found.warnings[0].to_string().contains("outside"),
        "{}",
        found.warnings[0]
    );
    let found = expanded(&[folder.path("in/**/*.png")]);
    assert_eq!(names(&found), ["a/x", "c/z", "w"]);
    let found = expanded(&[folder.path("in/*/*.png")]);
    assert_eq!(names(&found), ["a/x", "c/z", "shown/y"]);
    assert_eq!(warned(&folder, &found), ["in/away"]);
    // A link that is named is where the search begins.
    assert_eq!(names(&expanded(&[folder.path("in/away")])), ["w"]);
    assert_eq!(names(&expanded(&[folder.path("in/away/*.png")])), ["w"]);
}

#[test]
fn patterns_go_as_deep_as_they_say() {
    let folder = Folder::new();
    folder.images(&[
        "a/x.png",
        "a/b/x.png",
        "a/b/c/x.png",
        "d/x.png",
        "d/.h/x.png",
        "d/.h/.i.png",
    ]);
    let matched = |pattern: &str| {
        names(&expanded(&[folder.path(pattern)]))
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(matched("{a,d}/x.png"), ["a/x", "d/x"]);
    assert_eq!(matched("{a,d}/*/x.png"), ["a/b/x"]);
    assert_eq!(matched("{a/b,d}/x.{png,jpg}"), ["a/b/x", "d/x"]);
    assert_eq!(matched("**/x.png"), ["a/b/c/x", "a/b/x", "a/x", "d/x"]);
    assert_eq!(matched("*/.h/x.png"), ["d/.h/x"]);
    assert_eq!(matched("d/.*/.?.png"), [".h/.i"]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_end_is_refused() {
    let cases = [
        ("/", "root of the file system"),
        ("/../", "root of the file system"),
        ("/*", "root of the file system"),
        ("/**/x.png", "root of the file system"),
        ("/{**/x,y}.png", "root of the file system"),
        ("/nothere{1,2}/x.png", "matches nothing"),
        ("/proc", "system's own"),
        ("/sys", "system's own"),
        ("/sys/class/../class", "system's own"),
        ("/sys/**/x.png", "system's own"),
        ("/proc/*/cwd", "system's own"),
    ];
    for (input, problem) in cases {
        let start = Instant::now();
        let found = expanded(&[PathBuf::from(input)]);
        let problems: Vec<String> = errors(&found)
            .into_iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            problems.iter().any(|text| text.contains(problem)),
            "{input}: {problems:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{input}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_search_ends_when_it_is_told_to() {
    let folder = Folder::new();
    (0..300).for_each(|i| drop(folder.put(format!("{}/{i}.png", i % 7), b"")));
    for input in [
        folder.path(""),
        folder.path("**/*.png"),
        folder.path("*/*.png"),
    ] {
        let looks = Cell::new(0);
        let stop = || looks.replace(looks.get() + 1) > 2;
        let found = expand_with(
            &[input],
            ExpandOptions {
                stop: &stop,
                ..Default::default()
            },
            b"",
        );
        assert!(found.stopped && found.sources.is_empty(), "{found:?}");
        assert!(looks.get() < 50, "{}", looks.get());
    }
}

fn frames_of(spec: &SourceSpec) -> Vec<Frame> {
    let mut source = open(spec, 0, &SourceOptions::default()).unwrap();
    std::iter::from_fn(|| source.next_frame().unwrap()).collect()
}

#[test]
fn media_on_standard_input_are_read_as_from_a_file() {
    for name in [
        "moving_h264.mp4",
        "vfr.mkv",
        "mjpeg.avi",
        "rgb8.png",
        "pages.tif",
        "animated.webp",
        "orientation6.jpg",
    ] {
        let bytes = fs::read(media(name)).unwrap();
        let found = expand_with(&[PathBuf::from("-")], ExpandOptions::default(), &bytes);
        let [spec] = good(&found)[..] else {
            panic!("{name}: {found:?}")
        };
        assert_eq!(
            (spec.name.as_str(), spec.path.as_path()),
            ("stdin", Path::new("stdin"))
        );
        let (of_stdin, of_file) = (
            frames_of(spec),
            frames_of(good(&expanded(&[media(name)]))[0]),
        );
        assert_eq!(of_stdin.len(), of_file.len(), "{name}");
        for (a, b) in of_stdin.iter().zip(&of_file) {
            assert_eq!(
                (a.index, a.timestamp, a.image().unwrap().data()),
                (b.index, b.timestamp, b.image().unwrap().data()),
                "{name}"
            );
            assert_eq!(a.source.path, Path::new("stdin"));
        }
    }
}

#[test]
fn a_damaged_medium_on_standard_input_is_called_so() {
    let bytes = fs::read(media("rgb8.png")).unwrap();
    let found = expand_with(
        &[PathBuf::from("-")],
        ExpandOptions::default(),
        &bytes[..60],
    );
    let error = open(good(&found)[0], 0, &SourceOptions::default())
        .and_then(|mut s| s.next_frame())
        .err()
        .unwrap();
    assert!(error.to_string().starts_with("stdin: "), "{error}");
}

/// Lines without end.
struct Endless(usize);

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = if self.0.is_multiple_of(8) {
                b'\n'
            } else {
                b'a'
            };
            self.0 += 1;
        }
        Ok(buffer.len())
    }
}

#[test]
fn what_is_neither_list_nor_medium_is_refused_by_its_first_bytes() {
    let refused = |mut stdin: &mut dyn io::BufRead| {
        let found = expand(&["-".into()], ExpandOptions::default(), &mut stdin);
        errors(&found)
            .into_iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    for byte in [0, 7, 0xff] {
        // Without end: who reads on does not come back.
        let text = refused(&mut BufReader::new(io::repeat(byte)));
        assert!(
            text.starts_with("-: standard input") && text.contains("give a list of paths"),
            "{byte}: {text}"
        );
    }
    let text = refused(&mut BufReader::new(io::repeat(b'a')));
    assert!(text.contains("longer than any path"), "{text}");
    let text = refused(&mut BufReader::new(Endless(0)));
    assert!(
        text.contains("longer than 134217728 bytes") || text.contains("more than 1000000 entries"),
        "{text}"
    );
    assert!(refused(&mut &b"\xff\xfea\0.\0"[..]).contains("UTF-16"));
    assert!(refused(&mut &b""[..]).contains("standard input is empty"));
    assert!(
        refused(&mut &fs::read(media("sound_only.mp4")).unwrap()[..]).is_empty(),
        "a container; that it has no video is seen when it is opened"
    );
}

#[test]
fn messages_about_what_is_absent_say_where_it_was_looked_for() {
    let folder = Folder::new();
    let list = folder.put("set/in.txt", b"gone.png\n");
    let text = |inputs: &Inputs| errors(inputs)[0].to_string();
    let found = text(&expanded(&[list]));
    assert!(
        found.contains(
            "gone.png: no such file or folder; entries of a list are relative to its folder"
        ) && found.contains("set"),
        "{found}"
    );
    let found = text(&expand_with(
        &[PathBuf::from("-")],
        ExpandOptions::default(),
        b"gone.png\n",
    ));
    assert!(found.contains("relative to the current folder"), "{found}");
    for address in [
        "rtsp://camera/stream",
        "https://example.org/a.mp4",
        "http://[::1]/{x}.mp4",
    ] {
        let found = text(&expanded(&[PathBuf::from(address)]));
        assert!(
            found.starts_with(address) && found.contains("not supported yet"),
            "{found}"
        );
    }
    let binary = folder.put("binary.txt", b"\0\0\x01\x02");
    assert!(text(&expanded(&[binary])).contains("holds bytes that no list of paths has"));
}

#[test]
fn a_selection_behind_the_end_is_an_error_with_the_number_of_frames() {
    let folder = Folder::new();
    folder.images(&["s/0.png", "s/1.png", "s/2.png"]);
    let counts = [
        (media("rgb8.png"), 1),
        (folder.path("s"), 3),
        (media("pages.tif"), 0),
        (media("moving_h264.mp4"), 0),
    ];
    for (input, count) in counts {
        let found = expanded(std::slice::from_ref(&input));
        let spec = good(&found)[0];
        let count = if count == 0 {
            frames_of(spec).len() as u64
        } else {
            count
        };
        let read = |range: std::ops::Range<u64>| {
            let selection = FrameSelection {
                range: Some(range),
                ..FrameSelection::default()
            };
            let mut source = open(
                spec,
                0,
                &SourceOptions {
                    selection,
                    ..SourceOptions::default()
                },
            )
            .unwrap();
            let first = source
                .next_frame()
                .map(|frame| frame.map(|frame| frame.index));
            (
                first.map_err(|e| e.to_string()),
                std::iter::from_fn(|| source.next_frame().unwrap()).count(),
            )
        };
        assert_eq!(
            read(count - 1..u64::MAX),
            (Ok(Some(count - 1)), 0),
            "{input:?}"
        );
        let (first, later) = read(count..u64::MAX);
        let text = first.unwrap_err();
        let stated = if count == 1 {
            "has one frame".to_owned()
        } else {
            format!("has {count} frames")
        };
        assert!(
            text.contains(&stated) && text.contains(&format!("from {count} on")) && later == 0,
            "{text}"
        );
        assert_eq!(read(0..1), (Ok(Some(0)), 0));
    }
}
