//! `extract`, `detect`, `segment` and `pipeline`.

use crate::{
    args::{DetectArgs, ExtractArgs, PipelineArgs, SegmentArgs},
    common_args::{DeviceArgs, ExecutionArgs, InputArgs, OutputArgs},
    exit::Exit,
    inputs::{self, usage},
    rename::{Key, rename, without_names},
    report::Report,
    summary,
    terminal::Terminal,
};
use std::{path::Path, sync::Arc};
use ultramotion::{
    engine::{DeviceSpec, Engine, OutOfMemory},
    run::{
        BoxPrompts, Cancel, Fallback, KpiFile, Observer, Plan, Task, UserPrompts, parse_box,
        parse_point,
    },
    session::{Execution, ModelError},
    sinks::{Classes, OutputKind},
    sources::{Decode, DecodeDevice, SourceOptions, SourceSpec},
};

/// `extract`.
pub(crate) fn extract(args: &ExtractArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let task = Task::Extract {
        stored_values: args.stored_values,
    };
    let prepared = Prepared {
        task,
        replicas: Vec::new(),
        oom_device: None,
        fallback: None,
        execution: Execution::default(),
    };
    run(prepared, &args.input, &args.output, None, terminal)
}

/// `detect`.
pub(crate) fn detect(args: &DetectArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let (detector, selection, speaker) = (
        args.detector.clone(),
        args.selection.clone(),
        terminal.clone(),
    );
    let make = move |engine: &Engine| {
        let detector =
            inputs::selecting(inputs::detector(&detector, engine, &speaker)?, &selection)?;
        Ok(Task::Detect(Arc::new(detector)))
    };
    inputs::introduce(Some(&args.detector), None, terminal);
    let prepared = prepare(&args.device, &args.execution, make)?;
    run(prepared, &args.input, &args.output, None, terminal)
}

/// `pipeline`.
pub(crate) fn pipeline(args: &PipelineArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let (detector, segmenter, selection) = (
        args.detector.clone(),
        args.segmenter.clone(),
        args.selection.clone(),
    );
    let speaker = terminal.clone();
    let make = move |engine: &Engine| {
        let detector =
            inputs::selecting(inputs::detector(&detector, engine, &speaker)?, &selection)?;
        // On a stream of its own it works beside the detector.
        let segmenter = inputs::segmenter(&segmenter, &engine.with_new_stream()?, &speaker)?;
        Ok(Task::Pipeline(Arc::new(detector), Arc::new(segmenter)))
    };
    inputs::introduce(Some(&args.detector), Some(&args.segmenter), terminal);
    let prepared = prepare(&args.device, &args.execution, make)?;
    run(prepared, &args.input, &args.output, None, terminal)
}

/// `segment`.
pub(crate) fn segment(args: &SegmentArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let given = &args.prompts;
    let prompts = UserPrompts {
        boxes: given
            .boxes
            .iter()
            .map(|b| parse_box(b))
            .collect::<Result<_, _>>()
            .map_err(|e| usage("--box", e))?,
        points: given
            .points
            .iter()
            .map(|p| parse_point(p))
            .collect::<Result<_, _>>()
            .map_err(|e| usage("--point", e))?,
        of_frames: given
            .boxes_file
            .as_deref()
            .map(|path| boxes(path, given.images_of.as_deref()))
            .transpose()?,
        confidence: given.confidence,
    };
    if prompts.is_empty() {
        return Err(usage(
            "segment",
            "give what to outline by --box, --point or --boxes",
        ));
    }
    let (segmenter, multimask, speaker) =
        (args.segmenter.clone(), given.multimask, terminal.clone());
    let make = move |engine: &Engine| {
        let segmenter = inputs::segmenter(&segmenter, engine, &speaker)?.with_multimask(multimask);
        Ok(Task::Segment(
            Arc::new(segmenter),
            Arc::new(prompts.clone()),
        ))
    };
    inputs::introduce(None, Some(&args.segmenter), terminal);
    let prepared = prepare(&args.device, &args.execution, make)?;
    run(
        prepared,
        &args.input,
        &args.output,
        given.boxes_file.as_deref(),
        terminal,
    )
}

fn boxes(path: &Path, images_of: Option<&Path>) -> anyhow::Result<BoxPrompts> {
    Ok(BoxPrompts::read_with_images(
        path,
        images_of,
        &Classes::default(),
    )?)
}

/// A task on its devices.
struct Prepared {
    task: Task,
    /// The same on replicas GPUs.
    replicas: Vec<Task>,
    oom_device: Option<OutOfMemory>,
    fallback: Option<Fallback>,
    execution: Execution,
}

/// Makes a task by `make` on the devices that are named; where a GPU has no memory for it and the user allows it, on the CPU.
fn prepare(
    device: &DeviceArgs,
    args: &ExecutionArgs,
    make: impl Fn(&Engine) -> anyhow::Result<Task> + Send + Sync + 'static,
) -> anyhow::Result<Prepared> {
    let engines = inputs::engines(device, args)?;
    let Some(first) = engines.first() else {
        return Err(usage("--devices", "names no device"));
    };
    let execution = inputs::execution(args, first)?;
    let mut tasks = Vec::new();
    for engine in &engines {
        let error = match make(engine) {
            Ok(task) => {
                tasks.push(task);
                continue;
            }
            Err(error) => error,
        };
        let Some(lack) = engine.out_of_memory(&*error) else {
            return Err(error);
        };
        if !args.allow_cpu_fallback {
            return Err(lack.into());
        }
        let task = make(&Engine::cpu())?;
        return Ok(Prepared {
            task,
            replicas: Vec::new(),
            oom_device: Some(lack),
            fallback: None,
            execution: Execution::default(),
        });
    }
    let make = move || {
        make(&Engine::cpu()).map_err(|e| {
            e.downcast()
                .unwrap_or_else(|e| ModelError::Batch(format!("{e:#}")))
        })
    };
    let fallback = args.allow_cpu_fallback.then(|| Arc::new(make) as Fallback);
    let task = tasks.remove(0);
    Ok(Prepared {
        task,
        replicas: tasks,
        oom_device: None,
        fallback,
        execution,
    })
}

