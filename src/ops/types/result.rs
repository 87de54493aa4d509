//! What operations return, and the time that a kernel takes.

/// Result of an operation.
pub type Result<T> = candle_core::Result<T>;

/// One launch of a kernel on a GPU, see [`crate::ops::kernel_times`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelTime {
    /// Its name.
    pub kernel: &'static str,
    /// Blocks in three directions.
    pub grid: (usize, usize, usize),
    /// Time it takes as a node of a graph.
    pub microseconds: f32,
}
