//! Files of labelme, alone or in a folder.

use crate::{
    datasets::{
        item::{Annotation, Item, Outline},
        masks::{Budget, MAX_PIXELS},
        names::{
            Ignored, Labels, base_name, below, bounds_of, ellipse, files_below, joined, lines_of,
            picture_size,
        },
        reader::{Dataset, DatasetError},
    },
    geometry::{BoxXyxy, Size},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de};
use std::{
    borrow::Cow,
    fs,
    io::{Cursor, Read as _},
    path::Path,
};

/// Bytes of a file that are read at most: it may have its picture within it.
const MAX_BYTES: u64 = 512 << 20;

/// Bytes by which a file is known.
const HEAD: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(borrow)]
    shapes: Vec<Shape<'a>>,
    #[serde(borrow, default)]
    image_path: Option<Cow<'a, str>>,
    #[serde(default)]
    image_height: Option<u32>,
    #[serde(default)]
    image_width: Option<u32>,
}

#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    label: Cow<'a, str>,
    #[serde(default)]
    points: Vec<[f64; 2]>,
    #[serde(default, deserialize_with = "lenient")]
    group_id: Option<i64>,
    #[serde(borrow, default)]
    shape_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    mask: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient")]
    score: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    mask_score: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    track_id: Option<u64>,
}

/// A value of the type, or none for any other: other programs have such fields too.
fn lenient<'de, D: Deserializer<'de>, T: de::DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).ok())
}

/// Whether `path` is JSON of labelme, by its keys, or a folder with such files.
pub fn sniff(path: &Path) -> bool {
    if path.is_dir() {
        let files = files_below(path, "json").unwrap_or_default();
        return files.iter().take(16).any(|(_, file)| is_labelme(file));
    }
    is_labelme(path)
}

/// By the keys of its first and last bytes, as a picture may lie between them.
fn is_labelme(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else {
        return false;
    };
    let mut head = Vec::new();
    if file.take(HEAD as u64).read_to_end(&mut head).is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&head);
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
        && text.contains("\"shapes\"")
        && (text.contains("\"shape_type\"")
            || text.contains("\"imagePath\"")
            || text.contains("\"imageData\""))
}

/// Reads a file, or all files of labelme in a folder and those in it; other JSON files are counted in `warnings`, as are
/// shapes that enclose nothing. Rectangles, polygons, circles and masks are read (versions 3 to 5 and those alike); polygons
/// of one label and `group_id` are the parts of one object.
///
/// Classes are those of `labels.txt` in the folder in their order, then others by name. Pictures have the name of `imagePath`, in the folder in which the file lies below the one
/// that is read.
///
/// # Errors
/// [`DatasetError`] if a file cannot be read, a shape is broken, or the picture's size is missing.
pub fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Dataset, DatasetError> {
    let mut all = Reading::default();
    if path.is_dir() {
        let lines = lines_of(&path.join("labels.txt"))?;
        // Those of labelme's own examples are no classes.
        let others = ["__ignore__", "_background_"];
        for name in lines.iter().filter(|l| !others.contains(&l.as_str())) {
            all.labels.list(name);
        }
        let files = files_below(path, "json")?;
        for (below, file) in files {
            if !is_labelme(&file) {
                all.ignored.add("JSON file that is not of labelme");
                continue;
            }
            let folder = below.rsplit_once('/').map_or("", |(folder, _)| folder);
            all.file(&file, folder)?;
        }
        if all.items.is_empty() {
            return Err(DatasetError::new(
                path,
                "the folder has no JSON files of labelme",
            ));
        }
    } else {
        all.file(path, "")?;
    }
    all.ignored.warn(path, warnings);
    let classes = all.labels.finish(&mut all.items);
    Ok(Dataset {
        classes,
        items: all.items,
    })
}

#[derive(Default)]
pub(super) struct Reading {
    labels: Labels,
    ignored: Ignored,
    budget: Budget,
    items: Vec<Item>,
}

