//! Plain values beside the tensors of a checkpoint: class names, epochs, image sizes.

use super::super::pickle::{Graph, Id, Node};
use super::tensor;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most extras of a checkpoint, most items of one, and most bytes of all together; what goes beyond is left out.
const MAX_EXTRAS: usize = 256;
const MAX_ITEMS: usize = 10_000;
const MAX_BYTES: usize = 4 << 20;

/// A plain value found at the top level of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Extra {
    /// `True` or `False`.
    Flag(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Number(f64),
    /// A text.
    Text(String),
    /// A list or tuple of texts, for instance class names.
    Texts(Vec<String>),
    /// A dictionary from texts or integers to texts, for instance class names by index. Integers are written in decimal.
    Map(BTreeMap<String, String>),
}

pub(super) fn collect(graph: &Graph) -> BTreeMap<String, Extra> {
    let mut collector = Collector { graph, room: MAX_BYTES };
    let mut extras = BTreeMap::new();
    for (key, value) in graph.entries(graph.root).unwrap_or_default() {
        if extras.len() == MAX_EXTRAS {
            break;
        }
        if let Some(key) = graph.text(*key)
            && !tensor::is_tensor(graph, *value)
            && let Some(extra) = collector.extra(*value)
            && let Some(key) = collector.keep(key)
        {
            extras.insert(key, extra);
        }
    }
    extras
}

struct Collector<'a> {
    graph: &'a Graph,
    room: usize,
}

impl Collector<'_> {
    fn extra(&mut self, id: Id) -> Option<Extra> {
        let graph = self.graph;
        Some(match graph.node(id) {
            Node::Bool(value) => Extra::Flag(*value),
            Node::Int(value) => Extra::Integer(*value),
            Node::Float(value) => Extra::Number(*value),
            Node::Text(text) => Extra::Text(self.keep(text)?),
            Node::List(items) | Node::Tuple(items) if (1..=MAX_ITEMS).contains(&items.len()) => {
                Extra::Texts(items.iter().map(|id| self.text(*id)).collect::<Option<_>>()?)
            }
            Node::Dict(entries) if (1..=MAX_ITEMS).contains(&entries.len()) => {
                Extra::Map(entries.iter().map(|(key, value)| Some((self.key(*key)?, self.text(*value)?))).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn key(&mut self, id: Id) -> Option<String> {
        match self.graph.node(id) {
            Node::Int(index) => self.keep(&index.to_string()),
            _ => self.text(id),
        }
    }

    fn text(&mut self, id: Id) -> Option<String> {
        self.keep(self.graph.text(id)?)
    }

    /// A copy of `text` while there is room; values may be shared, so the input's length is no bound.
    fn keep(&mut self, text: &str) -> Option<String> {
        self.room = self.room.checked_sub(text.len() + 32)?;
        Some(text.to_owned())
    }
}
