//! Figures of a live loop, as lines of a file.

use crate::{
    live::{event::LiveEvent, output::LiveOutput, result::LiveFrame},
    progress::Observer,
    run::{Event, FrameTimes, KpiFile},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Writes a line for each frame and event of a live loop into a file of figures. It waits for the disk: put it behind
/// [`crate::live::Queued`].
#[derive(Debug)]
pub struct KpiOutput {
    file: Arc<KpiFile>,
    number: u64,
}

impl KpiOutput {
    /// Lines to `file`.
    pub fn new(file: Arc<KpiFile>) -> Self {
        Self { file, number: 0 }
    }
}

impl LiveOutput for KpiOutput {
    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        let times = &frame.times;
        let of_frame = FrameTimes {
            number: self.number,
            decode: times.decoded - times.arrival.instant,
            latency: times.done - times.arrival.instant,
            stages: vec![
                (
                    "wait",
                    times.started.saturating_duration_since(times.decoded),
                ),
                ("models", times.done - times.started),
            ],
        };
        self.number += 1;
        self.file.event(Event::FrameDone {
            frame: &frame.frame,
            found: &frame.detections,
            times: Some(&of_frame),
        });
    }

    fn event(&mut self, event: &LiveEvent) {
        let (name, figures): (_, Vec<(&str, Value)>) = match event {
            LiveEvent::Connected { input } => ("connected", vec![("input", json!(input))]),
            LiveEvent::Disconnected { input, reason } => (
                "disconnected",
                vec![("input", json!(input)), ("reason", json!(reason))],
            ),
            LiveEvent::ClientConnected { client } => {
                ("client-connected", vec![("client", json!(client))])
            }
            LiveEvent::ClientDisconnected { client, reason } => (
                "client-disconnected",
                vec![("client", json!(client)), ("reason", json!(reason))],
            ),
            LiveEvent::Dropped { frames } => ("dropped", vec![("frames", json!(frames))]),
            LiveEvent::FrameFailed { frame, problem } => {
                let mut figures = vec![("problem", json!(problem))];
                figures.extend(frame.map(|frame| ("frame", json!(frame))));
                ("input-error", figures)
            }
            LiveEvent::Warning(warning) => (
                "input-warning",
                vec![
                    ("input", json!(warning.path.display().to_string())),
                    ("problem", json!(warning.to_string())),
                ],
            ),
            LiveEvent::OutputProblem { problem } => {
                ("output-error", vec![("problem", json!(problem))])
            }
            LiveEvent::Message(_) => return,
        };
        let figures = figures.into_iter();
        self.file.line(
            name,
            figures
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        );
    }

    fn take_problems(&mut self) -> Vec<String> {
        self.file
            .check()
            .err()
            .map(|error| error.to_string())
            .into_iter()
            .collect()
    }
}
