//! Loops on a GPU without and with planted faults, which the audit must tell apart by the driver's own records.
//!
//! Each case runs in a process of its own: CUPTI is attached before the device is opened. The exit code is 1 if one failed.
//!
//!     gpu_audit             all cases
//!     gpu_audit CASE…       some of them
//!     gpu_audit --device cuda:1 …
//!     gpu_audit --keep FOLDER …   also writes what was recorded there: CASE.cupti and CASE.json

#![allow(unsafe_code)]

#[path = "gpu_audit/overlap.rs"]
mod overlap;
#[path = "gpu_audit/sessions.rs"]
mod sessions;

use candle_core::{
    DType, Device, Tensor,
    cuda_backend::cudarc::driver::{DevicePtrMut, result},
};
use std::{
    cell::RefCell,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use ultramotion::{
    audit::{
        AuditError, Capture, Class, Kind, Observation, observe, observe_session, record::CopyWay,
    },
    engine::{DeviceSpec, Direction, Engine, EngineError, GraphCache},
    session::{Session, Stage},
};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;
/// What a frame does besides, on the frame's tensor.
type Fault = fn(&Engine, &Tensor) -> Outcome;
/// What must be found.
type Check = fn(&Observation) -> Result<(), String>;

const WARM_UP: u64 = 3;
const FRAMES: u64 = 5;

/// What is run.
enum Loop {
    /// [`frames`] with a fault.
    Faulty(Fault),
    /// A loop of its own.
    Own(fn(&Engine) -> Outcome),
    /// What is done with a session.
    OfSession(fn(&mut Session) -> Outcome),
}
use Loop::{Faulty, OfSession, Own};

const CASES: &[(&str, Loop, Check)] = &[
    ("clean", Faulty(|_, _| Ok(())), clean),
    (
        "overlapping-frames",
        Own(overlap::overlapping),
        overlap::overlapped,
    ),
    (
        "session-stream",
        OfSession(sessions::stream),
        sessions::one_up_one_down,
    ),
    (
        "session-on-device",
        OfSession(sessions::on_device),
        sessions::none_up_none_down,
    ),
    ("to-vec-in-detect", Faulty(to_vec), |o| {
        wants(
            o,
            Class::Critical,
            Kind::Copy(CopyWay::DeviceToHost),
            "detect",
            "unaccounted",
        )?;
        wants(
            o,
            Class::Critical,
            Kind::HostWait,
            "detect",
            "between source and result",
        )?;
        if o.measured.syncs == Some(1) {
            Ok(())
        } else {
            Err(format!("{:?} waits a frame, 1 expected", o.measured.syncs))
        }
    }),
    ("pageable-upload-in-segment", Faulty(pageable_upload), |o| {
        wants(
            o,
            Class::Critical,
            Kind::Copy(CopyWay::HostToDevice),
            "segment",
            "pageable",
        )?;
        if o.observed.unaccounted > 0 {
            return Err(format!("{} unaccounted", o.observed.unaccounted));
        }
        if o.announced
            .iter()
            .any(|a| a.stage == "segment" && a.place.contains("gpu_audit.rs"))
        {
            Ok(())
        } else {
            Err("not announced from here".into())
        }
    }),
    ("synchronise-in-select", Faulty(synchronise), |o| {
        wants(
            o,
            Class::Critical,
            Kind::HostWait,
            "select",
            "between source and result",
        )?;
        if o.measured.syncs == Some(2) {
            Ok(())
        } else {
            Err(format!("{:?} waits a frame, 2 expected", o.measured.syncs))
        }
    }),
    ("staging-in-mask", Faulty(staging), |o| {
        wants(
            o,
            Class::Moderate,
            Kind::Copy(CopyWay::DeviceToDevice),
            "mask",
            "staging",
        )
    }),
    ("bypass-of-the-ledger", Faulty(bypass), |o| {
        wants(
            o,
            Class::Critical,
            Kind::Copy(CopyWay::HostToDevice),
            "unknown",
            "unaccounted",
        )
    }),
    ("copy-in-a-graph", Faulty(graph_copy), |o| {
        wants(
            o,
            Class::Critical,
            Kind::Copy(CopyWay::HostToDevice),
            "pack",
            "node of a captured graph",
        )?;
        let nodes: u64 = o.graphs.iter().map(|graph| graph.host_copies).sum();
        if nodes == 1 {
            Ok(())
        } else {
            Err(format!(
                "{nodes} copies to or from the host in the graphs, 1 expected"
            ))
        }
    }),
];

thread_local! {
    /// Graphs, each captured in the first frame.
    static GRAPHS: RefCell<GraphCache> = RefCell::default();
    /// Device memory that a graph's copy writes to.
    static TARGET: RefCell<Option<u64>> = const { RefCell::new(None) };
}

fn to_vec(engine: &Engine, x: &Tensor) -> Outcome {
    engine
        .within(Stage::Detect, || x.flatten_all()?.to_vec1::<f32>())
        .map(drop)?;
    Ok(())
}

fn pageable_upload(engine: &Engine, _: &Tensor) -> Outcome {
    engine.within(Stage::Encode, || {
        engine.upload_f32(Stage::Encode, &[1.0; 64], &[64])
    })?;
    Ok(())
}

fn synchronise(engine: &Engine, _: &Tensor) -> Outcome {
    engine.within(Stage::Select, || {
        engine.synchronise().and_then(|()| engine.synchronise())
    })?;
    Ok(())
}

fn staging(engine: &Engine, x: &Tensor) -> Outcome {
    engine.within(Stage::Masks, || x.copy())?;
    Ok(())
}

fn bypass(engine: &Engine, _: &Tensor) -> Outcome {
    Tensor::from_slice(&[1f32; 32], 32, engine.device())?;
    Ok(())
}

fn graph_copy(engine: &Engine, x: &Tensor) -> Outcome {
    let Device::Cuda(device) = engine.device() else {
        return Err("not a CUDA device".into());
    };
    let stream = device.cuda_stream();
    let target = match TARGET.with_borrow(|target| *target) {
        Some(target) => target,
        None => {
            // SAFETY: the memory is written by the graph before anything could read it; it is kept until the program ends.
            let mut slice = unsafe { stream.alloc::<f32>(16) }?;
            let target = slice.device_ptr_mut(&stream).0;
            std::mem::forget(slice);
            TARGET.set(Some(target));
            target
        }
    };
    static HOST: [f32; 16] = [1.0; 16];
    let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
        let tensor = |e: candle_core::Error| EngineError::Tensor {
            what: "a graph with a copy",
            source: Box::new(e),
        };
        // SAFETY: both have 64 bytes and live as long as the program.
        let copied = unsafe { result::memcpy_htod_async(target, &HOST, stream.cu_stream()) };
        copied.map_err(|e| EngineError::Driver {
            what: "a copy in a graph",
            reason: e.to_string(),
        })?;
        inputs.iter().map(|x| (x + 1.0).map_err(tensor)).collect()
    };
    GRAPHS.with_borrow_mut(|graphs| {
        engine.within(Stage::Pack, || graphs.replay(engine, 1, &[x], work))
    })?;
    Ok(())
}

