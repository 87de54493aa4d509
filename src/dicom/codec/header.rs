//! The frame header of a JPEG or JPEG-LS stream, read and checked before a codec decodes it.

use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
};

/// Contents of the markers before the first scan.
#[derive(Debug, Default)]
pub(super) struct FrameHeader {
    /// The SOF marker's second byte: C0 baseline, C1 extended, C2 progressive, C3 lossless, F7 JPEG-LS.
    pub(super) process: u8,
    pub(super) precision: u16,
    pub(super) rows: u32,
    pub(super) columns: u32,
    pub(super) component_ids: Vec<u8>,
    /// Horizontal and vertical sampling factor of each component, in the high and the low four bits.
    pub(super) sampling: Vec<u8>,
    /// Components of the first scan.
    pub(super) scan_components: u8,
    /// First and last coefficient of the first scan: 0 and 63 if it is sequential. The predictor and 0 if it is lossless.
    pub(super) spectral: (u8, u8),
    /// Interleave mode of a JPEG-LS scan: 0 plane by plane, 1 by line, 2 by sample.
    pub(super) interleave: u8,
    /// Colour transform of the Adobe APP14 marker.
    pub(super) adobe: Option<u8>,
    pub(super) jfif: bool,
}

impl FrameHeader {
    /// Reads the markers from SOI to the first SOS.
    pub(super) fn read(codec: &'static str, data: &[u8]) -> Result<Self> {
        Self::read_copying(codec, data, None)
    }

    /// As [`Self::read`]; also copies the stream without application and comment segments to `bare`.
    pub(super) fn read_copying(
        codec: &'static str,
        data: &[u8],
        mut bare: Option<&mut Vec<u8>>,
    ) -> Result<Self> {
        let cut = || DicomError::codec(codec, "the stream ends before its first scan");
        if !data.starts_with(&[0xFF, 0xD8]) {
            return Err(DicomError::codec(
                codec,
                "the frame does not start with an SOI marker",
            ));
        }
        let mut header = Self::default();
        let mut rest = data.get(2..).unwrap_or_default();
        loop {
            // Fill bytes before a marker are allowed.
            let at = rest.iter().position(|&b| b == 0xFF).ok_or_else(cut)?;
            let code_at = at
                + rest
                    .iter()
                    .skip(at)
                    .position(|&b| b != 0xFF)
                    .ok_or_else(cut)?;
            let code = rest.get(code_at).copied().ok_or_else(cut)?;
            rest = rest.get(code_at + 1..).unwrap_or_default();
            if matches!(code, 0x00 | 0x01 | 0xD0..=0xD8) {
                continue;
            }
            if code == 0xD9 {
                return Err(cut());
            }
            let (&len, _) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            let len = usize::from(u16::from_be_bytes(len));
            let segment = rest.get(2..len).ok_or_else(cut)?;
            header.segment(code, segment);
            if let Some(bare) = bare.as_deref_mut()
                && !matches!(code, 0xE0..=0xEF | 0xFE)
            {
                if bare.is_empty() {
                    bare.extend([0xFF, 0xD8]);
                }
                bare.extend([0xFF, code]);
                bare.extend_from_slice(
                    rest.get(..if code == 0xDA { rest.len() } else { len })
                        .unwrap_or_default(),
                );
            }
            if code == 0xDA {
                return if header.process == 0 {
                    Err(DicomError::codec(codec, "a scan before the frame header"))
                } else {
                    Ok(header)
                };
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }

    fn segment(&mut self, code: u8, segment: &[u8]) {
        match code {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 => {
                if let Some((&[precision, y1, y0, x1, x0, _], components)) =
                    segment.split_first_chunk::<6>()
                {
                    self.process = code;
                    self.precision = u16::from(precision);
                    (self.rows, self.columns) = (
                        u32::from(u16::from_be_bytes([y1, y0])),
                        u32::from(u16::from_be_bytes([x1, x0])),
                    );
                    let each = |at: usize| {
                        components
                            .chunks_exact(3)
                            .filter_map(|c| c.get(at).copied())
                            .collect()
                    };
                    (self.component_ids, self.sampling) = (each(0), each(1));
                }
            }
            0xDA => {
                self.scan_components = segment.first().copied().unwrap_or_default();
                let end = segment.len().saturating_sub(3);
                let at = |i| segment.get(i).copied().unwrap_or_default();
                self.spectral = (at(end), at(end + 1));
                self.interleave = segment
                    .len()
                    .checked_sub(2)
                    .and_then(|i| segment.get(i))
                    .copied()
                    .unwrap_or_default();
            }
            0xE0 if segment.starts_with(b"JFIF\0") => self.jfif = true,
            0xEE if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
            _ => {}
        }
    }

    /// Whether components differ in their sampling, as luma and chroma may, red, green and blue never do.
    pub(super) fn is_subsampled(&self) -> bool {
        self.sampling
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a != b))
    }

    /// Whether the frame is coded by cosine transforms.
    pub(super) fn is_transformed(&self) -> bool {
        matches!(self.process, 0xC0..=0xC2)
    }

    /// Refuses a stream of another size or number of components than the data set states.
    pub(super) fn check(&self, codec: &'static str, layout: &Layout) -> Result<()> {
        let size = layout.size;
        if (self.columns, self.rows) != (size.width, size.height)
            || self.component_ids.len() != usize::from(layout.samples)
        {
            let (c, r, n) = (self.columns, self.rows, self.component_ids.len());
            let problem = format!(
                "the stream is {c}×{r} with {n} components, the data set says {size} with {}",
                layout.samples
            );
            return Err(DicomError::codec(codec, problem));
        }
        Ok(())
    }
}

/// For the fuzzer: a header that can be read is the same in the copy without application segments.
#[cfg(any(test, fuzzing))]
pub(in crate::dicom) fn check_header(data: &[u8]) {
    let mut bare = Vec::new();
    let Ok(header) = FrameHeader::read_copying("JPEG", data, Some(&mut bare)) else {
        return;
    };
    assert!(bare.len() <= data.len());
    match FrameHeader::read("JPEG", &bare) {
        Ok(copy) => assert_eq!(
            (
                copy.process,
                copy.precision,
                copy.rows,
                copy.columns,
                copy.sampling,
                copy.spectral
            ),
            (
                header.process,
                header.precision,
                header.rows,
                header.columns,
                header.sampling,
                header.spectral
            )
        ),
        Err(error) => panic!("{error}"),
    }
}
