//! Classes of targets.

use super::error::PhantomError;

/// Names of the classes, by class id.
pub const CLASS_NAMES: [&str; 4] = ["bone", "cyst", "vessel", "needle"];

/// What a target is; the discriminant is the class id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Visible cortex over an acoustic shadow.
    Bone = 0,
    /// Fluid without echoes, enhancement behind it.
    Cyst = 1,
    /// Pulsating lumen with a wall, cut across or along.
    Vessel = 2,
    /// Bright straight shaft with a comet tail.
    Needle = 3,
}

impl Class {
    /// Every class, by id.
    pub const ALL: [Self; 4] = [Self::Bone, Self::Cyst, Self::Vessel, Self::Needle];

    /// Its name in [`CLASS_NAMES`].
    pub const fn name(self) -> &'static str {
        CLASS_NAMES[self as usize]
    }
}

impl std::str::FromStr for Class {
    type Err = PhantomError;

    fn from_str(text: &str) -> Result<Self, PhantomError> {
        let found = Self::ALL.into_iter().find(|c| c.name() == text.trim());
        found.ok_or_else(|| PhantomError::Class(text.to_owned()))
    }
}

/// Which classes a sequence may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetSet(u8);

impl TargetSet {
    /// All four.
    pub const ALL: Self = Self(0b1111);
    /// None: tissue only.
    pub const NONE: Self = Self(0);

    /// The classes in it, by id.
    pub fn classes(self) -> impl Iterator<Item = Class> {
        Class::ALL
            .into_iter()
            .filter(move |&class| self.contains(class))
    }

    /// This set with `class`.
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | 1 << class as u8)
    }

    /// Whether `class` is in it.
    pub const fn contains(self, class: Class) -> bool {
        self.0 >> class as u8 & 1 == 1
    }
}

impl FromIterator<Class> for TargetSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        classes.into_iter().fold(Self::NONE, Self::with)
    }
}
