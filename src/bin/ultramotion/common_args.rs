//! Groups of options that several commands have.

use crate::{
    audit_args::duration, dataset_args::DatasetArgs, igtl_args, shard_args::ShardArgs,
    stream_args::StreamArgs, words,
};
use clap::{Args, ValueEnum};
use std::{
    ffi::OsString,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};
use ultramotion::{
    frame::Confidence, geometry::Size, models::dfine::check_input, sources::StreamAddress,
};

/// Where frames come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct SourceArgs {
    /// Image, video, DICOM file, DICOMDIR, folder, glob, list file (.txt, .lst, .list), or - for a list, or one image, video
    /// or DICOM file, on stdin; a stream (rtsp://, http(s)://, udp://, igtl://, /dev/video0), after all files; repeatable
    #[arg(
        value_name = "INPUT",
        required_unless_present = "input",
        display_order = 0
    )]
    positional: Vec<PathBuf>,
    /// The same as INPUT; those of --input come first
    #[arg(short, long, value_name = "PATH")]
    input: Vec<PathBuf>,
    /// Every Nth frame of each source
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) stride: NonZeroU64,
    /// Grey window: that of a DICOM file itself, or centre and width (above 0, in units after rescale), for DICOM and for images of more
    /// than 8 bits
    #[arg(
        long,
        value_name = "auto|CENTER,WIDTH",
        default_value = "auto",
        allow_hyphen_values = true
    )]
    pub(crate) window: String,
    /// Take numbered files of a folder as separate images, not as the frames of one sequence
    #[arg(long)]
    pub(crate) as_images: bool,
    /// Refuse pictures of more than this many pixels
    #[arg(long, value_name = "N", default_value_t = ultramotion::sources::DEFAULT_MAX_PIXELS)]
    pub(crate) max_pixels: u64,
    /// Where to decode video
    #[arg(long, value_name = "PLACE", default_value = "auto", value_parser = words::DECODE)]
    pub(crate) decode: String,
    /// Sources, or parts of a long one, that are decoded at once for each device; results do not depend on it. auto: 6 for a GPU that
    /// decodes, half of the cores (8 at most) where the CPU decodes for a GPU, 1 where the CPU does all and for an audit
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    pub(crate) decoders: Decoders,
}

/// How many threads decode for each device; none is as many as suit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decoders(pub(crate) Option<NonZeroUsize>);

impl FromStr for Decoders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self(None));
        }
        let count = text.parse().ok().filter(|n: &NonZeroUsize| n.get() <= 64);
        count
            .map(|n| Self(Some(n)))
            .ok_or_else(|| "give auto, or a number from 1 to 64".to_owned())
    }
}

impl SourceArgs {
    /// All inputs in order, as they were typed.
    pub(crate) fn inputs(&self) -> Vec<OsString> {
        self.input
            .iter()
            .chain(&self.positional)
            .map(|path| path.clone().into_os_string())
            .collect()
    }

    /// Those that are no streams.
    pub(crate) fn files(&self) -> Vec<OsString> {
        let is_file = |input: &OsString| !is_stream(&input.to_string_lossy());
        self.inputs().into_iter().filter(is_file).collect()
    }

    /// The addresses of streams.
    pub(crate) fn streams(&self) -> Vec<String> {
        let inputs = self.inputs();
        let texts = inputs.iter().filter_map(|input| input.to_str());
        texts
            .filter(|text| is_stream(text))
            .map(str::to_owned)
            .collect()
    }
}

/// Whether an input is the address of a stream.
fn is_stream(text: &str) -> bool {
    StreamAddress::is_meant_by(text) || text.starts_with(igtl_args::SCHEME)
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Frames A to B of each source, B left out; either may be missing (10..20, ..100, 50..)
    #[arg(long, value_name = "A..B")]
    pub(crate) frames: Option<String>,
    /// After an input that cannot be read: go on with the next, or end the run
    #[arg(long, value_enum, value_name = "ACTION", default_value = "skip")]
    pub(crate) on_error: OnError,
    /// Write DICOM attributes that identify the patient into outputs
    #[arg(long)]
    pub(crate) keep_patient_data: bool,
    /// Write the instance UIDs of DICOM files into outputs (study, series, SOP instance, frame of reference), but no names, dates or
    /// numbers of the patient
    #[arg(long)]
    pub(crate) keep_uids: bool,
    /// Name sources source-000001 and so on in all outputs and messages, and write which is which to this file, outside of the output
    /// folder. A file that is there goes on: sources keep their names, new ones get the next
    #[arg(long, value_name = "KEY.csv")]
    pub(crate) rename_sources: Option<PathBuf>,
    /// Of a stream: end it so long after its first frame (30s, 5m, 1h), else by Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    #[command(flatten)]
    pub(crate) stream: StreamArgs,
    #[command(flatten)]
    pub(crate) shards: ShardArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Go on with the next; the exit code is 2 at the end
    Skip,
    /// End the run; --resume goes on
    Stop,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Folder for results; made if missing, refused if not empty
    #[arg(short, long, value_name = "DIR", default_value = "ultramotion-out")]
    pub(crate) output: PathBuf,
    /// What to write, separated by commas [default: extract: frames; detect: coco,overlay; segment, pipeline: coco,masks,overlay]
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = words::WRITE)]
    pub(crate) write: Option<Vec<String>>,
    #[command(flatten)]
    pub(crate) datasets: DatasetArgs,
    /// Go on with a run that was killed, to the same results
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Remove an earlier run's results from the folder first
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Append figures of each frame and event to this file (JSON lines if it ends in .jsonl)
    #[arg(long, value_name = "FILE")]
    pub(crate) kpi: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Device")]
