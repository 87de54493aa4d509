//! The values of a pickle, in one arena.

/// Index of a value in its [`Graph`].
pub(in crate::weights) type Id = u32;

/// A Python value.
#[derive(Debug)]
pub(in crate::weights) enum Node {
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
pub(in crate::weights) struct Global {
    pub(in crate::weights) module: String,
    pub(in crate::weights) name: String,
}

/// What Python would get by calling `callable(*args)` and then setting state, items and entries.
#[derive(Debug)]
pub(in crate::weights) struct Object {
    pub(in crate::weights) callable: Id,
    pub(in crate::weights) args: Id,
    pub(in crate::weights) state: Option<Id>,
    /// Key and value pairs set on it, where it is a kind of dictionary.
    pub(in crate::weights) entries: Vec<(Id, Id)>,
}

/// The values of one pickle.
#[derive(Debug)]
pub(in crate::weights) struct Graph {
    pub(in crate::weights) nodes: Vec<Node>,
    /// The value that the pickle stands for.
    pub(in crate::weights) root: Id,
}

impl Graph {
    pub(in crate::weights) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    pub(in crate::weights) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(in crate::weights) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::weights) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(in crate::weights) fn global(&self, id: Id) -> Option<&Global> {
        match self.node(id) {
            Node::Global(global) => Some(global),
            _ => None,
        }
    }

    pub(in crate::weights) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Pairs of a dictionary or of an object that has them, in the order they were set; a later pair replaces an
    /// earlier one of the same key.
    pub(in crate::weights) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(entries) => Some(entries),
            Node::Object(object) if !object.entries.is_empty() => Some(&object.entries),
            _ => None,
        }
    }

    /// Value of the text key `key`.
    pub(in crate::weights) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let entries = self.entries(id)?;
        entries
            .iter()
            .rev()
            .find(|(k, _)| self.text(*k) == Some(key))
            .map(|(_, value)| *value)
    }

    /// Python's name of the class or function behind an object, for messages.
    pub(in crate::weights) fn class(&self, id: Id) -> Option<String> {
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
