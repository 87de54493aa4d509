//! What each instruction of a pickle does to the stack machine.

use super::build::pairs;
use super::graph::{Global, Graph, Id, Node};
use super::machine::Machine;
use super::opcode as op;
use super::reader::{decimal, decode, decode_raw_unicode_escape, long, unquote};
use crate::weights::error::Flaw;

/// Reads the pickle at the start of `bytes`; also gives its length, since old torch files hold several in a row.
pub(in crate::weights) fn parse(bytes: &[u8]) -> Result<(Graph, usize), Flaw> {
    Machine::new(bytes).run()
}

impl Machine<'_> {
    fn run(mut self) -> Result<(Graph, usize), Flaw> {
        loop {
            self.charge(1)?;
            let at = self.reader.position();
            let opcode = self.reader.u8()?;
            if opcode == op::STOP {
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
                || self.call_or_global(opcode)?
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
            op::NONE => Node::None,
            op::NEWTRUE => Node::Bool(true),
            op::NEWFALSE => Node::Bool(false),
            op::BININT => Node::Int(i32::from_le_bytes(self.reader.array()?).into()),
            op::BININT1 => Node::Int(self.reader.u8()?.into()),
            op::BININT2 => Node::Int(u16::from_le_bytes(self.reader.array()?).into()),
            op::LONG1 => {
                let count = self.reader.u8()?;
                long(self.reader.take(count.into())?)
            }
            op::LONG4 => {
                let count = u32::from_le_bytes(self.reader.array()?);
                long(self.reader.take_u64(count.into())?)
            }
            op::INT | op::LONG => decimal(self.reader.line()?, opcode == op::INT)?,
            op::BINFLOAT => Node::Float(f64::from_be_bytes(self.reader.array()?)),
            op::FLOAT => {
                let line = self.reader.text_line()?;
                Node::Float(
                    line.trim()
                        .parse()
                        .map_err(|_| Flaw::new("its pickle has a malformed float"))?,
                )
            }
            op::STRING => Node::Text(decode(unquote(self.reader.line()?)).into()),
            op::UNICODE => Node::Text(decode_raw_unicode_escape(self.reader.line()?).into()),
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => {
                let count = self.reader.u8()?;
                Node::Text(decode(self.reader.take(count.into())?).into())
            }
            op::BINSTRING | op::BINUNICODE => {
                let count = u32::from_le_bytes(self.reader.array()?);
                Node::Text(decode(self.reader.take_u64(count.into())?).into())
            }
            op::BINUNICODE8 => {
                let count = u64::from_le_bytes(self.reader.array()?);
                Node::Text(decode(self.reader.take_u64(count)?).into())
            }
            op::SHORT_BINBYTES => {
                let count = self.reader.u8()?;
                self.reader.take(count.into())?;
                Node::Bytes
            }
            op::BINBYTES => {
                let count = u32::from_le_bytes(self.reader.array()?);
                self.reader.take_u64(count.into())?;
                Node::Bytes
            }
            op::BINBYTES8 | op::BYTEARRAY8 => {
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
            op::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new()))?,
            op::TUPLE1..=op::TUPLE3 => {
                let count = usize::from(opcode - op::TUPLE1) + 1;
                let items = self.pop_many(count)?;
                self.push(Node::Tuple(items))?;
            }
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            op::EMPTY_LIST => self.push(Node::List(Vec::new()))?,
            op::LIST => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            op::APPEND => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            op::APPENDS => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            op::EMPTY_DICT => self.push(Node::Dict(Vec::new()))?,
            op::DICT => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.push(Node::Dict(entries))?;
            }
            op::SETITEM => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            op::EMPTY_SET => self.push(Node::Set)?,
            op::ADDITEMS => {
                self.pop_to_mark()?;
            }
            op::FROZENSET => {
                self.pop_to_mark()?;
                self.push(Node::Set)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// States and references to storages.
    fn object(&mut self, opcode: u8) -> Result<bool, Flaw> {
        match opcode {
            op::BUILD => {
                let state = self.pop()?;
                let target = self.top()?;
                // Attributes of dictionaries (`OrderedDict._metadata`) are of no use here.
                if let Some(Node::Object(object)) = self.nodes.get_mut(target as usize) {
                    object.state = Some(state);
                }
            }
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            op::PERSID => {
                let text = self.reader.text_line()?;
                let id = self.add(Node::Text(text.into()))?;
                self.push(Node::Persistent(id))?;
            }
            op::EXT1..=op::EXT4 => {
                return Err(Flaw::new(
                    "its pickle uses the extension registry, which only the program that wrote it knows",
                ));
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                return Err(Flaw::new("its pickle refers to buffers outside the file"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Globals and calls.
    fn call_or_global(&mut self, opcode: u8) -> Result<bool, Flaw> {
        match opcode {
            op::GLOBAL => {
                let global = Global {
                    module: self.reader.text_line()?,
                    name: self.reader.text_line()?,
                };
                self.push(Node::Global(Box::new(global)))?;
            }
            op::STACK_GLOBAL => {
                let names = self.pop_many(2)?;
                let name = |id: Option<&Id>| id.and_then(|id| self.text(*id)).map(str::to_owned);
                let (Some(module), Some(name)) = (name(names.first()), name(names.get(1))) else {
                    return Err(Flaw::new("its pickle has a global whose name is not text"));
                };
                self.push(Node::Global(Box::new(Global { module, name })))?;
            }
            op::REDUCE | op::NEWOBJ => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?;
            }
            op::NEWOBJ_EX => {
                let [_kwargs, args, callable] = [self.pop()?, self.pop()?, self.pop()?];
                self.call(callable, args)?;
            }
            op::INST => {
                let global = Global {
                    module: self.reader.text_line()?,
                    name: self.reader.text_line()?,
                };
                let callable = self.add(Node::Global(Box::new(global)))?;
                let items = self.pop_to_mark()?;
                let args = self.add(Node::Tuple(items))?;
                self.call(callable, args)?;
            }
            op::OBJ => {
                let mut items = self.pop_to_mark()?;
                if items.is_empty() {
                    return Err(Flaw::new("its pickle makes an object of no class"));
                }
                let callable = items.remove(0);
                let args = self.add(Node::Tuple(items))?;
                self.call(callable, args)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn stack_and_memo(&mut self, opcode: u8) -> Result<bool, Flaw> {
        match opcode {
            op::PROTO => {
                let version = self.reader.u8()?;
                if version > 5 {
                    return Err(Flaw::with_advice(
                        format!("its pickle has protocol {version}"),
                        "protocols 0 to 5 are known: save it with pickle_protocol=2",
                    ));
                }
            }
            op::FRAME => {
                self.reader.take(8)?;
            }
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                // As in Python, popping with nothing above a mark drops the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => {
                self.pop_to_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            op::PUT => {
                let index = self.memo_line()?;
                self.memoise(index)?;
            }
            op::BINPUT => {
                let index = self.reader.u8()?;
                self.memoise(index.into())?;
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.reader.array()?);
                self.memoise(index.into())?;
            }
            op::MEMOIZE => self.memoise(self.memo.len() as u64)?,
            op::GET => {
                let index = self.memo_line()?;
                self.recall(index)?;
            }
            op::BINGET => {
                let index = self.reader.u8()?;
                self.recall(index.into())?;
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.reader.array()?);
                self.recall(index.into())?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
#[path = "instructions_tests.rs"]
mod tests;
