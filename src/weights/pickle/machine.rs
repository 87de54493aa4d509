//! The state of the stack machine of pickles: no instruction has an effect outside it.

use super::graph::{Id, Node};
use super::reader::Reader;
use crate::weights::error::Flaw;
use std::collections::HashMap;

/// Maximum size of one pickle, in bytes. A training checkpoint of the largest detector has about 1 MB; data of tensors is not in it.
pub(in crate::weights) const MAX_BYTES: u64 = 64 << 20;

/// Maximum number of steps (instructions and copied items) of one pickle; the same checkpoint takes about 200,000. At some 60 bytes
/// a step, memory stays below 256 MB beside the input itself.
pub(in crate::weights) const MAX_STEPS: usize = 4 << 20;

/// Stack, marks and memo of a pickle that is being read, and the values made so far.
pub(super) struct Machine<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) nodes: Vec<Node>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at which MARK was met.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u64, Id>,
    steps: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            steps: 0,
        }
    }

    pub(super) fn charge(&mut self, steps: usize) -> Result<(), Flaw> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(Flaw::with_advice(
                format!("its pickle takes more than {MAX_STEPS} steps"),
                "save the state_dict alone: torch.save(model.state_dict(), \"weights.pth\")",
            ));
        }
        Ok(())
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Id, Flaw> {
        let id = Id::try_from(self.nodes.len())
            .map_err(|_| Flaw::new("its pickle has too many values"))?;
        self.nodes.push(node);
        Ok(id)
    }

    pub(super) fn push(&mut self, node: Node) -> Result<(), Flaw> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.nodes.get(id as usize) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Height below which the stack may not be popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    pub(super) fn top(&self) -> Result<Id, Flaw> {
        let top = if self.stack.len() > self.floor() {
            self.stack.last()
        } else {
            None
        };
        top.copied()
            .ok_or_else(|| Flaw::new("its pickle takes a value from an empty stack"))
    }

    pub(super) fn pop(&mut self) -> Result<Id, Flaw> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Flaw> {
        let at = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|at| *at >= self.floor());
        let at = at.ok_or_else(|| Flaw::new("its pickle takes a value from an empty stack"))?;
        Ok(self.stack.split_off(at))
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Id>, Flaw> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(
            mark.ok_or_else(|| Flaw::new("its pickle ends a group that was not begun"))?,
        ))
    }

    pub(super) fn memo_line(&mut self) -> Result<u64, Flaw> {
        let line = self.reader.text_line()?;
        line.trim()
            .parse()
            .map_err(|_| Flaw::new("its pickle has a malformed memo index"))
    }

    pub(super) fn memoise(&mut self, index: u64) -> Result<(), Flaw> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, index: u64) -> Result<(), Flaw> {
        let id = self.memo.get(&index).copied();
        self.stack.push(id.ok_or_else(|| {
            Flaw::new(format!(
                "its pickle refers to memo {index}, which is not set"
            ))
        })?);
        Ok(())
    }
}
