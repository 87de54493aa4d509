//! Bytes to messages, as they arrive.

use super::{
    content,
    crc::Crc,
    error::{DecodeError, ReadError},
    header::{HEADER, Header},
    image::{self, IMAGE_HEADER},
    message::{Content, Message},
    metadata::{EXTENDED, Extended},
};
use std::{
    io::{self, Read},
    time::{Instant, SystemTime},
};

/// Bounds of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimits {
    /// Greatest body of an `IMAGE`, and of a message of unknown type, which is passed over; in bytes.
    pub body: u64,
    /// Greatest body of the other types, in bytes.
    pub small: u64,
}

impl Default for ReadLimits {
    /// 256 MiB; 4 MiB.
    fn default() -> Self {
        Self {
            body: 256 << 20,
            small: 4 << 20,
        }
    }
}

/// What arrived.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Incoming {
    /// A message.
    Message {
        /// It.
        message: Message,
        /// Version of its header.
        version: u16,
        /// When its last byte was there.
        instant: Instant,
        /// The same on the clock of the day.
        time: SystemTime,
    },
    /// A message of a type that is not read: its bytes were passed over.
    Skipped {
        /// The type.
        kind: String,
        /// The device name.
        device: String,
        /// Version of its header.
        version: u16,
    },
    /// A message whose check sum is wrong, or whose content does not fit: it is dropped, and what follows can be read.
    Rejected {
        /// The type.
        kind: String,
        /// The device name.
        device: String,
        /// What is wrong.
        problem: DecodeError,
    },
}

/// Reads messages from a stream of bytes.
///
/// Memory grows with what arrives, never with what a header states: for a message of which `n` bytes are there, less than 3 `n` and
/// 64 KiB; at the end, for pixels of 16 bits or many small elements, up to 8 `n`, `n` being at most the bounds of [`ReadLimits`].
#[derive(Debug)]
pub struct MessageReader<R> {
    from: R,
    limits: ReadLimits,
}

/// Bytes that are read at once, at first.
const FIRST: usize = 64 << 10;

impl<R: Read> MessageReader<R> {
    /// A reader of `from`, which should be buffered: headers are read by themselves.
    pub fn new(from: R, limits: ReadLimits) -> Self {
        Self { from, limits }
    }

    /// What arrives next; `None` where the stream ends between messages.
    ///
    /// # Errors
    /// [`ReadError`], after which nothing more can be read: the stream broke or ended within a message, the header is none, or
    /// states a body beyond the bounds.
    pub fn next_message(&mut self) -> Result<Option<Incoming>, ReadError> {
        let mut bytes = [0; HEADER];
        match fill(&mut self.from, &mut bytes)? {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(ReadError::Truncated),
        }
        let header = Header::decode(&bytes)?;
        let known = content::is_known(&header.kind) || content::is_request(&header.kind);
        let most = if known {
            self.limits.small
        } else {
            self.limits.body
        };
        if header.body > most {
            return Err(DecodeError::TooLarge {
                kind: header.kind,
                stated: header.body,
                most,
            }
            .into());
        }
        if !known && header.kind != "IMAGE" {
            return self.skip(header).map(Some);
        }
        let body = Body::read(&mut self.from, &header)?;
        let (instant, time) = (Instant::now(), SystemTime::now());
        let Header {
            version,
            kind,
            device,
            time: stamp,
            crc,
            ..
        } = header;
        let decoded = match body {
            Ok(body) if body.crc != crc => Err(DecodeError::CheckSum {
                stated: crc,
                found: body.crc,
            }),
            Ok(body) => body.decode(&kind),
            Err(problem) => Err(problem),
        };
        Ok(Some(match decoded {
            Err(problem) => Incoming::Rejected {
                kind,
                device,
                problem,
            },
            Ok((None, _)) => Incoming::Skipped {
                kind,
                device,
                version,
            },
            Ok((Some(content), metadata)) => Incoming::Message {
                message: Message {
                    device,
                    time: stamp,
                    metadata,
                    content,
                },
                version,
                instant,
                time,
            },
        }))
    }

    fn skip(&mut self, header: Header) -> Result<Incoming, ReadError> {
        let mut rest = (&mut self.from).take(header.body);
        if io::copy(&mut rest, &mut io::sink())? < header.body {
            return Err(ReadError::Truncated);
        }
        Ok(Incoming::Skipped {
            kind: header.kind,
            device: header.device,
            version: header.version,
        })
    }
}

