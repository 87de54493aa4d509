//! Tasks, one after the other.

use super::convert::{Reading, Region, annotations, size_of};
use crate::{
    datasets::{
        item::{Item, Place},
        names::{below, picture_size},
        reader::{Dataset, DatasetError},
        xml::{Piece, Xml},
    },
    frame::SourceKind,
    geometry::Size,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

/// Bytes by which a file is known.
const HEAD: u64 = 1 << 20;

/// A task as it is exported: `completions` are the annotations of early versions.
#[derive(Deserialize)]
struct Task<'a> {
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(borrow, default)]
    annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    completions: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    predictions: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    image: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    file_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(default)]
    kind: Option<SourceKind>,
    #[serde(default)]
    frame: Option<u64>,
    #[serde(default)]
    width: Option<u32>,
    #[serde(default)]
    height: Option<u32>,
}

/// The regions of one annotation or prediction.
#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    result: Vec<Region>,
    #[serde(default)]
    was_cancelled: bool,
}

/// Whether `path` is JSON of Label Studio, by its keys.
pub fn sniff(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).map(|file| file.take(HEAD).read_to_end(&mut head));
    if !matches!(read, Ok(Ok(_))) {
        return false;
    }
    let text = String::from_utf8_lossy(&head);
    let results = ["\"annotations\"", "\"predictions\"", "\"completions\""];
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with(['[', '{'])
        && text.contains("\"data\"")
        && results.iter().any(|key| text.contains(key))
        && (text.contains("\"result\"") || text.trim_start().starts_with('['))
}

/// Reads the JSON of Label Studio's export (not JSON-MIN): a list of tasks, or one. Of a task the last annotation that is not
/// cancelled counts, or its last prediction where nobody annotated it. Rectangles, polygons, ellipses and brush strokes are
/// read, turned rectangles and ellipses as polygons; other regions are counted in `warnings`, as are tasks whose picture's size
/// is not known, as they have no region.
///
/// Classes are those of the labelling configuration in their order, where it lies beside the file under its name with the
/// extension `xml`; then others by name.
///
/// # Errors
/// [`DatasetError`] if the file cannot be read or is not of Label Studio, or a region is broken.
pub fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Dataset, DatasetError> {
    let file = File::open(path).map_err(|e| DatasetError::io(path, "open the file", &e))?;
    let mut reading = Reading::default();
    read_labels(&path.with_extension("xml"), &mut reading)?;
    read_from(BufReader::new(file), path, reading, warnings)
}

/// As [`read`], from what is open.
pub(super) fn read_from(
    mut source: impl BufRead,
    path: &Path,
    mut reading: Reading,
    warnings: &mut Vec<String>,
) -> Result<Dataset, DatasetError> {
    let failed = |e| DatasetError::io(path, "read the file", &e);
    if source
        .fill_buf()
        .map_err(failed)?
        .starts_with(b"\xef\xbb\xbf")
    {
        source.consume(3);
    }
    let mut items = Vec::new();
    let each = |task: &RawValue, number: usize| {
        let item = item(task.get(), number, path, &mut reading)?;
        items.extend(item);
        Ok(())
    };
    let mut json = serde_json::Deserializer::from_reader(source);
    Tasks(each)
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|e| {
            DatasetError::new(path, e.to_string())
                .with_remedy("Label Studio's export of the kind JSON is read")
        })?;
    reading.ignored.warn(path, warnings);
    let classes = reading.labels.finish(&mut items);
    Ok(Dataset { classes, items })
}

/// Calls the function with each task and its number, from 0.
struct Tasks<F>(F);

impl<'de, F: FnMut(&RawValue, usize) -> Result<(), String>> DeserializeSeed<'de> for Tasks<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&RawValue, usize) -> Result<(), String>> Visitor<'de> for Tasks<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(task) = list.next_element::<Box<RawValue>>()? {
            (self.0)(&task, number).map_err(de::Error::custom)?;
            number += 1;
        }
        Ok(())
    }
}

