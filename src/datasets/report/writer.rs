//! Items to lines of the page.

use super::{
    doubt::{Seen, doubt},
    line,
    options::ReportOptions,
    page::around,
};
use crate::{
    datasets::{
        item::{Annotation, Item},
        writer::{DatasetWriter, WriteOptions},
    },
    sinks::{AtomicFile, SinkError, SinkErrorKind},
};
use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    sync::Arc,
};

/// Writes `report.html`: a page for looking at results in a browser, without a server or a network.
///
/// Pictures are loaded from [`WriteOptions::images`]; without it the page shows outlines on empty frames. Memory holds
/// three frames at a time, besides the names of classes.
pub struct ReportWriter {
    /// None once it is finished.
    file: Option<BufWriter<AtomicFile>>,
    /// The page behind the frames.
    after: String,
    threshold: f64,
    /// Names that the page knows, by class.
    named: BTreeMap<u32, Arc<str>>,
    source: Option<Arc<str>>,
    before: Option<Seen>,
    /// The last frame of a source, whose line waits for the frame after it.
    pending: Option<(Item, Seen)>,
}

impl ReportWriter {
    /// Name of the page below the output folder.
    pub const FILE: &str = "report.html";

    /// Begins the page below [`WriteOptions::root`]. It appears under its name in [`DatasetWriter::finish`].
    ///
    /// # Errors
    /// [`SinkError`] if the file cannot be created or written.
    pub fn new(options: &WriteOptions, report: &ReportOptions) -> Result<Self, SinkError> {
        let (before, after) = around(options, report);
        let file = AtomicFile::create(&options.root.join(Self::FILE))?;
        let named = (0u32..).zip(options.classes.names().iter().cloned());
        let mut writer = Self {
            file: Some(BufWriter::with_capacity(1 << 16, file)),
            after,
            threshold: report.threshold,
            named: named.collect(),
            source: None,
            before: None,
            pending: None,
        };
        writer.write(&before)?;
        Ok(writer)
    }

    fn write(&mut self, text: &str) -> Result<(), SinkError> {
        match &mut self.file {
            Some(file) => file
                .write_all(text.as_bytes())
                .map_err(|e| file.get_ref().error(&e)),
            None => Err(SinkError::new(
                Self::FILE,
                "is finished: no more can be added",
            )),
        }
    }

    /// Writes the frame that waits, now that `after` is known.
    fn settle(&mut self, after: Option<&Seen>) -> Result<(), SinkError> {
        let Some((item, seen)) = self.pending.take() else {
            return Ok(());
        };
        let (doubt, reasons) = doubt(self.before.as_ref(), &seen, after, self.threshold);
        for annotation in &item.annotations {
            self.name_class(annotation.class, &annotation.label)?;
        }
        for change in &item.changes {
            self.name_class(change.class, &change.label)?;
        }
        self.write(&line::frame(&item, doubt, &reasons))?;
        if let Some(outlines) = line::outlines(&item) {
            self.write(&outlines)?;
        }
        if let Some(changes) = line::changes(&item) {
            self.write(&changes)?;
        }
        self.before = Some(seen);
        Ok(())
    }

    fn name_class(&mut self, class: u32, label: &Arc<str>) -> Result<(), SinkError> {
        if self.named.get(&class) == Some(label) {
            return Ok(());
        }
        self.named.insert(class, Arc::clone(label));
        self.write(&line::class(class, label))
    }

    /// Ends the source before and begins that of `item`, where it is another.
    fn enter(&mut self, item: &Item) -> Result<(), SinkError> {
        let source = item.place.as_ref().map(|p| &p.source);
        if source.is_some() && source == self.source.as_ref() {
            return Ok(());
        }
        self.settle(None)?;
        self.before = None;
        if let Some(place) = &item.place {
            self.write(&line::source(place))?;
        }
        self.source = source.cloned();
        Ok(())
    }
}

impl DatasetWriter for ReportWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        check(item)?;
        self.enter(item)?;
        let seen = Seen::of(item);
        self.settle(Some(&seen))?;
        self.pending = Some((item.clone(), seen));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.settle(None)?;
        let after = std::mem::take(&mut self.after);
        self.write(&after)?;
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        file.into_inner()
            .map_err(|e| {
                let error = io::Error::from(e.error().kind());
                e.into_inner().get_ref().error(&error)
            })?
            .commit()
    }
}

/// Refuses numbers that JSON has no form for.
fn check(item: &Item) -> Result<(), SinkError> {
    let finite = |a: &Annotation| {
        let numbers = [a.bbox.x0, a.bbox.y0, a.bbox.x1, a.bbox.y1];
        let scores = [a.score, a.mask_score].map(|s| s.unwrap_or(0.0));
        numbers.iter().chain(&scores).all(|n| n.is_finite())
    };
    match item.annotations.iter().position(|a| !finite(a)) {
        Some(index) => {
            let problem =
                format!("object {index} has a box or a score that is not a finite number");
            Err(SinkError::new(&item.file_name, problem).with_kind(SinkErrorKind::NotFinite))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
