//! The pictures of a data set under `images/`.

use super::item::{Item, Place};
use crate::{
    frame::SourceKind,
    sinks::{ImagesMode, Layout, SinkError, place_original, write_image},
    sources::{ExpandOptions, Source, SourceOptions, SourceSpec, expand, open},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Puts the pictures of items into the folder of pictures. Files of stills and sequences are linked or copied; videos and DICOM
/// are decoded again. Pictures that are there already are left as they are.
pub(super) struct Pictures {
    layout: Layout,
    mode: ImagesMode,
    /// Folder that the names of items are below, for items without an original.
    root: Option<PathBuf>,
    options: SourceOptions,
    /// The source that is open.
    open: Option<(Arc<str>, Box<dyn Source>)>,
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
        }
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
            return place_original(&original, &path, self.mode);
        }
        let moving = |place: &&Place| matches!(place.kind, SourceKind::Video | SourceKind::Dicom);
        match item.place.as_ref().filter(moving) {
            Some(place) => self.decode(place, &path),
            None => Err(SinkError::new(
                &path,
                format!("the picture {} is not there", item.file_name),
            )
            .with_remedy("name the folder that the pictures are in")),
        }
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
