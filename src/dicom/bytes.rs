//! Random access to the bytes of a file, or to an inflated data set in memory, without reading it whole.

use super::error::{DicomError, Result};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

/// What is read at once while walking over element headers.
const BLOCK: usize = 64 * 1024;

/// Bytes of a data set with one cached block.
#[derive(Debug)]
pub(super) struct Bytes {
    store: Store,
    len: u64,
    block_start: u64,
    block: Vec<u8>,
}

#[derive(Debug)]
enum Store {
    Disk(File),
    Memory(Vec<u8>),
}

impl Bytes {
    pub(super) fn disk(file: File) -> Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            store: Store::Disk(file),
            len,
            block_start: 0,
            block: Vec::new(),
        })
    }

    pub(super) fn memory(data: Vec<u8>) -> Self {
        let len = data.len() as u64;
        Self {
            store: Store::Memory(data),
            len,
            block_start: 0,
            block: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes `offset .. offset + len`.
    ///
    /// # Errors
    /// [`DicomError::Structure`] if they reach past the end; nothing is allocated then.
    pub(super) fn range(&mut self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let end = offset.checked_add(len).filter(|&end| end <= self.len);
        let end = end.ok_or_else(|| {
            DicomError::cut_off(
                offset,
                format!("{len} bytes reach past the end at {}", self.len),
            )
        })?;
        match &mut self.store {
            Store::Memory(data) => Ok(data
                .get(offset as usize..end as usize)
                .unwrap_or_default()
                .to_vec()),
            Store::Disk(file) => {
                let mut out = vec![0; len as usize];
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(&mut out)?;
                Ok(out)
            }
        }
    }

    /// As [`Self::range`], through the cached block where it is small.
    pub(super) fn value(&mut self, offset: u64, len: u64) -> Result<Vec<u8>> {
        if len > BLOCK as u64 / 4 || offset.checked_add(len).is_none_or(|end| end > self.len) {
            return self.range(offset, len);
        }
        self.cache(offset, len)?;
        let from = (offset - self.block_start) as usize;
        Ok(self
            .block
            .get(from..from + len as usize)
            .unwrap_or_default()
            .to_vec())
    }

    /// Makes the cached block hold `offset .. offset + len`, which lie inside the data.
    fn cache(&mut self, offset: u64, len: u64) -> Result<()> {
        if offset < self.block_start || offset + len > self.block_start + self.block.len() as u64 {
            self.block = self.range(offset, (BLOCK as u64).min(self.len - offset))?;
            self.block_start = offset;
        }
        Ok(())
    }

    /// Up to `N` bytes at `offset`, as many as there are, through the cached block.
    pub(super) fn peek<const N: usize>(&mut self, offset: u64) -> Result<([u8; N], usize)> {
        let mut out = [0; N];
        let available = self.len.saturating_sub(offset).min(N as u64) as usize;
        if available == 0 {
            return Ok((out, 0));
        }
        self.cache(offset, available as u64)?;
        let from = (offset - self.block_start) as usize;
        let source = self.block.get(from..from + available).unwrap_or_default();
        out.iter_mut().zip(source).for_each(|(o, s)| *o = *s);
        Ok((out, source.len()))
    }
}
