//! XML of others, element by element, and what our own needs.

use super::reader::DatasetError;
use quick_xml::{Reader, events::Event};
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Elements within elements that are read at most.
const MAX_DEPTH: usize = 64;

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Piece {
    /// An element begins.
    Start(Element),
    /// The innermost element ends; its text, without that of the elements in it, blanks around it removed.
    End(String),
    /// The file ends.
    Eof,
}

/// The beginning of an element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// The value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A file that is read piece by piece. Entities other than the five of XML are refused, so nothing can grow.
pub(crate) struct Xml<R> {
    reader: Reader<R>,
    path: PathBuf,
    buffer: Vec<u8>,
    texts: Vec<String>,
}

impl Xml<BufReader<File>> {
    /// Opens `path`.
    ///
    /// # Errors
    /// [`DatasetError`] if it cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|e| DatasetError::io(path, "open the file", &e))?;
        Ok(Self::new(path, BufReader::new(file)))
    }
}

impl<R: BufRead> Xml<R> {
    /// Reads from `source`; errors name `path`.
    pub(crate) fn new(path: &Path, source: R) -> Self {
        let mut reader = Reader::from_reader(source);
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            path: path.to_path_buf(),
            buffer: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// An error at the present place.
    pub(crate) fn error(&self, problem: impl std::fmt::Display) -> DatasetError {
        let at = self.reader.buffer_position();
        DatasetError::new(&self.path, format!("byte {at}: {problem}"))
    }

    /// The next piece.
    ///
    /// # Errors
    /// [`DatasetError`] if the file is not XML in UTF-8, has too many elements within elements, or other entities.
    pub(crate) fn next(&mut self) -> Result<Piece, DatasetError> {
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let piece = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => piece(event, &mut self.texts),
                Err(error) => Err(error.to_string()),
            };
            self.buffer = buffer;
            match piece {
                Ok(Some(piece)) => return Ok(piece),
                Ok(None) => {}
                Err(problem) => return Err(self.error(problem)),
            }
        }
    }
}

fn piece(event: Event<'_>, texts: &mut Vec<String>) -> Result<Option<Piece>, String> {
    let add = |texts: &mut Vec<String>, text: &str| {
        if let Some(last) = texts.last_mut() {
            last.push_str(text);
        }
    };
    match event {
        Event::Start(start) => {
            if texts.len() == MAX_DEPTH {
                return Err(format!("more than {MAX_DEPTH} elements within each other"));
            }
            texts.push(String::new());
            let name = text_of(start.name().as_ref())?;
            let mut attributes = Vec::new();
            for attribute in start.attributes() {
                let attribute = attribute.map_err(|e| e.to_string())?;
                let raw = text_of(&attribute.value)?;
                let value = quick_xml::escape::unescape(&raw).map_err(|e| e.to_string())?;
                attributes.push((text_of(attribute.key.as_ref())?, value.into_owned()));
            }
            return Ok(Some(Piece::Start(Element { name, attributes })));
        }
        Event::End(_) => {
            let text = texts.pop().unwrap_or_default();
            return Ok(Some(Piece::End(text.trim().to_owned())));
        }
        Event::Eof if texts.is_empty() => return Ok(Some(Piece::Eof)),
        Event::Eof => return Err("the file ends within an element".to_owned()),
        Event::Text(text) => add(texts, &text.decode().map_err(|e| e.to_string())?),
        Event::CData(text) => add(texts, &text.decode().map_err(|e| e.to_string())?),
        Event::GeneralRef(reference) => {
            let name = reference.decode().map_err(|e| e.to_string())?;
            let escaped = format!("&{name};");
            let text = quick_xml::escape::unescape(&escaped).map_err(|e| e.to_string())?;
            add(texts, &text);
        }
        Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
        }
    }
    Ok(None)
}

fn text_of(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| "the text is not UTF-8".to_owned())
}

/// The name of the root element; none if the file is not XML.
pub(crate) fn root(path: &Path) -> Option<Element> {
    let file = File::open(path).ok()?;
    let mut xml = Xml::new(path, BufReader::new(io::Read::take(file, 1 << 16)));
    match xml.next() {
        Ok(Piece::Start(element)) => Some(element),
        _ => None,
    }
}

/// Text as XML can hold it, in attributes too: control characters are replaced, line ends escaped.
pub(crate) fn escaped(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect();
    quick_xml::escape::escape(plain.as_str())
        .replace('\t', "&#9;")
        .replace('\n', "&#10;")
        .replace('\r', "&#13;")
}
