//! Parameters as the source of a [`VarBuilder`], by which models of candle-transformers load.

use super::{Params, ParamsError};
use candle_core::{DType, Device, Error, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};

impl Params {
    /// A builder of f32 variables on the model's device, for the names below this scope. Each variable that a model takes is checked and
    /// counted as by [`Params::get`], so that [`Params::finish`] afterwards names the tensors that the model did not take.
    ///
    /// Errors of the builder are Candle's, with a [`ParamsError`] as their text. Initial values are not made up: a tensor that the
    /// checkpoint lacks is an error.
    pub fn var_builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, self.device().clone())
    }

    /// The tensor on `device`, which is the model's or the CPU, as `dtype`.
    fn variable(&self, tensor: &Tensor, dtype: DType, device: &Device) -> Result<Tensor> {
        if device.is_cpu() {
            return tensor.to_dtype(dtype);
        }
        if !device.same_device(self.device()) {
            candle_core::bail!(
                "variables are made on the CPU or on the model's device ({:?}), not on {:?}",
                self.device().location(),
                device.location()
            );
        }
        self.place(tensor).map_err(Error::wrap)?.to_dtype(dtype)
    }
}

impl SimpleBackend for Params {
    fn get(&self, s: Shape, name: &str, _: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
        let tensor = Params::get(self, name, s.dims()).map_err(Error::wrap)?;
        self.variable(&tensor, dtype, dev)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, dev: &Device) -> Result<Tensor> {
        let shape = self.shape(name).ok_or_else(|| ParamsError::Missing {
            origin: self.shared.origin.clone(),
            name: self.full_name(name),
            shape: Vec::new(),
        });
        let tensor = Params::get(self, name, &shape.map_err(Error::wrap)?);
        self.variable(&tensor.map_err(Error::wrap)?, dtype, dev)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.contains(name)
    }
}
