//! Holds the table of layers: which module may use which, who may name which crate, and that no files use each other in a
//! circle. A re-export counts as what it re-exports: whoever imports it uses the module that defines it.

mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};
use tree::{Tree, cycles};

/// Module, modules it may use. A module may always use itself. ARCHITECTURE.md shows the same table.
const LAYERS: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("progress", &[]),
    ("quantiles", &[]),
    ("av", &[]),
    ("run_files", &[]),
    ("geometry", &[]),
    ("engine", &["text"]),
    ("frame", &["geometry", "engine"]),
    ("measure", &["geometry", "frame"]),
    ("coco", &["geometry", "frame"]),
    ("ops", &["engine"]),
    ("models", &["ops", "engine", "geometry", "text"]),
    ("weights", &["engine"]),
    ("dicom", &["geometry", "frame", "text"]),
    (
        "sources",
        &[
            "av",
            "run_files",
            "frame",
            "geometry",
            "dicom",
            "engine",
            "text",
        ],
    ),
    (
        "sinks",
        &[
            "av",
            "run_files",
            "frame",
            "geometry",
            "measure",
            "dicom",
            "coco",
            "text",
        ],
    ),
    (
        "datasets",
        &[
            "progress",
            "run_files",
            "geometry",
            "frame",
            "measure",
            "coco",
            "dicom",
            "text",
            "sources",
            "sinks",
        ],
    ),
    ("matching", &[]),
    ("track", &["text", "geometry", "frame", "matching"]),
    (
        "eval",
        &["run_files", "matching", "coco", "text", "datasets"],
    ),
    ("phantom", &["frame", "geometry"]),
    (
        "session",
        &[
            "text",
            "quantiles",
            "geometry",
            "frame",
            "engine",
            "ops",
            "models",
            "weights",
            "sources",
            "track",
        ],
    ),
    (
        "run",
        &[
            "text",
            "progress",
            "run_files",
            "geometry",
            "frame",
            "coco",
            "engine",
            "models",
            "dicom",
            "sources",
            "sinks",
            "datasets",
            "session",
        ],
    ),
    ("igtl", &["text"]),
    (
        "live",
        &[
            "text",
            "progress",
            "quantiles",
            "geometry",
            "frame",
            "coco",
            "engine",
            "dicom",
            "igtl",
            "sources",
            "sinks",
            "track",
            "session",
            "run",
        ],
    ),
    (
        "http",
        &[
            "progress", "frame", "geometry", "sources", "sinks", "datasets", "session", "live",
        ],
    ),
    (
        "tools",
        &[
            "text",
            "progress",
            "quantiles",
            "geometry",
            "frame",
            "coco",
            "engine",
            "ops",
            "models",
            "weights",
            "sources",
            "sinks",
            "datasets",
            "matching",
            "phantom",
            "session",
            "run",
        ],
    ),
    (
        "audit",
        &[
            "text",
            "progress",
            "quantiles",
            "frame",
            "engine",
            "sources",
            "sinks",
            "session",
            "run",
        ],
    ),
    // Doors for the fuzzer, which are there where it is built, and in tests.
    (
        "fuzzing",
        &[
            "weights", "models", "dicom", "coco", "sources", "datasets", "run", "eval", "igtl",
            "http",
        ],
    ),
];

/// Crate as written in code, places (below `src/`) that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("clap", &["bin/"]),
    ("anyhow", &["bin/"]),
    ("indicatif", &["bin/"]),
    ("ctrlc", &["bin/"]),
    ("console", &["bin/"]),
    ("csv", &["bin/", "datasets/"]),
    ("cudarc", &["engine/", "ops/cuda/", "audit/"]),
    ("libloading", &["audit/cupti/", "av/"]),
    ("hf_hub", &["weights/"]),
    ("hotcoco", &["eval/"]),
    ("crc_fast", &["igtl/"]),
    ("video_rs", &["av/"]),
    ("hyper", &["http/"]),
    ("hyper_util", &["http/"]),
    ("http_body_util", &["http/"]),
    ("tokio", &["http/"]),
];

