//! A run with an output of one's own: `cargo run --release --example own_sink -- clip.mp4 out`

use std::{collections::BTreeMap, sync::Arc};
use ultramotion::{
    frame::{Detections, Frame, SourceInfo},
    run::Run,
    session::Session,
    sinks::{OutputKind, Sink, SinkError},
};

/// Counts the objects of each class, source by source.
#[derive(Default)]
struct Count(BTreeMap<Arc<str>, usize>);

impl Sink for Count {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.0.clear();
        Ok(())
    }
    fn write(&mut self, _: &Frame, found: &Detections) -> Result<(), SinkError> {
        found
            .objects
            .iter()
            .for_each(|object| *self.0.entry(object.label.clone()).or_default() += 1);
        Ok(())
    }
    fn end_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError> {
        println!("{}: {:?}", source.name, self.0);
        Ok(())
    }
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else {
        return Err("usage: own_sink INPUT FOLDER".into());
    };
    Run::new(Session::builder().build()?)
        .input(input)
        .output(output)
        .write([OutputKind::Coco])
        .sink(Count::default())
        .start()?;
    Ok(())
}
