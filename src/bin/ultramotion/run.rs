//! `extract`, `detect`, `segment` and `pipeline`.

use crate::{
    args::{DetectArgs, ExtractArgs, PipelineArgs, PromptArgs, SegmentArgs},
    common_args::{DeviceArgs, ExecutionArgs, InputArgs, OutputArgs},
    exit::Exit,
    inputs::{self, usage},
    rename::{rename, without_names},
    rename_key::Key,
    report::Report,
    stream_args, summary,
    terminal::{Downloads, Terminal},
};
use std::{path::Path, sync::Arc};
use ultramotion::{
    Run, Session,
    coco::Classes,
    engine::{DeviceSpec, Engine, OutOfMemory},
    frame::Confidence,
    progress::Cancel,
    run::{BoxPrompts, KpiFile, RunObserver, Shard, UserPrompts, parse_box, parse_point},
    session::SessionBuilder,
    sinks::{OutputKind, OutputSet},
    sources::{Decode, DecodeDevice, Inputs, SourceOptions},
    weights::HubConfig,
};

/// `extract`.
pub(crate) fn extract(args: &ExtractArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let prepared = Prepared {
        run: Run::extract(args.stored_values),
        engine: None,
        task: "extract",
    };
    run(
        prepared,
        (&args.input, args.stored_values),
        &args.output,
        None,
        terminal,
    )
}

/// `detect`.
pub(crate) fn detect(args: &DetectArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    inputs::introduce(Some(&args.detector), None, terminal);
    let models = inputs::with_detector(
        Session::builder().without_segmenter(),
        &args.detector,
        &args.selection,
    );
    let models = args.track.apply(models, args.selection.confidence)?;
    let prepared = prepare(
        "detect",
        &args.device,
        &args.execution,
        models,
        None,
        terminal,
    )?;
    run(prepared, (&args.input, false), &args.output, None, terminal)
}

/// `pipeline`.
pub(crate) fn pipeline(args: &PipelineArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    inputs::introduce(Some(&args.detector), Some(&args.segmenter), terminal);
    let models = inputs::with_detector(Session::builder(), &args.detector, &args.selection);
    let models = inputs::with_segmenter(models, &args.segmenter);
    let models = args.track.apply(models, args.selection.confidence)?;
    let prepared = prepare(
        "pipeline",
        &args.device,
        &args.execution,
        models,
        None,
        terminal,
    )?;
    run(prepared, (&args.input, false), &args.output, None, terminal)
}

/// `segment`.
pub(crate) fn segment(args: &SegmentArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let given = &args.prompts;
    let prompts = prompts(given)?;
    inputs::introduce(None, Some(&args.segmenter), terminal);
    let models = inputs::with_segmenter(Session::builder().without_detector(), &args.segmenter)
        .multimask(given.multimask)
        .confidence(prompts.confidence.get());
    // All boxes are outlined where nothing is said; tracks need a threshold that tells good scores from poor ones.
    let high = given.confidence.unwrap_or(Confidence::DEFAULT);
    let models = args.track.apply(models, high)?;
    let prepared = prepare(
        "segment",
        &args.device,
        &args.execution,
        models,
        Some(prompts),
        terminal,
    )?;
    let boxes_file = given.boxes_file.as_deref();
    run(
        prepared,
        (&args.input, false),
        &args.output,
        boxes_file,
        terminal,
    )
}

fn prompts(given: &PromptArgs) -> anyhow::Result<UserPrompts> {
    let boxes = given
        .boxes
        .iter()
        .map(|b| parse_box(b))
        .collect::<Result<_, _>>();
    let points = given
        .points
        .iter()
        .map(|p| parse_point(p))
        .collect::<Result<_, _>>();
    let prompts = UserPrompts {
        boxes: boxes.map_err(|e| usage("--box", e))?,
        points: points.map_err(|e| usage("--point", e))?,
        of_frames: given
            .boxes_file
            .as_deref()
            .map(|path| boxes_of(path, given.images_of.as_deref()))
            .transpose()?,
        confidence: given.confidence.unwrap_or(Confidence::ZERO),
    };
    if prompts.is_empty() {
        return Err(usage(
            "segment",
            "give what to outline by --box, --point or --boxes",
        ));
    }
    Ok(prompts)
}

