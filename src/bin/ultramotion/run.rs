//! `extract`, `detect`, `segment` and `pipeline`.

use crate::{
    args::{DetectArgs, ExtractArgs, InputArgs, OutputArgs, PipelineArgs, SegmentArgs, SelectionArgs},
    exit::Exit,
    inputs::{self, usage},
    report::Report,
    terminal::Terminal,
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};
use ultramotion::{
    engine::Engine,
    pipeline::{Cancel, Execution, KpiFile, Observer, Plan, Summary, Task, UserPrompts, parse_box, parse_point},
    sinks::{BoxPrompts, Classes, OutputKind},
};

/// `extract`.
pub(crate) fn extract(args: &ExtractArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let more = [("stored-values", json!(args.stored_values))];
    let task = Task::Extract { stored_values: args.stored_values };
    run(task, &args.input, &args.output, Execution::default(), &more, None, terminal)
}

/// `detect`.
pub(crate) fn detect(args: &DetectArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let engine = inputs::engine(&args.device)?;
    let detector = inputs::selecting(inputs::detector(&args.detector, &engine, terminal)?, &args.selection)?;
    let execution = inputs::execution(&args.execution, &engine)?;
    let more = selection_settings(&args.selection);
    run(Task::Detect(Box::new(detector)), &args.input, &args.output, execution, &more, None, terminal)
}

/// `pipeline`.
pub(crate) fn pipeline(args: &PipelineArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let engine = inputs::engine(&args.device)?;
    let detector = inputs::selecting(inputs::detector(&args.detector, &engine, terminal)?, &args.selection)?;
    let execution = inputs::execution(&args.execution, &engine)?;
    // On a stream of its own it works beside the detector.
    let segmenter = inputs::segmenter(&args.segmenter, &engine.sibling()?, terminal)?;
    let task = Task::Pipeline(Box::new(detector), Box::new(segmenter));
    let more = selection_settings(&args.selection);
    run(task, &args.input, &args.output, execution, &more, args.kpi.as_deref(), terminal)
}

/// `segment`.
pub(crate) fn segment(args: &SegmentArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let prompts = UserPrompts {
        boxes: args.boxes.iter().map(|b| parse_box(b)).collect::<Result<_, _>>().map_err(|e| usage("--box", e))?,
        points: args.points.iter().map(|p| parse_point(p)).collect::<Result<_, _>>().map_err(|e| usage("--point", e))?,
        of_frames: args.boxes_file.as_deref().map(|path| BoxPrompts::read(path, &Classes::default())).transpose()?,
        confidence: args.confidence,
    };
    if prompts.is_empty() {
        return Err(usage("segment", "give what to outline by --box, --point or --boxes"));
    }
    let engine = inputs::engine(&args.device)?;
    let segmenter = inputs::segmenter(&args.segmenter, &engine, terminal)?.with_multimask(args.multimask);
    let execution = inputs::execution(&args.execution, &engine)?;
    let more = [
        ("box", json!(args.boxes)),
        ("point", json!(args.points)),
        ("boxes", json!(args.boxes_file.as_ref().map(|p| p.display().to_string()))),
        ("confidence", json!(args.confidence)),
        ("multimask", json!(args.multimask)),
    ];
    run(Task::Segment(Box::new(segmenter), Box::new(prompts)), &args.input, &args.output, execution, &more, None, terminal)
}

fn selection_settings(args: &SelectionArgs) -> [(&'static str, Value); 3] {
    [("confidence", json!(args.confidence)), ("max-objects", json!(args.max_objects)), ("classes", json!(args.classes))]
}

fn run(
    task: Task,
    input: &InputArgs,
    output: &OutputArgs,
    execution: Execution,
    more: &[(&str, Value)],
    kpi: Option<&Path>,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<Exit> {
    let (outputs, output_mode) = inputs::outputs(output, task.default_outputs())?;
    if outputs.contains(OutputKind::Masks) && !task.makes_masks() {
        return Err(usage("--write masks", format!("{} makes no masks; use segment or pipeline", task.name())));
    }
    let cancel = Cancel::default();
    on_interrupt(&cancel, terminal, "interrupted: finishing the frame; run again with --resume to go on");
    let report = Arc::new(Report::new(terminal.clone()));
    let kpi = kpi.map(|path| KpiFile::append(path, task.engine().cloned())).transpose()?.map(Arc::new);
    let mut observers: Vec<Arc<dyn Observer>> = vec![report.clone()];
    observers.extend(kpi.clone().map(|kpi| kpi as Arc<dyn Observer>));
    let more = [more, &inputs::execution_settings(execution)].concat();
    let plan = Plan {
        stills: matches!(task, Task::Extract { .. }),
        settings: inputs::settings(task.name(), input, &outputs, &more),
        sources: inputs::sources(input, terminal),
        source_options: inputs::source_options(input, matches!(task, Task::Extract { stored_values: true }))?,
        on_error: inputs::on_error(input),
        output: output.output.clone(),
        output_mode,
        outputs,
        arguments: inputs::command_line(),
        device: task.engine().map_or_else(|| "cpu".to_owned(), Engine::name),
        execution,
        observer: Arc::new(observers),
        cancel,
        task,
    };
    report.expect_sources(plan.sources.len());
    let result = plan.run();
    report.clear();
    let summary = result?;
    summarise(&summary, terminal)?;
    report.check()?;
    kpi.map_or(Ok(()), |kpi| kpi.check())?;
    Ok(match (summary.interrupted, summary.errors.count) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::SomeFailed,
    })
}

/// The first Ctrl-C (or SIGTERM) ends the run after the frame it is at and says `notice`, the second ends it at once.
pub(crate) fn on_interrupt(cancel: &Cancel, terminal: &Arc<Terminal>, notice: &'static str) {
    let (cancel, speaker) = (cancel.clone(), terminal.clone());
    let set = ctrlc::set_handler(move || {
        if cancel.is_requested() {
            std::process::exit(Exit::Interrupted as i32);
        }
        cancel.request();
        speaker.say(notice);
    });
    if let Err(error) = set {
        terminal.detail(&format!("Ctrl-C will end the program at once: {error}"));
    }
}

fn summarise(summary: &Summary, terminal: &Terminal) -> anyhow::Result<()> {
    if terminal.json {
        return terminal.print_json(&json!({
            "type": "summary",
            "output": summary.output.display().to_string(),
            "interrupted": summary.interrupted,
            "counts": summary.counts,
            "errors": summary.errors,
            "timings": summary.timings,
        }));
    }
    let counts = &summary.counts;
    let classes: Vec<String> = counts.per_class.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let classes = if classes.is_empty() { String::new() } else { format!(" ({})", classes.join(", ")) };
    terminal.print(&format!(
        "{}: {} frames of {} sources, {} objects{classes}, {} errors",
        summary.output.display(),
        counts.frames,
        counts.sources,
        counts.objects,
        summary.errors.count
    ))?;
    for (stage, time) in &summary.timings {
        terminal.detail(&format!(
            "{stage}: median {:.2} ms, p90 {:.2}, p99 {:.2} ({} times)",
            time.median_ms, time.p90_ms, time.p99_ms, time.count
        ));
    }
    Ok(())
}
