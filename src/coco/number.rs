//! Numbers as other programs write them, and as this one does.

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// Up to 2⁵³ a float holds whole numbers exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number, also as `3.0`, `true` or `false`, which some writers make of it.
struct Integer(i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor).map(Self)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<i64, E> {
        Ok(i64::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<i64, E> {
        if value.fract() == 0.0 && value.abs() <= EXACT {
            Ok(value as i64)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(value), &self))
        }
    }
}

/// Reads an id.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Integer::deserialize(deserializer).map(|i| i.0)
}

/// Reads an id that may be null.
pub(crate) fn optional_integer<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    Option::<Integer>::deserialize(deserializer).map(|i| i.map(|i| i.0))
}

/// Reads a flag: 1 for any number but 0 and for true; 0 for 0 and false.
pub(crate) fn optional_flag<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u8>, D::Error> {
    optional_integer(deserializer).map(|value| value.map(|v| u8::from(v != 0)))
}

/// Reads a field that is an extension of this program to COCO: none if the value is not of type `T`, because another
/// program may have a field of that name for something else.
pub(crate) fn extension<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text: Option<&RawValue> = Deserialize::deserialize(deserializer)?;
    Ok(text.and_then(|text| serde_json::from_str(text.get()).ok()))
}

/// Writes a whole number without a fraction.
pub(crate) fn plain_number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole numbers up to 2⁵³ are exact in both forms.
    if value.fract() == 0.0 && (0.0..=EXACT).contains(value) {
        serializer.serialize_u64(*value as u64)
    } else {
        serializer.serialize_f64(*value)
    }
}

/// As [`plain_number`]; null for none.
pub(crate) fn optional_plain_number<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => plain_number(value, serializer),
        None => serializer.serialize_none(),
    }
}
