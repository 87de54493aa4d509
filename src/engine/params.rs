//! The named tensors a model is built from, with strict accounting: what is missing, misshapen or left over is an error.
//! They come from a checkpoint, or from a generator for models that are yet to be trained, and stay on the host until a layer's weight
//! is made of them.

mod error;
mod var_builder;

pub use error::ParamsError;

use super::{Engine, Precision, Span};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor, WithDType};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

/// Named f32 tensors on the CPU, read by [`Params::get`] and accounted for by [`Params::finish`]; what a layer needs of them is brought
/// to the model's device by [`Params::place`].
/// Clones and scopes share the accounting. [`Params::var_builder`] gives the same tensors, with the same accounting, to models written for
/// candle-nn.
#[derive(Debug, Clone)]
pub struct Params {
    shared: Arc<Shared>,
    prefix: String,
}

/// Makes the tensor of a name and shape.
type Generator = Box<dyn Fn(&str, &[usize]) -> candle_core::Result<Tensor> + Send + Sync>;

struct Shared {
    origin: String,
    tensors: Mutex<BTreeMap<String, Tensor>>,
    generator: Option<Generator>,
    used: Mutex<BTreeSet<String>>,
    engine: Engine,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} tensors)", self.origin, lock(&self.tensors).len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How many numbers of an f32 tensor on the CPU are NaN or infinite; of a tensor elsewhere none are looked at.
///
/// # Errors
/// For another type, or a tensor that is not contiguous.
pub fn not_finite(tensor: &Tensor) -> candle_core::Result<usize> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Ok(0);
    };
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => {
            let numbers = all.get(start..end).unwrap_or(&[]);
            Ok(numbers.iter().map(|x| usize::from(!x.is_finite())).sum())
        }
        _ => candle_core::bail!(
            "finite numbers are told apart in contiguous f32 only, not in {:?}",
            tensor.dtype()
        ),
    }
}

impl Params {
    /// The span of the transfer log that the upload of weights is counted under.
    pub const SPAN: Span = Span::new(0, "load");

    /// Parameters from `tensors` on the CPU, of a model on the device of `engine`; `origin` names the checkpoint in errors.
    pub fn new(
        origin: impl Into<String>,
        tensors: BTreeMap<String, Tensor>,
        engine: &Engine,
    ) -> Self {
        Self::with(origin.into(), tensors, None, engine)
    }

    /// Parameters that `generator` makes on the CPU from full name and shape as the model asks for them: a model built from these
    /// shows by [`Params::tensors`] which tensors it has.
    pub fn generated<G>(origin: impl Into<String>, engine: &Engine, generator: G) -> Self
    where
        G: Fn(&str, &[usize]) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    {
        Self::with(
            origin.into(),
            BTreeMap::new(),
            Some(Box::new(generator)),
            engine,
        )
    }

    fn with(
        origin: String,
        tensors: BTreeMap<String, Tensor>,
        generator: Option<Generator>,
        engine: &Engine,
    ) -> Self {
        let shared = Shared {
            origin,
            tensors: Mutex::new(tensors),
            generator,
            used: Mutex::default(),
            engine: engine.clone(),
        };
        Self {
            shared: Arc::new(shared),
            prefix: String::new(),
        }
    }

    /// The same parameters below `prefix.` (dots within are allowed).
    pub fn scope(&self, prefix: impl std::fmt::Display) -> Self {
        Self {
            shared: self.shared.clone(),
            prefix: format!("{}{prefix}.", self.prefix),
        }
    }

    /// Full name of `name` in this scope.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Where the model is to run.
    pub fn device(&self) -> &Device {
        self.shared.engine.device()
    }

    /// What the model is to compute in.
    pub fn precision(&self) -> Precision {
        self.shared.engine.precision()
    }

    /// Whether the checkpoint has `name` in this scope. A generator has none before it was read.
    pub fn contains(&self, name: &str) -> bool {
        lock(&self.shared.tensors).contains_key(&self.full_name(name))
    }

