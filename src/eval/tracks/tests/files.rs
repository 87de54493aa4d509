//! Forms of files, how they are paired, and what is refused.

use crate::eval::{
    EvalErrorKind,
    tracks::{TrackEvaluation, TrackIou, TrackOptions, TrackRules, evaluate_tracks},
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The figures of two files, or what is wrong.
    fn compare(
        &self,
        [truth, predictions]: [&str; 2],
        options: &TrackOptions,
    ) -> Result<TrackEvaluation, String> {
        let [truth, predictions] = [truth, predictions].map(|name| self.0.path().join(name));
        evaluate_tracks(&truth, &predictions, options).map_err(|e| e.to_string())
    }
}

/// Two tracks over four frames; the second is missed once and taken for another once.
const MOT: &str = "1,1,0,0,10,10,1,1,1\n1,2,40,0,10,10,1,1,1\n2,1,1,0,10,10,1,1,1\n2,2,40,0,10,10,1,1,1\n\
    3,1,2,0,10,10,1,1,1\n3,2,40,0,10,10,1,1,1\n4,1,3,0,10,10,1,1,1\n4,2,40,0,10,10,1,1,1\n";
const FOUND: &str = "1 5 0 0 10 10 0.9 -1 -1 -1\n1 6 40 0 10 10 0.9 -1 -1 -1\n2 5 1 0 10 10 0.9 -1 -1 -1\n\
    3,5,2,0,10,10,0.9,-1,-1,-1\n3,7,40,0,10,10,0.9,-1,-1,-1\n4,5,3,0,10,10,0.9,-1,-1,-1\n4,7,40,0,10,10,0.3,-1,-1,-1\n";

fn check(found: &TrackEvaluation) {
    let all = &found.detection_averaged;
    assert_eq!((found.sequences, found.frames), (1, 4));
    assert_eq!((all.clear.tp, all.clear.false_negatives), (7, 1));
    assert_eq!((all.clear.switches, all.clear.fragments), (1, 1));
    assert_eq!((all.identity.tp, all.count.predicted_tracks), (6, 3));
    // MOTA (7 - 0 - 1) / 8; IDF1 6 / (6 + 2 / 2 + 1 / 2); DetA 7 / 8, AssA (4 · 1 + 1 · 1/4 + 2 · 1/2) / 7.
    assert!((all.clear.mota - 0.75).abs() < 1e-12 && (all.identity.idf1 - 0.8).abs() < 1e-12);
    let hota = (7.0 / 8.0 * (5.25 / 7.0f64)).sqrt();
    assert!(
        (all.hota.mean.hota - hota).abs() < 1e-12,
        "{}",
        all.hota.mean.hota
    );
}

/// The same tracks as COCO, with a class that has another id on either side.
fn coco(class: i64, mot: &str, key: &str) -> String {
    let images: Vec<Value> = (0..4)
        .map(|n| json!({"id": n + 1, "file_name": format!("{key}/{n:04}.png"), "width": 64, "height": 32, "video_id": 3, "frame_id": n}))
        .collect();
    let lines = mot.lines().map(|line| {
        let fields = line.replace(',', " ");
        let n: Vec<f64> = fields.split(' ').map(|n| n.parse().unwrap()).collect();
        json!({"image_id": n[0] as i64, "category_id": class, "bbox": n[2..6], "track_id": n[1] as i64, "score": n[6]})
    });
    let annotations: Vec<Value> = lines.collect();
    json!({"images": images, "annotations": annotations, "videos": [{"id": 3, "name": key}],
        "categories": [{"id": class, "name": "bone"}]})
    .to_string()
}

fn record(mot: &str) -> String {
    let line = |n: usize| {
        let objects: Vec<Value> = mot
            .lines()
            .map(|line| line.replace(',', " "))
            .map(|line| line.split(' ').map(|n| n.parse().unwrap()).collect())
            .filter(|f: &Vec<f64>| f[0] as usize == n + 1)
            .map(|f| {
                json!({"box": [f[2], f[3], f[2] + f[4], f[3] + f[5]], "score": f[6], "class": 0, "label": "bone", "area": 1,
                    "track_id": f[1] as u64, "visibility": "visible"})
            })
            .collect();
        json!({"source": "clip", "source_index": 0, "kind": "video", "path": "clip.mp4", "frame": n, "timestamp": null,
            "width": 64, "height": 32, "objects": objects})
        .to_string()
    };
    (0..4).map(|n| line(n) + "\n").collect()
}

