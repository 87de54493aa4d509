//! Checks of this machine and build: device, FFmpeg, folders, model cache, hub and speed, each with a remedy where it
//! fails.

use crate::{
    engine::{DeviceSpec, Engine, EngineError},
    frame::Confidence,
    session::{ModelError, load_detector, load_segmenter},
    sources,
    text::counted,
    tools::{bench::Bench, test_frame::test_frame},
    weights,
};
use serde::Serialize;
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// What a [`Finding`] is about, for callers that know a setting against what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FindingKind {
    /// Nothing that a setting changes.
    #[default]
    Other,
    /// Whether this build can use the GPU of this machine.
    GpuBuild,
    /// The device that the models were requested to run on.
    Device,
    /// Whether files can be written where outputs go.
    OutputFolder,
    /// How fast the built-in models are.
    Speed,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    #[serde(skip)]
    pub kind: FindingKind,
    /// What was checked.
    pub subject: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// A command or change that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn good(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            kind: FindingKind::Other,
            subject: subject.into(),
            ok: true,
            found: found.into(),
            remedy: None,
        }
    }

    fn bad(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            kind: FindingKind::Other,
            subject: subject.into(),
            ok: false,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn of_kind(self, kind: FindingKind) -> Self {
        Self { kind, ..self }
    }
}

/// Looks at build, device, processor, FFmpeg, the current folder, model cache and hub, and takes the speed of the built-in
/// models. `device` is what the user wants to run on.
pub fn examine(device: DeviceSpec) -> Vec<Finding> {
    let mut findings = vec![Finding::good("ultramotion", env!("CARGO_PKG_VERSION"))];
    findings.extend(build());
    findings.push(processor());
    let engine = Engine::open(device);
    findings.extend(devices(device, &engine));
    findings.extend(ffmpeg());
    findings.push(folder());
    findings.extend(cache());
    findings.extend(engine.ok().map(|engine| speed(&engine)));
    findings
}

fn build() -> [Finding; 2] {
    let cuda = if cfg!(feature = "cuda") {
        "in this build"
    } else {
        "not in this build: models run on the CPU"
    };
    let models: Vec<&str> = weights::EMBEDDED_MODELS
        .iter()
        .map(|model| model.name)
        .collect();
    let models = if models.is_empty() {
        "not in this build: name a detector and a segmenter".to_owned()
    } else {
        models.join(", ")
    };
    [
        Finding::good("CUDA", cuda),
        Finding::good("built-in models", models),
    ]
}

fn processor() -> Finding {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let bf16 = if crate::engine::multiplies_bf16() {
        ", AVX512-BF16"
    } else {
        ""
    };
    let vectors = crate::ops::instruction_set();
    let threads = counted(threads, "thread");
    Finding::good("processor", format!("{threads}, {vectors}{bf16}"))
}

fn devices(wanted: DeviceSpec, engine: &Result<Engine, EngineError>) -> Vec<Finding> {
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").ok();
    let driver = driver.and_then(|text| {
        text.lines()
            .next()
            .map(|line| line.trim_start_matches("NVRM version:").trim().to_owned())
    });
    let mut findings = Vec::new();
    findings.push(match (&driver, cfg!(feature = "cuda")) {
        (Some(driver), true) => Finding::good("NVIDIA driver", driver),
        (Some(driver), false) => Finding::bad(
            "NVIDIA driver",
            format!("{driver}; this build does not use it"),
            "build with the feature cuda (needs the CUDA toolkit and cuDNN)",
        )
        .of_kind(FindingKind::GpuBuild),
        (None, _) => Finding::good("NVIDIA driver", "none; the CPU is used"),
    });
    findings.push(match engine {
        Ok(engine) => Finding::good(format!("device {wanted}"), engine.name()),
        Err(error) => Finding::bad(
            format!("device {wanted}"),
            error.to_string(),
            "run on the CPU, or install what is named",
        )
        .of_kind(FindingKind::Device),
    });
    findings
}

fn ffmpeg() -> Vec<Finding> {
    let about = match sources::video_support() {
        Ok(about) => about,
        Err(why) => {
            let found = format!("{} {}", why.library, why.problem);
            return vec![Finding::bad("FFmpeg", found, why.remedy)];
        }
    };
    let mut findings = vec![Finding::good("FFmpeg", about.version)];
    for (codec, there) in about.decoders {
        findings.push(if there {
            Finding::good(format!("decoder {codec}"), "present")
        } else {
            Finding::bad(
                format!("decoder {codec}"),
                "missing",
                "install an FFmpeg with it (Debian, Ubuntu: apt-get install libavcodec-extra)",
            )
        });
    }
    findings.push(hardware(&about.hardware));
    findings.push(match about.encoder {
        Some("libx264") => Finding::good("encoder of overlay videos", "H.264 (libx264)"),
        Some(other) => Finding::good(
            "encoder of overlay videos",
            format!("{other}; H.264 (libx264) is missing: files are larger"),
        ),
        None => Finding::bad(
            "encoder of overlay videos",
            "missing",
            "install an FFmpeg with libx264 (Debian, Ubuntu: apt-get install libavcodec-extra)",
        ),
    });
    findings
}

