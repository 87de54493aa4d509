//! How frames go through the models: on the device from end to end, or stage by stage.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether results of one stage come to the host before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// Nothing crosses between the decoded frame and its packed result; on a GPU only.
    Resident,
    /// Boxes and masks come to the host between the stages, as most tools do it; the only mode of the CPU. Reports and the command
    /// line call it `legacy`.
    #[serde(rename = "legacy", alias = "staged")]
    Staged,
}

impl Mode {
    /// The modes that there are on a GPU, or on the CPU, the default first.
    pub fn available(on_cpu: bool) -> &'static [Self] {
        if on_cpu {
            &[Self::Staged]
        } else {
            &[Self::Resident, Self::Staged]
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resident => "resident",
            Self::Staged => "legacy",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How frames go through the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// Stage by stage or not; the CPU has `Staged` only.
    pub mode: Mode,
    /// Frames that the models work on together in `Resident` mode. What is found does not depend on which frames these are.
    pub batch: usize,
    /// Work on one batch at a time, so that a result comes as soon as it can, at the price of fewer frames a second.
    pub latency: bool,
}

impl Execution {
    /// What `engine` does best: resident on a GPU.
    pub fn of(engine: &crate::engine::Engine) -> Self {
        Self {
            mode: if engine.is_cpu() {
                Mode::Staged
            } else {
                Mode::Resident
            },
            ..Self::default()
        }
    }
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            mode: Mode::Staged,
            batch: 1,
            latency: false,
        }
    }
}
