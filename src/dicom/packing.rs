//! How the samples of native frames lie: what is stated, against what the length of the data proves.

use super::{
    error::{DicomError, Result},
    finding::DicomFinding,
    layout::{Layout, Photometric},
};

/// How the samples of a native frame lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Every sample of every pixel, by pixel or by plane according to Planar Configuration.
    Full,
    /// 4:2:2: Y1 Y2 Cb Cr of two neighbours. A row of odd length ends in a pair whose second pixel is padding.
    HalfByRow,
    /// 4:2:2 of odd rows whose pairs run on from row to row.
    HalfRunning,
}

use Packing::{Full, HalfByRow, HalfRunning};

impl Layout {
    /// The packings that may be meant, the stated one first.
    fn packings(&self) -> &'static [Packing] {
        let running = self.size.width % 2 == 1 && self.size.height.is_multiple_of(2);
        match self.photometric {
            Photometric::YbrFull422 if running => &[HalfByRow, HalfRunning, Full],
            Photometric::YbrFull422 => &[HalfByRow, Full],
            Photometric::YbrFull if running => &[Full, HalfByRow, HalfRunning],
            Photometric::YbrFull => &[Full, HalfByRow],
            _ => &[Full],
        }
    }

    /// Bits of a native frame.
    pub(super) fn frame_bits(&self, packing: Packing) -> u64 {
        let samples = match packing {
            Full => self.samples_per_frame(),
            HalfByRow => {
                u64::from(self.size.width).next_multiple_of(2) * u64::from(self.size.height) * 2
            }
            HalfRunning => self.size.pixels() * 2,
        };
        samples * u64::from(self.bits_allocated)
    }

    /// Bytes of `frames` native frames one after another.
    fn bytes(&self, packing: Packing, frames: u64) -> u64 {
        self.frame_bits(packing).saturating_mul(frames).div_ceil(8)
    }

    fn length_error(&self, frames: u64, found: u64) -> DicomError {
        let (full, half) = (self.bytes(Full, frames), self.bytes(HalfByRow, frames));
        DicomError::PixelLength {
            columns: self.size.width,
            rows: self.size.height,
            frames,
            found,
            full,
            half,
        }
    }

    /// The packing of native data whose element states `len` bytes, and what contradicts what is stated. `stated` is
    /// Number of Frames where it has a value.
    ///
    /// The stated packing counts where it fits; else another that does, first for the stated number of frames (a pad
    /// byte aside), then for any. Data that are longer or shorter by anything else are left to what is stated where
    /// only one packing may be meant.
    ///
    /// # Errors
    /// [`DicomError::PixelLength`] where several may be meant and none fits.
    pub(super) fn packing(
        &self,
        len: u64,
        stated: Option<u64>,
    ) -> Result<(Packing, Vec<DicomFinding>)> {
        let fits = |packing: Packing, frames: u64| {
            let bytes = self.bytes(packing, frames);
            len == bytes || len == bytes.saturating_add(1)
        };
        let whole = |packing: Packing| len.saturating_mul(8) / self.frame_bits(packing).max(1);
        let packings = self.packings();
        let exact = packings.iter().find(|&&p| fits(p, self.frames));
        let other = || {
            packings
                .iter()
                .find(|&&p| whole(p) > 0 && fits(p, whole(p)))
        };
        let longer = || {
            (packings.first() == Some(&Full) && len >= self.bytes(Full, self.frames))
                .then_some(&Full)
        };
        let packing = match packings {
            [only] => *only,
            _ => *exact
                .or_else(other)
                .or_else(longer)
                .ok_or_else(|| self.length_error(self.frames, len))?,
        };
        let mut findings = self.chroma_findings(packing);
        let taken = self.bytes(packing, self.frames);
        if len > taken.saturating_add(1) {
            let present = whole(packing);
            findings.push(match present > self.frames && fits(packing, present) {
                true => DicomFinding::MoreFrames { stated, present },
                false => DicomFinding::LongerData { found: len, taken },
            });
        }
        Ok((packing, findings))
    }

    /// The packing of one frame that takes `len` bytes of its own.
    ///
    /// # Errors
    /// [`DicomError::PixelLength`] where none fits.
    pub(super) fn packing_of_frame(&self, len: u64) -> Result<(Packing, Vec<DicomFinding>)> {
        let fits =
            |&&p: &&Packing| (self.bytes(p, 1)..=self.bytes(p, 1).saturating_add(1)).contains(&len);
        let packing = *self
            .packings()
            .iter()
            .find(fits)
            .ok_or_else(|| self.length_error(1, len))?;
        Ok((packing, self.chroma_findings(packing)))
    }

    /// Bytes of the longest frame that may be meant.
    pub(super) fn longest_frame(&self) -> u64 {
        self.packings()
            .iter()
            .map(|&p| self.bytes(p, 1))
            .max()
            .unwrap_or_default()
    }

    fn chroma_findings(&self, packing: Packing) -> Vec<DicomFinding> {
        let mut findings = Vec::new();
        let half = packing != Full;
        if half != (self.photometric == Photometric::YbrFull422) {
            let found = if half { "4:2:2" } else { "4:4:4" };
            findings.push(DicomFinding::ChromaFormat {
                stated: self.photometric.keyword(),
                found,
            });
        }
        if half && self.planar {
            findings.push(DicomFinding::PlanarChroma);
        }
        findings
    }
}
