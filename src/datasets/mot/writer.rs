//! `mot/`: boxes of tracked objects.

use super::{row::MotRow, sequence::Sequences};
use crate::{
    datasets::{
        item::Item,
        writer::{DatasetWriter, Note, WriteOptions},
    },
    sinks::SinkError,
};

/// Writes MOTChallenge's text for each video, DICOM source and numbered sequence, objects that have a track alone:
///
/// | path | what |
/// |---|---|
/// | `mot/sequences/NAME/gt/gt.txt` | ground truth: `frame,id,x,y,width,height,1,class,visibility` |
/// | `mot/sequences/NAME/gt/labels.txt` | names of the classes, the first line is class 1 |
/// | `mot/sequences/NAME/seqinfo.ini` | name, frames a second, number of frames, size |
/// | `mot/data/NAME.txt` | results: the same rows with the score for 1 |
///
/// Frames and classes are numbered from 1. Boxes are in pixels, 0, 0 is the upper left corner of the picture. The visibility
/// is [`Annotation::visibility_score`](crate::datasets::Annotation::visibility_score), or 1; a score that is not known is 1.
pub struct MotWriter {
    sequences: Sequences,
}

impl MotWriter {
    /// A writer below [`WriteOptions::root`].
    pub fn new(options: &WriteOptions) -> Self {
        let root = options.root.join("mot");
        Self {
            sequences: Sequences::new(root, "MOT", options.classes.names()),
        }
    }
}

impl DatasetWriter for MotWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let Some((sequence, frame)) = self.sequences.of(item)? else {
            return Ok(());
        };
        let (mut truth, mut results) = (String::new(), String::new());
        for (id, object) in sequence.tracked(item) {
            let bbox = object.bbox.to_coco();
            let class = u64::from(object.class) + 1;
            let seen = object.visibility_score.unwrap_or(1.0);
            let score = object.score.unwrap_or(1.0);
            truth += &MotRow::line(frame, id, bbox, (1.0, class, seen));
            results += &MotRow::line(frame, id, bbox, (score, class, seen));
        }
        sequence.add(&truth, &results)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.sequences.finish()
    }

    fn take_notes(&mut self) -> Vec<Note> {
        self.sequences.take_notes()
    }
}
