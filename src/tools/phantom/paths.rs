//! Names of the files and folders of sequences.

use std::path::{Path, PathBuf};

/// Name of the folder of the sequence of `seed`, where there are several.
pub(super) fn folder_name(seed: u64) -> String {
    format!("seed-{seed:06}")
}

/// The paths in a sequence's folder.
pub(super) struct SequencePaths<'a>(pub(super) &'a Path);

impl SequencePaths<'_> {
    pub(super) fn frame(&self, index: u32) -> PathBuf {
        self.0.join(frame_file_name(index))
    }

    pub(super) fn labels(&self, index: u32) -> PathBuf {
        self.0.join(format!("labels/{index:06}.png"))
    }

    pub(super) fn mp4(&self) -> PathBuf {
        self.0.join("clip.mp4")
    }

    pub(super) fn dicom(&self) -> PathBuf {
        self.0.join("clip.dcm")
    }

    pub(super) fn mot(&self) -> PathBuf {
        self.0.join("gt/gt.txt")
    }

    pub(super) fn mots(&self) -> PathBuf {
        self.0.join("mots/gt.txt")
    }

    pub(super) fn sequence_info(&self) -> PathBuf {
        self.0.join("seqinfo.ini")
    }

    pub(super) fn truth(&self) -> PathBuf {
        self.0.join("coco.json")
    }
}

/// A frame's file below its sequence's folder, as the ground truth names it.
pub(super) fn frame_file_name(index: u32) -> String {
    format!("frames/{index:06}.png")
}
