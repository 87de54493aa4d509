//! The stages of the work on a frame.

/// Names of the stages in `run.json` and in benchmarks.
#[derive(Debug)]
pub struct Stages;

impl Stages {
    /// Opening a source.
    pub const OPEN: &'static str = "open";
    /// Reading and decoding a frame.
    pub const DECODE: &'static str = "decode";
    /// A frame to the detector's input.
    pub const DETECT_PREPROCESS: &'static str = "detect-preprocess";
    /// The detector.
    pub const DETECT: &'static str = "detect";
    /// The choice of objects.
    pub const SELECT: &'static str = "select";
    /// A frame to the segmenter's input.
    pub const SEGMENT_PREPROCESS: &'static str = "segment-preprocess";
    /// The segmenter's image encoder.
    pub const ENCODE: &'static str = "segment-encode";
    /// The segmenter's mask decoder.
    pub const DECODE_MASKS: &'static str = "segment-decode";
    /// Masks to the frame's resolution.
    pub const MASKS: &'static str = "masks";
    /// Asking a GPU for all the work on a frame, where nothing is waited for in between.
    pub const SUBMIT: &'static str = "submit";
    /// Bringing frames to both models' inputs on a GPU, the way up included.
    pub const PREPROCESS: &'static str = "preprocess";
    /// Detector and image encoder side by side on a GPU.
    pub const FORWARD: &'static str = "forward";
    /// Stages between a decoded frame and its result.
    pub const OF_A_FRAME: [&'static str; 7] = [
        Self::DETECT_PREPROCESS,
        Self::DETECT,
        Self::SELECT,
        Self::SEGMENT_PREPROCESS,
        Self::ENCODE,
        Self::DECODE_MASKS,
        Self::MASKS,
    ];
    /// Writing one frame's outputs.
    pub const WRITE: &'static str = "write";
    /// Completing the outputs of the whole run.
    pub const FINISH: &'static str = "finish";
}
