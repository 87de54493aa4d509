//! Which class a category of a COCO file is.

use crate::coco::{Category, Classes};
use std::sync::Arc;

/// The class and its name of category ids.
pub(super) struct Categories<'a> {
    named: Vec<(i64, &'a str)>,
    classes: &'a Classes,
}

impl<'a> Categories<'a> {
    pub(super) fn new(named: &'a [Category<'_>], classes: &'a Classes) -> Self {
        let mut named: Vec<(i64, &str)> = named.iter().map(|c| (c.id, &*c.name)).collect();
        named.sort_unstable();
        named.dedup_by_key(|(id, _)| *id);
        Self { named, classes }
    }

    /// The class of category `id`: that of its name where the classes know it, else the one that gives this id, else its
    /// place among the file's ids.
    pub(super) fn class(&self, id: i64) -> Result<(u32, Arc<str>), String> {
        let place = self.named.binary_search_by_key(&id, |(id, _)| *id).ok();
        let name = place
            .and_then(|at| self.named.get(at))
            .map(|(_, name)| *name);
        let own = self.classes.names();
        let by_name = name
            .and_then(|name| own.iter().position(|n| **n == *name))
            .and_then(|class| u32::try_from(class).ok());
        let by_place = || u32::try_from(place?).ok();
        let by_id = || self.classes.class_of(id);
        let class = by_name.or_else(|| {
            if own.is_empty() && !self.named.is_empty() {
                by_place()
            } else {
                by_id().or_else(by_place)
            }
        });
        let class = class.ok_or_else(|| format!("category {id} is not known"))?;
        Ok((class, name.map_or_else(|| self.label(class), Arc::from)))
    }

    fn label(&self, class: u32) -> Arc<str> {
        let known = usize::try_from(class)
            .ok()
            .and_then(|c| self.classes.names().get(c));
        known
            .cloned()
            .unwrap_or_else(|| Arc::from(format!("class {class}")))
    }
}
