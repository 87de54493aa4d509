//! Boxes of `detections.jsonl`.

use super::prompts::{BoxPrompt, BoxPrompts, Image, KnownSource, checked};
use crate::{
    frame::SourceKind,
    geometry::{BoxXyxy, Size},
    run_files::normalised,
    sinks::{ObjectLine, RecordLine, SinkError},
};
use std::{
    collections::{HashMap, HashSet},
    io::BufRead,
    path::Path,
    sync::Arc,
};

/// Reads the record at `path`, whose first line is `first`, and whose other lines `reader` has.
///
/// # Errors
/// [`SinkError`] if it cannot be read, a line is not a frame's result, or a frame is there twice.
pub(super) fn read(
    path: &Path,
    first: Vec<u8>,
    mut reader: impl BufRead,
) -> Result<BoxPrompts, SinkError> {
    let mut record = Record {
        prompts: BoxPrompts::of_file(path),
        labels: HashMap::new(),
        sources: HashMap::new(),
        places: HashSet::new(),
    };
    let (mut text, mut number) = (first, 1u64);
    loop {
        let broken =
            |p: String| SinkError::new(path, format!("line {number} is not a frame's result: {p}"));
        if !text.iter().all(u8::is_ascii_whitespace) {
            let line: RecordLine<'_> =
                serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
            record.add(&line).map_err(broken)?;
        }
        number += 1;
        text.clear();
        let count = reader
            .read_until(b'\n', &mut text)
            .map_err(|e| SinkError::io(path, "read the boxes", &e))?;
        if count == 0 {
            return Ok(record.prompts);
        }
    }
}

/// The lines that were read so far.
struct Record {
    prompts: BoxPrompts,
    labels: HashMap<String, Arc<str>>,
    /// Places among the sources by name and path.
    sources: HashMap<String, usize>,
    /// Frames by source and number.
    places: HashSet<(usize, u64)>,
}

impl Record {
    /// Adds the frame of a line.
    fn add(&mut self, line: &RecordLine<'_>) -> Result<(), String> {
        let prompts = line.objects.iter().map(|object| self.prompt(object));
        let prompts: Vec<BoxPrompt> = prompts.collect::<Result<_, _>>()?;
        // The frames of a sequence are known by their files: numbers shift with the files that are there.
        let by_file = line.kind == SourceKind::Sequence && line.file.is_some();
        let place = (!by_file).then(|| (self.source(line), line.frame));
        if place.is_some_and(|place| !self.places.insert(place)) {
            return Err(format!(
                "frame {} of {} was there before",
                line.frame, line.source
            ));
        }
        let size = (line.width > 0 && line.height > 0).then(|| Size::new(line.width, line.height));
        self.prompts.images.push(Image {
            prompts,
            names: names_of(line),
            place,
            size,
        });
        Ok(())
    }

    fn prompt(&mut self, object: &ObjectLine<'_>) -> Result<BoxPrompt, String> {
        let [x0, y0, x1, y1] = object.bbox;
        let label = self
            .labels
            .entry(object.label.to_string())
            .or_insert_with(|| Arc::from(&*object.label));
        checked(BoxPrompt {
            bbox: BoxXyxy::new(x0, y0, x1, y1),
            score: object.score,
            class: object.class,
            label: Arc::clone(label),
        })
    }

    /// The place of a line's source among those that the file knows.
    fn source(&mut self, line: &RecordLine<'_>) -> usize {
        let known = &mut self.prompts.sources;
        let key = format!("{}\0{}", line.source, line.path);
        *self.sources.entry(key).or_insert_with(|| {
            known.push(KnownSource {
                path: normalised(&line.path),
                name: normalised(&line.source),
                pages: matches!(line.kind, SourceKind::Image | SourceKind::Sequence),
            });
            known.len() - 1
        })
    }
}

/// What the file of a line's frame may be called, [`normalised`].
fn names_of(line: &RecordLine<'_>) -> Vec<String> {
    let file = line.file.as_deref().map(normalised);
    match line.kind {
        SourceKind::Image => vec![normalised(&line.path)],
        SourceKind::Sequence => file.into_iter().collect(),
        SourceKind::Video | SourceKind::Dicom => {
            let picture = normalised(&line.image_name());
            file.into_iter().chain([picture]).collect()
        }
    }
}
