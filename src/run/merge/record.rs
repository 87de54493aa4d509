//! `detections.jsonl` and the list of the sources that ended, of all shards.

use super::{
    lines::BlockLines,
    streams::{Key, Streams},
};
use crate::{
    progress::Cancel,
    run::{counts::InputProblems, journal::SourceEnd},
    sinks::{AtomicFile, Layout, SinkError},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, BufWriter, Write};

/// What the order of a line needs of it.
#[derive(Deserialize)]
struct Head<'a> {
    source_index: usize,
    frame: u64,
    #[serde(borrow, default)]
    source_info: Option<&'a RawValue>,
}

fn head(line: &BlockLines) -> Result<Head<'_>, SinkError> {
    serde_json::from_slice(line.line()).map_err(|e| line.broken(&e.to_string()))
}

fn key_of_frame(line: &BlockLines) -> Result<Key, SinkError> {
    head(line).map(|head| (head.source_index, head.frame))
}

fn end(line: &BlockLines) -> Result<SourceEnd, SinkError> {
    serde_json::from_slice(line.line()).map_err(|e| line.broken(&e.to_string()))
}

fn key_of_end(line: &BlockLines) -> Result<Key, SinkError> {
    end(line).map(|end| (end.source, 0))
}

/// Merges the records of `shards` into that of `layout`. Lines are copied byte by byte; the facts about a source that shards have on their
/// first line of it stay on the first of all alone. None if it was cancelled.
///
/// # Errors
/// [`SinkError`] if a record cannot be read, two shards have the same frame, or the record cannot be written.
pub(super) fn merge_records(
    shards: &[Layout],
    layout: &Layout,
    cancel: &Cancel,
) -> Result<Option<u64>, SinkError> {
    let path = layout.record();
    let failed = |e: io::Error| SinkError::io(&path, "write the merged record", &e);
    let mut streams = Streams::new(shards.iter().map(Layout::record).collect(), key_of_frame)?;
    let mut file = BufWriter::with_capacity(1 << 20, AtomicFile::create(&path)?);
    let mut last: Option<Key> = None;
    let mut count = 0u64;
    while let Some((key, line)) = streams.next()? {
        if last == Some(key) {
            let (source, frame) = key;
            let problem = format!("another shard has frame {frame} of source {source} too");
            return Err(line.broken(&problem));
        }
        let facts = match last.is_some_and(|(source, _)| source == key.0) {
            true => facts_in(line)?,
            false => None,
        };
        let bytes = line.line();
        let facts = facts.unwrap_or(0..0);
        file.write_all(&bytes[..facts.start]).map_err(failed)?;
        file.write_all(&bytes[facts.end..]).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)?;
        last = Some(key);
        count += 1;
        if count.is_multiple_of(1024) && cancel.is_requested() {
            return Ok(None);
        }
    }
    let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
    file.commit_synced()?;
    Ok(Some(count))
}

/// Where in the line the facts about its source are, with their name and the comma behind them.
fn facts_in(line: &BlockLines) -> Result<Option<std::ops::Range<usize>>, SinkError> {
    const NAME: &[u8] = b"\"source_info\":";
    let bytes = line.line();
    let Some(facts) = head(line)?.source_info.map(RawValue::get) else {
        return Ok(None);
    };
    // Both are parts of the same line.
    let at = facts.as_ptr() as usize - bytes.as_ptr() as usize;
    let named = bytes.get(..at).filter(|before| before.ends_with(NAME));
    let behind = at + facts.len();
    match (named, bytes.get(behind)) {
        (Some(before), Some(b',')) => Ok(Some(before.len() - NAME.len()..behind + 1)),
        _ => Err(line.broken("is not as this program writes it")),
    }
}

/// What the lists of ended sources say.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) sources: u64,
    pub(super) frames: u64,
    pub(super) errors: InputProblems,
}

/// Merges the lists of the sources that ended. Where shards have ranges of frames of a source, it ended once for all.
///
/// # Errors
/// [`SinkError`] if a list cannot be read or written, or a source did not end in any shard, or in two that do not share it.
pub(super) fn merge_ends(
    shards: &[Layout],
    layout: &Layout,
    by_frames: bool,
) -> Result<Ends, SinkError> {
    let path = layout.state();
    let mut streams = Streams::new(shards.iter().map(Layout::state).collect(), key_of_end)?;
    let mut file = BufWriter::new(AtomicFile::create(&path)?);
    let mut ends = Ends::default();
    let mut present: Option<SourceEnd> = None;
    while let Some((_, line)) = streams.next()? {
        let next = end(line)?;
        match &mut present {
            Some(end) if end.source == next.source => {
                if !by_frames || end.name != next.name {
                    let problem =
                        format!("another shard has source {} ({}) too", end.source, end.name);
                    return Err(line.broken(&problem));
                }
                end.frames += next.frames;
                next.errors
                    .first
                    .iter()
                    .for_each(|e| end.errors.push_new(e));
            }
            _ => {
                if next.source as u64 != ends.sources {
                    let problem = format!(
                        "source {} comes next, but no shard has source {}",
                        next.source, ends.sources
                    );
                    return Err(line.broken(&problem));
                }
                ends.note(present.take(), &mut file, layout)?;
                ends.sources += 1;
                present = Some(next);
            }
        }
    }
    ends.note(present, &mut file, layout)?;
    let failed = |e: io::Error| SinkError::io(&path, "write the list of ended sources", &e);
    let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
    file.commit_synced()?;
    Ok(ends)
}

