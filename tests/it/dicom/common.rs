//! Small DICOM objects made with dicom-object, written to a folder that goes when the test ends.

use dicom_core::{
    DataElement, Tag, VR,
    value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue},
};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use ultramotion::dicom::{
    DicomError, DicomFinding, DicomImage, Samples, ShownFrame, StoredFrame, Window,
};

pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";

/// An object under construction.
pub(crate) struct Object {
    pub(crate) data: InMemDicomObject,
    pub(crate) syntax: &'static str,
}

pub(crate) fn sequence(items: Vec<InMemDicomObject>) -> DataSetSequence<InMemDicomObject> {
    DataSetSequence::from(items)
}

impl Object {
    /// An image without pixel data: explicit little endian, 8 bits, MONOCHROME2.
    pub(crate) fn image(columns: u16, rows: u16) -> Self {
        let mut object = Self {
            data: InMemDicomObject::new_empty(),
            syntax: EXPLICIT,
        };
        object.text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.3.1");
        object.text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
        object.text(tags::MODALITY, VR::CS, "US");
        object.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        object
            .u16(tags::SAMPLES_PER_PIXEL, 1)
            .u16(tags::COLUMNS, columns)
            .u16(tags::ROWS, rows);
        object.bits(8, 8).u16(tags::PIXEL_REPRESENTATION, 0);
        object
    }

    pub(crate) fn syntax(&mut self, uid: &'static str) -> &mut Self {
        self.syntax = uid;
        self
    }

    pub(crate) fn put(&mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> &mut Self {
        self.data.put(DataElement::new(tag, vr, value));
        self
    }

    pub(crate) fn text(&mut self, tag: Tag, vr: VR, value: &str) -> &mut Self {
        self.put(tag, vr, PrimitiveValue::from(value))
    }

    pub(crate) fn u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.put(tag, VR::US, PrimitiveValue::from(value))
    }

    pub(crate) fn words(&mut self, tag: Tag, vr: VR, values: &[u16]) -> &mut Self {
        self.put(tag, vr, PrimitiveValue::U16(values.into()))
    }

    pub(crate) fn items(&mut self, tag: Tag, items: Vec<InMemDicomObject>) -> &mut Self {
        self.data
            .put(DataElement::new(tag, VR::SQ, sequence(items)));
        self
    }

    pub(crate) fn bits(&mut self, allocated: u16, stored: u16) -> &mut Self {
        self.u16(tags::BITS_ALLOCATED, allocated)
            .u16(tags::BITS_STORED, stored)
            .u16(tags::HIGH_BIT, stored - 1)
    }

    pub(crate) fn photometric(&mut self, text: &str, samples: u16) -> &mut Self {
        self.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, text)
            .u16(tags::SAMPLES_PER_PIXEL, samples);
        if samples > 1 && self.data.get(tags::PLANAR_CONFIGURATION).is_none() {
            self.u16(tags::PLANAR_CONFIGURATION, 0);
        }
        self
    }

    pub(crate) fn bytes(&mut self, data: &[u8]) -> &mut Self {
        self.put(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(data.into()))
    }

    pub(crate) fn pixel_words(&mut self, data: &[u16]) -> &mut Self {
        self.words(tags::PIXEL_DATA, VR::OW, data)
    }

    pub(crate) fn fragments(
        &mut self,
        syntax: &'static str,
        offsets: &[u32],
        fragments: &[Vec<u8>],
    ) -> &mut Self {
        let even = fragments.iter().map(|f| {
            if f.len() % 2 == 1 {
                [f, &[0][..]].concat()
            } else {
                f.clone()
            }
        });
        let value = PixelFragmentSequence::new(offsets.to_vec(), even.collect::<Vec<_>>());
        self.data
            .put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
        self.syntax(syntax)
    }

    pub(crate) fn write(&self, path: &Path) {
        let meta = FileMetaTableBuilder::new().transfer_syntax(self.syntax);
        let object = self
            .data
            .clone()
            .with_meta(meta)
            .expect("a complete object");
        object.write_to_file(path).expect("a writable folder");
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("object.dcm");
        self.write(&path);
        std::fs::read(path).expect("the file just written")
    }

    pub(crate) fn open(&self) -> Result<DicomImage, DicomError> {
        self.open_with(Window::Auto)
    }

    pub(crate) fn open_with(&self, window: Window) -> Result<DicomImage, DicomError> {
        open_bytes(&self.encoded(), window)
    }

    pub(crate) fn stored(&self) -> StoredFrame {
        self.open()
            .and_then(|mut image| image.stored(0))
            .expect("a frame")
    }

    pub(crate) fn shown(&self) -> ShownFrame {
        self.open()
            .and_then(|mut image| image.shown(0))
            .expect("a frame")
    }
}

/// Opens a file of these bytes. The folder may go at once: the open file keeps its data.
pub(crate) fn open_bytes(bytes: &[u8], window: Window) -> Result<DicomImage, DicomError> {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("object.dcm");
    std::fs::write(&path, bytes).expect("a writable folder");
    DicomImage::open(&path, window)
}

/// Stored values as signed numbers.
pub(crate) fn values(frame: &StoredFrame) -> Vec<i64> {
    match (&frame.samples, frame.signed) {
        (Samples::U8(v), false) => v.iter().map(|&x| x.into()).collect(),
        (Samples::U8(v), true) => v.iter().map(|&x| (x as i8).into()).collect(),
        (Samples::U16(v), false) => v.iter().map(|&x| x.into()).collect(),
        (Samples::U16(v), true) => v.iter().map(|&x| (x as i16).into()).collect(),
        (Samples::U32(v), false) => v.iter().map(|&x| x.into()).collect(),
        (Samples::U32(v), true) => v.iter().map(|&x| (x as i32).into()).collect(),
        (other, _) => panic!("not integers: {other:?}"),
    }
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "tests",
        "fixtures",
        "dicom",
        name,
    ]
    .iter()
    .collect();
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The first frame for display, and what was found.
pub(crate) fn shown_with_findings(o: &Object, window: Window) -> (ShownFrame, Vec<DicomFinding>) {
    let mut image = o.open_with(window).expect("an image");
    let shown = image.shown(0).expect("a frame");
    (shown, image.take_findings())
}

/// The first frame for display, of which nothing is to be found.
pub(crate) fn shown_quietly(o: &Object) -> ShownFrame {
    let (shown, findings) = shown_with_findings(o, Window::Auto);
    assert_eq!(findings, []);
    shown
}
