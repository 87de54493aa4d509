//! Decoded video in every layout and depth: the kernels against the CPU's plain conversion, and frames that go up as planes.

use crate::{
    report::{Outcome, Report, TYPES, small, text, wanted},
    runs::{DETECTOR, SEGMENTER},
    sessions::frames,
};
use candle_core::{DType, Device, Tensor};
use ultramotion::{
    engine::{
        Chroma, Colour, DeviceSpec, Engine, Orientation, SideStream, Surface, Yuv, YuvFormat,
        YuvMatrix,
    },
    frame::{Frame, Pixels, Planes},
    geometry::Size,
    ops::{self, Normalisation, yuv_to_rgb},
    session::{Session, Stage},
};

const MATRICES: [YuvMatrix; 5] = [
    YuvMatrix::Bt601,
    YuvMatrix::Bt709,
    YuvMatrix::Fcc,
    YuvMatrix::Smpte240m,
    YuvMatrix::Bt2020,
];

/// Odd and small sizes among them, and some that are brought to fewer pixels than a block can take at once.
const SIZES: [(usize, usize); 10] = [
    (1920, 1080),
    (322, 180),
    (33, 17),
    (1, 1),
    (640, 640),
    (101, 1003),
    (3840, 40),
    (14, 15),
    (9, 12),
    (7680, 16),
];

fn turns() -> [Orientation; 4] {
    let turn = |transposed, mirrored_across, mirrored_down| Orientation {
        transposed,
        mirrored_across,
        mirrored_down,
    };
    [
        turn(false, false, false),
        turn(true, true, false),
        turn(false, true, true),
        turn(true, false, false),
    ]
}

/// 8 bits in 4:2:0 first.
fn formats() -> Vec<YuvFormat> {
    let mut formats = Vec::new();
    for depth in [8, 10, 12, 16] {
        for chroma in [Chroma::Quarter, Chroma::Half, Chroma::Full] {
            formats.extend(YuvFormat::new(chroma, depth));
        }
    }
    formats.extend(YuvFormat::new(Chroma::Quarter, 10).map(YuvFormat::in_upper_bits));
    formats
}

/// Planes of samples that are made of numbers in 0..1.
fn planes(
    format: YuvFormat,
    size: (usize, usize),
    mut next: impl FnMut() -> f64,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (luma, chroma) = format.plane_bytes(size).ok_or("too large")?;
    let count = f64::from(1u32 << format.depth());
    let mut plane = |bytes: usize| -> Vec<u8> {
        (0..bytes / format.sample_bytes())
            .flat_map(|_| {
                let sample = (next() * count) as u16;
                let stored = sample.min((count - 1.0) as u16) << format.shift();
                stored.to_le_bytes().into_iter().take(format.sample_bytes())
            })
            .collect()
    };
    Ok((plane(luma), plane(chroma)))
}

/// How long the kernels take on a picture of 1920×1080.
fn times(surface: &Surface, engine: &Engine) -> Result<(), String> {
    let (detector, segmenter) = ((640, 640), ((576, 1024), (1024, 1024)));
    let measured = ops::kernel_times(|| {
        ops::resize_normalise_surface(
            surface,
            engine.device(),
            detector,
            detector,
            3,
            &Normalisation::UNIT,
            DType::F16,
        )
        .map_err(text)?;
        ops::resize_normalise_surface(
            surface,
            engine.device(),
            segmenter.0,
            segmenter.1,
            3,
            &Normalisation::IMAGENET,
            DType::F16,
        )
        .map_err(text)?;
        ops::surface_to_rgb(surface, engine.device())
            .map(drop)
            .map_err(text)
    })?;
    for (time, what) in measured.iter().zip(["to 640×640", "to 1024×576", "to RGB"]) {
        println!("  {} {what}: {:.1} µs", time.kernel, time.microseconds);
    }
    Ok(())
}

/// Pictures as surfaces, whose rows are padded, and as tensors.
pub(crate) fn kernels(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let stream = SideStream::new(engine).map_err(text)?;
    let formats = formats().into_iter().enumerate();
    for (f, format) in formats.filter(|(f, _)| !small() || f % 4 == 0) {
        for (n, size) in wanted(SIZES, |(w, h)| 4096 * w * h) {
            let name = format!("yuv {f} {n}");
            let mut noise = crate::weights::uniform(&name, usize::MAX, 1);
            let (luma, chroma) = planes(format, size, || noise.next().unwrap_or(0.0))?;
            // All turns of one format, one of the others.
            let turned = turns().into_iter().enumerate();
            for (k, orientation) in turned.filter(|(k, _)| f == 0 || *k == (f + n) % 4) {
                let picture = Yuv {
                    luma: &luma[..],
                    chroma: &chroma[..],
                    width: size.0,
                    height: size.1,
                    format,
                    colour: Colour {
                        matrix: MATRICES[(f + n + k) % 5],
                        full_range: (n + k) % 2 == 1,
                    },
                    orientation,
                };
                let surface = Surface::upload(&stream, Stage::Decode, &picture).map_err(text)?;
                if n == 0 && (f > 0 || k == 0) {
                    times(&surface, engine)?;
                }
                compare(&mut report, &picture, &surface)?;
            }
        }
    }
    report.finish()
}

