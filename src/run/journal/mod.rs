//! `detections.jsonl`, the run's record: one line a frame, appended as results come, read again to resume.

mod ordinals;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use ordinals::Ordinals;
pub use state::SourceEnd;

use crate::{
    frame::{Detections, Frame, SourceInfo},
    run::counts::{Counts, InputProblems},
    sinks::{Layout, Lines, RecordLine, SinkError, SinkErrorKind, facts_of, line_of},
};
use serde::Deserialize;
use state::{EndedSources, StateFile};
use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::Write,
};

/// The record, open for appending, and the list of the sources that have ended.
///
/// Sources come in order of their ordinals and frames in order of their indices. A line is in the file, whole, when
/// [`Record::append`] returns (a killed process loses none), and on the disk when [`Record::end_source`] returns.
/// On resume the sources before [`Record::ended_sources`] need no work; of the one after, [`Record::stored`] gives the
/// results that are there, for the frames from its first on. Memory does not grow with the number of frames.
#[derive(Debug)]
pub struct Record {
    file: File,
    layout: Layout,
    length: u64,
    state: StateFile,
    /// The positions of this record's sources among all that the inputs stand for.
    ordinals: Ordinals,
    ended: usize,
    counts: Counts,
    errors: InputProblems,
    /// Of the source that has not ended: where its lines begin, how many there are, and its last frame.
    open: OpenSource,
}

#[derive(Debug, Clone, Default)]
struct OpenSource {
    /// Its name, once it has a frame.
    name: Option<String>,
    offset: u64,
    frames: u64,
    last: Option<u64>,
}

impl Record {
    /// An empty record; one that is there is emptied.
    ///
    /// # Errors
    /// [`SinkError`] if the files cannot be made.
    pub fn create(layout: &Layout) -> Result<Self, SinkError> {
        Self::create_of(layout, Ordinals::default())
    }

    /// The same, of the sources at `ordinals` alone.
    ///
    /// # Errors
    /// As [`Record::create`].
    pub(crate) fn create_of(layout: &Layout, ordinals: Ordinals) -> Result<Self, SinkError> {
        let state = StateFile::open(layout.state(), true)?;
        let file = open_append(layout)?;
        file.set_len(0)
            .map_err(|e| SinkError::io(&layout.record(), "empty the record", &e))?;
        Ok(Self {
            file,
            layout: layout.clone(),
            length: 0,
            state,
            ordinals,
            ended: 0,
            counts: Counts::default(),
            errors: InputProblems::default(),
            open: OpenSource::default(),
        })
    }

    /// The record that a run left, without a partial last line. An absent one gives an empty one.
    ///
    /// # Errors
    /// [`SinkError`] if a line is broken or out of order, or the record does not fit the list of ended sources.
    pub fn resume(layout: &Layout) -> Result<Self, SinkError> {
        Self::resume_of(layout, Ordinals::default())
    }

    /// The same, of the sources at `ordinals` alone.
    ///
    /// # Errors
    /// As [`Record::resume`].
    pub(crate) fn resume_of(layout: &Layout, ordinals: Ordinals) -> Result<Self, SinkError> {
        let mut record = Self {
            file: open_append(layout)?,
            layout: layout.clone(),
            length: 0,
            state: StateFile::open(layout.state(), false)?,
            ordinals,
            ended: 0,
            counts: Counts::default(),
            errors: InputProblems::default(),
            open: OpenSource::default(),
        };
        record.replay()?;
        let path = layout.record();
        record
            .file
            .set_len(record.length)
            .map_err(|e| SinkError::io(&path, "cut a partial last line", &e))?;
        Ok(record)
    }

    /// How many sources have ended; the place of the first that has not, among those of this record.
    pub fn ended_sources(&self) -> usize {
        self.ended
    }

    /// The positions of this record's sources among all that the inputs stand for.
    pub(crate) fn ordinals(&self) -> &Ordinals {
        &self.ordinals
    }

    /// The ordinal of the source that has not ended.
    fn due(&self) -> usize {
        self.ordinals.at(self.ended)
    }

    /// Results in the record for the source that has not ended.
    pub fn stored_frames(&self) -> u64 {
        self.open.frames
    }

    /// Number of the last frame in the record of the source that has not ended.
    pub(crate) fn last_stored(&self) -> Option<u64> {
        self.open.last
    }

    /// Name of the source that has not ended, where the record holds results of it.
    pub fn open_source(&self) -> Option<&str> {
        self.open.name.as_deref()
    }

    /// Totals of what is in the record.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Errors of the sources that have ended.
    pub fn errors(&self) -> &InputProblems {
        &self.errors
    }

    /// The sources that have ended, read one by one: by their names the inputs are compared with those of this run.
    ///
    /// # Errors
    /// [`SinkError`] if the list cannot be read.
    pub fn ends(
        &self,
    ) -> Result<impl Iterator<Item = Result<SourceEnd, SinkError>> + use<>, SinkError> {
        EndedSources::open(&self.layout.state())
    }

    /// The stored results of the source that has not ended, in order, read one by one.
    ///
    /// # Errors
    /// [`SinkError`] if the record cannot be read.
    pub fn stored(&self) -> Result<StoredResults, SinkError> {
        Ok(StoredResults {
            lines: Lines::open(&self.layout.record(), self.open.offset)?,
            left: self.open.frames,
        })
    }

    /// Whether the record has a frame of the source that has not ended after the one of number `index`, and so no place for
    /// that one any more.
    pub fn is_past(&self, index: u64) -> bool {
        self.open.last.is_some_and(|last| index < last)
    }