/// The loop: in each frame the detector's stage replays a graph on what is on the device, and the fault is done.
fn frames(engine: &Engine, fault: Fault) -> Outcome {
    let x = Tensor::zeros((64, 64), DType::F32, engine.device())?;
    // One more than is judged: it begins where what is done after the last work of the one before ends.
    for frame in 0..=WARM_UP + FRAMES {
        Engine::in_frame(frame, || -> Outcome {
            let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
                let tensor = |e: candle_core::Error| EngineError::Tensor {
                    what: "a graph",
                    source: Box::new(e),
                };
                inputs
                    .iter()
                    .map(|x| x.affine(2.0, 1.0).and_then(|x| x.relu()).map_err(tensor))
                    .collect()
            };
            GRAPHS.with_borrow_mut(|graphs| {
                engine.within(Stage::Detect, || graphs.replay(engine, 0, &[&x], work))
            })?;
            fault(engine, &x)
        })?;
    }
    engine.synchronise()?;
    GRAPHS.with_borrow(|graphs| println!("  graphs of {:?} nodes", graphs.nodes()));
    Ok(())
}

fn clean(o: &Observation) -> Result<(), String> {
    let detect = o
        .observed
        .stages
        .iter()
        .find(|stage| stage.stage == "detect")
        .ok_or("no stage detect")?;
    let each = o.observed.per_frame;
    let expected = [
        (
            "critical findings",
            o.measured.critical.map_or(-1.0, |n| n as f64),
            0.0,
        ),
        (
            "waits in a frame",
            o.measured.syncs.map_or(-1.0, |n| n as f64),
            0.0,
        ),
        ("resident share", o.measured.resident.unwrap_or(-1.0), 1.0),
        ("launches a frame", each.graph_launches, 1.0),
        (
            "kernels a frame outside of detect",
            each.kernels - detect.kernels,
            0.0,
        ),
    ];
    let wrong = expected
        .iter()
        .find(|(_, found, expected)| (found - expected).abs() > 1e-9);
    wrong.map_or(Ok(()), |(what, found, expected)| {
        Err(format!("{what}: {found}, expected {expected}"))
    })
}

