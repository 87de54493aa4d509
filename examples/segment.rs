//! Outlines what is in a box: `cargo run --release --example segment -- a.png 40 60 200 180 mask.png`

use ultramotion::session::{Prompt, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, x0, y0, x1, y1, mask] = &arguments[..] else {
        return Err("usage: segment IMAGE X0 Y0 X1 Y1 MASK".into());
    };
    let image = image::open(image)?;
    let prompt = Prompt::bbox(x0.parse()?, y0.parse()?, x1.parse()?, y1.parse()?);
    let mut session = Session::builder().without_detector().build()?;
    let found = session.segment(&image, &[prompt])?;
    let Some(outline) = found
        .objects
        .first()
        .and_then(|object| object.mask.as_ref())
    else {
        return Err("no mask".into());
    };
    let pixels = outline
        .to_row_major()
        .into_iter()
        .map(|inside| inside * 255)
        .collect();
    let picture = image::GrayImage::from_raw(image.width(), image.height(), pixels)
        .ok_or("a mask of another size")?;
    picture.save(mask)?;
    println!("{} pixels", outline.area());
    Ok(())
}