/// Kinds of decoding hardware that FFmpeg was built for. A build with CUDA decodes video on the GPU through the kind `cuda`.
fn hardware(kinds: &[&str]) -> Finding {
    const SUBJECT: &str = "decoding hardware of FFmpeg";
    let found = if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(", ")
    };
    if cfg!(feature = "cuda") && !kinds.contains(&"cuda") {
        let found = format!("{found}; cuda (NVDEC) is missing: video is decoded on the CPU");
        return Finding::good(SUBJECT, found);
    }
    Finding::good(SUBJECT, found)
}

/// Whether files can be made in the current folder, where outputs go if the user names no other.
fn folder() -> Finding {
    let place = std::env::current_dir()
        .map_or_else(|_| ".".to_owned(), |folder| folder.display().to_string());
    let file = format!(".ultramotion-doctor-{}.tmp", std::process::id());
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .and_then(|mut made| made.write_all(&[0; 4096]));
    let removed = std::fs::remove_file(&file);
    match made.and(removed) {
        Ok(()) => Finding::good("current folder", format!("{place}: can be written")),
        Err(error) => Finding::bad(
            "current folder",
            format!("{place}: cannot be written: {error}"),
            "give a folder that you may write to for the outputs",
        )
        .of_kind(FindingKind::OutputFolder),
    }
}

/// How long the hub may take to answer.
const HUB_WAIT: Duration = Duration::from_secs(5);

fn reach(hub: &weights::Hub) -> Finding {
    let endpoint = &hub.config().endpoint;
    if hub.config().offline {
        return Finding::good(
            "model hub",
            format!("{endpoint}: not asked (HF_HUB_OFFLINE)"),
        );
    }
    Finding::good(
        "model hub",
        match hub.answers(HUB_WAIT) {
            Ok(()) => format!("{endpoint}: reachable"),
            Err(reason) => format!(
                "{endpoint}: cannot be reached ({reason}); built-in, cached and local models work without it"
            ),
        },
    )
}

/// Objects of the picture that speed is taken with.
const OBJECTS: usize = 2;
/// No further frame is begun after so long.
const SPEED_TIME: Duration = Duration::from_secs(4);

fn speed(engine: &Engine) -> Finding {
    const SUBJECT: &str = "speed of the built-in models";
    if weights::EMBEDDED_MODELS.is_empty() {
        return Finding::good(SUBJECT, "not taken, they are not in this build");
    }
    match frames_a_second(engine) {
        Ok(rate) => {
            let rate = if rate < 10.0 {
                format!("{rate:.1}")
            } else {
                format!("{rate:.0}")
            };
            let device = engine.name();
            Finding::good(
                SUBJECT,
                format!(
                    "about {rate} frames a second ({device}, 1920×1080, {} each)",
                    counted(OBJECTS, "object")
                ),
            )
        }
        Err(error) => Finding::bad(SUBJECT, error.to_string(), "run on the CPU, or report this")
            .of_kind(FindingKind::Speed),
    }
}

/// Frames a second through detector and segmenter one at a time; the first one, which warms up, counts only if it took long.
fn frames_a_second(engine: &Engine) -> Result<f64, ModelError> {
    let hub = weights::Hub::new(weights::HubConfig::new(""));
    let detector = load_detector(engine, None, None, &hub, &mut ())?.with_selection(
        Confidence::ZERO,
        OBJECTS,
        &[],
    )?;
    let segmenter = load_segmenter(engine, None, &hub, &mut ())?;
    let (frame, start) = (test_frame(), Instant::now());
    let mut fastest = f64::INFINITY;
    for _ in 0..4 {
        let times = Bench {
            warm_up: 0,
            repeats: 1,
            stages: Vec::new(),
        }
        .frames(&detector, &segmenter, std::slice::from_ref(&frame))?;
        fastest = times.map_or(fastest, |timing| fastest.min(timing.median_ms));
        if start.elapsed() > SPEED_TIME {
            break;
        }
    }
    Ok(1e3 / fastest)
}

fn cache() -> Vec<Finding> {
    let hub = match weights::HubConfig::from_env() {
        Ok(config) => weights::Hub::new(config),
        Err(error) => {
            return vec![Finding::bad(
                "model cache",
                error.to_string(),
                "export HF_HOME=/some/folder",
            )];
        }
    };
    let config = hub.config();
    let cached: Vec<&str> = weights::catalogue(&hub)
        .into_iter()
        .filter(|entry| entry.cached)
        .map(|entry| entry.name)
        .collect();
    let offline = if config.offline {
        ", offline (HF_HUB_OFFLINE)"
    } else {
        ""
    };
    let mut findings = vec![Finding::good(
        "model cache",
        format!("{}{offline}", config.cache.display()),
    )];
    findings.push(if cached.is_empty() {
        Finding::good(
            "cached models",
            "none; `ultramotion models pull NAME` fetches one",
        )
    } else {
        Finding::good("cached models", cached.join(", "))
    });
    findings.push(reach(&hub));
    findings
}
