//! Files of class names: one name a line, a JSON list, a COCO file, the data.yaml of Ultralytics.

use super::labels_error::LabelsError;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, path::Path};

/// Names as a file has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// In class order.
    Ordered(Vec<String>),
    /// By the ids of a data set's categories, which need not begin at 0 nor follow each other.
    ById(BTreeMap<usize, String>),
}

/// Reads the names of a file called `origin`.
pub(super) fn read(origin: &str, text: &str) -> Result<Names, LabelsError> {
    let text = text.trim_start_matches('\u{feff}');
    let extension = Path::new(origin)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let failed = |reason: String| LabelsError::Format {
        origin: origin.to_owned(),
        reason,
    };
    let is_json = text.trim_start().starts_with(['{', '[']);
    let names = match extension.as_str() {
        "json" => json(text).map_err(failed)?,
        "yaml" | "yml" => yaml(text).map_err(failed)?,
        _ if is_json => json(text).map_err(failed)?,
        _ if text.lines().any(|line| line.starts_with("names:")) => yaml(text).map_err(failed)?,
        _ => return lines(origin, text).map(Names::Ordered),
    };
    check(&names).map_err(failed)?;
    Ok(names)
}

/// One name a line; blanks around names are dropped, blank lines at the end too.
fn lines(origin: &str, text: &str) -> Result<Vec<String>, LabelsError> {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
    for (i, line) in lines.iter().enumerate() {
        if let Some(reason) = unusable(line) {
            return Err(LabelsError::Line {
                origin: origin.to_owned(),
                line: i + 1,
                reason,
            });
        }
    }
    Ok(lines.into_iter().map(str::to_owned).collect())
}

fn unusable(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("blank");
    }
    name.chars()
        .any(char::is_control)
        .then_some("has a control character")
}

fn check(names: &Names) -> Result<(), String> {
    let numbered: Vec<(usize, &String)> = match names {
        Names::Ordered(names) => names.iter().enumerate().collect(),
        Names::ById(names) => names.iter().map(|(id, name)| (*id, name)).collect(),
    };
    if numbered.is_empty() {
        return Err("has no names".to_owned());
    }
    let wrong = numbered
        .into_iter()
        .find_map(|(class, name)| unusable(name).map(|reason| (class, reason)));
    wrong.map_or(Ok(()), |(class, reason)| {
        Err(format!("the name of class {class}: {reason}"))
    })
}

#[derive(Deserialize)]
struct Category {
    id: usize,
    name: String,
}

/// A name of a list, or a category of COCO's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Name(String),
    Category(Category),
}

#[derive(Deserialize)]
struct JsonFile {
    categories: Option<Vec<Category>>,
    names: Option<Listed>,
    id2label: Option<Listed>,
}

fn json(text: &str) -> Result<Names, String> {
    let wrong = |e: serde_json::Error| format!("is not the JSON of class names: {e}");
    if text.trim_start().starts_with('[') {
        let items: Vec<Item> = serde_json::from_str(text).map_err(wrong)?;
        return from_items(items);
    }
    let file: JsonFile = serde_json::from_str(text).map_err(wrong)?;
    match (file.categories, file.names.or(file.id2label)) {
        (Some(categories), _) => from_items(categories.into_iter().map(Item::Category).collect()),
        (None, Some(listed)) => listed.ordered(),
        (None, None) => match serde_json::from_str::<Listed>(text) {
            Ok(listed) => listed.ordered(),
            Err(_) => Err("has neither categories, names nor id2label".to_owned()),
        },
    }
}

fn from_items(items: Vec<Item>) -> Result<Names, String> {
    let (mut names, mut by_id) = (Vec::new(), BTreeMap::new());
    for item in items {
        match item {
            Item::Name(name) => names.push(name),
            Item::Category(Category { id, name }) => {
                if let Some(first) = by_id.insert(id, name.clone()) {
                    return Err(format!(
                        "has two categories with the id {id}: {first} and {name}"
                    ));
                }
            }
        }
    }
    match (names.is_empty(), by_id.is_empty()) {
        (false, false) => Err("has names and categories in one list".to_owned()),
        (_, true) => Ok(Names::Ordered(names)),
        (true, false) => Ok(Names::ById(by_id)),
    }
}

#[derive(Deserialize)]
struct YamlFile {
    names: Option<Listed>,
}

fn yaml(text: &str) -> Result<Names, String> {
    let file: YamlFile = serde_saphyr::from_str(text).map_err(|e| {
        let reason = e.to_string();
        format!(
            "is not the YAML of class names: {}",
            reason.lines().next().unwrap_or_default()
        )
    })?;
    file.names
        .ok_or_else(|| "has no names".to_owned())?
        .ordered()
}

/// Names as a list, or as a map from class numbers.
#[derive(Debug, PartialEq, Eq)]
enum Listed {
    List(Vec<String>),
    Map(Vec<(String, String)>),
}

