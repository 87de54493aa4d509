//! The paths of everything in an output folder: the one place that names them.

use crate::frame::{SourceInfo, SourceKind};
use std::path::{Path, PathBuf};

/// Paths below an output folder.
///
/// A still image gives `masks/<name>.png`. A video, a DICOM file or series and a folder of numbered frames give
/// `masks/<name>/<frame>.png`, where `<frame>` is the file name without extension of a sequence's frame (so that outputs
/// carry the names of their originals), and otherwise the frame's number with six digits or more, from 000000. Frames of a
/// sequence that shares its folder with other inputs stand in that folder ([`SourceInfo::folder`]), as their files do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// Start of the names of temporary files; `--overwrite` removes what a killed run left by it.
pub(crate) const TEMPORARY_PREFIX: &str = ".ultramotion-";
/// Folder of the pictures that annotations refer to.
pub(crate) const IMAGES: &str = "images";
/// End of the names of temporary files.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

impl Layout {
    /// The layout of the folder `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The output folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `run.json`.
    pub fn run_report(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// `detections.jsonl`.
    pub fn record(&self) -> PathBuf {
        self.root.join("detections.jsonl")
    }

    /// The list of sources that have ended, beside the record.
    pub fn state(&self) -> PathBuf {
        self.root.join(".ultramotion-state.jsonl")
    }

    /// The lock that keeps two runs out of one folder.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".ultramotion.lock")
    }

    /// `coco.json`.
    pub fn coco(&self) -> PathBuf {
        self.root.join("coco.json")
    }

    /// `coco_results.json`.
    pub fn coco_results(&self) -> PathBuf {
        self.root.join("coco_results.json")
    }

    /// `classes.txt`: class names for YOLO tools, one a line.
    pub fn yolo_classes(&self) -> PathBuf {
        self.root.join("classes.txt")
    }

    /// `data.yaml`: the data set's description for YOLO tools.
    pub fn yolo_data(&self) -> PathBuf {
        self.root.join("data.yaml")
    }

    /// The label map of a frame.
    pub fn mask(&self, source: &SourceInfo, index: u64, file: Option<&Path>) -> PathBuf {
        self.root
            .join(of_frame("masks", source, index, file, "png"))
    }

    /// The label map of a frame whose values are numbers of objects.
    pub fn instances(&self, source: &SourceInfo, index: u64, file: Option<&Path>) -> PathBuf {
        self.root
            .join(of_frame("instances", source, index, file, "png"))
    }

    /// `masks/labels.json`: what the values of label maps mean.
    pub fn labels_of_masks(&self) -> PathBuf {
        self.root.join("masks/labels.json")
    }

    /// The file in `folder` that belongs to the picture `image` of a data set, which may have any name: below `folder` in any case.
    pub fn of_image(&self, folder: &str, image: &str, extension: &str) -> PathBuf {
        let name = safe_name(image);
        let (above, file) = name
            .rsplit_once('/')
            .map_or(("", &*name), |(above, file)| (above, file));
        let stem = file
            .rsplit_once('.')
            .map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
        let folder = if above.is_empty() {
            folder.to_owned()
        } else {
            format!("{folder}/{above}")
        };
        self.root.join(format!("{folder}/{stem}.{extension}"))
    }

    /// The overlay of a frame, where overlays are images.
    pub fn overlay_image(&self, source: &SourceInfo, index: u64, file: Option<&Path>) -> PathBuf {
        self.root
            .join(of_frame("overlay", source, index, file, "png"))
    }

    /// The overlay of a source, where overlays are videos.
    pub fn overlay_video(&self, source: &SourceInfo) -> PathBuf {
        self.root
            .join(format!("overlay/{}.mp4", safe_name(&source.name)))
    }

    /// The YOLO labels of a frame.
    pub fn labels(&self, source: &SourceInfo, index: u64, file: Option<&Path>) -> PathBuf {
        self.root
            .join(of_frame("labels", source, index, file, "txt"))
    }

    /// The decoded frame.
    pub fn frame(&self, source: &SourceInfo, index: u64, file: Option<&Path>) -> PathBuf {
        self.root
            .join(of_frame("frames", source, index, file, "png"))
    }

    /// The folder of pictures, below which [`Layout::image_name`] names them.
    pub fn images(&self) -> PathBuf {
        self.root.join(IMAGES)
    }