fn run(
    prepared: Prepared,
    input: &InputArgs,
    output: &OutputArgs,
    boxes: Option<&Path>,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<Exit> {
    let Prepared {
        task,
        replicas,
        oom_device,
        fallback,
        execution,
    } = prepared;
    let (outputs, output_mode) = inputs::outputs(output, task.default_outputs())?;
    if outputs.contains(OutputKind::Masks) && !task.makes_masks() {
        return Err(usage(
            "--write masks",
            format!("{} makes no masks; use segment or pipeline", task.name()),
        ));
    }
    let mut source_options = source_options(&task, input)?;
    let key = input
        .rename_sources
        .as_deref()
        .map(|path| Key::open(path, &output.output))
        .transpose()?;
    let cancel = Cancel::default();
    on_interrupt(
        &cancel,
        terminal,
        "interrupted: finishing the frame; run again with --resume to go on",
    );
    let report = Arc::new(Report::new(
        terminal.clone(),
        source_options.selection.clone(),
        cancel.clone(),
    ));
    let kpi = output
        .kpi
        .as_deref()
        .map(|path| KpiFile::append(path, task.engine().cloned()))
        .transpose()?
        .map(Arc::new);
    let mut observers: Vec<Arc<dyn Observer>> = vec![report.clone()];
    observers.extend(kpi.clone().map(|kpi| kpi as Arc<dyn Observer>));
    let mut expanded = inputs::expanded(
        &input.source,
        Some(&output.output),
        &cancel,
        terminal,
        key.is_some(),
    );
    if expanded.stopped {
        return Ok(Exit::Interrupted);
    }
    let mut arguments = inputs::command_line();
    if let Some(key) = key {
        source_options.aliases = Some(Arc::new(rename(key, &mut expanded)?));
        arguments = without_names(arguments, input, output, boxes);
    }
    let plan = Plan {
        stills: matches!(task, Task::Extract { .. }),
        sources: expanded.sources,
        warnings: task
            .warnings()
            .into_iter()
            .chain(expanded.warnings)
            .collect(),
        own_sources: Default::default(),
        own_sinks: Default::default(),
        source_options,
        on_error: inputs::on_error(input),
        output: output.output.clone(),
        output_mode,
        outputs,
        arguments,
        device: std::iter::once(&task)
            .chain(&replicas)
            .filter_map(Task::engine)
            .map(Engine::name)
            .reduce(|all, one| format!("{all},{one}"))
            .unwrap_or_else(|| "cpu".to_owned()),
        execution,
        replicas,
        oom_device,
        fallback,
        observer: Arc::new(observers),
        cancel: cancel.clone(),
        task,
    };
    let exit = carry_out(plan, &report, terminal)?;
    kpi.map_or(Ok(()), |kpi| kpi.check())?;
    Ok(exit)
}

/// Runs the plan and says how it ended.
fn carry_out(plan: Plan, report: &Arc<Report>, terminal: &Terminal) -> anyhow::Result<Exit> {
    let sources: Vec<SourceSpec> = plan.sources.iter().flatten().cloned().collect();
    let (count, written) = (sources.len(), plan.outputs.clone());
    report.expect_sources(count);
    let counting = report.count_frames(sources, plan.source_options.max_pixels)?;
    let result = plan.run();
    counting.request();
    report.clear();
    let summary = result?;
    // Before the summary, which could not be printed either where nobody reads.
    report.check()?;
    summary::print(&summary, &written, count, terminal)?;
    Ok(match (summary.interrupted, summary.errors.count) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::SomeFailed,
    })
}

/// How the sources are read. Without models it is for videos alone that a device is opened, if they are to be decoded on it.
fn source_options(task: &Task, input: &InputArgs) -> anyhow::Result<SourceOptions> {
    let options = inputs::source_options(
        input,
        matches!(
            task,
            Task::Extract {
                stored_values: true
            }
        ),
    )?;
    let device = match task.engine() {
        Some(engine) => {
            inputs::check_decode(options.decode, engine)?;
            None
        }
        None if options.decode == Decode::Gpu => {
            Some(DecodeDevice::new(&Engine::open(DeviceSpec::Cuda(0))?))
        }
        None => None,
    };
    Ok(SourceOptions { device, ..options })
}

/// The first Ctrl-C (or SIGTERM) ends a search for inputs at once, and the run after the frame it is at, which says `notice`; the
/// second ends it at once.
pub(crate) fn on_interrupt(cancel: &Cancel, terminal: &Arc<Terminal>, notice: &'static str) {
    let (cancel, speaker) = (cancel.clone(), terminal.clone());
    let set = ctrlc::set_handler(move || {
        if cancel.is_requested() || inputs::is_searching() {
            std::process::exit(Exit::Interrupted as i32);
        }
        cancel.request();
        speaker.say(notice);
    });
    if let Err(error) = set {
        terminal.detail(&format!("Ctrl-C will end the program at once: {error}"));
    }
}
