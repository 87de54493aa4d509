//! Files to series: single-frame files of one series become one sequence, in order of position or instance number.

use super::{error::DicomError, file::DicomFile};
use dicom_dictionary_std::tags;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Files that make up one source: one multi-frame, video or lone file, or the sorted single-frame files of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Series {
    /// The files in order.
    pub files: Vec<PathBuf>,
    /// A short name without anything that identifies: `series-N` by Series Number, made unique within a scan. Meant for
    /// series of several files; a lone file has a name of its own.
    pub label: String,
    /// Whether the one file's pixel data are a video stream.
    pub video: bool,
}

/// What a scan of files found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Scan {
    /// Series in the order in which their first files were given.
    pub series: Vec<Series>,
    /// Files that are not DICOM images, with the reason.
    pub failures: Vec<(PathBuf, DicomError)>,
}

/// What sorting needs of one file.
struct Entry {
    path: PathBuf,
    /// Place in the list of files.
    rank: usize,
    instance: Option<i64>,
    /// Position along the slice normal with the normal itself, in millimetres.
    position: Option<(f64, [f64; 3])>,
}

/// Files belong together if they share the series, the size and, where stated, nothing else differs.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    series: Option<String>,
    size: (i64, i64),
    /// Keeps files apart that are sources of their own.
    lone: Option<usize>,
}

/// Reads the attributes of `paths` and groups them into series by Series Instance UID and size.
///
/// A series is sorted by position along the slice normal where every file has one of its own and all normals agree,
/// else by Instance Number, else as given. Multi-frame and video files, and files without a Series Instance UID, stay
/// alone. A DICOMDIR among the files is passed over (see [`directory_files`](super::directory_files)).
pub fn scan(paths: &[PathBuf]) -> Scan {
    let mut out = Scan::default();
    let mut groups: BTreeMap<Key, (Option<i64>, bool, Vec<Entry>)> = BTreeMap::new();
    for (rank, path) in paths.iter().enumerate() {
        match DicomFile::open(path) {
            Ok(file) if file.is_directory() => {}
            Ok(file) if !file.has_pixel_data() => {
                out.failures.push((path.clone(), file.without_pixels()))
            }
            Ok(file) => {
                let (key, entry) = (key(&file, rank), entry(&file, path, rank));
                let number = file.attributes().int(tags::SERIES_NUMBER);
                groups
                    .entry(key)
                    .or_insert_with(|| (number, file.is_video(), Vec::new()))
                    .2
                    .push(entry);
            }
            Err(e) => out.failures.push((path.clone(), e)),
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(_, _, entries)| entries.iter().map(|e| e.rank).min());
    let mut used = BTreeMap::<String, usize>::new();
    for (number, video, mut entries) in groups {
        sort(&mut entries);
        let label = number.map_or_else(|| "series".to_owned(), |n| format!("series-{n}"));
        let count = used.entry(label.clone()).or_default();
        *count += 1;
        let label = if *count == 1 {
            label
        } else {
            format!("{label}-{count}")
        };
        out.series.push(Series {
            files: entries.into_iter().map(|e| e.path).collect(),
            label,
            video,
        });
    }
    out
}

impl DicomFile {
    /// Whether the transfer syntax is one of the video ones.
    pub fn is_video(&self) -> bool {
        matches!(
            self.syntax.pixels,
            Some(super::syntax::PixelEncoding::Video(_))
        )
    }
}

fn key(file: &DicomFile, rank: usize) -> Key {
    let a = file.attributes();
    let series = a.text(tags::SERIES_INSTANCE_UID);
    let alone =
        series.is_none() || file.is_video() || a.int(tags::NUMBER_OF_FRAMES).is_some_and(|n| n > 1);
    let size = (
        a.int(tags::COLUMNS).unwrap_or_default(),
        a.int(tags::ROWS).unwrap_or_default(),
    );
    Key {
        series,
        size,
        lone: alone.then_some(rank),
    }
}

fn entry(file: &DicomFile, path: &Path, rank: usize) -> Entry {
    let a = file.attributes();
    let position = a
        .floats(tags::IMAGE_ORIENTATION_PATIENT)
        .zip(a.floats(tags::IMAGE_POSITION_PATIENT))
        .and_then(|(o, p)| {
            let (&[rx, ry, rz, cx, cy, cz], &[px, py, pz]) = (
                o.as_slice().first_chunk::<6>()?,
                p.as_slice().first_chunk::<3>()?,
            );
            let normal = [ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx];
            Some((normal[0] * px + normal[1] * py + normal[2] * pz, normal))
        });
    Entry {
        path: path.to_owned(),
        rank,
        instance: a.int(tags::INSTANCE_NUMBER),
        position,
    }
}

fn sort(entries: &mut [Entry]) {
    if by_position(entries) {
        entries.sort_by(|a, b| {
            a.position
                .map_or(0.0, |p| p.0)
                .total_cmp(&b.position.map_or(0.0, |p| p.0))
        });
    } else if entries.iter().all(|e| e.instance.is_some()) {
        entries.sort_by_key(|e| (e.instance, e.rank));
    }
}

/// Whether all files have positions along one normal, no two the same.
fn by_position(entries: &[Entry]) -> bool {
    const SAME_NORMAL: f64 = 1e-3;
    const SAME_PLACE_MM: f64 = 1e-3;
    let positions: Option<Vec<_>> = entries.iter().map(|e| e.position).collect();
    let Some(positions) = positions.filter(|p| p.len() > 1) else {
        return false;
    };
    let Some(&(_, first)) = positions.first() else {
        return false;
    };
    let parallel = positions.iter().all(|(_, n)| {
        n.iter()
            .zip(first)
            .all(|(a, b)| (a - b).abs() < SAME_NORMAL)
    });
    let mut places: Vec<f64> = positions.iter().map(|p| p.0).collect();
    places.sort_by(f64::total_cmp);
    let apart = places
        .windows(2)
        .all(|w| matches!(w, [a, b] if b - a > SAME_PLACE_MM));
    parallel && apart && first.iter().any(|x| x.abs() > 0.5)
}
