//! Loads the embedded kernels, once a device.

use candle_core::{
    CudaDevice,
    cuda_backend::{
        WrapErr,
        cudarc::{
            driver::{
                CudaContext, CudaFunction, CudaModule, DriverError,
                sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                sys::CUfunction_attribute_enum::{
                    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as DYNAMIC_LIMIT,
                    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES as DECLARED,
                },
                sys::CUresult,
            },
            nvrtc::Ptx,
        },
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// Shared memory in bytes that a block may have without a higher limit.
const SHARED: usize = 48 << 10;

/// By context (its address; what is loaded keeps it alive) and name.
#[derive(Default)]
struct Loaded {
    modules: HashMap<(usize, &'static str), Arc<CudaModule>>,
    functions: HashMap<(usize, &'static str, &'static str), Limited>,
}

/// A kernel, and the dynamic shared memory in bytes that its launches may have. All threads share the kernel and its limit, so
/// the limit only grows: a lower one would make the launch of another thread fail.
struct Limited {
    loaded: LoadedKernel,
    limit: usize,
}

/// A kernel on a device.
#[derive(Clone)]
pub(super) struct LoadedKernel {
    pub(super) function: CudaFunction,
    /// Whether its code waits for the kernel before, so that it may be launched while that one runs.
    pub(super) waits: bool,
}

/// The compute capability from which on code waits (`begin` of common.cuh).
const WAITS_FROM: i32 = 9;

impl Limited {
    /// The kernel, with a limit of at least `shared` bytes.
    fn allowing(&mut self, shared: usize) -> candle_core::Result<LoadedKernel> {
        if shared > self.limit {
            // What the kernel declares counts too.
            let declared = self.loaded.function.get_attribute(DECLARED).w()?.max(0) as usize;
            if shared + declared > SHARED {
                let limit = i32::try_from(shared).unwrap_or(i32::MAX);
                self.loaded
                    .function
                    .set_attribute(DYNAMIC_LIMIT, limit)
                    .w()?;
            }
            self.limit = shared;
        }
        Ok(self.loaded.clone())
    }
}

/// Why the driver did not take a file of kernels: most often none of them is for this chip.
fn not_loaded(context: &CudaContext, error: &DriverError) -> candle_core::Error {
    if error.0 != CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU {
        return candle_core::Error::wrap(*error);
    }
    let chip = match context.compute_capability() {
        Ok((major, minor)) => format!("{major}.{minor}"),
        Err(_) => "another".to_owned(),
    };
    candle_core::Error::msg(format!(
        "the CUDA kernels of this build are for compute capability {}, this GPU has {chip}: build on a machine with such a GPU, or with \
         ULTRAMOTION_KERNELS={chip} (or all) and CUDA_COMPUTE_CAP at most that",
        env!("ULTRAMOTION_KERNELS_FOR")
    ))
}

/// The kernel `name` of `file` (`"assignment"` for `assignment.cu`) on `device`, whose launches may have `shared` bytes of
/// dynamic shared memory.
///
/// The first call for a file and device loads its code, which may allocate on the device and wait for it: make it
/// before anything is captured in a graph. Later calls look it up.
///
/// # Errors
/// Candle's, if there is no such file or kernel, the driver does not take the code (older than what built it), or a block
/// cannot have so much memory.
pub(super) fn function(
    device: &CudaDevice,
    file: &'static str,
    name: &'static str,
    shared: usize,
) -> candle_core::Result<LoadedKernel> {
    static LOADED: OnceLock<Mutex<Loaded>> = OnceLock::new();
    let stream = device.cuda_stream();
    let context = stream.context();
    let place = context.cu_ctx() as usize;
    let mut loaded = LOADED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = loaded.functions.get_mut(&(place, file, name)) {
        return known.allowing(shared);
    }
    let module = match loaded.modules.get(&(place, file)) {
        Some(module) => module.clone(),
        None => {
            let Some((_, fatbin)) = FATBINS.iter().find(|(stem, _)| *stem == file) else {
                candle_core::bail!("{file}: no such file of CUDA kernels in this build")
            };
            let module = context
                .load_module(Ptx::from_binary(fatbin.to_vec()))
                .map_err(|error| not_loaded(context, &error))?;
            loaded.modules.insert((place, file), module.clone());
            module
        }
    };
    let function = module.load_function(name).w()?;
    let major = context
        .attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        .w()?;
    let loaded_kernel = LoadedKernel {
        function,
        waits: major >= WAITS_FROM,
    };
    let new = Limited {
        loaded: loaded_kernel,
        limit: 0,
    };
    let entry = loaded.functions.entry((place, file, name));
    entry.or_insert(new).allowing(shared)
}
