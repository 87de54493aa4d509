//! Checkpoints: where they come from (path, hub, cache), what is in them (safetensors, `.pth`, `.pt`), and how their
//! tensors become the parameters of a model.
//!
//! [`ModelRef`] parses what the user gave and fetches the files ([`ModelFiles`]); [`Checkpoint`] reads one;
//! [`Checkpoint::into_params`] renames its tensors as the model's key map says and makes them a model's parameters.
//!
//! ```no_run
//! use ultramotion::{engine::Engine, weights::{Checkpoint, Hub, HubConfig, ModelRef, Role}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::new(HubConfig::from_env()?);
//! let files = ModelRef::parse("dfine-n", Some(Role::Detector))?.resolve(&hub, &mut ())?;
//! let checkpoint = Checkpoint::of(&files.weights)?;
//! let params = checkpoint.into_params(&Engine::cpu(), |name, tensor| Ok::<_, std::fmt::Error>(vec![(name, tensor)]))?;
//! # Ok(())
//! # }
//! ```

mod catalogue;
mod checkpoint;
mod element;
mod embedded;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hub;
mod inspect;
mod known;
mod model_files;
mod model_ref;
mod params;
mod pickle;
mod role;
mod safetensors;
mod stored;
mod torch;

pub use catalogue::{CatalogueEntry, CatalogueFile, catalogue};
pub use checkpoint::{Checkpoint, CheckpointFormat, TensorInfo};
pub use element::ElementType;
pub use embedded::{EMBEDDED_MODELS, EmbeddedModel};
pub use error::{Flaw, WeightsError};
pub use hub::{DownloadProgress, Hub, HubConfig, HubError, HubRepo, ModelFile};
pub use inspect::{Inspection, inspect};
pub use known::{KNOWN_MODELS, KnownModel};
pub use model_files::{ModelFiles, ModelOrigin};
pub use model_ref::ModelRef;
pub use params::Renamed;
pub use role::Role;
pub use torch::Extra;
