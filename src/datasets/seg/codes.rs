//! Codes of classes: what a segment is, in the words of a terminology.

use crate::datasets::DatasetError;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Largest file of codes that is read.
const MAX_BYTES: u64 = 4 << 20;
/// The columns of a file of codes.
const COLUMNS: [&str; 7] = [
    "label",
    "category_value",
    "category_scheme",
    "category_meaning",
    "type_value",
    "type_scheme",
    "type_meaning",
];

/// A concept of a terminology: DICOM's Code Sequence Macro.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Code {
    /// Code Value, 16 characters at most.
    pub value: String,
    /// Coding Scheme Designator such as `SCT`, 16 characters at most.
    pub scheme: String,
    /// Code Meaning, 64 characters at most.
    pub meaning: String,
}

impl Code {
    /// A concept.
    ///
    /// # Errors
    /// What is empty, too long, or has a control character or a backslash in it.
    pub fn new(value: &str, scheme: &str, meaning: &str) -> Result<Self, String> {
        for (what, text, longest) in [
            ("code value", value, 16),
            ("coding scheme", scheme, 16),
            ("code meaning", meaning, 64),
        ] {
            let length = text.chars().count();
            if text.is_empty() {
                return Err(format!("the {what} is empty"));
            }
            if length > longest {
                return Err(format!(
                    "the {what} {text:?} has {length} characters, DICOM allows {longest}"
                ));
            }
            if text.contains(|c: char| c == '\\' || c.is_control()) {
                return Err(format!(
                    "the {what} {text:?} has a character that DICOM does not allow"
                ));
            }
        }
        Ok(Self {
            value: value.to_owned(),
            scheme: scheme.to_owned(),
            meaning: meaning.to_owned(),
        })
    }

    fn sct(value: &str, meaning: &str) -> Self {
        Self {
            value: value.to_owned(),
            scheme: "SCT".to_owned(),
            meaning: meaning.to_owned(),
        }
    }
}

/// What a class is: Segmented Property Category and Segmented Property Type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassCode {
    /// Segmented Property Category, such as Anatomical Structure.
    pub category: Code,
    /// Segmented Property Type, such as Bone.
    pub kind: Code,
}

/// Codes of classes by their labels. Letter case does not matter, nor do spaces around a label.
///
/// The built-in classes have codes of SNOMED CT (CID 7150 and 7151): bone, cyst, vessel, needle. A label that is not in the
/// table gets Tissue (85756007) as category and as type, with the label in Segment Label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegCodes(BTreeMap<String, ClassCode>);

impl Default for SegCodes {
    fn default() -> Self {
        let anatomical = || Code::sct("91723000", "Anatomical Structure");
        let abnormal = || Code::sct("49755003", "Morphologically Abnormal Structure");
        let object = || Code::sct("260787004", "Physical object");
        let known = [
            ("bone", anatomical(), Code::sct("272673000", "Bone")),
            ("cyst", abnormal(), Code::sct("367643001", "Cyst")),
            (
                "vessel",
                anatomical(),
                Code::sct("59820001", "Blood Vessel"),
            ),
            ("needle", object(), Code::sct("79068005", "Needle")),
        ];
        Self(
            known
                .map(|(label, category, kind)| (label.to_owned(), ClassCode { category, kind }))
                .into(),
        )
    }
}

impl SegCodes {
    /// The codes of a class.
    pub fn of(&self, label: &str) -> ClassCode {
        self.0.get(&key(label)).cloned().unwrap_or_else(|| {
            let tissue = || Code::sct("85756007", "Tissue");
            ClassCode {
                category: tissue(),
                kind: tissue(),
            }
        })
    }

    /// Whether the table has the label; [`SegCodes::of`] says Tissue of the others.
    pub fn knows(&self, label: &str) -> bool {
        self.0.contains_key(&key(label))
    }

