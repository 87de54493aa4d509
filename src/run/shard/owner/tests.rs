//! Owners of one machine and, as far as their files say, of several.

use super::{
    claim::{Owner, Pace, file, generations},
    record::{Record, job},
};
use crate::sinks::SinkError;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const PACE: Pace = Pace {
    beat: Duration::from_millis(20),
    patience: Duration::from_millis(400),
};

fn elsewhere(host: &str) -> Record {
    Record {
        host: host.to_owned(),
        boot: "another".to_owned(),
        ..Record::own()
    }
}

fn claim(folder: &Path, record: Record) -> Result<Owner, SinkError> {
    Owner::claim_at(folder, "s", PACE, record, &mut |_| (), &|| false)
}

#[test]
fn one_at_a_time_on_one_machine_and_on_two() {
    let dir = tempfile::tempdir().unwrap();
    let first = claim(dir.path(), Record::own()).unwrap();
    let error = claim(dir.path(), Record::own()).unwrap_err().to_string();
    assert!(error.contains("is being written by process"), "{error}");
    // Seen from another machine it is known by its beats.
    let error = claim(dir.path(), elsewhere("far")).unwrap_err().to_string();
    assert!(error.contains("is being written by process"), "{error}");
    first.check().unwrap();
    drop(first);
    let second = claim(dir.path(), elsewhere("far")).unwrap();
    assert!(claim(dir.path(), Record::own()).is_err());
    drop(second);
    drop(claim(dir.path(), Record::own()).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_dead_are_followed_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let dead = |record: &Record| {
        let text = serde_json::to_vec(record).unwrap();
        fs::write(file(dir.path(), "s", 4), text).unwrap();
    };
    // Of this machine: its process is not there, or is another of the same number.
    let other = Record {
        start: "1".to_owned(),
        ..Record::own()
    };
    dead(&other);
    let begun = Instant::now();
    drop(claim(dir.path(), Record::own()).unwrap());
    assert!(begun.elapsed() < PACE.patience);
    fs::remove_file(file(dir.path(), "s", 5)).unwrap();
    // Of another: it is not heard of. Many wait for it.
    dead(&elsewhere("far"));
    let begun = Instant::now();
    let owners = thread::scope(|scope| {
        let one = |n: u32| claim(dir.path(), elsewhere(&format!("near{n}")));
        let start = |n: u32| scope.spawn(move || one(n));
        let threads: Vec<_> = (0..8).map(start).collect();
        let claims = threads.into_iter().map(|t| t.join().unwrap());
        claims.filter_map(Result::ok).collect::<Vec<_>>()
    });
    assert!(begun.elapsed() > PACE.patience);
    assert_eq!(owners.len(), 1);
    owners[0].check().unwrap();
}

#[test]
fn who_was_followed_stops() {
    let dir = tempfile::tempdir().unwrap();
    let first = claim(dir.path(), Record::own()).unwrap();
    let generation = generations(dir.path(), "s").unwrap()[0];
    fs::write(file(dir.path(), "s", generation + 1), "{}").unwrap();
    thread::sleep(5 * PACE.beat);
    assert!(first.is_lost());
    let error = first.check().unwrap_err().to_string();
    assert!(error.contains("another process has taken"), "{error}");
    drop(first);
    let left = fs::read(file(dir.path(), "s", generation + 1)).unwrap();
    assert_eq!(left, b"{}", "the later owner's file is as it was");
}

#[test]
fn a_watch_can_be_ended_and_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let other = Record {
        job: Some("Slurm job 7_3".to_owned()),
        ..elsewhere("far")
    };
    fs::write(
        file(dir.path(), "s", 0),
        serde_json::to_vec(&other).unwrap(),
    )
    .unwrap();
    let mut said = Vec::new();
    let mut wait = |who: &str| said.push(who.to_owned());
    let ended = Owner::claim_at(dir.path(), "s", PACE, Record::own(), &mut wait, &|| true);
    assert!(ended.is_err());
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with("on far, Slurm job 7_3"), "{said:?}");
}

#[test]
fn schedulers_name_their_jobs() {
    let of = |known: &[(&str, &str)]| {
        job(|name| {
            let found = known.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        })
    };
    let array = [("SLURM_ARRAY_JOB_ID", "12"), ("SLURM_ARRAY_TASK_ID", "3")];
    assert_eq!(of(&array).as_deref(), Some("Slurm job 12_3"));
    assert_eq!(
        of(&[("JOB_COMPLETION_INDEX", "5")]).as_deref(),
        Some("index 5")
    );
    assert_eq!(of(&[]), None);
}
