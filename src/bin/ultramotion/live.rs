//! `live`.

use crate::{
    exit::Exit,
    igtl_args,
    inputs::{self, usage},
    live_args::{LiveArgs, LiveInputArgs},
    live_report::{Failure, LiveReport, print_recorded, print_summary},
    run::on_interrupt,
    terminal::Terminal,
};
use serde_json::json;
use std::{ffi::OsString, net::SocketAddr, sync::Arc};
use ultramotion::{
    Session,
    engine::Engine,
    http::{MonitorOptions, MonitorOutput},
    live::{
        FileInput, KpiOutput, Live, LiveInput, LiveSummary, Queued, Recorder, StreamInput, WhenFull,
    },
    progress::{Cancel, Observer},
    run::{Event, KpiFile, Recording},
    sinks::OutputSet,
    sources::{DecodeDevice, SourceOptions, StreamAddress},
    weights::HubConfig,
};

/// Lines of results that may wait for who reads stdout.
const LINES: usize = 256;

/// Runs a live loop.
pub(crate) fn run(args: &LiveArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let given = given(&args.input)?;
    let segmenter = Some(&args.segmenter).filter(|_| !args.no_segmenter);
    inputs::introduce(Some(&args.detector), segmenter, terminal);
    let engine = inputs::engine(&args.device)?;
    let mut session = session(args, &engine, terminal)?;
    // Before the stream is there: what it sends meanwhile would be late.
    session.prepare_live()?;
    let cancel = Cancel::default();
    on_interrupt(&cancel, terminal, "interrupted: finishing the frame");
    let input = match open(given, &args.input, &engine, &cancel, terminal) {
        Err(_) if cancel.is_requested() => return Ok(Exit::Interrupted),
        opened => opened?,
    };
    let name = input.info().path.display().to_string();
    let when_full = match args.input.every_frame {
        true => WhenFull::Wait,
        false => WhenFull::Drop,
    };
    let (recorder, recorded) = match recording(args, &session, terminal)? {
        Some(recording) => {
            let (recorder, recorded) = Recorder::start(recording, input.info(), when_full)?;
            (Some(recorder), Some(recorded))
        }
        None => (None, None),
    };
    let kpi = kpi(args, &session)?;
    let failure = Failure::default();
    let report = LiveReport::new(terminal.clone(), cancel.clone(), failure.clone());
    let live = Live::new(session, input)
        .every_frame(args.input.every_frame)
        .cancel(cancel);
    // First what a surgeon looks at.
    let outputs = args.igtl.outputs(terminal)?;
    let live = outputs.into_iter().fold(live, Live::output);
    let mut live = live.output(Queued::new(report, LINES, when_full)?);
    if let Some(kpi) = kpi {
        live = live.output(Queued::new(KpiOutput::new(kpi), LINES, when_full)?);
    }
    if let Some(recorder) = recorder {
        live = live.output(recorder);
    }
    if let Some(listen) = args.output.monitor {
        live = live.output(monitor(listen, terminal)?);
    }
    if let Some(duration) = args.input.duration {
        live = live.duration(duration);
    }
    if let Some(frames) = args.input.max_frames {
        live = live.max_frames(frames);
    }
    let summary = live.start()?;
    // Before the summary, which could not be printed either where nobody reads.
    failure.check()?;
    print_summary(&name, &summary, terminal)?;
    if let Some(recorded) = recorded.and_then(|recorded| recorded.take()) {
        print_recorded(&recorded, terminal)?;
    }
    Ok(exit(&summary))
}

/// What is recorded, where that was requested.
fn recording(
    args: &LiveArgs,
    session: &Session,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<Option<Recording>> {
    let Some(folder) = &args.output.record else {
        return Ok(None);
    };
    let mut recording = Recording::new(session, folder).arguments(inputs::command_line());
    if terminal.json {
        recording = recording.observer(Arc::new(Written(terminal.clone())));
    }
    if let Some(kinds) = &args.output.write {
        let outputs: OutputSet = kinds.join(",").parse().map_err(|e| usage("--write", e))?;
        inputs::check_masks(&outputs, recording.makes_masks(), "live --no-segmenter")?;
        recording = recording.write(outputs.iter());
    }
    Ok(Some(match args.output.overwrite {
        true => recording.overwrite(),
        false => recording,
    }))
}

/// Prints a JSON line for each frame that is in the record.
struct Written(Arc<Terminal>);

impl Observer<Event<'_>> for Written {
    fn event(&self, event: Event<'_>) {
        if let Event::FrameDone { frame, .. } = event {
            // Where nobody reads stdout, the frames' own lines end the loop.
            let _ = self
                .0
                .print_json(&json!({ "type": "written", "frame": frame.index }));
        }
    }
}

