//! Data sets as other programs read and write them.
//!
//! | file | what |
//! |---|---|
//! | `item` | a picture with its annotations, as all kinds hold it |
//! | `writer` | what writes one kind of data set |
//! | `reader` | a data set in memory, and why one cannot be read |
//! | `record` | the record of a run as items |
//! | `export` | writers driven by a record or by a data set |
//! | `pictures` | the pictures under `images/` |
//! | `split` | parts for training, validation and test |
//! | `outline`, `fill` | polygons of masks, masks of polygons |
//! | `as_coco` | data sets of other kinds for readers of COCO |
//! | `coco`, `yolo`, `label_maps`, `table` | kinds for training and measuring |
//! | `seg`, `nrrd`, `volume` | DICOM Segmentation, 3D Slicer's segmentations, what both are made of |
//! | `report` | a page to look at results with |

mod as_coco;
mod coco;
mod export;
mod fill;
mod item;
mod kind;
mod label_maps;
mod nrrd;
mod outline;
mod pictures;
mod reader;
mod record;
mod report;
mod seg;
mod split;
mod table;
mod volume;
mod writer;
mod yolo;

pub(crate) use as_coco::as_coco_text;
pub use coco::{CocoLayout, CocoWriter, read_coco};
pub use export::{Export, ExportSource, ExportSummary};
pub use item::{Annotation, Item, Outline, Place};
pub use kind::{DatasetKind, UnknownDatasetKind, read};
pub use label_maps::{LabelMapWriter, NnunetWriter};
pub use nrrd::NrrdWriter;
pub use reader::{Dataset, DatasetError};
pub use report::{ReportOptions, ReportWriter};
pub use seg::{
    ClassCode, Code, SegAlgorithm, SegCodes, SegGeometry, SegOptions, SegType, SegWriter,
};
pub use split::{Division, PARTS, Parts, Shares, SharesError, SplitBy};
pub use table::TableWriter;
pub use volume::VolumeNote;
pub use writer::{DatasetWriter, MaskForm, WriteOptions};
pub use yolo::{YoloWriter, read_yolo};
