//! Which of the formats a file has.

use super::{dataset, prompts::BoxPrompts, record};
use crate::{
    coco::{self, Classes, CocoFile, without_bom},
    datasets::as_coco_text,
    run_files::images_beside,
    sinks::{RecordLine, SinkError, SinkErrorKind},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

impl BoxPrompts {
    /// Reads the file at `path`; `classes` names the categories of a file that does not.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be read, is neither of the formats, contradicts itself, or holds a box that is not finite.
    pub fn read(path: &Path, classes: &Classes) -> Result<Self, SinkError> {
        Self::read_with_images(path, None, classes)
    }

    /// As [`BoxPrompts::read`]; the images of a results list are those of the COCO file `images_of`. Images of a data set that
    /// does not say which frames they are (tools leave out the list of videos) are the frames that images of their names in
    /// `images_of` are.
    ///
    /// # Errors
    /// As [`BoxPrompts::read`], of either file; also if images are named for a file that says itself which frames it is of.
    pub fn read_with_images(
        path: &Path,
        images_of: Option<&Path>,
        classes: &Classes,
    ) -> Result<Self, SinkError> {
        if let Some(text) = Self::of_other_kind(path)? {
            let broken = |problem: String| {
                SinkError::new(path, format!("holds no boxes that can be read: {problem}"))
            };
            let found = coco::parse_dataset(&text).map_err(|e| broken(e.to_string()))?;
            let prompts = dataset::with_annotations(path, &found, &found.annotations, classes)
                .map_err(broken)?;
            return with_frames(prompts, images_of, classes);
        }
        let file = File::open(path).map_err(|e| SinkError::io(path, "open the boxes", &e))?;
        let mut reader = BufReader::with_capacity(1 << 18, file.take(coco::MAX_BYTES + 1));
        let unreadable = |e: std::io::Error| SinkError::io(path, "read the boxes", &e);
        let mut first = Vec::new();
        while without_bom(&first).iter().all(u8::is_ascii_whitespace) {
            first.clear();
            if reader.read_until(b'\n', &mut first).map_err(unreadable)? == 0 {
                // A run over no frames leaves an empty record: no boxes.
                return Ok(Self::of_file(path));
            }
        }
        let first = without_bom(&first).to_vec();
        if serde_json::from_slice::<RecordLine<'_>>(&first).is_ok() {
            no_images_of(path, images_of)?;
            return record::read(path, first, reader);
        }
        let text = coco::read_rest(reader, first).map_err(unreadable)?;
        let not_boxes = |problem: String| {
            let remedy = "give detections.jsonl, a COCO file with images and annotations, or a COCO results list";
            SinkError::new(path, format!("holds no boxes that can be read: {problem}"))
                .with_remedy(remedy)
        };
        let file = coco::parse(&text).map_err(|e| not_boxes(coco::describe(&text, &e)))?;
        match file {
            CocoFile::Results(entries) => {
                let images = images_of.map(Path::to_owned);
                match images.or_else(|| images_beside(path)) {
                    Some(images) => dataset::results_of(path, &entries, &images, classes),
                    None => dataset::published(path, &entries, classes).map_err(not_boxes),
                }
            }
            CocoFile::Dataset(found) => {
                let prompts = dataset::with_annotations(path, &found, &found.annotations, classes)
                    .map_err(not_boxes)?;
                with_frames(prompts, images_of, classes)
            }
        }
    }
}

impl BoxPrompts {
    /// The text as COCO of a data set of another kind.
    fn of_other_kind(path: &Path) -> Result<Option<Vec<u8>>, SinkError> {
        as_coco_text(path).map_err(|e| {
            let error = SinkError::new(&e.path, e.problem.clone());
            match e.remedy {
                Some(remedy) => error.with_remedy(remedy),
                None => error,
            }
        })
    }
}

/// The prompts of a data set with the frames that its images are: those of `images_of`, else of the `coco.json` beside it in the
/// folder of a run, where it says nothing of frames itself.
fn with_frames(
    prompts: BoxPrompts,
    images_of: Option<&Path>,
    classes: &Classes,
) -> Result<BoxPrompts, SinkError> {
    let path = prompts.path.clone();
    let open = |prompts: &BoxPrompts| prompts.images.iter().filter(|i| i.place.is_none()).count();
    let before = open(&prompts);
    let beside = || images_beside(&path).filter(|_| prompts.sources.is_empty());
    let Some(images) = images_of.map(Path::to_owned).or_else(beside) else {
        return Ok(prompts);
    };
    let prompts = dataset::placed(prompts, &images, classes)?;
    if open(&prompts) == before {
        no_images_of(&path, images_of)?;
    }
    Ok(prompts)
}

fn no_images_of(path: &Path, images_of: Option<&Path>) -> Result<(), SinkError> {
    let Some(images_of) = images_of else {
        return Ok(());
    };
    let problem = format!(
        "is no COCO results list, and learns nothing of its frames from the images of {}, so they are not needed",
        images_of.display()
    );
    Err(SinkError::new(path, problem)
        .with_kind(SinkErrorKind::ImagesNotNeeded)
        .with_remedy("leave the file of images out"))
}