    /// The picture `name` of a data set, which may have any name: below the folder of pictures in any case.
    pub fn image(&self, name: &str) -> PathBuf {
        self.images().join(safe_name(name))
    }

    /// The file of a frame's picture below the folder of pictures, `/`-separated, as annotations refer to it: stills and frames
    /// of sequences under the names of their files, frames of videos and DICOM as `<name>/000000.png`.
    pub fn image_name(source: &SourceInfo, index: u64, file: Option<&Path>) -> String {
        let name = safe_name(&source.name);
        let extension = |path: &Path| {
            path.extension()
                .and_then(|e| Some(format!(".{}", safe_name(e.to_str()?))))
        };
        match (source.kind, file) {
            (SourceKind::Image, _) => name + &extension(&source.path).unwrap_or_default(),
            (SourceKind::Sequence, Some(file)) => {
                let stem = stem(Some(file)).unwrap_or_else(|| format!("frame-{}", number(index)));
                in_sequence(source, &(stem + &extension(file).unwrap_or_default()))
            }
            _ => of_frame("", source, index, file, "png")
                .trim_start_matches('/')
                .to_owned(),
        }
    }

    /// The name that earlier versions gave the decoded frame of a video or DICOM source, below the output folder.
    pub fn earlier_frame_name(name: &str, index: u64) -> String {
        format!("frames/{}/{}.png", safe_name(name), number(index))
    }

    /// The name under which a file is written before it is complete: in the same folder, the same for the same file.
    pub fn temporary(path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let hash = name.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        path.with_file_name(format!("{TEMPORARY_PREFIX}{hash:016x}{TEMPORARY_SUFFIX}"))
    }
}

/// `<folder>/<name>.<extension>` for a still image, `<folder>/<name>/<frame>.<extension>` for all else.
fn of_frame(
    folder: &str,
    source: &SourceInfo,
    index: u64,
    file: Option<&Path>,
    extension: &str,
) -> String {
    let name = safe_name(&source.name);
    match source.kind {
        SourceKind::Image => format!("{folder}/{name}.{extension}"),
        SourceKind::Sequence => {
            let stem = stem(file).unwrap_or_else(|| format!("frame-{}", number(index)));
            format!(
                "{folder}/{}",
                in_sequence(source, &format!("{stem}.{extension}"))
            )
        }
        SourceKind::Video | SourceKind::Dicom => {
            format!("{folder}/{name}/{}.{extension}", number(index))
        }
    }
}

/// A file of a sequence's frame, in the folder that the sequence shares with others, or in its own.
fn in_sequence(source: &SourceInfo, file: &str) -> String {
    match source.folder.as_deref() {
        Some("") => file.to_owned(),
        Some(shared) => format!("{}/{file}", safe_name(shared)),
        None => format!("{}/{file}", safe_name(&source.name)),
    }
}

/// A frame number: six digits, more if needed.
fn number(index: u64) -> String {
    format!("{index:06}")
}

/// The name of a sequence's frame without extension, where it is valid UTF-8.
fn stem(file: Option<&Path>) -> Option<String> {
    Some(file?.file_stem()?.to_str()?.to_owned())
}

