//! With the feature `cuda` it compiles the CUDA kernels (`build/kernels.rs`), for the GPUs that `build/targets.rs` finds asked for.
//!
//! With the feature `lazy-ffmpeg` it writes the entries by which FFmpeg's libraries are loaded at the first call (`build/ffmpeg.rs`).
//!
//! For every build it states the commit, the features and the target that `--version` shows, as environment variables of the
//! compiler. The commit is that of the git checkout, or of the package that cargo made from one. A debug build states none:
//! following the checkout there would compile the whole crate anew after each commit.

#[cfg(feature = "lazy-ffmpeg")]
#[path = "build/ffmpeg.rs"]
mod ffmpeg;
#[path = "build/kernels.rs"]
mod kernels;

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, exit},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_at_first_call)");
    describe_build();
    #[cfg(feature = "lazy-ffmpeg")]
    ffmpeg::load_at_first_call();
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    if let Err(message) = kernels::build() {
        println!("cargo::error={}", message.replace('\n', "\ncargo::error="));
        exit(1);
    }
}

fn describe_build() {
    let debug = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let commit = if debug {
        None
    } else {
        commit_of_checkout().or_else(commit_of_package)
    };
    let unknown = if debug {
        "not recorded in a debug build"
    } else {
        "unknown, not built in a git checkout"
    };
    println!(
        "cargo::rustc-env=ULTRAMOTION_COMMIT={}",
        commit.as_deref().unwrap_or(unknown)
    );
    let features = ["cuda", "embedded-models"].into_iter().map(|name| {
        let variable = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
        format!(
            "{}{name}",
            if env::var_os(variable).is_some() {
                "+"
            } else {
                "-"
            }
        )
    });
    println!(
        "cargo::rustc-env=ULTRAMOTION_FEATURES={}",
        features.collect::<Vec<_>>().join(" ")
    );
    println!(
        "cargo::rustc-env=ULTRAMOTION_TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
}

/// What `git` prints for `arguments`, in the folder of the package; none where there is no git or no checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(env::var_os("CARGO_MANIFEST_DIR")?)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The commit that is checked out, where the checkout is this package and not one around it.
fn commit_of_checkout() -> Option<String> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != package.canonicalize().ok()? {
        return None;
    }
    // A commit changes the reference that HEAD names, loose or packed; a checkout changes HEAD.
    let reference = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"]
        .into_iter()
        .chain(reference.as_deref())
    {
        let path = git(&["rev-parse", "--git-path", name])?;
        if package.join(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The commit that cargo noted when it made the package.
fn commit_of_package() -> Option<String> {
    let text = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let hash = text.split("\"sha1\"").nth(1)?.split('"').nth(1)?;
    hash.bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| hash.chars().take(12).collect())
}
