//! Faults planted into a loop on a GPU, which the audit must find by the driver's own records.
//!
//! Each case runs in a process of its own: CUPTI is attached before the device is opened. The exit code is 1 if one failed.
//!
//!     gpu_audit             all cases
//!     gpu_audit CASE…       some of them
//!     gpu_audit --device cuda:1 …

#![allow(unsafe_code)]

use candle_core::{
    DType, Device, Tensor,
    cuda_backend::cudarc::driver::{DevicePtrMut, result},
};
use std::{
    cell::RefCell,
    error::Error,
    process::{Command, ExitCode},
};
use ultramotion::{
    audit::{AuditError, Class, Kind, Observation, observe, record::CopyWay},
    engine::{DeviceSpec, Engine, EngineError, Replays, Stage},
};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;
/// What a frame does besides, on the frame's tensor.
type Fault = fn(&Engine, &Tensor) -> Outcome;
/// What must be found.
type Check = fn(&Observation) -> Result<(), String>;

const WARM_UP: u64 = 3;
const FRAMES: u64 = 5;

const CASES: &[(&str, Fault, Check)] = &[
    ("clean", |_, _| Ok(()), clean),
    ("to-vec-in-detect", to_vec, |o| {
        wants(o, Class::Critical, Kind::Copy(CopyWay::DeviceToHost), "detect", "unaccounted")?;
        wants(o, Class::Critical, Kind::HostWait, "detect", "between source and result")
    }),
    ("pageable-upload-in-segment", pageable_upload, |o| {
        wants(o, Class::Critical, Kind::Copy(CopyWay::HostToDevice), "segment", "pageable")?;
        if o.announced.iter().any(|a| a.stage == "segment" && a.place.contains("gpu_audit.rs")) {
            Ok(())
        } else {
            Err("not announced from here".into())
        }
    }),
    ("synchronise-in-select", synchronise, |o| {
        wants(o, Class::Critical, Kind::HostWait, "select", "between source and result")?;
        if o.measured.syncs == Some(2) { Ok(()) } else { Err(format!("{:?} waits a frame, 2 expected", o.measured.syncs)) }
    }),
    ("staging-in-mask", staging, |o| wants(o, Class::Moderate, Kind::Copy(CopyWay::DeviceToDevice), "mask", "staging")),
    ("bypass-of-the-ledger", bypass, |o| wants(o, Class::Critical, Kind::Copy(CopyWay::HostToDevice), "unknown", "unaccounted")),
    ("copy-in-a-graph", graph_copy, |o| {
        wants(o, Class::Critical, Kind::Copy(CopyWay::HostToDevice), "pack", "node of a captured graph")?;
        let nodes: u64 = o.graphs.iter().map(|graph| graph.host_copies).sum();
        if nodes == 1 { Ok(()) } else { Err(format!("{nodes} copies to or from the host in the graphs, 1 expected")) }
    }),
];

thread_local! {
    /// Graphs, each captured in the first frame.
    static REPLAYS: Replays = Replays::default();
    /// Device memory that a graph's copy writes to.
    static TARGET: RefCell<Option<u64>> = const { RefCell::new(None) };
}

fn to_vec(engine: &Engine, x: &Tensor) -> Outcome {
    engine.within(Stage::Detect, || x.flatten_all()?.to_vec1::<f32>()).map(drop)?;
    Ok(())
}

fn pageable_upload(engine: &Engine, _: &Tensor) -> Outcome {
    engine.within(Stage::Segment, || engine.upload_f32(Stage::Segment, &[1.0; 64], &[64]))?;
    Ok(())
}

fn synchronise(engine: &Engine, _: &Tensor) -> Outcome {
    engine.within(Stage::Select, || engine.synchronise().and_then(|()| engine.synchronise()))?;
    Ok(())
}

fn staging(engine: &Engine, x: &Tensor) -> Outcome {
    engine.within(Stage::Mask, || x.copy())?;
    Ok(())
}

fn bypass(engine: &Engine, _: &Tensor) -> Outcome {
    Tensor::from_slice(&[1f32; 32], 32, engine.device())?;
    Ok(())
}

fn graph_copy(engine: &Engine, x: &Tensor) -> Outcome {
    let Device::Cuda(device) = engine.device() else { return Err("not a CUDA device".into()) };
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
        let tensor = |e: candle_core::Error| EngineError::Tensor { what: "a graph with a copy", source: Box::new(e) };
        // SAFETY: both have 64 bytes and live as long as the program.
        let copied = unsafe { result::memcpy_htod_async(target, &HOST, stream.cu_stream()) };
        copied.map_err(|e| EngineError::Driver { what: "a copy in a graph", reason: e.to_string() })?;
        inputs.iter().map(|x| (x + 1.0).map_err(tensor)).collect()
    };
    REPLAYS.with(|replays| engine.within(Stage::Pack, || replays.run(engine, 1, &[x], work)))?;
    Ok(())
}

