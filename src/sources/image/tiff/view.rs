//! A file with a directory of our own: what the `tiff` crate refuses to read (palettes, odd numbers of bits, subsampled
//! chroma) is shown to it as plain samples, which it only has to decompress.

use super::fault::Fault;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Bytes between the end of the file and the directory: reading there gives the end, so that nothing which a file that
/// was cut short refers to is taken from the directory.
const GAP: u64 = 1 << 20;

/// Byte order and width of offsets, by the file's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flavour {
    pub(super) little: bool,
    pub(super) big: bool,
}

/// The values of a tag.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    /// Of 32 bits, of 64 in a BigTIFF.
    Longs(Vec<u64>),
}

impl Flavour {
    /// Reads the header; also gives where the first directory stands.
    pub(super) fn read(file: &mut (impl Read + Seek)) -> Result<(Self, u64), Fault> {
        file.rewind()?;
        let mut head = [0; 16];
        file.read_exact(&mut head[..8])?;
        let little = head.starts_with(b"II");
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
        let read = |bytes: &[u8]| {
            if little {
                number(bytes)
            } else {
                bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b))
            }
        };
        let big = read(&head[2..4]) == 43;
        if !big {
            return Ok((Self { little, big }, read(&head[4..8])));
        }
        file.read_exact(&mut head[8..])?;
        if read(&head[4..6]) != 8 {
            return Err(Fault::Damaged(
                "its header is not that of a BigTIFF".to_owned(),
            ));
        }
        Ok((Self { little, big }, read(&head[8..16])))
    }

    fn put(self, out: &mut Vec<u8>, value: u64, bytes: usize) {
        let all = value.to_le_bytes();
        let kept = &all[..bytes];
        if self.little {
            out.extend(kept)
        } else {
            out.extend(kept.iter().rev())
        }
    }

    fn header(self, directory: u64) -> Vec<u8> {
        let mut header = if self.little {
            b"II".to_vec()
        } else {
            b"MM".to_vec()
        };
        if self.big {
            self.put(&mut header, 43, 2);
            self.put(&mut header, 8, 2);
            self.put(&mut header, 0, 2);
            self.put(&mut header, directory, 8);
        } else {
            self.put(&mut header, 42, 2);
            self.put(&mut header, directory, 4);
        }
        header
    }

    /// A directory that stands at `at`, with its values after it. Tags come in rising order.
    fn directory(self, entries: &[(u16, Values)], at: u64) -> Vec<u8> {
        let (count_bytes, entry_bytes, word) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let values_at = at + (count_bytes + entries.len() * entry_bytes + word) as u64;
        let (mut out, mut values) = (Vec::new(), Vec::new());
        self.put(&mut out, entries.len() as u64, count_bytes);
        for (tag, entry) in entries {
            let mut bytes = Vec::new();
            let (kind, count) = match entry {
                Values::Bytes(v) => {
                    bytes.extend(v);
                    (1, v.len())
                }
                Values::Shorts(v) => {
                    v.iter()
                        .for_each(|&n| self.put(&mut bytes, u64::from(n), 2));
                    (3, v.len())
                }
                Values::Longs(v) => {
                    v.iter().for_each(|&n| self.put(&mut bytes, n, word));
                    (if self.big { 16 } else { 4 }, v.len())
                }
            };
            self.put(&mut out, u64::from(*tag), 2);
            self.put(&mut out, kind, 2);
            self.put(&mut out, count as u64, word);
            if bytes.len() <= word {
                bytes.resize(word, 0);
                out.extend(bytes);
            } else {
                self.put(&mut out, values_at + values.len() as u64, word);
                values.extend(bytes);
            }
        }
        self.put(&mut out, 0, word);
        out.extend(values);
        out
    }
}

/// The file, its header pointing to a directory behind its end.
pub(super) struct View<R> {
    file: BufReader<R>,
    length: u64,
    header: Vec<u8>,
    tail: Vec<u8>,
    at: u64,
    /// Whether the file's position is that of `at`.
    in_place: bool,
}

impl<R: Read + Seek> View<R> {
    /// A view of a file of `length` bytes with the given directory.
    ///
    /// # Errors
    /// [`Fault`] if the file is too long for a directory behind it.
    pub(super) fn new(
        file: R,
        length: u64,
        flavour: Flavour,
        entries: &[(u16, Values)],
    ) -> Result<Self, Fault> {
        let start = length.saturating_add(GAP);
        if !flavour.big && start.saturating_add(GAP << 8) > u64::from(u32::MAX) {
            return Err(Fault::Unread(
                "it is longer than 3.7 GB without being a BigTIFF".to_owned(),
            ));
        }
        let (header, tail) = (flavour.header(start), flavour.directory(entries, start));
        Ok(Self {
            file: BufReader::with_capacity(1 << 16, file),
            length,
            header,
            tail,
            at: 0,
            in_place: false,
        })
    }
}

impl<R: Read + Seek> Read for View<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.length + GAP;
        let from_memory = if self.at < self.header.len() as u64 {
            self.header.get(self.at as usize..)
        } else if self.at >= start {
            usize::try_from(self.at - start)
                .ok()
                .and_then(|at| self.tail.get(at..))
        } else {
            None
        };
        let read = match from_memory {
            Some(mut bytes) => {
                self.in_place = false;
                bytes.read(buffer)?
            }
            None if self.at >= self.length => 0,
            None => {
                if !self.in_place {
                    let by = i128::from(self.at) - i128::from(self.file.stream_position()?);
                    self.file.seek_relative(
                        i64::try_from(by).map_err(|_| io::ErrorKind::InvalidInput)?,
                    )?;
                    self.in_place = true;
                }
                self.file.read(buffer)?
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for View<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => {
                (self.length + GAP + self.tail.len() as u64).checked_add_signed(by)
            }
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        self.in_place = false;
        Ok(self.at)
    }
}