/// Candle's own ways between host and device, which only `engine` may use outside of tests.
const MOVES: &[&str] = &["to_device(", "new_cuda", "memcpy_", ".announce("];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Path below `src/` with `/`, and text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        (name.replace('\\', "/"), fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// The same, without comments and without test modules.
fn sources() -> Vec<(String, String)> {
    let code = |text: String| -> String {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
        lines.flat_map(|l| [l, "\n"]).collect()
    };
    files()
        .into_iter()
        .map(|(name, text)| (name, code(text)))
        .collect()
}

fn layer_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Uses that `layers` does not allow.
fn violations(tree: &Tree, layers: &[(&str, &[&str])]) -> Vec<String> {
    let mut wrong = Vec::new();
    for used in tree.uses() {
        let (user, definer) = (layer_of(&used.user), layer_of(&used.definer));
        if user == definer || user == "lib" {
            continue;
        }
        let path = used.path.join("::");
        match layers.iter().find(|(name, _)| *name == user) {
            None => wrong.push(format!("{}: module {user} is not in the table", used.user)),
            Some((_, allowed)) if !allowed.contains(&definer) => wrong.push(format!(
                "{}: {user} uses {definer} (crate::{path}, defined in {})",
                used.user, used.definer
            )),
            Some(_) => {}
        }
    }
    wrong
}

fn library() -> Tree {
    let files: Vec<_> = files()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("bin/"))
        .collect();
    Tree::read(&files)
}

#[test]
fn modules_use_only_the_layers_below() {
    let wrong = violations(&library(), LAYERS);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn architecture_md_shows_the_same_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| -> Option<(String, Vec<String>)> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, module, _, uses, _] = cells[..] else {
            return None;
        };
        let uses = uses.split(", ").filter(|used| *used != "–");
        Some((
            module.strip_prefix('`')?.strip_suffix('`')?.to_owned(),
            uses.map(str::to_owned).collect(),
        ))
    };
    let table = text.split("| module | owns | may use |").nth(1).unwrap();
    let shown: Vec<_> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(row)
        .collect();
    let held: Vec<_> = LAYERS
        .iter()
        .map(|(module, uses)| {
            let uses = uses.iter().map(|used| (*used).to_owned()).collect();
            ((*module).to_owned(), uses)
        })
        .collect();
    assert_eq!(
        shown, held,
        "the tables of ARCHITECTURE.md and of this test"
    );
}

