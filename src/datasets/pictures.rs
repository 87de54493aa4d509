//! The pictures of a data set under `images/`.

use super::item::{Item, Place};
use crate::{
    frame::SourceKind,
    sinks::{ImagesMode, Layout, SinkError, place_original, write_image},
    sources::{ExpandOptions, Source, SourceError, SourceOptions, SourceSpec, expand, open},
    text::counted,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Puts the pictures of items into the folder of pictures. Files of stills and sequences are linked or copied, or written
/// upright where the item says that EXIF turns them; videos, DICOM and files of several pages are decoded again. Pictures that are there already are left as they are.
pub(super) struct Pictures {
    layout: Layout,
    mode: ImagesMode,
    /// Folder that the names of items are below, for items without an original.
    root: Option<PathBuf>,
    options: SourceOptions,
    /// The source that is open.
    open: Option<(Arc<str>, Box<dyn Source>)>,
    /// Pictures that were written upright.
    upright: u64,
}

impl Pictures {
    pub(super) fn new(
        layout: Layout,
        mode: ImagesMode,
        root: Option<PathBuf>,
        options: SourceOptions,
    ) -> Self {
        Self {
            layout,
            mode,
            root,
            options,
            open: None,
            upright: 0,
        }
    }

    /// What a user should know of the pictures.
    pub(super) fn notes(&self) -> Option<String> {
        let (verb, files) = match self.upright {
            0 => return None,
            1 => ("is", "its file is"),
            _ => ("are", "their files are"),
        };
        let pictures = counted(self.upright, "picture");
        Some(format!(
            "{}: {pictures} {verb} written upright, as PNG, because {files} turned by EXIF, which not all programs do",
            self.layout.images().display()
        ))
    }

    /// Puts the picture of an item there.
    pub(super) fn place(&mut self, item: &Item) -> Result<(), SinkError> {
        if self.mode == ImagesMode::None {
            return Ok(());
        }
        let path = self.layout.image(&item.file_name);
        if path.is_file() {
            return Ok(());
        }
        let below_root = self.root.as_ref().map(|root| root.join(&item.file_name));
        let own = item.original.as_ref().map(PathBuf::from);
        if let Some(original) = own
            .into_iter()
            .chain(below_root)
            .find(|file| file.is_file())
        {
            if item.exif_orientation.is_some() && self.write_upright(&original, &path)? {
                self.upright += 1;
                return Ok(());
            }
            return place_original(&original, &path, self.mode);
        }
        match item.place.as_ref().filter(|place| is_decoded(place)) {
            Some(place) => self.decode(place, &path),
            None => Err(SinkError::new(
                &path,
                format!("the picture {} is not there", item.file_name),
            )
            .with_remedy("name the folder that the pictures are in")),
        }
    }

    /// Writes the picture of a file that EXIF turns; whether it does. A copy in a data set may be upright already.
    fn write_upright(&self, original: &Path, path: &Path) -> Result<bool, SinkError> {
        let failed = |e: SourceError| SinkError::new(path, e.to_string());
        let spec = SourceSpec {
            path: original.to_owned(),
            kind: SourceKind::Image,
            files: vec![original.to_owned()],
            name: String::new(),
            folder: None,
        };
        let mut source = open(&spec, 0, &self.options).map_err(failed)?;
        let frame = source.next_frame().map_err(failed)?;
        let Some(frame) = frame.filter(|frame| frame.exif_orientation.is_some()) else {
            return Ok(false);
        };
        let image = frame
            .image()
            .map_err(|e| SinkError::new(path, e.to_string()))?;
        write_image(path, image).map(|()| true)
    }

    fn decode(&mut self, place: &Place, path: &Path) -> Result<(), SinkError> {
        let failed = |problem: String| {
            SinkError::new(
                path,
                format!("frame {} of {}: {problem}", place.frame, place.path),
            )
            .with_remedy("have the pictures written by the run itself")
        };
        if self
            .open
            .as_ref()
            .is_none_or(|(source, _)| *source != place.source)
        {
            let spec = spec_of(place)
                .ok_or_else(|| failed("its source is not there any more".to_owned()))?;
            let source = open(&spec, 0, &self.options).map_err(|e| failed(e.to_string()))?;
            self.open = Some((Arc::clone(&place.source), source));
        }
        let Some((_, source)) = &mut self.open else {
            return Ok(());
        };
        loop {
            let frame = source.next_frame().map_err(|e| failed(e.to_string()))?;
            let frame = frame.ok_or_else(|| failed("its source ends before it".to_owned()))?;
            if frame.index > place.frame {
                return Err(failed("its source has no such frame".to_owned()));
            }
            if frame.index == place.frame {
                let image = frame.image().map_err(|e| failed(e.to_string()))?;
                return write_image(path, image);
            }
        }
    }
}

/// Whether the picture has no file of its own, so that its source is decoded for it.
fn is_decoded(place: &Place) -> bool {
    match place.kind {
        SourceKind::Video | SourceKind::Dicom => true,
        SourceKind::Sequence => Path::new(&*place.path).is_file(),
        SourceKind::Image => false,
    }
}

/// The source of a place, found again by its path; of several in a folder, the one with the place's file.
fn spec_of(place: &Place) -> Option<SourceSpec> {
    let path = place
        .file
        .as_deref()
        .filter(|_| place.kind == SourceKind::Dicom);
    let whole = Path::new(&*place.path);
    let options = ExpandOptions::default();
    let found = expand(
        &[whole.as_os_str().to_owned()],
        options,
        &mut std::io::empty(),
    );
    let mut specs = found.sources.into_iter().flatten();
    match path {
        Some(file) => {
            specs.find(|spec| spec.files.iter().any(|f| f == Path::new(file)) || spec.path == whole)
        }
        None => specs.find(|spec| spec.path == whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datasets::{Dataset, Export, ExportSource},
        geometry::Size,
        sinks::OutputKind,
        sources::open_path,
    };
    use std::fs;

    fn media(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/media")
            .join(name)
    }

    /// The still as a run's record has it.
    fn still(name: &str) -> Item {
        let frame = open_path(media(name)).unwrap().next_frame().unwrap();
        let frame = frame.unwrap();
        Item {
            file_name: format!("in/{name}"),
            original: Some(media(name).display().to_string()),
            size: frame.size(),
            place: None,
            annotations: Vec::new(),
            physical: None,
            exif_orientation: frame.exif_orientation,
            changes: Vec::new(),
        }
    }

    fn written(items: &[Item], kind: OutputKind, mode: ImagesMode, root: &Path) -> Vec<String> {
        let dataset = Dataset {
            classes: vec!["thing".into()],
            items: items.to_vec(),
        };
        let mut export = Export::new([kind]);
        export.images = mode;
        let summary = export.write(ExportSource::Dataset(&dataset), root);
        summary.unwrap().notes
    }

    #[test]
    fn stills_that_exif_turns_are_written_upright_and_others_as_they_are() {
        let turned = ["orientation2.jpg", "orientation3.jpg", "orientation6.jpg"].map(still);
        let mut items = turned.to_vec();
        items.push(still("orientation1.jpg"));
        for mode in [ImagesMode::Copy, ImagesMode::Link] {
            let dir = tempfile::tempdir().unwrap();
            let notes = written(&items, OutputKind::Coco, mode, dir.path());
            assert!(
                notes[0].contains("3 pictures are written upright"),
                "{notes:?}"
            );
            let images = dir.path().join("images");
            for item in &turned {
                let path = images.join(&item.file_name);
                assert!(!path.is_symlink());
                let mut read = open_path(&path).unwrap();
                let frame = read.next_frame().unwrap().unwrap();
                assert_eq!((frame.size(), frame.exif_orientation), (item.size, None));
                let original = item.original.as_deref().unwrap();
                let original = open_path(original).unwrap().next_frame().unwrap().unwrap();
                assert_eq!(frame.image().unwrap(), original.image().unwrap());
            }
            let path = images.join("in/orientation1.jpg");
            assert_eq!(path.is_symlink(), mode == ImagesMode::Link);
            assert_eq!(
                fs::read(path).unwrap(),
                fs::read(media("orientation1.jpg")).unwrap()
            );
        }
    }

    #[test]
    fn a_picture_that_is_upright_already_is_not_turned_again() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut item = still("orientation6.jpg");
        written(
            std::slice::from_ref(&item),
            OutputKind::Coco,
            ImagesMode::Copy,
            first.path(),
        );
        let copy = first.path().join("images").join(&item.file_name);
        item.original = Some(copy.display().to_string());
        let notes = written(
            &[item.clone()],
            OutputKind::Nnunet,
            ImagesMode::Copy,
            second.path(),
        );
        assert!(notes.is_empty(), "{notes:?}");
        let again = second.path().join("images").join(&item.file_name);
        assert_eq!(fs::read(copy).unwrap(), fs::read(again).unwrap());
        // Of nnU-Net, too, whose pictures are made of them; that of a PNG under the name of a JPEG.
        let case = second
            .path()
            .join("nnunet/imagesTr/in__orientation6_0000.png");
        let (width, height) = image::image_dimensions(case).unwrap();
        assert_eq!(Size::new(width, height), item.size);
    }

    #[test]
    fn pages_and_frames_of_a_file_are_decoded_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = media("animated.webp");
        let mut source = open_path(&path).unwrap();
        let mut items = Vec::new();
        while let Some(frame) = source.next_frame().unwrap() {
            items.push(Item {
                file_name: format!("animated/frame-{:06}.png", frame.index),
                original: None,
                size: frame.size(),
                place: Some(Place {
                    source: "animated".into(),
                    kind: SourceKind::Sequence,
                    path: path.display().to_string().into(),
                    file: None,
                    frame: frame.index,
                    timestamp: frame.timestamp,
                    frame_rate: None,
                    attributes: Default::default(),
                }),
                annotations: Vec::new(),
                physical: None,
                exif_orientation: None,
                changes: Vec::new(),
            });
        }
        assert!(items.len() > 1);
        written(&items, OutputKind::Coco, ImagesMode::Link, dir.path());
        for item in &items {
            let path = dir.path().join("images").join(&item.file_name);
            let (width, height) = image::image_dimensions(path).unwrap();
            assert_eq!(Size::new(width, height), item.size);
        }
    }
}
