//! Holds the table of layers: which module may use which, and who may name which crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Module, modules it may use. A module may always use itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("run_files", &[]),
    ("geometry", &[]),
    ("frame", &["geometry"]),
    ("engine", &["text"]),
    ("ops", &["engine"]),
    ("models", &["ops", "geometry", "text"]),
    ("weights", &["engine"]),
    ("dicom", &["geometry", "text"]),
    (
        "sources",
        &["run_files", "frame", "geometry", "dicom", "engine", "text"],
    ),
    (
        "sinks",
        &["run_files", "frame", "geometry", "dicom", "text"],
    ),
    ("matching", &["frame", "geometry", "ops"]),
    ("phantom", &["frame", "geometry"]),
    ("eval", &["run_files", "matching", "text"]),
    (
        "pipeline",
        &[
            "text", "geometry", "frame", "engine", "ops", "models", "weights", "dicom", "sources",
            "sinks", "phantom", "matching", "eval",
        ],
    ),
    // Frames and sources only to run the pipeline over them, sinks for its outputs' folder.
    ("audit", &["engine", "pipeline", "sources", "sinks", "text"]),
];

/// Crate as written in code, places (below `src/`) that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("clap", &["bin/"]),
    ("anyhow", &["bin/"]),
    ("indicatif", &["bin/"]),
    ("ctrlc", &["bin/"]),
    ("console", &["bin/"]),
    ("csv", &["bin/"]),
    ("cudarc", &["engine/", "ops/cuda/", "audit/"]),
    ("libloading", &["audit/cupti/"]),
    ("hf_hub", &["weights/"]),
    ("hotcoco", &["eval/"]),
    (
        "video_rs",
        &["sources/", "sinks/", "engine/", "pipeline/doctor.rs"],
    ),
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

/// Path below `src/` with `/`, and the code without comments and without its test module.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: String = code
                .lines()
                .filter(|l| !l.trim_start().starts_with("//"))
                .flat_map(|l| [l, "\n"])
                .collect();
            (name, code)
        })
        .collect()
}

fn layer_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// First path segments after `crate::`, also within braces directly after it.
fn used_layers(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let word = |s: &str| {
            s.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        };
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0usize, 0usize);
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        found.push(word(&group[start..i]));
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.push(word(&group[start..i]));
                        start = i + 1;
                    }
                    _ => {}
                }
            }
        } else {
            found.push(word(rest));
        }
    }
    found
}

#[test]
fn modules_use_only_the_layers_below() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let layer = layer_of(&file);
        if layer == "bin" || layer == "lib" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            wrong.push(format!("{file}: module {layer} is not in the table"));
            continue;
        };
        for used in used_layers(&code) {
            if used != layer
                && LAYERS.iter().any(|(name, _)| *name == used)
                && !allowed.contains(&used.as_str())
            {
                wrong.push(format!("{file}: {layer} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in CRATES {
            let named =
                code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"));
            if named && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file}: names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
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

#[test]
fn the_reader_of_use_lines_finds_groups_and_single_paths() {
    let found = used_layers(
        "use crate::{frame::{A, B}, geometry::Size};\nuse crate::ops::x;\nlet y = crate::engine::z;",
    );
    assert_eq!(found, ["frame", "geometry", "ops", "engine"]);
}
