//! Values that are parsed where they are needed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A value, or the JSON text of one. Reading a file gives the text, borrowed from the file's.
#[derive(Debug, Clone)]
pub(crate) enum Lazy<'a, T> {
    Value(T),
    Text(&'a RawValue),
}

impl<'a, T: Deserialize<'a> + Clone> Lazy<'a, T> {
    /// The value.
    ///
    /// # Errors
    /// If the text is that of another type.
    pub(crate) fn get(&self) -> serde_json::Result<T> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Text(text) => serde_json::from_str(text.get()),
        }
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for Lazy<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::Text)
    }
}

impl<T: Serialize> Serialize for Lazy<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}