/// The loop: in each frame the detector's stage replays a graph on what is on the device, and the fault is done.
fn frames(engine: &Engine, fault: Fault) -> Outcome {
    let x = Tensor::zeros((64, 64), DType::F32, engine.device())?;
    for frame in 0..WARM_UP + FRAMES {
        Engine::in_frame(frame, || -> Outcome {
            let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
                let tensor = |e: candle_core::Error| EngineError::Tensor { what: "a graph", source: Box::new(e) };
                inputs.iter().map(|x| x.affine(2.0, 1.0).and_then(|x| x.relu()).map_err(tensor)).collect()
            };
            let outputs = REPLAYS.with(|replays| engine.within(Stage::Detect, || replays.run(engine, 0, &[&x], work)))?;
            let output = outputs.first().ok_or("no output")?;
            fault(engine, output)
        })?;
    }
    engine.synchronise()?;
    REPLAYS.with(|replays| println!("  graphs of {:?} nodes", replays.nodes()));
    Ok(())
}

fn clean(o: &Observation) -> Result<(), String> {
    let detect = o.observed.stages.iter().find(|stage| stage.stage == "detect").ok_or("no stage detect")?;
    let each = o.observed.per_frame;
    let expected = [
        ("critical findings", o.measured.critical.map_or(-1.0, |n| n as f64), 0.0),
        ("waits in a frame", o.measured.syncs.map_or(-1.0, |n| n as f64), 0.0),
        ("resident share", o.measured.resident.unwrap_or(-1.0), 1.0),
        ("launches a frame", each.graph_launches, 1.0),
        ("kernels a frame outside of detect", each.kernels - detect.kernels, 0.0),
    ];
    let wrong = expected.iter().find(|(_, found, expected)| (found - expected).abs() > 1e-9);
    wrong.map_or(Ok(()), |(what, found, expected)| Err(format!("{what}: {found}, expected {expected}")))
}

/// In every steady-state frame something of this class and kind in this stage, for this reason.
fn wants(o: &Observation, class: Class, kind: Kind, stage: &str, reason: &str) -> Result<(), String> {
    let found =
        o.observed.rows.iter().filter(|row| row.class == class && row.kind == kind && row.stage == stage && row.reason.contains(reason));
    let frames = found.map(|row| row.frames).max().unwrap_or(0);
    if frames == FRAMES { Ok(()) } else { Err(format!("{class:?} {kind:?} in {stage} ({reason}): in {frames} frames of {FRAMES}")) }
}

fn run(case: &str, device: &str) -> Outcome {
    let (_, fault, check) = CASES.iter().find(|(name, ..)| *name == case).ok_or("no such case")?;
    let spec: DeviceSpec = device.parse()?;
    let seen = observe::<Failure>(WARM_UP..WARM_UP + FRAMES, || Ok(Engine::open(spec)?), |engine| frames(engine, *fault).map_err(Failure));
    let seen = seen.map_err(|failure| failure.0)?;
    println!("  {}: {} records", seen.observed.profiler, seen.observed.records);
    for row in &seen.observed.rows {
        println!("  {:?} {:?} {} {:?} ×{} {}; {}", row.class, row.kind, row.stage, row.host_memory, row.count, row.reason, row.place);
    }
    for graph in &seen.graphs {
        println!("  {graph:?}");
    }
    if !seen.gaps.is_empty() {
        return Err(format!("not observed: {}", seen.gaps.join("; ")).into());
    }
    check(&seen).map_err(Into::into)
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
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--nocapture" && !a.starts_with("--test-threads")).collect();
    let device = match arguments.iter().position(|a| a == "--device") {
        Some(at) if at + 1 < arguments.len() => arguments.drain(at..at + 2).nth(1).unwrap_or_default(),
        _ => "cuda".to_owned(),
    };
    if let [flag, case] = &arguments[..]
        && flag == "--case"
    {
        return match run(case, &device) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("  FAILED: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let own = std::env::current_exe().expect("own path");
    let mut failed = Vec::new();
    for (name, ..) in CASES.iter().filter(|(name, ..)| arguments.is_empty() || arguments.iter().any(|a| a == name)) {
        println!("== {name}");
        let status = Command::new(&own).args(["--device", &device, "--case", name]).status();
        if !status.is_ok_and(|status| status.success()) {
            failed.push(*name);
        }
    }
    println!("{}", if failed.is_empty() { "all cases passed".to_owned() } else { format!("FAILED: {}", failed.join(", ")) });
    ExitCode::from(u8::from(!failed.is_empty()))
}
