//! Messages to bytes.

use super::{
    content,
    crc::Crc,
    error::EncodeError,
    header::{self, HEADER, Header},
    image,
    message::{Content, Message, Samples},
    metadata,
};
use std::{
    io::{self, IoSlice, Write},
    sync::{Arc, OnceLock},
};

/// Version of a message's header: what of a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Header version 1: content alone.
    V1,
    /// Header version 2: content and metadata.
    V2,
}

/// A message that can be put into bytes, which is done once for each version and shared by all who send it.
pub struct Encoded {
    message: Arc<Message>,
    /// Called each time that it was sent.
    note: Option<Box<dyn Fn() + Send + Sync>>,
    /// Pixels of 16 bits as they are sent.
    wide: OnceLock<Vec<u8>>,
    frames: [OnceLock<Frame>; 2],
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = &self.message;
        let kind = message.content.type_name();
        write!(f, "Encoded({kind} of {:?})", message.device)
    }
}

/// What stands before and after the pixels.
#[derive(Debug)]
struct Frame {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Encoded {
    /// Looks whether everything fits into its field; nothing is encoded yet.
    ///
    /// # Errors
    /// [`EncodeError`] for what does not fit.
    pub fn new(message: impl Into<Arc<Message>>) -> Result<Self, EncodeError> {
        let message = message.into();
        header::check(message.content.type_name(), &message.device, message.time)?;
        if let Content::Request(kind) = &message.content
            && !content::is_request(kind)
        {
            return Err(EncodeError::TypeName(kind.clone()));
        }
        content::check(&message.content)?;
        metadata::check(&message.metadata)?;
        Ok(Self {
            message,
            note: None,
            wide: OnceLock::new(),
            frames: Default::default(),
        })
    }

    /// The same, with a function that is called each time that the message was given to the operating system to be sent, on the
    /// thread that sends.
    #[must_use]
    pub fn noting(self, note: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            note: Some(Box::new(note)),
            ..self
        }
    }

    /// It was sent.
    pub(super) fn note(&self) {
        if let Some(note) = &self.note {
            note();
        }
    }

    /// The message.
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// The message's bytes, in parts that follow each other.
    pub fn parts(&self, version: Version) -> [&[u8]; 3] {
        let pixels = self.pixels();
        let frame = self.frames[version as usize].get_or_init(|| self.frame(version, pixels));
        [&frame.head, pixels, &frame.tail]
    }

    /// The message's bytes.
    pub fn to_bytes(&self, version: Version) -> Vec<u8> {
        self.parts(version).concat()
    }

    /// Number of bytes of the message.
    pub fn size(&self, version: Version) -> usize {
        self.parts(version).iter().map(|part| part.len()).sum()
    }

    /// Pixels as they are sent; empty where there are none.
    fn pixels(&self) -> &[u8] {
        match &self.message.content {
            Content::Image(image) => match &image.samples {
                Samples::U8(values) => values,
                wide => self
                    .wide
                    .get_or_init(|| image::wide_pixels(wide).unwrap_or_default()),
            },
            _ => &[],
        }
    }

    fn frame(&self, version: Version, pixels: &[u8]) -> Frame {
        let Message {
            device,
            time,
            metadata,
            content,
        } = self.message.as_ref();
        let (mut body, mut tail) = (Vec::new(), Vec::new());
        if version == Version::V2 {
            metadata::put_extended(&mut body, metadata);
            metadata::put_entries(&mut tail, metadata);
        }
        content::put(&mut body, content);
        let mut crc = Crc::new();
        [&body, pixels, &tail]
            .iter()
            .for_each(|part| crc.update(part));
        let header = Header {
            version: version as u16 + 1,
            kind: content.type_name().to_owned(),
            device: device.clone(),
            time: *time,
            body: (body.len() + pixels.len() + tail.len()) as u64,
            crc: crc.value(),
        };
        let mut head = Vec::with_capacity(HEADER + body.len());
        header.encode(&mut head);
        head.append(&mut body);
        Frame { head, tail }
    }

    /// Writes the message, as often as it takes; `retry` is called with each error and whether anything was written since the
    /// last one, and says whether to go on. Returns the bytes written.
    ///
    /// # Errors
    /// The error after which `retry` did not go on; [`io::ErrorKind::WriteZero`] where nothing is accepted.
    pub(super) fn write(
        &self,
        version: Version,
        to: &mut impl Write,
        mut retry: impl FnMut(&io::Error, bool) -> bool,
    ) -> io::Result<usize> {
        let [head, pixels, tail] = self.parts(version);
        let size = head.len() + pixels.len() + tail.len();
        let mut slices = [IoSlice::new(head), IoSlice::new(pixels), IoSlice::new(tail)];
        let mut left = &mut slices[..];
        let (mut written, mut moved) = (0, false);
        while written < size {
            match to.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    IoSlice::advance_slices(&mut left, count);
                    (written, moved) = (written + count, true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if retry(&error, std::mem::take(&mut moved)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(size)
    }
}
