//! Files of Pascal VOC, alone or in a folder.

use super::corners::VocCorners;
use crate::{
    datasets::{
        item::{Annotation, Item},
        names::{Ignored, Labels, base_name, below, bounds_of, files_below, lines_of},
        reader::{Dataset, DatasetError},
        xml::{Element, Piece, Xml, root},
    },
    geometry::Size,
};
use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

/// Whether `path` is a file of VOC, by its root element, or a folder with such files: `Annotations` within it, or files of
/// its own.
pub fn sniff(path: &Path) -> bool {
    let is_voc = |path: &Path| root(path).is_some_and(|root| root.name == "annotation");
    if path.is_dir() {
        let files = files_below(&annotations(path), "xml").unwrap_or_default();
        return files.first().is_some_and(|(_, file)| is_voc(file));
    }
    is_voc(path)
}

/// Reads a file, or all files of a folder: those below its `Annotations`, or its own. Boxes are read; turned boxes
/// (`robndbox`) and polygons without one are counted in `warnings`.
///
/// Classes are those of `labelmap.txt` beside `Annotations` in their order (without `background`), then others by name.
/// Pictures have the name of `<filename>`, in the folder in which the file lies below the one that is read.
///
/// # Errors
/// [`DatasetError`] if a file cannot be read or is not of VOC, a box is broken, or the picture's size is missing.
pub fn read(
    path: &Path,
    corners: VocCorners,
    warnings: &mut Vec<String>,
) -> Result<Dataset, DatasetError> {
    let mut all = Reading {
        corners,
        labels: Labels::default(),
        ignored: Ignored::default(),
        items: Vec::new(),
    };
    if path.is_dir() {
        read_map(&path.join("labelmap.txt"), &mut all.labels)?;
        let folder = annotations(path);
        let files = files_below(&folder, "xml")?;
        if files.is_empty() {
            return Err(DatasetError::new(folder, "the folder has no XML files")
                .with_remedy("name the folder that holds Annotations"));
        }
        for (below, file) in files {
            let folder = below.rsplit_once('/').map_or("", |(folder, _)| folder);
            let item = all.document(Xml::open(&file)?, folder)?;
            all.items.push(item);
        }
    } else {
        let item = all.document(Xml::open(path)?, "")?;
        all.items.push(item);
    }
    all.ignored.warn(path, warnings);
    let classes = all.labels.finish(&mut all.items);
    Ok(Dataset {
        classes,
        items: all.items,
    })
}

fn annotations(folder: &Path) -> PathBuf {
    let own = folder.join("Annotations");
    if own.is_dir() {
        own
    } else {
        folder.to_path_buf()
    }
}

fn read_map(path: &Path, labels: &mut Labels) -> Result<(), DatasetError> {
    for line in lines_of(path)?.iter().filter(|l| !l.starts_with('#')) {
        let name = line.split(':').next().unwrap_or(line).trim();
        if name != "background" {
            labels.list(name);
        }
    }
    Ok(())
}

struct Reading {
    corners: VocCorners,
    labels: Labels,
    ignored: Ignored,
    items: Vec<Item>,
}

/// An object that is read.
#[derive(Default)]
struct Object {
    name: Option<String>,
    corners: [Option<f64>; 4],
    boxed: bool,
    attribute: String,
    score: Option<f32>,
    mask_score: Option<f32>,
    track_id: Option<u64>,
}

/// What a file says of its picture.
#[derive(Default)]
struct Picture {
    file_name: String,
    width: u32,
    height: u32,
    annotations: Vec<Annotation>,
}

impl Picture {
    /// The picture of a file that lies in `folder`.
    fn item(self, folder: &str) -> Item {
        let given = below(&self.file_name);
        let name = base_name(&given);
        let absolute = self.file_name.starts_with('/') || self.file_name.contains([':', '\\']);
        let file_name = match folder {
            "" if absolute => name.to_owned(),
            "" => given,
            folder if given.strip_prefix(folder) == Some(&format!("/{name}")) => given,
            folder => format!("{folder}/{name}"),
        };
        Item {
            file_name,
            size: Size::new(self.width, self.height),
            place: None,
            annotations: self.annotations,
            physical: None,
            exif_orientation: None,
            changes: Vec::new(),
            original: None,
        }
    }
}

