//! Data sets as bytes of a file, piece by piece: neither the frames' functional groups nor the pixels are in memory at once.

use crate::sinks::{AtomicFile, SinkError};
use dicom_dictionary_std::uids;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries;
use flate2::{Compression, write::DeflateEncoder};
use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

/// Value length of what ends with a delimiter.
const UNDEFINED: u32 = u32::MAX;

/// A data set in Explicit VR Little Endian.
///
/// # Errors
/// What the encoder says.
pub(super) fn encoded(data_set: &InMemDicomObject) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    data_set
        .write_dataset_with_ts(&mut bytes, &entries::EXPLICIT_VR_LITTLE_ENDIAN.erased())
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// A file that is written from its beginning to its end.
pub(super) struct DicomOutput {
    body: Body,
}

enum Body {
    Native(BufWriter<AtomicFile>),
    Deflated(DeflateEncoder<BufWriter<AtomicFile>>),
}

impl Write for DicomOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Native(to) => to.write(bytes),
            Body::Deflated(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.body {
            Body::Native(to) => to.flush(),
            Body::Deflated(to) => to.flush(),
        }
    }
}

impl DicomOutput {
    /// Begins the file with preamble and file meta information.
    ///
    /// # Errors
    /// [`SinkError`] if the file cannot be made.
    pub(super) fn create(
        path: &Path,
        class: &str,
        instance: &str,
        deflate: bool,
    ) -> Result<Self, SinkError> {
        let syntax = match deflate {
            true => uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
            false => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        };
        let fault = |e: &dyn std::fmt::Display| {
            SinkError::new(path, format!("cannot write the file meta information: {e}"))
        };
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(class)
            .media_storage_sop_instance_uid(instance)
            .transfer_syntax(syntax)
            .build()
            .map_err(|e| fault(&e))?;
        let mut file = BufWriter::new(AtomicFile::create(path)?);
        file.write_all(&[0; 128])
            .and_then(|()| file.write_all(b"DICM"))
            .map_err(|e| SinkError::io(path, "write the file", &e))?;
        meta.write(&mut file).map_err(|e| fault(&e))?;
        let body = match deflate {
            true => Body::Deflated(DeflateEncoder::new(file, Compression::default())),
            false => Body::Native(file),
        };
        Ok(Self { body })
    }

    /// Begins the Per-Frame Functional Groups Sequence.
    pub(super) fn begin_frames(&mut self) -> io::Result<()> {
        self.write_all(&[0x00, 0x52, 0x30, 0x92, b'S', b'Q', 0, 0])?;
        self.write_all(&UNDEFINED.to_le_bytes())
    }

    /// An item of a sequence, of its encoded data set.
    pub(super) fn item(&mut self, encoded: &[u8]) -> io::Result<()> {
        let length = u32::try_from(encoded.len()).map_err(io::Error::other)?;
        self.write_all(&[0xFE, 0xFF, 0x00, 0xE0])?;
        self.write_all(&length.to_le_bytes())?;
        self.write_all(encoded)
    }

    /// Ends the sequence.
    pub(super) fn end_frames(&mut self) -> io::Result<()> {
        self.write_all(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0])
    }

    /// Begins the pixel data, whose `length` bytes follow; words of 16 bits are OW, others OB.
    pub(super) fn begin_pixels(&mut self, length: u32, bits: u16) -> io::Result<()> {
        let vr = if bits > 8 { *b"OW" } else { *b"OB" };
        self.write_all(&[0xE0, 0x7F, 0x10, 0x00, vr[0], vr[1], 0, 0])?;
        self.write_all(&length.to_le_bytes())
    }

    /// Gives the file its name.
    pub(super) fn finish(self, path: &Path) -> Result<(), SinkError> {
        let fault = |e: io::Error| SinkError::io(path, "write the file", &e);
        let mut file = match self.body {
            Body::Native(file) => file,
            Body::Deflated(mut deflate) => {
                deflate.try_finish().map_err(fault)?;
                let odd = deflate.total_out() % 2 == 1;
                let mut file = deflate.finish().map_err(fault)?;
                if odd {
                    file.write_all(&[0]).map_err(fault)?;
                }
                file
            }
        };
        file.flush().map_err(fault)?;
        let file = file.into_inner().map_err(|e| fault(e.into_error()))?;
        file.commit()
    }
}