impl Ends {
    fn note(
        &mut self,
        end: Option<SourceEnd>,
        file: &mut impl Write,
        layout: &Layout,
    ) -> Result<(), SinkError> {
        let Some(end) = end else { return Ok(()) };
        let path = layout.state();
        let line = serde_json::to_string(&end).map_err(|e| SinkError::new(&path, e.to_string()))?;
        writeln!(file, "{line}")
            .map_err(|e| SinkError::io(&path, "write the list of ended sources", &e))?;
        self.frames += end.frames;
        self.errors.extend(end.errors);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn layouts(root: &Path, records: &[&str], ends: &[&str]) -> Vec<Layout> {
        let make = |(at, (record, ends)): (usize, (&&str, &&str))| {
            let layout = Layout::new(root.join(at.to_string()));
            fs::create_dir_all(layout.root()).unwrap();
            fs::write(layout.record(), record).unwrap();
            fs::write(layout.state(), ends).unwrap();
            layout
        };
        records.iter().zip(ends).enumerate().map(make).collect()
    }

    fn line(source: usize, frame: u64, facts: bool) -> String {
        let facts = if facts {
            r#""source_info":{"frame_rate":25.0,"attributes":{"a":"\",}"}},"#
        } else {
            ""
        };
        format!(
            "{{\"source\":\"s\",\"source_index\":{source},\"frame\":{frame},\"height\":3,{facts}\"objects\":[{{\"source_info\":1}}]}}\n"
        )
    }

    fn of(lines: &[(usize, u64, bool)]) -> String {
        lines
            .iter()
            .map(|&(s, f, facts)| line(s, f, facts))
            .collect()
    }

    #[test]
    fn records_are_merged_by_source_and_frame_with_the_facts_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = of(&[(0, 0, true), (1, 2, true), (1, 3, false), (3, 0, true)]);
        let second = of(&[(1, 0, true), (1, 1, false), (1, 4, false), (2, 7, false)]);
        let shards = layouts(dir.path(), &[&first, &second, ""], &["", "", ""]);
        let whole = Layout::new(dir.path());
        let count = merge_records(&shards, &whole, &Cancel::default()).unwrap();
        assert_eq!(count, Some(8));
        let expected = of(&[
            (0, 0, true),
            (1, 0, true),
            (1, 1, false),
            (1, 2, false),
            (1, 3, false),
            (1, 4, false),
            (2, 7, false),
            (3, 0, true),
        ]);
        assert_eq!(fs::read_to_string(whole.record()).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_merged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let merge = |a: &str, b: &str| {
            let shards = layouts(dir.path(), &[a, b], &["", ""]);
            merge_records(&shards, &Layout::new(dir.path()), &Cancel::default())
                .unwrap_err()
                .to_string()
        };
        let (zero, one) = (line(0, 0, true), line(0, 1, false));
        assert!(merge(&zero, &zero).contains("another shard has frame 0 of source 0"));
        assert!(merge(&(one + &zero), "").contains("line 2: is out of order"));
        assert!(merge("{\"x\":1}\n", "").contains("line 1: missing field"));
        assert!(!dir.path().join("detections.jsonl").exists());
    }

    #[test]
    fn every_source_ends_once() {
        let dir = tempfile::tempdir().unwrap();
        let end = |source: usize, frames: u64, error: &str| {
            let first = match error {
                "" => String::new(),
                e => format!(r#"{{"input":"i","problem":"{e}"}}"#),
            };
            let count = u8::from(!error.is_empty());
            format!(
                "{{\"source\":{source},\"name\":\"n{source}\",\"frames\":{frames},\"errors\":{{\"count\":{count},\"first\":[{first}]}}}}\n"
            )
        };
        let merge = |a: &str, b: &str, by_frames| {
            let shards = layouts(dir.path(), &["", ""], &[a, b]);
            merge_ends(&shards, &Layout::new(dir.path()), by_frames)
        };
        let (a, b) = (end(0, 2, "") + &end(2, 1, "bad"), end(1, 5, "worse"));
        let ends = merge(&a, &b, false).unwrap();
        assert_eq!((ends.sources, ends.frames, ends.errors.count), (3, 8, 2));
        assert_eq!(ends.errors.first[0].problem, "worse");
        let written = fs::read_to_string(Layout::new(dir.path()).state()).unwrap();
        assert_eq!(
            written,
            end(0, 2, "") + &end(1, 5, "worse") + &end(2, 1, "bad")
        );
        let error = merge(&a, "", false).unwrap_err().to_string();
        assert!(error.contains("no shard has source 1"), "{error}");
        assert!(merge(&a, &(end(0, 1, "") + &b), false).is_err());
        let shared = merge(&a, &(end(0, 3, "") + &b + &end(2, 0, "bad")), true).unwrap();
        assert_eq!((shared.frames, shared.errors.count), (11, 2));
    }
}