impl Listed {
    /// In class order; a map must have every class from 0 on.
    fn ordered(self) -> Result<Names, String> {
        let entries = match self {
            Self::List(names) => return Ok(Names::Ordered(names)),
            Self::Map(entries) => entries,
        };
        let mut names = BTreeMap::new();
        for (class, name) in entries {
            let number: usize = class.parse().map_err(|_| {
                format!("names: {class} is not a class number; numbers from 0 are expected")
            })?;
            if let Some(first) = names.insert(number, name.clone()) {
                return Err(format!(
                    "names: class {number} is there twice: {first} and {name}"
                ));
            }
        }
        match (0..names.len()).find(|class| !names.contains_key(class)) {
            Some(class) => Err(format!(
                "names: class {class} is missing; every class from 0 on must have a name"
            )),
            None => Ok(Names::Ordered(names.into_values().collect())),
        }
    }
}

/// A scalar as text: names such as `1` or `true` are names all the same.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar(flag.to_string()))
            }
        }
        deserializer.deserialize_string(Any)
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Listed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or a map from class numbers to names")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Listed, A::Error> {
                let mut names = Vec::new();
                while let Some(Scalar(name)) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Listed::List(names))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
                let mut names = Vec::new();
                while let Some((Scalar(class), Scalar(name))) = map.next_entry()? {
                    names.push((class, name));
                }
                Ok(Listed::Map(names))
            }
            fn visit_unit<E>(self) -> Result<Listed, E> {
                Ok(Listed::List(Vec::new()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(names: &[&str]) -> Names {
        Names::Ordered(names.iter().map(|n| (*n).to_owned()).collect())
    }

    fn by_id(names: &[(usize, &str)]) -> Names {
        Names::ById(names.iter().map(|(id, n)| (*id, (*n).to_owned())).collect())
    }

    #[test]
    fn lists_maps_and_categories_are_read() {
        for (file, text, expected) in [
            (
                "names.txt",
                "\u{feff}cyst\r\nvessel \n\n",
                ordered(&["cyst", "vessel"]),
            ),
            (
                "data.yaml",
                "path: ../x\ntrain: images\nnc: 2\nnames: ['bone', cyst]\n",
                ordered(&["bone", "cyst"]),
            ),
            (
                "data.yaml",
                "names:\n- bone\n- 'Zyste, groß'\n- 3\n- yes\nval: x\n",
                ordered(&["bone", "Zyste, groß", "3", "yes"]),
            ),
            (
                "data.yml",
                "names:\n  1: cyst\n  0: bone # the surface\n  2: 1e3\n",
                ordered(&["bone", "cyst", "1e3"]),
            ),
            (
                "renamed.txt",
                "train: images\nnames:\n  0: bone\n",
                ordered(&["bone"]),
            ),
            (
                "names.json",
                r#"["bone", "cyst"]"#,
                ordered(&["bone", "cyst"]),
            ),
            (
                "names.txt",
                r#"["bone", "cyst"]"#,
                ordered(&["bone", "cyst"]),
            ),
            (
                "config.json",
                r#"{"d_model": 1, "id2label": {"1": "cyst", "0": "bone"}}"#,
                ordered(&["bone", "cyst"]),
            ),
            (
                "map.json",
                r#"{"1": "cyst", "0": "bone"}"#,
                ordered(&["bone", "cyst"]),
            ),
            (
                "coco.json",
                r#"{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 7, "name": "cyst"}, {"id": 1, "name": "bone", "supercategory": "x"}]}"#,
                by_id(&[(1, "bone"), (7, "cyst")]),
            ),
            (
                "categories.json",
                r#"[{"id": 0, "name": "bone"}]"#,
                by_id(&[(0, "bone")]),
            ),
        ] {
            assert_eq!(
                read(file, text).unwrap_or_else(|e| panic!("{file}: {e}")),
                expected,
                "{file}: {text}"
            );
        }
    }

    #[test]
    fn what_names_no_classes_is_refused_with_the_reason() {
        for (file, text, expected) in [
            ("n.txt", "a\n\nb", "n.txt: line 2: blank"),
            (
                "data.yaml",
                "train: images\n",
                "data.yaml: has no names; expected",
            ),
            ("data.yaml", "names:\n", "has no names"),
            (
                "data.yaml",
                "names:\n  0: a\n  2: b\n",
                "class 1 is missing",
            ),
            ("data.yaml", "names:\n  a: 0\n", "a is not a class number"),
            ("data.yaml", "names: [a\n", "is not the YAML of class names"),
            (
                "data.yaml",
                "names: [a, '']\n",
                "the name of class 1: blank",
            ),
            ("names.json", "[", "is not the JSON of class names"),
            (
                "names.json",
                r#"{"images": []}"#,
                "has neither categories, names nor id2label",
            ),
            (
                "names.json",
                r#"[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]"#,
                "two categories with the id 1: a and b",
            ),
            ("names.json", "[]", "has no names"),
        ] {
            let error = read(file, text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{file}: ")) && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn aliases_that_multiply_take_no_time() {
        let mut text = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            text += &format!(
                "{name}: &{name} [*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before}]\n"
            );
        }
        text += "names: *i\n";
        let start = std::time::Instant::now();
        assert!(read("data.yaml", &text).is_err());
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
