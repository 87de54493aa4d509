//! The random sets of `tests/fixtures/track_eval/make.py`, as files.

use crate::coco::rle::encode_counts;
use serde_json::json;
use std::{
    collections::HashSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

const WIDTH: i64 = 56;
const HEIGHT: i64 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mot17,
    Mot20,
    Mot15,
    Mots,
    Boxes,
    Masks,
}

impl Kind {
    pub(super) fn of(index: usize) -> Self {
        [
            Self::Mot17,
            Self::Mot20,
            Self::Mot15,
            Self::Mots,
            Self::Boxes,
            Self::Masks,
        ][index % 6]
    }

    fn is_mot(self) -> bool {
        matches!(self, Self::Mot17 | Self::Mot20 | Self::Mot15)
    }
}

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1));
        for _ in 0..4 {
            random.below(2);
        }
        random
    }

    fn below(&mut self, n: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % n
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    track: i64,
    class: i64,
    /// x, y, width, height.
    place: [i64; 4],
    is_unmarked: bool,
    is_region: bool,
}

type Frames = Vec<[Vec<Entry>; 2]>;

struct Track {
    place: [i64; 4],
    speed: [i64; 2],
    class: i64,
}

fn tracks(random: &mut Random, kind: Kind, grid: i64, count: i64) -> Vec<Track> {
    const MOT_CLASSES: [i64; 12] = [1, 1, 1, 1, 1, 2, 3, 6, 7, 8, 12, 13];
    let mut tracks: Vec<Track> = Vec::new();
    for i in 0..count {
        let mut place = [40, 28].map(|n| grid * random.below(n / grid)).to_vec();
        place.extend([16, 12].map(|n| grid * (1 + random.below(n / grid))));
        let mut place = [place[0], place[1], place[2], place[3]];
        let mut speed = [(); 2].map(|()| grid * (random.below(3) - 1));
        if i > 0 && random.chance(25) {
            let before = &tracks[i as usize - 1];
            (place, speed) = (before.place, before.speed);
        }
        let class = match kind {
            Kind::Mot17 | Kind::Mot20 => MOT_CLASSES[random.below(12) as usize],
            Kind::Mot15 => -1,
            Kind::Mots => 1 + random.below(2),
            Kind::Boxes | Kind::Masks => 1 + random.below(2) + i64::from(random.chance(10)),
        };
        tracks.push(Track {
            place,
            speed,
            class,
        });
    }
    tracks
}

fn sequence(random: &mut Random, kind: Kind, number: i64) -> Frames {
    let grid = [1, 2, 8][random.below(3) as usize];
    let length = 1 + random.below(9);
    let count = if random.chance(12) {
        9 + random.below(8)
    } else {
        random.below(6)
    };
    let (no_truth, no_predictions) = (random.chance(8), random.chance(8));
    let tracks = tracks(random, kind, grid, count);
    let mut current: Vec<i64> = (1..=count).collect();
    let mut fresh = 100 * (number + 1);
    let mut frames = Vec::new();
    for t in 0..length {
        let [mut truth, mut predictions] = [Vec::new(), Vec::new()];
        let mut used = HashSet::new();
        for (i, track) in tracks.iter().enumerate() {
            if !random.chance(80) {
                continue;
            }
            let [x, y, width, height] = track.place;
            let now = [
                x + track.speed[0] * t,
                y + track.speed[1] * t,
                width,
                height,
            ];
            let entry = Entry {
                track: i as i64 + 1,
                class: track.class,
                place: now,
                is_unmarked: kind.is_mot() && random.chance(12),
                is_region: false,
            };
            truth.push(entry);
            if random.chance(8) {
                fresh += 1;
                current[i] = fresh;
            }
            if random.chance(6) {
                current.swap(i, random.below(count) as usize);
            }
            if !random.chance(85) || used.contains(&current[i]) {
                continue;
            }
            let mut near = now;
            if random.chance(45) {
                let step = (grid / 2).max(1);
                near[0] += step * (random.below(3) - 1);
                near[1] += step * (random.below(3) - 1);
            }
            used.insert(current[i]);
            let class = if random.chance(8) {
                1 + random.below(2)
            } else {
                track.class
            };
            predictions.push(Entry {
                track: current[i],
                class,
                place: near,
                is_unmarked: false,
                is_region: false,
            });
        }
        noise(random, kind, grid, &mut truth, &mut predictions);
        if no_truth {
            truth.clear();
        }
        if no_predictions {
            predictions.clear();
        }
        frames.push([truth, predictions]);
    }
    frames
}

/// A false positive, a region, another order.
fn noise(
    random: &mut Random,
    kind: Kind,
    grid: i64,
    truth: &mut Vec<Entry>,
    predictions: &mut Vec<Entry>,
) {
    if random.chance(35) {
        let track = 900 + random.below(3);
        let class = 1 + random.below(2);
        let [x, y] = [40, 28].map(|n| grid * random.below(n / grid));
        predictions.push(Entry {
            track,
            class,
            place: [x, y, 8, 8],
            is_unmarked: false,
            is_region: false,
        });
    }
    if !kind.is_mot() && random.chance(40) {
        let [x, y] = [30, 20].map(|n| random.below(n));
        let [width, height] = [20, 16].map(|n| 8 + random.below(n));
        let class = if kind == Kind::Mots {
            10
        } else {
            1 + random.below(2)
        };
        let region = Entry {
            track: 10_000,
            class,
            place: [x, y, width, height],
            is_unmarked: false,
            is_region: true,
        };
        truth.insert(0, region);
    }
    if random.chance(50) {
        predictions.reverse();
    }
}

