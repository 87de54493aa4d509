//! What the kernels that a thread captures take: the driver tells where the arguments of a captured kernel lie, and not what they are.

use std::{cell::RefCell, collections::HashMap};

/// An argument of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArgumentForm {
    /// Its size in bytes.
    pub(crate) size: usize,
    /// Where in it addresses of device memory lie, in bytes from its start; each may be 0.
    pub(crate) addresses: &'static [usize],
}

/// What a kernel takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KernelForm {
    /// Whether its code waits for the kernel before it, so that it may be launched while that one runs.
    pub(crate) waits: bool,
    pub(crate) arguments: Vec<ArgumentForm>,
}

/// The captured kernels by the driver's handle, as a number.
pub(super) type KernelForms = HashMap<usize, KernelForm>;

thread_local! {
    static NOTED: RefCell<Option<KernelForms>> = const { RefCell::new(None) };
}

/// Runs `work`, which captures; the kernels that it launched by [`note_kernel`].
pub(super) fn noting<T>(work: impl FnOnce() -> T) -> (T, KernelForms) {
    let outer = NOTED.replace(Some(KernelForms::new()));
    let done = work();
    (done, NOTED.replace(outer).unwrap_or_default())
}

/// Whether this thread captures work as a graph.
pub(crate) fn is_capturing() -> bool {
    NOTED.with_borrow(Option::is_some)
}

/// Notes a kernel that this thread captures; does nothing outside a capture.
pub(crate) fn note_kernel(handle: usize, form: impl FnOnce() -> KernelForm) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.entry(handle).or_insert_with(form);
        }
    });
}