#[test]
fn one_scene_in_all_forms() {
    let files = Files::new();
    files.put("gt/SEQ/gt/gt.txt", MOT);
    files.put("found/SEQ.txt", FOUND);
    files.put("one.txt", FOUND);
    files.put("named/SEQ/gt/gt.txt", MOT);
    files.put("named/SEQ/gt/labels.txt", "bone\n");
    files.put("gt.json", coco(1, MOT, "a/clip"));
    files.put("found.json", coco(9, FOUND, "out/clip"));
    files.put(
        "run/detections.jsonl",
        record(FOUND) + "{\"source\": \"a killed run",
    );
    files.put("folder/coco.json", coco(9, FOUND, "out/clip"));
    let own = TrackOptions::default();
    for (pair, rules) in [
        (["gt", "found"], TrackRules::Mot17),
        (["gt", "one.txt"], TrackRules::Mot17),
        (["gt/SEQ/gt/gt.txt", "one.txt"], TrackRules::Mot17),
        (["named", "found"], TrackRules::Classes),
        (["named", "run"], TrackRules::Classes),
        (["gt.json", "found.json"], TrackRules::Classes),
        (["gt.json", "folder"], TrackRules::Classes),
        (["gt.json", "run"], TrackRules::Classes),
        (["gt.json", "run/detections.jsonl"], TrackRules::Classes),
        (["gt.json", "one.txt"], TrackRules::Classes),
    ] {
        let found = files
            .compare(pair, &own)
            .unwrap_or_else(|e| panic!("{pair:?}: {e}"));
        assert_eq!(
            (found.rules, found.iou),
            (rules, TrackIou::Boxes),
            "{pair:?}"
        );
        check(&found);
    }
    // A score below the threshold is no prediction.
    let sure = TrackOptions {
        confidence: Some(0.5),
        ..own
    };
    let found = files.compare(["gt", "found"], &sure).unwrap();
    assert_eq!(found.detection_averaged.clear.tp, 6);
}

#[test]
fn frames_that_one_file_lacks_are_refused_or_left_out() {
    let files = Files::new();
    files.put("gt.json", coco(1, MOT, "clip"));
    let lines = record(FOUND);
    files.put(
        "every-second.jsonl",
        lines
            .lines()
            .step_by(2)
            .map(|l| l.to_owned() + "\n")
            .collect::<String>(),
    );
    files.put("late.txt", format!("{FOUND}9,5,3,0,10,10,0.9,-1,-1,-1\n"));
    files.put("gt/S/gt/gt.txt", MOT);
    files.put("gt/S/seqinfo.ini", "[Sequence]\nseqLength = 6\n");
    files.put("other/T.txt", FOUND);
    files.put("other/U.txt", FOUND);
    let (own, common) = (
        TrackOptions::default(),
        TrackOptions {
            common_only: true,
            ..TrackOptions::default()
        },
    );
    for (pair, says) in [
        (
            ["gt.json", "every-second.jsonl"],
            "2 frames are in one of both files alone",
        ),
        (
            ["gt.json", "late.txt"],
            "1 frame is in one of both files alone, counted from 0: 8",
        ),
        (["gt", "late.txt"], "counted from 0: 8"),
        (
            ["gt", "other"],
            "2 sequences are not in the ground truth: T, U",
        ),
    ] {
        let path = files.0.path();
        let error = evaluate_tracks(&path.join(pair[0]), &path.join(pair[1]), &own).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.kind, EvalErrorKind::NotInBoth);
    }
    let found = files
        .compare(["gt.json", "every-second.jsonl"], &common)
        .unwrap();
    assert_eq!((found.frames, found.detection_averaged.clear.tp), (2, 4));
    assert_eq!(
        files
            .compare(["gt.json", "late.txt"], &common)
            .unwrap()
            .frames,
        4
    );
    assert_eq!(
        files.compare(["gt", "late.txt"], &common).unwrap().frames,
        6
    );
}

