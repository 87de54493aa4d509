//! Plain values beside the tensors of a checkpoint: class names, epochs, image sizes.

use super::tensor;
use crate::weights::pickle::{Graph, Id, Node};
use serde::Serialize;
use std::collections::BTreeMap;

/// Maximum number of extras of a checkpoint, of items of one, and of bytes of all together; the rest is left out.
const MAX_EXTRAS: usize = 256;
const MAX_ITEMS: usize = 10_000;
const MAX_BYTES: usize = 4 << 20;

/// Dictionaries of settings whose plain values are taken too, under dotted names.
const SETTINGS: [&str; 2] = ["meta", "hyper_parameters"];

/// A plain value found at the top level of a checkpoint, or in one of its dictionaries of settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
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
    /// A list or tuple of integers, for instance height and width.
    Integers(Vec<i64>),
    /// A dictionary from texts or integers to texts, for instance class names by index. Integers are written in decimal.
    Map(BTreeMap<String, String>),
}

pub(super) fn collect(graph: &Graph) -> BTreeMap<String, Extra> {
    let mut collector = Collector {
        graph,
        room: MAX_BYTES,
        extras: BTreeMap::new(),
    };
    collector.entries(graph.root, "");
    for key in SETTINGS {
        if let Some(settings) = graph.get(graph.root, key) {
            collector.entries(settings, &format!("{key}."));
        }
    }
    collector.extras
}

struct Collector<'a> {
    graph: &'a Graph,
    room: usize,
    extras: BTreeMap<String, Extra>,
}

impl Collector<'_> {
    /// Takes the plain values of a dictionary.
    fn entries(&mut self, dictionary: Id, prefix: &str) {
        for (key, value) in self.graph.entries(dictionary).unwrap_or_default() {
            if self.extras.len() == MAX_EXTRAS {
                break;
            }
            if let Some(key) = self.graph.text(*key)
                && !tensor::is_tensor(self.graph, *value)
                && let Some(extra) = self.extra(*value)
                && let Some(key) = self.keep(&format!("{prefix}{key}"))
            {
                self.extras.insert(key, extra);
            }
        }
    }

    fn extra(&mut self, id: Id) -> Option<Extra> {
        let graph = self.graph;
        Some(match graph.node(id) {
            Node::Bool(value) => Extra::Flag(*value),
            Node::Int(value) => Extra::Integer(*value),
            Node::Float(value) => Extra::Number(*value),
            Node::Text(text) => Extra::Text(self.keep(text)?),
            Node::List(items) | Node::Tuple(items) if (1..=MAX_ITEMS).contains(&items.len()) => {
                self.list(items)?
            }
            Node::Dict(entries) if (1..=MAX_ITEMS).contains(&entries.len()) => Extra::Map(
                entries
                    .iter()
                    .map(|(key, value)| Some((self.key(*key)?, self.text(*value)?)))
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }

    fn list(&mut self, items: &[Id]) -> Option<Extra> {
        let integer = |id: &Id| match self.graph.node(*id) {
            Node::Int(value) => Some(*value),
            _ => None,
        };
        if let Some(integers) = items.iter().map(integer).collect::<Option<Vec<_>>>() {
            self.room = self.room.checked_sub(8 * integers.len())?;
            return Some(Extra::Integers(integers));
        }
        items
            .iter()
            .map(|id| self.text(*id))
            .collect::<Option<_>>()
            .map(Extra::Texts)
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
