//! Writers driven by the record of a run, or by a data set that was read.

use super::{
    coco::{CocoLayout, CocoWriter},
    cvat::CvatWriter,
    division::Division,
    item::Item,
    label_maps::{LabelMapWriter, NnunetWriter},
    label_studio::{LabelStudioOptions, LabelStudioWriter},
    labelme::LabelmeWriter,
    mot::{MotWriter, MotsWriter},
    nrrd::NrrdWriter,
    pictures::Pictures,
    reader::Dataset,
    record::{RecordItems, class_names},
    report::{ReportOptions, ReportWriter},
    seg::{SegOptions, SegWriter},
    split::{PARTS, Parts, Shares, SplitBy},
    table::TableWriter,
    voc::{VocCorners, VocWriter},
    writer::{DatasetWriter, MaskForm, Note, WriteOptions},
    yolo::YoloWriter,
};
use crate::{
    coco::Classes,
    progress::{Cancel, Observer},
    sinks::{IMAGES, ImagesMode, Labelling, Layout, OutputKind, SinkError},
    sources::SourceOptions,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is exported.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ExportSource<'a> {
    /// The record of a run, with the names of the run's classes; classes beyond them are named as in the record.
    Record(&'a Path, &'a Classes),
    /// A data set.
    Dataset(&'a Dataset),
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportEvent {
    /// It begins with the first picture, of so many.
    Began(u64),
    /// A picture and its objects are in all data sets. Some are completed after the last.
    PictureDone,
}

/// Receives how far an export is, on the thread that writes it.
pub type ExportObserver = dyn Observer<ExportEvent>;

/// Data sets to be written into one folder.
#[derive(Clone)]
#[non_exhaustive]
pub struct Export {
    /// The kinds: those of [`OutputKind::is_of_record`]; others are passed over.
    pub kinds: Vec<OutputKind>,
    /// What is put under `images/`.
    pub images: ImagesMode,
    /// Folder of the pictures, where they are not put under `images/`.
    pub image_root: Option<PathBuf>,
    /// How masks are written where a kind has a choice; without it run lengths in COCO, polygons in kinds of annotation tools.
    pub masks: Option<MaskForm>,
    /// Shares of the parts that the data set is divided into, what stays together, and the seed that decides.
    pub split: Option<(Shares, SplitBy, u64)>,
    /// How DICOM Segmentations are written; its codes are also those of 3D Slicer's segmentations.
    pub seg: SegOptions,
    /// What the page tells beside the results.
    pub report: ReportOptions,
    /// How sources are decoded again for their pictures.
    pub source_options: SourceOptions,
    /// Ends the export before the next picture.
    pub cancel: Cancel,
    /// Receives how far the export is.
    pub observer: Arc<ExportObserver>,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        write!(f, "Export({})", kinds.join(","))
    }
}

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExportSummary {
    /// Pictures.
    pub items: u64,
    /// Objects in them.
    pub annotations: u64,
    /// Whether it was cancelled: its files are then not complete, and are made by the same export again.
    pub interrupted: bool,
    /// Pictures of each part, by its name, where the data set is divided.
    pub parts: Vec<(&'static str, u64)>,
    /// What is left out of a data set, and why; parts of it that have no pictures.
    pub notes: Vec<String>,
}

impl ExportSummary {
    /// Of nothing yet but the division.
    fn of_parts(parts: &Parts) -> Self {
        let counted = PARTS.into_iter().zip(parts.counts());
        Self {
            parts: counted.filter(|(_, count)| *count > 0).collect(),
            notes: parts.notes().to_vec(),
            ..Self::default()
        }
    }
}

impl Export {
    /// An export of `kinds` without pictures, masks as run lengths, undivided.
    pub fn new(kinds: impl IntoIterator<Item = OutputKind>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
            images: ImagesMode::None,
            image_root: None,
            masks: None,
            split: None,
            seg: SegOptions::default(),
            report: ReportOptions::new("Results", 0.0),
            source_options: SourceOptions::default(),
            cancel: Cancel::default(),
            observer: Arc::new(()),
        }
    }

    /// Writes the data sets into the folder `root`. The same source and options give the same bytes. Single files appear when the
    /// export is complete; an export that was killed is completed by doing it again, which leaves the pictures that are there.
    ///
    /// # Errors
    /// [`SinkError`] if the record cannot be read, a picture is not there, or a file cannot be written.
    pub fn write(&self, source: ExportSource<'_>, root: &Path) -> Result<ExportSummary, SinkError> {
        let (classes, count) = match source {
            ExportSource::Record(path, known) => class_names(path, known)?,
            ExportSource::Dataset(dataset) => (dataset.classes.clone(), dataset.items.len() as u64),
        };
        let images = match self.images {
            ImagesMode::None => self.image_root.clone(),
            _ => Some(PathBuf::from(IMAGES)),
        };
        let options = WriteOptions {
            root: root.to_owned(),
            classes: Classes::new(classes),
            images,
            masks: self.masks.unwrap_or_default(),
            parts: self.parts(source)?,
        };
        let mut summary = ExportSummary::of_parts(&options.parts);
        let mut pictures = Pictures::new(
            Layout::new(root),
            self.images,
            self.image_root.clone(),
            self.source_options.clone(),
        );
        let mut writers = self.writers(&options)?;
        self.observer.event(ExportEvent::Began(count));
        let done = for_each(source, |item| {
            if self.cancel.is_requested() {
                return Ok(false);
            }
            pictures.place(item)?;
            summary.items += 1;
            summary.annotations += item.annotations.len() as u64;
            writers
                .iter_mut()
                .try_for_each(|writer| writer.item(item))?;
            self.observer.event(ExportEvent::PictureDone);
            Ok(true)
        })?;
        summary.interrupted = !done;
        summary.notes.extend(pictures.notes());
        summary.notes.extend(self.undivided());
        if done {
            for writer in &mut writers {
                writer.finish()?;
                summary.notes.extend(Note::lines(&writer.take_notes()));
            }
        }
        Ok(summary)
    }

    fn parts(&self, source: ExportSource<'_>) -> Result<Parts, SinkError> {
        let Some((shares, by, seed)) = self.split else {
            return Ok(Parts::default());
        };
        let mut division = Division::new(shares, by, seed);
        if matches!(source, ExportSource::Record(..)) {
            division = division.of_named_sources();
        }
        for_each(source, |item| {
            division.count(item);
            Ok(true)
        })?;
        Ok(division.parts())
    }

    /// A note on kinds without parts, where parts are requested.
    fn undivided(&self) -> Option<String> {
        let no_parts = |kind: &&OutputKind| {
            use OutputKind::{Cvat, LabelStudio, Labelme};
            matches!(kind, Cvat | LabelStudio | Labelme)
        };
        let kinds: Vec<&str> = (self.kinds.iter().filter(no_parts))
            .map(|kind| kind.name())
            .collect();
        let hold = if kinds.len() == 1 { "holds" } else { "hold" };
        let said = || format!("{}: {hold} the pictures of all parts", kinds.join(", "));
        (self.split.is_some() && !kinds.is_empty()).then(said)
    }

    fn writers(&self, options: &WriteOptions) -> Result<Vec<Box<dyn DatasetWriter>>, SinkError> {
        let editable = self.masks.unwrap_or(MaskForm::Polygon);
        let mut writers: Vec<Box<dyn DatasetWriter>> = Vec::new();
        for kind in &self.kinds {
            writers.push(match kind {
                OutputKind::Coco => Box::new(CocoWriter::new(options, CocoLayout::Plain)?),
                OutputKind::Datumaro => {
                    Box::new(CocoWriter::new(options, CocoLayout::Annotations)?)
                }
                OutputKind::Yolo => Box::new(YoloWriter::new(options)?),
                OutputKind::Masks => Box::new(LabelMapWriter::new(options, Labelling::Classes)),
                OutputKind::Instances => Box::new(LabelMapWriter::new(options, Labelling::Objects)),
                OutputKind::Nnunet => Box::new(NnunetWriter::new(options)?),
                OutputKind::Cvat => Box::new(CvatWriter::new(options.clone(), editable)),
                OutputKind::Labelme => Box::new(LabelmeWriter::new(options.clone(), editable)),
                OutputKind::Voc => Box::new(VocWriter::new(options.clone(), VocCorners::Edges)),
                OutputKind::LabelStudio => {
                    let settings = LabelStudioOptions::new(editable);
                    Box::new(LabelStudioWriter::new(options.clone(), settings))
                }
                OutputKind::Mot => Box::new(MotWriter::new(options)),
                OutputKind::Mots => Box::new(MotsWriter::new(options)),
                OutputKind::Seg => Box::new(SegWriter::new(options, self.seg.clone())),
                OutputKind::Nrrd => Box::new(NrrdWriter::new(options, self.seg.codes.clone())),
                OutputKind::Csv => Box::new(TableWriter::new(options)?),
                OutputKind::Report => Box::new(ReportWriter::new(options, &self.report)?),
                OutputKind::Jsonl | OutputKind::Overlay | OutputKind::Frames => continue,
            });
        }
        Ok(writers)
    }
}

/// Calls `each` for every item until it returns false; whether it never did.
fn for_each(
    source: ExportSource<'_>,
    mut each: impl FnMut(&Item) -> Result<bool, SinkError>,
) -> Result<bool, SinkError> {
    match source {
        ExportSource::Record(path, _) => {
            let mut items = RecordItems::open(path)?;
            while let Some(item) = items.next()? {
                if !each(&item)? {
                    return Ok(false);
                }
            }
        }
        ExportSource::Dataset(dataset) => {
            for item in &dataset.items {
                if !each(item)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
