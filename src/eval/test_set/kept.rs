//! Images and categories that are evaluated.

use super::align::Alignment;
use crate::{
    coco::{Category, Image},
    eval::file::Dataset,
};
use std::collections::{HashMap, HashSet};

/// A class by the ground truth's name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::eval) struct Class {
    pub(in crate::eval) id: i64,
    pub(in crate::eval) name: String,
}

/// The images and classes of the ground truth that are evaluated, by place, with their numbers.
pub(super) struct Kept {
    pub(super) images: HashMap<usize, u64>,
    pub(super) classes: HashMap<usize, u64>,
}

impl Kept {
    pub(super) fn of(truth: &Dataset<'_>, alignment: &Alignment) -> Self {
        let number = |count: usize, kept: &Option<HashSet<usize>>| {
            let places =
                (0..count).filter(|place| kept.as_ref().is_none_or(|kept| kept.contains(place)));
            places.zip(0u64..).collect::<HashMap<_, _>>()
        };
        Self {
            images: number(truth.images.len(), &alignment.common_images),
            classes: number(truth.categories.len(), &alignment.common_categories),
        }
    }

    pub(super) fn images<'a, 't>(&self, all: &'a [Image<'t>]) -> Vec<&'a Image<'t>> {
        all.iter()
            .enumerate()
            .filter(|(place, _)| self.images.contains_key(place))
            .map(|(_, image)| image)
            .collect()
    }

    pub(super) fn classes(&self, all: &[Category<'_>]) -> Vec<Class> {
        let kept = all
            .iter()
            .enumerate()
            .filter(|(place, _)| self.classes.contains_key(place));
        kept.map(|(_, category)| Class {
            id: category.id,
            name: category.name.to_string(),
        })
        .collect()
    }
}
