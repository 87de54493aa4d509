//! Reading YOLO data sets.

use super::fill::filled;
use crate::{
    datasets::{
        item::{Annotation, Item, Outline},
        names::{files_below, read_size},
        reader::{Dataset, DatasetError},
    },
    geometry::{BoxCxCyWh, BoxXyxy, Size},
};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// Extensions of pictures, in the order in which they are looked for beside a label file.
const PICTURES: [&str; 9] = [
    "png", "jpg", "jpeg", "bmp", "webp", "tif", "tiff", "JPG", "PNG",
];
/// Longest file of labels or names that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Data {
    names: Option<Names>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Map(BTreeMap<u32, String>),
}

/// Reads the YOLO data set in the folder `path`, or of its `data.yaml`: labels from `labels/`, sizes from the pictures in
/// `images/` beside it, which mirror it, names of classes from `data.yaml`, else `classes.txt`, else "class N".
///
/// # Errors
/// [`DatasetError`] if there is no `labels` folder, a file cannot be read, a line is no box and no polygon, or the picture of a
/// label file is missing.
pub fn read_yolo(path: &Path) -> Result<Dataset, DatasetError> {
    let root = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(Path::new("."))
    };
    let labels = root.join("labels");
    if !labels.is_dir() {
        let error = DatasetError::new(root, "holds no folder 'labels'");
        return Err(
            error.with_remedy("give the folder of a YOLO data set, with images/ and labels/ in it")
        );
    }
    let mut names = names(path, root)?;
    let files = files_below(&labels, "txt")?;
    let mut items = Vec::with_capacity(files.len());
    for (_, file) in files {
        items.push(item(&file, root, &labels, &mut names)?);
    }
    let highest = names.keys().next_back().map_or(0, |class| class + 1);
    let classes = (0..highest)
        .map(|class| name_of(&mut names, class))
        .collect();
    Ok(Dataset { classes, items })
}

fn text(path: &Path) -> Result<String, DatasetError> {
    let failed = |e| DatasetError::io(path, "read the file", &e);
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_BYTES {
        return Err(DatasetError::new(
            path,
            format!("is longer than {} MiB", MAX_BYTES >> 20),
        ));
    }
    fs::read_to_string(path).map_err(failed)
}

fn names(path: &Path, root: &Path) -> Result<BTreeMap<u32, Arc<str>>, DatasetError> {
    let yaml = if path.is_file() {
        path.to_owned()
    } else {
        root.join("data.yaml")
    };
    if yaml.is_file() {
        let data: Data = serde_saphyr::from_str(&text(&yaml)?).map_err(|e| {
            DatasetError::new(&yaml, format!("is no description of a YOLO data set: {e}"))
        })?;
        return Ok(match data.names {
            None => BTreeMap::new(),
            Some(Names::List(list)) => (0u32..)
                .zip(list.iter().map(|name| Arc::from(&**name)))
                .collect(),
            Some(Names::Map(map)) => map
                .iter()
                .map(|(class, name)| (*class, Arc::from(&**name)))
                .collect(),
        });
    }
    let list = root.join("classes.txt");
    if list.is_file() {
        return Ok((0u32..).zip(text(&list)?.lines().map(Arc::from)).collect());
    }
    Ok(BTreeMap::new())
}

/// No coordinate relative to the picture is beyond this.
const FARTHEST: f64 = 100.0;
/// Highest number of a class: names up to it are made.
const MAX_CLASS: u32 = 99_999;

fn name_of(names: &mut BTreeMap<u32, Arc<str>>, class: u32) -> Arc<str> {
    let name = names
        .entry(class)
        .or_insert_with(|| format!("class {class}").into());
    Arc::clone(name)
}

fn item(
    file: &Path,
    root: &Path,
    labels: &Path,
    names: &mut BTreeMap<u32, Arc<str>>,
) -> Result<Item, DatasetError> {
    let below = file.strip_prefix(labels).unwrap_or(file);
    let stem = below
        .with_extension("")
        .to_string_lossy()
        .replace('\\', "/");
    let pictures = PICTURES.map(|extension| format!("{stem}.{extension}"));
    let file_name = pictures
        .into_iter()
        .find(|name| root.join("images").join(name).is_file())
        .ok_or_else(|| {
            let error = DatasetError::new(file, format!("its picture images/{stem}.* is missing"));
            error.with_remedy("put the pictures beside the labels: sizes are read from them")
        })?;
    let picture = root.join("images").join(&file_name);
    let size = read_size(&picture)
        .map_err(|e| DatasetError::new(&picture, format!("its size cannot be read: {e}")))?;
    let text = text(file)?;
    let mut annotations = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let wrong =
            |problem: &str| DatasetError::new(file, format!("line {}: {problem}", number + 1));
        annotations.push(annotation(line, size, names).map_err(|problem| wrong(&problem))?);
    }
    Ok(Item {
        file_name,
        original: Some(picture.to_string_lossy().into_owned()),
        size,
        place: None,
        annotations,
        physical: None,
        exif_orientation: None,
        changes: Vec::new(),
    })
}

fn annotation(
    line: &str,
    size: Size,
    names: &mut BTreeMap<u32, Arc<str>>,
) -> Result<Annotation, String> {
    let mut words = line.split_ascii_whitespace();
    let class = words.next().and_then(|word| word.parse::<f64>().ok());
    let class = class.filter(|c| c.fract() == 0.0 && (0.0..=f64::from(MAX_CLASS)).contains(c));
    let class = class.ok_or("does not begin with the number of a class")? as u32;
    let numbers: Option<Vec<f64>> = words.map(|word| word.parse().ok()).collect();
    let numbers = numbers
        .filter(|n| n.iter().all(|v: &f64| v.is_finite()))
        .ok_or("has a word that is no number")?;
    if numbers.iter().any(|v| v.abs() > FARTHEST) {
        return Err("has a number far outside of the picture, whose sides are 1".to_owned());
    }
    let (w, h) = (f64::from(size.width), f64::from(size.height));
    let (bbox, outline, score) = match numbers[..] {
        [cx, cy, bw, bh] | [cx, cy, bw, bh, _] if bw >= 0.0 && bh >= 0.0 => {
            let b = BoxCxCyWh {
                cx: cx as f32,
                cy: cy as f32,
                w: bw as f32,
                h: bh as f32,
            };
            (
                b.to_pixels(size),
                None,
                numbers.get(4).map(|score| *score as f32),
            )
        }
        _ if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => {
            let points: Vec<[f64; 2]> = numbers
                .chunks_exact(2)
                .map(|p| [p[0] * w, p[1] * h])
                .collect();
            let mask = filled(&points, size);
            let bounds = mask.bounds().unwrap_or(BoxXyxy::new(0., 0., 0., 0.));
            (bounds, Some(Outline::Mask(mask)), None)
        }
        _ => {
            return Err(
                "is neither a box of four numbers nor a polygon of three points or more".to_owned(),
            );
        }
    };
    Ok(Annotation {
        class,
        label: name_of(names, class),
        bbox,
        outline,
        score,
        mask_score: None,
        track_id: None,
        visibility: None,
        visibility_score: None,
    })
}
