//! Names of classes, files and pictures in data sets of others.

use super::{
    item::{Annotation, Item, Outline},
    reader::DatasetError,
};
use crate::geometry::{BoxXyxy, Size};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 32;

/// Bytes of a list of names that is read at most.
const MAX_LIST: u64 = 16 << 20;

/// Kinds of things left out that are counted separately.
const MAX_KINDS: usize = 32;

/// The classes of a data set that is read: those that it lists in their order, then those that only annotations name, by
/// name.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    listed: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u32>,
    others: BTreeSet<Arc<str>>,
}

impl Labels {
    /// Adds a class of the data set's list.
    pub(crate) fn list(&mut self, name: &str) {
        let name: Arc<str> = Arc::from(name);
        if !self.known.contains_key(&name) {
            self.known.insert(name.clone(), self.listed.len() as u32);
            self.listed.push(name);
        }
    }

    /// The class that an annotation names.
    pub(crate) fn of(&mut self, name: &str) -> Arc<str> {
        if let Some((name, _)) = self.known.get_key_value(name) {
            return name.clone();
        }
        if let Some(name) = self.others.get(name) {
            return name.clone();
        }
        let name: Arc<str> = Arc::from(name);
        self.others.insert(name.clone());
        name
    }

    /// All classes; the annotations of `items` get their numbers.
    pub(crate) fn finish(mut self, items: &mut [Item]) -> Vec<Arc<str>> {
        for name in std::mem::take(&mut self.others) {
            self.list(&name);
        }
        for annotation in items.iter_mut().flat_map(|item| &mut item.annotations) {
            annotation.class = self.known.get(&annotation.label).copied().unwrap_or(0);
        }
        self.listed
    }
}

/// Class names for a list that is written: those of the data set, then others that its annotations have, by class and name.
#[derive(Debug, Default)]
pub(crate) struct UsedLabels(BTreeSet<(u32, Arc<str>)>);

impl UsedLabels {
    /// Notes the classes of `item`.
    pub(crate) fn add(&mut self, item: &Item) {
        for annotation in &item.annotations {
            let used = (annotation.class, annotation.label.clone());
            if !self.0.contains(&used) {
                self.0.insert(used);
            }
        }
    }

    /// The names, each once.
    pub(crate) fn names(&self, classes: &[Arc<str>]) -> Vec<Arc<str>> {
        let mut seen = HashSet::new();
        let used = self.0.iter().map(|(_, name)| name);
        classes
            .iter()
            .chain(used)
            .filter(|name| seen.insert((*name).clone()))
            .cloned()
            .collect()
    }
}

/// What was left out of a data set that is read, counted by what it is.
#[derive(Debug, Default)]
pub(crate) struct Ignored(BTreeMap<String, u64>);

impl Ignored {
    /// Counts one.
    pub(crate) fn add(&mut self, what: &str) {
        let what: String = what.chars().take(80).collect();
        let known = self.0.len() < MAX_KINDS || self.0.contains_key(&what);
        let what = if known {
            what
        } else {
            "other things".to_owned()
        };
        *self.0.entry(what).or_insert(0) += 1;
    }

    /// A line for each kind, the file first.
    pub(crate) fn warn(self, path: &Path, warnings: &mut Vec<String>) {
        warnings.extend(
            self.0
                .into_iter()
                .map(|(what, count)| format!("{}: {what}: {count} left out", path.display())),
        );
    }
}

/// Names of files that mirror those of pictures: without extension, but where two pictures differ in it alone, or in letter
/// case, the later keeps its own.
#[derive(Debug, Default)]
pub(crate) struct TreeNames(HashSet<String>);

impl TreeNames {
    /// The name for the picture `file_name`, without an extension of its own.
    pub(crate) fn of(&mut self, file_name: &str) -> String {
        let file_name = below(file_name);
        let stem = stem(&file_name);
        if self.0.insert(stem.to_lowercase()) {
            return stem.to_owned();
        }
        let mut name = file_name;
        while !self.0.insert(name.to_lowercase()) {
            name.push('_');
        }
        name
    }
}

/// A path of others as one that stays below its folder, `/`-separated.
pub(crate) fn below(path: &str) -> String {
    let parts = path.split(['/', '\\']);
    let parts: Vec<&str> = parts
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    match parts.join("/") {
        path if path.is_empty() => "_".to_owned(),
        path => path,
    }
}

/// A `/`-separated path without extension.
pub(crate) fn stem(file_name: &str) -> &str {
    let base = file_name.rfind('/').map_or(0, |at| at + 1);
    match file_name[base..].rfind('.') {
        Some(dot) if dot > 0 => &file_name[..base + dot],
        _ => file_name,
    }
}

