//! Arguments of `models verify`.

use crate::{common_args::DeviceArgs, words};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Detector to verify
    #[arg(
        long,
        value_name = "MODEL",
        required_unless_present = "segmenter",
        conflicts_with = "segmenter"
    )]
    pub(crate) detector: Option<String>,
    /// Segmenter to verify
    #[arg(long, value_name = "MODEL")]
    pub(crate) segmenter: Option<String>,
    /// Inputs and expected outputs of the reference implementation (safetensors)
    #[arg(
        long,
        value_name = "REF.safetensors",
        required_unless_present = "against",
        conflicts_with = "against"
    )]
    pub(crate) reference: Option<PathBuf>,
    /// Compare a MobileSAM with the same checkpoint in another implementation, on a test picture
    #[arg(long, value_name = "IMPLEMENTATION", value_parser = words::AGAINST)]
    pub(crate) against: Option<String>,
    /// Largest relative error (Frobenius) that passes [default: 1e-4; 1e-2 with --against candle]
    #[arg(long, value_name = "E")]
    pub(crate) tolerance: Option<f64>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