    /// What is to be said of the classes among `labels` that the table has not, each once: `said` has those of before.
    pub(in crate::datasets) fn missing<'a>(
        &self,
        labels: impl Iterator<Item = &'a str>,
        said: &mut BTreeSet<String>,
    ) -> Option<String> {
        let new: Vec<String> = labels
            .filter(|label| !self.knows(label) && said.insert(key(label)))
            .map(|label| format!("{label:?}"))
            .collect();
        (!new.is_empty()).then(|| {
            let classes = new.join(", ");
            format!("no code is known for {classes}: stated as Tissue (85756007, SCT); a table of codes can name it")
        })
    }

    /// Gives a label these codes.
    pub fn insert(&mut self, label: &str, category: Code, kind: Code) {
        self.0.insert(key(label), ClassCode { category, kind });
    }

    /// Reads a table of codes over the built-in ones: UTF-8, columns separated by tabs or commas (whichever the first line has),
    /// fields with separators in double quotes. The first line names the columns, in any order: `label`, `category_value`,
    /// `category_scheme`, `category_meaning`, `type_value`, `type_scheme`, `type_meaning`. Lines that start with `#` are passed
    /// over.
    ///
    /// # Errors
    /// [`DatasetError`] with the line, for a file that cannot be read, is larger than 4 MiB, or is no such table.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let size = fs::metadata(path).map_err(|e| DatasetError::io(path, "read the file", &e))?;
        if size.len() > MAX_BYTES {
            let problem = format!("has {} bytes, more than a table of codes needs", size.len());
            return Err(DatasetError::new(path, problem));
        }
        let bytes = fs::read(path).map_err(|e| DatasetError::io(path, "read the file", &e))?;
        Self::parse(&bytes).map_err(|problem| {
            DatasetError::new(path, problem).with_remedy(format!(
                "the table needs a first line with the columns {} and a line for each class, such as \
                 bone,91723000,SCT,Anatomical Structure,272673000,SCT,Bone",
                COLUMNS.join(",")
            ))
        })
    }

    /// As [`SegCodes::read`], of the file's content.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let header = bytes
            .split(|b| *b == b'\n')
            .find(|line| !line.starts_with(b"#"))
            .unwrap_or_default();
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(if header.contains(&b'\t') { b'\t' } else { b',' })
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let columns = columns(reader.headers().map_err(|e| fault(&e))?)?;
        let mut codes = Self::default();
        let mut seen = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|e| fault(&e))?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |n: usize| columns.get(n).and_then(|at| record.get(*at)).unwrap_or("");
            let label = field(0);
            if label.is_empty() {
                return Err(format!("line {line}: the label is empty"));
            }
            if let Some(first) = seen.insert(key(label), line) {
                return Err(format!(
                    "line {line}: the label {label:?} is in line {first} too"
                ));
            }
            let code = |name: &str, n: usize| {
                Code::new(field(n), field(n + 1), field(n + 2))
                    .map_err(|problem| format!("line {line}: {label:?}: {name}: {problem}"))
            };
            codes.insert(label, code("category", 1)?, code("type", 4)?);
        }
        if seen.is_empty() {
            return Err("has no line with codes".to_owned());
        }
        Ok(codes)
    }
}

/// Places of [`COLUMNS`] in the first line.
fn columns(header: &csv::StringRecord) -> Result<Vec<usize>, String> {
    let named: Vec<String> = header
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    if let Some(unknown) = named.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err(format!("line 1: no column is called {unknown:?}"));
    }
    let place = |column: &&str| {
        named
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| format!("line 1: the column {column:?} is missing"))
    };
    COLUMNS.iter().map(place).collect()
}

fn fault(error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("line {line}: has {len} columns, the first line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("line {line}: is not UTF-8"),
        _ => format!("line {line}: {error}"),
    }
}

fn key(label: &str) -> String {
    label.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "label,category_value,category_scheme,category_meaning,type_value,type_scheme,type_meaning\n";

    #[test]
    fn built_in_classes_have_codes_and_others_are_tissue() {
        let codes = SegCodes::default();
        assert_eq!(codes.of(" Bone").kind, Code::sct("272673000", "Bone"));
        assert_eq!(codes.of("needle").category.meaning, "Physical object");
        assert!(!codes.knows("shadow"));
        let other = codes.of("shadow");
        assert_eq!(
            (other.category.value, other.kind.meaning),
            ("85756007".into(), "Tissue".into())
        );
    }

    #[test]
    fn tables_come_with_commas_or_tabs_and_any_order_of_columns() {
        let text = format!(
            "# ours\n{HEADER}nerve, 91723000,SCT,\"Structure, anatomical\",91728009,SCT,Nerve\r\n"
        );
        let codes = SegCodes::parse(text.as_bytes()).unwrap();
        assert_eq!(codes.of("NERVE").category.meaning, "Structure, anatomical");
        assert!(codes.knows("bone"));
        let tabs = "type_value\ttype_scheme\ttype_meaning\tlabel\tcategory_value\tcategory_scheme\tcategory_meaning\n\
                    91728009\tSCT\tNerve\tnerve\t91723000\tSCT\tAnatomical Structure\n";
        assert_eq!(
            SegCodes::parse(tabs.as_bytes())
                .unwrap()
                .of("nerve")
                .kind
                .value,
            "91728009"
        );
    }

    #[test]
    fn faults_name_the_line() {
        let cases = [
            ("", "line 1: the column \"label\" is missing"),
            ("label,codes\n", "line 1: no column is called \"codes\""),
            (HEADER, "has no line with codes"),
            (
                &format!("{HEADER}a,1,S,m\n"),
                "line 2: has 4 columns, the first line has 7",
            ),
            (
                &format!("{HEADER}a,1,S,m,2,S,\n"),
                "line 2: \"a\": type: the code meaning is empty",
            ),
            (
                &format!("{HEADER}a,12345678901234567,S,m,2,S,n\n"),
                "line 2: \"a\": category: the code value \"12345678901234567\" has 17 characters, DICOM allows 16",
            ),
            (
                &format!("{HEADER}a,1,S,m,2,S,n\nA,1,S,m,2,S,n\n"),
                "line 3: the label \"A\" is in line 2 too",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(SegCodes::parse(text.as_bytes()).unwrap_err(), expected);
        }
    }
}
