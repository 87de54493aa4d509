//! Loops on a GPU without and with planted faults, which the audit must tell apart by the driver's own records.
//!
//! Each case runs in a process of its own: CUPTI is attached before the device is opened. The exit code is 1 if one failed.
//!
//!     gpu_audit             all cases
//!     gpu_audit CASE…       some of them
//!     gpu_audit --device cuda:1 …
//!     gpu_audit --keep FOLDER …   also writes what was recorded there: CASE.cupti and CASE.json

#![allow(unsafe_code)]

use candle_core::{
    DType, Device, Storage, Tensor,
    cuda_backend::cudarc::driver::{CudaEvent, CudaStream, DevicePtr, DevicePtrMut, result, sys::CUevent_flags},
};
use std::{
    cell::RefCell,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
};
use ultramotion::{
    audit::{AuditError, Capture, Class, Kind, Observation, observe, record::CopyWay},
    engine::{DeviceSpec, Direction, Engine, EngineError, Replays, Stage},
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
}
use Loop::{Faulty, Own};

const CASES: &[(&str, Loop, Check)] = &[
    ("clean", Faulty(|_, _| Ok(())), clean),
    ("overlapping-frames", Own(overlapping), overlapped),
    ("to-vec-in-detect", Faulty(to_vec), |o| {
        wants(o, Class::Critical, Kind::Copy(CopyWay::DeviceToHost), "detect", "unaccounted")?;
        wants(o, Class::Critical, Kind::HostWait, "detect", "between source and result")?;
        if o.measured.syncs == Some(1) { Ok(()) } else { Err(format!("{:?} waits a frame, 1 expected", o.measured.syncs)) }
    }),
    ("pageable-upload-in-segment", Faulty(pageable_upload), |o| {
        wants(o, Class::Critical, Kind::Copy(CopyWay::HostToDevice), "segment", "pageable")?;
        if o.observed.unaccounted > 0 {
            return Err(format!("{} unaccounted", o.observed.unaccounted));
        }
        if o.announced.iter().any(|a| a.stage == "segment" && a.place.contains("gpu_audit.rs")) {
            Ok(())
        } else {
            Err("not announced from here".into())
        }
    }),
    ("synchronise-in-select", Faulty(synchronise), |o| {
        wants(o, Class::Critical, Kind::HostWait, "select", "between source and result")?;
        if o.measured.syncs == Some(2) { Ok(()) } else { Err(format!("{:?} waits a frame, 2 expected", o.measured.syncs)) }
    }),
    ("staging-in-mask", Faulty(staging), |o| wants(o, Class::Moderate, Kind::Copy(CopyWay::DeviceToDevice), "mask", "staging")),
    ("bypass-of-the-ledger", Faulty(bypass), |o| wants(o, Class::Critical, Kind::Copy(CopyWay::HostToDevice), "unknown", "unaccounted")),
    ("copy-in-a-graph", Faulty(graph_copy), |o| {
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
    // One more than is judged: it begins where what is done after the last work of the one before ends.
    for frame in 0..=WARM_UP + FRAMES {
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

/// Places for frames on their way.
const SLOTS: usize = 2;
/// Numbers in a frame of the overlapping loop.
const NUMBERS: usize = 64 * 64;

/// One place for a frame of the overlapping loop: page-locked memory for both ways, device memory, and the event of its end.
struct Slot {
    host_in: &'static mut [f32],
    host_out: &'static mut [f32],
    input: Tensor,
    output: Tensor,
    uploaded: CudaEvent,
    done: CudaEvent,
}

impl Slot {
    fn new(engine: &Engine, stream: &Arc<CudaStream>) -> Outcome<Self> {
        let pinned = || -> Outcome<&'static mut [f32]> {
            // SAFETY: page-locked memory of so many bytes, zeroed at once, kept until the program ends.
            Ok(unsafe {
                let memory = result::malloc_host(NUMBERS * 4, 0)?.cast::<f32>();
                memory.write_bytes(0, NUMBERS);
                std::slice::from_raw_parts_mut(memory, NUMBERS)
            })
        };
        let tensor = || Tensor::zeros(NUMBERS, DType::F32, engine.device());
        let event = || stream.context().new_event(Some(CUevent_flags::CU_EVENT_DISABLE_TIMING));
        Ok(Self { host_in: pinned()?, host_out: pinned()?, input: tensor()?, output: tensor()?, uploaded: event()?, done: event()? })
    }

    /// Asks for all work of frame `frame`, and waits for none of it.
    fn submit(&mut self, engine: &Engine, frame: u64, (uploads, compute): (&CudaStream, &CudaStream)) -> Outcome {
        self.host_in.fill(frame as f32);
        let to = address(&self.input)?;
        engine.announce(Stage::Decode, Direction::HostToDevice, NUMBERS * 4, || -> Outcome {
            // SAFETY: both have that many numbers and live on; nobody writes to the memory before the frame's end was waited for.
            unsafe { result::memcpy_htod_async(to, self.host_in, uploads.cu_stream()) }?;
            Ok(self.uploaded.record(uploads)?)
        })?;
        engine.within(Stage::Detect, || -> Outcome {
            compute.wait(&self.uploaded)?;
            // Without inputs and outputs of the graph's own there is nothing to copy to and from them.
            let work = |_: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
                let result = self.input.affine(2.0, 1.0).and_then(|x| x.relu()).and_then(|x| self.output.slice_set(&x, 0, 0));
                result.map_err(|e| EngineError::Tensor { what: "a graph", source: Box::new(e) })?;
                Ok(Vec::new())
            };
            REPLAYS.with(|replays| replays.run(engine, frame % SLOTS as u64, &[], work))?;
            Ok(())
        })?;
        let from = address(&self.output)?;
        engine.announce(Stage::Pack, Direction::DeviceToHost, NUMBERS * 4, || -> Outcome {
            // SAFETY: as above; nobody reads the memory before the frame's end was waited for.
            unsafe { result::memcpy_dtoh_async(self.host_out, from, compute.cu_stream()) }?;
            Ok(self.done.record(compute)?)
        })
    }

    /// Waits for the result of frame `frame` and looks whether it is that frame's.
    fn finish(&self, engine: &Engine, frame: u64) -> Outcome {
        engine.within(Stage::Pack, || {
            // Only asks; no wait.
            let _ = self.done.is_complete();
            self.done.synchronize()
        })?;
        let expected = frame as f32 * 2.0 + 1.0;
        match self.host_out.iter().find(|number| **number != expected) {
            Some(number) => Err(format!("frame {frame} gave {number}, not {expected}").into()),
            None => Ok(()),
        }
    }
}

/// Where a tensor lies on the device.
fn address(x: &Tensor) -> Outcome<u64> {
    let (storage, _) = x.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { return Err("not on a CUDA device".into()) };
    let slice = storage.as_cuda_slice::<f32>()?;
    // The engine's tensors have no events of their own; those of the loop keep the order.
    Ok(slice.device_ptr(slice.stream()).0)
}

/// A loop in which each frame is asked for before the one before it is waited for: pinned uploads on a stream of their own, one
/// launch of a graph, one pinned copy of the result, one wait for an event.
fn overlapping(engine: &Engine) -> Outcome {
    let Device::Cuda(device) = engine.device() else { return Err("not a CUDA device".into()) };
    let compute = device.cuda_stream();
    let uploads = compute.context().new_stream()?;
    let mut slots = (0..SLOTS).map(|_| Slot::new(engine, &compute)).collect::<Outcome<Vec<_>>>()?;
    engine.synchronise()?;
    for frame in 0..=WARM_UP + FRAMES {
        if frame < WARM_UP + FRAMES {
            let slot = slots.get_mut(frame as usize % SLOTS).ok_or("no slot")?;
            Engine::in_frame(frame, || slot.submit(engine, frame, (&uploads, &compute)))?;
        }
        if let Some(before) = frame.checked_sub(1) {
            let slot = slots.get(before as usize % SLOTS).ok_or("no slot")?;
            Engine::in_frame(before, || slot.finish(engine, before))?;
        }
    }
    engine.synchronise()?;
    REPLAYS.with(|replays| println!("  graphs of {:?} nodes", replays.nodes()));
    Ok(())
}

/// In each frame one upload, one launch, one result and one wait for it, each of its own frame, and nothing else.
fn overlapped(o: &Observation) -> Result<(), String> {
    let each = o.observed.per_frame;
    let expected = [
        ("critical findings", o.measured.critical.map_or(-1.0, |n| n as f64), 0.0),
        ("waits, most in a frame", o.measured.syncs.map_or(-1.0, |n| n as f64), 1.0),
        ("waits a frame", each.host_waits, 1.0),
        ("uploads a frame", each.uploads, 1.0),
        ("results a frame", each.downloads, 1.0),
        ("copies on the device a frame", each.device_copies, 0.0),
        ("launches a frame", each.graph_launches, 1.0),
        ("resident share", o.measured.resident.unwrap_or(-1.0), 1.0),
        ("unaccounted", o.observed.unaccounted as f64, 0.0),
    ];
    if let Some((what, found, expected)) = expected.iter().find(|(_, found, expected)| (found - expected).abs() > 1e-9) {
        return Err(format!("{what}: {found}, expected {expected}"));
    }
    let kernels = o.graphs.first().map_or(0, |graph| graph.kernels);
    if kernels == 0 || each.kernels != kernels as f64 {
        return Err(format!("{} kernels a frame, {kernels} in the graph", each.kernels));
    }
    for (kind, stage) in
        [(Kind::Copy(CopyWay::HostToDevice), "decode"), (Kind::Copy(CopyWay::DeviceToHost), "pack"), (Kind::HostWait, "pack")]
    {
        wants(o, Class::Legitimate, kind, stage, "")?;
    }
    match o.observed.rows.iter().find(|row| row.class != Class::Legitimate) {
        Some(row) => Err(format!("a row that is not legitimate: {row:?}")),
        None => Ok(()),
    }
}

/// In every steady-state frame something of this class and kind in this stage, for this reason.
fn wants(o: &Observation, class: Class, kind: Kind, stage: &str, reason: &str) -> Result<(), String> {
    let found =
        o.observed.rows.iter().filter(|row| row.class == class && row.kind == kind && row.stage == stage && row.reason.contains(reason));
    let frames = found.map(|row| row.frames).max().unwrap_or(0);
    if frames == FRAMES { Ok(()) } else { Err(format!("{class:?} {kind:?} in {stage} ({reason}): in {frames} frames of {FRAMES}")) }
}

fn run(case: &str, device: &str, keep: Option<&Path>) -> Outcome {
    let (_, work, check) = CASES.iter().find(|(name, ..)| *name == case).ok_or("no such case")?;
    let spec: DeviceSpec = device.parse()?;
    let work = |engine: &Engine| match work {
        Faulty(fault) => frames(engine, *fault),
        Own(work) => work(engine),
    };
    let seen = observe::<Failure>(WARM_UP..WARM_UP + FRAMES, || Ok(Engine::open(spec)?), |engine| work(engine).map_err(Failure));
    let seen = seen.map_err(|failure| failure.0)?;
    if let Some(folder) = keep {
        write(&seen.capture, folder, case)?;
    }
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

/// Keeps the records, and beside them what the engine told.
fn write(capture: &Capture, folder: &Path, case: &str) -> Outcome {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{case}.cupti")), capture.recording.to_bytes())?;
    let works = capture.works.works.iter().map(|work| {
        let moved = work.moved.map(|m| (if m.direction == Direction::HostToDevice { "up" } else { "down" }, m.bytes));
        serde_json::json!({ "stage": work.stage.name(), "frame": work.frame, "moved": moved, "start": work.start, "end": work.end })
    });
    let nodes: Vec<_> = capture.node_stages.iter().map(|(id, stage)| (id, stage.name())).collect();
    let told = serde_json::json!({ "works": works.collect::<Vec<_>>(), "node_stages": nodes, "beyond": capture.works.beyond });
    Ok(std::fs::write(folder.join(format!("{case}.json")), told.to_string())?)
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
    let keep: Option<PathBuf> = match arguments.iter().position(|a| a == "--keep") {
        Some(at) if at + 1 < arguments.len() => arguments.drain(at..at + 2).nth(1).map(PathBuf::from),
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
    for (name, ..) in CASES.iter().filter(|(name, ..)| arguments.is_empty() || arguments.iter().any(|a| a == name)) {
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
    println!("{}", if failed.is_empty() { "all cases passed".to_owned() } else { format!("FAILED: {}", failed.join(", ")) });
    ExitCode::from(u8::from(!failed.is_empty()))
}
