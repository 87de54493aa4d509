//! DICOM files and series as sources of frames.

use super::issues::{source_error, warning};
use crate::sources::{IssueKind, Source, SourceError, SourceWarning, parts::Positioned};
use crate::{
    dicom::{DicomError, DicomFile, DicomImage, DicomOptions, ShownFrame, StoredFrame, Timing},
    frame::{
        Channels, Frame, Image, Physical, SourceInfo, SourceKind, StoredImage, UltrasoundRegion,
    },
    text::counted,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The frames of one DICOM file, single- or multi-frame.
///
/// After a frame that cannot be decoded it goes on with the next; after one that the data end before it has ended.
#[derive(Debug)]
pub struct DicomSource {
    info: Arc<SourceInfo>,
    image: DicomImage,
    options: DicomOptions,
    timing: Timing,
    next: u64,
    ended: bool,
    warnings: Vec<SourceWarning>,
}

/// The frames of a series of single-frame files, in the order of the files.
///
/// A file that cannot be read is one error; the next call goes on with the file after it.
#[derive(Debug)]
pub struct DicomSeries {
    info: Arc<SourceInfo>,
    files: Vec<PathBuf>,
    options: DicomOptions,
    /// The range of the values of all files, once it was needed.
    range: Arc<OnceLock<(f64, f64)>>,
    next: usize,
    warnings: Vec<SourceWarning>,
}

impl DicomSource {
    /// Opens a file. `ordinal`, `path` and `name` become those of the [`SourceInfo`].
    ///
    /// # Errors
    /// [`SourceError`] if the file is no DICOM file with frames. For a video transfer syntax the error says so; ask
    /// [`DicomFile::is_video`] first and give those to the video source.
    pub fn open(
        path: &Path,
        ordinal: usize,
        name: &str,
        options: DicomOptions,
    ) -> Result<Self, SourceError> {
        let mut image =
            DicomImage::open(path, options.window).map_err(|e| source_error(path, None, e))?;
        let findings = image
            .take_findings()
            .into_iter()
            .chain(image.file().burned_in());
        let warnings = findings
            .map(|finding| warning(path, None, &finding))
            .collect();
        let frames = image.frames();
        let timing = if frames > 1 {
            Timing::read(image.file().attributes(), frames)
        } else {
            Timing::Unknown
        };
        let info = SourceInfo {
            ordinal,
            path: path.to_owned(),
            name: name.to_owned(),
            kind: SourceKind::Dicom,
            folder: None,
            frame_count: Some(frames),
            frame_rate: timing.frame_rate(),
            attributes: image.file().output_attributes(&options),
        };
        Ok(Self {
            info: Arc::new(info),
            image,
            options,
            timing,
            next: 0,
            ended: false,
            warnings,
        })
    }

    /// The stored values of a frame (from 0).
    ///
    /// # Errors
    /// [`SourceError`] for a frame that is not there or cannot be decoded.
    pub fn stored_values(&mut self, frame: u64) -> Result<StoredFrame, SourceError> {
        let path = &self.info.path;
        self.image
            .stored(frame)
            .map_err(|e| source_error(path, Some(frame), e))
    }
}

impl Source for DicomSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        if self.ended || self.next >= self.image.frames() {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        let physical = physical(self.image.file(), index, &self.options);
        let shown = self.image.shown(index).and_then(to_image);
        let found = self.image.take_findings();
        self.warnings.extend(
            found
                .iter()
                .map(|finding| warning(&self.info.path, Some(index), finding)),
        );
        let shown = shown.map_err(|e| {
            // Where the data end no later frame can be there: one error, not one for each frame that was promised.
            self.ended = matches!(e, DicomError::Truncated { .. } | DicomError::Io(_));
            source_error(&self.info.path, Some(index), e)
        })?;
        let timestamp = self.timing.timestamp(index);
        let stored = if self.options.stored_values {
            Some(self.stored_values(index)?)
        } else {
            None
        };
        let frame = frame(&self.info, index, timestamp, None, shown, physical);
        with_stored(frame, stored)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

impl DicomSeries {
    /// A series of `files` in their order (see [`crate::dicom::scan`]); `path` is the folder. The attributes are those of
    /// the first file that can be opened, but for its instance UID, which is that of its frame alone.
    ///
    /// # Errors
    /// [`SourceError`] if there is no file or none can be opened.
    pub fn open(
        files: Vec<PathBuf>,
        path: &Path,
        ordinal: usize,
        name: &str,
        options: DicomOptions,
    ) -> Result<Self, SourceError> {
        let mut failure = SourceError::new(path, "the series has no file");
        let mut first = None;
        for file in &files {
            match DicomFile::open(file) {
                Ok(opened) => {
                    first = Some(opened);
                    break;
                }
                Err(e) => failure = source_error(file, None, e),
            }
        }
        let Some(first) = first else {
            return Err(failure);
        };
        let info = SourceInfo {
            ordinal,
            path: path.to_owned(),
            name: name.to_owned(),
            kind: SourceKind::Dicom,
            folder: None,
            frame_count: Some(files.len() as u64),
            frame_rate: None,
            attributes: without_instance(first.output_attributes(&options)),
        };
        let warnings = first
            .burned_in()
            .map(|finding| warning(path, None, &finding))
            .into_iter()
            .collect();
        Ok(Self {
            info: Arc::new(info),
            files,
            options,
            range: Arc::default(),
            next: 0,
            warnings,
        })
    }

    /// The stored values of a frame (from 0).
    ///
    /// # Errors
    /// [`SourceError`] for a file that is not there or cannot be decoded.
    pub fn stored_values(&mut self, frame: u64) -> Result<StoredFrame, SourceError> {
        let file = usize::try_from(frame)
            .ok()
            .and_then(|n| self.files.get(n))
            .ok_or_else(|| {
                let files = counted(self.files.len(), "file");
                SourceError::new(&self.info.path, format!("the series has {files}")).at(frame)
            })?;
        let stored =
            DicomImage::open(file, self.options.window).and_then(|mut image| image.stored(0));
        stored.map_err(|e| source_error(file, None, e))
    }

    /// The same, with a place for the range of the values of all files that others share.
    pub(in crate::sources) fn sharing(mut self, range: Arc<OnceLock<(f64, f64)>>) -> Self {
        self.range = range;
        self
    }

    fn show(&mut self, file: &Path) -> Result<(ShownFrame, Option<Arc<Physical>>), DicomError> {
        let mut image = DicomImage::open(file, self.options.window)?;
        if image.needs_range()? {
            let (low, high) = self.range.get_or_init(|| range(&self.files, self.options));
            image.set_range(*low, *high);
        }
        let physical = physical(image.file(), 0, &self.options);
        let shown = image.shown(0);
        let found = image
            .take_findings()
            .into_iter()
            .chain(image.file().burned_in());
        self.warnings
            .extend(found.map(|finding| warning(file, None, &finding)));
        Ok((shown?, physical))
    }
}

/// The range of the values of all files of a series, so that a value has one grey in all of them.
fn range(files: &[PathBuf], options: DicomOptions) -> (f64, f64) {
    let ranges = files
        .iter()
        .filter_map(|file| DicomImage::open(file, options.window).ok()?.range().ok()?);
    ranges
        .reduce(|(l, h), (low, high)| (l.min(low), h.max(high)))
        .unwrap_or((0.0, 0.0))
}

impl Source for DicomSeries {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let index = self.next;
        let Some(file) = self.files.get(index).cloned() else {
            return Ok(None);
        };
        self.next += 1;
        let shown = self
            .show(&file)
            .and_then(|(shown, physical)| Ok((to_image(shown)?, physical)));
        let (shown, physical) = shown.map_err(|e| source_error(&file, None, e))?;
        let stored = if self.options.stored_values {
            Some(self.stored_values(index as u64)?)
        } else {
            None
        };
        with_stored(
            frame(&self.info, index as u64, None, Some(file), shown, physical),
            stored,
        )
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        let there = self.next < self.files.len();
        self.next += usize::from(there);
        Ok(there)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

impl Positioned for DicomSource {
    fn go_to(&mut self, index: u64) {
        self.next = index;
        self.ended = false;
    }

    fn has_ended_early(&self) -> bool {
        self.ended
    }
}

impl Positioned for DicomSeries {
    fn go_to(&mut self, index: u64) {
        self.next = usize::try_from(index).unwrap_or(usize::MAX);
    }
}

fn without_instance(mut attributes: BTreeMap<String, String>) -> BTreeMap<String, String> {
    attributes.remove("SOPInstanceUID");
    attributes
}

fn frame(
    info: &Arc<SourceInfo>,
    index: u64,
    timestamp: Option<Duration>,
    file: Option<PathBuf>,
    image: Image,
    physical: Option<Arc<Physical>>,
) -> Frame {
    Frame {
        source: Arc::clone(info),
        index,
        timestamp,
        file,
        pixels: image.into(),
        physical,
        exif_orientation: None,
        stored: None,
    }
}

fn with_stored(frame: Frame, stored: Option<StoredFrame>) -> Result<Option<Frame>, SourceError> {
    let Some(stored) = stored else {
        return Ok(Some(frame));
    };
    let path = frame.file.as_deref().unwrap_or(&frame.source.path);
    let wide = || {
        SourceError::new(
            path,
            "holds values of more than 16 bits or floats, which a PNG cannot keep",
        )
        .at(frame.index)
        .with_kind(IssueKind::StoredValues)
        .with_remedy("extract the frames as they are shown, without their stored values")
    };
    let values = stored.to_u16().ok_or_else(wide)?;
    let channels = if stored.samples_per_pixel == 3 {
        Channels::Rgb
    } else {
        Channels::Gray
    };
    Ok(Some(Frame {
        stored: Some(Arc::new(StoredImage {
            size: stored.size,
            channels,
            values,
        })),
        ..frame
    }))
}

fn to_image(shown: ShownFrame) -> Result<Image, DicomError> {
    let channels = if shown.colour {
        Channels::Rgb
    } else {
        Channels::Gray
    };
    let len = shown.data.len();
    Image::new(shown.size, channels, shown.data).ok_or_else(|| DicomError::Codec {
        codec: "display",
        problem: format!("{len} bytes for a frame of {}", shown.size),
    })
}

/// Spacing, ultrasound regions and, where wanted, instance of a frame (from 0) of any DICOM file, video files included; none if nothing is stated.
pub(super) fn physical(
    file: &DicomFile,
    frame: u64,
    options: &DicomOptions,
) -> Option<Arc<Physical>> {
    let regions = file.regions().into_iter().map(|r| UltrasoundRegion {
        bounds: r.bounds,
        spatial_format: r.spatial_format,
        data_type: r.data_type,
        physical_delta: r.physical_delta,
        physical_units: r.physical_units,
    });
    let physical = Physical {
        pixel_spacing_mm: file.pixel_spacing_mm(frame),
        ultrasound_regions: regions.collect(),
        pixel_aspect: None,
        sop_instance_uid: file.output_instance_uid(options),
    };
    (physical != Physical::default()).then(|| Arc::new(physical))
}