    /// Shape of `name` in this scope, where it is there; does not count as reading it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        lock(&self.shared.tensors)
            .get(&self.full_name(name))
            .map(|t| t.dims().to_vec())
    }

    /// All tensors by full name.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        lock(&self.shared.tensors).clone()
    }

    /// The tensor `name` in this scope as contiguous f32 on the CPU.
    ///
    /// # Errors
    /// [`ParamsError::Missing`], [`ParamsError::Shape`], or [`ParamsError::NotFinite`] if a value is NaN or infinite.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, ParamsError> {
        let name = self.full_name(name);
        let origin = || self.shared.origin.clone();
        let mut tensors = lock(&self.shared.tensors);
        let tensor = match (tensors.get(&name), &self.shared.generator) {
            (Some(tensor), _) => tensor.clone(),
            (None, Some(generator)) => {
                let made = generator(&name, shape);
                let made = made.map_err(|source| ParamsError::Tensor {
                    origin: origin(),
                    name: name.clone(),
                    source: Box::new(source),
                })?;
                tensors.insert(name.clone(), made.clone());
                made
            }
            (None, None) => {
                return Err(ParamsError::Missing {
                    origin: origin(),
                    name,
                    shape: shape.to_vec(),
                });
            }
        };
        if tensor.dims() != shape {
            return Err(ParamsError::Shape {
                origin: origin(),
                name,
                found: tensor.dims().to_vec(),
                expected: shape.to_vec(),
            });
        }
        lock(&self.shared.used).insert(name.clone());
        let ready = tensor.to_dtype(DType::F32).and_then(|t| t.contiguous());
        let ready = ready.and_then(|tensor| Ok((not_finite(&tensor)?, tensor)));
        match ready {
            Ok((0, tensor)) => Ok(tensor),
            Ok((count, tensor)) => Err(ParamsError::NotFinite {
                origin: origin(),
                name,
                count,
                of: tensor.elem_count(),
            }),
            Err(source) => Err(ParamsError::Tensor {
                origin: origin(),
                name,
                source: Box::new(source),
            }),
        }
    }

    /// The tensor `name` in this scope as the checkpoint has it, on the CPU; does not count as reading it.
    pub fn peek(&self, name: &str) -> Option<Tensor> {
        lock(&self.shared.tensors)
            .get(&self.full_name(name))
            .cloned()
    }

    /// The only number of the tensor `name` `[1]` in this scope.
    ///
    /// # Errors
    /// As [`Params::get`].
    pub fn number(&self, name: &str) -> Result<f32, ParamsError> {
        let value = self
            .get(name, &[1])?
            .squeeze(0)
            .and_then(|t| t.to_scalar::<f32>());
        value.map_err(|source| ParamsError::Tensor {
            origin: self.shared.origin.clone(),
            name: self.full_name(name),
            source: Box::new(source),
        })
    }

    /// Numbers that follow from the model's structure (index tables, grids) as a tensor beside the parameters, on the CPU.
    ///
    /// # Errors
    /// [`ParamsError::Tensor`] if their count does not fit `shape` or memory ran out.
    pub fn constant<T: WithDType>(
        &self,
        values: &[T],
        shape: &[usize],
    ) -> Result<Tensor, ParamsError> {
        Tensor::from_slice(values, shape, &Device::Cpu).map_err(|source| ParamsError::Tensor {
            origin: self.shared.origin.clone(),
            name: self.full_name("(constant)"),
            source: Box::new(source),
        })
    }

    /// A finished f32 weight on the device that the model runs on; on the CPU it is `weight` itself.
    ///
    /// # Errors
    /// [`ParamsError::Device`] if the device has no memory for it, [`ParamsError::Tensor`] for one of another type.
    #[track_caller]
    pub fn place(&self, weight: &Tensor) -> Result<Tensor, ParamsError> {
        let Shared { origin, engine, .. } = &*self.shared;
        if engine.is_cpu() {
            return Ok(weight.clone());
        }
        let failed = |source| ParamsError::Tensor {
            origin: origin.clone(),
            name: self.full_name("(weight)"),
            source: Box::new(source),
        };
        let weight = weight.contiguous().map_err(failed)?;
        let (storage, layout) = weight.storage_and_layout();
        // Its own numbers only: it may be a part of another tensor.
        let numbers = match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(all)), Some((start, end))) => all.get(start..end),
            _ => None,
        };
        let numbers = numbers.ok_or_else(|| {
            failed(candle_core::Error::Msg(
                "a weight is not f32 on the CPU".to_owned(),
            ))
        })?;
        let placed = engine.upload_f32(Self::SPAN, numbers, weight.dims());
        placed.map_err(|source| ParamsError::Device {
            origin: origin.clone(),
            source: Box::new(source),
        })
    }

    /// Ends the loading: every tensor must have been read, except those for which `ignorable` says true.
    ///
    /// # Errors
    /// [`ParamsError::Unknown`] with the names of all others.
    pub fn finish(&self, ignorable: impl Fn(&str) -> bool) -> Result<(), ParamsError> {
        let used = lock(&self.shared.used);
        let names: Vec<String> = lock(&self.shared.tensors)
            .keys()
            .filter(|name| !used.contains(*name) && !ignorable(name))
            .cloned()
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(ParamsError::Unknown {
                origin: self.shared.origin.clone(),
                names,
            })
        }
    }
}

#[cfg(test)]
mod tests;
