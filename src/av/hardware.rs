//! Kinds of hardware that FFmpeg was built to decode on.

use video_rs::hwaccel::HardwareAccelerationDeviceType as Kind;

/// Names of the kinds of hardware for which this FFmpeg has support, in FFmpeg's order. Whether the machine has such hardware, and whether
/// it opens, is another question.
pub(crate) fn hardware_decoders() -> Vec<&'static str> {
    Kind::list_available().into_iter().map(name).collect()
}

/// FFmpeg's own name (`av_hwdevice_get_type_name`).
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Vdpau => "vdpau",
        Kind::Cuda => "cuda",
        Kind::VaApi => "vaapi",
        Kind::Dxva2 => "dxva2",
        Kind::Qsv => "qsv",
        Kind::VideoToolbox => "videotoolbox",
        Kind::D3D11Va => "d3d11va",
        Kind::Drm => "drm",
        Kind::OpenCl => "opencl",
        Kind::MediaCodec => "mediacodec",
        Kind::D3D12Va => "d3d12va",
    }
}
