//! An MP4 file written picture by picture, through FFmpeg.

use crate::{
    av::{
        self, Codec, Dictionary, Error as AvError, Packet, Rational, codec,
        encoder::{self, video::Encoder},
        format::{self, Pixel, context::Output},
        frame,
        software::scaling,
        util::color,
    },
    frame::Image,
    geometry::Size,
    sinks::{
        atomic_file::AtomicFile,
        error::{SinkError, SinkErrorKind},
        overlay::{
            canvas::Canvas,
            clock::{Clock, TICKS},
        },
    },
};
use std::{
    collections::VecDeque,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Assumed where a source states neither times nor a rate.
const DEFAULT_RATE: f64 = 25.0;

/// The file and what encodes it.
///
/// Pictures are coded in the order shown, so the n-th packet is the n-th picture: the encoder counts pictures, and the
/// file gets their times. One thread and FFmpeg's exact modes give the same bytes for the same pictures.
pub(crate) struct VideoFile {
    encoder: Encoder,
    output: Output,
    scaler: Option<(Size, scaling::Context)>,
    target: AtomicFile,
    path: PathBuf,
    size: Size,
    rate: f64,
    clock: Clock,
    pictures: i64,
    /// Packets that wait for the time of the picture after theirs, which tells how long theirs is shown.
    held: VecDeque<Packet>,
    stream_base: Rational,
    /// Kept open while `output` writes through it.
    _folder: Option<File>,
}

impl VideoFile {
    /// Starts a file for pictures of `size`, at `rate` a second where they carry no times, whose pixels are shown in the
    /// relation `aspect` of width to height where it is given.
    pub(crate) fn create(
        path: &Path,
        size: Size,
        rate: Option<f64>,
        aspect: Option<[u32; 2]>,
    ) -> Result<Self, SinkError> {
        let target = AtomicFile::create(path)?;
        let size = Size::new(
            size.width.next_multiple_of(2),
            size.height.next_multiple_of(2),
        );
        let rate = rate
            .filter(|r| r.is_finite() && *r > 0.0)
            .unwrap_or(DEFAULT_RATE)
            .clamp(0.001, 1000.0);
        av::init().map_err(|why| {
            let problem = format!("needs FFmpeg, whose {} {}", why.library, why.problem);
            SinkError::new(path, problem)
                .with_kind(SinkErrorKind::NoEncoder)
                .with_remedy(why.remedy)
        })?;
        let failed = |e: AvError| ffmpeg_error(path, "start the video", e);
        let codec = ["libx264", "mpeg4"]
            .into_iter()
            .find_map(encoder::find_by_name)
            .ok_or_else(|| {
                let error = SinkError::new(
                    path,
                    "this FFmpeg has neither an H.264 encoder (libx264) nor one for MPEG-4",
                );
                error
                    .with_kind(SinkErrorKind::NoEncoder)
                    .with_remedy("install an FFmpeg with libx264, or do without overlays")
            })?;
        let (url, folder) = url(target.temporary())?;
        let mut output = format::output_as(&url, "mp4").map_err(failed)?;
        let encoder = open_encoder(codec, size, rate, aspect).map_err(failed)?;
        {
            let mut stream = output.add_stream(codec).map_err(failed)?;
            stream.set_parameters(&encoder);
            stream.set_time_base(Rational::new(1, TICKS as i32));
        }
        let mut options = Dictionary::new();
        options.set("movflags", "+faststart");
        options.set("fflags", "+bitexact");
        output.write_header_with(options).map_err(failed)?;
        let stream_base = output
            .stream(0)
            .map_or(Rational::new(1, TICKS as i32), |s| s.time_base());
        let (path, clock) = (path.to_path_buf(), Clock::new(rate));
        let (held, scaler) = (VecDeque::new(), None);
        Ok(Self {
            encoder,
            output,
            scaler,
            target,
            path,
            size,
            rate,
            clock,
            pictures: 0,
            held,
            stream_base,
            _folder: folder,
        })
    }

    /// Adds a picture: frame `index` of its source, shown at `time`.
    pub(super) fn write(
        &mut self,
        canvas: &Canvas,
        index: u64,
        time: Option<Duration>,
    ) -> Result<(), SinkError> {
        let time = time.unwrap_or_else(|| {
            Duration::try_from_secs_f64(index as f64 / self.rate).unwrap_or(Duration::MAX)
        });
        self.clock.push(time);
        let path = self.path.clone();
        let failed = |e: AvError| ffmpeg_error(&path, "encode a frame of the video", e);
        let mut picture = self.converted(canvas).map_err(failed)?;
        picture.set_pts(Some(self.pictures));
        self.pictures += 1;
        self.encoder.send_frame(&picture).map_err(failed)?;
        self.receive().map_err(failed)
    }

    /// Adds an image as it is.
    pub(crate) fn write_image(
        &mut self,
        image: &Image,
        index: u64,
        time: Option<Duration>,
    ) -> Result<(), SinkError> {
        self.write(&Canvas::new(image), index, time)
    }

    /// Completes the file and gives it its name.
    pub(crate) fn finish(mut self) -> Result<(), SinkError> {
        let path = self.path.clone();
        let failed = |e: AvError| ffmpeg_error(&path, "complete the video", e);
        self.encoder.send_eof().map_err(failed)?;
        self.receive().map_err(failed)?;
        self.clock.end();
        self.write_held().map_err(failed)?;
        self.output.write_trailer().map_err(failed)?;
        drop(self.output);
        self.target.commit()
    }

    /// The picture in the encoder's size and format.
    fn converted(&mut self, canvas: &Canvas) -> Result<frame::Video, AvError> {
        let rgb = padded(canvas);
        let from = Size::new(rgb.width(), rgb.height());
        if self.scaler.as_ref().is_none_or(|(size, _)| *size != from) {
            let flags = scaling::Flags::BILINEAR
                | scaling::Flags::ACCURATE_RND
                | scaling::Flags::FULL_CHR_H_INP
                | scaling::Flags::BITEXACT;
            let (to, width, height) = (Pixel::YUV420P, self.size.width, self.size.height);
            let context = scaling::Context::get(
                Pixel::RGB24,
                from.width,
                from.height,
                to,
                width,
                height,
                flags,
            )?;
            self.scaler = Some((from, context));
        }
        let mut yuv = frame::Video::empty();
        if let Some((_, scaler)) = &mut self.scaler {
            scaler.run(&rgb, &mut yuv)?;
        }
        Ok(yuv)
    }

    /// Takes what the encoder has ready, and writes what has its time.
    fn receive(&mut self) -> Result<(), AvError> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => self.held.push_back(packet),
                Err(AvError::Eof) => break,
                Err(AvError::Other { errno }) if errno == av::error::EAGAIN => break,
                Err(error) => return Err(error),
            }
        }
        self.write_held()
    }

    fn write_held(&mut self) -> Result<(), AvError> {
        while !self.held.is_empty() {
            let Some((start, duration)) = self.clock.next() else {
                break;
            };
            let Some(mut packet) = self.held.pop_front() else {
                break;
            };
            packet.set_stream(0);
            packet.set_pts(Some(start));
            packet.set_dts(Some(start));
            packet.set_duration(duration);
            packet.rescale_ts(Rational::new(1, TICKS as i32), self.stream_base);
            packet.write(&mut self.output)?;
        }
        Ok(())
    }
}

