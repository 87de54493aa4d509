//! For which GPUs the kernels are compiled.

use std::{env, fmt, process::Command};

/// What the kernels are compiled for.
pub(crate) enum Targets {
    /// Compute capabilities, in order, with PTX that the driver compiles for those above 9.0.
    Others(Vec<Capability>),
    /// These alone.
    Alone(Vec<Capability>),
    /// Whether they compile: for one target, without optimising, which takes a tenth of the time.
    Check,
}

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Capability(u32, u32);

/// Those that a program for others is compiled for.
const KNOWN: [Capability; 4] = [
    Capability(8, 0),
    Capability(8, 6),
    Capability(8, 9),
    Capability(9, 0),
];

const OLDEST: Capability = KNOWN[0];
/// What only this one has is used (`__CUDA_ARCH_FEAT_SM90_ALL`), which PTX for later ones may not.
const HOPPER: Capability = KNOWN[3];

impl Targets {
    /// As the environment asks, see [`Targets::of`].
    ///
    /// # Errors
    /// If a value of the environment is none of those, or a GPU too old.
    pub(crate) fn wanted() -> Result<Self, String> {
        let set = |name: &str| env::var(name).ok().filter(|text| !text.trim().is_empty());
        let (kernels, least) = (set("ULTRAMOTION_KERNELS"), set("CUDA_COMPUTE_CAP"));
        Self::of(kernels.as_deref(), least.as_deref(), gpus_of_machine)
    }

    /// `kernels` (`ULTRAMOTION_KERNELS`) says which: `all`, `native` (the GPUs of this machine), `check`, or compute capabilities with commas.
    /// Without it they go by what Candle's kernels are compiled for, which run on that and later ones: `least` (`CUDA_COMPUTE_CAP`), else the
    /// machine's GPU. `gpus` lists those, a compute capability a line.
    pub(crate) fn of(
        kernels: Option<&str>,
        least: Option<&str>,
        gpus: impl Fn() -> Option<String>,
    ) -> Result<Self, String> {
        let native = || gpus().map(|text| Self::native(&text));
        match (kernels.map(str::trim), least) {
            (Some("all"), _) => Ok(Self::from_on(OLDEST)),
            (Some("check"), _) => Ok(Self::Check),
            (Some("native"), _) => native().unwrap_or_else(|| {
                Err(
                    "ULTRAMOTION_KERNELS=native: nvidia-smi shows no GPU in this machine"
                        .to_owned(),
                )
            }),
            (Some(list), _) => Capability::list(list.split(','))
                .map(Self::Alone)
                .map_err(|e| format!("ULTRAMOTION_KERNELS={list}: {e}")),
            (None, Some(least)) => Capability::of_digits(least)
                .and_then(Capability::supported)
                .map(Self::from_on)
                .map_err(|e| format!("CUDA_COMPUTE_CAP={least}: {e}")),
            (None, None) => native().unwrap_or_else(|| Ok(Self::from_on(OLDEST))),
        }
    }

    /// The listed GPUs, without those too old for the kernels.
    fn native(listed: &str) -> Result<Self, String> {
        let lines = listed.lines().filter(|line| !line.trim().is_empty());
        let (fit, mut old): (Vec<_>, Vec<_>) = lines
            .map(|line| Capability::list([line].into_iter()))
            .partition(Result::is_ok);
        let mut fit: Vec<_> = fit.into_iter().flatten().flatten().collect();
        fit.sort();
        fit.dedup();
        match old.pop() {
            Some(Err(e)) if fit.is_empty() => Err(format!(
                "the GPUs of this machine: {e}; CUDA_COMPUTE_CAP=80 builds for other machines"
            )),
            _ => Ok(Self::Alone(fit)),
        }
    }

    /// All from this one on.
    fn from_on(from: Capability) -> Self {
        let mut all: Vec<_> = KNOWN.into_iter().filter(|&one| one >= from).collect();
        if from > HOPPER {
            all.push(from);
        }
        Self::Others(all)
    }

    /// What nvcc is asked for. The 8.x chips share one run of the compiler's front half.
    pub(crate) fn codes(&self) -> Vec<String> {
        let (chosen, ptx) = match self {
            Self::Others(chosen) => (chosen.as_slice(), true),
            Self::Alone(chosen) => (chosen.as_slice(), false),
            Self::Check => (&[HOPPER][..], false),
        };
        let mut codes = Vec::new();
        let eights: Vec<_> = chosen.iter().filter(|one| one.0 == OLDEST.0).collect();
        if let Some(lowest) = eights.first() {
            let each: Vec<String> = eights
                .iter()
                .map(|one| format!("sm_{}", one.digits()))
                .collect();
            codes.push(format!(
                "arch=compute_{},code=[{}]",
                lowest.digits(),
                each.join(",")
            ));
        }
        for one in chosen.iter().filter(|one| one.0 > OLDEST.0) {
            codes.push(match *one {
                HOPPER => "arch=compute_90a,code=sm_90a".to_owned(),
                later => format!("arch=compute_90,code=sm_{}", later.digits()),
            });
        }
        if ptx {
            codes.push("arch=compute_90,code=compute_90".to_owned());
        }
        codes
    }

    /// Of the files: those for other chips must not be taken for these by a later build.
    pub(crate) fn ending(&self) -> String {
        let name = self.to_string().replace(", ", "-").replace(' ', "-");
        format!("{name}.fatbin")
    }
}

/// Their compute capabilities, a line each; none where there are none or `nvidia-smi` is not there.
fn gpus_of_machine() -> Option<String> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=compute_cap", "--format=csv,noheader"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (!text.trim().is_empty()).then_some(text)
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |chosen: &[Capability]| {
            let each: Vec<String> = chosen
                .iter()
                .map(|one| format!("{}.{}", one.0, one.1))
                .collect();
            each.join(", ")
        };
        match self {
            Self::Others(chosen) => write!(f, "{} and later", list(chosen)),
            Self::Alone(chosen) => f.write_str(&list(chosen)),
            Self::Check => f.write_str("none"),
        }
    }
}

impl Capability {
    /// Sorted, without repetitions.
    fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Self>, String> {
        let mut all = texts
            .map(|text| {
                let numbers = text.trim().split_once('.');
                let parsed = numbers.and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)));
                parsed
                    .ok_or_else(|| format!("{:?} is no compute capability, such as 8.6; nor is it all, native or check", text.trim()))
                    .and_then(Self::supported)
            })
            .collect::<Result<Vec<_>, _>>()?;
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// `80`, `90a` or `120`, as Candle's build takes it.
    fn of_digits(text: &str) -> Result<Self, String> {
        let digits = text
            .trim()
            .trim_end_matches(|c: char| c.is_ascii_lowercase());
        match digits.parse::<u32>() {
            Ok(number) => Ok(Self(number / 10, number % 10)),
            Err(_) => Err(format!(
                "{text:?} is no compute capability without its point, such as 86"
            )),
        }
    }

    fn supported(self) -> Result<Self, String> {
        match self >= OLDEST {
            true => Ok(self),
            false => Err(format!(
                "compute capability {}.{} is below 8.0 (Ampere), the oldest that the kernels are written for",
                self.0, self.1
            )),
        }
    }

    fn digits(self) -> String {
        format!("{}{}", self.0, self.1)
    }
}