/// A source's name as a relative path that stays below its folder, whatever it holds.
fn safe_name(name: &str) -> String {
    let parts: Vec<String> = name
        .split(['/', '\\'])
        .map(|part| match part {
            "" | "." | ".." => "_".to_owned(),
            other => other.replace(|c: char| c.is_control(), "_"),
        })
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(kind: SourceKind, name: &str) -> SourceInfo {
        SourceInfo {
            ordinal: 0,
            path: name.into(),
            name: name.into(),
            kind,
            folder: None,
            frame_count: None,
            frame_rate: None,
            attributes: Default::default(),
        }
    }

    #[test]
    fn names_follow_the_kind_of_source() {
        let layout = Layout::new("out");
        let path = |kind, name: &str, index, file: Option<&str>| {
            layout
                .mask(&source(kind, name), index, file.map(Path::new))
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            path(SourceKind::Image, "set/a.b", 0, None),
            "out/masks/set/a.b.png"
        );
        assert_eq!(
            path(SourceKind::Video, "clip", 7, None),
            "out/masks/clip/000007.png"
        );
        assert_eq!(
            path(SourceKind::Dicom, "clip", 1_234_567, None),
            "out/masks/clip/1234567.png"
        );
        assert_eq!(
            path(SourceKind::Sequence, "s", 0, Some("in/s/00001.jpg")),
            "out/masks/s/00001.png"
        );
        assert_eq!(
            path(SourceKind::Sequence, "s", 3, None),
            "out/masks/s/frame-000003.png"
        );
        assert_eq!(
            layout.overlay_video(&source(SourceKind::Video, "é/b")),
            Path::new("out/overlay/é/b.mp4")
        );
        assert_eq!(
            Layout::earlier_frame_name("clip", 123),
            "frames/clip/000123.png"
        );
    }

    #[test]
    fn pictures_mirror_the_inputs() {
        let named = |kind, name: &str, path: &str, folder: Option<&str>, file: Option<&str>| {
            let source = SourceInfo {
                path: path.into(),
                folder: folder.map(str::to_owned),
                ..source(kind, name)
            };
            Layout::image_name(&source, 3, file.map(Path::new))
        };
        let (image, sequence) = (SourceKind::Image, SourceKind::Sequence);
        assert_eq!(
            named(image, "a/b.c", "in/a/b.c.JPG", None, None),
            "a/b.c.JPG"
        );
        assert_eq!(named(image, "scan", "in/scan", None, None), "scan");
        assert_eq!(
            named(
                sequence,
                "X/bild Nr",
                "in/X",
                Some("X"),
                Some("in/X/bild Nr. 13.jpg")
            ),
            "X/bild Nr. 13.jpg"
        );
        assert_eq!(
            named(sequence, "s", "in", Some(""), Some("in/s1.png")),
            "s1.png"
        );
        assert_eq!(
            named(sequence, "s", "in/s", None, Some("in/s/1.png")),
            "s/1.png"
        );
        assert_eq!(
            named(sequence, "stack", "in/stack.tif", None, None),
            "stack/frame-000003.png"
        );
        assert_eq!(
            named(SourceKind::Video, "v/clip", "in/v/clip.mp4", None, None),
            "v/clip/000003.png"
        );
        assert_eq!(
            named(
                SourceKind::Dicom,
                "cine",
                "in/cine.dcm",
                None,
                Some("in/cine.dcm")
            ),
            "cine/000003.png"
        );
    }

    #[test]
    fn no_name_leaves_the_folder() {
        let layout = Layout::new("out");
        for name in ["../x", "/etc/x", "a/../../x", "a\\..\\x", "", "."] {
            let path = layout.frame(&source(SourceKind::Image, name), 0, None);
            assert!(path.starts_with("out/frames"), "{path:?}");
            assert!(path.components().all(|c| c.as_os_str() != ".."), "{path:?}");
        }
    }

    #[test]
    fn temporary_names_are_stable_and_differ() {
        let (a, b) = (
            Layout::temporary(Path::new("x/a.png")),
            Layout::temporary(Path::new("x/b.png")),
        );
        assert_eq!(a, Layout::temporary(Path::new("x/a.png")));
        assert_ne!(a, b);
        assert_eq!(a.parent(), Some(Path::new("x")));
    }

    proptest! {
        #[test]
        fn no_name_at_all_leaves_the_folder(name: String, index: u64) {
            let layout = Layout::new("out");
            for kind in [SourceKind::Image, SourceKind::Sequence, SourceKind::Video] {
                let path = layout.mask(&source(kind, &name), index, None);
                prop_assert!(path.starts_with("out/masks") && path != Path::new("out/masks"));
                prop_assert!(path.components().all(|part| part.as_os_str() != ".."), "{:?}", path);
                prop_assert!(!path.to_string_lossy().contains(char::is_control));
            }
        }

        #[test]
        fn frames_of_a_video_have_files_of_their_own_that_sort_as_they_do(a in 0..2_000_000u64, b in 0..2_000_000u64) {
            let file = |index| Layout::image_name(&source(SourceKind::Video, "clip"), index, None);
            prop_assert_eq!(file(a) == file(b), a == b);
            if a.max(b) < 1_000_000 {
                prop_assert_eq!(file(a).cmp(&file(b)), a.cmp(&b));
            }
        }
    }
}
