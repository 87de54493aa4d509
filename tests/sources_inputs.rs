//! The expansion of inputs to sources.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use ultramotion::{
    frame::SourceKind,
    sources::{DicomGroup, ExpandOptions, Inputs, SourceError, SourceSpec, each_file_alone, expand},
};

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media").join(name)
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
    inputs.sources.iter().filter_map(|s| s.as_ref().err()).collect()
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
    assert_eq!(kinds, [SourceKind::Image, SourceKind::Video, SourceKind::Video, SourceKind::Image]);
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
    assert_eq!((spec.kind, spec.path.as_path()), (SourceKind::Sequence, folder.path("run").as_path()));
    assert_eq!(spec.files, ["f01.PNG", "f1.png", "f8.png", "f9.png", "f10.png"].map(|n| folder.path("run").join(n)));
    let found = expand_with(&[folder.path("run")], ExpandOptions { as_images: true, ..Default::default() }, b"");
    let of_file = |s: &Result<SourceSpec, SourceError>| s.as_ref().map_or_else(|e| e.path.clone(), |s| s.path.clone());
    assert_eq!(found.sources.iter().map(of_file).collect::<Vec<_>>(), spec.files);
    assert_eq!(errors(&found).len(), 1);
}

#[test]
fn several_patterns_are_several_sequences() {
    let folder = Folder::new();
    folder.images(&["f1_left.png", "f2_left.png", "f1_right.png", "f2_right.png", "cover.png", "sub/1.png", "sub/2.png"]);
    let found = expanded(&[folder.path("")]);
    let own = folder.0.path().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(names(&found), ["cover".to_owned(), format!("{own}/f_left"), format!("{own}/f_right"), "sub".to_owned()]);
}

#[test]
fn files_patterns_and_lists_are_sources_one_by_one() {
    let folder = Folder::new();
    folder.images(&["f1.png", "f2.png", "deep/a/f3.png", "[x].png", "x.png"]);
    assert_eq!(names(&expanded(&[folder.path("f*.png")])), ["f1", "f2"]);
    assert_eq!(names(&expanded(&[folder.path("**/f?.png")])), ["deep/a/f3", "f1", "f2"]);
    assert_eq!(names(&expanded(&[folder.path("{x,f2}.png")])), ["f2", "x"]);
    assert_eq!(names(&expanded(&[folder.path("[x].png")])), ["[x]"]);
    let list = folder.put("in.txt", b"# wanted\nf2.png\r\n\ndeep/a/f3.png\nmissing.png\ndeep\n");
    let found = expanded(&[list]);
    let texts: Vec<String> = found.sources.iter().map(|s| s.as_ref().map_or_else(ToString::to_string, |s| s.name.clone())).collect();
    assert_eq!((texts[0].as_str(), texts[1].as_str()), ("f2", "deep/a/f3"));
    assert!(texts[2].contains("missing.png: no such file"), "{}", texts[2]);
    let stdin = format!("{}\n", folder.path("f1.png").display());
    assert_eq!(names(&expand_with(&[PathBuf::from("-")], ExpandOptions::default(), stdin.as_bytes())), ["f1"]);
}

#[test]
fn names_are_unique_and_the_same_in_every_run() {
    let folder = Folder::new();
    folder.images(&["one/a.png", "one/a.bmp", "two/b.png", "three/b.png", "four/1.2.840.7"]);
    folder.video("two/c.mp4");
    folder.images(&["two/c/0.png"]);
    let inputs: Vec<PathBuf> = ["one", "two", "three", "four", "two/b.png"].iter().map(|n| folder.path(n)).collect();
    let found = expanded(&inputs);
    let unique: std::collections::HashSet<&str> = names(&found).into_iter().collect();
    assert_eq!(unique.len(), 8, "{unique:?}");
    assert_eq!(names(&found)[..2], ["a.bmp", "a.png"]);
    assert!(unique.contains("c.mp4") && unique.contains("1.2.840.7") && unique.contains("three/b"), "{unique:?}");
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
        let [error] = errors(&found)[..] else { panic!("{input:?}: {found:?}") };
        assert!(error.to_string().contains(problem) && error.path == input, "{error}");
    }
    let found = expanded(&[sound]);
    let spec = good(&found)[0];
    let error = ultramotion::sources::open(spec, 0, &Default::default()).err().unwrap();
    assert!(error.to_string().contains("no video stream"), "{error}");
}

#[test]
fn dicom_files_are_handed_to_the_grouping() {
    let folder = Folder::new();
    ["s/2", "s/10", "s/1"].iter().for_each(|n| folder.dicom(n));
    folder.images(&["s/0.png"]);
    folder.put("s/bare.dcm", b"no preamble");
    let group = |files: Vec<PathBuf>| vec![Ok(DicomGroup { path: files[0].parent().unwrap().to_owned(), files })];
    let options = ExpandOptions { group_dicom: &group, ..Default::default() };
    let found = expand_with(&[folder.path("s")], options, b"");
    assert_eq!(good(&found).iter().map(|s| s.kind).collect::<Vec<_>>(), [SourceKind::Image, SourceKind::Dicom]);
    assert_eq!(good(&found)[1].files, ["1", "2", "10", "bare.dcm"].map(|n| folder.path("s").join(n)));
    let named = expand_with(&[folder.path("s/2"), folder.path("s/0.png"), folder.path("s/1")], options, b"");
    assert_eq!(good(&named).iter().map(|s| s.files.len()).collect::<Vec<_>>(), [2, 1]);
    let apart = ExpandOptions { group_dicom: &each_file_alone, ..Default::default() };
    assert_eq!(expand_with(&[folder.path("s")], apart, b"").sources.len(), 5);
}

#[cfg(unix)]
#[test]
fn loops_of_links_and_names_that_are_not_utf8_do_no_harm() {
    use std::os::unix::{ffi::OsStringExt, fs::symlink};
    let folder = Folder::new();
    folder.images(&["a/x.png"]);
    symlink(folder.path("a"), folder.path("a/again")).unwrap();
    symlink(folder.path("nowhere"), folder.path("a/y.png")).unwrap();
    let odd = folder.put(OsString::from_vec(b"a/\xff\xfe.png".to_vec()), &fs::read(media("gray8.png")).unwrap());
    let found = expanded(&[folder.path("a")]);
    let named: Vec<&str> = found.sources.iter().flatten().map(|s| s.name.as_str()).collect();
    assert_eq!(named, ["x", "\u{fffd}\u{fffd}"]);
    assert_eq!(errors(&found).len(), 1);
    assert_eq!(names(&expanded(&[odd])), ["\u{fffd}\u{fffd}"]);
    assert_eq!(expanded(&[folder.path("a/*.png")]).sources.len(), 3);
}
