//! Data sets as other programs read and write them.
//!
//! | file | what |
//! |---|---|
//! | `item` | a picture with its annotations, as all kinds hold it |
//! | `writer` | what writes one kind of data set |
//! | `reader` | a data set in memory, and why one cannot be read |
//! | `kind` | the kinds that are read, recognised by their content |
//! | `record` | the record of a run as items |
//! | `export` | writers driven by a record or by a data set |
//! | `pictures` | the pictures under `images/` |
//! | `split` | parts for training, validation and test |
//! | `outline`, `fill`, `masks` | polygons of masks, masks of polygons, masks in the forms that kinds have |
//! | `names`, `spool`, `xml` | names of classes and files, text that waits for what comes before it, XML |
//! | `as_coco` | data sets of other kinds for readers of COCO |
//! | `coco`, `yolo`, `label_maps`, `table` | kinds for training and measuring |
//! | `cvat`, `label_studio`, `labelme`, `voc` | kinds of annotation tools |
//! | `mot` | MOTChallenge: boxes and masks of tracked objects |
//! | `seg`, `nrrd`, `volume` | DICOM Segmentation, 3D Slicer's segmentations, what both are made of |
//! | `report` | a page to look at results with |

mod as_coco;
mod coco;
pub mod cvat;
mod division;
mod export;
mod fill;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod item;
mod kind;
mod label_maps;
pub mod label_studio;
pub mod labelme;
mod masks;
pub mod mot;
mod names;
mod nrrd;
mod outline;
mod pictures;
mod reader;
mod record;
mod report;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod samples_tests;
mod seg;
mod sequences;
mod simplify;
mod split;
mod spool;
mod table;
#[cfg(test)]
mod tracks_tests;
pub mod voc;
mod volume;
mod writer;
mod xml;
mod yolo;

pub(crate) use as_coco::as_coco_text;
// For servers, which show outlines.
pub use coco::{CocoLayout, CocoWriter, read_coco};
pub use cvat::CvatWriter;
pub use division::Division;
pub use export::{Export, ExportEvent, ExportObserver, ExportSource, ExportSummary};
pub use item::{Annotation, Item, Outline, Place};
pub use kind::{DatasetKind, UnknownDatasetKind, read};
pub use label_maps::{LabelMapWriter, NnunetWriter};
pub use label_studio::{ImageUrl, LabelStudioOptions, LabelStudioWriter, ResultsAs};
pub use labelme::LabelmeWriter;
pub use mot::{MotWriter, MotsWriter};
pub use nrrd::NrrdWriter;
#[cfg(feature = "http")]
pub(crate) use outline::{Part as MaskPart, parts as mask_parts};
pub use reader::{Dataset, DatasetError};
pub use report::{ReportOptions, ReportWriter};
pub use seg::{
    ClassCode, Code, SegAlgorithm, SegCodes, SegGeometry, SegOptions, SegType, SegWriter,
};
pub use split::{PARTS, Parts, Shares, SharesError, SplitBy};
pub use table::TableWriter;
pub use voc::{VocCorners, VocWriter};
pub use volume::VolumeNote;
pub use writer::{DatasetWriter, MaskForm, Note, WriteOptions};
pub use yolo::{YoloWriter, read_yolo};
