//! The parts of a video file as sources of frames.

use super::{
    VideoOptions,
    division::VideoParts,
    input::VideoInput,
    part_decoder::{PartAdvance, PartDecoder},
    source::{device_of, file_info, with_aspect},
};
use crate::{
    frame::{Frame, Physical, SourceInfo},
    sources::{
        Decoding, PartSource, PartStep, SourceError, SourceSpec, SourceWarning, wanted::Wanted,
    },
};
use std::{fs::File, sync::Arc};

/// The wanted frames of a part of a video file, as [`super::VideoSource`] gives them.
pub(in crate::sources) struct VideoPartSource {
    info: Arc<SourceInfo>,
    physical: Option<Arc<Physical>>,
    parts: Arc<VideoParts>,
    wanted: Wanted,
    /// Always there until it is dropped.
    decoder: Option<PartDecoder>,
    decoding: Decoding,
    irregular: bool,
}

impl VideoPartSource {
    /// Opens a part of a video file.
    ///
    /// # Errors
    /// As [`super::VideoSource::open`].
    pub(in crate::sources) fn open(
        spec: &SourceSpec,
        ordinal: usize,
        options: &VideoOptions,
        wanted: &Wanted,
        parts: &Arc<VideoParts>,
        part: usize,
    ) -> Result<Self, SourceError> {
        let file = File::open(&spec.path)
            .map_err(|e| SourceError::new(&spec.path, format!("cannot be read: {e}")))?;
        let input = VideoInput::open(&spec.path, file)?;
        let info = file_info(spec, ordinal, input.facts());
        let (device, decoding) = device_of(&input, &info, options)?;
        let decoder = PartDecoder::new(&info.path, input, options, device, parts.clone(), part)?;
        Ok(Self {
            info: Arc::new(info),
            physical: None,
            parts: parts.clone(),
            wanted: wanted.clone(),
            decoder: Some(decoder),
            decoding,
            irregular: false,
        })
    }

    /// Goes on with a later part, if the source is the same without what lies between.
    pub(super) fn pass_to(&mut self, part: usize) {
        self.working(|source| {
            if let Some(decoder) = &mut source.decoder {
                decoder.pass_to(part);
            }
        });
    }

    /// Whether the device refused the stream.
    pub(super) fn was_refused(&self) -> bool {
        self.decoder.as_ref().is_some_and(PartDecoder::was_refused)
    }

    /// The next wanted frame of the part.
    fn advance(&mut self) -> PartStep {
        let Some(decoder) = &mut self.decoder else {
            return PartStep::Irregular;
        };
        loop {
            let (index, time) = match decoder.advance() {
                PartAdvance::Frame(index, time) => (index, time),
                PartAdvance::End => return PartStep::End,
                PartAdvance::Irregular => return PartStep::Irregular,
            };
            if !self.wanted.contains(index) {
                continue;
            }
            let aspect = decoder.pixel_aspect();
            // The whole source has an error for a frame without a picture.
            let Ok(pixels) = decoder.picture(index) else {
                return PartStep::Irregular;
            };
            with_aspect(&mut self.physical, aspect);
            return PartStep::Frame(Frame {
                source: self.info.clone(),
                index,
                timestamp: Some(time),
                file: None,
                pixels,
                physical: self.physical.clone(),
                exif_orientation: None,
                stored: None,
            });
        }
    }

    /// Runs `work` as decoding, within the device's lock against captures if there is a device.
    fn working<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        match self.decoder.as_ref().and_then(PartDecoder::device).cloned() {
            Some(device) => device.work(|| work(self)),
            None => work(self),
        }
    }
}

impl Drop for VideoPartSource {
    fn drop(&mut self) {
        // A decoder ends on the device too.
        self.working(|source| source.decoder = None);
    }
}

impl PartSource for VideoPartSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<PartStep, SourceError> {
        if self.irregular {
            return Ok(PartStep::Irregular);
        }
        let step = self.working(Self::advance);
        self.irregular = matches!(step, PartStep::Irregular);
        Ok(step)
    }

    fn restart(&mut self, part: usize) -> Result<(), SourceError> {
        if part >= self.parts.firsts().count() {
            return Err(SourceError::new(
                &self.info.path,
                format!("has no part {part}"),
            ));
        }
        self.irregular = false;
        self.working(|source| {
            if let Some(decoder) = &mut source.decoder {
                decoder.restart(part);
            }
        });
        Ok(())
    }

    fn decoding(&self) -> Option<&Decoding> {
        Some(&self.decoding)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}
