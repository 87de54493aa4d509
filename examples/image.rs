//! What is in one image: `cargo run --release --example image -- a.png`

use ultramotion::session::Session;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: image FILE")?;
    // The built-in detector and segmenter, on the GPU where there is one.
    let mut session = Session::builder().confidence(0.4).build()?;
    let found = session.run(&image::open(path)?)?;
    for object in &found {
        let b = object.bbox;
        let area = object.mask.as_ref().map_or(0, |mask| mask.area());
        println!(
            "{:<10} {:.2}  box {:.1},{:.1},{:.1},{:.1}  mask {area} px",
            object.label, object.score, b.x0, b.y0, b.x1, b.y1
        );
    }
    Ok(())
}
