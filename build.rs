//! Compiles the CUDA kernels (`src/ops/cuda/*.cu`, with the feature `cuda` only) to one fatbin a file.
//!
//! Each fatbin holds machine code for compute capability 8.0, 8.6, 8.9 and 9.0 (with what only that has: `sm_90a`), and PTX that the
//! driver compiles for later ones. `$OUT_DIR/kernels.rs` embeds them for `ops::cuda`. nvcc is `$NVCC`, or `bin/nvcc` below `$CUDA_HOME`,
//! `$CUDA_PATH`, `$CUDA_ROOT` or `$CUDA_TOOLKIT_ROOT_DIR`, or on the path, or below `/usr/local/cuda`.
//!
//! `ULTRAMOTION_KERNELS=check` asks only whether they compile: for one target, without optimising, which takes a tenth of the time.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const FOLDER: &str = "src/ops/cuda";

/// The 8.x chips share one run of the compiler's front half; 9.0 may use what only it has (`__CUDA_ARCH_FEAT_SM90_ALL`), which the PTX
/// for later chips may not.
const TARGETS: &[&str] = &["arch=compute_80,code=[sm_80,sm_86,sm_89]", "arch=compute_90a,code=sm_90a", "arch=compute_90,code=compute_90"];
const CHECKED: &[&str] = &["arch=compute_90a,code=sm_90a"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed={FOLDER}");
    for name in ["NVCC", "CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR", "ULTRAMOTION_KERNELS"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Err(message) = build() {
        println!("cargo::error={}", message.replace('\n', "\ncargo::error="));
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; build with cargo")?);
    let nvcc = find_nvcc();
    let mut sources: Vec<PathBuf> = fs::read_dir(FOLDER)
        .map_err(|e| format!("{FOLDER}: {e}"))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "cu"))
        .collect();
    sources.sort();
    let jobs = env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(1usize).clamp(1, sources.len().max(1));
    let (next, nvcc, sources, out) = (&AtomicUsize::new(0), &nvcc, &sources, &out);
    let failed: Vec<String> = thread::scope(|scope| {
        let work = move || -> Vec<String> {
            let turns = std::iter::from_fn(|| sources.get(next.fetch_add(1, Ordering::Relaxed)));
            turns.filter_map(|source| compile(nvcc, source, out).err()).collect()
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap_or_else(|_| vec!["a compiler thread panicked".to_owned()])).collect()
    });
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    let ending = ending();
    let entry = |source: &PathBuf| {
        let stem = stem(source);
        format!("    ({stem:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{stem}.{ending}\"))),\n")
    };
    let table: String = sources.iter().map(entry).collect();
    let text = format!("/// File of kernels without its ending, and its fatbin.\nconst FATBINS: &[(&str, &[u8])] = &[\n{table}];\n");
    let file = out.join("kernels.rs");
    fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))
}

fn checking() -> bool {
    env::var_os("ULTRAMOTION_KERNELS").is_some_and(|wish| wish == "check")
}

/// What was only checked must not be taken for the real thing by a later build.
fn ending() -> &'static str {
    if checking() { "check.fatbin" } else { "fatbin" }
}

fn stem(source: &Path) -> String {
    source.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether `target` is newer than its source, all headers, and this program: changes of the Rust code beside them do not count.
fn is_newer(target: &Path, source: &Path) -> std::io::Result<bool> {
    let changed = |path: &Path| fs::metadata(path)?.modified();
    let made = changed(target)?;
    let header = |path: &PathBuf| path.extension().is_some_and(|e| e == "cuh");
    let headers = fs::read_dir(FOLDER)?.filter_map(|entry| entry.ok().map(|e| e.path())).filter(header);
    for path in headers.chain([source.to_owned(), env::current_exe()?]) {
        if changed(&path)? >= made {
            return Ok(false);
        }
    }
    Ok(true)
}

fn find_nvcc() -> PathBuf {
    if let Some(named) = env::var_os("NVCC") {
        return named.into();
    }
    let roots = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"].iter().filter_map(env::var_os);
    let on_path = env::var_os("PATH").map(|p| env::split_paths(&p).collect::<Vec<_>>()).unwrap_or_default();
    let program = format!("nvcc{}", env::consts::EXE_SUFFIX);
    let places = roots.map(|root| PathBuf::from(root).join("bin")).chain(on_path).chain([PathBuf::from("/usr/local/cuda/bin")]);
    places.map(|folder| folder.join(&program)).find(|file| file.is_file()).unwrap_or_else(|| program.clone().into())
}

fn compile(nvcc: &Path, source: &Path, out: &Path) -> Result<(), String> {
    let target = out.join(format!("{}.{}", stem(source), ending()));
    if is_newer(&target, source).unwrap_or(false) {
        return Ok(());
    }
    let mut command = Command::new(nvcc);
    // Flags from the environment are for Candle's kernels, which take minutes; these few are always optimised.
    command.env_remove("NVCC_PREPEND_FLAGS").args(["--fatbin", "-std=c++17"]);
    let quick = ["-Xcicc", "-O0", "-Xptxas", "-O0"];
    command.args(if checking() { &quick[..] } else { &["-O3"] });
    for code in if checking() { CHECKED } else { TARGETS } {
        command.args(["-gencode", code]);
    }
    command.arg("-o").arg(&target).arg(source);
    let output = command.output().map_err(|e| {
        format!("{}: cannot be run: {e}; the feature cuda needs the CUDA toolkit (12 or 13): set CUDA_HOME or NVCC", nvcc.display())
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: nvcc failed ({}):\n{said}{}", source.display(), output.status, String::from_utf8_lossy(&output.stdout)));
    }
    // Unoptimised code says nothing about the real one.
    for line in said.lines().filter(|line| !checking() && !line.trim().is_empty()) {
        println!("cargo::warning={line}");
    }
    Ok(())
}
