//! Loads the embedded kernels, once a device.

use candle_core::{
    CudaDevice,
    cuda_backend::{
        WrapErr,
        cudarc::{
            driver::{CudaFunction, CudaModule},
            nvrtc::Ptx,
        },
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// By context (its address; what is loaded keeps it alive) and name.
#[derive(Default)]
struct Loaded {
    modules: HashMap<(usize, &'static str), Arc<CudaModule>>,
    functions: HashMap<(usize, &'static str, &'static str), CudaFunction>,
}

/// The kernel `name` of `file` (`"assignment"` for `assignment.cu`) on `device`.
///
/// The first call for a file and device loads its code, which may allocate on the device and wait for it: make it
/// before anything is captured in a graph. Later calls look it up.
///
/// # Errors
/// Candle's, if there is no such file or kernel, or the driver does not take the code (older than what built it).
pub(super) fn function(
    device: &CudaDevice,
    file: &'static str,
    name: &'static str,
) -> candle_core::Result<CudaFunction> {
    static LOADED: OnceLock<Mutex<Loaded>> = OnceLock::new();
    let stream = device.cuda_stream();
    let context = stream.context();
    let place = context.cu_ctx() as usize;
    let mut loaded = LOADED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(function) = loaded.functions.get(&(place, file, name)) {
        return Ok(function.clone());
    }
    let module = match loaded.modules.get(&(place, file)) {
        Some(module) => module.clone(),
        None => {
            let Some((_, fatbin)) = FATBINS.iter().find(|(stem, _)| *stem == file) else {
                candle_core::bail!("{file}: no such file of CUDA kernels in this build")
            };
            let module = context.load_module(Ptx::from_binary(fatbin.to_vec())).w()?;
            loaded.modules.insert((place, file), module.clone());
            module
        }
    };
    let function = module.load_function(name).w()?;
    loaded
        .functions
        .insert((place, file, name), function.clone());
    Ok(function)
}
