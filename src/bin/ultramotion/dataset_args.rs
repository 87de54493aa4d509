//! What can be typed about data sets: after `export` and `convert`, and beside `--write`.

use crate::words;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use ultramotion::{
    datasets::{
        DatasetKind, MaskForm, SegCodes, SegGeometry, SegOptions, SegType, Shares, SplitBy,
    },
    sinks::ImagesMode,
};

/// How data sets are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data sets")]
pub(crate) struct DatasetArgs {
    /// Pictures under images/: copies of stills, links to them, or none; frames of videos and DICOM, and stills that EXIF turns, are
    /// written as PNG [default: what readers of the kinds need, copy for datumaro, link for yolo, nnunet, labelme, voc, labelstudio and report, else none]
    #[arg(long, value_name = "HOW", value_parser = clap::builder::ValueParser::new(images))]
    pub(crate) images: Option<ImagesMode>,
    /// Masks as run lengths or as polygons, where a kind has a choice [default: rle for coco and datumaro, polygon for cvat, labelme and
    /// labelstudio]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) masks: Option<Masks>,
    /// Divide data sets into train, val and test, by shares as 0.8,0.1,0.1
    #[arg(long, value_name = "SHARES")]
    pub(crate) split: Option<Shares>,
    /// What stays together when data sets are divided
    #[arg(
        long,
        value_enum,
        value_name = "UNIT",
        default_value = "source",
        requires = "split"
    )]
    pub(crate) split_by: Unit,
    /// Decides which of them goes into which part
    #[arg(long, value_name = "N", default_value = "0", requires = "split")]
    pub(crate) seed: u64,
    /// Codes of the classes for DICOM Segmentations: a table of label, category and type (CSV or TSV with a heading line)
    #[arg(long, value_name = "FILE")]
    pub(crate) codes: Option<PathBuf>,
    /// How DICOM Segmentations store masks
    #[arg(long, value_enum, value_name = "TYPE", default_value = "binary")]
    pub(crate) seg_type: SegTypeArg,
    /// Geometry of DICOM Segmentations whose source has none: none either, or one where z is the frame, for readers that insist
    #[arg(long, value_enum, value_name = "GEOMETRY", default_value = "source")]
    pub(crate) seg_geometry: SegGeometryArg,
    /// Deflate DICOM Segmentations
    #[arg(long)]
    pub(crate) seg_deflated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegTypeArg {
    /// A bit a pixel for each segment; segments may overlap
    Binary,
    /// A number a pixel
    Labelmap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegGeometryArg {
    /// That of the source
    Source,
    /// Where the source has none: the number of the frame as z, in millimetres
    Frames,
}

fn images(text: &str) -> Result<ImagesMode, ultramotion::sinks::UnknownImagesMode> {
    text.parse()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Masks {
    /// Run lengths: exact
    Rle,
    /// Polygons, which overlap the mask by 0.99 (IoU) or more
    Polygon,
}

impl From<Masks> for MaskForm {
    fn from(masks: Masks) -> Self {
        match masks {
            Masks::Rle => Self::Rle,
            Masks::Polygon => Self::Polygon,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// All frames of a video, series or sequence; numbered pictures of one folder and size, where the data set names no sources
    Source,
    /// All frames of a patient (needs the record of a run with --keep-patient-data)
    Patient,
    /// Nothing: neighbouring frames may be in different parts
    Frame,
}

impl DatasetArgs {
    /// How DICOM Segmentations are written.
    pub(crate) fn seg(&self, keep_patient_data: bool) -> anyhow::Result<SegOptions> {
        let mut seg = SegOptions::default();
        if let Some(path) = &self.codes {
            seg.codes = SegCodes::read(path)?;
        }
        seg.seg_type = match self.seg_type {
            SegTypeArg::Binary => SegType::Binary,
            SegTypeArg::Labelmap => SegType::LabelMap,
        };
        seg.geometry = match self.seg_geometry {
            SegGeometryArg::Source => SegGeometry::Source,
            SegGeometryArg::Frames => SegGeometry::Frames,
        };
        seg.deflate = self.seg_deflated;
        seg.keep_patient_data = keep_patient_data;
        Ok(seg)
    }

    /// The parts that data sets are divided into.
    pub(crate) fn parts(&self) -> Option<(Shares, SplitBy, u64)> {
        let by = match self.split_by {
            Unit::Source => SplitBy::Source,
            Unit::Patient => SplitBy::Patient,
            Unit::Frame => SplitBy::Frame,
        };
        self.split.map(|shares| (shares, by, self.seed))
    }
}

/// Where data sets go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TargetArgs {
    /// What to make, separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = words::WRITE, required = true)]
    pub(crate) to: Vec<String>,
    /// Folder for the data sets; made if missing, refused if it holds anything else
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Go on with an export that was killed
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Remove an earlier export from the folder first
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Output folder of the run
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub(crate) run: PathBuf,
    /// Copy the attributes of patient and study into DICOM Segmentations
    #[arg(long, help_heading = "Data sets")]
    pub(crate) keep_patient_data: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) datasets: DatasetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The data set: its file or folder
    #[arg(value_name = "INPUT", help_heading = "Input")]
    pub(crate) input: PathBuf,
    /// Kind of the data set, where its content does not tell
    #[arg(long, value_name = "KIND", help_heading = "Input")]
    pub(crate) from: Option<DatasetKind>,
    /// Folder that the names of its pictures are below [default: images beside it]
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub(crate) image_root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) datasets: DatasetArgs,
}
