//! The rows of a table, and its file.

use crate::{
    datasets::{
        item::{Annotation, Item, Place},
        table::speed::Speed,
    },
    frame::{SourceKind, Visibility, VisibilityChange},
    measure::{Measurements, rounded},
    sinks::{AtomicFile, SinkError},
};
use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

const BUFFER: usize = 1 << 16;

/// A table that is being written.
pub(super) struct Table {
    path: PathBuf,
    /// None once it is complete.
    file: Option<BufWriter<AtomicFile>>,
    /// The present row.
    row: String,
}

impl Table {
    /// Starts the file with its heading line.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be made.
    pub(super) fn new(path: &Path, header: &str) -> Result<Self, SinkError> {
        let file = BufWriter::with_capacity(BUFFER, AtomicFile::create(path)?);
        let mut table = Self {
            path: path.to_owned(),
            file: Some(file),
            row: header.to_owned(),
        };
        table.write_row()?;
        Ok(table)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, error: &io::Error) -> SinkError {
        SinkError::io(&self.path, "write the file", error)
    }

    /// The row that is to be filled.
    pub(super) fn row(&mut self) -> Row<'_> {
        Row(&mut self.row)
    }

    /// Writes the row that was filled.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written, or the table is complete.
    pub(super) fn write_row(&mut self) -> Result<(), SinkError> {
        let Some(file) = &mut self.file else {
            return Err(SinkError::new(&self.path, "is complete already"));
        };
        let written = file.write_all(self.row.as_bytes());
        self.row.clear();
        written.map_err(|e| self.error(&e))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    pub(super) fn finish(&mut self) -> Result<(), SinkError> {
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
pub(super) struct Row<'a>(&'a mut String);

impl Row<'_> {
    pub(super) fn place(&mut self, item: &Item) {
        let place = item.place.as_ref();
        self.text(item.source());
        self.text(place.map_or("image", |p| kind(p.kind)));
        self.text(&item.file_name);
        self.number(place.map(|p| p.frame));
        let time = |place: &Place| place.timestamp.map(seconds);
        self.number(place.and_then(time));
    }

    /// A change of visibility at the picture of `item`.
    pub(super) fn change(&mut self, item: &Item, change: &VisibilityChange) {
        let place = item.place.as_ref();
        self.text(item.source());
        self.number(place.map(|p| p.frame));
        self.number(place.and_then(|p| p.timestamp).map(seconds));
        self.number(change.track_id);
        self.number(Some(change.class));
        self.text(&change.label);
        self.text(change.from.map_or("", Visibility::name));
        self.text(change.to.name());
        let _ = writeln!(self.0, "{}", change.score);
    }

    pub(super) fn found(&mut self, object: &Annotation) {
        self.number(object.track_id);
        self.text(object.visibility.map_or("", Visibility::name));
        self.number(object.visibility_score);
        self.number(Some(object.class));
        self.text(&object.label);
        self.number(object.score);
        self.number(object.mask_score);
        let bbox = object.bbox;
        for edge in [bbox.x0, bbox.y0, bbox.x1, bbox.y1] {
            self.number(Some(edge));
        }
    }

    pub(super) fn sizes(&mut self, sizes: &Measurements, speed: Speed) {
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
        self.figure(speed.px_s);
        self.figure(speed.mm_s);
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
