//! The zip form of `torch.save`: `NAME/data.pkl`, `NAME/data/KEY` and `NAME/byteorder`, all stored without compression.

use super::storages::{Storages, read_region};
use crate::weights::error::Flaw;
use crate::weights::pickle;
use crate::weights::stored::Region;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use zip::{CompressionMethod, ZipArchive};

/// Most entries of an archive; a checkpoint has one a storage.
const MAX_ENTRIES: usize = 1 << 20;

pub(super) struct Archive {
    pub(super) pickle: Vec<u8>,
    pub(super) storages: Storages,
}

/// Finds the pickle and the storages. Nothing is decompressed: every entry is a region of the file.
pub(super) fn open(file: &File, len: u64) -> Result<Archive, Flaw> {
    let mut zip = ZipArchive::new(BufReader::new(file))
        .map_err(|e| Flaw::new(format!("its zip directory cannot be read ({e})")))?;
    if zip.len() > MAX_ENTRIES {
        return Err(Flaw::new(format!(
            "its zip directory has {} entries; at most {MAX_ENTRIES} are read",
            zip.len()
        )));
    }
    let names = names(&zip)?;
    let root = root(&names)?;
    let below = |name: &str| format!("{root}{name}");
    if names.contains(&below("constants.pkl")) {
        return Err(Flaw::with_advice(
            "it is a TorchScript program, not a state_dict",
            "save its tensors: torch.save(dict(torch.jit.load(FILE).state_dict()), \"weights.pth\")",
        ));
    }
    let (data, pickle_name, byte_order_name) =
        (below("data/"), below("data.pkl"), below("byteorder"));
    let mut regions = HashMap::new();
    let (mut pickle, mut byte_order) = (None, None);
    for (index, name) in names.iter().enumerate() {
        if let Some(key) = name.strip_prefix(&data) {
            regions.insert(key.to_owned(), region(&mut zip, index, name, len)?);
        } else if *name == pickle_name {
            pickle = Some(region(&mut zip, index, name, len)?);
        } else if *name == byte_order_name {
            byte_order = Some(region(&mut zip, index, name, len)?);
        }
    }
    let pickle = pickle.ok_or_else(|| Flaw::new("it has no data.pkl"))?;
    if pickle.len > pickle::MAX_BYTES {
        return Err(Flaw::with_advice(
            format!(
                "its data.pkl has {} bytes; at most {} are read",
                pickle.len,
                pickle::MAX_BYTES
            ),
            "save the state_dict alone: torch.save(model.state_dict(), \"weights.pth\")",
        ));
    }
    let big_endian = match byte_order {
        Some(region) => read_region(file, region, 16)? == b"big",
        None => false,
    };
    let pickle = read_region(file, pickle, pickle::MAX_BYTES)?;
    Ok(Archive {
        pickle,
        storages: Storages {
            regions,
            big_endian,
            file_len: len,
        },
    })
}

fn names(zip: &ZipArchive<BufReader<&File>>) -> Result<Vec<String>, Flaw> {
    let owned = |name: zip::result::ZipResult<std::borrow::Cow<'_, str>>| {
        name.map(std::borrow::Cow::into_owned)
    };
    zip.file_names()
        .map(owned)
        .collect::<Result<_, _>>()
        .map_err(|e| Flaw::new(format!("its zip directory has a malformed name ({e})")))
}

/// The folder that everything lies in, with its slash: that of the only `data.pkl`.
fn root(names: &[String]) -> Result<String, Flaw> {
    let folder = |name: &String| name.strip_suffix("data.pkl").map(str::to_owned);
    let roots: Vec<String> = names
        .iter()
        .filter_map(folder)
        .filter(|r| r.is_empty() || r.find('/') == Some(r.len() - 1))
        .collect();
    match roots.as_slice() {
        [root] => Ok(root.clone()),
        [] => Err(Flaw::with_advice(
            "it is a zip archive without data.pkl",
            "a checkpoint is a file that torch.save wrote, or safetensors",
        )),
        _ => Err(Flaw::with_advice(
            "it is a zip archive with several data.pkl",
            "a checkpoint is a file that torch.save wrote, or safetensors",
        )),
    }
}

fn region(
    zip: &mut ZipArchive<BufReader<&File>>,
    index: usize,
    name: &str,
    len: u64,
) -> Result<Region, Flaw> {
    let entry = zip
        .by_index_raw(index)
        .map_err(|e| Flaw::new(format!("its zip entry {name} cannot be read ({e})")))?;
    if entry.encrypted() || entry.compression() != CompressionMethod::Stored {
        return Err(Flaw::with_advice(
            format!("its entry {name} is compressed or encrypted, which torch.save never does"),
            "unpack it and pack it again without compression (zip -0), or save it again with torch.save",
        ));
    }
    let start = entry
        .data_start()
        .ok_or_else(|| Flaw::new(format!("its entry {name} has no data")))?;
    let region = Region {
        offset: start,
        len: entry.size(),
    };
    if entry.size() != entry.compressed_size()
        || start.checked_add(region.len).is_none_or(|end| end > len)
    {
        return Err(Flaw::new(format!(
            "its entry {name} claims {} bytes at {start}, the file has {len}",
            region.len
        )));
    }
    Ok(region)
}
