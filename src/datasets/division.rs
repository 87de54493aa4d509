//! The division of a data set into its parts.

use super::{
    item::Item,
    sequences::sequence_of,
    split::{PARTS, Parts, Shares, SplitBy, group},
};
use crate::{geometry::Size, text::counted};
use sha2::{Digest, Sha256};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Counts the pictures of each group, then divides the groups.
#[derive(Debug)]
pub struct Division {
    shares: Shares,
    by: SplitBy,
    seed: u64,
    groups: BTreeMap<String, u64>,
    /// Pictures that may be frames of a sequence that is not named, by the sequence.
    loose: BTreeMap<String, Loose>,
    /// Whether sources are named, so that pictures without one are stills.
    named: bool,
}

/// Pictures whose names differ in a number alone.
#[derive(Debug, Default)]
struct Loose {
    names: BTreeMap<String, u64>,
    sizes: BTreeSet<(u32, u32)>,
}

impl Loose {
    /// Frames of one recording have one size; numbered stills of all kinds have many.
    fn is_sequence(&self) -> bool {
        self.names.len() > 1 && self.sizes.len() == 1
    }
}

/// Pictures that stay together.
struct Group {
    /// What the seed draws the order by.
    name: String,
    /// What [`group`] gives for its pictures.
    keys: Vec<String>,
    pictures: u64,
}

impl Division {
    /// A division of no pictures yet. The same groups and `seed` give the same parts, whatever their order.
    pub fn new(shares: Shares, by: SplitBy, seed: u64) -> Self {
        Self {
            shares,
            by,
            seed,
            groups: BTreeMap::new(),
            loose: BTreeMap::new(),
            named: false,
        }
    }

    /// Takes pictures without a source for stills, as those of a record are, which names all sources.
    #[must_use]
    pub fn of_named_sources(mut self) -> Self {
        self.named = true;
        self
    }

    /// Adds a picture.
    pub fn count(&mut self, item: &Item) {
        self.named |= item.place.is_some();
        let sequence = match (&item.place, self.by) {
            (None, SplitBy::Source | SplitBy::Patient) => sequence_of(&item.file_name),
            _ => None,
        };
        let groups = match sequence {
            Some(sequence) => {
                let Size { width, height } = item.size;
                let loose = self.loose.entry(sequence).or_default();
                loose.sizes.insert((width, height));
                &mut loose.names
            }
            None => &mut self.groups,
        };
        *groups.entry(group(self.by, item).to_owned()).or_default() += 1;
    }

    /// The groups in an order drawn from the seed, large ones first, so that the small ones even out what is left.
    fn groups(self) -> Vec<Group> {
        let alone = |(name, pictures): (String, u64)| Group {
            keys: vec![name.clone()],
            name,
            pictures,
        };
        let mut groups: Vec<Group> = self.groups.into_iter().map(alone).collect();
        for (name, loose) in self.loose {
            if self.named || !loose.is_sequence() {
                groups.extend(loose.names.into_iter().map(alone));
                continue;
            }
            groups.push(Group {
                name,
                pictures: loose.names.values().sum(),
                keys: loose.names.into_keys().collect(),
            });
        }
        groups.sort_by_cached_key(|group| {
            let digest = Sha256::new()
                .chain_update(self.seed.to_le_bytes())
                .chain_update(group.name.as_bytes())
                .finalize();
            (Reverse(group.pictures), digest.to_vec())
        });
        groups
    }

