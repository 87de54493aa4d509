//! Models that have a name: where they are published, at which revision, and the SHA-256 of their weights.
//!
//! A revision is a commit hash where one was found in public material that used it; those repositories whose commits
//! were not found stand at `main`, which hub and cache resolve to a commit when the model is first fetched. Where the
//! SHA-256 of the weights is published it is held here too and checked on every load, so that a branch that moved is noticed.

use super::embedded::EMBEDDED_MODELS;
use super::role::Role;

/// A model with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownModel {
    /// Its full name.
    pub name: &'static str,
    /// A shorter name, where it has one.
    pub alias: Option<&'static str>,
    /// What it does.
    pub role: Role,
    /// One line about it.
    pub description: &'static str,
    /// Repository on the hub, `org/name`.
    pub repo: &'static str,
    /// Commit hash, or `main`.
    pub revision: &'static str,
    /// Name of the checkpoint in the repository.
    pub weights: &'static str,
    /// SHA-256 of the checkpoint, where it is published.
    pub weights_sha256: Option<&'static str>,
    /// Further files: configuration and preprocessing.
    pub others: &'static [&'static str],
}

const CONFIGS: &[&str] = &["config.json", "preprocessor_config.json"];

const fn dfine(
    name: &'static str,
    alias: Option<&'static str>,
    description: &'static str,
    repo: &'static str,
    revision: &'static str,
    weights_sha256: Option<&'static str>,
) -> KnownModel {
    KnownModel {
        name,
        alias,
        role: Role::Detector,
        description,
        repo,
        revision,
        weights: "model.safetensors",
        weights_sha256,
        others: CONFIGS,
    }
}

/// All models with a name.
#[rustfmt::skip]
pub const KNOWN_MODELS: &[KnownModel] = &[
    dfine(
        "dfine-n-coco", Some("dfine-n"), "D-FINE nano, 80 classes of COCO",
        "ustc-community/dfine-nano-coco", "066438d3d8f0da137a37b38fdf3368fd4afceced",
        Some("19e06bdc873da819920a8d373b879721a5b9759d822f8213220bb09abbdab58b"),
    ),
    dfine(
        "dfine-s-coco", Some("dfine-s"), "D-FINE small, 80 classes of COCO",
        "ustc-community/dfine-small-coco", "f79e65b5fbb33ceb9d3ebba042955d7410c608f8",
        Some("a144baff3a27bfd538fe37b11fa8d4fca5744b8c054b5301e7c699a1379cd18f"),
    ),
    dfine(
        "dfine-m-coco", Some("dfine-m"), "D-FINE medium, 80 classes of COCO",
        "ustc-community/dfine-medium-coco", "4ab9f5e466432f4fcf9a9a023da6aa5ecc9c9829", None,
    ),
    dfine(
        "dfine-l-coco", Some("dfine-l"), "D-FINE large, 80 classes of COCO",
        "ustc-community/dfine-large-coco", "aa8f8211545e4cff5adf52ea512f9ac74a9824ec", None,
    ),
    dfine("dfine-x-coco", Some("dfine-x"), "D-FINE extra large, 80 classes of COCO", "ustc-community/dfine-xlarge-coco", "main", None),
    dfine(
        "dfine-s-obj2coco", None, "D-FINE small, trained on Objects365, then on COCO",
        "ustc-community/dfine-small-obj2coco", "2b548d12a7623d674bb2aa2bf24022ce090b7736", None,
    ),
    dfine("dfine-m-obj2coco", None, "D-FINE medium, trained on Objects365, then on COCO", "ustc-community/dfine-medium-obj2coco", "main", None),
    dfine("dfine-l-obj2coco", None, "D-FINE large, trained on Objects365, then on COCO", "ustc-community/dfine-large-obj2coco-e25", "main", None),
    dfine(
        "dfine-x-obj2coco", None, "D-FINE extra large, trained on Objects365, then on COCO",
        "ustc-community/dfine-xlarge-obj2coco", "15f18d917eaddcedf9e3ffb082adcfb97a0b2d4d", None,
    ),
    dfine("dfine-s-obj365", None, "D-FINE small, 366 classes of Objects365", "ustc-community/dfine-small-obj365", "main", None),
    dfine("dfine-m-obj365", None, "D-FINE medium, 366 classes of Objects365", "ustc-community/dfine-medium-obj365", "main", None),
    dfine("dfine-l-obj365", None, "D-FINE large, 366 classes of Objects365", "ustc-community/dfine-large-obj365", "main", None),
    dfine("dfine-x-obj365", None, "D-FINE extra large, 366 classes of Objects365", "ustc-community/dfine-xlarge-obj365", "main", None),
    KnownModel {
        name: "mobile-sam",
        alias: None,
        role: Role::Segmenter,
        description: "MobileSAM, the authors' checkpoint",
        repo: "dhkim2810/MobileSAM",
        revision: "main",
        weights: "mobile_sam.pt",
        weights_sha256: Some("6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"),
        others: &[],
    },
    KnownModel {
        name: "mobile-sam-safetensors",
        alias: None,
        role: Role::Segmenter,
        description: "MobileSAM, converted to safetensors",
        repo: "lmz/candle-sam",
        revision: "main",
        weights: "mobile_sam-tiny-vitt.safetensors",
        weights_sha256: None,
        others: &[],
    },
];

