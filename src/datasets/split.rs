//! Parts of a data set: train, val, test.

use super::item::Item;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
    sync::Arc,
};

/// Names of the parts, in the order of their shares.
pub const PARTS: [&str; 3] = ["train", "val", "test"];

/// Shares of the parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares([f64; 3]);

/// Shares that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}: not shares of train, val and test; give two or three numbers from 0 to 1 whose sum is 1, as 0.8,0.1,0.1"
)]
pub struct SharesError(String);

impl std::fmt::Display for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [train, val, test] = self.0;
        write!(f, "{train},{val},{test}")
    }
}

impl FromStr for Shares {
    type Err = SharesError;

    fn from_str(text: &str) -> Result<Self, SharesError> {
        let bad = || SharesError(text.to_owned());
        let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
        let mut shares = numbers
            .filter(|n| (2..=3).contains(&n.len()))
            .ok_or_else(bad)?;
        shares.resize(3, 0.0);
        let within = shares.iter().all(|share| (0.0..=1.0).contains(share));
        if !within || (shares.iter().sum::<f64>() - 1.0).abs() > 1e-6 {
            return Err(bad());
        }
        Ok(Self([shares[0], shares[1], shares[2]]))
    }
}

/// What stays together when a data set is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SplitBy {
    /// All pictures of a video, DICOM source or sequence.
    #[default]
    Source,
    /// All pictures of a patient (DICOM's Patient ID, which the record has where patient data are kept); where there is no
    /// patient, all of a source.
    Patient,
    /// Nothing: neighbouring frames may be in different parts.
    Frame,
}

/// Which part each picture of a data set belongs to.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    by_group: Option<Arc<HashMap<String, usize>>>,
    by: SplitBy,
}

impl Parts {
    /// Whether the data set is divided.
    pub fn are_there(&self) -> bool {
        self.by_group.is_some()
    }

    /// The names of the parts that have pictures, in the order train, val, test; `train` alone where there is no division.
    pub fn names(&self) -> Vec<&'static str> {
        match &self.by_group {
            None => vec![PARTS[0]],
            Some(groups) => (0..PARTS.len())
                .filter(|part| groups.values().any(|p| p == part))
                .map(|part| PARTS[part])
                .collect(),
        }
    }

    /// The part of a picture; `train` where there is no division.
    pub fn of(&self, item: &Item) -> &'static str {
        let part = self
            .by_group
            .as_ref()
            .and_then(|groups| groups.get(group(self.by, item)));
        PARTS[part.copied().unwrap_or(0)]
    }
}

fn group(by: SplitBy, item: &Item) -> &str {
    let patient = || {
        item.place
            .as_ref()?
            .attributes
            .get("PatientID")
            .map(String::as_str)
    };
    match by {
        SplitBy::Source => item.source(),
        SplitBy::Patient => patient().unwrap_or_else(|| item.source()),
        SplitBy::Frame => &item.file_name,
    }
}

/// Counts the pictures of each group, then divides the groups.
#[derive(Debug)]
pub struct Division {
    shares: Shares,
    by: SplitBy,
    seed: u64,
    groups: BTreeMap<String, u64>,
}

impl Division {
    /// A division of no pictures yet. The same groups and `seed` give the same parts, whatever their order.
    pub fn new(shares: Shares, by: SplitBy, seed: u64) -> Self {
        Self {
            shares,
            by,
            seed,
            groups: BTreeMap::new(),
        }
    }

    /// Adds a picture.
    pub fn count(&mut self, item: &Item) {
        *self
            .groups
            .entry(group(self.by, item).to_owned())
            .or_default() += 1;
    }

    /// The parts: groups in an order drawn from the seed, each given to the part that is furthest below its share of pictures.
    pub fn parts(self) -> Parts {
        let total: u64 = self.groups.values().sum();
        let mut order: Vec<(Vec<u8>, &String, u64)> = self
            .groups
            .iter()
            .map(|(group, count)| {
                let digest = Sha256::new()
                    .chain_update(self.seed.to_le_bytes())
                    .chain_update(group.as_bytes())
                    .finalize();
                (digest.to_vec(), group, *count)
            })
            .collect();
        // Large groups first, so that the small ones even out what is left.
        order.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        let mut have = [0u64; 3];
        let mut parts = HashMap::with_capacity(order.len());
        for (_, group, count) in order {
            let missing = |part: usize| self.shares.0[part] * total as f64 - have[part] as f64;
            let part = (0..PARTS.len())
                .filter(|&part| self.shares.0[part] > 0.0)
                .max_by(|&a, &b| missing(a).total_cmp(&missing(b)).then(b.cmp(&a)))
                .unwrap_or(0);
            have[part] += count;
            parts.insert(group.clone(), part);
        }
        Parts {
            by_group: Some(Arc::new(parts)),
            by: self.by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{datasets::item::Place, frame::SourceKind, geometry::Size};

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

    fn divided(items: &[Item], by: SplitBy, seed: u64) -> (Parts, [usize; 3]) {
        let mut division = Division::new("0.8,0.1,0.1".parse().unwrap(), by, seed);
        items.iter().for_each(|item| division.count(item));
        let parts = division.parts();
        let count = |name: &&str| items.iter().filter(|item| parts.of(item) == *name).count();
        let counts = [count(&PARTS[0]), count(&PARTS[1]), count(&PARTS[2])];
        (parts, counts)
    }

    #[test]
    fn shares_are_two_or_three_numbers_that_sum_to_one() {
        assert_eq!("0.8,0.2".parse(), Ok(Shares([0.8, 0.2, 0.0])));
        for bad in [
            "",
            "1",
            "0.5,0.6",
            "0.5,0.5,0.5",
            "-0.1,1.1",
            "a,b",
            "nan,1",
        ] {
            assert!(bad.parse::<Shares>().is_err(), "{bad}");
        }
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
}
