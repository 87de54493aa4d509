//! D-FINE: object detection by fine-grained distribution refinement (Peng et al., 2024).
//!
//! Files and blocks are named as in the paper's code; tensors as in the checkpoints on the hub (see [`keys`]).
//! The model is built in its deploy form: normalisation and parallel convolutions folded into one, only the
//! last decoder layer's class head and quality estimator.

mod backbone_json;
mod config;
mod config_check;
mod config_error;
mod config_infer;
mod config_json;
mod decoder;
mod detector;
mod distribution;
mod error;
mod fusion_block;
mod grid;
mod hgnetv2;
mod hybrid_encoder;
mod key_tables;
pub mod keys;
mod labels;
mod labels_error;
mod labels_file;
mod layers;
mod model;
pub mod postprocess;
mod preprocessor;
mod query_selection;
mod sizes;
mod value_text;

pub use config::{
    DFineConfig, DecoderConfig, HgNetV2Config, HybridEncoderConfig, InputSizeSource, InputSizes,
    PositionOrder, StageConfig,
};
pub use config_check::check_input;
pub use config_error::{ConfigError, ConfigFile, ConfigProblem};
pub use detector::{Checkpoint, Detector};
pub use error::DFineError;
pub use labels::Labels;
pub use labels_error::LabelsError;
pub use model::{DFine, DFineOutput};
pub use sizes::{DFineSize, UnknownSize};