#[test]
fn the_table_itself_has_no_circle() {
    for (at, (name, allowed)) in LAYERS.iter().enumerate() {
        for below in *allowed {
            let place = LAYERS.iter().position(|(name, _)| name == below);
            assert!(
                place.is_some_and(|place| place < at),
                "{name} may use {below}, which does not stand above it in the table"
            );
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let found = cycles(&library().uses());
    let shown: Vec<String> = found.iter().map(|group| group.join(", ")).collect();
    assert!(found.is_empty(), "\n{}", shown.join("\n"));
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in CRATES {
            let named = names_crate(&code, name);
            if named && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file}: names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether `code` has `NAME::` or `use NAME` as a word of its own that no path leads to.
fn names_crate(code: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let whole = !before.ends_with(|c: char| word(c) || c == ':') && !after.starts_with(word);
        whole && (after.starts_with("::") || before.ends_with("use "))
    })
}

#[test]
fn a_module_may_have_a_name_that_ends_with_that_of_a_crate() {
    for code in [
        "use csv::Reader;",
        "pub use csv;",
        "let x = csv::Writer::new();",
    ] {
        assert!(names_crate(code, "csv"), "{code}");
    }
    for code in [
        "use objects_csv::X;",
        "mod csv_file;",
        "crate::csv::X",
        "use csvlike;",
    ] {
        assert!(!names_crate(code, "csv"), "{code}");
    }
}

#[test]
fn only_the_engine_moves_data() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for call in MOVES {
            if code.contains(call) && layer_of(&file) != "engine" {
                wrong.push(format!("{file}: calls {call}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_program_uses_the_public_api_only() {
    for (file, code) in sources()
        .into_iter()
        .filter(|(file, _)| file.starts_with("bin/"))
    {
        assert!(
            !code.contains("#[path"),
            "{file}: reaches into the library's files"
        );
        assert!(
            !code.contains("candle_core") && !code.contains("safetensors::"),
            "{file}: names candle or safetensors"
        );
    }
}

fn tree_of(files: &[(&str, &str)]) -> Tree {
    let files: Vec<(String, String)> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Tree::read(&files)
}

const LOW: (&str, &str) = ("low.rs", "pub struct Low; pub mod inner { pub fn f() {} }");
const TABLE: &[(&str, &[&str])] = &[("low", &[]), ("middle", &["low"]), ("high", &["middle"])];

#[test]
fn a_re_export_does_not_carry_a_use_across_a_layer() {
    for reexport in [
        "pub use crate::low::Low;",
        "pub use crate::low::*;",
        "pub use crate::low::Low as Other; pub use Other as Low;",
        "pub(crate) use crate::low::{self, Low};",
    ] {
        let user = ("high.rs", "use crate::middle::Low; struct A(Low);");
        let tree = tree_of(&[LOW, ("middle.rs", reexport), user]);
        if reexport.contains("Other") {
            // The second name is of the module itself, which the reader takes as defined there.
            continue;
        }
        let wrong = violations(&tree, TABLE);
        assert_eq!(
            wrong,
            ["high.rs: high uses low (crate::middle::Low, defined in low.rs)"],
            "{reexport}"
        );
    }
}

#[test]
fn uses_in_paths_and_macros_are_found_and_those_of_tests_are_not() {
    let middle = ("middle.rs", "pub struct Middle;");
    for (code, count) in [
        ("fn f() { crate::low::inner::f() }", 1),
        ("fn f() -> crate::low::Low { todo!() }", 1),
        ("fn f() { println!(\"{}\", crate::low::inner::f()) }", 1),
        ("mod a { use super::super::low::Low; }", 1),
        ("use crate::middle::Middle;", 0),
        ("#[cfg(test)] mod tests { use crate::low::Low; }", 0),
        ("fn crate_low() {}", 0),
    ] {
        let tree = tree_of(&[LOW, middle, ("high.rs", code)]);
        assert_eq!(violations(&tree, TABLE).len(), count, "{code}");
    }
    let stranger = tree_of(&[LOW, ("other.rs", "use crate::low::Low;")]);
    assert_eq!(
        violations(&stranger, TABLE),
        ["other.rs: module other is not in the table"]
    );
}

#[test]
fn circles_of_files_are_found() {
    let a = ("x/a.rs", "use super::b::B; pub struct A;");
    let tree = tree_of(&[
        ("x/mod.rs", "mod a; mod b; pub use a::A;"),
        a,
        ("x/b.rs", "use crate::x::A; pub struct B;"),
    ]);
    assert_eq!(cycles(&tree.uses()), [["x/a.rs", "x/b.rs"]]);
    let tree = tree_of(&[
        ("x/mod.rs", "mod a; mod b; pub use a::A;"),
        a,
        ("x/b.rs", "pub struct B;"),
    ]);
    assert!(cycles(&tree.uses()).is_empty());
    let tree = tree_of(&[
        ("x/mod.rs", "mod a; pub use a::A; pub struct B;"),
        ("x/a.rs", "use super::B; pub struct A(B);"),
    ]);
    assert_eq!(cycles(&tree.uses()), [["x/a.rs", "x/mod.rs"]]);
}
