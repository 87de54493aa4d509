//! An audit as text for a terminal.

use super::{
    classify::{Class, Kind},
    record::{CopyWay, MemoryKind},
    report::{AuditReport, ModeReport, Observed},
    rows::Row,
    verdict::{Holds, Kpi},
};
use crate::{session::Mode, text::counted};
use std::fmt::Write;

/// The audit as text, with line ends.
pub fn to_text(report: &AuditReport) -> String {
    let mut out = format!(
        "device {}, {} of warm-up\n",
        report.device,
        counted(report.warm_up, "frame")
    );
    let (before, after) = before_and_after(report);
    if let Some(before) = before {
        out.push_str(&comparison(before, after));
        out.push_str(&mode(before));
    }
    out.push_str(&mode(after));
    for gap in &report.not_observed {
        let _ = writeln!(out, "not observed: {gap}");
    }
    let _ = writeln!(
        out,
        "\n{:<30}{:>14}{:>18}  {:<14}option",
        "figure", "measured", "bound", "holds"
    );
    for kpi in &report.kpis {
        let holds = match kpi.holds {
            Holds::Yes => "yes",
            Holds::No => "NO",
            Holds::NotObserved => "not observed",
        };
        let _ = writeln!(
            out,
            "{:<30}{:>14}{:>18}  {holds:<14}{}",
            kpi.name,
            measured(kpi),
            bound(kpi),
            kpi.option
        );
    }
    let _ = writeln!(out, "\nverdict: {}", report.verdict.name());
    out
}

/// Both modes of a comparison, the legacy one first; else no mode and the only one.
pub(super) fn before_and_after(report: &AuditReport) -> (Option<&ModeReport>, &ModeReport) {
    match &report.compared {
        Some(compared) if report.audited.mode == Mode::Staged => (Some(&report.audited), compared),
        compared => (compared.as_ref(), &report.audited),
    }
}

/// The figure with its unit, or a dash.
pub(super) fn measured(kpi: &Kpi) -> String {
    kpi.measured
        .map_or_else(|| "–".to_owned(), |value| with_unit(value, &kpi.unit))
}

/// The bound with its unit and direction.
pub(super) fn bound(kpi: &Kpi) -> String {
    let least = kpi.option.starts_with("--min");
    format!(
        "at {} {}",
        if least { "least" } else { "most" },
        with_unit(kpi.bound, &kpi.unit)
    )
}

fn with_unit(value: f64, unit: &str) -> String {
    let number = if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    };
    if unit.is_empty() {
        number
    } else {
        format!("{number} {unit}")
    }
}

/// `1.5 MiB`.
pub(super) fn bytes(n: f64) -> String {
    match n {
        n if n >= 1_048_576.0 => format!("{:.2} MiB", n / 1_048_576.0),
        n if n >= 1024.0 => format!("{:.1} KiB", n / 1024.0),
        n => format!("{n:.0} B"),
    }
}

/// What was done, in words.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Copy(CopyWay::HostToDevice) => "host to device",
        Kind::Copy(CopyWay::DeviceToHost) => "device to host",
        Kind::Copy(CopyWay::DeviceToDevice) => "device to device",
        Kind::Copy(CopyWay::PeerToPeer) => "device to other device",
        Kind::Copy(CopyWay::HostToHost) => "host to host",
        Kind::Copy(CopyWay::Unknown) => "copy",
        Kind::HostWait => "host wait",
        Kind::DecoderWait => "decoder wait",
        Kind::Allocation => "allocation",
        Kind::LoadedCode => "code loaded",
    }
}

/// A class in words.
pub(super) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Critical => "critical",
        Class::Moderate => "moderate",
        Class::Legitimate => "legitimate",
    }
}

/// Host memory of a copy in words.
pub(super) fn memory_name(memory: Option<MemoryKind>) -> &'static str {
    match memory {
        None => "",
        Some(MemoryKind::Pageable) => "pageable",
        Some(MemoryKind::Pinned) => "pinned",
        Some(MemoryKind::Device) => "device",
        Some(MemoryKind::Array) => "array",
        Some(MemoryKind::Managed) => "managed",
        Some(MemoryKind::Unknown) => "unknown",
    }
}