impl Reading {
    fn file(&mut self, path: &Path, folder: &str) -> Result<(), DatasetError> {
        let failed = |e| DatasetError::io(path, "read the file", &e);
        let file = fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(DatasetError::new(path, "the file has more than 512 MiB"));
        }
        self.parse(&bytes, path, folder)
    }

    /// Adds the picture of a file's bytes.
    pub(super) fn parse(
        &mut self,
        bytes: &[u8],
        path: &Path,
        folder: &str,
    ) -> Result<(), DatasetError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let file: File<'_> = serde_json::from_slice(bytes).map_err(|e| {
            DatasetError::new(path, format!("the file is not JSON of labelme: {e}"))
        })?;
        let given = file.image_path.as_deref().unwrap_or_default();
        let name = match base_name(given) {
            "" => path.file_stem().unwrap_or_default().to_string_lossy(),
            name => Cow::Owned(below(name)),
        };
        let size = match (file.image_width, file.image_height) {
            (Some(width), Some(height)) => Size::new(width, height),
            _ => size_of(path, given)?,
        };
        let mut found = Vec::new();
        for (i, shape) in file.shapes.iter().enumerate() {
            let read = self.shape(shape, size);
            let annotation = read.map_err(|problem| {
                DatasetError::new(path, format!("shape {i} ({:?}): {problem}", shape.label))
            })?;
            found.extend(annotation.map(|annotation| (shape.group_id, annotation)));
        }
        self.items.push(Item {
            file_name: match folder {
                "" => name.into_owned(),
                folder => format!("{folder}/{name}"),
            },
            size,
            place: None,
            annotations: joined(found),
            physical: None,
            exif_orientation: None,
            changes: Vec::new(),
            original: None,
        });
        Ok(())
    }

    fn shape(&mut self, shape: &Shape<'_>, size: Size) -> Result<Option<Annotation>, String> {
        let points = &shape.points;
        let too_few = |least: usize| match points.len() < least {
            true => Err(format!("it has {} points, it needs {least}", points.len())),
            false => Ok(()),
        };
        let (bbox, outline) = match shape.shape_type.as_deref().unwrap_or("polygon") {
            "rectangle" => {
                too_few(2)?;
                (bounded(std::slice::from_ref(points))?, None)
            }
            // Earlier versions draw polygons of one or two points while a shape is begun.
            "polygon" if points.len() < 3 => {
                self.ignored.add("polygon of less than three points");
                return Ok(None);
            }
            "polygon" | "rotation" | "oriented_rectangle" => lined(points.clone())?,
            "circle" => {
                too_few(2)?;
                let radius = (points[0][0] - points[1][0]).hypot(points[0][1] - points[1][1]);
                lined(ellipse(points[0], [radius; 2], 0.0))?
            }
            "mask" => {
                too_few(1)?;
                let text = shape.mask.as_deref().ok_or("a mask without pixels")?;
                let Some(mask) = masked(points[0], text, size, &mut self.budget)? else {
                    self.ignored.add("mask without pixels");
                    return Ok(None);
                };
                mask
            }
            other => {
                self.ignored.add(other);
                return Ok(None);
            }
        };
        let figure = |value: Option<f64>| value.map(|v| v as f32).filter(|v| v.is_finite());
        Ok(Some(Annotation {
            class: 0,
            label: self.labels.of(&shape.label),
            bbox,
            outline,
            score: figure(shape.score),
            mask_score: figure(shape.mask_score),
            track_id: shape.track_id,
            visibility: None,
            visibility_score: None,
        }))
    }
}

type Outlined = (BoxXyxy, Option<Outline>);

fn bounded(lines: &[Vec<[f64; 2]>]) -> Result<BoxXyxy, String> {
    bounds_of(lines).ok_or_else(|| "a point is beyond all numbers".to_owned())
}

fn lined(line: Vec<[f64; 2]>) -> Result<Outlined, String> {
    let lines = vec![line];
    Ok((bounded(&lines)?, Some(Outline::Polygons(lines))))
}

/// The mask of a PNG in base64 whose upper left pixel is at `first`; none without pixels inside.
fn masked(
    first: [f64; 2],
    text: &str,
    size: Size,
    budget: &mut Budget,
) -> Result<Option<Outlined>, String> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| format!("its mask is not base64: {e}"))?;
    let mut reader = image::ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(size.width);
    limits.max_image_height = Some(size.height);
    limits.max_alloc = Some(MAX_PIXELS);
    reader.limits(limits);
    let pixels = reader
        .decode()
        .map_err(|e| format!("its mask is no PNG that fits the picture: {e}"))?
        .into_luma8();
    let [x, y] = first.map(f64::floor);
    let inside = |at: f64, extent: u32, of: u32| {
        (at >= 0.0 && at + f64::from(extent) <= f64::from(of)).then_some(at as u64)
    };
    let place = inside(x, pixels.width(), size.width).zip(inside(y, pixels.height(), size.height));
    let (left, top) = place.ok_or("its mask does not fit the picture")?;
    let width = u64::from(size.width);
    let rows = pixels.rows().enumerate().flat_map(|(row, pixels)| {
        let start = (top + row as u64) * width + left;
        let inside: Vec<bool> = pixels.map(|p| p.0[0] > 0).collect();
        let mut at = start;
        inside
            .chunk_by(|a, b| a == b)
            .filter_map(|same| {
                let run = (at, at + same.len() as u64);
                at = run.1;
                same[0].then_some(run)
            })
            .collect::<Vec<_>>()
    });
    let mask = budget.mask(size, rows)?;
    Ok(mask.bounds().map(|bbox| (bbox, Some(Outline::Mask(mask)))))
}

/// The size of the picture itself, where the file does not state it.
fn size_of(path: &Path, given: &str) -> Result<Size, DatasetError> {
    let picture = path.parent().unwrap_or(Path::new(".")).join(given);
    picture_size(&picture).ok_or_else(|| {
        let problem = format!(
            "imageWidth or imageHeight is missing, and {given:?} is no picture that can be read"
        );
        DatasetError::new(path, problem)
            .with_remedy("put the picture where imagePath says, or add both")
    })
}
