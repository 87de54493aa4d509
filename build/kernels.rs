//! Compiles the CUDA kernels (`src/ops/cuda/*.cu`) to one fatbin a file, beside each other; `$OUT_DIR/kernels.rs` embeds them for `ops::cuda`.
//!
//! nvcc is `$NVCC`, or `bin/nvcc` below `$CUDA_HOME`, `$CUDA_PATH`, `$CUDA_ROOT` or `$CUDA_TOOLKIT_ROOT_DIR`, or on the path, or below
//! `/usr/local/cuda`. For which GPUs: see [`Targets`].

#[path = "targets.rs"]
mod targets;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use targets::Targets;

const FOLDER: &str = "src/ops/cuda";

/// All kernels, for the GPUs that the environment or the machine asks for.
///
/// # Errors
/// What nvcc said, or why there is none.
pub(crate) fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed={FOLDER}");
    for name in [
        "NVCC",
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
        "CUDA_COMPUTE_CAP",
        "ULTRAMOTION_KERNELS",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; build with cargo")?);
    let (nvcc, targets) = (find_nvcc(), Targets::wanted()?);
    println!("cargo::rustc-env=ULTRAMOTION_KERNELS_FOR={targets}");
    let mut sources: Vec<PathBuf> = fs::read_dir(FOLDER)
        .map_err(|e| format!("{FOLDER}: {e}"))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "cu"))
        .collect();
    sources.sort();
    compile_all(&nvcc, &sources, &targets, &out)?;
    let ending = targets.ending();
    let entry = |source: &PathBuf| {
        let stem = stem(source);
        format!(
            "    ({stem:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{stem}.{ending}\"))),\n"
        )
    };
    let table: String = sources.iter().map(entry).collect();
    let text = format!(
        "/// File of kernels without its ending, and its fatbin.\nconst FATBINS: &[(&str, &[u8])] = &[\n{table}];\n"
    );
    let file = out.join("kernels.rs");
    fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))
}

/// As many files at once as cargo allows.
fn compile_all(
    nvcc: &Path,
    sources: &[PathBuf],
    targets: &Targets,
    out: &Path,
) -> Result<(), String> {
    let jobs = env::var("NUM_JOBS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1usize)
        .clamp(1, sources.len().max(1));
    let next = &AtomicUsize::new(0);
    let failed: Vec<String> = thread::scope(|scope| {
        let work = move || -> Vec<String> {
            let turns = std::iter::from_fn(|| sources.get(next.fetch_add(1, Ordering::Relaxed)));
            turns
                .filter_map(|source| compile(nvcc, source, targets, out).err())
                .collect()
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|w| {
                w.join()
                    .unwrap_or_else(|_| vec!["a compiler thread panicked".to_owned()])
            })
            .collect()
    });
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("\n")),
    }
}

fn stem(source: &Path) -> String {
    source
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether `target` is newer than its source, the headers that this includes, and this program: changes of the Rust code beside them do not
/// count.
fn is_newer(target: &Path, source: &Path) -> std::io::Result<bool> {
    let changed = |path: &Path| fs::metadata(path)?.modified();
    let made = changed(target)?;
    let mut read = vec![source.to_owned()];
    let mut at = 0;
    while let Some(path) = read.get(at) {
        if changed(path)? >= made {
            return Ok(false);
        }
        let text = fs::read_to_string(path)?;
        let included = text.lines().filter_map(|line| {
            let name = line.strip_prefix("#include \"")?.strip_suffix('"')?;
            Some(Path::new(FOLDER).join(name))
        });
        let new: Vec<PathBuf> = included.filter(|path| !read.contains(path)).collect();
        read.extend(new);
        at += 1;
    }
    Ok(changed(&env::current_exe()?)? < made)
}

fn find_nvcc() -> PathBuf {
    if let Some(named) = env::var_os("NVCC") {
        return named.into();
    }
    let roots = [
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
    ]
    .iter()
    .filter_map(env::var_os);
    let on_path = env::var_os("PATH")
        .map(|p| env::split_paths(&p).collect::<Vec<_>>())
        .unwrap_or_default();
    let program = format!("nvcc{}", env::consts::EXE_SUFFIX);
    let places = roots
        .map(|root| PathBuf::from(root).join("bin"))
        .chain(on_path)
        .chain([PathBuf::from("/usr/local/cuda/bin")]);
    places
        .map(|folder| folder.join(&program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| program.clone().into())
}

fn compile(nvcc: &Path, source: &Path, targets: &Targets, out: &Path) -> Result<(), String> {
    let target = out.join(format!("{}.{}", stem(source), targets.ending()));
    if is_newer(&target, source).unwrap_or(false) {
        return Ok(());
    }
    let mut command = Command::new(nvcc);
    // Flags from the environment are for Candle's kernels, which take minutes; these few are always optimised.
    command
        .env_remove("NVCC_PREPEND_FLAGS")
        .args(["--fatbin", "-std=c++17"]);
    let checking = matches!(targets, Targets::Check);
    let quick = ["-Xcicc", "-O0", "-Xptxas", "-O0"];
    command.args(if checking { &quick[..] } else { &["-O3"] });
    for code in targets.codes() {
        command.args(["-gencode", &code]);
    }
    command.arg("-o").arg(&target).arg(source);
    let output = command.output().map_err(|e| {
        format!("{}: cannot be run: {e}; the feature cuda needs the CUDA toolkit (12 or 13): set CUDA_HOME or NVCC", nvcc.display())
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "{}: nvcc failed ({}):\n{said}{}",
            source.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout)
        ));
    }
    // Unoptimised code says nothing about the real one.
    for line in said
        .lines()
        .filter(|line| !checking && !line.trim().is_empty())
    {
        println!("cargo::warning={line}");
    }
    Ok(())
}
