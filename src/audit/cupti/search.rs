//! Where libcupti may lie.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Names of the library, newest first.
const NAMES: [&str; 3] = ["libcupti.so.13", "libcupti.so.12", "libcupti.so"];

/// Folders below the root of a toolkit.
const BELOW_TOOLKIT: [&str; 4] = [
    "extras/CUPTI/lib64",
    "lib64",
    "lib",
    "targets/x86_64-linux/lib",
];

/// Files and names to try, best first: `CUPTI_PATH` (the file or its folder), the toolkits that the environment names, folders of CUDA
/// libraries that the program has loaded (and, of Python wheels, the CUPTI beside them), wheels of the active virtual
/// environment, the usual places, and at last the names alone, for the loader's own path.
pub(super) fn candidates(env: impl Fn(&str) -> Option<OsString>, loaded: &str) -> Vec<PathBuf> {
    let given = |name: &str| {
        env(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let mut folders = Vec::new();
    let mut found = Vec::new();
    if let Some(path) = given("CUPTI_PATH") {
        let is_file = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains(".so"));
        if is_file {
            found.push(path)
        } else {
            folders.push(path)
        }
    }
    let toolkits = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"]
        .iter()
        .filter_map(|name| given(name));
    for toolkit in toolkits {
        folders.extend(BELOW_TOOLKIT.iter().map(|below| toolkit.join(below)));
    }
    folders.extend(beside_loaded(loaded));
    if let Some(environment) = given("VIRTUAL_ENV") {
        folders.extend(in_wheels(&environment));
    }
    folders.extend(
        BELOW_TOOLKIT
            .iter()
            .map(|below| Path::new("/usr/local/cuda").join(below)),
    );
    for folder in folders {
        found.extend(NAMES.iter().map(|name| folder.join(name)));
    }
    found.extend(NAMES.iter().map(PathBuf::from));
    let mut unique = Vec::with_capacity(found.len());
    found.into_iter().for_each(|path| {
        if !unique.contains(&path) {
            unique.push(path);
        }
    });
    unique
}

/// Folders of the CUDA libraries in `loaded`, a text as `/proc/self/maps`.
fn beside_loaded(loaded: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for line in loaded.lines() {
        let Some(path) = line.find('/').and_then(|at| line.get(at..)).map(Path::new) else {
            continue;
        };
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if ![
            "libcublas",
            "libcudart",
            "libnvrtc",
            "libcurand",
            "libcudnn",
        ]
        .iter()
        .any(|known| name.starts_with(known))
        {
            continue;
        }
        let Some(folder) = path.parent() else {
            continue;
        };
        // Wheels of CUDA 12 have a folder for each library.
        let wheel = folder
            .parent()
            .and_then(Path::parent)
            .map(|nvidia| nvidia.join("cuda_cupti/lib"));
        for folder in [
            Some(folder.to_owned()),
            Some(folder.join("../extras/CUPTI/lib64")),
            wheel,
        ]
        .into_iter()
        .flatten()
        {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

/// Folders of CUPTI in the wheels of a Python environment.
fn in_wheels(environment: &Path) -> Vec<PathBuf> {
    let pythons = std::fs::read_dir(environment.join("lib"))
        .map(|entries| entries.flatten().map(|e| e.path()).collect::<Vec<_>>());
    let packages = pythons
        .unwrap_or_default()
        .into_iter()
        .map(|python| python.join("site-packages/nvidia"));
    packages
        .flat_map(|nvidia| ["cu13/lib", "cuda_cupti/lib"].map(|below| nvidia.join(below)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_names_comes_first_and_the_loaders_path_last() {
        let env = |name: &str| match name {
            "CUPTI_PATH" => Some("/opt/my/libcupti.so.12".into()),
            "CUDA_HOME" => Some("/opt/cuda".into()),
            _ => None,
        };
        let maps = "7f00-7f01 r-xp 0 08:01 12   /venv/lib/python3.11/site-packages/nvidia/cublas/lib/libcublas.so.12\n7f02 r-xp 0 0 0 [heap]";
        let found = candidates(env, maps);
        assert_eq!(found[0], Path::new("/opt/my/libcupti.so.12"));
        assert_eq!(
            found[1],
            Path::new("/opt/cuda/extras/CUPTI/lib64/libcupti.so.13")
        );
        assert!(found.contains(
            &"/venv/lib/python3.11/site-packages/nvidia/cuda_cupti/lib/libcupti.so.12".into()
        ));
        assert_eq!(found.last().unwrap(), Path::new("libcupti.so"));
    }

    #[test]
    fn a_folder_in_cupti_path_is_searched_and_empty_variables_do_not_count() {
        let found = candidates(
            |name| {
                Some(
                    if name == "CUPTI_PATH" {
                        "/opt/cupti"
                    } else {
                        ""
                    }
                    .into(),
                )
            },
            "",
        );
        assert_eq!(found[0], Path::new("/opt/cupti/libcupti.so.13"));
        assert!(
            found
                .iter()
                .all(|path| path.is_absolute() || path.components().count() == 1),
            "{found:?}"
        );
    }
}