/// The file of figures.
fn kpi(args: &LiveArgs, session: &Session) -> anyhow::Result<Option<Arc<KpiFile>>> {
    let path = args.output.kpi.as_deref();
    let engine = Some(session.engine().clone());
    let opened = path.map(|path| KpiFile::append(path, engine)).transpose()?;
    Ok(opened.map(Arc::new))
}

/// The page, and who reaches it.
fn monitor(listen: SocketAddr, terminal: &Terminal) -> anyhow::Result<MonitorOutput> {
    let mut options = MonitorOptions::default();
    options.listen = listen;
    let monitor = MonitorOutput::start(&options)?;
    let address = monitor.address();
    terminal.say(&format!("monitor: http://{address}"));
    if !address.ip().is_loopback() {
        terminal.warn(&format!(
            "--monitor {address}: anyone who reaches this address can watch; 127.0.0.1 is for this machine alone"
        ));
    }
    Ok(monitor)
}

fn exit(summary: &LiveSummary) -> Exit {
    match (
        summary.interrupted,
        summary.figures.failed + summary.output_problems,
    ) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::SomeFailed,
    }
}

/// The models.
fn session(args: &LiveArgs, engine: &Engine, terminal: &Terminal) -> anyhow::Result<Session> {
    let models = match args.no_segmenter {
        true => Session::builder().without_segmenter(),
        false => inputs::with_segmenter(Session::builder(), &args.segmenter),
    };
    let models = inputs::with_detector(models, &args.detector, &args.selection);
    let models = args.track.apply(models, args.selection.confidence)?;
    let models = models.engine(engine.clone()).hub(HubConfig::from_env()?);
    let session = inputs::load(models, terminal)?;
    for warning in session.warnings() {
        terminal.warn(&warning.to_string());
    }
    Ok(session)
}

/// What the user gave: the address of a stream or a file.
enum Given {
    /// Whoever connects, by OpenIGTLink.
    Listening,
    /// A server of OpenIGTLink.
    Igtl(String),
    Stream(StreamAddress),
    File(OsString),
}

/// What the user gave; a file needs `--realtime`, a stream has its own pace.
fn given(args: &LiveInputArgs) -> anyhow::Result<Given> {
    let input = args.input();
    let text = input.to_string_lossy();
    if args.igtl.igtl_listen.is_some() {
        return Ok(Given::Listening);
    }
    if text.starts_with(igtl_args::SCHEME) {
        return Ok(Given::Igtl(text.into_owned()));
    }
    if StreamAddress::is_meant_by(&text) || text.contains("://") {
        let address: StreamAddress = text.parse().map_err(|e| usage("--input", e))?;
        if args.realtime {
            let problem = "a stream has a pace of its own; leave --realtime out";
            return Err(usage(&address.to_string(), problem));
        }
        return Ok(Given::Stream(address));
    }
    if !args.realtime {
        return Err(usage(
            &text,
            "is a file, which has no pace of its own; --realtime plays it at its own, and `pipeline` works through it as fast as it can",
        ));
    }
    Ok(Given::File(input))
}

/// The stream.
fn open(
    given: Given,
    args: &LiveInputArgs,
    engine: &Engine,
    cancel: &Cancel,
    terminal: &Terminal,
) -> anyhow::Result<Box<dyn LiveInput>> {
    let decode = inputs::decode(&args.decode)?;
    inputs::check_decode(decode, engine)?;
    let options = SourceOptions {
        decode,
        max_pixels: args.max_pixels,
        device: Some(DecodeDevice::new(engine)),
        ..SourceOptions::default()
    };
    let (timeout, max_pixels, every) = (args.stream.timeout, args.max_pixels, args.every_frame);
    Ok(match given {
        Given::Listening => {
            let input = args.igtl.listen(timeout, max_pixels, every, terminal)?;
            Box::new(input.ok_or_else(|| usage("--igtl-listen", "give a port"))?)
        }
        Given::Igtl(address) => Box::new(args.igtl.connect(&address, timeout, max_pixels, every)?),
        Given::Stream(address) => {
            let options = args.stream.options(&options);
            Box::new(StreamInput::open(address, options, cancel)?)
        }
        Given::File(path) => {
            let file = FileInput::open_with(path, &options, engine)?;
            Box::new(file.repeat(args.repeat))
        }
    })
}