/// Figures of two modes side by side: what they are, before, after.
pub(super) fn compared_rows(before: &ModeReport, after: &ModeReport) -> Vec<[String; 3]> {
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "–".to_owned());
    let both = |name: &str, figure: &dyn Fn(&ModeReport) -> Option<String>| {
        [name.to_owned(), cell(figure(before)), cell(figure(after))]
    };
    let seen = |name: &str, figure: &dyn Fn(&Observed) -> f64| {
        both(name, &|mode| {
            Some(format!("{:.1}", figure(mode.observed.as_ref()?)))
        })
    };
    let size = |name: &str, figure: &dyn Fn(&Observed) -> f64| {
        both(name, &|mode| Some(bytes(figure(mode.observed.as_ref()?))))
    };
    let of_class = |class: Class| {
        move |o: &Observed| {
            o.rows
                .iter()
                .filter(|r| r.class == class)
                .map(|r| r.per_frame)
                .fold(0.0, |a, b| a + b)
        }
    };
    let number = |name: &str, figure: &dyn Fn(&ModeReport) -> Option<f64>| {
        both(name, &|mode| Some(format!("{:.2}", figure(mode)?)))
    };
    vec![
        seen("critical a frame", &of_class(Class::Critical)),
        seen("moderate a frame", &of_class(Class::Moderate)),
        seen("uploads a frame", &|o| o.per_frame.uploads),
        size("bytes up a frame", &|o| o.per_frame.upload_bytes),
        seen("downloads a frame", &|o| o.per_frame.downloads),
        size("bytes down a frame", &|o| o.per_frame.download_bytes),
        seen("host waits a frame", &|o| o.per_frame.host_waits),
        seen("waits of the video decoder a frame", &|o| {
            o.per_frame.decoder_waits
        }),
        seen("copies on the device a frame", &|o| {
            o.per_frame.device_copies
        }),
        seen("allocations a frame", &|o| o.per_frame.allocations),
        seen("kernels a frame", &|o| o.per_frame.kernels),
        seen("graph launches a frame", &|o| o.per_frame.graph_launches),
        number("stages on the device", &|mode| mode.measured.resident),
        number("device memory, most, MiB", &|mode| mode.measured.memory_mb),
        number("latency, median, ms", &|mode| Some(mode.latency.median_ms)),
        number("latency, p90, ms", &|mode| Some(mode.latency.p90_ms)),
        number("latency, p99, ms", &|mode| Some(mode.latency.p99_ms)),
        number("frames a second, decoding included", &|mode| {
            (mode.seconds > 0.0).then(|| mode.latency.frames as f64 / mode.seconds)
        }),
    ]
}

fn comparison(before: &ModeReport, after: &ModeReport) -> String {
    let mut out = format!(
        "\n{:<36}{:>14}{:>14}\n",
        "",
        before.mode.name(),
        after.mode.name()
    );
    for [name, before, after] in compared_rows(before, after) {
        let _ = writeln!(out, "{name:<36}{before:>14}{after:>14}");
    }
    out
}

fn mode(report: &ModeReport) -> String {
    let l = &report.latency;
    let mut out = format!(
        "\n== {}: {} in {:.1} s; latency median {:.2} ms, p90 {:.2}, p99 {:.2}, longest {:.2}\n",
        report.mode.name(),
        counted(l.frames, "frame"),
        report.seconds,
        l.median_ms,
        l.p90_ms,
        l.p99_ms,
        l.max_ms
    );
    if report.problems > 0 {
        let _ = writeln!(out, "inputs or frames that failed: {}", report.problems);
    }
    if let Some(observed) = &report.observed {
        out.push_str(&records(observed));
    }
    out.push_str(&graphs(report));
    out.push_str(&announced(report));
    out
}

/// The driver's records of a mode: findings, chains and stages.
fn records(observed: &Observed) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {}, {} lost",
        observed.profiler,
        counted(observed.records, "record"),
        observed.dropped
    );
    let _ = writeln!(
        out,
        "{:<12}{:<24}{:<12}{:<10}{:>9}{:>14}  why; where",
        "class", "what", "stage", "memory", "a frame", "bytes a frame"
    );
    observed
        .rows
        .iter()
        .for_each(|row| out.push_str(&observed_row(row)));
    for chain in &observed.chains {
        let (down, up) = (bytes(chain.bytes_down), bytes(chain.bytes_up));
        let _ = writeln!(
            out,
            "chain: {down} down in {}, {up} up again in {}, in {}",
            chain.down,
            chain.up,
            counted(chain.frames, "frame")
        );
    }
    for stage in &observed.stages {
        let (name, kernels, ms) = (&stage.stage, stage.kernels, stage.device_ms);
        let _ = writeln!(
            out,
            "stage {name}: {kernels:.1} kernels a frame, {ms:.3} ms on the device, {} critical",
            stage.critical
        );
    }
    out
}

fn graphs(report: &ModeReport) -> String {
    let mut out = String::new();
    for graph in &report.graphs {
        let _ = writeln!(
            out,
            "graph in {}: {}, {}, copies to or from the host: {}, on the device: {}, functions on the host: {}",
            graph.stage,
            counted(graph.nodes, "node"),
            counted(graph.kernels, "kernel"),
            graph.host_copies,
            graph.device_copies,
            graph.host_functions
        );
    }
    out
}

fn announced(report: &ModeReport) -> String {
    let mut out = String::new();
    out.push_str("announced by the engine (its ledger):\n");
    if report.announced.is_empty() {
        out.push_str("  nothing\n");
    }
    for a in &report.announced {
        let (way, size) = (kind_name(Kind::Copy(a.direction)), bytes(a.bytes_per_frame));
        let _ = writeln!(
            out,
            "  {:<12}{way:<18}{:>7.2} a frame {size:>12} a frame  {}",
            a.stage, a.per_frame, a.place
        );
    }
    out
}

fn observed_row(row: &Row) -> String {
    format!(
        "{:<12}{:<24}{:<12}{:<10}{:>9.2}{:>14}  {}; {}\n",
        class_name(row.class),
        kind_name(row.kind),
        row.stage,
        memory_name(row.host_memory),
        row.per_frame,
        bytes(row.bytes_per_frame),
        row.reason,
        row.place
    )
}