/// Reads until `bytes` are full or the stream ends; returns how many are there.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The body of a message.
struct Body {
    /// Sizes around the content, of header version 2 and later.
    extended: Option<Extended>,
    /// Header of an image; else empty.
    start: Vec<u8>,
    /// What follows, with the metadata.
    rest: Vec<u8>,
    crc: u64,
}

impl Body {
    /// Reads the whole body; an error within is one of the extended header, with which nothing of it can be understood.
    fn read(from: &mut impl Read, header: &Header) -> Result<Result<Self, DecodeError>, ReadError> {
        let (mut crc, mut left) = (Crc::new(), header.body);
        let mut take = |count: u64| -> Result<Vec<u8>, ReadError> {
            let count = count.min(left);
            left -= count;
            grow(from, count, &mut crc)
        };
        let mut extended = None;
        if header.version > 1 {
            let start = take(EXTENDED as u64)?;
            match Extended::decode(&start, header.body) {
                Ok(sizes) => {
                    take((sizes.size - EXTENDED) as u64)?;
                    extended = Some(sizes);
                }
                Err(problem) => {
                    take(u64::MAX)?;
                    return Ok(Err(problem));
                }
            }
        }
        let metadata = extended.map_or(0, |sizes| sizes.metadata as u64);
        let before = extended.map_or(0, |sizes| sizes.size as u64);
        let content = header.body - before - metadata;
        let start = match header.kind == "IMAGE" {
            true => take(content.min(IMAGE_HEADER as u64))?,
            false => Vec::new(),
        };
        let rest = take(u64::MAX)?;
        Ok(Ok(Self {
            extended,
            start,
            rest,
            crc: crc.value(),
        }))
    }

    /// Content, none where the type's content is not read, and metadata.
    #[expect(clippy::type_complexity)]
    fn decode(
        mut self,
        kind: &str,
    ) -> Result<(Option<Content>, Vec<(String, String)>), DecodeError> {
        let mut metadata = Vec::new();
        if let Some(sizes) = self.extended {
            let end = self.rest.len().saturating_sub(sizes.metadata);
            metadata = sizes.entries(&self.rest[end..])?;
            self.rest.truncate(end);
        }
        let content = match kind {
            "IMAGE" => Some(Content::Image(image::decode(&self.start, self.rest)?)),
            kind if content::is_known(kind) => Some(content::decode(kind, &self.rest)?),
            _ if self.rest.is_empty() => Some(Content::Request(kind.to_owned())),
            _ => None,
        };
        Ok((content, metadata))
    }
}

/// Reads `count` bytes into memory that grows with what arrives.
fn grow(from: &mut impl Read, count: u64, crc: &mut Crc) -> Result<Vec<u8>, ReadError> {
    let count = usize::try_from(count).map_err(|_| ReadError::Truncated)?;
    let mut bytes = Vec::new();
    grow_into(&mut bytes, from, count, crc)?;
    Ok(bytes)
}

fn grow_into(
    bytes: &mut Vec<u8>,
    from: &mut impl Read,
    count: usize,
    crc: &mut Crc,
) -> Result<(), ReadError> {
    while bytes.len() < count {
        let more = bytes.len().max(FIRST).min(count - bytes.len());
        bytes.reserve_exact(more);
        let end = bytes.len() + more;
        // In pieces that are still in the processor's cache when they are summed up.
        while bytes.len() < end {
            let (there, piece) = (bytes.len(), FIRST.min(end - bytes.len()));
            if from.by_ref().take(piece as u64).read_to_end(bytes)? < piece {
                return Err(ReadError::Truncated);
            }
            crc.update(&bytes[there..]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_what_arrives() {
        for there in [0, 1, FIRST, FIRST + 1, 5 * FIRST, 10 << 20] {
            let (mut bytes, from) = (Vec::new(), vec![7; there]);
            let read = grow_into(&mut bytes, &mut &from[..], usize::MAX / 2, &mut Crc::new());
            assert!(matches!(read, Err(ReadError::Truncated)));
            assert!(bytes.capacity() <= 2 * there + FIRST, "{there}");
        }
    }
}
