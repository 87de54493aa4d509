//! Names of the classes.

use super::{
    labels_error::LabelsError,
    labels_file::{self, Names},
};
use std::{collections::BTreeMap, sync::Arc};

/// Microsoft COCO's 80 classes, in the order of the detector's outputs.
const COCO: &str = include_str!("labels/coco.txt");
/// Objects365's classes; the first output stands for none of them.
const OBJECTS365: &str = include_str!("labels/objects365.txt");

/// A name for each class. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Arc<[Arc<str>]>,
    /// Where the names are those of a data set's categories, their ids, ascending.
    ids: Option<Arc<[usize]>>,
}

impl Labels {
    /// Labels from names in class order.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            names: names
                .into_iter()
                .map(|name| Arc::from(name.as_ref()))
                .collect(),
            ids: None,
        }
    }

    /// Reads a file of names: one name a line in class order, a JSON list, a COCO file (its categories), or the data.yaml of
    /// Ultralytics (its names). `origin` is the file, whose extension says what it is where its contents do not.
    ///
    /// # Errors
    /// [`LabelsError::Line`] for a blank line among the names or a control character in one, [`LabelsError::Format`] for other faults.
    pub fn parse(origin: &str, text: &str) -> Result<Self, LabelsError> {
        Ok(match labels_file::read(origin, text)? {
            Names::Ordered(names) => Self::new(names),
            Names::ById(names) => Self {
                ids: Some(names.keys().copied().collect()),
                ..Self::new(names.into_values())
            },
        })
    }

    /// The names for a head of `classes`. Categories of a data set are its classes in the order of their ids; or, where there are as many
    /// classes as the greatest id and one more, by their ids, and classes without a category are called by their numbers.
    fn for_classes(&self, classes: usize) -> Option<Self> {
        if self.len() == classes {
            return Some(Self {
                names: self.names.clone(),
                ids: None,
            });
        }
        let ids = self.ids.as_ref().filter(|ids| {
            ids.last()
                .is_some_and(|last| last.checked_add(1) == Some(classes))
        })?;
        let by_id: BTreeMap<usize, &Arc<str>> = ids.iter().copied().zip(self.iter()).collect();
        Some(Self::new((0..classes).map(|class| {
            by_id
                .get(&class)
                .map_or_else(|| class.to_string(), ToString::to_string)
        })))
    }

    /// The built-in names for a head of this many classes: COCO's 80, or Objects365's 366 (the first is "None").
    pub fn built_in(classes: usize) -> Option<Self> {
        match classes {
            80 => Some(Self::new(COCO.lines())),
            366 => Some(Self::new(OBJECTS365.lines())),
            _ => None,
        }
    }

    /// The user's names if given, else the checkpoint's, else built-in ones.
    ///
    /// `origin` names the checkpoint, `given` is the user's file and its names.
    ///
    /// # Errors
    /// [`LabelsError::Count`] if the user's names do not fit, [`LabelsError::Missing`] if there are none.
    pub fn resolve(
        origin: &str,
        classes: usize,
        given: Option<(&str, Self)>,
        own: Option<&[String]>,
    ) -> Result<Self, LabelsError> {
        if let Some((file, labels)) = given {
            let names = labels.len();
            return labels
                .for_classes(classes)
                .ok_or_else(|| LabelsError::Count {
                    origin: file.to_owned(),
                    names,
                    classes,
                });
        }
        let own = own.filter(|names| names.len() == classes).map(Self::new);
        own.or_else(|| Self::built_in(classes))
            .ok_or_else(|| LabelsError::Missing {
                origin: origin.to_owned(),
                classes,
            })
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Name of a class.
    pub fn get(&self, class: u32) -> Option<&Arc<str>> {
        self.names.get(class as usize)
    }

    /// Number of the first class of this name, compared without regard to case.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.find_all(name).next()
    }

    /// Numbers of all classes of this name, compared without regard to case.
    pub fn find_all(&self, name: &str) -> impl Iterator<Item = u32> {
        let name = name.to_lowercase();
        self.names
            .iter()
            .enumerate()
            .filter(move |(_, label)| label.to_lowercase() == name)
            .map(|(i, _)| i as u32)
    }

    /// Names in class order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_lists_are_complete() {
        let coco = Labels::built_in(80).unwrap();
        assert_eq!(
            (coco.len(), coco.find("Toothbrush"), &**coco.get(0).unwrap()),
            (80, Some(79), "person")
        );
        let objects = Labels::built_in(366).unwrap();
        assert_eq!(
            (
                objects.len(),
                objects.find("person"),
                objects.find("table tennis")
            ),
            (366, Some(1), Some(365))
        );
        assert!(Labels::built_in(3).is_none());
    }

    #[test]
    fn the_users_names_come_first_and_must_fit() {
        let given = Labels::parse("names.txt", "cyst\nvessel\nnerve\n\n").unwrap();
        let own = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let labels =
            Labels::resolve("x.pth", 3, Some(("names.txt", given.clone())), Some(&own)).unwrap();
        assert_eq!(&**labels.get(1).unwrap(), "vessel");
        let error = |classes, given| {
            Labels::resolve("x.pth", classes, given, None)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(4, Some(("names.txt", given))),
            "names.txt: 3 names, but the detector has 4 classes; a name for each class is expected"
        );
        assert!(error(3, None).contains("x.pth: 3 classes without names; give a file of names"));
        assert!(error(1, None).contains("x.pth: 1 class without names"));
    }

    #[test]
    fn categories_are_classes_in_their_order_or_by_their_ids() {
        let coco = r#"{"categories": [{"id": 3, "name": "cyst"}, {"id": 1, "name": "bone"}]}"#;
        let labels = |classes| {
            Labels::resolve(
                "x.pth",
                classes,
                Some(("coco.json", Labels::parse("coco.json", coco).unwrap())),
                None,
            )
        };
        let names = |classes| {
            labels(classes)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(2), ["bone", "cyst"]);
        assert_eq!(names(4), ["0", "bone", "2", "cyst"]);
        assert!(
            labels(3)
                .unwrap_err()
                .to_string()
                .starts_with("coco.json: 2 names, but the detector has 3 classes")
        );
    }
}
