//! One sequence: frames rendered and their PNGs written in rayon's pool, all that has an order written by one thread.

use crate::{
    phantom::{CLASS_NAMES, Phantom, PhantomFrame, PhantomOptions, dicom::Cine},
    sinks::{AtomicFile, SinkError, VideoFile, write_image},
    tools::phantom::{
        paths::SequencePaths,
        plan::{PhantomFiles, PhantomRunError},
        summary::SequenceSummary,
        tracks::TrackFiles,
        truth::TruthFile,
    },
};
use rayon::prelude::*;
use std::{
    path::PathBuf,
    sync::mpsc::{SyncSender, sync_channel},
    time::Duration,
};

/// A sequence to write.
pub(crate) struct SequenceJob<'a> {
    pub(crate) options: PhantomOptions,
    pub(crate) folder: PathBuf,
    pub(crate) files: PhantomFiles,
    /// Frames that are rendered at a time, and as many that may wait.
    pub(crate) ahead: u32,
    pub(crate) stopped: &'a (dyn Fn() -> bool + Sync),
    pub(crate) frame_done: &'a (dyn Fn() + Sync),
}

/// What takes the frames of a sequence in order.
struct Writers<'a> {
    phantom: &'a Phantom,
    truth: TruthFile,
    tracks: TrackFiles,
    video: Option<VideoFile>,
    cine: Option<Cine<'a>>,
}

impl SequenceJob<'_> {
    /// Writes it; none if it was stopped, which leaves a folder without ground truth.
    pub(crate) fn run(&self) -> Result<Option<SequenceSummary>, PhantomRunError> {
        let phantom = Phantom::new(self.options.clone())?;
        let mut writers = self.writers(&phantom)?;
        let mut summary = SequenceSummary {
            seed: self.options.seed,
            folder: self.folder.clone(),
            frames: 0,
            empty_frames: 0,
            objects: CLASS_NAMES.iter().map(|name| (*name, 0)).collect(),
        };
        std::thread::scope(|scope| {
            let (to, frames) = sync_channel(self.ahead as usize);
            let phantom = &phantom;
            // Should writing fail, `frames` is dropped, and with it this thread ends.
            scope.spawn(move || self.render(phantom, &to));
            for frame in frames {
                let frame = frame?;
                writers.write(&frame)?;
                summary.frames += 1;
                summary.empty_frames += u64::from(frame.objects.is_empty());
                for object in &frame.objects {
                    *summary.objects.entry(object.label).or_default() += 1;
                }
                (self.frame_done)();
            }
            Ok::<(), PhantomRunError>(())
        })?;
        if summary.frames < u64::from(self.options.frames) {
            return Ok(None);
        }
        self.finish(writers)?;
        Ok(Some(summary))
    }

    fn writers<'p>(&self, phantom: &'p Phantom) -> Result<Writers<'p>, PhantomRunError> {
        let paths = SequencePaths(&self.folder);
        let (size, rate) = (self.options.size, self.options.frame_rate);
        Ok(Writers {
            phantom,
            tracks: TrackFiles::create(&paths, phantom, self.files)?,
            cine: self
                .files
                .dicom
                .then(|| Cine::new(phantom, &paths.dicom()))
                .transpose()?,
            video: self
                .files
                .mp4
                .then(|| VideoFile::create(&paths.mp4(), size, Some(rate), None))
                .transpose()?,
            truth: TruthFile::create(&paths.truth(), phantom, self.files)?,
        })
    }

    /// Clips first: the ground truth tells that the folder is complete.
    fn finish(&self, writers: Writers<'_>) -> Result<(), PhantomRunError> {
        if let Some(video) = writers.video {
            video.finish()?;
        }
        if let Some(cine) = writers.cine {
            let mut file = AtomicFile::create(&SequencePaths(&self.folder).dicom())?;
            cine.finish(&mut file)?;
            file.commit()?;
        }
        writers.tracks.finish()?;
        Ok(writers.truth.finish()?)
    }

    /// Renders the frames in order, until the last, an error, or `stopped`.
    fn render(&self, phantom: &Phantom, to: &SyncSender<Result<PhantomFrame, SinkError>>) {
        let mut next = 0;
        while next < self.options.frames {
            let end = next.saturating_add(self.ahead).min(self.options.frames);
            let rendered: Vec<Option<_>> = (next..end)
                .into_par_iter()
                .map(|index| self.render_frame(phantom, index))
                .collect();
            for frame in rendered {
                let Some(frame) = frame else { return };
                if to.send(frame).is_err() {
                    return;
                }
            }
            next = end;
        }
    }

    /// A frame, its PNGs written; none if stopped.
    fn render_frame(
        &self,
        phantom: &Phantom,
        index: u32,
    ) -> Option<Result<PhantomFrame, SinkError>> {
        if (self.stopped)() {
            return None;
        }
        let frame = phantom.frame(index)?;
        if !self.files.png {
            return Some(Ok(frame));
        }
        let paths = SequencePaths(&self.folder);
        let written = write_image(&paths.frame(index), &frame.image)
            .and_then(|()| write_image(&paths.labels(index), &frame.label_map));
        Some(written.map(|()| frame))
    }
}

impl Writers<'_> {
    fn write(&mut self, frame: &PhantomFrame) -> Result<(), PhantomRunError> {
        self.truth.write(frame)?;
        self.tracks.write(frame)?;
        if let Some(video) = &mut self.video {
            let time = Duration::try_from_secs_f64(self.phantom.seconds(frame.index)).ok();
            video.write_image(&frame.image, u64::from(frame.index), time)?;
        }
        if let Some(cine) = &mut self.cine {
            cine.push(&frame.image);
        }
        Ok(())
    }
}
