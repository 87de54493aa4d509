//! The index of an opened container: one entry for each sample, in the order of decoding.

#![allow(unsafe_code)]

use super::input::VideoInput;
use crate::av::ffi;

/// What the index says of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where its data are in the file.
    pub(super) position: i64,
    pub(super) size: u32,
    /// Its decoding time.
    pub(super) dts: i64,
    /// Whether the container calls it a place to begin at.
    pub(super) is_key: bool,
    /// Whether its frame is shown: what comes before an edit begins is decoded alone.
    pub(super) is_shown: bool,
}

/// How the samples of a stream are coded, as the container states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampleEntry {
    /// The four letters of the sample entry.
    pub(super) tag: [u8; 4],
    /// The decoder's configuration.
    pub(super) configuration: Vec<u8>,
}

impl VideoInput {
    /// Name of the container's demuxer, and whether it has an entry in the index for every sample that its header describes.
    pub(super) fn container(&self) -> (String, bool) {
        let name = self.input.format().name().to_owned();
        let is_indexed = name.split(',').any(|name| name == "mov");
        (name, is_indexed)
    }

    /// Number of samples that the header describes; 0 where they are described in fragments.
    pub(super) fn described_samples(&self) -> u64 {
        self.input
            .stream(self.stream)
            .and_then(|stream| u64::try_from(stream.frames()).ok())
            .unwrap_or(0)
    }

    /// How the samples are coded.
    pub(super) fn sample_entry(&self) -> Option<SampleEntry> {
        let stream = self.input.stream(self.stream)?;
        let parameters = stream.parameters();
        // SAFETY: the parameters are alive, and their configuration has the length that they state.
        unsafe {
            let raw = parameters.as_ptr();
            let length = usize::try_from((*raw).extradata_size).unwrap_or(0);
            let configuration = if (*raw).extradata.is_null() {
                Vec::new()
            } else {
                std::slice::from_raw_parts((*raw).extradata, length).to_vec()
            };
            Some(SampleEntry {
                tag: (*raw).codec_tag.to_le_bytes(),
                configuration,
            })
        }
    }

    /// Number of entries of the index.
    pub(super) fn entries(&self) -> usize {
        let Some(stream) = self.input.stream(self.stream) else {
            return 0;
        };
        // SAFETY: the stream is alive.
        let count = unsafe { ffi::avformat_index_get_entries_count(stream.as_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// The entry of a sample.
    pub(super) fn entry(&self, sample: usize) -> Option<Entry> {
        let stream = self.input.stream(self.stream)?;
        let number = i32::try_from(sample).ok()?;
        // SAFETY: the stream is alive, and FFmpeg only looks into it; the entry is one of its index, which does not change meanwhile, or
        // null for a number that it does not have.
        let entry =
            unsafe { ffi::avformat_index_get_entry(stream.as_ptr().cast_mut(), number).as_ref() }?;
        Some(Entry {
            position: entry.pos,
            size: u32::try_from(entry.size()).unwrap_or(0),
            dts: entry.timestamp,
            is_key: entry.flags() & ffi::AVINDEX_KEYFRAME != 0,
            is_shown: entry.flags() & ffi::AVINDEX_DISCARD_FRAME == 0,
        })
    }

    /// Goes to the key sample with that time, or to the nearest after or before; whether it could. The packet read next tells where it is.
    pub(super) fn seek(&mut self, time: i64, forward: bool) -> bool {
        let Ok(stream) = i32::try_from(self.stream) else {
            return false;
        };
        let flags = if forward {
            0
        } else {
            ffi::AVSEEK_FLAG_BACKWARD
        };
        // SAFETY: the context is alive.
        unsafe { ffi::av_seek_frame(self.input.as_mut_ptr(), stream, time, flags) >= 0 }
    }
}
