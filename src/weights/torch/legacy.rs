//! The form of `torch.save` before torch 1.6: pickles of a magic number, a protocol number, a description of the system,
//! the object and the storage keys in a row; then each storage as its length (i64) and its elements.

use super::storages::{Storages, read_region};
use super::tensor;
use crate::weights::element::ElementType;
use crate::weights::error::Flaw;
use crate::weights::pickle::{self, Graph, Node};
use crate::weights::stored::Region;
use std::collections::HashMap;
use std::fs::File;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

pub(super) fn open(file: &File, len: u64) -> Result<(Graph, Storages), Flaw> {
    let head = read_region(file, Region { offset: 0, len }, pickle::MAX_BYTES)?;
    let mut position = 0;
    let mut next = || {
        let (graph, used) = pickle::parse(head.get(position..).unwrap_or_default())?;
        position += used;
        Ok::<_, Flaw>((graph, position))
    };
    let (magic, _) = next()?;
    if !matches!(magic.node(magic.root), Node::Long(bytes) if **bytes == MAGIC) {
        return Err(Flaw::with_advice(
            "it is a plain pickle, not a file of torch.save",
            "save it with torch.save(model.state_dict(), \"weights.pth\")",
        ));
    }
    let (protocol, _) = next()?;
    if protocol.size(protocol.root) != Some(1001) {
        return Err(Flaw::with_advice(
            "it has an unknown version of the old torch format",
            "load it with torch and save it again with torch.save",
        ));
    }
    let (system, _) = next()?;
    let little = system.get(system.root, "little_endian");
    let big_endian = little.is_some_and(|id| matches!(system.node(id), Node::Bool(false)));
    let (object, _) = next()?;
    let (keys, data) = next()?;
    let Node::List(ids) = keys.node(keys.root) else {
        return Err(Flaw::new("its list of storages is not a list"));
    };
    let names: Option<Vec<&str>> = ids.iter().map(|id| keys.text(*id)).collect();
    let names =
        names.ok_or_else(|| Flaw::new("its list of storages has a name that is not text"))?;
    let regions = regions(
        file,
        len,
        data as u64,
        &names,
        &element_types(&object)?,
        big_endian,
    )?;
    Ok((
        object,
        Storages {
            regions,
            big_endian,
            file_len: len,
        },
    ))
}

/// Types of the storages by key, from the references to them.
fn element_types(graph: &Graph) -> Result<HashMap<&str, ElementType>, Flaw> {
    let mut types = HashMap::new();
    for node in graph.nodes() {
        if let Node::Persistent(id) = node {
            let storage = tensor::storage(graph, *id)?;
            if let Some(element) = storage.element {
                types.insert(storage.key, element);
            }
        }
    }
    Ok(types)
}

fn regions(
    file: &File,
    len: u64,
    mut at: u64,
    names: &[&str],
    types: &HashMap<&str, ElementType>,
    big_endian: bool,
) -> Result<HashMap<String, Region>, Flaw> {
    let mut regions = HashMap::new();
    for name in names {
        let element = types
            .get(name)
            .ok_or_else(|| Flaw::new(format!("nothing in it refers to its storage {name}")))?;
        let count = read_region(file, Region { offset: at, len: 8 }, 8)?;
        let count: [u8; 8] = count
            .try_into()
            .map_err(|_| Flaw::new(format!("it ends before its storage {name}")))?;
        let count = if big_endian {
            u64::from_be_bytes(count)
        } else {
            u64::from_le_bytes(count)
        };
        let region = count
            .checked_mul(element.size() as u64)
            .map(|bytes| Region {
                offset: at + 8,
                len: bytes,
            });
        let end = region
            .and_then(|r| r.offset.checked_add(r.len))
            .filter(|end| *end <= len);
        let (Some(region), Some(end)) = (region, end) else {
            return Err(Flaw::new(format!(
                "its storage {name} claims {count} elements, the file has {len} bytes"
            )));
        };
        at = end;
        regions.insert((*name).to_owned(), region);
    }
    Ok(regions)
}
