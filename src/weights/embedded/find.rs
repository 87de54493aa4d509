//! The models of the program by name and role.

use super::EMBEDDED_MODELS;
use super::model::EmbeddedModel;
use crate::weights::role::Role;

impl EmbeddedModel {
    /// The model of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        EMBEDDED_MODELS.iter().find(|model| model.name == name)
    }

    /// The model that is used for `role` where none is named.
    pub fn default_of(role: Role) -> Option<&'static Self> {
        EMBEDDED_MODELS.iter().find(|model| model.role == role)
    }
}
