//! Errors of a device that has no memory left.

use super::{Engine, MemoryRefused};
use std::{cell::Cell, error::Error, fmt};

thread_local! {
    /// Size in bytes of the latest request of this thread that the device refused.
    static REFUSED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Records the size of a refused request for device memory, for the message of [`OutOfMemory`].
pub(crate) fn note_refused(bytes: usize) {
    REFUSED.set(Some(bytes as u64));
}

/// A device that has not enough free memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The device.
    pub device: String,
    /// Size in bytes of the request that was refused, where it is known.
    pub needed: Option<u64>,
    /// Bytes in use by all programs.
    pub used: u64,
    /// Bytes that are free.
    pub free: u64,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let needed = self.needed.map_or_else(
            || "more is needed than is free".to_owned(),
            |n| format!("{} more are needed", mib(n)),
        );
        write!(
            f,
            "{}: out of memory: {needed}, {} are in use, {} are free; close other programs on this GPU, use a smaller \
             batch or fewer objects, or allow the CPU as a fallback",
            self.device,
            mib(self.used),
            mib(self.free)
        )
    }
}

impl Error for OutOfMemory {}

impl Engine {
    /// The state of the device's memory, if `error` or one of its sources is a refusal of memory; `None` on the CPU.
    pub fn out_of_memory(&self, error: &(dyn Error + 'static)) -> Option<OutOfMemory> {
        if self.is_cpu() {
            return None;
        }
        let chain = std::iter::successors(Some(error), |&error| error.source());
        if !chain.into_iter().any(is_no_memory) {
            return None;
        }
        let (free, total) = self.memory().ok().flatten().unwrap_or_default();
        let (free, total) = (free as u64, total as u64);
        Some(OutOfMemory {
            device: self.name(),
            needed: REFUSED.take(),
            used: total.saturating_sub(free),
            free,
        })
    }
}

/// Whether `error` itself is a refusal of device memory, by its code.
fn is_no_memory(error: &(dyn Error + 'static)) -> bool {
    error.is::<MemoryRefused>() || of_driver(error)
}

#[cfg(feature = "cuda")]
fn of_driver(error: &(dyn Error + 'static)) -> bool {
    super::cuda::is_out_of_memory(error)
}

#[cfg(not(feature = "cuda"))]
fn of_driver(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_states_need_use_and_free_memory() {
        let lack = OutOfMemory {
            device: "cuda:1".to_owned(),
            needed: Some(3 << 20),
            used: 10 << 20,
            free: 1 << 19,
        };
        let text = lack.to_string();
        assert!(text.starts_with("cuda:1: out of memory: 3.0 MiB more are needed, 10.0 MiB are in use, 0.5 MiB are free;"), "{text}");
        let unknown = OutOfMemory {
            needed: None,
            ..lack
        };
        assert!(unknown.to_string().contains("more is needed than is free"));
    }

    #[test]
    fn an_error_of_the_cpu_is_none_of_the_device() {
        assert_eq!(
            Engine::cpu().out_of_memory(&std::io::Error::other("CUDA_ERROR_OUT_OF_MEMORY")),
            None
        );
    }
}
