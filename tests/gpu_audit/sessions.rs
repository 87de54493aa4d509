//! What a session moves for a frame: one upload and one download of a stream's frames, nothing of frames that lie on the device.

use super::{FRAMES, Outcome, WARM_UP};
use candle_core::{DType, Device, Tensor};
use ultramotion::{
    audit::Observation,
    engine::DeviceSpec,
    session::Session,
    sources::{self, Decode, ExpandOptions, SourceOptions, expand},
};

/// One more than is judged, to end the last one.
const TAKEN: u64 = WARM_UP + FRAMES + 1;

/// A session that works on one frame at a time.
pub(crate) fn open(device: DeviceSpec) -> Outcome<Session> {
    let session = Session::builder()
        .detector("assets/models/dfine-n-phantom")
        .segmenter("assets/models/mobile-sam-phantom/mobile_sam.safetensors")
        .device(device)
        .confidence(0.3)
        .batch(1)
        .latency(true)
        .build()?;
    Ok(session)
}

/// Frames of the bundled clip, decoded on the host.
pub(crate) fn stream(session: &mut Session) -> Outcome {
    let clip = ["assets/phantom-demo.mp4".into()];
    let inputs = expand(&clip, ExpandOptions::default(), &mut std::io::empty());
    let source = inputs.sources.into_iter().next().ok_or("no clip")??;
    let options = SourceOptions {
        selection: format!("..{TAKEN}").parse()?,
        decode: Decode::Cpu,
        ..SourceOptions::default()
    };
    let mut objects = 0;
    for item in session.stream(sources::open(&source, 0, &options)?)? {
        objects += item?.1.len();
    }
    println!("  {objects} objects");
    Ok(())
}

/// A frame of the caller's, on the caller's stream, whose results the caller uses there.
pub(crate) fn on_device(session: &mut Session) -> Outcome {
    let DeviceSpec::Cuda(ordinal) = session.device().parse()? else {
        return Err("not a GPU".into());
    };
    let device = Device::new_cuda_with_stream(ordinal)?;
    let frame = Tensor::full(90u8, (480, 640, 3), &device)?;
    device.synchronize()?;
    let mut last = None;
    for _ in 0..TAKEN {
        let found = session.run_on_device(&frame)?;
        if found.masks_of(..4)?.dtype() != DType::U8 {
            return Err("masks of another type".into());
        }
        last = Some(found);
    }
    let found = last.ok_or("no frame")?.download()?;
    println!("  {} objects in the last frame", found.len());
    Ok(())
}

pub(crate) fn one_up_one_down(seen: &Observation) -> Result<(), String> {
    moved(seen, [1.0, 1.0, 1.0])
}

pub(crate) fn none_up_none_down(seen: &Observation) -> Result<(), String> {
    moved(seen, [0.0, 0.0, 0.0])
}

/// Uploads, downloads and waits of the host a frame; nothing critical.
fn moved(seen: &Observation, expected: [f64; 3]) -> Result<(), String> {
    let each = seen.observed.per_frame;
    let found = [each.uploads, each.downloads, each.host_waits];
    println!(
        "  a frame: {} uploads, {} downloads, {} waits of the host, {} kernels, {} launches of graphs",
        each.uploads, each.downloads, each.host_waits, each.kernels, each.graph_launches
    );
    if seen.observed.frames != FRAMES || each.kernels < 10.0 {
        return Err(format!(
            "{} frames with {} kernels each",
            seen.observed.frames, each.kernels
        ));
    }
    if found != expected {
        return Err(format!(
            "{found:?} uploads, downloads and waits, expected {expected:?}"
        ));
    }
    match seen.measured.critical {
        Some(0) => Ok(()),
        critical => Err(format!("{critical:?} critical findings")),
    }
}
