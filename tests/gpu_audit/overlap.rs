//! A clean loop in which each frame is asked for before the one before it is waited for.

use super::{FRAMES, GRAPHS, Outcome, WARM_UP, wants};
use candle_core::{
    DType, Device, Storage, Tensor,
    cuda_backend::cudarc::driver::{CudaEvent, CudaStream, DevicePtr, result, sys::CUevent_flags},
};
use std::sync::Arc;
use ultramotion::{
    audit::{Class, Kind, Observation, record::CopyWay},
    engine::{Direction, Engine, EngineError},
    session::Stage,
};

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
        let event = || {
            stream
                .context()
                .new_event(Some(CUevent_flags::CU_EVENT_DISABLE_TIMING))
        };
        Ok(Self {
            host_in: pinned()?,
            host_out: pinned()?,
            input: tensor()?,
            output: tensor()?,
            uploaded: event()?,
            done: event()?,
        })
    }

    /// Asks for all work of frame `frame`, and waits for none of it.
    fn submit(
        &mut self,
        engine: &Engine,
        frame: u64,
        (uploads, compute): (&CudaStream, &CudaStream),
    ) -> Outcome {
        self.host_in.fill(frame as f32);
        let to = address(&self.input)?;
        engine.announce(
            Stage::Decode,
            Direction::HostToDevice,
            NUMBERS * 4,
            || -> Outcome {
                // SAFETY: both have that many numbers and live on; nobody writes to the memory before the frame's end was waited for.
                unsafe { result::memcpy_htod_async(to, self.host_in, uploads.cu_stream()) }?;
                Ok(self.uploaded.record(uploads)?)
            },
        )?;
        engine.within(Stage::Detect, || -> Outcome {
            compute.wait(&self.uploaded)?;
            // Without inputs and outputs of the graph's own there is nothing to copy to and from them.
            let work = |_: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
                let result = self
                    .input
                    .affine(2.0, 1.0)
                    .and_then(|x| x.relu())
                    .and_then(|x| self.output.slice_set(&x, 0, 0));
                result.map_err(|e| EngineError::Tensor {
                    what: "a graph",
                    source: Box::new(e),
                })?;
                Ok(Vec::new())
            };
            GRAPHS
                .with_borrow_mut(|graphs| graphs.replay(engine, frame % SLOTS as u64, &[], work))?;
            Ok(())
        })?;
        let from = address(&self.output)?;
        engine.announce(
            Stage::Pack,
            Direction::DeviceToHost,
            NUMBERS * 4,
            || -> Outcome {
                // SAFETY: as above; nobody reads the memory before the frame's end was waited for.
                unsafe { result::memcpy_dtoh_async(self.host_out, from, compute.cu_stream()) }?;
                Ok(self.done.record(compute)?)
            },
        )
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
    let Storage::Cuda(storage) = &*storage else {
        return Err("not on a CUDA device".into());
    };
    let slice = storage.as_cuda_slice::<f32>()?;
    // The engine's tensors have no events of their own; those of the loop keep the order.
    Ok(slice.device_ptr(slice.stream()).0)
}

/// A loop in which each frame is asked for before the one before it is waited for: pinned uploads on a stream of their own, one
/// launch of a graph, one pinned copy of the result, one wait for an event.
pub(super) fn overlapping(engine: &Engine) -> Outcome {
    let Device::Cuda(device) = engine.device() else {
        return Err("not a CUDA device".into());
    };
    let compute = device.cuda_stream();
    let uploads = compute.context().new_stream()?;
    let mut slots = (0..SLOTS)
        .map(|_| Slot::new(engine, &compute))
        .collect::<Outcome<Vec<_>>>()?;
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
    GRAPHS.with_borrow(|graphs| println!("  graphs of {:?} nodes", graphs.nodes()));
    Ok(())
}

/// In each frame one upload, one launch, one result and one wait for it, each of its own frame, and nothing else.
pub(super) fn overlapped(o: &Observation) -> Result<(), String> {
    let each = o.observed.per_frame;
    let expected = [
        (
            "critical findings",
            o.measured.critical.map_or(-1.0, |n| n as f64),
            0.0,
        ),
        (
            "waits, most in a frame",
            o.measured.syncs.map_or(-1.0, |n| n as f64),
            1.0,
        ),
        ("waits a frame", each.host_waits, 1.0),
        ("uploads a frame", each.uploads, 1.0),
        ("results a frame", each.downloads, 1.0),
        ("copies on the device a frame", each.device_copies, 0.0),
        ("launches a frame", each.graph_launches, 1.0),
        ("resident share", o.measured.resident.unwrap_or(-1.0), 1.0),
        ("unaccounted", o.observed.unaccounted as f64, 0.0),
    ];
    if let Some((what, found, expected)) = expected
        .iter()
        .find(|(_, found, expected)| (found - expected).abs() > 1e-9)
    {
        return Err(format!("{what}: {found}, expected {expected}"));
    }
    let kernels = o.graphs.first().map_or(0, |graph| graph.kernels);
    if kernels == 0 || each.kernels != kernels as f64 {
        return Err(format!(
            "{} kernels a frame, {kernels} in the graph",
            each.kernels
        ));
    }
    for (kind, stage) in [
        (Kind::Copy(CopyWay::HostToDevice), "decode"),
        (Kind::Copy(CopyWay::DeviceToHost), "pack"),
        (Kind::HostWait, "pack"),
    ] {
        wants(o, Class::Legitimate, kind, stage, "")?;
    }
    match o
        .observed
        .rows
        .iter()
        .find(|row| row.class != Class::Legitimate)
    {
        Some(row) => Err(format!("a row that is not legitimate: {row:?}")),
        None => Ok(()),
    }
}
