//! An audit as one HTML page that needs nothing else.

use super::{
    plot,
    report::{AuditReport, ModeReport, Observed},
    series::Sample,
    table::{
        before_and_after, bound, bytes, class_name, compared_rows, kind_name, measured, memory_name,
    },
    verdict::{Holds, Verdict},
};
use crate::text::counted;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#c8c8c8;--soft:#f3f3f3;--bad:#b3261e;--warn:#8a5a00;--good:#1b6e3a;--curve:#1f5fa8}\
@media(prefers-color-scheme:dark){:root{--line:#555;--soft:#2a2a2a;--bad:#ff8a80;--warn:#ffcf70;--good:#7ddc9b;--curve:#7db7ff}}\
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem;font-size:14px}\
th,td{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}\
th{background:var(--soft)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
code{font-size:13px;overflow-wrap:anywhere}.wide{overflow-x:auto}\
.critical,.no,.fail{color:var(--bad);font-weight:600}.moderate,.not-observed,.not-proven{color:var(--warn);font-weight:600}\
.legitimate,.yes,.pass{color:var(--good);font-weight:600}\
figure{margin:1rem 0}svg{width:100%;max-width:720px;height:auto}svg text{font-size:11px;fill:currentColor}\
.grid{stroke:var(--line)}.curve{fill:none;stroke:var(--curve);stroke-width:1.5}";

/// The audit as a page; drift is plotted where there are samples.
pub fn to_html(report: &AuditReport) -> String {
    let verdict = report.verdict.name();
    let class = if report.verdict == Verdict::NotProven {
        "not-proven"
    } else {
        verdict
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/>\
         <title>ultramotion audit: {verdict}</title><style>{STYLE}</style></head>\n<body>\n\
         <h1>Audit: <span class=\"{class}\">{verdict}</span></h1>\n\
         <p>ultramotion {}, {}, device {}, {} of warm-up.</p>\n",
        escape(&report.version),
        escape(&report.date),
        escape(&report.device),
        counted(report.warm_up, "frame")
    );
    if !report.not_observed.is_empty() {
        out.push_str("<h2>Not observed</h2>\n<ul>\n");
        report.not_observed.iter().for_each(|gap| {
            let _ = writeln!(out, "<li>{}</li>", escape(gap));
        });
        out.push_str("</ul>\n");
    }
    out.push_str(&kpis(report));
    let (before, after) = before_and_after(report);
    if let Some(before) = before {
        let rows = compared_rows(before, after);
        let rows = rows
            .iter()
            .map(|[name, before, after]| vec![text(name), number(before), number(after)]);
        let head = ["", before.mode.name(), after.mode.name()];
        let _ = write!(out, "<h2>Comparison</h2>\n{}", table(&head, &[1, 2], rows));
        out.push_str(&mode(before));
    }
    out.push_str(&mode(after));
    out.push_str("</body>\n</html>\n");
    out
}

fn kpis(report: &AuditReport) -> String {
    let rows = report.kpis.iter().map(|kpi| {
        let (class, holds) = match kpi.holds {
            Holds::Yes => ("yes", "yes"),
            Holds::No => ("no", "no"),
            Holds::NotObserved => ("not-observed", "not observed"),
        };
        let option = format!("<td><code>{}</code></td>", escape(&kpi.option));
        vec![
            text(&kpi.name),
            number(&measured(kpi)),
            number(&bound(kpi)),
            format!("<td class=\"{class}\">{holds}</td>"),
            option,
        ]
    });
    format!(
        "<h2>Bounds</h2>\n{}",
        table(
            &["figure", "measured", "bound", "holds", "option"],
            &[1, 2],
            rows
        )
    )
}

fn mode(report: &ModeReport) -> String {
    let l = &report.latency;
    let mut out = format!(
        "<h2>Mode {}</h2>\n<p>{} in {:.1} s. Latency: median {:.2} ms, p90 {:.2}, p99 {:.2}, longest {:.2}. \
         Inputs or frames that failed: {}.</p>\n",
        report.mode.name(),
        counted(l.frames, "frame"),
        report.seconds,
        l.median_ms,
        l.p90_ms,
        l.p99_ms,
        l.max_ms,
        report.problems
    );
    if let Some(observed) = &report.observed {
        out.push_str(&records(observed));
    }
    if !report.graphs.is_empty() {
        out.push_str(&graphs(report));
    }
    out.push_str(&announced(report));
    out.push_str(&plots(&report.samples));
    out
}

/// The driver's records of a mode: findings, chains and stages.
fn records(observed: &Observed) -> String {
    let mut out = format!(
        "<p>{}: {}, {} lost.</p>\n",
        escape(&observed.profiler),
        counted(observed.records, "record"),
        observed.dropped
    );
    out.push_str(&findings(observed));
    for chain in &observed.chains {
        let (down, up) = (bytes(chain.bytes_down), bytes(chain.bytes_up));
        let stages = (escape(&chain.down), escape(&chain.up));
        let _ = writeln!(
            out,
            "<p>Chain: {down} down in {}, {up} up again in {}, in {}.</p>",
            stages.0,
            stages.1,
            counted(chain.frames, "frame")
        );
    }
    out.push_str(&stages(observed));
    out
}

fn findings(observed: &Observed) -> String {
    let rows = observed.rows.iter().map(|row| {
        let class = class_name(row.class);
        let class = format!("<td class=\"{class}\">{class}</td>");
        let place = format!(
            "<td>{}<br/><code>{}</code></td>",
            escape(&row.reason),
            escape(&row.place)
        );
        let (each, size) = (
            number(&format!("{:.2}", row.per_frame)),
            number(&bytes(row.bytes_per_frame)),
        );
        let frames = number(&row.frames.to_string());
        vec![
            class,
            text(kind_name(row.kind)),
            text(&row.stage),
            text(memory_name(row.host_memory)),
            frames,
            each,
            size,
            place,
        ]
    });
    let head = [
        "class",
        "what",
        "stage",
        "memory",
        "frames",
        "a frame",
        "bytes a frame",
        "why; where",
    ];
    table(&head, &[4, 5, 6], rows)
}

fn stages(observed: &Observed) -> String {
    let rows = observed.stages.iter().map(|stage| {
        let (kernels, ms) = (
            format!("{:.1}", stage.kernels),
            format!("{:.3}", stage.device_ms),
        );
        vec![
            text(&stage.stage),
            number(&kernels),
            number(&ms),
            number(&stage.critical.to_string()),
        ]
    });
    table(
        &["stage", "kernels a frame", "ms on the device", "critical"],
        &[1, 2, 3],
        rows,
    )
}

fn graphs(report: &ModeReport) -> String {
    let rows = report.graphs.iter().map(|graph| {
        let counts = [
            graph.nodes,
            graph.kernels,
            graph.host_copies,
            graph.device_copies,
            graph.host_functions,
        ];
        std::iter::once(text(&graph.stage))
            .chain(counts.iter().map(|n| number(&n.to_string())))
            .collect()
    });
    let head = [
        "graph captured in",
        "nodes",
        "kernels",
        "host copies",
        "device copies",
        "host functions",
    ];
    table(&head, &[1, 2, 3, 4, 5], rows)
}

fn announced(report: &ModeReport) -> String {
    let rows = report.announced.iter().map(|a| {
        let way = kind_name(super::classify::Kind::Copy(a.direction));
        let place = format!("<td><code>{}</code></td>", escape(&a.place));
        vec![
            text(&a.stage),
            text(way),
            number(&format!("{:.2}", a.per_frame)),
            number(&bytes(a.bytes_per_frame)),
            place,
        ]
    });
    let head = [
        "announced by the engine",
        "direction",
        "a frame",
        "bytes a frame",
        "where",
    ];
    table(&head, &[2, 3], rows)
}

fn plots(samples: &[Sample]) -> String {
    let series = |pick: fn(&Sample) -> Option<f64>| -> Vec<(f64, f64)> {
        samples
            .iter()
            .filter_map(|s| Some((s.seconds, pick(s)?)))
            .collect()
    };
    let all = [
        plot::line("Device memory", "MiB", &series(|s| s.device_mb)),
        plot::line("Host memory", "MiB", &series(|s| s.host_mb)),
        plot::line("Latency", "ms", &series(|s| Some(s.latency_ms))),
    ];
    all.into_iter()
        .flatten()
        .flat_map(|plot| [plot, "\n".to_owned()])
        .collect()
}

/// A table; columns in `numeric` are set right.
fn table(head: &[&str], numeric: &[usize], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: String = head
        .iter()
        .enumerate()
        .map(|(at, name)| {
            format!(
                "<th{}>{}</th>",
                if numeric.contains(&at) {
                    " class=\"n\""
                } else {
                    ""
                },
                escape(name)
            )
        })
        .collect();
    let rows: String = rows
        .map(|cells| format!("<tr>{}</tr>\n", cells.concat()))
        .collect();
    format!(
        "<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn text(cell: &str) -> String {
    format!("<td>{}</td>", escape(cell))
}

fn number(cell: &str) -> String {
    format!("<td class=\"n\">{}</td>", escape(cell))
}

/// Text that is safe between tags and in quoted attributes; characters that XML has not are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !c.is_whitespace() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