/// In every steady-state frame something of this class and kind in this stage, for this reason.
fn wants(
    o: &Observation,
    class: Class,
    kind: Kind,
    stage: &str,
    reason: &str,
) -> Result<(), String> {
    let found = o.observed.rows.iter().filter(|row| {
        row.class == class && row.kind == kind && row.stage == stage && row.reason.contains(reason)
    });
    let frames = found.map(|row| row.frames).max().unwrap_or(0);
    if frames == FRAMES {
        Ok(())
    } else {
        Err(format!(
            "{class:?} {kind:?} in {stage} ({reason}): in {frames} frames of {FRAMES}"
        ))
    }
}

fn run(case: &str, device: &str, keep: Option<&Path>) -> Outcome {
    let (_, work, check) = CASES
        .iter()
        .find(|(name, ..)| *name == case)
        .ok_or("no such case")?;
    let spec: DeviceSpec = device.parse()?;
    let steady = WARM_UP..WARM_UP + FRAMES;
    let open = || Ok::<_, Failure>(Engine::open(spec)?);
    let seen = match work {
        Faulty(fault) => observe(steady, open, |engine| {
            frames(engine, *fault).map_err(Failure)
        }),
        Own(work) => observe(steady, open, |engine| work(engine).map_err(Failure)),
        OfSession(work) => observe_session(
            steady,
            || sessions::open(spec).map_err(Failure),
            |session| work(session).map_err(Failure),
        ),
    };
    let seen = seen.map_err(|failure| failure.0)?;
    if let Some(folder) = keep {
        write(&seen.capture, folder, case)?;
    }
    println!(
        "  {}: {} records",
        seen.observed.profiler, seen.observed.records
    );
    for row in &seen.observed.rows {
        println!(
            "  {:?} {:?} {} {:?} ×{} {}; {}",
            row.class, row.kind, row.stage, row.host_memory, row.count, row.reason, row.place
        );
    }
    for graph in &seen.graphs {
        println!("  {graph:?}");
    }
    if !seen.gaps.is_empty() {
        return Err(format!("not observed: {}", seen.gaps.join("; ")).into());
    }
    check(&seen).map_err(Into::into)
}

/// Keeps the records, and beside them what the engine told.
fn write(capture: &Capture, folder: &Path, case: &str) -> Outcome {
    std::fs::create_dir_all(folder)?;
    std::fs::write(
        folder.join(format!("{case}.cupti")),
        capture.recording.to_bytes(),
    )?;
    let works = capture.works.works.iter().map(|work| {
        let moved = work.moved.map(|m| (if m.direction == Direction::HostToDevice { "up" } else { "down" }, m.bytes));
        serde_json::json!({ "stage": work.span.name(), "frame": work.frame, "moved": moved, "start": work.start, "end": work.end })
    });
    let nodes: Vec<_> = capture
        .node_spans
        .iter()
        .map(|(id, span)| (id, span.name()))
        .collect();
    let told = serde_json::json!({ "works": works.collect::<Vec<_>>(), "node_stages": nodes, "beyond": capture.works.beyond });
    Ok(std::fs::write(
        folder.join(format!("{case}.json")),
        told.to_string(),
    )?)
}

struct Failure(Box<dyn Error + Send + Sync>);

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        Self(error.into())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self(error.into())
    }
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--nocapture" && !a.starts_with("--test-threads"))
        .collect();
    let device = match arguments.iter().position(|a| a == "--device") {
        Some(at) if at + 1 < arguments.len() => {
            arguments.drain(at..at + 2).nth(1).unwrap_or_default()
        }
        _ => "cuda".to_owned(),
    };
    let keep: Option<PathBuf> = match arguments.iter().position(|a| a == "--keep") {
        Some(at) if at + 1 < arguments.len() => {
            arguments.drain(at..at + 2).nth(1).map(PathBuf::from)
        }
        _ => None,
    };
    if let [flag, case] = &arguments[..]
        && flag == "--case"
    {
        return match run(case, &device, keep.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("  FAILED: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let own = std::env::current_exe().expect("own path");
    let mut failed = Vec::new();
    for (name, ..) in CASES
        .iter()
        .filter(|(name, ..)| arguments.is_empty() || arguments.iter().any(|a| a == name))
    {
        println!("== {name}");
        let mut command = Command::new(&own);
        command.args(["--device", &device, "--case", name]);
        if let Some(folder) = &keep {
            command.arg("--keep").arg(folder);
        }
        let status = command.status();
        if !status.is_ok_and(|status| status.success()) {
            failed.push(*name);
        }
    }
    println!(
        "{}",
        if failed.is_empty() {
            "all cases passed".to_owned()
        } else {
            format!("FAILED: {}", failed.join(", "))
        }
    );
    ExitCode::from(u8::from(!failed.is_empty()))
}
