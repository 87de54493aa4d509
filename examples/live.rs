//! A loop over frames as they arrive, here those of a file: `cargo run --release --example live -- clip.mp4`

use ultramotion::{
    session::{Session, WhenBusy},
    sources::{self, Source},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: live FILE")?;
    let mut camera = sources::open_path(path)?;
    let mut session = Session::builder().build()?;
    // Results are of current frames: what the models cannot keep up with is dropped.
    session.when_busy(WhenBusy::DropOldest)?;
    while let Some(frame) = camera.next_frame()? {
        session.push(frame)?;
        while let Some((frame, found)) = session.try_next()? {
            println!("frame {}: {} objects", frame.index, found.len());
        }
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    while let Some((frame, found)) = session.wait_next()? {
        println!("frame {}: {} objects", frame.index, found.len());
    }
    println!("{} frames dropped", session.dropped());
    Ok(())
}
