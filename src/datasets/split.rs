//! Parts of a data set: train, val, test.

use super::item::Item;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, str::FromStr, sync::Arc};

/// Names of the parts, in the order of their shares.
pub const PARTS: [&str; 3] = ["train", "val", "test"];

/// Shares of the parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares(pub(super) [f64; 3]);

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SplitBy {
    /// All pictures of a video, DICOM source or sequence. A data set that names no source may still hold frames: there, pictures
    /// of one folder and one size whose names differ in their last number alone are those of a source.
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
    pub(super) by_group: Option<Arc<HashMap<String, usize>>>,
    pub(super) by: SplitBy,
    pub(super) counts: [u64; 3],
    /// A note for each requested part that has no pictures.
    pub(super) notes: Vec<String>,
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

    /// Pictures of each part, in the order of [`PARTS`]; none where there is no division.
    pub fn counts(&self) -> [u64; 3] {
        self.counts
    }

    /// What a user should know of the division: the requested parts that have no pictures.
    pub fn notes(&self) -> &[String] {
        &self.notes
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

/// What a picture stays together with.
pub(super) fn group(by: SplitBy, item: &Item) -> &str {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
