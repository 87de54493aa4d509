//! From what was typed to sources, models and a plan's common parts.

use crate::{
    common_args::{
        self, DetectorArgs, DeviceArgs, ExecutionArgs, InputArgs, OnError, OutputArgs,
        SegmenterArgs, SelectionArgs, SourceArgs,
    },
    exit::UsageError,
    terminal::{Downloads, Terminal},
};
use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};
use ultramotion::{
    Session,
    dicom::{DicomOptions, Window},
    engine::{DeviceSpec, Engine},
    progress::Cancel,
    run::{self, OutputMode},
    session::{
        self, Detector, DetectorOptions, Execution, Mode, ModelError, Segmenter, SessionBuilder,
        SessionError,
    },
    sinks::{OutputKind, OutputSet},
    sources::{
        Decode, ExpandOptions, FrameSelection, Inputs, SourceOptions, expand, group_dicom,
        without_secrets,
    },
    text::counted,
    weights::{Hub, HubConfig},
};

/// A value of an option that could not be understood.
pub(crate) fn usage(option: &str, problem: impl std::fmt::Display) -> anyhow::Error {
    UsageError(format!("{option}: {problem}")).into()
}

/// Whether inputs are being searched for: there is nothing to be finished then, and an interrupt ends the program at once.
static SEARCHING: AtomicBool = AtomicBool::new(false);

/// Whether inputs are being searched for.
pub(crate) fn is_searching() -> bool {
    SEARCHING.load(Ordering::Relaxed)
}

/// The sources that the inputs stand for, in order, and what is to be said about them; `unnamed` where messages may not name files.
/// `output` is the folder that is written to, which is not searched.
pub(crate) fn expanded(
    args: &SourceArgs,
    output: Option<&Path>,
    cancel: &Cancel,
    terminal: &Terminal,
    unnamed: bool,
) -> Inputs {
    let stop = || cancel.is_requested();
    let options = ExpandOptions {
        as_images: args.as_images,
        group_dicom: &group_dicom,
        output,
        stop: &stop,
    };
    SEARCHING.store(true, Ordering::Relaxed);
    let expanded = expand(&args.files(), options, &mut io::stdin().lock());
    SEARCHING.store(false, Ordering::Relaxed);
    if unnamed && !expanded.ignored.is_empty() {
        terminal.detail(&format!(
            "{} left out: neither image, video nor DICOM",
            counted(expanded.ignored.len(), "file")
        ));
    }
    for path in expanded.ignored.iter().filter(|_| !unnamed) {
        terminal.detail(&format!(
            "{}: left out, it is neither image, video nor DICOM",
            path.display()
        ));
    }
    expanded
}

/// How the sources are read, all frames of them.
pub(crate) fn all_of(args: &SourceArgs) -> anyhow::Result<SourceOptions> {
    let window: Window = args.window.parse().map_err(|e| usage("--window", e))?;
    Ok(SourceOptions {
        selection: FrameSelection::default().with_stride(args.stride),
        max_pixels: args.max_pixels,
        decode: decode(&args.decode)?,
        dicom: DicomOptions {
            window,
            ..DicomOptions::default()
        },
        ..SourceOptions::default()
    })
}

/// How the sources are read.
pub(crate) fn source_options(
    args: &InputArgs,
    stored_values: bool,
) -> anyhow::Result<SourceOptions> {
    let all = all_of(&args.source)?;
    let selection = match &args.frames {
        Some(text) => text
            .parse::<FrameSelection>()
            .map_err(|e| usage("--frames", e))?
            .with_stride(args.source.stride),
        None => all.selection,
    };
    let dicom = DicomOptions {
        keep_patient_data: args.keep_patient_data,
        keep_uids: args.keep_uids,
        stored_values,
        ..all.dicom
    };
    Ok(SourceOptions {
        selection,
        dicom,
        ..all
    })
}

/// Where videos are decoded.
pub(crate) fn decode(text: &str) -> anyhow::Result<Decode> {
    text.parse().map_err(|e| usage("--decode", e))
}

/// An error if videos are to be decoded on the GPU alone and the models run on the CPU.
pub(crate) fn check_decode(decode: Decode, engine: &Engine) -> anyhow::Result<()> {
    if decode == Decode::Gpu && engine.is_cpu() {
        return Err(usage(
            "--decode gpu",
            "the device is the CPU; run with --device cuda, or leave --decode out",
        ));
    }
    Ok(())
}