/// The last part of a path, whose separators may be of another system.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The files below `folder` that end in `extension`, as paths below it, `/`-separated, sorted. Links to folders are not
/// followed.
///
/// # Errors
/// [`DatasetError`] if a folder cannot be read, or folders lie too deep.
pub(crate) fn files_below(
    folder: &Path,
    extension: &str,
) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), folder.to_path_buf(), 0)];
    while let Some((below, folder, depth)) = open.pop() {
        let failed = |e| DatasetError::io(&folder, "read the folder", &e);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(failed)?.is_dir() {
                if depth == MAX_DEPTH {
                    let problem = format!("more than {MAX_DEPTH} folders within each other");
                    return Err(DatasetError::new(entry.path(), problem));
                }
                open.push((format!("{name}/"), entry.path(), depth + 1));
            } else if Path::new(&name)
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(extension))
                && entry.path().is_file()
            {
                found.push((name, entry.path()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a list of names, trimmed, without empty ones; none where there is no such file.
///
/// # Errors
/// [`DatasetError`] if the file cannot be read, has more than 16 MiB or is not UTF-8.
pub(crate) fn lines_of(path: &Path) -> Result<Vec<String>, DatasetError> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let failed = |e| DatasetError::io(path, "read the list", &e);
    if fs::metadata(path).map_err(failed)?.len() > MAX_LIST {
        return Err(DatasetError::new(path, "the list has more than 16 MiB"));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The size of a picture that a data set names.
pub(crate) fn picture_size(path: &Path) -> Option<Size> {
    // Devices and pipes would be waited for.
    path.is_file().then(|| read_size(path).ok())?
}

/// The size of the picture in a file, whose kind its content shows: a PNG may be named `.jpg`.
pub(super) fn read_size(path: &Path) -> image::ImageResult<Size> {
    let reader = image::ImageReader::open(path)?.with_guessed_format()?;
    let (width, height) = reader.into_dimensions()?;
    Ok(Size::new(width, height))
}

/// The tight box of closed lines; none without points, or where a coordinate is not finite.
pub(crate) fn bounds_of(lines: &[Vec<[f64; 2]>]) -> Option<BoxXyxy> {
    let mut points = lines.iter().flatten();
    let [x, y] = *points.next()?;
    let mut found = [x, y, x, y];
    for &[x, y] in points {
        found = [
            found[0].min(x),
            found[1].min(y),
            found[2].max(x),
            found[3].max(y),
        ];
    }
    let all = lines.iter().flatten().flatten();
    let [x0, y0, x1, y1] = found.map(|v| v as f32);
    (all.into_iter().all(|v| v.is_finite()) && [x0, y0, x1, y1].iter().all(|v| v.is_finite()))
        .then(|| BoxXyxy::new(x0, y0, x1, y1))
}

/// An ellipse as a polygon of 64 vertices: `turned` in radians, clockwise as pictures have it.
pub(crate) fn ellipse(centre: [f64; 2], radii: [f64; 2], turned: f64) -> Vec<[f64; 2]> {
    (0..64)
        .map(|i| {
            let (sin, cos) = (f64::from(i) * std::f64::consts::TAU / 64.0).sin_cos();
            turn(
                [centre[0] + radii[0] * cos, centre[1] + radii[1] * sin],
                centre,
                turned,
            )
        })
        .collect()
}

/// A point turned about `centre` by an angle in radians, clockwise as pictures have it.
pub(crate) fn turn(point: [f64; 2], centre: [f64; 2], angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    let (x, y) = (point[0] - centre[0], point[1] - centre[1]);
    [centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos]
}

/// Annotations of one picture; polygons of one class and group (where there is one) are the parts of one object.
pub(crate) fn joined<G: Ord>(found: Vec<(Option<G>, Annotation)>) -> Vec<Annotation> {
    let mut places: BTreeMap<(G, Arc<str>), usize> = BTreeMap::new();
    let mut all: Vec<Annotation> = Vec::with_capacity(found.len());
    for (group, mut annotation) in found {
        let (Some(group), Some(Outline::Polygons(lines))) = (group, &mut annotation.outline) else {
            all.push(annotation);
            continue;
        };
        let place = *places
            .entry((group, annotation.label.clone()))
            .or_insert(all.len());
        match all.get_mut(place) {
            Some(Annotation {
                outline: Some(Outline::Polygons(known)),
                bbox,
                ..
            }) => {
                known.append(lines);
                let other = annotation.bbox;
                *bbox = BoxXyxy::new(
                    bbox.x0.min(other.x0),
                    bbox.y0.min(other.y0),
                    bbox.x1.max(other.x1),
                    bbox.y1.max(other.y1),
                );
            }
            _ => all.push(annotation),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_picture_is_read_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let picture = image::GrayImage::new(7, 5);
        let png = image::ImageFormat::Png;
        picture.save_with_format(&path, png).unwrap();
        assert_eq!(picture_size(&path), Some(Size::new(7, 5)));
        assert_eq!(picture_size(folder.path()), None);
    }
}
