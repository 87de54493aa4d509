//! MOT as other programs write it.

use super::{
    files::{Form, SequenceFile, find},
    found::{Found, Reading},
    row::MotRow,
};
use crate::{
    datasets::{
        item::Annotation,
        reader::{Dataset, DatasetError},
    },
    geometry::BoxXyxy,
};
use std::path::Path;

/// Reads boxes of MOTChallenge: a file, or a folder with `gt/gt.txt` of sequences or, where there is none, with files of
/// results. In ground truth, rows with 0 in column 7 are counted in `warnings`; in results that column is the score. Objects
/// with a negative id, as in lists of detections, have no track.
///
/// Size, length and name of a sequence are those of its `seqinfo.ini`. Classes are those of `gt/labels.txt` in their order;
/// without it, the names of MOTChallenge. Pictures are named `NAME/000000.png`, the first frame is 0.
///
/// # Errors
/// [`DatasetError`] if a file cannot be read, or a row is broken.
pub fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Dataset, DatasetError> {
    let files = find(path, Some(Form::Boxes))?;
    if files.is_empty() {
        return Err(DatasetError::new(path, "the folder has no files of MOT")
            .with_remedy("name the folder that holds NAME/gt/gt.txt, or NAME.txt"));
    }
    let mut reading = Reading::new();
    for file in &files {
        let found = sequence(&mut reading, file)?;
        reading.add(found);
    }
    Ok(reading.finish(path, warnings))
}

fn sequence(reading: &mut Reading, file: &SequenceFile) -> Result<Found, DatasetError> {
    let mut found = reading.begin_file(file, Form::Boxes)?;
    Reading::rows(file, |line| {
        let row = MotRow::parse(line)?;
        if file.truth && row.is_unmarked() {
            reading
                .ignored
                .add("box that is not to be evaluated (0 in column 7)");
            return Ok(());
        }
        let [x, y, width, height] = row.bbox;
        let annotation = Annotation {
            class: 0,
            label: reading.labels.of(&found.class_name(row.class_number())),
            bbox: BoxXyxy::new(x as f32, y as f32, (x + width) as f32, (y + height) as f32),
            outline: None,
            score: row.confidence().filter(|_| !file.truth).map(|c| c as f32),
            mask_score: None,
            track_id: row.track.and_then(|id| u64::try_from(id).ok()),
            visibility: None,
            visibility_score: row.visibility.map(|v| v as f32),
        };
        found
            .frames
            .entry(row.frame - 1)
            .or_default()
            .push(annotation);
        Ok(())
    })?;
    Ok(found)
}