/// One picture in all ways.
fn compare(report: &mut Report<'_>, picture: &Yuv<&[u8]>, surface: &Surface) -> Result<(), String> {
    let engine = report.engine;
    let name = format!(
        "{}×{} {:?} {:?} {:?}",
        picture.width, picture.height, picture.format, picture.colour, picture.orientation
    );
    let expected = yuv_to_rgb(picture).map_err(text)?;
    let found = ops::surface_to_rgb(surface, engine.device()).map_err(text)?;
    let found = engine.download_u8(Stage::Pack, &found).map_err(text)?;
    report.check(&format!("{name}: RGB is the same"), found == expected);
    let (w, h) = picture.orientation.size((picture.width, picture.height));
    let image = Tensor::from_vec(expected, (h, w, 3), &Device::Cpu).map_err(text)?;
    let up = |plane: &[u8]| {
        engine
            .upload_u8(Stage::Decode, plane, &[plane.len()])
            .map_err(text)
    };
    let (luma, chroma) = (up(picture.luma)?, up(picture.chroma)?);
    let tensors = Yuv {
        luma: &luma,
        chroma: &chroma,
        width: picture.width,
        height: picture.height,
        format: picture.format,
        colour: picture.colour,
        orientation: picture.orientation,
    };
    let cases = [
        ((640, 640), (640, 640), 3, Normalisation::IMAGENET),
        ((576, 1024), (1024, 1024), 3, Normalisation::IMAGENET),
        ((40, 50), (64, 50), 1, Normalisation::UNIT),
        ((40, 60), (40, 60), 3, Normalisation::IMAGENET),
    ];
    for (_, (size, padded, channels, by)) in wanted(cases, |c| 64 * c.1.0 * c.1.1) {
        let expected =
            ops::resize_normalise(&image, size, padded, channels, &by, DType::F32).map_err(text)?;
        for (dtype, tolerance) in TYPES {
            let tolerance = if dtype == DType::F32 { 1e-7 } else { tolerance };
            let found = ops::resize_normalise_surface(
                surface,
                engine.device(),
                size,
                padded,
                channels,
                &by,
                dtype,
            );
            let what = format!("{name} to {size:?} of {channels}, {dtype:?}");
            report.compare(&what, found.map_err(text), &expected, tolerance);
            let shape = (1, padded.0, padded.1, channels);
            let out = Tensor::zeros(shape, dtype, engine.device()).map_err(text)?;
            let found = ops::resize_normalise_yuv_to(&tensors, size, &by, &out);
            let found = found.map(|()| out).map_err(text);
            report.compare(&format!("{what}, of tensors"), found, &expected, tolerance);
        }
    }
    Ok(())
}

/// What a session finds in frames that go up as planes is what it finds in the RGB pictures of them.
pub(crate) fn sessions(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let device: DeviceSpec = engine.name().parse().map_err(text)?;
    let builder = Session::builder().detector(DETECTOR).segmenter(SEGMENTER);
    let mut session = builder
        .device(device)
        .confidence(0.005)
        .max_objects(8)
        .build()
        .map_err(text)?;
    let source = frames("10..11")?.remove(0).source;
    let mut objects = 0;
    for (f, format) in formats().into_iter().enumerate() {
        for (n, size) in [(640, 480), (421, 333)].into_iter().enumerate() {
            let mut at = 0;
            let (mut data, chroma) = planes(format, size, || {
                at += 1;
                let (x, y) = (at % size.0, at / size.0 % 64);
                ((x * 255 / size.0) ^ y) as f64 / 256.0
            })?;
            data.extend(chroma);
            let colour = Colour {
                matrix: MATRICES[(f + n) % 5],
                full_range: f % 2 == 0,
            };
            let stored = Size::new(size.0 as u32, size.1 as u32);
            let planes = Planes::new(stored, format, colour, turns()[(f + n) % 4], data)
                .ok_or("no planes")?;
            let upright = planes.size();
            let rgb = yuv_to_rgb(&planes.yuv()).map_err(text)?;
            let rgb = image::RgbImage::from_raw(upright.width, upright.height, rgb);
            let expected = session.run(&rgb.ok_or("no image")?).map_err(text)?;
            let what = format!("{planes:?}: {} objects", expected.len());
            let frame = Frame::new(source.clone(), 0, Pixels::Planes(planes.into()));
            let found = session.run(frame).map_err(text)?;
            objects += expected.len();
            report.check(&what, found == expected);
        }
    }
    report.check(&format!("{objects} objects"), objects > 0);
    report.finish()
}