fn boxes_of(path: &Path, images_of: Option<&Path>) -> anyhow::Result<BoxPrompts> {
    Ok(BoxPrompts::read_with_images(
        path,
        images_of,
        &Classes::default(),
    )?)
}

/// A run whose models are loaded.
struct Prepared {
    run: Run,
    engine: Option<Engine>,
    task: &'static str,
}

/// Loads the models on the devices that are named; where a GPU has no memory for them and the user allows it, on the CPU.
fn prepare(
    task: &'static str,
    device: &DeviceArgs,
    args: &ExecutionArgs,
    models: SessionBuilder,
    prompts: Option<UserPrompts>,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<Prepared> {
    let (first, others) = inputs::engines(device, args)?;
    let models = inputs::with_execution(models, args, &first)?.hub(HubConfig::from_env()?);
    let (loaded, replaced) = match load(&models, &first, &others, terminal) {
        Err(NotLoaded::OutOfMemory(oom)) if args.allow_cpu_fallback => {
            let on_cpu = inputs::load(inputs::on_cpu(&models), terminal)?;
            ((on_cpu, Vec::new()), Some(oom))
        }
        loaded => (loaded?, None),
    };
    let (session, others) = loaded;
    let engine = Some(session.engine().clone());
    let mut run = others.into_iter().fold(Run::new(session), Run::replica);
    if let Some(prompts) = prompts {
        run = run.prompts(prompts);
    }
    run = match replaced {
        Some(oom) => run.replaces(oom),
        None if args.allow_cpu_fallback => {
            let (models, speaker) = (inputs::on_cpu(&models), terminal.clone());
            run.fallback(move || {
                models
                    .clone()
                    .build_with_progress(&mut Downloads::new(&speaker))
            })
        }
        None => run,
    };
    Ok(Prepared { run, engine, task })
}

/// Why the models could not be loaded.
enum NotLoaded {
    /// A device has too little memory for them.
    OutOfMemory(OutOfMemory),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<NotLoaded> for anyhow::Error {
    fn from(error: NotLoaded) -> Self {
        match error {
            NotLoaded::OutOfMemory(oom) => oom.into(),
            NotLoaded::Other(error) => error,
        }
    }
}

/// The models on the first device and on the others.
fn load(
    models: &SessionBuilder,
    first: &Engine,
    others: &[Engine],
    terminal: &Terminal,
) -> Result<(Session, Vec<Session>), NotLoaded> {
    let on = |engine: &Engine| {
        inputs::load(models.clone().engine(engine.clone()), terminal).map_err(|error| match engine
            .out_of_memory(&*error)
        {
            Some(oom) => NotLoaded::OutOfMemory(oom),
            None => NotLoaded::Other(error),
        })
    };
    Ok((on(first)?, others.iter().map(on).collect::<Result<_, _>>()?))
}

fn run(
    prepared: Prepared,
    (input, stored_values): (&InputArgs, bool),
    output: &OutputArgs,
    boxes: Option<&Path>,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<Exit> {
    let Prepared { run, engine, task } = prepared;
    let (outputs, output_mode) = inputs::outputs(output, run.default_outputs())?;
    inputs::check_masks(&outputs, run.makes_masks(), task)?;
    let refers = [OutputKind::Seg, OutputKind::Nrrd]
        .into_iter()
        .find(|kind| outputs.contains(*kind));
    if let (Some(kind), Some(_)) = (refers, &input.rename_sources) {
        return Err(usage(
            &format!("--write {kind}"),
            "refers to the DICOM files themselves, whose names --rename-sources hides",
        ));
    }
    stream_args::check(input, output.resume)?;
    let shard = shard(input, &output.output)?;
    let mut source_options = source_options(engine.as_ref(), input, stored_values)?;
    let key = input
        .rename_sources
        .as_deref()
        .map(|path| Key::open(path, &output.output))
        .transpose()?;
    let (cancel, ends_streams) = (Cancel::default(), Cancel::default());
    match input.source.streams().is_empty() {
        true => on_interrupt(
            &cancel,
            terminal,
            "interrupted: finishing the frame; run again with --resume to go on",
        ),
        false => on_interrupt(&ends_streams, terminal, "ending the stream"),
    }
    let streams = stream_args::open(input, &source_options, engine.as_ref(), &ends_streams)?;
    let report = Report::new(terminal.clone(), &source_options, cancel.clone());
    let report = Arc::new(report);
    let kpi = output
        .kpi
        .as_deref()
        .map(|path| KpiFile::append(path, engine))
        .transpose()?
        .map(Arc::new);
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
    let count = streams.len();
    let run = stream_args::added(run, streams, &source_options)
        .source_options(source_options)
        .on_error(inputs::on_error(input))
        .output(&output.output)
        .output_mode(output_mode)
        .write(outputs.iter())
        .seg(output.datasets.seg(input.keep_patient_data)?)
        .arguments(arguments)
        .cancel(cancel);
    let run = match input.source.decoders.0 {
        Some(decoders) => run.decoders(decoders),
        None => run,
    };
    let run = match shard {
        Some(shard) => run.shard(shard),
        None => run,
    };
    let run = match output.datasets.masks {
        Some(masks) => run.masks(masks.into()),
        None => run,
    };
    let run = match output.datasets.images {
        Some(images) => run.images(images),
        None => run,
    };
    let run = match output.datasets.parts() {
        Some((shares, by, seed)) => run.split(shares, by, seed),
        None => run,
    };
    observed(run, (expanded, count), &report, kpi, &outputs, terminal)
}

/// Which of several runs this is, if it is one of several.
fn shard(input: &InputArgs, output: &Path) -> anyhow::Result<Option<Shard>> {
    let shard = input.shards.shard(output)?;
    if shard.is_some() && input.rename_sources.is_some() {
        let problem =
            "shards would each write the key; rename the files first, or run without shards";
        return Err(usage("--rename-sources", problem));
    }
    Ok(shard)
}

/// Runs over `inputs` and so many streams, shown by `report`, with figures to `kpi`.
fn observed(
    run: Run,
    (inputs, streams): (Inputs, usize),
    report: &Arc<Report>,
    kpi: Option<Arc<KpiFile>>,
    outputs: &OutputSet,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let mut observers: Vec<Arc<RunObserver>> = vec![report.clone()];
    observers.extend(kpi.clone().map(|kpi| kpi as Arc<RunObserver>));
    let sources = inputs.sources.iter().flatten();
    report.expect_sources(sources.clone().count() + streams);
    // A shard has few of them, and says which.
    let counting = match run.shard_of() {
        Some(_) => Cancel::default(),
        None => report.count_frames(sources.cloned().collect())?,
    };
    let result = run.inputs(inputs).observer(Arc::new(observers)).start();
    counting.request();
    report.clear();
    let summary = result?;
    // Before the summary, which could not be printed either where nobody reads.
    report.check()?;
    summary::print(&summary, outputs, report.sources(), terminal)?;
    kpi.map_or(Ok(()), |kpi| kpi.check())?;
    Ok(Exit::of(&summary))
}

/// How the sources are read. Without models it is for videos alone that a device is opened, if they are to be decoded on it.
fn source_options(
    engine: Option<&Engine>,
    input: &InputArgs,
    stored_values: bool,
) -> anyhow::Result<SourceOptions> {
    let options = inputs::source_options(input, stored_values)?;
    let device = match engine {
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