impl KnownModel {
    /// The model that has this name or alias.
    pub fn find(name: &str) -> Option<&'static Self> {
        KNOWN_MODELS
            .iter()
            .find(|model| model.name == name || model.alias == Some(name))
    }

    /// Its files: the small ones first, so that a cache with the weights is complete.
    pub fn files(&self) -> impl Iterator<Item = &'static str> {
        self.others
            .iter()
            .copied()
            .chain(std::iter::once(self.weights))
    }
}

/// Names that may be given for `role`, or for either.
pub(super) fn names(role: Option<Role>) -> Vec<&'static str> {
    let embedded = EMBEDDED_MODELS
        .iter()
        .filter(|model| role.is_none_or(|role| role == model.role))
        .map(|model| model.name);
    let matching = KNOWN_MODELS
        .iter()
        .filter(|model| role.is_none_or(|role| role == model.role));
    embedded
        .chain(
            matching.flat_map(|model| model.alias.into_iter().chain(std::iter::once(model.name))),
        )
        .collect()
}

/// The names for `role` that are closest to `text`, if they are so close that one of them may be meant.
pub(super) fn close_to(text: &str, role: Option<Role>) -> Vec<&'static str> {
    /// Maximum number of differences of a typing error.
    const MAX_DIFFERENCES: usize = 3;
    let text = text.to_lowercase();
    let allowed = (text.chars().count() / 4).clamp(1, MAX_DIFFERENCES);
    let distance = |name: &&str| strsim::damerau_levenshtein(&text, name);
    let names = names(role);
    let Some(smallest) = names
        .iter()
        .map(distance)
        .min()
        .filter(|smallest| *smallest <= allowed)
    else {
        return Vec::new();
    };
    names
        .iter()
        .filter(|name| distance(name) == smallest)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::hub::HubRepo;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn slips_are_answered_with_the_closest_names() {
        let of = |text, role| close_to(text, role).join(", ");
        assert_eq!(
            of("dfine-z", Some(Role::Detector)),
            "dfine-n, dfine-s, dfine-m, dfine-l, dfine-x"
        );
        assert_eq!(of("dfine-xx", None), "dfine-x");
        assert_eq!(of("DFINE_X", None), "dfine-x");
        assert_eq!(of("dfien-s-coco", None), "dfine-s-coco");
        assert_eq!(of("mobilesam", Some(Role::Segmenter)), "mobile-sam");
        assert_eq!(of("mobilesam", Some(Role::Detector)), "");
        assert_eq!(of("dfine", None), "");
        assert_eq!(of("yolo11n", None), "");
        assert_eq!(of("", None), "");
    }

    #[test]
    fn the_table_is_well_formed() {
        let mut seen = BTreeSet::new();
        for model in KNOWN_MODELS {
            assert!(
                seen.insert(model.name) && model.alias.is_none_or(|alias| seen.insert(alias)),
                "{} twice",
                model.name
            );
            let repo = HubRepo::new(model.repo, model.revision).unwrap();
            assert!(
                repo.is_pinned() || model.revision == "main",
                "{}",
                model.name
            );
            assert!(
                model.weights_sha256.is_none_or(|s| s.len() == 64),
                "{}",
                model.name
            );
            assert_eq!(model.files().last(), Some(model.weights));
        }
        for size in ["n", "s", "m", "l", "x"] {
            assert_eq!(
                KnownModel::find(&format!("dfine-{size}")),
                KnownModel::find(&format!("dfine-{size}-coco"))
            );
        }
        assert!(
            KnownModel::find("dfine-n")
                .unwrap()
                .revision
                .starts_with("066438d")
        );
    }
}
