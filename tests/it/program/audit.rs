//! `ultramotion audit` and `--kpi` as a user runs them, on a machine without a GPU.

use crate::common::{program, stdout};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use ultramotion::{
    audit::{AuditReport, Holds, Verdict},
    engine::Engine,
    session::Mode,
};

fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phantom-demo.mp4")
}

fn ultramotion(command: &str, temporary: &Path, arguments: &[&str]) -> Output {
    let mut run = program();
    run.args([command, "--device", "cpu"])
        .args(arguments)
        .env("TMPDIR", temporary)
        .output()
        .unwrap()
}

#[test]
fn on_the_cpu_nothing_is_proven_and_the_report_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (temporary, page, kpi) = (
        folder.path().join("tmp"),
        folder.path().join("audit.html"),
        folder.path().join("audit.jsonl"),
    );
    fs::create_dir(&temporary).unwrap();
    // More frames than the picture has: it is read again.
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media/rgb8.png");
    let picture = picture.to_str().unwrap();
    let (page_path, kpi_path) = (page.to_str().unwrap(), kpi.to_str().unwrap());
    let arguments = [
        "--input",
        picture,
        "--frames",
        "3",
        "--warm-up",
        "1",
        "--json",
        "--report",
        page_path,
        "--kpi",
        kpi_path,
    ];
    let output = ultramotion("audit", &temporary, &arguments);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let report: AuditReport = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (report.verdict, report.device.as_str()),
        (Verdict::NotProven, "cpu")
    );
    assert_eq!(report.audited.observed, None);
    assert_eq!(report.audited.latency.frames, 3);
    assert!(report.audited.latency.median_ms > 0.0);
    assert!(
        report.not_observed.iter().any(|gap| gap.contains("CPU")),
        "{:?}",
        report.not_observed
    );
    let holds = |option: &str| {
        report
            .kpis
            .iter()
            .find(|kpi| kpi.option == option)
            .unwrap()
            .holds
    };
    assert_eq!(holds("--max-critical"), Holds::NotObserved);
    assert_ne!(holds("--max-latency-ms"), Holds::NotObserved);
    // The ledger tells what would cross to a GPU, by stage and place in the code.
    let upload = report
        .audited
        .announced
        .iter()
        .find(|a| a.stage == "decode")
        .unwrap();
    assert!(
        upload.per_frame >= 1.0 && upload.place.contains("src/session/"),
        "{upload:?}"
    );

    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("not proven") && page.trim_end().ends_with("</html>"));
    let lines = fs::read_to_string(kpi).unwrap();
    let frames: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let latencies = frames
        .iter()
        .filter(|line| line["event"] == "frame")
        .map(|line| line["latency_ms"].as_f64().unwrap());
    assert!(latencies.filter(|ms| *ms > 0.0).count() >= 4, "{lines}");
    assert_eq!(
        fs::read_dir(&temporary).unwrap().count(),
        0,
        "the outputs of the passes are removed"
    );
}

/// The library's audit of two modes; which pipeline a mode means is its caller's.
#[test]
fn a_comparison_has_both_modes_side_by_side_from_one_run() {
    use std::{cell::RefCell, sync::Arc};
    use ultramotion::{
        audit::{AuditPlan, Bounds, Pass, run, to_html, to_text},
        progress::Cancel,
        run::RunObserver,
        sources::{SourceOptions, SourceSpec},
        weights::HubConfig,
    };
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media/rgb8.png");
    let kind = ultramotion::frame::SourceKind::Image;
    let spec = SourceSpec {
        path: picture.clone(),
        kind,
        files: vec![picture],
        name: "picture".to_owned(),
        folder: None,
    };
    let plan = AuditPlan {
        sources: vec![Ok(spec)],
        streams: None,
        source_options: SourceOptions::default(),
        decoders: std::num::NonZeroUsize::new(2).unwrap(),
        frames: 2,
        warm_up: 1,
        duration: None,
        // The CPU has one mode: it is compared with itself.
        mode: Mode::Staged,
        compare: Some(Mode::Staged),
        bounds: Bounds::default(),
        arguments: Vec::new(),
        observer: Arc::new(()),
        cancel: Cancel::default(),
    };
    let passes = RefCell::new(Vec::new());
    let report = run::<Box<dyn std::error::Error>>(&plan, |Pass { mode, profiled, .. }| {
        passes.borrow_mut().push((mode, profiled));
        let session = ultramotion::Session::builder()
            .engine(Engine::cpu())
            .mode(mode)
            .hub(HubConfig::new(std::env::temp_dir()))
            .build()?;
        Ok((session, Arc::new(()) as Arc<RunObserver>))
    })
    .unwrap();
    assert_eq!(
        passes.into_inner(),
        [(Mode::Staged, false), (Mode::Staged, false)],
        "nothing to capture on the CPU"
    );
    let compared = report.compared.as_ref().unwrap();
    assert!(report.audited.latency.median_ms > 0.0 && compared.latency.median_ms > 0.0);
    let text = to_text(&report);
    let line = |start: &str| {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        text.lines()
            .nth(2)
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["legacy", "legacy"],
        "{text}"
    );
    let latency = line("latency, median, ms");
    let expected = [&report.audited, compared].map(|mode| format!("{:.2}", mode.latency.median_ms));
    assert_eq!(latency[latency.len() - 2..], expected);
    assert_eq!(
        line("host waits a frame").last(),
        Some(&"–"),
        "the CPU has none to observe"
    );
    assert!(to_html(&report).contains("<h2>Comparison</h2>"));
}

#[test]
fn pipeline_appends_figures_of_each_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (out, kpi, clip) = (
        folder.path().join("out"),
        folder.path().join("run.kpi"),
        clip(),
    );
    let (out, kpi_path, clip) = (
        out.to_str().unwrap(),
        kpi.to_str().unwrap(),
        clip.to_str().unwrap(),
    );
    let arguments = [
        "--input", clip, "--frames", "0..2", "--write", "jsonl", "--output", out, "--kpi",
        kpi_path, "--quiet",
    ];
    let output = ultramotion("pipeline", folder.path(), &arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(kpi).unwrap();
    let frames: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("kpi ts=") && line.contains(" event=frame "))
        .collect();
    assert_eq!(frames.len(), 2, "{text}");
    for (number, line) in frames.iter().enumerate() {
        for part in [
            format!(" number={number} "),
            " decode_ms=".into(),
            " detect_ms=".into(),
            " latency_ms=".into(),
            " objects=".into(),
        ] {
            assert!(line.contains(&part), "{part} in {line}");
        }
    }
    assert!(
        text.contains("event=source-began source=") && text.contains("event=source-ended source="),
        "{text}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let (clip, page) = (clip(), folder.path().join("no/such/folder/a.html"));
    let clip = clip.to_str().unwrap();
    let refused = vec![
        (vec!["--min-resident", "2"], 64),
        (vec!["--max-latency-ms", "nan"], 64),
        (vec!["--duration", "5d"], 64),
        (vec!["--frames", "0"], 64),
        (vec!["--batch", "0"], 64),
        // The CPU has one mode.
        (vec!["--mode", "resident"], 64),
        (vec!["--compare"], 64),
        (vec!["--report", page.to_str().unwrap()], 2),
    ];
    for (arguments, code) in refused {
        let output = ultramotion(
            "audit",
            folder.path(),
            &[&["--input", clip][..], &arguments].concat(),
        );
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn inputs_without_a_frame_are_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = ultramotion("audit", folder.path(), &["--input", "no-such.mp4"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("no frame was done after 20 of warm-up") && error.contains("no-such.mp4"),
        "{error}"
    );
}
