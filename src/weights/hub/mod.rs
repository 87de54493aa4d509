//! Models from the Hugging Face hub, through the cache that its other tools share.

mod cache;
mod client;
mod config;
mod digest;
mod download;
mod error;
mod fetch;
mod model_file;
mod progress;
mod receive;
mod repo;
mod selection;

pub use cache::Hub;
pub(super) use cache::file_names;
pub use config::HubConfig;
pub use error::HubError;
pub use model_file::ModelFile;
pub use progress::DownloadProgress;
pub use repo::HubRepo;
pub(super) use selection::{Choice, Snapshot, Wanted};
