//! Writing COCO files piece by piece, because they are larger than what should be held in memory.

use crate::coco::dataset::Info;
use serde::Serialize;
use std::io::{self, Write};

/// A list of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Videos,
    Images,
    Annotations,
    Categories,
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Self::Videos => "videos",
            Self::Images => "images",
            Self::Annotations => "annotations",
            Self::Categories => "categories",
        }
    }
}

/// Writes entries, one a line.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
    first: bool,
}

impl<W: Write> Writer<W> {
    /// A writer of entries alone: a part of a list that is put together elsewhere.
    pub(crate) fn entries(out: W) -> Self {
        Self { out, first: true }
    }

    /// Starts a data set.
    pub(crate) fn dataset(&mut self, info: &Info<'_>) -> io::Result<()> {
        self.text("{\"info\":")?;
        serde_json::to_writer(&mut self.out, info)?;
        self.text(",\"licenses\":[]")
    }

    /// Starts a list of the data set.
    pub(crate) fn begin(&mut self, section: Section) -> io::Result<()> {
        self.first = true;
        self.text(&format!(",\"{}\":[", section.name()))
    }

    /// Writes an entry of the list.
    pub(crate) fn item(&mut self, item: &impl Serialize) -> io::Result<()> {
        self.text(if self.first { "\n" } else { ",\n" })?;
        self.first = false;
        Ok(serde_json::to_writer(&mut self.out, item)?)
    }

    /// Ends the list.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.text("\n]")
    }

    /// Ends the data set, after its last list.
    pub(crate) fn end_dataset(&mut self) -> io::Result<()> {
        self.text("}\n")
    }

    /// Starts a results list.
    pub(crate) fn results(&mut self) -> io::Result<()> {
        self.first = true;
        self.text("[")
    }

    /// Ends the results list.
    pub(crate) fn end_results(&mut self) -> io::Result<()> {
        self.text("\n]\n")
    }

    /// What it writes to.
    pub(crate) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// What it wrote to.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }
}
