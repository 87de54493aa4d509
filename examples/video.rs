//! The objects of each frame of a video: `cargo run --release --example video -- clip.mp4`

use ultramotion::{session::Session, sources};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: video FILE")?;
    let mut session = Session::builder().build()?;
    for item in session.stream(sources::open_path(path)?)? {
        let (frame, found) = item?;
        let labels: Vec<&str> = found.iter().map(|object| &*object.label).collect();
        println!(
            "{:>6} {:>9.3?} {}",
            frame.index,
            frame.timestamp.unwrap_or_default(),
            labels.join(", ")
        );
    }
    Ok(())
}
