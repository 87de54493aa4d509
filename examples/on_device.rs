//! A frame that is on the GPU already, and results that stay there:
//! `cargo run --release --features cuda --example on_device -- a.png`

use candle_core::{Device, Tensor};
use ultramotion::{Session, engine::DeviceSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: on_device FILE")?;
    let device = Device::new_cuda(0)?;
    let mut session = Session::builder()
        .device(DeviceSpec::try_from(&device)?)
        .max_objects(16)
        .build()?;

    // Stands for a decoder, a renderer or a capture card that leaves its frames on the GPU.
    let image = image::open(path)?.into_rgb8();
    let shape = (image.height() as usize, image.width() as usize, 3);
    let frame = Tensor::from_slice(image.as_raw(), shape, &device)?;

    // From here on nothing is copied to or from the host, and the host does not wait.
    let found = session.run_on_device(&frame)?;
    let masks = found.masks_of(..4)?.to_dtype(candle_core::DType::F32)?;
    let areas = masks.flatten_from(1)?.sum(1)?;

    // The host asks: these wait.
    println!("area of the best four: {:?} px", areas.to_vec1::<f32>()?);
    for object in &found.download()? {
        println!("{:<10} {:.2} {:?}", object.label, object.score, object.bbox);
    }
    Ok(())
}
