//! Compiles the CUDA kernels (`src/ops/cuda/*.cu`, with the feature `cuda` only) to one fatbin a file.
//!
//! Each fatbin holds machine code for compute capability 8.0, 8.6, 8.9 and 9.0 (with what only that has: `sm_90a`), and PTX that the
//! driver compiles for later ones. `$OUT_DIR/kernels.rs` embeds them for `ops::cuda`. nvcc is `$NVCC`, or `bin/nvcc` below `$CUDA_HOME`,
//! `$CUDA_PATH`, `$CUDA_ROOT` or `$CUDA_TOOLKIT_ROOT_DIR`, or on the path, or below `/usr/local/cuda`.
//!
//! With the feature `lazy-ffmpeg` it writes the entries by which FFmpeg's libraries are loaded at the first call (`build/ffmpeg.rs`).
//!
//! For every build it states the commit, the features and the target that `--version` shows, as environment variables of the
//! compiler. The commit is that of the git checkout, or of the package that cargo made from one. A debug build states none:
//! following the checkout there would compile the whole crate anew after each commit.
//!
//! `ULTRAMOTION_KERNELS` chooses: `8.6,9.0` compiles for these compute capabilities alone, for a program that runs on no other chip; `check`
//! asks only whether they compile: for one target, without optimising, which takes a tenth of the time.

#[cfg(feature = "lazy-ffmpeg")]
#[path = "build/ffmpeg.rs"]
mod ffmpeg;

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
const TARGETS: &[&str] = &[
    "arch=compute_80,code=[sm_80,sm_86,sm_89]",
    "arch=compute_90a,code=sm_90a",
    "arch=compute_90,code=compute_90",
];

/// What the kernels are compiled for.
enum Kernels {
    All,
    /// Compute capabilities.
    Chosen(Vec<String>),
    Check,
}

impl Kernels {
    fn wanted() -> Result<Self, String> {
        let wish = env::var("ULTRAMOTION_KERNELS").unwrap_or_default();
        if wish.is_empty() {
            return Ok(Self::All);
        }
        if wish == "check" {
            return Ok(Self::Check);
        }
        let chosen: Vec<String> = wish.split(',').map(|one| one.trim().to_owned()).collect();
        match chosen
            .iter()
            .find(|one| !["8.0", "8.6", "8.9", "9.0"].contains(&one.as_str()))
        {
            Some(other) => Err(format!(
                "ULTRAMOTION_KERNELS={wish}: {other:?} is none of 8.0, 8.6, 8.9 and 9.0; without it kernels are compiled for all of \
                 these and, by the driver, for later ones"
            )),
            None => Ok(Self::Chosen(chosen)),
        }
    }

    /// What nvcc is asked for.
    fn codes(&self) -> Vec<String> {
        let own = |one: &String| match one.replace('.', "").as_str() {
            "90" => "arch=compute_90a,code=sm_90a".to_owned(),
            number => format!("arch=compute_{number},code=sm_{number}"),
        };
        match self {
            Self::All => TARGETS.iter().map(|&code| code.to_owned()).collect(),
            Self::Chosen(chosen) => chosen.iter().map(own).collect(),
            Self::Check => vec![own(&"9.0".to_owned())],
        }
    }

    /// Of the files: those for other chips must not be taken for these by a later build.
    fn ending(&self) -> String {
        match self {
            Self::All => "fatbin".to_owned(),
            Self::Chosen(chosen) => format!("{}.fatbin", chosen.join("-")),
            Self::Check => "check.fatbin".to_owned(),
        }
    }
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_at_first_call)");
    describe_build();
    #[cfg(feature = "lazy-ffmpeg")]
    ffmpeg::load_at_first_call();
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed={FOLDER}");
    for name in [
        "NVCC",
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
        "ULTRAMOTION_KERNELS",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Err(message) = build() {
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

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; build with cargo")?);
    let (nvcc, kernels) = (find_nvcc(), Kernels::wanted()?);
    let mut sources: Vec<PathBuf> = fs::read_dir(FOLDER)
        .map_err(|e| format!("{FOLDER}: {e}"))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "cu"))
        .collect();
    sources.sort();
    let jobs = env::var("NUM_JOBS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1usize)
        .clamp(1, sources.len().max(1));
    let (next, nvcc, sources, out) = (&AtomicUsize::new(0), &nvcc, &sources, &out);
    let wanted = &kernels;
    let failed: Vec<String> = thread::scope(|scope| {
        let work = move || -> Vec<String> {
            let turns = std::iter::from_fn(|| sources.get(next.fetch_add(1, Ordering::Relaxed)));
            turns
                .filter_map(|source| compile(nvcc, source, wanted, out).err())
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
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    let ending = kernels.ending();
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

fn compile(nvcc: &Path, source: &Path, kernels: &Kernels, out: &Path) -> Result<(), String> {
    let target = out.join(format!("{}.{}", stem(source), kernels.ending()));
    if is_newer(&target, source).unwrap_or(false) {
        return Ok(());
    }
    let mut command = Command::new(nvcc);
    // Flags from the environment are for Candle's kernels, which take minutes; these few are always optimised.
    command
        .env_remove("NVCC_PREPEND_FLAGS")
        .args(["--fatbin", "-std=c++17"]);
    let checking = matches!(kernels, Kernels::Check);
    let quick = ["-Xcicc", "-O0", "-Xptxas", "-O0"];
    command.args(if checking { &quick[..] } else { &["-O3"] });
    for code in kernels.codes() {
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