fn open_encoder(
    codec: Codec,
    size: Size,
    rate: f64,
    aspect: Option<[u32; 2]>,
) -> Result<Encoder, AvError> {
    // Nominal: MPEG-4 wants a small whole number, and the times in the file are those of the pictures anyway.
    let nominal = rate.round().clamp(1.0, 240.0) as i32;
    let mut context = codec::Context::new_with_codec(codec);
    context.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::BITEXACT);
    let mut video = context.encoder().video()?;
    video.set_width(size.width);
    video.set_height(size.height);
    video.set_format(Pixel::YUV420P);
    if let Some([Ok(width), Ok(height)]) = aspect.map(|sides| sides.map(i32::try_from)) {
        video.set_aspect_ratio(Rational::new(width, height));
    }
    video.set_time_base(Rational::new(1, nominal));
    video.set_frame_rate(Some(Rational::new(nominal, 1)));
    video.set_gop(60);
    video.set_max_b_frames(0);
    // What the scaler computes, and what players assume of files that say nothing.
    video.set_colorspace(color::Space::SMPTE170M);
    video.set_color_range(color::Range::MPEG);
    video.set_color_primaries(color::Primaries::BT709);
    video.set_color_transfer_characteristic(color::TransferCharacteristic::BT709);
    let mut options = Dictionary::new();
    options.set("threads", "1");
    if codec.name() == "libx264" {
        options.set("preset", "veryfast");
        options.set("crf", "18");
        // x264's macroblock tree is not exact: the same pictures may get other quantisers, and with them other bytes.
        options.set("mbtree", "0");
    } else {
        options.set("flags", "+qscale+global_header+bitexact");
        options.set("global_quality", "354");
    }
    video.open_with(options)
}

/// The canvas as FFmpeg's frame; an odd side repeats its last pixels once, as the coding wants even ones.
fn padded(canvas: &Canvas) -> frame::Video {
    let (width, height) = (canvas.width() as usize, canvas.height() as usize);
    let (to_width, to_height) = (width.next_multiple_of(2), height.next_multiple_of(2));
    let mut rgb = frame::Video::new(Pixel::RGB24, to_width as u32, to_height as u32);
    let stride = rgb.stride(0);
    let rows = canvas.samples().chunks_exact(width * 3);
    let last = rows.clone().next_back();
    for (to, from) in rgb
        .data_mut(0)
        .chunks_mut(stride)
        .zip(rows.chain(last))
        .take(to_height)
    {
        to[..width * 3].copy_from_slice(from);
        to.copy_within(width * 3 - 3..width * 3, (to_width - 1) * 3);
    }
    rgb
}

/// The path as a URL that FFmpeg takes for a file whatever is in it. A path that is not UTF-8, which the binding cannot
/// hand over, is reached through its open folder.
fn url(path: &Path) -> Result<(String, Option<File>), SinkError> {
    if let Some(text) = path.to_str() {
        return Ok((format!("file:{text}"), None));
    }
    url_of_folder(path).ok_or_else(|| {
        let error = SinkError::new(
            path,
            "the path is not UTF-8, and FFmpeg cannot write to it on this system",
        );
        error.with_remedy("choose an output folder with a name in UTF-8")
    })
}

#[cfg(target_os = "linux")]
fn url_of_folder(path: &Path) -> Option<(String, Option<File>)> {
    use std::os::fd::AsRawFd;
    let folder = File::open(path.parent()?).ok()?;
    let name = path.file_name()?.to_str()?;
    Some((
        format!("file:/proc/self/fd/{}/{name}", folder.as_raw_fd()),
        Some(folder),
    ))
}

#[cfg(not(target_os = "linux"))]
fn url_of_folder(_: &Path) -> Option<(String, Option<File>)> {
    None
}

fn ffmpeg_error(path: &Path, doing: &str, error: AvError) -> SinkError {
    match error {
        AvError::Other { errno } => {
            SinkError::io(path, doing, &io::Error::from_raw_os_error(errno))
        }
        other => SinkError::new(path, format!("cannot {doing}: {other}")),
    }
}
