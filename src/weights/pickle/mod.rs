//! A restricted reader of Python pickles, protocols 0 to 5.
//!
//! A pickle is a program; this reader runs none of it. Globals, calls and object states become values that can be
//! looked at: a call of `os.system` is an [`Object`] with that name and its arguments, and nothing happens.
//!
//! Values lie in an arena ([`Graph`]) and refer to each other by index, so that shared values are stored once, cycles
//! are harmless and nothing here recurses. Work and memory are bounded by [`MAX_STEPS`] and the length of the input.

mod machine;
mod reader;

use super::error::Flaw;

/// Index of a value in its [`Graph`].
pub(super) type Id = u32;

/// Most bytes of one pickle. A training checkpoint of the largest detector has about 1 MB; data of tensors is not in it.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// Most steps (instructions and copied items) of one pickle; the same checkpoint takes about 200,000. At some 60 bytes
/// a step, memory stays below 256 MB beside the input itself.
pub(super) const MAX_STEPS: usize = 4 << 20;

/// A Python value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// An integer past 64 bits, in the pickle's own form: two's complement, little-endian.
    Long(Box<[u8]>),
    Float(f64),
    Text(Box<str>),
    /// Bytes, which no checkpoint needs: the contents are not kept.
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set,
    Dict(Vec<(Id, Id)>),
    Global(Box<Global>),
    Object(Box<Object>),
    /// A reference to something outside the pickle (torch: a storage).
    Persistent(Id),
}

/// A name that Python would import.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Global {
    pub(super) module: String,
    pub(super) name: String,
}

/// What Python would get by calling `callable(*args)` and then setting state, items and entries.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) callable: Id,
    pub(super) args: Id,
    pub(super) state: Option<Id>,
    /// Key and value pairs set on it, where it is a kind of dictionary.
    pub(super) entries: Vec<(Id, Id)>,
}

/// The values of one pickle.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    /// The value that the pickle stands for.
    pub(super) root: Id,
}

/// Reads the pickle at the start of `bytes`; also gives its length, since old torch files hold several in a row.
pub(super) fn parse(bytes: &[u8]) -> Result<(Graph, usize), Flaw> {
    machine::Machine::new(bytes).run()
}

impl Graph {
    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn global(&self, id: Id) -> Option<&Global> {
        match self.node(id) {
            Node::Global(global) => Some(global),
            _ => None,
        }
    }

    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Pairs of a dictionary or of an object that has them, in the order they were set; a later pair replaces an
    /// earlier one of the same key.
    pub(super) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(entries) => Some(entries),
            Node::Object(object) if !object.entries.is_empty() => Some(&object.entries),
            _ => None,
        }
    }

    /// Value of the text key `key`.
    pub(super) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let entries = self.entries(id)?;
        entries
            .iter()
            .rev()
            .find(|(k, _)| self.text(*k) == Some(key))
            .map(|(_, value)| *value)
    }

    /// Python's name of the class or function behind an object, for messages.
    pub(super) fn class(&self, id: Id) -> Option<String> {
        let Node::Object(object) = self.node(id) else {
            return None;
        };
        let mut callable = object.callable;
        if let (Some(global), Some(args)) = (self.global(callable), self.tuple(object.args)) {
            // Protocols 0 and 1 make objects by copyreg._reconstructor(class, base, state).
            if matches!(global.module.as_str(), "copyreg" | "copy_reg") {
                callable = args.first().copied().unwrap_or(callable);
            }
        }
        self.global(callable)
            .map(|g| format!("{}.{}", g.module, g.name))
    }
}
