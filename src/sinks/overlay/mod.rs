//! `overlay/`: what was found, drawn over the frames.

mod canvas;
mod clock;
mod draw;
mod palette;
mod text;
mod video;

pub use draw::draw_overlay;

use crate::{
    frame::{Detections, Frame, Image, SourceInfo, SourceKind},
    sinks::{
        error::SinkError,
        image_writer::ImageWriter,
        layout::Layout,
        png_file::{Samples, write_png},
        sink::Sink,
    },
};
pub(crate) use palette::colour as class_colour;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
pub(crate) use video::VideoFile;

/// A PNG beside each image, each frame of a sequence and each DICOM file of one frame; an MP4 for each video and for each
/// DICOM cine or series, with one picture a frame. The first picture is shown at 0, each later one as long after it as in
/// the source. Pictures of another size than the first are scaled to it; odd sides grow by a pixel, as the coding asks. The video
/// has the pixels of its source, and shows them in the same shape.
pub struct OverlaySink {
    layout: Layout,
    writer: ImageWriter,
    video: Option<VideoThread>,
}

impl OverlaySink {
    /// A sink that writes images through `writer`, and videos on a thread of their own.
    pub fn new(layout: Layout, writer: ImageWriter) -> Self {
        Self {
            layout,
            writer,
            video: None,
        }
    }
}

fn is_video(source: &SourceInfo) -> bool {
    match source.kind {
        SourceKind::Image | SourceKind::Sequence => false,
        SourceKind::Video => true,
        SourceKind::Dicom => source.frame_count != Some(1),
    }
}

impl Sink for OverlaySink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.video = None;
        Ok(())
    }

    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError> {
        let image = frame
            .image()
            .map_err(|e| SinkError::new(self.layout.overlay_video(&frame.source), e.to_string()))?;
        let (source, image, found) = (&frame.source, Arc::clone(image), found.clone());
        if !is_video(source) {
            let path = self
                .layout
                .overlay_image(source, frame.index, frame.file.as_deref());
            return self.writer.submit(move || {
                let canvas = draw::draw(&image, &found);
                write_png(&path, image.size(), Samples::Rgb(canvas.samples()))
            });
        }
        if self.video.is_none() {
            self.video = Some(VideoThread::start(
                self.layout.overlay_video(source),
                source.frame_rate,
            )?);
        }
        let aspect = frame
            .physical
            .as_ref()
            .and_then(|physical| physical.pixel_aspect);
        let picture = Picture {
            image,
            found,
            index: frame.index,
            time: frame.timestamp,
            aspect,
        };
        self.video.as_mut().map_or(Ok(()), |video| {
            video.send(Message::Picture(Box::new(picture)))
        })
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        let video = self.video.take().map_or(Ok(()), VideoThread::finish);
        self.writer.wait().and(video)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.wait()
    }
}

impl std::fmt::Debug for OverlaySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OverlaySink({})", self.layout.root().display())
    }
}

struct Picture {
    image: Arc<Image>,
    found: Detections,
    index: u64,
    time: Option<Duration>,
    /// Width and height of a pixel as shown, where they differ.
    aspect: Option<[u32; 2]>,
}

enum Message {
    Picture(Box<Picture>),
    /// All pictures have been sent: the file gets its final name. Without this it is discarded.
    End,
}

/// The thread that draws and encodes the video of one source. Dropped without [`VideoThread::finish`], it removes its file.
struct VideoThread {
    path: PathBuf,
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<Result<(), SinkError>>>,
}

impl VideoThread {
    fn start(path: PathBuf, rate: Option<f64>) -> Result<Self, SinkError> {
        let (queue, messages) = sync_channel(4);
        let to = path.clone();
        let named = std::thread::Builder::new().name("overlay-video".to_owned());
        let thread = named
            .spawn(move || encode(to, rate, &messages))
            .map_err(|e| SinkError::io(&path, "start a thread", &e))?;
        Ok(Self {
            path,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Hands over a message; an error if the thread has failed.
    fn send(&mut self, message: Message) -> Result<(), SinkError> {
        match self.queue.as_ref().map(|queue| queue.send(message)) {
            Some(Ok(())) => Ok(()),
            _ => self.join(),
        }
    }

    fn finish(mut self) -> Result<(), SinkError> {
        self.send(Message::End)?;
        self.join()
    }

    fn join(&mut self) -> Result<(), SinkError> {
        self.queue = None;
        let ended = self.thread.take().map(JoinHandle::join);
        let defect = || {
            SinkError::new(
                &self.path,
                "encoding the video ended unexpectedly; this is a defect",
            )
        };
        ended.map_or_else(
            || Err(defect()),
            |joined| joined.unwrap_or_else(|_| Err(defect())),
        )
    }
}

impl Drop for VideoThread {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Whoever drops this has an error of their own to report.
            let _ = thread.join();
        }
    }
}

fn encode(path: PathBuf, rate: Option<f64>, messages: &Receiver<Message>) -> Result<(), SinkError> {
    let mut file: Option<VideoFile> = None;
    while let Ok(message) = messages.recv() {
        match message {
            Message::Picture(picture) => {
                let canvas = draw::draw(&picture.image, &picture.found);
                let file = match &mut file {
                    Some(file) => file,
                    None => file.insert(VideoFile::create(
                        &path,
                        picture.image.size(),
                        rate,
                        picture.aspect,
                    )?),
                };
                file.write(&canvas, picture.index, picture.time)?;
            }
            Message::End => return file.map_or(Ok(()), VideoFile::finish),
        }
    }
    Ok(())
}