pub(crate) struct DeviceArgs {
    /// Where the models run; a CUDA device that is not there is an error
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = words::DEVICE)]
    pub(crate) device: String,
    /// What layers compute in; scores and boxes are f32 all the same
    #[arg(long, value_name = "TYPE", default_value = "auto", value_parser = words::DTYPE)]
    pub(crate) dtype: String,
    /// Threads for inference on the CPU [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// How data gets from stage to stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Nothing crosses to the host between the decoded frame and its packed result
    Resident,
    /// Boxes and masks come to the host between the stages
    #[value(name = "legacy", alias = "staged")]
    Staged,
}

/// How frames go through the models.
#[derive(Debug, Args)]
#[command(next_help_heading = "Device")]
pub(crate) struct ExecutionArgs {
    /// How data gets from stage to stage on a GPU [default: resident; on the CPU there is legacy only]
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Frames that a GPU works on together: a number, or auto
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    pub(crate) batch: String,
    /// Hold one frame at a time on a GPU: each result as soon as it can be had, fewer frames a second
    #[arg(long)]
    pub(crate) latency: bool,
    /// Several GPUs by number, instead of --device: each decodes and works on sources, or parts of long ones, of its own; results and their
    /// order are those of one
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub(crate) devices: Vec<usize>,
    /// When a GPU has no memory left, go on on the CPU and say so; else that is an error
    #[arg(long)]
    pub(crate) allow_cpu_fallback: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Models")]
pub(crate) struct DetectorArgs {
    /// D-FINE: dfine-n|s|m|l|x[-coco|-obj2coco|-obj365], a hub id (org/name[@revision]), or a path (folder, .safetensors, .pth, .pt);
    /// without it the built-in dfine-n-phantom
    #[arg(long, value_name = "MODEL")]
    pub(crate) detector: Option<String>,
    /// Class names for a checkpoint that has none or other ones: one a line, a JSON list, a COCO file, or Ultralytics' data.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Size of the detector's input, multiples of 32, where the checkpoint does not say it; one number for a square
    #[arg(long, value_name = "WxH", value_parser = input_size)]
    pub(crate) input_size: Option<Size>,
}

/// `WxH` or one number, in pixels.
fn input_size(text: &str) -> Result<Size, String> {
    let side = |text: &str| text.trim().parse::<u32>().ok();
    let size = match text.split_once(['x', 'X', '×']) {
        Some((width, height)) => side(width)
            .zip(side(height))
            .map(|(width, height)| Size::new(width, height)),
        None => side(text).map(|side| Size::new(side, side)),
    };
    let size = size.ok_or_else(|| {
        "give width and height in pixels, as 640x512, or one number for both".to_owned()
    })?;
    check_input(size)
        .map(|()| size)
        .map_err(|e| e.problem.to_string())
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// Threshold of scores: objects with at least this, 0 to 1
    #[arg(long, value_name = "P", default_value = "0.5")]
    pub(crate) confidence: Confidence,
    /// Most objects a frame, best first
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) max_objects: usize,
    /// Only these classes, by name or number, with commas between them or repeated; names that have commas are found too
    #[arg(long, value_name = "CLASSES")]
    pub(crate) classes: Vec<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Models")]
pub(crate) struct SegmenterArgs {
    /// MobileSAM: mobile-sam, a hub id, or a path (.pt, .pth, .safetensors); without it the built-in mobile-sam-phantom
    #[arg(long, value_name = "MODEL")]
    pub(crate) segmenter: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_sizes_are_one_number_or_two_and_multiples_of_32() {
        for (text, size) in [
            ("640", (640, 640)),
            ("640x512", (640, 512)),
            ("1024×32", (1024, 32)),
            (" 96 X 64", (96, 64)),
        ] {
            assert_eq!(input_size(text), Ok(Size::new(size.0, size.1)), "{text}");
        }
        for (text, problem) in [
            (
                "500",
                "500×500 is not supported: both sides must be multiples of 32 up to 8192",
            ),
            ("0", "0×0"),
            ("8224", "8224"),
        ] {
            assert!(input_size(text).unwrap_err().contains(problem), "{text}");
        }
        for text in ["", "x", "640x", "640,512", "-640", "1e3"] {
            assert!(
                input_size(text)
                    .unwrap_err()
                    .starts_with("give width and height"),
                "{text}"
            );
        }
    }
}