/// What to do after an input that cannot be read.
pub(crate) fn on_error(args: &InputArgs) -> run::OnError {
    match args.on_error {
        OnError::Skip => run::OnError::Skip,
        OnError::Stop => run::OnError::Stop,
    }
}

/// What is written, and what is done with an output folder that is not empty.
pub(crate) fn outputs(
    args: &OutputArgs,
    default: OutputSet,
) -> anyhow::Result<(OutputSet, OutputMode)> {
    let outputs = match &args.write {
        Some(kinds) => kinds.join(",").parse().map_err(|e| usage("--write", e))?,
        None => default,
    };
    let mode = match (args.resume, args.overwrite) {
        (true, _) => OutputMode::Resume,
        (_, true) => OutputMode::Overwrite,
        _ => OutputMode::Fresh,
    };
    Ok((outputs, mode))
}

/// An error if `outputs` has one of masks, and `task` makes none.
pub(crate) fn check_masks(
    outputs: &OutputSet,
    makes_masks: bool,
    task: &str,
) -> anyhow::Result<()> {
    let of_masks = [
        OutputKind::Masks,
        OutputKind::Instances,
        OutputKind::Nnunet,
        OutputKind::Mots,
    ];
    match of_masks.into_iter().find(|kind| outputs.contains(*kind)) {
        Some(kind) if !makes_masks => Err(usage(
            &format!("--write {kind}"),
            format!("{task} makes no masks; use segment or pipeline"),
        )),
        _ => Ok(()),
    }
}

/// Opens the device and sets the number of threads.
pub(crate) fn engine(args: &DeviceArgs) -> anyhow::Result<Engine> {
    let spec: DeviceSpec = args.device.parse().map_err(|e| usage("--device", e))?;
    open(args, spec)
}

/// Opens the devices that the models are to run on: that of `--device`, or those of `--devices`.
pub(crate) fn engines(
    args: &DeviceArgs,
    execution: &ExecutionArgs,
) -> anyhow::Result<(Engine, Vec<Engine>)> {
    let twice = execution.devices.iter().enumerate().find(|(i, device)| {
        execution
            .devices
            .iter()
            .take(*i)
            .any(|other| other == *device)
    });
    if let Some((_, device)) = twice {
        return Err(usage("--devices", format!("{device}: is named twice")));
    }
    let devices = execution.devices.iter();
    let mut engines = devices.map(|&ordinal| open(args, DeviceSpec::Cuda(ordinal)));
    let first = engines.next().unwrap_or_else(|| engine(args))?;
    Ok((first, engines.collect::<anyhow::Result<_>>()?))
}

fn open(args: &DeviceArgs, spec: DeviceSpec) -> anyhow::Result<Engine> {
    let precision = args.dtype.parse().map_err(|e| usage("--dtype", e))?;
    static THREADS: std::sync::Once = std::sync::Once::new();
    let mut set = Ok(());
    THREADS.call_once(|| set = threads(args));
    set?;
    Ok(Engine::open(spec)?.with_precision(precision)?)
}

fn threads(args: &DeviceArgs) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        if threads == 0 {
            return Err(usage("--threads", "give at least 1"));
        }
        Engine::set_threads(threads)?;
    }
    Ok(())
}

/// Frames that are worked on together where the user names no number.
pub(crate) const BATCH: usize = 4;
/// Most that can be named.
const MOST_BATCH: usize = 64;

impl From<common_args::Mode> for Mode {
    fn from(mode: common_args::Mode) -> Self {
        match mode {
            common_args::Mode::Resident => Self::Resident,
            common_args::Mode::Staged => Self::Staged,
        }
    }
}

/// The mode that was typed, or the fastest of `engine`.
pub(crate) fn mode(asked: Option<common_args::Mode>, engine: &Engine) -> anyhow::Result<Mode> {
    let mode = asked.map_or(Execution::of(engine).mode, Mode::from);
    if !Mode::available(engine.is_cpu()).contains(&mode) {
        return Err(usage(
            "--mode resident",
            "there is nothing to cross to on the CPU; leave --mode out, or use --device cuda",
        ));
    }
    Ok(mode)
}

