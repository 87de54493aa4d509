//! The stack machine of pickles, with every effect outside its own arena left out.

use super::super::error::Flaw;
use super::reader::{Reader, decimal, decode, decode_raw_unicode_escape, long, unquote};
use super::{Global, Graph, Id, MAX_STEPS, Node, Object};
use std::collections::HashMap;

pub(super) struct Machine<'a> {
    reader: Reader<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which MARK was met.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
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

    pub(super) fn run(mut self) -> Result<(Graph, usize), Flaw> {
        loop {
            self.charge(1)?;
            let at = self.reader.position();
            let opcode = self.reader.u8()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok((
                    Graph {
                        nodes: self.nodes,
                        root,
                    },
                    self.reader.position(),
                ));
            }
            if !(self.scalar(opcode)?
                || self.container(opcode)?
                || self.object(opcode)?
                || self.stack_and_memo(opcode)?)
            {
                return Err(Flaw::new(format!(
                    "its pickle has an unknown instruction 0x{opcode:02x} at byte {at}"
                )));
            }
        }
    }

    /// Numbers, text and bytes.
    fn scalar(&mut self, opcode: u8) -> Result<bool, Flaw> {
        let node = match opcode {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'J' => Node::Int(i32::from_le_bytes(self.reader.array()?).into()),
            b'K' => Node::Int(self.reader.u8()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(self.reader.array()?).into()),
            0x8a => {
                let count = self.reader.u8()?;
                long(self.reader.take(count.into())?)
            }
            0x8b => {
                let count = u32::from_le_bytes(self.reader.array()?);
                long(self.reader.take_u64(count.into())?)
            }
            b'I' | b'L' => decimal(self.reader.line()?, opcode == b'I')?,
            b'G' => Node::Float(f64::from_be_bytes(self.reader.array()?)),
            b'F' => {
                let line = self.reader.text_line()?;
                Node::Float(
                    line.trim()
                        .parse()
                        .map_err(|_| Flaw::new("its pickle has a malformed float"))?,
                )
            }
            b'S' => Node::Text(decode(unquote(self.reader.line()?)).into()),
            b'V' => Node::Text(decode_raw_unicode_escape(self.reader.line()?).into()),
            b'U' | 0x8c => {
                let count = self.reader.u8()?;
                Node::Text(decode(self.reader.take(count.into())?).into())
            }
            b'T' | b'X' => {
                let count = u32::from_le_bytes(self.reader.array()?);
                Node::Text(decode(self.reader.take_u64(count.into())?).into())
            }
            0x8d => {
                let count = u64::from_le_bytes(self.reader.array()?);
                Node::Text(decode(self.reader.take_u64(count)?).into())
            }
            b'C' => {
                let count = self.reader.u8()?;
                self.reader.take(count.into())?;
                Node::Bytes
            }
            b'B' => {
                let count = u32::from_le_bytes(self.reader.array()?);
                self.reader.take_u64(count.into())?;
                Node::Bytes
            }
            0x8e | 0x96 => {
                let count = u64::from_le_bytes(self.reader.array()?);
                self.reader.take_u64(count)?;
                Node::Bytes
            }
            _ => return Ok(false),
        };
        self.push(node)?;
        Ok(true)
    }

    /// Tuples, lists, sets and dictionaries.
    fn container(&mut self, opcode: u8) -> Result<bool, Flaw> {
        match opcode {
            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let items = self.pop_many(count)?;
                self.push(Node::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.push(Node::Dict(entries))?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            0x8f => self.push(Node::Set)?,
            0x90 => {
                self.pop_to_mark()?;
            }
            0x91 => {
                self.pop_to_mark()?;
                self.push(Node::Set)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Globals, calls, states and references to storages.
    fn object(&mut self, opcode: u8) -> Result<bool, Flaw> {
        match opcode {
            b'c' => {
                let global = Global {
                    module: self.reader.text_line()?,
                    name: self.reader.text_line()?,
                };
                self.push(Node::Global(Box::new(global)))?;
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let name = |id: Option<&Id>| id.and_then(|id| self.text(*id)).map(str::to_owned);
                let (Some(module), Some(name)) = (name(names.first()), name(names.get(1))) else {
                    return Err(Flaw::new("its pickle has a global whose name is not text"));
                };
                self.push(Node::Global(Box::new(Global { module, name })))?;
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?;
            }
            0x92 => {
                let [_kwargs, args, callable] = [self.pop()?, self.pop()?, self.pop()?];
                self.call(callable, args)?;
            }
            b'i' => {
                let global = Global {
                    module: self.reader.text_line()?,
                    name: self.reader.text_line()?,
                };
                let callable = self.add(Node::Global(Box::new(global)))?;
                let items = self.pop_to_mark()?;
                let args = self.add(Node::Tuple(items))?;
                self.call(callable, args)?;
            }
            b'o' => {
                let mut items = self.pop_to_mark()?;
                if items.is_empty() {
                    return Err(Flaw::new("its pickle makes an object of no class"));
                }
                let callable = items.remove(0);
                let args = self.add(Node::Tuple(items))?;
                self.call(callable, args)?;
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                // Attributes of dictionaries (`OrderedDict._metadata`) are of no use here.
                if let Some(Node::Object(object)) = self.nodes.get_mut(target as usize) {
                    object.state = Some(state);
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            b'P' => {
                let text = self.reader.text_line()?;
                let id = self.add(Node::Text(text.into()))?;
                self.push(Node::Persistent(id))?;
            }
            0x82..=0x84 => {
                return Err(Flaw::new(
                    "its pickle uses the extension registry, which only the program that wrote it knows",
                ));
            }
            0x97 | 0x98 => return Err(Flaw::new("its pickle refers to buffers outside the file")),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn stack_and_memo(&mut self, opcode: u8) -> Result<bool, Flaw> {
        match opcode {
            0x80 => {
                let version = self.reader.u8()?;
                if version > 5 {
                    return Err(Flaw::with_advice(
                        format!("its pickle has protocol {version}"),
                        "protocols 0 to 5 are known: save it with pickle_protocol=2",
                    ));
                }
            }
            0x95 => {
                self.reader.take(8)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                // As in Python, popping with nothing above a mark drops the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                self.pop_to_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'p' => {
                let index = self.memo_line()?;
                self.memoise(index)?;
            }
            b'q' => {
                let index = self.reader.u8()?;
                self.memoise(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.reader.array()?);
                self.memoise(index.into())?;
            }
            0x94 => self.memoise(self.memo.len() as u64)?,
            b'g' => {
                let index = self.memo_line()?;
                self.recall(index)?;
            }
            b'h' => {
                let index = self.reader.u8()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.reader.array()?);
                self.recall(index.into())?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Calls nothing. The few classes that are plain containers become those; all else becomes an [`Object`].
    fn call(&mut self, callable: Id, args: Id) -> Result<(), Flaw> {
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

    fn append(&mut self, items: Vec<Id>) -> Result<(), Flaw> {
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

    fn set_items(&mut self, items: &[Id]) -> Result<(), Flaw> {
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

    fn charge(&mut self, steps: usize) -> Result<(), Flaw> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(Flaw::with_advice(
                format!("its pickle takes more than {MAX_STEPS} steps"),
                "save the state_dict alone: torch.save(model.state_dict(), \"weights.pth\")",
            ));
        }
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<Id, Flaw> {
        let id = Id::try_from(self.nodes.len())
            .map_err(|_| Flaw::new("its pickle has too many values"))?;
        self.nodes.push(node);
        Ok(id)
    }

    fn push(&mut self, node: Node) -> Result<(), Flaw> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn text(&self, id: Id) -> Option<&str> {
        match self.nodes.get(id as usize) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Height below which the stack may not be popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    fn top(&self) -> Result<Id, Flaw> {
        let top = if self.stack.len() > self.floor() {
            self.stack.last()
        } else {
            None
        };
        top.copied()
            .ok_or_else(|| Flaw::new("its pickle takes a value from an empty stack"))
    }

    fn pop(&mut self) -> Result<Id, Flaw> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Flaw> {
        let at = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|at| *at >= self.floor());
        let at = at.ok_or_else(|| Flaw::new("its pickle takes a value from an empty stack"))?;
        Ok(self.stack.split_off(at))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Flaw> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(
            mark.ok_or_else(|| Flaw::new("its pickle ends a group that was not begun"))?,
        ))
    }

    fn memo_line(&mut self) -> Result<u64, Flaw> {
        let line = self.reader.text_line()?;
        line.trim()
            .parse()
            .map_err(|_| Flaw::new("its pickle has a malformed memo index"))
    }

    fn memoise(&mut self, index: u64) -> Result<(), Flaw> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), Flaw> {
        let id = self.memo.get(&index).copied();
        self.stack.push(id.ok_or_else(|| {
            Flaw::new(format!(
                "its pickle refers to memo {index}, which is not set"
            ))
        })?);
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

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Flaw> {
    let (chunks, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Flaw::new("its pickle has a dictionary key without a value"));
    }
    Ok(chunks.iter().map(|[key, value]| (*key, *value)).collect())
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
