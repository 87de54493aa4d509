//! Names of pieces of work in the transfer log.

use std::fmt;

/// The name under which the transfer log and the audit count a piece of work. The engine defines none: each layer names its own.
///
/// Spans sort by `order`, then by name. Reports list them in this order, so callers number them as a frame passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    order: u8,
    name: &'static str,
}

impl Span {
    /// A span of this name, at place `order` among the others.
    pub const fn new(order: u8, name: &'static str) -> Self {
        Self { order, name }
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
