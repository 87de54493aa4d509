//! What was typed.

use crate::{
    audit_args::AuditArgs,
    common_args::{
        DetectorArgs, DeviceArgs, ExecutionArgs, InputArgs, OutputArgs, SegmenterArgs,
        SelectionArgs,
    },
    dataset_args::{ConvertArgs, ExportArgs},
    eval_args::EvalArgs,
    examples,
    live_args::LiveArgs,
    phantom_args::PhantomArgs,
    serve_args::ServeArgs,
    shard_args::MergeArgs,
    track_args::TrackArgs,
    verify_args::VerifyArgs,
    words,
};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use ultramotion::frame::Confidence;

/// The GPUs that the kernels of this build are for.
#[cfg(feature = "cuda")]
macro_rules! kernels {
    () => {
        concat!(
            "\nkernels: compute capability ",
            env!("ULTRAMOTION_KERNELS_FOR")
        )
    };
}

#[cfg(not(feature = "cuda"))]
macro_rules! kernels {
    () => {
        ""
    };
}

/// What `--version` shows: also the commit and what was built in.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("ULTRAMOTION_COMMIT"),
    "\nfeatures: ",
    env!("ULTRAMOTION_FEATURES"),
    "\ntarget: ",
    env!("ULTRAMOTION_TARGET"),
    kernels!()
);

/// Finds and outlines things in moving images, ultrasound first: D-FINE detects, MobileSAM segments.
#[derive(Debug, Parser)]
#[command(name = "ultramotion", version, long_version = LONG_VERSION, about, after_help = examples::PROGRAM, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global")]
pub(crate) struct Global {
    /// Print results as JSON lines on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more on stderr (-vv: still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the decoded frames as PNG; no model
    #[command(after_help = examples::EXTRACT)]
    Extract(ExtractArgs),
    /// Find objects with D-FINE: boxes
    #[command(after_help = examples::DETECT)]
    Detect(DetectArgs),
    /// Outline what given boxes or points mean with MobileSAM: masks
    #[command(after_help = examples::SEGMENT)]
    Segment(SegmentArgs),
    /// Detect, then outline each object: boxes and masks
    #[command(after_help = examples::PIPELINE)]
    Pipeline(PipelineArgs),
    /// Work on a stream while it arrives: results of the newest frame, as soon as they can be had
    #[command(after_help = examples::LIVE)]
    Live(Box<LiveArgs>),
    /// Answer an annotation tool's requests: X-AnyLabeling's, with boxes, outlines, and outlines of points and boxes
    #[command(after_help = examples::SERVE)]
    Serve(ServeArgs),
    /// Make one run of shards, which --shard made, with the bytes of a run of all
    #[command(after_help = examples::MERGE)]
    Merge(MergeArgs),
    /// Make ultrasound-like sequences with ground truth, from a seed
    #[command(after_help = examples::PHANTOM)]
    Phantom(PhantomArgs),
    /// Make data sets for other programs of a run that has ended
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Make data sets of another data set; no model
    #[command(after_help = examples::CONVERT)]
    Convert(ConvertArgs),
    /// Measure predictions against ground truth: COCO AP and AR, mask overlap, precision and recall, confusions
    #[command(after_help = examples::EVAL)]
    Eval(EvalArgs),
    /// List, fetch, inspect and verify models
    #[command(after_help = examples::MODELS)]
    Models(ModelsArgs),
    /// Time the models and the pipeline on this machine
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Count what crosses between host and device in the pipeline, from the driver's own records, and judge it
    #[command(after_help = examples::AUDIT)]
    Audit(Box<AuditArgs>),
    /// Show device, driver, FFmpeg and model cache, and what mends what is missing
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print shell completions
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ExtractArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Write DICOM pixels as they are stored (16 bit, before rescale and window), not as they are shown
    #[arg(long, help_heading = "Output")]
    pub(crate) stored_values: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) detector: DetectorArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) track: TrackArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) execution: ExecutionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SegmentArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) segmenter: SegmenterArgs,
    #[command(flatten)]
    pub(crate) prompts: PromptArgs,
    #[command(flatten)]
    pub(crate) track: TrackArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) execution: ExecutionArgs,
}

