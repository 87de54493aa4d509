//! A restricted reader of Python pickles, protocols 0 to 5.
//!
//! A pickle is a program; this reader runs none of it. Globals, calls and object states become values that can be
//! looked at: a call of `os.system` is an [`Object`](graph::Object) with that name and its arguments, and nothing happens.
//!
//! Values lie in an arena ([`Graph`](graph::Graph)) and refer to each other by index, so that shared values are stored once, cycles
//! are harmless and nothing here recurses. Work and memory are bounded by [`machine::MAX_STEPS`] and the length of the input.

mod build;
mod graph;
mod instructions;
mod machine;
mod opcode;
mod reader;

pub(super) use graph::{Global, Graph, Id, Node};
pub(super) use instructions::parse;
pub(super) use machine::MAX_BYTES;
