//! `objects.csv`: a row an object and frame, with its sizes in pixels and millimetres.

use super::{
    item::{Annotation, Item, Place},
    writer::{DatasetWriter, WriteOptions},
};
use crate::{
    frame::SourceKind,
    measure::{Measurements, measure, rounded},
    sinks::{AtomicFile, SinkError},
};
use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, Write as _},
    path::PathBuf,
    time::Duration,
};

const FILE: &str = "objects.csv";
const BUFFER: usize = 1 << 16;

const HEADER: &str = "source,kind,file_name,frame,time_s,track_id,class,label,score,mask_score,x0,y0,x1,y1,\
    area_px,perimeter_px,centroid_x_px,centroid_y_px,area_mm2,length_mm,width_mm,perimeter_mm,\
    centroid_x_mm,centroid_y_mm,spacing_x_mm,spacing_y_mm,note\n";

/// Writes `objects.csv`: comma-separated UTF-8 (RFC 4180, lines that end in a line feed), a header, a row an object and frame
/// in the order of the pictures. A picture without objects has no row.
///
/// | columns | what |
/// |---|---|
/// | `source`, `kind` | the source's name and kind (`image`, `sequence`, `video`, `dicom`) |
/// | `file_name` | the picture's file below the image root |
/// | `frame`, `time_s` | number in its source, from 0; seconds from its start, exact to the nanosecond |
/// | `track_id` | number of a tracked object over its source |
/// | `class`, `label` | class from 0, and its name |
/// | `score`, `mask_score` | confidence, and the segmenter's estimate of its mask's IoU, 0..1 |
/// | `x0`, `y0`, `x1`, `y1` | box in pixels, right and lower edges exclusive |
/// | `area_px` … `centroid_y_px` | sizes in pixels: see [`Measurements`] |
/// | `area_mm2` … `spacing_y_mm` | sizes in millimetres: see [`crate::measure::Millimetres`] |
/// | `note` | why there are no millimetres in a picture that states physical facts: see [`crate::measure::Note`] |
///
/// What is not known is an empty cell: sources of pictures that say no place, scores of annotations, millimetres without a
/// scale. Boxes and scores are as in the record, sizes have at most six significant digits.
pub struct TableWriter {
    path: PathBuf,
    /// None once it is complete.
    file: Option<BufWriter<AtomicFile>>,
    /// The present row.
    row: String,
}

impl TableWriter {
    /// Starts the file in the folder of `options`.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be made.
    pub fn new(options: &WriteOptions) -> Result<Self, SinkError> {
        let path = options.root.join(FILE);
        let file = BufWriter::with_capacity(BUFFER, AtomicFile::create(&path)?);
        let mut table = Self {
            path,
            file: Some(file),
            row: HEADER.to_owned(),
        };
        table.write_row()?;
        Ok(table)
    }

    fn error(&self, error: &io::Error) -> SinkError {
        SinkError::io(&self.path, "write the file", error)
    }

    fn write_row(&mut self) -> Result<(), SinkError> {
        let Some(file) = &mut self.file else {
            return Err(SinkError::new(&self.path, "is complete already"));
        };
        let written = file.write_all(self.row.as_bytes());
        self.row.clear();
        written.map_err(|e| self.error(&e))
    }

    fn object(&mut self, item: &Item, object: &Annotation) -> Result<(), SinkError> {
        let mask = match &object.outline {
            Some(outline) => Some(outline.to_mask(item.size).ok_or_else(|| {
                let problem = format!(
                    "the outline of an object of {} does not fit its picture of {}",
                    item.file_name, item.size
                );
                SinkError::new(&self.path, problem)
            })?),
            None => None,
        };
        let sizes = measure(mask.as_deref(), object.bbox, item.physical.as_ref());
        let mut row = Row(&mut self.row);
        row.place(item);
        row.found(object);
        row.sizes(&sizes);
        self.write_row()
    }
}

impl DatasetWriter for TableWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        item.annotations
            .iter()
            .try_for_each(|object| self.object(item, object))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        match file.into_inner() {
            Ok(file) => file.commit(),
            Err(failed) => Err(self.error(failed.error())),
        }
    }
}

/// A row that is being filled.
struct Row<'a>(&'a mut String);

impl Row<'_> {
    fn place(&mut self, item: &Item) {
        let place = item.place.as_ref();
        self.text(place.map_or("", |p| &p.source));
        self.text(place.map_or("", |p| kind(p.kind)));
        self.text(&item.file_name);
        self.number(place.map(|p| p.frame));
        let time = |place: &Place| place.timestamp.map(seconds);
        self.number(place.and_then(time));
    }

    fn found(&mut self, object: &Annotation) {
        self.number(object.track_id);
        self.number(Some(object.class));
        self.text(&object.label);
        self.number(object.score);
        self.number(object.mask_score);
        let bbox = object.bbox;
        for edge in [bbox.x0, bbox.y0, bbox.x1, bbox.y1] {
            self.number(Some(edge));
        }
    }

    fn sizes(&mut self, sizes: &Measurements) {
        self.figure(Some(sizes.area_px));
        self.figure(Some(sizes.perimeter_px));
        self.pair(sizes.centroid_px);
        let mm = sizes.mm.as_ref();
        self.figure(mm.map(|mm| mm.area_mm2));
        self.figure(mm.map(|mm| mm.length_mm));
        self.figure(mm.map(|mm| mm.width_mm));
        self.figure(mm.map(|mm| mm.perimeter_mm));
        self.pair(mm.map(|mm| mm.centroid_mm));
        self.pair(mm.map(|mm| mm.spacing_mm));
        if let Some(note) = sizes.note {
            // A string takes all that is written to it.
            let _ = write!(self.0, "{note}");
        }
        self.0.push('\n');
    }

    /// A cell of text, in quotes where it needs them (RFC 4180, 2.5 to 2.7).
    fn text(&mut self, text: &str) {
        if text.contains(['"', ',', '\n', '\r']) {
            self.0.push('"');
            self.0.push_str(&text.replace('"', "\"\""));
            self.0.push('"');
        } else {
            self.0.push_str(text);
        }
        self.0.push(',');
    }

    fn number(&mut self, number: Option<impl Display>) {
        if let Some(number) = number {
            let _ = write!(self.0, "{number}");
        }
        self.0.push(',');
    }

    fn figure(&mut self, figure: Option<f64>) {
        self.number(figure.map(rounded));
    }

    fn pair(&mut self, pair: Option<[f64; 2]>) {
        self.figure(pair.map(|p| p[0]));
        self.figure(pair.map(|p| p[1]));
    }
}

/// The name that the record has for a kind.
fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Image => "image",
        SourceKind::Sequence => "sequence",
        SourceKind::Video => "video",
        SourceKind::Dicom => "dicom",
    }
}

/// Seconds in the fewest digits that are exact.
fn seconds(time: Duration) -> String {
    let digits = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    let short = digits.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
}
