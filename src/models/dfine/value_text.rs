//! Values of settings in messages, as a JSON file has them.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// `value` as JSON on one line, with blanks after commas and colons; texts alone without quotes.
pub(super) fn of(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced));
    let text = written
        .ok()
        .and_then(|()| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| "a value".to_owned());
    serde_json::from_str::<String>(&text).unwrap_or(text)
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use std::collections::BTreeMap;

    #[test]
    fn values_look_as_in_a_file() {
        assert_eq!(of(&Some(1)), "1");
        assert_eq!(of(&None::<bool>), "null");
        assert_eq!(of(&"rt_detr"), "rt_detr");
        assert_eq!(of(&[3, 6]), "[3, 6]");
        assert_eq!(
            of(&BTreeMap::from([
                ("longest_edge", Some(1333)),
                ("shortest_edge", None)
            ])),
            r#"{"longest_edge": 1333, "shortest_edge": null}"#
        );
        assert_eq!(of(&(vec!["a"], 0.5)), r#"[["a"], 0.5]"#);
    }
}