/// What is to be outlined.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prompts")]
pub(crate) struct PromptArgs {
    /// Box in pixels of every frame; repeatable
    #[arg(long = "box", value_name = "x0,y0,x1,y1", allow_hyphen_values = true)]
    pub(crate) boxes: Vec<String>,
    /// Point in pixels of every frame, inside (1, default) or outside (0) the object; all points are of one object
    #[arg(long = "point", value_name = "x,y[,0|1]", allow_hyphen_values = true)]
    pub(crate) points: Vec<String>,
    /// Boxes of each frame: detections.jsonl of an earlier run, or COCO instances or results
    #[arg(long = "boxes", value_name = "FILE")]
    pub(crate) boxes_file: Option<PathBuf>,
    /// COCO file whose images the results list of --boxes numbers, or that knows by name which frames the pictures of a data set without
    /// videos are; without it the coco.json beside that file in a run's folder
    #[arg(long, value_name = "coco.json", requires = "boxes_file")]
    pub(crate) images_of: Option<PathBuf>,
    /// Threshold of scores: boxes of --boxes with at least this, 0 to 1; one without a score, a --box and --point have 1
    /// [default: 0; the high threshold of --track is then 0.5]
    #[arg(long, value_name = "P")]
    pub(crate) confidence: Option<Confidence>,
    /// Three masks a prompt, of which the one with the best estimated IoU is kept (for prompts that are ambiguous)
    #[arg(long)]
    pub(crate) multimask: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) detector: DetectorArgs,
    #[command(flatten)]
    pub(crate) segmenter: SegmenterArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) track: TrackArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) execution: ExecutionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Known models and which of them are cached
    #[command(after_help = examples::MODELS_LIST)]
    List,
    /// Fetch a model into the cache
    #[command(after_help = examples::MODELS_PULL)]
    Pull {
        /// Name or hub id
        model: String,
    },
    /// What a checkpoint holds: format, tensors, types, size, classes; exit code 1 if no model of it can be run
    #[command(after_help = examples::MODELS_INSPECT)]
    Inspect {
        /// Name, hub id or path
        model: String,
        /// Also list every tensor
        #[arg(long)]
        tensors: bool,
    },
    /// Run a checkpoint on a reference's tensors and compare; exit code 1 past the tolerance
    ///
    /// The reference is a safetensors file. For a detector: pixel_values [B,C,H,W], logits [B,Q,K], pred_boxes [B,Q,4]. For a segmenter:
    /// pixel_values [1,3,1024,1024] (normalised and padded), image_embeddings [1,256,64,64], boxes [N,4] (x0,y0,x1,y1 in the 1024 frame),
    /// low_res_masks [N,1,256,256], iou_predictions [N,1]. Queries are compared as a set.
    #[command(after_help = examples::MODELS_VERIFY)]
    Verify(VerifyArgs),
    /// Write a new model with random, untrained weights, to try things out or to start training from
    #[command(after_help = examples::MODELS_INIT)]
    Init {
        /// dfine-n|s|m|l|x or mobile-sam
        model: String,
        /// Folder to write
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Class names of a detector, comma-separated
        #[arg(
            long,
            value_name = "NAMES",
            value_delimiter = ',',
            default_value = "object"
        )]
        classes: Vec<String>,
        /// Channels of a detector's input
        #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=3))]
        channels: u8,
        /// Side of a detector's input, a multiple of 32
        #[arg(long, default_value = "640")]
        size: u32,
        /// Seed of the weights
        #[arg(long, default_value = "0")]
        seed: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Time the models and the pipeline on the first frames of this; without it on a test picture with forced objects
    #[arg(value_name = "INPUT", help_heading = "Input", display_order = 0)]
    pub(crate) positional: Vec<PathBuf>,
    /// The same as INPUT; those of --input come first
    #[arg(short, long, value_name = "PATH", help_heading = "Input")]
    pub(crate) input: Vec<PathBuf>,
    /// Where to decode a video
    #[arg(long, value_name = "PLACE", default_value = "auto", value_parser = words::DECODE, help_heading = "Input")]
    pub(crate) decode: String,
    /// Detector to time, as for `detect`
    #[arg(long, value_name = "MODEL", help_heading = "Models")]
    pub(crate) detector: Option<String>,
    /// Segmenter to time, as for `segment`
    #[arg(long, value_name = "MODEL", help_heading = "Models")]
    pub(crate) segmenter: Option<String>,
    /// Time a MobileSAM beside the same checkpoint in another implementation, in turns, on a test picture
    #[arg(
        long,
        value_name = "IMPLEMENTATION",
        value_parser = words::AGAINST,
        conflicts_with_all = ["input", "positional", "stage"]
    )]
    pub(crate) against: Option<String>,
    /// Only stages whose names begin so (as the table has them: detect, segment-encode, pipeline); repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Vec<String>,
    /// Frames that a GPU works on together where the whole pipeline is timed
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) batch: u16,
    /// Timed repetitions of each stage
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) repeats: usize,
    /// Repetitions before timing
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) warm_up: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Device that should work
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = words::DEVICE)]
    pub(crate) device: String,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write one page for each command into this folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
