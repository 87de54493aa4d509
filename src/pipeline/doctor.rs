//! What this machine and build can do, and what mends what they cannot: `ultramotion doctor`.

use crate::{
    engine::{DeviceSpec, Engine},
    sources, weights,
};
use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
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
        Self { subject: subject.into(), ok: true, found: found.into(), remedy: None }
    }

    fn bad(subject: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject: subject.into(), ok: false, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks at device, processor, FFmpeg and model cache. `device` is what the user wants to run on.
pub fn examine(device: DeviceSpec) -> Vec<Finding> {
    let mut findings = vec![Finding::good("ultramotion", env!("CARGO_PKG_VERSION")), processor()];
    findings.extend(devices(device));
    findings.extend(ffmpeg());
    findings.extend(cache());
    findings
}

fn processor() -> Finding {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Finding::good("processor", format!("{threads} threads, {}", crate::ops::instruction_set()))
}

fn devices(wanted: DeviceSpec) -> Vec<Finding> {
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").ok();
    let driver = driver.and_then(|text| text.lines().next().map(|line| line.trim_start_matches("NVRM version:").trim().to_owned()));
    let mut findings = Vec::new();
    findings.push(match (&driver, cfg!(feature = "cuda")) {
        (Some(driver), true) => Finding::good("NVIDIA driver", driver),
        (Some(driver), false) => Finding::bad(
            "NVIDIA driver",
            format!("{driver}; this build does not use it"),
            "cargo build --release --features cuda (needs the CUDA toolkit and cuDNN)",
        ),
        (None, _) => Finding::good("NVIDIA driver", "none; the CPU is used"),
    });
    findings.push(match Engine::open(wanted) {
        Ok(engine) => Finding::good(format!("device {wanted}"), engine.name()),
        Err(error) => Finding::bad(format!("device {wanted}"), error.to_string(), "use --device cpu, or install what is named"),
    });
    findings
}

fn ffmpeg() -> Vec<Finding> {
    let about = sources::video_support();
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
    findings
}

fn cache() -> Vec<Finding> {
    let hub = match weights::HubConfig::from_env() {
        Ok(config) => weights::Hub::new(config),
        Err(error) => return vec![Finding::bad("model cache", error.to_string(), "export HF_HOME=/some/folder")],
    };
    let config = hub.config();
    let cached: Vec<&str> = weights::catalogue(&hub).into_iter().filter(|entry| entry.cached).map(|entry| entry.name).collect();
    let offline = if config.offline { ", offline (HF_HUB_OFFLINE)" } else { "" };
    let mut findings = vec![Finding::good("model cache", format!("{}{offline}", config.cache.display()))];
    findings.push(if cached.is_empty() {
        Finding::good("cached models", "none; `ultramotion models pull NAME` fetches one")
    } else {
        Finding::good("cached models", cached.join(", "))
    });
    findings
}
