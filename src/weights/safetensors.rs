//! Headers of safetensors files. The header is read alone; tensors are read from the file on request.

use super::element::ElementType;
use super::error::Flaw;
use super::stored::{Region, StoredTensor};
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

/// Most bytes of a header. Ten thousand tensors take about 1 MB.
const MAX_HEADER: u64 = 32 << 20;

pub(super) struct Header {
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// Reads and checks the header of a file of `len` bytes: sizes, offsets without gap or overlap, shapes.
pub(super) fn read_header(file: &mut (impl Read + Seek), len: u64) -> Result<Header, Flaw> {
    let io = |e: std::io::Error| Flaw::new(format!("its safetensors header cannot be read ({e})"));
    let mut prefix = [0; 8];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.read_exact(&mut prefix).map_err(io)?;
    let header_len = u64::from_le_bytes(prefix);
    let data_start = header_len.checked_add(8).filter(|start| *start <= len);
    let Some(data_start) = data_start else {
        return Err(Flaw::new(format!(
            "its safetensors header claims {header_len} bytes, the file has {len}"
        )));
    };
    if header_len > MAX_HEADER {
        return Err(Flaw::new(format!(
            "its safetensors header claims {header_len} bytes; at most {MAX_HEADER} are read"
        )));
    }
    let mut json = Vec::new();
    file.take(header_len).read_to_end(&mut json).map_err(io)?;
    // Metadata checks on the way in that tensors follow each other without gap and that sizes fit shapes.
    let header: Metadata = serde_json::from_slice(&json)
        .map_err(|e| Flaw::new(format!("its safetensors header is invalid: {e}")))?;
    let data_len = header.data_len() as u64;
    if data_start.checked_add(data_len) != Some(len) {
        let have = len - data_start;
        return Err(Flaw::new(format!(
            "its safetensors header describes {data_len} bytes of tensors, the file has {have}"
        )));
    }
    let mut tensors = BTreeMap::new();
    for (name, info) in header.tensors() {
        let Some(element) = ElementType::from_safetensors(info.dtype) else {
            let reason = format!("tensor {name} has type {}", info.dtype);
            return Err(Flaw::with_advice(
                reason,
                "such types are not supported: save it as F32, F16 or BF16",
            ));
        };
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let region = Region {
            offset: data_start + start,
            len: end - start,
        };
        let stored = StoredTensor::contiguous(element, info.shape.clone(), region);
        tensors.insert(
            name.clone(),
            stored.map_err(|flaw| Flaw::new(format!("tensor {name}: {flaw}")))?,
        );
    }
    let metadata = header
        .metadata()
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Ok(Header { tensors, metadata })
}
