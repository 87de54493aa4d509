//! `serve`.

use crate::{
    exit::Exit,
    inputs::{self, usage},
    serve_args::ServeArgs,
    terminal::Terminal,
};
use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, mpsc},
};
use ultramotion::{
    Session,
    http::{ApiKey, PredictionServer, RequestDone, ServeOptions, SessionPredictor},
    session::SessionBuilder,
    weights::HubConfig,
};

/// Bytes of a file with a key.
const KEY_BYTES: u64 = 4096;

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn run(args: &ServeArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let mut options = ServeOptions::default();
    options.listen = args.listen;
    options.max_pixels = args.max_pixels;
    options.max_bytes = usize::from(args.max_request) << 20;
    options.queue = usize::from(args.queue);
    options.api_key = args.api_key_file.as_deref().map(api_key).transpose()?;
    let stop = on_interrupt(terminal);
    let predictor = predictor(args, terminal)?;
    let server = PredictionServer::start(&options, predictor, requests(terminal))?;
    say(&server, &options, terminal)?;
    // An error means that the handler is gone: there is nothing to wait for any more.
    let _ = stop.recv();
    drop(server);
    terminal.say("serve: ended");
    Ok(Exit::Done)
}

/// Receives when the user ends the program; a second time ends it at once, as does the first before the models are there.
fn on_interrupt(terminal: &Arc<Terminal>) -> mpsc::Receiver<()> {
    let (stop, stopped) = mpsc::sync_channel(1);
    let speaker = terminal.clone();
    let set = ctrlc::set_handler(move || {
        if stop.try_send(()).is_err() {
            std::process::exit(Exit::Interrupted as i32);
        }
        speaker.say("serve: ending; requests that are worked on get their answers");
    });
    if let Err(error) = set {
        terminal.detail(&format!("Ctrl-C will end the program at once: {error}"));
    }
    stopped
}

/// The models, each on its own: requests state thresholds, and what is to be outlined.
fn predictor(args: &ServeArgs, terminal: &Arc<Terminal>) -> anyhow::Result<SessionPredictor> {
    inputs::introduce(Some(&args.detector), Some(&args.segmenter), terminal);
    let engine = inputs::engine(&args.device)?;
    let hub = HubConfig::from_env()?;
    let on = |models: SessionBuilder| {
        let models = models.engine(engine.clone()).hub(hub.clone());
        inputs::load(models, terminal)
    };
    let confidence = args.selection.confidence;
    let detector = inputs::with_detector(Session::builder(), &args.detector, &args.selection)
        .without_segmenter()
        .confidence(confidence.get().min(SessionPredictor::FLOOR));
    let segmenter = inputs::with_segmenter(Session::builder().without_detector(), &args.segmenter);
    let (detector, segmenter) = (on(detector)?, on(segmenter)?);
    for warning in detector.warnings() {
        terminal.warn(&warning.to_string());
    }
    Ok(SessionPredictor::new(
        Some(detector),
        Some(segmenter),
        confidence,
    ))
}

/// A line a request, with -v; those that fail always.
fn requests(
    terminal: &Arc<Terminal>,
) -> Arc<dyn for<'a> ultramotion::progress::Observer<RequestDone<'a>>> {
    let terminal = terminal.clone();
    Arc::new(move |done: RequestDone<'_>| {
        let line = format!(
            "{} {}: {}, {:.0} ms",
            done.method,
            done.path,
            done.status,
            done.time.as_secs_f64() * 1e3
        );
        match done.problem {
            Some(problem) => terminal.say(&format!("{line}: {problem}")),
            None => terminal.detail(&line),
        }
    })
}

/// Says where the server is, and who reaches it.
fn say(
    server: &PredictionServer,
    options: &ServeOptions,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let address = server.address();
    if terminal.json {
        terminal.print_json(&serde_json::json!({ "listening": format!("http://{address}") }))?;
    }
    terminal.say(&format!(
        "serve: http://{address} answers X-AnyLabeling (model Remote-Server); Ctrl-C ends it"
    ));
    if !address.ip().is_loopback() && options.api_key.is_none() {
        terminal.warn(&format!(
            "--listen {address}: anyone who reaches this address can use the models; give --api-key-file, or listen on 127.0.0.1"
        ));
    }
    Ok(())
}

/// The key in the first line of a file.
fn api_key(path: &Path) -> anyhow::Result<ApiKey> {
    let problem =
        |problem: String| usage("--api-key-file", format!("{}: {problem}", path.display()));
    let file = File::open(path).map_err(|e| problem(format!("cannot be read: {e}")))?;
    let mut text = String::new();
    file.take(KEY_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| problem(format!("cannot be read: {e}")))?;
    let key = text.lines().next().unwrap_or_default().trim();
    ApiKey::new(key).map_err(|e| problem(e.to_string()))
}