    /// Appends the result of a frame: one write.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written whole (the record then ends with the line before), is out of order, or holds
    /// a number that is not finite.
    pub fn append(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError> {
        let path = self.layout.record();
        if let Err(problem) = self
            .open
            .follows(self.due(), frame.source.ordinal, frame.index)
        {
            return Err(SinkError::new(path, problem));
        }
        let facts = (self.open.frames == 0).then(|| facts_of(&frame.source));
        let Some(line) = line_of(frame, found, facts) else {
            let problem = format!(
                "{}, frame {}: a box or score is not a finite number",
                frame.source.path.display(),
                frame.index
            );
            return Err(SinkError::new(path, problem)
                .with_kind(SinkErrorKind::NotFinite)
                .with_remedy("compute on the CPU, or use a model of full precision"));
        };
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // A partial line would be cut on resume as well; this keeps the file valid for readers until then.
            let _ = self.file.set_len(self.length);
            return Err(SinkError::io(&path, "append a result", &error));
        }
        self.length += line.len() as u64;
        self.open.frames += 1;
        self.open.last = Some(frame.index);
        self.open
            .name
            .get_or_insert_with(|| frame.source.name.clone());
        self.counts.add(found);
        Ok(())
    }

    /// The source has ended, with `errors`, and all other sinks have completed their outputs of it: the end is
    /// on the disk when this returns, and a resumed run skips the source.
    ///
    /// # Errors
    /// [`SinkError`] if that cannot be written, or the source is not the one whose turn it is.
    pub fn end_source(
        &mut self,
        source: &SourceInfo,
        errors: InputProblems,
    ) -> Result<(), SinkError> {
        let path = self.layout.record();
        if source.ordinal != self.due() {
            return Err(SinkError::new(
                path,
                format!(
                    "source {} ended when source {} was due",
                    source.ordinal,
                    self.due()
                ),
            ));
        }
        self.file
            .sync_data()
            .map_err(|e| SinkError::io(&path, "write the record to disk", &e))?;
        let end = SourceEnd {
            source: source.ordinal,
            name: source.name.clone(),
            frames: self.open.frames,
            errors,
        };
        self.state.append(&end)?;
        self.note_end(end);
        Ok(())
    }

    fn note_end(&mut self, end: SourceEnd) {
        self.ended += 1;
        self.counts.sources += 1;
        self.errors.extend(end.errors);
        self.open = OpenSource {
            offset: self.length,
            ..OpenSource::default()
        };
    }

    /// Reads record and state side by side and checks each against the other.
    fn replay(&mut self) -> Result<(), SinkError> {
        let mut lines = Lines::open(&self.layout.record(), 0)?;
        let mut ends = EndedSources::open(&self.layout.state())?;
        let mut more = lines.advance()?;
        loop {
            let end = ends.next().transpose()?;
            while more {
                let line: Brief<'_> = lines.parse()?;
                let due = self.due();
                if end.is_some() && line.source_index != due {
                    break;
                }
                self.open
                    .follows(due, line.source_index, line.frame)
                    .map_err(|p| lines.broken(&p))?;
                self.open.frames += 1;
                self.open.last = Some(line.frame);
                self.open
                    .name
                    .get_or_insert_with(|| line.source.into_owned());
                self.counts.frames += 1;
                line.objects
                    .iter()
                    .for_each(|o| self.counts.add_object(&o.label));
                more = lines.advance()?;
                self.length = lines.offset();
            }
            let Some(end) = end else { return Ok(()) };
            if end.source != self.due() || end.frames != self.open.frames {
                let problem = format!(
                    "says that source {} ({}) ended with {} frames, but the record holds {} of source {}",
                    end.source,
                    end.name,
                    end.frames,
                    self.open.frames,
                    self.due()
                );
                return Err(SinkError::new(self.layout.state(), problem)
                    .with_kind(SinkErrorKind::BrokenJournal)
                    .with_remedy("overwrite the run"));
            }
            self.note_end(end);
        }
    }
}

impl OpenSource {
    /// Whether a frame of `source` may come next when `due` is the source that has not ended; else what is wrong.
    fn follows(&self, due: usize, source: usize, frame: u64) -> Result<(), String> {
        match self.last {
            _ if source != due => Err(format!(
                "frame {frame} of source {source} when source {due} was due"
            )),
            Some(last) if frame <= last => Err(format!(
                "frame {frame} of source {source} after its frame {last}"
            )),
            _ => Ok(()),
        }
    }
}

/// What resuming needs of a line.
#[derive(Deserialize)]
struct Brief<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    source_index: usize,
    frame: u64,
    #[serde(borrow)]
    objects: Vec<BriefObject<'a>>,
}

#[derive(Deserialize)]
struct BriefObject<'a> {
    #[serde(borrow)]
    label: Cow<'a, str>,
}

/// Stored results, read one by one.
#[derive(Debug)]
pub struct StoredResults {
    lines: Lines,
    left: u64,
}

/// A result in the record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredFrame {
    /// Position of its source among the run's sources.
    pub source: usize,
    /// Number of the frame in its source.
    pub index: u64,
    /// Its objects.
    pub found: Detections,
}

impl Iterator for StoredResults {
    type Item = Result<StoredFrame, SinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        match self.lines.advance() {
            Ok(true) => Some(self.stored()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl StoredResults {
    fn stored(&self) -> Result<StoredFrame, SinkError> {
        let line: RecordLine<'_> = self.lines.parse()?;
        Ok(StoredFrame {
            source: line.source_index,
            index: line.frame,
            found: line.detections().map_err(|p| self.lines.broken(&p))?,
        })
    }
}

fn open_append(layout: &Layout) -> Result<File, SinkError> {
    let path = layout.record();
    let opened = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(&path);
    opened.map_err(|e| SinkError::io(&path, "open the record", &e))
}
