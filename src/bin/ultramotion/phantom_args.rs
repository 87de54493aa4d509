//! What can be typed after `phantom`.

use crate::words;
use clap::{Args, ValueEnum};
use std::{num::NonZeroU64, path::PathBuf};
use ultramotion::geometry::Size;

#[derive(Debug, Args)]
pub(crate) struct PhantomArgs {
    /// Folder for the sequences; made if missing, refused if not empty
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Frames a sequence
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) frames: u32,
    /// Decides all that the other options leave open: the same seed gives the same frames and truth
    #[arg(long, value_name = "S", default_value = "0")]
    pub(crate) seed: u64,
    /// Number of sequences, of seeds S, S + 1, and so on; more than one get folders seed-NNNNNN
    #[arg(long, value_name = "K", default_value = "1")]
    pub(crate) sequences: NonZeroU64,
    /// Pixels of a frame, each side 16 to 4096
    #[arg(long, value_name = "WxH", default_value = "512x512", value_parser = size)]
    pub(crate) size: Size,
    /// Frames a second, 1 to 1000
    #[arg(
        long,
        value_name = "R",
        default_value = "25",
        allow_hyphen_values = true
    )]
    pub(crate) frame_rate: f64,
    /// How probe and targets move
    #[arg(long, value_enum, value_name = "MOTION", default_value = "calm")]
    pub(crate) motion: PhantomMotion,
    /// What to write beside the ground truth in coco.json: frames and label maps, video, multi-frame DICOM, tracks
    #[arg(
        long,
        value_enum,
        value_name = "KINDS",
        value_delimiter = ',',
        default_value = "png,mp4"
    )]
    pub(crate) write: Vec<PhantomFile>,
    /// What may appear, separated by commas
    #[arg(long, value_name = "CLASSES", value_delimiter = ',', default_value = "bone,cyst,vessel,needle", value_parser = words::TARGETS)]
    pub(crate) targets: Vec<String>,
    /// Remove earlier phantom sequences from the folder first
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhantomFile {
    /// frames/ and labels/, a PNG each
    Png,
    /// clip.mp4
    Mp4,
    /// clip.dcm, multi-frame ultrasound
    Dicom,
    /// gt/gt.txt, gt/labels.txt and seqinfo.ini, tracks as MOTChallenge text
    Mot,
    /// mots/gt.txt, mots/labels.txt and seqinfo.ini, tracks with masks as MOTS text
    Mots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhantomMotion {
    /// A steady hand, 0 to 5 targets that leave once
    Calm,
    /// Sweeps of the probe: it slides, rocks, turns and fans out of plane
    Probe,
    /// Sweeps over 2 to 6 targets that cross, leave, fade and return; gain flickers, frames are lost
    Hard,
}

/// `WxH` in pixels.
fn size(text: &str) -> Result<Size, String> {
    let sides = text.split_once(['x', 'X', '×']);
    let sides = sides.and_then(|(width, height)| {
        Some(Size::new(
            width.trim().parse().ok()?,
            height.trim().parse().ok()?,
        ))
    });
    sides.ok_or_else(|| "give width and height in pixels, as 640x480".to_owned())
}
