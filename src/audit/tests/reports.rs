//! The log, and reports in each form.

use super::*;

#[test]
fn the_log_keeps_what_the_engine_announces_also_on_the_cpu() {
    let (engine, log) = (
        Engine::cpu(),
        Arc::new(WorkLog::new(Box::new(ClockAlone::new()), 3)),
    );
    assert!(engine.watch(log.clone()));
    let line = line!() + 2;
    for frame in 0..5 {
        let upload = || engine.upload_u8(Stage::Decode, &[1, 2, 3], &[3]);
        let tensor = Engine::in_frame(frame, || engine.within(Stage::Preprocess, upload)).unwrap();
        assert_eq!(tensor.elem_count(), 3);
    }
    let works = log.take();
    assert_eq!(works.works.len(), 6);
    assert!(works.works.iter().all(|work| work.end >= work.start));
    let rows = announced(&works, &(1..3), 2);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (
            rows[0].stage.as_str(),
            rows[0].per_frame,
            rows[0].bytes_per_frame
        ),
        ("decode", 1.0, 3.0)
    );
    assert_eq!(rows[0].place, format!("{}:{line}", file!()));
}

/// A report of everything at once.
fn report(verdict: Verdict) -> AuditReport {
    let all = attributed(PLANTED);
    let (mut observed, measured) = observed(&all, &works(), &STEADY, &[]);
    observed.profiler = "CUPTI <130001> \"a&b\"".to_owned();
    let sample = |at: u32| Sample {
        seconds: f64::from(at),
        frame: at.into(),
        host_mb: Some(100.0 + f64::from(at)),
        device_mb: None,
        latency_ms: 2.5,
    };
    let mode = ModeReport {
        mode: Mode::Staged,
        observed: Some(observed),
        announced: announced(&works(), &STEADY, 2),
        graphs: Vec::new(),
        latency: Latency {
            frames: 2,
            median_ms: 2.5,
            p90_ms: 3.0,
            p99_ms: 3.5,
            max_ms: 4.0,
        },
        seconds: 1.0,
        samples: (0..5).map(sample).collect(),
        measured,
        problems: 0,
    };
    let bounds = Bounds::default();
    AuditReport {
        version: "0".into(),
        date: "2020-01-01T00:00:00Z".into(),
        device: "cuda:0".into(),
        warm_up: 1,
        compared: Some(ModeReport {
            observed: None,
            ..mode.clone()
        }),
        kpis: kpis(&measured, &bounds, true),
        bounds,
        verdict,
        audited: mode,
        not_observed: vec!["<script>alert(1)</script>".into()],
    }
}

/// The published reports: the usual one, the one of least latency, the one of decoding on the CPU.
fn published() -> [AuditReport; 3] {
    [
        include_str!("../../../docs/audit/h100.json"),
        include_str!("../../../docs/audit/h100-latency.json"),
        include_str!("../../../docs/audit/h100-cpu-decoding.json"),
    ]
    .map(|text| serde_json::from_str(text).unwrap())
}

#[test]
fn the_published_reports_pass_and_nothing_is_unaccounted() {
    let reports = published();
    for report in &reports {
        assert_eq!(
            (report.verdict, report.not_observed.as_slice()),
            (Verdict::Pass, &[][..])
        );
        for mode in std::iter::once(&report.audited).chain(&report.compared) {
            let seen = mode.observed.as_ref().unwrap();
            assert_eq!(
                (seen.frames, seen.dropped, seen.unaccounted),
                (200, 0, 0),
                "{:?}",
                mode.mode
            );
        }
        let each = report.audited.observed.as_ref().unwrap().per_frame;
        assert_eq!(
            (
                each.downloads,
                each.host_waits,
                report.audited.measured.critical
            ),
            (1.0, 1.0, Some(0))
        );
    }
    let uploads =
        |report: &AuditReport| report.audited.observed.as_ref().unwrap().per_frame.uploads;
    assert_eq!(reports.each_ref().map(uploads), [0.0, 0.0, 1.0]);
    let [report, ..] = &reports;
    assert_eq!(
        (report.compared.as_ref().unwrap().mode, report.audited.mode),
        (Mode::Staged, Mode::Resident)
    );
}

#[test]
fn the_document_has_the_figures_of_the_published_reports() {
    let [report, latency, _] = published();
    let document = include_str!("../../../docs/audit.md");
    for (report, figure, shown) in [
        (&report, "critical a frame", ["8.0", "0.0"]),
        (&report, "uploads a frame", ["1.0", "0.0"]),
        (&report, "downloads a frame", ["4.0", "1.0"]),
        (&report, "host waits a frame", ["4.0", "1.0"]),
        (&report, "latency, median, ms", ["3.17", "3.89"]),
        (&latency, "latency, median, ms", ["3.16", "2.55"]),
    ] {
        let text = to_text(report);
        let line = text.lines().find(|line| line.starts_with(figure)).unwrap();
        assert_eq!(
            line.split_whitespace().rev().take(2).collect::<Vec<_>>(),
            [shown[1], shown[0]],
            "{line}"
        );
        let told = if shown[1].len() > 3 {
            shown[1]
        } else {
            shown[0]
        };
        assert!(
            document.contains(&format!("| {told}")),
            "{figure} in the document"
        );
    }
}

#[test]
fn the_report_is_the_same_after_json() {
    let report = report(Verdict::Fail);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<AuditReport>(&text).unwrap(), report);
    for part in [
        r#""verdict":"fail""#,
        r#""kind":{"copy":"host-to-device"}"#,
        r#""holds":"not-observed""#,
        r#""class":"critical""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_text_names_each_fault_each_bound_and_the_verdict() {
    let text = to_text(&report(Verdict::Fail));
    for part in [
        "unaccounted: a node of a captured graph",
        "chain: 24 B down in detect, 24 B up again in segment",
        "--max-critical",
        "at least 0.90",
        "verdict: fail",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

/// Whether every tag of a page is closed in order and nothing is fetched from elsewhere.
fn check_page(page: &str) -> Result<usize, String> {
    let (mut open, mut tags, mut rest) =
        (Vec::new(), 0, page.trim_start_matches("<!doctype html>"));
    while let Some(at) = rest.find('<') {
        if rest[..at].contains('>') {
            return Err(format!("a stray > in {:?}", &rest[..at]));
        }
        let end = rest[at..].find('>').ok_or("a tag without end")? + at;
        let tag = &rest[at + 1..end];
        tags += 1;
        if let Some(name) = tag.strip_prefix('/') {
            let expected = open.pop();
            if expected != Some(name) {
                return Err(format!("</{name}> closes {expected:?}"));
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
        if tag.contains("src=") || tag.contains("href=") {
            return Err(format!("<{tag}> needs something else"));
        }
        rest = &rest[end + 1..];
    }
    if open.is_empty() {
        Ok(tags)
    } else {
        Err(format!("never closed: {open:?}"))
    }
}

#[test]
fn the_page_is_well_formed_safe_and_needs_nothing_else() {
    let page = to_html(&report(Verdict::NotProven));
    let tags = check_page(&page).unwrap();
    assert!(tags > 100, "{tags} tags");
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script"),
        "text is escaped"
    );
    assert!(page.contains("CUPTI &lt;130001&gt; &quot;a&amp;b&quot;"));
    // Host memory and latency of both modes; device memory was not sampled.
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(
        check_page("<!doctype html><p><b></p></b>").is_err(),
        "the check itself"
    );
}