impl Reading {
    /// The picture of a file that lies in `folder`.
    fn document<R: BufRead>(
        &mut self,
        mut xml: Xml<R>,
        folder: &str,
    ) -> Result<Item, DatasetError> {
        let mut picture = Picture::default();
        let mut object = Object::default();
        let mut open: Vec<Element> = Vec::new();
        loop {
            match xml.next()? {
                Piece::Start(element) => {
                    if open.is_empty() && element.name != "annotation" {
                        let problem = format!("the root element is <{}>", element.name);
                        return Err(xml
                            .error(problem)
                            .with_remedy("VOC's files have <annotation>"));
                    }
                    match (element.name.as_str(), open.len()) {
                        ("object", 1) => object = Object::default(),
                        ("bndbox", 2) => object.boxed = true,
                        _ => {}
                    }
                    open.push(element);
                }
                Piece::End(text) => {
                    let Some(element) = open.pop() else { continue };
                    if (element.name.as_str(), open.len()) == ("object", 1) {
                        let found = self.object(std::mem::take(&mut object));
                        picture
                            .annotations
                            .extend(found.map_err(|problem| xml.error(problem))?);
                        continue;
                    }
                    value(&mut picture, &mut object, &open, &element.name, &text)
                        .map_err(|problem| xml.error(problem))?;
                }
                Piece::Eof => break,
            }
        }
        if picture.width == 0 || picture.height == 0 {
            return Err(xml
                .error("the picture has no size")
                .with_remedy("add <size> with <width> and <height>"));
        }
        Ok(picture.item(folder))
    }

    fn object(&mut self, object: Object) -> Result<Option<Annotation>, String> {
        if !object.boxed {
            self.ignored.add("object without bndbox");
            return Ok(None);
        }
        let name = object.name.ok_or("an object without name")?;
        let [Some(x0), Some(y0), Some(x1), Some(y1)] = object.corners else {
            return Err(format!("the box of an object {name:?} lacks a corner"));
        };
        let from = match self.corners {
            VocCorners::Edges => 0.0,
            VocCorners::Pixels => 1.0,
        };
        let corners = vec![[x0 - from, y0 - from], [x1, y1]];
        let bbox = bounds_of(&[corners])
            .ok_or_else(|| format!("the box of an object {name:?} is beyond all numbers"))?;
        Ok(Some(Annotation {
            class: 0,
            label: self.labels.of(&name),
            bbox,
            outline: None,
            score: object.score,
            mask_score: object.mask_score,
            track_id: object.track_id,
            visibility: None,
            visibility_score: None,
        }))
    }
}

/// Takes over the text of an element within `open`.
fn value(
    picture: &mut Picture,
    object: &mut Object,
    open: &[Element],
    name: &str,
    text: &str,
) -> Result<(), String> {
    let parent = open.last().map_or("", |parent| parent.name.as_str());
    let wrong = || {
        format!(
            "<{name}> is {:?}",
            text.chars().take(40).collect::<String>()
        )
    };
    match (parent, name, open.len()) {
        ("annotation", "filename", 1) => text.clone_into(&mut picture.file_name),
        ("size", "width", 2) => picture.width = text.parse().map_err(|_| wrong())?,
        ("size", "height", 2) => picture.height = text.parse().map_err(|_| wrong())?,
        ("object", "name", 2) => object.name = Some(text.to_owned()),
        ("bndbox", corner, 3) => {
            let corners = ["xmin", "ymin", "xmax", "ymax"];
            if let Some(place) = corners.iter().position(|c| *c == corner) {
                let value = text.parse().ok().filter(|v: &f64| v.is_finite());
                object.corners[place] = Some(value.ok_or_else(wrong)?);
            }
        }
        ("attribute", "name", 4) => text.clone_into(&mut object.attribute),
        ("attribute", "value", 4) => {
            let figure = || text.parse().ok().filter(|v: &f32| v.is_finite());
            match object.attribute.as_str() {
                "score" => object.score = figure(),
                "mask_score" => object.mask_score = figure(),
                "track_id" => object.track_id = text.parse().ok(),
                _ => {}
            }
        }
        _ => {}
    }
    Ok(())
}
