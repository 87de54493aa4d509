//! Bounds, what was measured, and what follows.

use serde::{Deserialize, Serialize};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Most critical findings over all steady-state frames.
    pub max_critical: u64,
    /// Most waits of the host in any steady-state frame.
    pub max_syncs: u64,
    /// Longest median time from decoded frame to result, in milliseconds.
    pub max_latency_ms: f64,
    /// Most device memory in use at any time, in MiB.
    pub max_memory_mb: f64,
    /// Most growth of device memory, in a soak also of the program's host memory, from the first to the last tenth of the run, in MiB.
    pub max_drift_mb: f64,
    /// Least share of the stages without a critical finding, 0 to 1.
    pub min_resident: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_critical: 0,
            max_syncs: 1,
            max_latency_ms: 45.0,
            max_memory_mb: 8192.0,
            max_drift_mb: 5.0,
            min_resident: 0.9,
        }
    }
}

/// What was measured; none where it could not be observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Measured {
    /// Critical findings.
    pub critical: Option<u64>,
    /// Most waits of the host in a frame.
    pub syncs: Option<u64>,
    /// Median time from decoded frame to result, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Most device memory in use, in MiB.
    pub memory_mb: Option<f64>,
    /// Growth of device memory, in MiB.
    pub device_drift_mb: Option<f64>,
    /// Growth of the program's host memory, in MiB.
    pub host_drift_mb: Option<f64>,
    /// Share of stages without a critical finding.
    pub resident: Option<f64>,
}

/// Whether a bound holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// There was nothing to measure it by.
    NotObserved,
}

/// One figure with its bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Kpi {
    /// What is bounded.
    pub name: String,
    /// The option that sets the bound.
    pub option: String,
    /// The figure, if it was observed.
    pub measured: Option<f64>,
    /// The bound.
    pub bound: f64,
    /// `MiB`, `ms`, or empty for counts and shares.
    pub unit: String,
    /// Whether it holds.
    pub holds: Holds,
}

/// What follows from all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// Everything was observed and every bound holds.
    Pass,
    /// A bound does not hold.
    Fail,
    /// No bound is known to be broken, but not all could be observed.
    NotProven,
}

impl Verdict {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotProven => "not proven",
        }
    }
}

/// Holds `measured` against `bounds`; the host's memory only after a soak, since it grows while a run fills its queues.
pub(super) fn kpis(measured: &Measured, bounds: &Bounds, soak: bool) -> Vec<Kpi> {
    let most = |name: &str, option: &str, unit: &str, value: Option<f64>, bound: f64| {
        kpi(name, option, unit, value, bound, |v| v <= bound)
    };
    let mut kpis = vec![
        most(
            "critical findings",
            "--max-critical",
            "",
            measured.critical.map(|n| n as f64),
            bounds.max_critical as f64,
        ),
        most(
            "host waits, most in a frame",
            "--max-syncs",
            "",
            measured.syncs.map(|n| n as f64),
            bounds.max_syncs as f64,
        ),
        most(
            "latency, median",
            "--max-latency-ms",
            "ms",
            measured.latency_ms,
            bounds.max_latency_ms,
        ),
        most(
            "device memory, most",
            "--max-memory-mb",
            "MiB",
            measured.memory_mb,
            bounds.max_memory_mb,
        ),
        most(
            "device memory, drift",
            "--max-drift-mb",
            "MiB",
            measured.device_drift_mb,
            bounds.max_drift_mb,
        ),
        kpi(
            "stages on the device",
            "--min-resident",
            "",
            measured.resident,
            bounds.min_resident,
            |v| v >= bounds.min_resident,
        ),
    ];
    if soak {
        kpis.push(most(
            "host memory, drift",
            "--max-drift-mb",
            "MiB",
            measured.host_drift_mb,
            bounds.max_drift_mb,
        ));
    }
    kpis
}

fn kpi(
    name: &str,
    option: &str,
    unit: &str,
    measured: Option<f64>,
    bound: f64,
    holds: impl Fn(f64) -> bool,
) -> Kpi {
    let holds = match measured {
        None => Holds::NotObserved,
        Some(value) if holds(value) => Holds::Yes,
        Some(_) => Holds::No,
    };
    Kpi {
        name: name.to_owned(),
        option: option.to_owned(),
        measured,
        bound,
        unit: unit.to_owned(),
        holds,
    }
}

/// The verdict on `kpis`; `proven` says whether the driver's own records were read, all of them.
///
/// Without the driver's records nothing is proven, whatever the other figures are.
pub(super) fn verdict(kpis: &[Kpi], proven: bool) -> Verdict {
    if !proven {
        return Verdict::NotProven;
    }
    if kpis.iter().any(|kpi| kpi.holds == Holds::No) {
        return Verdict::Fail;
    }
    if kpis.iter().all(|kpi| kpi.holds == Holds::Yes) {
        Verdict::Pass
    } else {
        Verdict::NotProven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Measured {
        Measured {
            critical: Some(0),
            syncs: Some(1),
            latency_ms: Some(3.0),
            memory_mb: Some(900.0),
            device_drift_mb: Some(-0.5),
            host_drift_mb: Some(4.9),
            resident: Some(1.0),
        }
    }

    #[test]
    fn all_bounds_must_hold_and_each_can_break_alone() {
        let judge = |measured: &Measured| verdict(&kpis(measured, &Bounds::default(), true), true);
        assert_eq!(judge(&good()), Verdict::Pass);
        let broken = [
            Measured {
                critical: Some(1),
                ..good()
            },
            Measured {
                syncs: Some(2),
                ..good()
            },
            Measured {
                latency_ms: Some(45.01),
                ..good()
            },
            Measured {
                memory_mb: Some(8193.0),
                ..good()
            },
            Measured {
                device_drift_mb: Some(5.1),
                ..good()
            },
            Measured {
                host_drift_mb: Some(5.1),
                ..good()
            },
            Measured {
                resident: Some(0.89),
                ..good()
            },
            Measured {
                latency_ms: Some(f64::NAN),
                ..good()
            },
        ];
        for measured in broken {
            assert_eq!(judge(&measured), Verdict::Fail, "{measured:?}");
        }
    }

    #[test]
    fn what_was_not_observed_is_not_proven() {
        let part = Measured {
            memory_mb: None,
            ..good()
        };
        let of_part = kpis(&part, &Bounds::default(), true);
        assert_eq!(verdict(&of_part, true), Verdict::NotProven);
        assert_eq!(
            of_part
                .iter()
                .filter(|kpi| kpi.holds == Holds::NotObserved)
                .count(),
            1
        );
        assert_eq!(
            verdict(&kpis(&good(), &Bounds::default(), false), false),
            Verdict::NotProven
        );
        let slow = Measured {
            latency_ms: Some(99.0),
            ..Measured::default()
        };
        assert_eq!(
            verdict(&kpis(&slow, &Bounds::default(), false), false),
            Verdict::NotProven,
            "without records nothing is proven"
        );
    }
}