    /// The parts: groups in an order drawn from the seed, each given to the part that is furthest below its share of pictures.
    pub fn parts(self) -> Parts {
        let (shares, by) = (self.shares.0, self.by);
        let groups = self.groups();
        let total: u64 = groups.iter().map(|group| group.pictures).sum();
        let number = groups.len();
        let mut counts = [0u64; 3];
        let mut parts = HashMap::with_capacity(number);
        for group in groups {
            let missing = |part: usize| shares[part] * total as f64 - counts[part] as f64;
            let part = (0..PARTS.len())
                .filter(|&part| shares[part] > 0.0)
                .max_by(|&a, &b| missing(a).total_cmp(&missing(b)).then(b.cmp(&a)))
                .unwrap_or(0);
            counts[part] += group.pictures;
            parts.extend(group.keys.into_iter().map(|key| (key, part)));
        }
        let empty = (0..PARTS.len()).filter(|&part| shares[part] > 0.0 && counts[part] == 0);
        let notes = empty.map(|part| {
            let (name, share, pictures) = (PARTS[part], shares[part], counted(total, "picture"));
            let groups = number as u64;
            let unit = match by {
                SplitBy::Source => "source",
                SplitBy::Patient => "patient",
                SplitBy::Frame => {
                    return format!("{name}: has none of {pictures}, {share} of which are less than one; give it a larger share");
                }
            };
            let there = if groups == 1 { "there is" } else { "there are" };
            format!(
                "{name}: has none of {pictures}: those of one {unit} stay together, and {there} {}; add others, give it a larger share, or divide \
                 by frame if these are pictures of their own",
                counted(groups, unit)
            )
        });
        Parts {
            notes: notes.collect(),
            by_group: Some(Arc::new(parts)),
            by,
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{datasets::item::Place, frame::SourceKind};

    fn item(source: &str, frame: u64, patient: Option<&str>) -> Item {
        let attributes = patient.map(|id| ("PatientID".to_owned(), id.to_owned()));
        Item {
            file_name: format!("{source}/{frame:06}.png"),
            original: None,
            size: Size::new(4, 4),
            place: Some(Place {
                source: source.into(),
                kind: SourceKind::Video,
                path: "in".into(),
                file: None,
                frame,
                timestamp: None,
                frame_rate: None,
                attributes: Arc::new(attributes.into_iter().collect()),
            }),
            annotations: Vec::new(),
            physical: None,
            exif_orientation: None,
            changes: Vec::new(),
        }
    }

    /// A picture of a data set that names no source.
    fn loose(file_name: &str, width: u32) -> Item {
        Item {
            file_name: file_name.to_owned(),
            size: Size::new(width, 4),
            place: None,
            ..item("none", 0, None)
        }
    }

    /// Whether all pictures are in the same part, for each of many seeds.
    fn stay_together(items: &[Item], by: SplitBy) -> bool {
        (0..20).all(|seed| {
            // Others, so that there is something to divide.
            let mut all: Vec<Item> = (0..10).map(|i| loose(&format!("other{i}/x"), 4)).collect();
            all.extend_from_slice(items);
            let (parts, _) = divided(&all, by, seed);
            items
                .iter()
                .all(|item| parts.of(item) == parts.of(&items[0]))
        })
    }

    fn divided(items: &[Item], by: SplitBy, seed: u64) -> (Parts, [usize; 3]) {
        let mut division = Division::new("0.8,0.1,0.1".parse().unwrap(), by, seed);
        items.iter().for_each(|item| division.count(item));
        let parts = division.parts();
        let count = |name: &&str| items.iter().filter(|item| parts.of(item) == *name).count();
        let counts = [count(&PARTS[0]), count(&PARTS[1]), count(&PARTS[2])];
        (parts, counts)
    }

    #[test]
    fn no_source_and_no_patient_is_in_two_parts() {
        let items: Vec<Item> = (0..40)
            .flat_map(|clip| {
                (0..10).map(move |frame| {
                    item(
                        &format!("clip{clip}"),
                        frame,
                        Some(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][clip % 10]),
                    )
                })
            })
            .collect();
        let (parts, counts) = divided(&items, SplitBy::Source, 7);
        assert_eq!(counts, [320, 40, 40]);
        for clip in items.chunks(10) {
            assert!(clip.iter().all(|item| parts.of(item) == parts.of(&clip[0])));
        }
        let (parts, counts) = divided(&items, SplitBy::Patient, 7);
        assert_eq!(counts, [320, 40, 40]);
        let patients = |name: &str| -> Vec<&String> {
            let mut found: Vec<&String> = items
                .iter()
                .filter(|item| parts.of(item) == name)
                .map(|item| &item.place.as_ref().unwrap().attributes["PatientID"])
                .collect();
            found.sort();
            found.dedup();
            found
        };
        assert_eq!(
            PARTS.map(|part| patients(part).len()).iter().sum::<usize>(),
            10
        );
        assert_eq!(divided(&items, SplitBy::Frame, 7).1, [320, 40, 40]);
    }

    #[test]
    fn the_seed_decides_and_the_order_does_not() {
        let mut items: Vec<Item> = (0..50)
            .map(|clip| item(&format!("clip{clip}"), 0, None))
            .collect();
        let of = |items: &[Item], seed| -> BTreeMap<String, &'static str> {
            let (parts, _) = divided(items, SplitBy::Source, seed);
            items
                .iter()
                .map(|item| (item.file_name.clone(), parts.of(item)))
                .collect()
        };
        let first = of(&items, 1);
        assert_ne!(first, of(&items, 2));
        items.reverse();
        assert_eq!(first, of(&items, 1));
    }

