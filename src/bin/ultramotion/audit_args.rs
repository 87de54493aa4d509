//! What was typed after `audit`.

use crate::{
    common_args::{DetectorArgs, DeviceArgs, Mode, SegmenterArgs, SelectionArgs, SourceArgs},
    stream_args::StreamArgs,
};
use clap::Args;
use std::{num::NonZeroU32, path::PathBuf, time::Duration};

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) stream: StreamArgs,
    #[command(flatten)]
    pub(crate) passes: PassArgs,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,
    #[command(flatten)]
    pub(crate) detector: DetectorArgs,
    #[command(flatten)]
    pub(crate) segmenter: SegmenterArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// What is run and what is written of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Audit")]
pub(crate) struct PassArgs {
    /// Frames that are judged; inputs are read again when they have fewer
    #[arg(long, value_name = "N", default_value = "200")]
    pub(crate) frames: NonZeroU32,
    /// Frames before them in each pass, which do not count
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) warm_up: u32,
    /// How the pipeline brings data from stage to stage [default: resident on a GPU, legacy on the CPU]
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Audit the other mode too and show both side by side
    #[arg(long)]
    pub(crate) compare: bool,
    /// Frames that the resident mode works on together
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) batch: u16,
    /// Hold one batch at a time in the resident mode
    #[arg(long)]
    pub(crate) latency: bool,
    /// Soak: run the pass without a profiler for so long (300s, 5m, 1h), to see memory and latency drift
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Write the report as one HTML page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Append figures of each frame of the passes without a profiler to this file (JSON lines if it ends in .jsonl)
    #[arg(long, value_name = "FILE")]
    pub(crate) kpi: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds (exit code 1 unless all hold)")]
pub(crate) struct BoundArgs {
    /// Most critical findings over all frames that are judged
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) max_critical: u64,
    /// Most waits of the host in any frame; those of a video decoder for its pictures are counted apart
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) max_syncs: u64,
    /// Longest median time from decoded frame to result, in milliseconds
    #[arg(long, value_name = "MS", default_value = "45")]
    pub(crate) max_latency_ms: f64,
    /// Most device memory in use, in MiB
    #[arg(long, value_name = "MIB", default_value = "8192")]
    pub(crate) max_memory_mb: f64,
    /// Most growth of device memory over the run, with --duration also of host memory, in MiB
    #[arg(long, value_name = "MIB", default_value = "5")]
    pub(crate) max_drift_mb: f64,
    /// Least share of stages that stay on the device, 0 to 1
    #[arg(long, value_name = "P", default_value = "0.9")]
    pub(crate) min_resident: f64,
}

/// `300s`, `5m`, `1h`, or seconds alone.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (text.get(..at), 1.0),
        Some((at, 'm')) => (text.get(..at), 60.0),
        Some((at, 'h')) => (text.get(..at), 3600.0),
        _ => (Some(text), 1.0),
    };
    let seconds = number
        .and_then(|number| number.trim().parse::<f64>().ok())
        .map(|number| number * unit);
    let long_enough = seconds.filter(|seconds| (1.0..=604_800.0).contains(seconds));
    long_enough
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give a time from 1s to 168h, as 300s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_nonsense_is_refused() {
        for (text, seconds) in [
            ("300s", 300),
            ("5m", 300),
            ("1h", 3600),
            ("45", 45),
            (" 2 m", 120),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "0s", "-5s", "nan", "inf", "5d", "1e9h", "ö"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
