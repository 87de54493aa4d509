//! Names of the classes.

use std::sync::Arc;

/// Microsoft COCO's 80 classes, in the order of the detector's outputs.
const COCO: &str = include_str!("labels/coco.txt");
/// Objects365's classes; the first output stands for none of them.
const OBJECTS365: &str = include_str!("labels/objects365.txt");

/// A name for each class. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(Arc<[Arc<str>]>);

/// Classes without names, or names that do not fit.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// Neither the checkpoint nor the user names the classes, and no built-in list has as many.
    #[error("{origin}: {classes} classes without names; give them with --labels FILE, one name a line")]
    Missing {
        /// The checkpoint.
        origin: String,
        /// Number of classes.
        classes: usize,
    },
    /// More or fewer names than classes.
    #[error("{origin}: {names} names, but the detector has {classes} classes; one name a line is expected")]
    Count {
        /// The file of names.
        origin: String,
        /// Names in it.
        names: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A file of names that is not one.
    #[error("{origin}: line {line}: {reason}; one name a line is expected")]
    Line {
        /// The file of names.
        origin: String,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Labels {
    /// Labels from names in class order.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(|name| Arc::from(name.as_ref())).collect())
    }

    /// Reads a text of one name a line, in class order; blanks around names are dropped, blank lines at the end too.
    ///
    /// # Errors
    /// [`LabelsError::Line`] for a blank line among the names or a control character in one.
    pub fn parse(origin: &str, text: &str) -> Result<Self, LabelsError> {
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').trim_end().lines().map(str::trim).collect();
        for (i, line) in lines.iter().enumerate() {
            let reason = match line {
                _ if line.is_empty() => "blank",
                _ if line.chars().any(char::is_control) => "has a control character",
                _ => continue,
            };
            return Err(LabelsError::Line { origin: origin.to_owned(), line: i + 1, reason });
        }
        Ok(Self::new(lines))
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
    pub fn resolve(origin: &str, classes: usize, given: Option<(&str, Self)>, own: Option<&[String]>) -> Result<Self, LabelsError> {
        if let Some((file, labels)) = given {
            let names = labels.len();
            let fits = names == classes;
            return if fits { Ok(labels) } else { Err(LabelsError::Count { origin: file.to_owned(), names, classes }) };
        }
        let own = own.filter(|names| names.len() == classes).map(Self::new);
        own.or_else(|| Self::built_in(classes)).ok_or_else(|| LabelsError::Missing { origin: origin.to_owned(), classes })
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name of a class.
    pub fn get(&self, class: u32) -> Option<&Arc<str>> {
        self.0.get(class as usize)
    }

    /// Number of the class of this name, compared without regard to case.
    pub fn find(&self, name: &str) -> Option<u32> {
        let same = |label: &Arc<str>| label.to_lowercase() == name.to_lowercase();
        self.0.iter().position(same).map(|i| i as u32)
    }

    /// Names in class order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_lists_are_complete() {
        let coco = Labels::built_in(80).unwrap();
        assert_eq!((coco.len(), coco.find("Toothbrush"), &**coco.get(0).unwrap()), (80, Some(79), "person"));
        let objects = Labels::built_in(366).unwrap();
        assert_eq!((objects.len(), objects.find("person"), objects.find("table tennis")), (366, Some(1), Some(365)));
        assert!(Labels::built_in(3).is_none());
    }

    #[test]
    fn the_users_names_come_first_and_must_fit() {
        let given = Labels::parse("names.txt", "cyst\nvessel\nnerve\n\n").unwrap();
        let own = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let labels = Labels::resolve("x.pth", 3, Some(("names.txt", given.clone())), Some(&own)).unwrap();
        assert_eq!(&**labels.get(1).unwrap(), "vessel");
        let error = |classes, given| Labels::resolve("x.pth", classes, given, None).unwrap_err().to_string();
        assert_eq!(error(4, Some(("names.txt", given))), "names.txt: 3 names, but the detector has 4 classes; one name a line is expected");
        assert!(error(3, None).contains("x.pth: 3 classes without names; give them with --labels FILE"));
        assert!(Labels::parse("n", "a\n\nb").unwrap_err().to_string().contains("n: line 2: blank"));
    }
}
