//! From a checkpoint to the parameters of a model.

use super::{Checkpoint, WeightsError};
use crate::engine::{Engine, Params};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Tensors by their names in the model, as a renaming gives them: none to drop a tensor, several to split one.
pub type Renamed = Vec<(String, Tensor)>;

impl Checkpoint {
    /// Reads all tensors, gives each to `rename`, and makes the results the parameters of a model on the engine's device.
    ///
    /// `rename` gets the name in the checkpoint and the tensor on the CPU; its error text is put behind path and name.
    /// All tensors are in host memory, in their own types, until the parameters are dropped.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`]; [`WeightsError::Tensor`] where `rename` fails; [`WeightsError::Duplicate`] where two
    /// tensors get one name.
    pub fn into_params<E: std::fmt::Display>(
        self,
        engine: &Engine,
        mut rename: impl FnMut(String, Tensor) -> Result<Renamed, E>,
    ) -> Result<Params, WeightsError> {
        let mut tensors = BTreeMap::new();
        let mut origins: BTreeMap<String, &str> = BTreeMap::new();
        for original in self.names() {
            let tensor = self.tensor(original)?;
            let path = || self.path().to_owned();
            let renamed = rename(original.to_owned(), tensor);
            let fail = |e: E| WeightsError::Tensor {
                path: path(),
                name: original.to_owned(),
                reason: e.to_string(),
            };
            for (name, tensor) in renamed.map_err(fail)? {
                if let Some(first) = origins.insert(name.clone(), original) {
                    return Err(WeightsError::Duplicate {
                        path: path(),
                        first: first.to_owned(),
                        second: original.to_owned(),
                        name,
                    });
                }
                tensors.insert(name, tensor);
            }
        }
        Ok(Params::new(
            self.path().display().to_string(),
            tensors,
            engine,
        ))
    }
}