/// Sets how frames go through the models on `engine`.
pub(crate) fn with_execution(
    models: SessionBuilder,
    args: &ExecutionArgs,
    engine: &Engine,
) -> anyhow::Result<SessionBuilder> {
    let mode = mode(args.mode, engine)?;
    let batch = match args.batch.as_str() {
        "auto" if mode == Mode::Staged || args.latency => 1,
        "auto" => BATCH,
        number => number
            .parse()
            .ok()
            .filter(|n| (1..=MOST_BATCH).contains(n))
            .ok_or_else(|| {
                usage(
                    "--batch",
                    format!("{number}: give auto, or a number from 1 to {MOST_BATCH}"),
                )
            })?,
    };
    if mode == Mode::Staged && args.devices.len() > 1 {
        return Err(usage(
            "--devices",
            "several GPUs work together in the resident mode only; name one, or leave --mode out",
        ));
    }
    if mode == Mode::Staged && batch > 1 {
        return Err(usage(
            "--batch",
            "frames are worked on together in the resident mode only, on a GPU; leave it out",
        ));
    }
    Ok(models.mode(mode).batch(batch).latency(args.latency))
}

/// The hub as the environment describes it.
pub(crate) fn hub() -> anyhow::Result<Hub> {
    Ok(Hub::new(HubConfig::from_env()?))
}

/// The detector, without its selection.
pub(crate) fn detector(
    args: &DetectorArgs,
    engine: &Engine,
    terminal: &Terminal,
) -> anyhow::Result<Detector> {
    let mut downloads = Downloads::new(terminal);
    let options = DetectorOptions {
        name: args.detector.as_deref(),
        labels: args.labels.as_deref(),
        input_size: args.input_size,
    };
    Ok(session::load_detector_with(
        engine,
        options,
        &hub()?,
        &mut downloads,
    )?)
}

/// Adds the detector, with its selection.
pub(crate) fn with_detector(
    models: SessionBuilder,
    args: &DetectorArgs,
    selection: &SelectionArgs,
) -> SessionBuilder {
    let mut models = models
        .confidence(selection.confidence.get())
        .max_objects(selection.max_objects)
        .classes(&selection.classes);
    if let Some(name) = &args.detector {
        models = models.detector(name);
    }
    if let Some(path) = &args.labels {
        models = models.labels(path);
    }
    match args.input_size {
        Some(size) => models.input_size(size.width, size.height),
        None => models,
    }
}

/// Adds the segmenter.
pub(crate) fn with_segmenter(models: SessionBuilder, args: &SegmenterArgs) -> SessionBuilder {
    match &args.segmenter {
        Some(name) => models.segmenter(name),
        None => models,
    }
}

/// Loads the models, with downloads shown.
pub(crate) fn load(models: SessionBuilder, terminal: &Terminal) -> anyhow::Result<Session> {
    let loaded = models.build_with_progress(&mut Downloads::new(terminal));
    loaded.map_err(|error| match error {
        SessionError::Model(ModelError::UnknownClass(..)) => usage("--classes", error),
        error => error.into(),
    })
}

/// The same models on the CPU.
pub(crate) fn on_cpu(models: &SessionBuilder) -> SessionBuilder {
    models.clone().engine(Engine::cpu()).mode(Mode::Staged)
}

/// Says once what the models that are part of the program know, where they are used, and which options find other things.
pub(crate) fn introduce(
    detector: Option<&DetectorArgs>,
    segmenter: Option<&SegmenterArgs>,
    terminal: &Terminal,
) {
    let finds = detector.is_some_and(|args| args.detector.is_none());
    let outlines = segmenter.is_some_and(|args| args.segmenter.is_none());
    let photos = match (detector.is_some(), segmenter.is_some()) {
        (true, true) => "--detector dfine-s --segmenter mobile-sam",
        (true, false) => "--detector dfine-s",
        _ => "--segmenter mobile-sam",
    };
    if finds {
        terminal.say(&format!(
            "built-in detector: finds bone, cyst, vessel and needle in B-mode ultrasound, and nothing else; \
             {photos} finds the 80 classes of COCO in photos"
        ));
    } else if outlines {
        terminal.say(&format!(
            "built-in segmenter: outlines what B-mode ultrasound shows; {} is for photos",
            if detector.is_some() {
                "--segmenter mobile-sam"
            } else {
                photos
            }
        ));
    }
}

/// The segmenter.
pub(crate) fn segmenter(
    args: &SegmenterArgs,
    engine: &Engine,
    terminal: &Terminal,
) -> anyhow::Result<Segmenter> {
    let mut downloads = Downloads::new(terminal);
    Ok(session::load_segmenter(
        engine,
        args.segmenter.as_deref(),
        &hub()?,
        &mut downloads,
    )?)
}

/// The command line after the program's name, without passwords in addresses.
pub(crate) fn command_line() -> Vec<String> {
    std::env::args_os()
        .skip(1)
        .map(|arg| without_secrets(&arg.to_string_lossy()))
        .collect()
}