/// The picture of a task; none where its size is not known.
fn item(
    text: &str,
    number: usize,
    path: &Path,
    reading: &mut Reading,
) -> Result<Option<Item>, String> {
    let failed = |problem: String| format!("task {number}: {problem}");
    let task: Task<'_> = serde_json::from_str(text).map_err(|e| failed(e.to_string()))?;
    let data = task.data.ok_or_else(|| {
        failed("it has no data, so it is none of the export of the kind JSON".into())
    })?;
    let Some(name) = name_of(&data).map(|name| below(&name)) else {
        reading.ignored.add("task without picture");
        return Ok(None);
    };
    let last = |sets: &Option<Vec<&RawValue>>| {
        // Exports may have the numbers of predictions in place of them.
        let sets = sets
            .iter()
            .flatten()
            .filter(|set| set.get().starts_with('{'));
        let mut found = None;
        for set in sets {
            let set: Results =
                serde_json::from_str(set.get()).map_err(|e| failed(e.to_string()))?;
            if !set.was_cancelled {
                found = Some(set.result);
            }
        }
        Ok::<_, String>(found)
    };
    let regions = match last(&task.annotations)? {
        Some(regions) => regions,
        None => match last(&task.completions)? {
            Some(regions) => regions,
            None => last(&task.predictions)?.unwrap_or_default(),
        },
    };
    let annotations = annotations(&regions, reading).map_err(failed)?;
    let stated = data.width.zip(data.height).map(|(w, h)| Size::new(w, h));
    let size = size_of(&regions)
        .or(stated)
        .or_else(|| picture_size(&path.parent()?.join(&name)));
    let Some(size) = size else {
        reading
            .ignored
            .add("task without regions, so that its picture's size is not known");
        return Ok(None);
    };
    Ok(Some(Item {
        file_name: name,
        size,
        place: place_of(&data),
        annotations,
        physical: None,
        exif_orientation: None,
        changes: Vec::new(),
        original: None,
    }))
}

/// The picture's path below the root of pictures, as far as its address tells.
fn name_of(data: &Data<'_>) -> Option<String> {
    if let Some(name) = &data.file_name {
        return Some(name.clone().into_owned());
    }
    let address = data.image.as_deref()?;
    if let Some((_, path)) = address.split_once("/data/local-files/?d=") {
        let path = path.split('&').next().unwrap_or(path);
        return Some(decoded(path).trim_start_matches('/').to_owned());
    }
    let path = address.split_once("://").map_or(address, |(_, rest)| {
        rest.split_once('/').map_or(rest, |(_, path)| path)
    });
    let path = path.split('?').next().unwrap_or(path);
    // Uploaded files get a project's folder and eight digits before their names.
    if let Some((_, upload)) = path.split_once("data/upload/") {
        let name = upload.rsplit('/').next().unwrap_or(upload);
        let own = name.split_once('-').filter(|(digits, _)| {
            digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit())
        });
        return Some(decoded(own.map_or(name, |(_, own)| own)));
    }
    Some(decoded(path).trim_start_matches('/').to_owned()).filter(|name| !name.is_empty())
}

/// Without percent forms.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn place_of(data: &Data<'_>) -> Option<Place> {
    let source: Arc<str> = Arc::from(below(data.source.as_deref()?));
    Some(Place {
        kind: data.kind?,
        path: source.clone(),
        source,
        file: None,
        frame: data.frame?,
        timestamp: None,
        frame_rate: None,
        attributes: Default::default(),
    })
}

/// Labels of a labelling configuration, where there is one.
fn read_labels(path: &Path, reading: &mut Reading) -> Result<(), DatasetError> {
    if !path.is_file() {
        return Ok(());
    }
    let mut xml = Xml::open(path)?;
    let mut first = true;
    loop {
        match xml.next()? {
            Piece::Start(element) if first && element.name != "View" => return Ok(()),
            Piece::Start(element) => {
                first = false;
                if let Some(label) = element.get("value").filter(|_| element.name == "Label") {
                    reading.labels.list(label);
                }
            }
            Piece::End(_) => {}
            Piece::Eof => return Ok(()),
        }
    }
}