#[test]
fn broken_files_are_refused_by_line() {
    let files = Files::new();
    files.put("gt.txt", MOT);
    for (text, says) in [
        (
            "1,1,0,0,10,10,1\n\n0,2,0,0,1,1,1\n",
            "line 3: frame 0 is not one from 1",
        ),
        ("1,1,0,0,10\n", "line 1: has 5 columns, and no height"),
        ("1,1,0,0,ten,10,1\n", "line 1: width \"ten\" is no number"),
        ("1,1,0,0,inf,10,1\n", "is not finite"),
        ("1,1,0,0,-4,10,1\n", "negative width or height"),
        ("1,1,0,0,1e12,10,1\n", "beyond any picture"),
        ("1,-1,0,0,4,10,1\n", "none of its objects has a track"),
        ("1,1.5,0,0,4,10,1\n", "id 1.5 is no whole number"),
        (
            "1,3,0,0,4,4,1\n1,3,9,9,4,4,1\n",
            "line 2: id 3 is there twice in frame 1",
        ),
        ("1 3 2 4 4 @@\n", "line 1: its mask's counts"),
        (
            "1 3 2 4 4 0`0\n1 4 2 4 4\n",
            "line 2: has 5 columns instead of 6",
        ),
        ("1 3 2 -4 4 0`0\n", "height is negative or huge"),
    ] {
        files.put("broken.txt", text);
        let problem = files.compare(["gt.txt", "broken.txt"], &TrackOptions::default());
        let problem = problem.unwrap_err();
        assert!(problem.contains(says), "{text:?}: {problem}");
    }
    files.put("broken.txt", b"1,1,0,0,4,4,1\n\xff\n");
    let problem = files.compare(["gt.txt", "broken.txt"], &TrackOptions::default());
    assert!(problem.unwrap_err().contains("line 2: is no UTF-8"));
    let two = record(FOUND).lines().nth(1).unwrap().to_owned();
    for (line, says) in [
        (
            format!("{two}\n{two}\n"),
            "line 2 is not a frame's result: frame 1 is there twice",
        ),
        (
            two.replace("\"frame\":1", "\"frame\":-1") + "\n",
            "line 1 is not a frame's result",
        ),
        (
            two.replace("\"track_id\":5", "\"other\":5") + "\n",
            "none of its objects has a track",
        ),
    ] {
        files.put("broken.jsonl", &line);
        files.put("gt.json", coco(1, MOT, "clip"));
        let problem = files.compare(["gt.json", "broken.jsonl"], &TrackOptions::default());
        let problem = problem.unwrap_err();
        assert!(problem.contains(says), "{line}: {problem}");
    }
}

