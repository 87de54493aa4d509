//! The text of a line of figures.

use serde_json::{Map, Value, json};
use std::time::Duration;

pub(super) fn rounded(value: f64, scale: f64) -> Value {
    json!((value * scale).round() / scale)
}

pub(super) fn milliseconds(time: Duration) -> Value {
    rounded(time.as_secs_f64() * 1e3, 1e3)
}

pub(super) fn format_line(
    json: bool,
    now: Duration,
    event: &str,
    figures: Vec<(String, Value)>,
) -> String {
    if json {
        let head = [
            ("ts".to_owned(), rounded(now.as_secs_f64(), 1e3)),
            ("event".to_owned(), json!(event)),
        ];
        let object: Map<String, Value> = head.into_iter().chain(figures).collect();
        return format!("{}\n", Value::Object(object));
    }
    let figures: String = figures
        .iter()
        .map(|(key, value)| format!(" {key}={}", plain(value)))
        .collect();
    format!(
        "kpi ts={}.{:03} event={event}{figures}\n",
        now.as_secs(),
        now.subsec_millis()
    )
}

/// A value without quotes where it needs none, else as a JSON string.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let simple = !text.is_empty()
                && !text.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\')
                });
            if simple {
                text.clone()
            } else {
                value.to_string()
            }
        }
        other => other.to_string(),
    }
}