/// Entries with masks: the box and a ledge below it, inside the picture; `apart`: later ones cover earlier ones.
fn painted(entries: &[Entry], apart: bool) -> Vec<(Entry, String)> {
    let mut masks: Vec<Vec<bool>> = Vec::new();
    for entry in entries {
        let [x, y, w, h] = entry.place;
        let mut mask = vec![false; (WIDTH * HEIGHT) as usize];
        for [x0, y0, x1, y1] in [[x, y, x + w, y + h], [x + 1, y + h, x + w + 2, y + h + 2]] {
            for column in x0.max(0)..x1.min(WIDTH) {
                for row in y0.max(0)..y1.min(HEIGHT) {
                    mask[(column * HEIGHT + row) as usize] = true;
                }
            }
        }
        if apart {
            for other in &mut masks {
                for (pixel, covered) in other.iter_mut().zip(&mask) {
                    *pixel &= !covered;
                }
            }
        }
        masks.push(mask);
    }
    let kept = entries
        .iter()
        .zip(masks)
        .filter(|(_, mask)| mask.contains(&true));
    kept.map(|(entry, mask)| {
        let mut counts = vec![0u32];
        let mut value = false;
        for pixel in mask {
            if pixel != value {
                (value, _) = (pixel, counts.push(0));
            }
            if let Some(last) = counts.last_mut() {
                *last += 1;
            }
        }
        (*entry, encode_counts(&counts))
    })
    .collect()
}

/// Writes set `index` below `folder`; ground truth and predictions.
pub(super) fn write(index: usize, folder: &Path) -> [PathBuf; 2] {
    let (kind, mut random) = (Kind::of(index), Random::new(index as u64));
    let count = 1 + random.below(3);
    let sequences: Vec<Frames> = (0..count)
        .map(|number| sequence(&mut random, kind, number))
        .collect();
    if matches!(kind, Kind::Boxes | Kind::Masks) {
        return [0, 1].map(|side| write_coco(&sequences, kind, side, folder));
    }
    let name = |number: usize| match kind {
        Kind::Mot20 => format!("MOT20-0{number}"),
        _ => format!("S-{number}"),
    };
    let (truth, predictions) = (folder.join("gt"), folder.join("tracker"));
    fs::create_dir_all(&predictions).unwrap();
    for (number, frames) in sequences.iter().enumerate() {
        let own = truth.join(name(number));
        fs::create_dir_all(own.join("gt")).unwrap();
        let info = format!(
            "[Sequence]\nname={}\nseqLength={}\n",
            name(number),
            frames.len()
        );
        fs::write(own.join("seqinfo.ini"), info).unwrap();
        fs::write(own.join("gt/gt.txt"), lines(frames, kind, 0)).unwrap();
        let file = predictions.join(format!("{}.txt", name(number)));
        fs::write(file, lines(frames, kind, 1)).unwrap();
    }
    [truth, predictions]
}

fn lines(frames: &Frames, kind: Kind, side: usize) -> String {
    let mut text = String::new();
    for (t, frame) in frames.iter().enumerate() {
        let number = t + 1;
        if kind == Kind::Mots {
            for (e, counts) in painted(&frame[side], true) {
                let (track, class) = (e.track, e.class);
                writeln!(text, "{number} {track} {class} {HEIGHT} {WIDTH} {counts}").unwrap();
            }
            continue;
        }
        for e in &frame[side] {
            let [x, y, w, h] = e.place;
            let mark = u8::from(!e.is_unmarked);
            let class = if side == 0 { e.class } else { 1 };
            writeln!(
                text,
                "{number},{},{x},{y},{w},{h},{mark},{class},1.0",
                e.track
            )
            .unwrap();
        }
    }
    text
}

fn write_coco(sequences: &[Frames], kind: Kind, side: usize, folder: &Path) -> PathBuf {
    let (mut images, mut annotations, mut videos) = (Vec::new(), Vec::new(), Vec::new());
    for (number, frames) in sequences.iter().enumerate() {
        videos.push(json!({"id": number, "name": format!("S-{number}")}));
        for (t, frame) in frames.iter().enumerate() {
            let id = images.len() + 1;
            images.push(json!({
                "id": id, "video_id": number, "frame_id": t, "width": WIDTH, "height": HEIGHT,
                "file_name": format!("S-{number}/{t:06}.png"),
            }));
            let mut add = |e: &Entry, mask: Option<String>| {
                let mut one = json!({
                    "id": annotations.len() + 1, "image_id": id, "category_id": e.class, "bbox": e.place, "score": 0.9,
                    "iscrowd": u8::from(e.is_region),
                });
                // The two places where writers put it.
                if side == 0 {
                    one["track_id"] = json!(e.track);
                } else {
                    one["attributes"] = json!({"track_id": e.track});
                }
                if let Some(counts) = mask {
                    one["segmentation"] = json!({"size": [HEIGHT, WIDTH], "counts": counts});
                }
                annotations.push(one);
            };
            if kind == Kind::Masks {
                for (e, counts) in painted(&frame[side], false) {
                    add(&e, Some(counts));
                }
            } else {
                frame[side].iter().for_each(|e| add(e, None));
            }
        }
    }
    let categories: Vec<_> = (1..=3)
        .map(|id| json!({"id": id, "name": format!("class {id}")}))
        .collect();
    let file = folder.join(["gt.json", "tracker.json"][side]);
    let text = json!({
        "images": images, "annotations": annotations, "categories": categories, "videos": videos,
    });
    fs::write(&file, text.to_string()).unwrap();
    file
}