/// What MOTChallenge's columns mean on either side.
#[test]
fn columns_of_mot_text_mean_what_they_do_on_their_side() {
    let files = Files::new();
    let all = TrackOptions {
        rules: Some(TrackRules::Classes),
        ..TrackOptions::default()
    };
    files.put("gt/S/gt/labels.txt", "bone\nvessel\n");
    let compare = |truth: &str, found: &str, options: &TrackOptions| {
        files.put("gt/S/gt/gt.txt", truth);
        files.put("S.txt", found);
        let found = files.compare(["gt", "S.txt"], options).unwrap();
        let clear = &found.detection_averaged.clear;
        let counts = [clear.tp, clear.false_negatives, clear.false_positives];
        (counts, found.predictions_without_track)
    };
    let (bone, vessel) = ("1,0,0,0,9,9,1,1,1\n", "1,2,40,0,9,9,1,2,1\n");
    let both = format!("{bone}{vessel}");
    // Tracks may be numbered from 0, and six columns are enough.
    let six = "1,0,0,0,9,9,0.9,1\n1,4,40,0,9,9,0.9,2\n";
    assert_eq!(compare(&both, six, &all), ([2, 0, 0], 0));
    // A detection without a track is none, and is counted.
    let with_detection = format!("{six}1,-1,80,0,9,9,0.9,1\n");
    assert_eq!(compare(&both, &with_detection, &all), ([2, 0, 0], 1));
    // A mark of 0 leaves an object of the ground truth out; a confidence of 0 leaves no prediction out.
    let unmarked = format!("{bone}1,2,40,0,9,9,0,2,1\n");
    let unsure = "1,0,0,0,9,9,0,1\n";
    assert_eq!(compare(&unmarked, unsure, &all), ([1, 0, 0], 0));
    let sure = TrackOptions {
        confidence: Some(0.5),
        ..all.clone()
    };
    assert_eq!(compare(&unmarked, unsure, &sure), ([0, 1, 0], 0));
    // One of -1 is not known.
    let unknown = "1,0,0,0,9,9,-1,1,-1,-1\n";
    assert_eq!(compare(&unmarked, unknown, &all), ([1, 0, 0], 0));
    // Column 8 is the class: a vessel is no bone.
    let other = "1,0,0,0,9,9,1,2\n";
    assert_eq!(compare(bone, other, &all), ([0, 1, 1], 0));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let files = Files::new();
    let whole: Value = serde_json::from_str(&coco(1, MOT, "clip")).unwrap();
    files.put("found.json", coco(1, FOUND, "clip"));
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut value = whole.clone();
        change(&mut value);
        files.put("gt.json", value.to_string());
        let problem = files.compare(["gt.json", "found.json"], &TrackOptions::default());
        problem.unwrap_err()
    };
    let no_track = broken(&|v| v["annotations"][2]["track_id"] = Value::Null);
    assert!(
        no_track.contains("number 2 (image 2): it has no track_id"),
        "{no_track}"
    );
    let twice = broken(&|v| v["annotations"][1]["track_id"] = json!(1));
    assert!(
        twice.contains("sequence clip, frame 0: track 1 is there twice"),
        "{twice}"
    );
    let frames = broken(&|v| v["images"][1]["frame_id"] = json!(0));
    assert!(
        frames.contains("sequence clip: frame 0 is there twice"),
        "{frames}"
    );
    let class = broken(&|v| v["categories"][0]["name"] = json!("cyst"));
    assert!(
        class.contains("classes that the ground truth does not have: bone"),
        "{class}"
    );
    let size = broken(&|v| v["images"][1]["width"] = json!(65));
    assert!(size.contains("frame 1 is 64×32, and 65×32"), "{size}");

    files.put("gt.txt", MOT.replace("1,1,1\n", "1,20,1\n"));
    let problem = files.compare(["gt.txt", "found.json"], &TrackOptions::default());
    assert!(
        problem
            .unwrap_err()
            .contains("beyond 1 to 13: 20; put their names into a labels.txt")
    );
    files.put("gt.json", whole.to_string());
    let masks = TrackOptions {
        iou: Some(TrackIou::Masks),
        ..TrackOptions::default()
    };
    let problem = files
        .compare(["gt.json", "found.json"], &masks)
        .unwrap_err();
    assert!(
        problem.contains("gt.json: has objects without a mask"),
        "{problem}"
    );
}

#[test]
fn classes_of_mots_text_may_be_named() {
    let files = Files::new();
    let mots = "1 1 1 6 8 73300000a0\n2 1 1 6 8 73300000a0\n2 2 2 6 8 04\\1\n";
    files.put("gt/S/gt/gt.txt", mots);
    files.put("S.txt", mots);
    let own = TrackOptions::default();
    let found = files.compare(["gt", "S.txt"], &own).unwrap();
    let names = |found: &TrackEvaluation| -> Vec<String> {
        let classes = found.per_class.iter();
        classes.map(|class| class.category.clone()).collect()
    };
    assert_eq!(names(&found), ["car", "pedestrian"]);
    files.put("gt/S/gt/labels.txt", "bone\nvessel\n");
    let found = files.compare(["gt", "S.txt"], &own).unwrap();
    assert_eq!(names(&found), ["bone", "vessel"]);
    assert_eq!(found.iou, TrackIou::Masks);
    assert_eq!(found.detection_averaged.clear.tp, 3);
}

#[test]
fn data_sets_of_text_have_ground_truth_and_results() {
    let files = Files::new();
    for name in ["a/clip", "b/clip"] {
        files.put(&format!("mot/sequences/{name}/gt/gt.txt"), MOT);
        files.put(&format!("mot/sequences/{name}/gt/labels.txt"), "bone\n");
        files.put(&format!("mot/data/{name}.txt"), FOUND);
    }
    let found = files
        .compare(["mot", "mot"], &TrackOptions::default())
        .unwrap();
    let bone = &found.per_class[0];
    let names: Vec<&str> = bone.sequences.iter().map(|s| s.sequence.as_str()).collect();
    assert_eq!(
        (bone.category.as_str(), &names[..]),
        ("bone", &["a/clip", "b/clip"][..])
    );
    assert_eq!(found.detection_averaged.clear.tp, 14);
    let found = files.compare(["mot/sequences", "mot/data"], &TrackOptions::default());
    assert_eq!(found.unwrap().detection_averaged.clear.tp, 14);
}
