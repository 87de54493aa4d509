//! The values that instructions of a pickle make and fill.

use super::graph::{Global, Id, Node, Object};
use super::machine::Machine;
use crate::weights::error::Flaw;

impl Machine<'_> {
    /// Calls nothing. The few classes that are plain containers become those; all else becomes an [`Object`].
    pub(super) fn call(&mut self, callable: Id, args: Id) -> Result<(), Flaw> {
        let container =
            matches!(self.nodes.get(callable as usize), Some(Node::Global(g)) if is_dictionary(g));
        if !container {
            return self.push(Node::Object(Box::new(Object {
                callable,
                args,
                state: None,
                entries: Vec::new(),
            })));
        }
        // OrderedDict of Python 2 and Counter get their contents as an argument.
        let first = match self.nodes.get(args as usize) {
            Some(Node::Tuple(items)) => items.first().and_then(|id| self.nodes.get(*id as usize)),
            _ => None,
        };
        let entries = match first {
            Some(Node::Dict(entries)) => entries.clone(),
            Some(Node::List(items)) => items.iter().filter_map(|id| self.pair(*id)).collect(),
            _ => Vec::new(),
        };
        self.charge(entries.len())?;
        self.push(Node::Dict(entries))
    }

    fn pair(&self, id: Id) -> Option<(Id, Id)> {
        match self.nodes.get(id as usize) {
            Some(Node::Tuple(items) | Node::List(items)) => match items.as_slice() {
                [key, value] => Some((*key, *value)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn append(&mut self, items: Vec<Id>) -> Result<(), Flaw> {
        let target = self.top()?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::List(list)) => list.extend(items),
            // A class derived from list: its items are of no use here.
            Some(Node::Object(_)) => {}
            _ => {
                return Err(Flaw::new(
                    "its pickle appends to something that is not a list",
                ));
            }
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, items: &[Id]) -> Result<(), Flaw> {
        let target = self.top()?;
        let new = pairs(items)?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::Dict(entries)) => entries.extend(new),
            Some(Node::Object(object)) => object.entries.extend(new),
            _ => {
                return Err(Flaw::new(
                    "its pickle sets items of something that is not a dictionary",
                ));
            }
        }
        Ok(())
    }
}

fn is_dictionary(global: &Global) -> bool {
    matches!(
        (global.module.as_str(), global.name.as_str()),
        ("collections", "OrderedDict" | "defaultdict" | "Counter")
            | ("builtins" | "__builtin__", "dict")
    )
}

pub(super) fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Flaw> {
    let (chunks, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Flaw::new("its pickle has a dictionary key without a value"));
    }
    Ok(chunks.iter().map(|[key, value]| (*key, *value)).collect())
}
