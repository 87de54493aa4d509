//! Options of `serve`.

use crate::common_args::{DetectorArgs, DeviceArgs, SegmenterArgs, SelectionArgs};
use clap::Args;
use std::{net::SocketAddr, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on; port 0 is any that is free. On the loopback interface (127.0.0.1, [::1]) only this machine reaches
    /// it; elsewhere anyone who reaches the address can use it, unless --api-key-file is given
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8000",
        help_heading = "Server"
    )]
    pub(crate) listen: SocketAddr,
    /// File with the key that requests must have in the header Token: X-AnyLabeling's api_key
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Refuse pictures of more than this many pixels
    #[arg(long, value_name = "N", default_value_t = ultramotion::sources::DEFAULT_MAX_PIXELS, help_heading = "Server")]
    pub(crate) max_pixels: u64,
    /// Refuse requests of more than this many MiB; pictures are base64 in them, 4 bytes for 3
    #[arg(long, value_name = "MIB", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Server")]
    pub(crate) max_request: u16,
    /// Requests that may wait while another is worked on; further ones are refused with status 503
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Server")]
    pub(crate) queue: u16,
    #[command(flatten)]
    pub(crate) detector: DetectorArgs,
    #[command(flatten)]
    pub(crate) segmenter: SegmenterArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
