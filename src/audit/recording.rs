//! Activity records of a run, with the names they point to, in a form that can be kept in a file and read without CUPTI.
//!
//! The file: the magic `UMCUPTI1`; then items, each a tag byte, a length (u32, little-endian) and as many bytes. Tag `R`: a record as
//! CUPTI gave it. Tag `T`: an address in records (u64) and its text. Tag `D`, `U`: the number (u32) of a driver or runtime call
//! and its name. Names come before the records that use them.

use super::record::{Activity, Names, ShortRecord};
use std::collections::BTreeMap;

const MAGIC: &[u8; 8] = b"UMCUPTI1";

/// Records as CUPTI gave them, in the order in which it gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    texts: BTreeMap<u64, String>,
    calls: BTreeMap<(bool, u32), String>,
}

/// A file that is no recording.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordingError {
    /// It begins otherwise.
    #[error("no recording of CUPTI activities: it does not begin with UMCUPTI1")]
    Magic,
    /// It ends within an item, or an item is too short.
    #[error("a recording that is damaged at byte {0}")]
    Damaged(usize),
}

impl Names for Recording {
    fn text(&self, address: u64) -> Option<String> {
        self.texts.get(&address).cloned()
    }
    fn call(&self, runtime: bool, number: u32) -> Option<String> {
        self.calls.get(&(runtime, number)).cloned()
    }
}

impl Recording {
    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// Notes the text at an address that records have.
    pub fn note_text(&mut self, address: u64, text: impl FnOnce() -> Option<String>) {
        if let std::collections::btree_map::Entry::Vacant(entry) = self.texts.entry(address)
            && let Some(text) = text()
        {
            entry.insert(text);
        }
    }

    /// Notes the name of a call by its number.
    pub fn note_call(&mut self, runtime: bool, number: u32, name: impl FnOnce() -> Option<String>) {
        if let std::collections::btree_map::Entry::Vacant(entry) =
            self.calls.entry((runtime, number))
            && let Some(name) = name()
        {
            entry.insert(name);
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// The activities of all records that the audit uses.
    ///
    /// # Errors
    /// [`ShortRecord`].
    pub fn activities(&self) -> Result<Vec<Activity>, ShortRecord> {
        self.records()
            .filter_map(|record| Activity::parse(record, self).transpose())
            .collect()
    }

    /// As the bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut item = |tag: u8, parts: [&[u8]; 2]| {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            out.push(tag);
            out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        self.texts
            .iter()
            .for_each(|(address, text)| item(b'T', [&address.to_le_bytes(), text.as_bytes()]));
        for ((runtime, number), name) in &self.calls {
            item(
                if *runtime { b'U' } else { b'D' },
                [&number.to_le_bytes(), name.as_bytes()],
            );
        }
        self.records().for_each(|record| item(b'R', [record, &[]]));
        out
    }

    /// From the bytes of a file.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordingError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(RecordingError::Magic)?;
        let mut recording = Self::default();
        while let Some((tag, after)) = rest.split_first() {
            let damaged = RecordingError::Damaged(bytes.len() - rest.len());
            let item = after.split_first_chunk::<4>().and_then(|(length, after)| {
                after.split_at_checked(u32::from_le_bytes(*length) as usize)
            });
            let Some((item, after)) = item else {
                return Err(damaged);
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match tag {
                b'R' => recording.push(item),
                b'T' => {
                    let Some((address, name)) = item.split_first_chunk::<8>() else {
                        return Err(damaged);
                    };
                    recording.note_text(u64::from_le_bytes(*address), || Some(text(name)));
                }
                b'D' | b'U' => {
                    let Some((number, name)) = item.split_first_chunk::<4>() else {
                        return Err(damaged);
                    };
                    recording.note_call(*tag == b'U', u32::from_le_bytes(*number), || {
                        Some(text(name))
                    });
                }
                _ => return Err(damaged),
            }
            rest = after;
        }
        Ok(recording)
    }
}