    #[test]
    fn numbered_pictures_of_one_folder_and_size_are_one_source_where_none_is_named() {
        let frames = |of: fn(u32) -> String| -> Vec<Item> {
            (5..9).map(|number| loose(&of(number), 4)).collect()
        };
        for of in [
            (|n| format!("a/clip/{n:06}.png")) as fn(u32) -> String,
            |n| format!("{n:06}.png"),
            |n| format!("clip1_frame{n}.jpg"),
            |n| format!("a/{}_left.png", 10 * n),
        ] {
            let frames = frames(of);
            assert!(stay_together(&frames, SplitBy::Source), "{frames:?}");
            assert!(stay_together(&frames, SplitBy::Patient), "{frames:?}");
            assert!(!stay_together(&frames, SplitBy::Frame), "{frames:?}");
        }
        for of in [
            (|n| format!("clip{n}/000000.png")) as fn(u32) -> String,
            |n| {
                format!(
                    "a/{}.png",
                    ["nerve", "vein", "bone", "skin"][n as usize - 5]
                )
            },
        ] {
            assert!(!stay_together(&frames(of), SplitBy::Source));
        }
    }

    #[test]
    fn numbered_pictures_of_several_sizes_are_stills() {
        let stills: Vec<Item> = (0..9)
            .map(|n| loose(&format!("{n:012}.jpg"), 4 + n % 2))
            .collect();
        assert!(!stay_together(&stills, SplitBy::Source));
    }

    #[test]
    fn where_sources_are_named_other_pictures_are_stills() {
        let mut items: Vec<Item> = (0..9).map(|n| loose(&format!("{n:06}.jpg"), 4)).collect();
        let record = Division::new("0.8,0.1,0.1".parse().unwrap(), SplitBy::Source, 0);
        let mut record = record.of_named_sources();
        items.iter().for_each(|item| record.count(item));
        assert_eq!(record.parts().counts(), [7, 1, 1]);
        items.push(item("clip", 0, None));
        assert_eq!(divided(&items, SplitBy::Source, 0).0.counts(), [8, 1, 1]);
    }

    #[test]
    fn the_parts_are_the_same_whether_sources_are_named_or_not() {
        let named: Vec<Item> = (0..20)
            .flat_map(|clip| (0..3).map(move |frame| item(&format!("clip{clip}"), frame, None)))
            .collect();
        let unnamed: Vec<Item> = named.iter().map(|item| loose(&item.file_name, 4)).collect();
        let of = |items: &[Item]| -> Vec<&'static str> {
            let parts = divided(items, SplitBy::Source, 3).0;
            items.iter().map(|item| parts.of(item)).collect()
        };
        assert_eq!(of(&named), of(&unnamed));
    }

    #[test]
    fn an_empty_part_is_noted() {
        let items: Vec<Item> = (0..9).map(|n| loose(&format!("{n:06}.jpg"), 4)).collect();
        let parts = divided(&items, SplitBy::Source, 0).0;
        assert_eq!(parts.counts(), [9, 0, 0]);
        assert_eq!(parts.notes().len(), 2);
        assert!(
            parts.notes()[0].starts_with("val: has none of 9 pictures: those of one source stay together, and there is 1 source;"),
            "{:?}",
            parts.notes()
        );
        assert!(divided(&items, SplitBy::Frame, 0).0.notes().is_empty());
    }
}
