//! An opened TIFF file.

use super::{
    fault::Fault,
    view::{Flavour, Values, View},
};
use crate::sources::SourceError;
use std::{fs::File, path::Path};
use tiff::decoder::{Decoder, Limits};

/// Largest length of a tag's values in bytes: those of 4 million strips of a BigTIFF.
pub(super) const MAX_TAG: usize = 64 << 20;

/// An opened file.
pub(super) struct Tiff {
    pub(super) file: File,
    /// In bytes.
    pub(super) length: u64,
    flavour: Flavour,
    /// Offset of the first directory.
    pub(super) first: u64,
}

impl Tiff {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let cannot = |e| SourceError::unreadable(path, &e);
        let mut file = File::open(path).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        let (flavour, first) = Flavour::read(&mut file).map_err(|fault| fault.at(path))?;
        Ok(Self {
            file,
            length,
            flavour,
            first,
        })
    }

    /// A decoder over the file that sees a page with these tags.
    pub(super) fn decoder(
        &self,
        entries: &[(u16, Values)],
        limits: Limits,
    ) -> Result<Decoder<View<&File>>, Fault> {
        Ok(
            Decoder::new(View::new(&self.file, self.length, self.flavour, entries)?)?
                .with_limits(limits),
        )
    }

    /// A decoder for reading directories alone: the page that it sees is a single pixel.
    pub(super) fn directories(&self) -> Result<Decoder<View<&File>>, Fault> {
        let long = |v| Values::Longs(vec![v]);
        let short = |v| Values::Shorts(vec![v]);
        let entries = [
            (256, long(1)),
            (257, long(1)),
            (258, short(8)),
            (262, short(1)),
            (273, long(0)),
            (279, long(1)),
        ];
        let mut limits = Limits::default();
        limits.ifd_value_size = MAX_TAG;
        self.decoder(&entries, limits)
    }
}
