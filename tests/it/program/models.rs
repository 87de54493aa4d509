//! Checkpoints of trainers: wrappers' prefixes, what they say of themselves, numbers that are not finite, and `models inspect`.

use crate::common::{
    dfine_files::{Tensors, anchors, authors_names, hub_model, state_dict},
    program, stderr,
    torch_file::{self, Value, dict},
};
use candle_core::{DType, Device, Tensor};
use serde_json::Value as Json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use tempfile::TempDir;
use ultramotion::{
    engine::{Engine, GraphCache},
    geometry::Size,
    models::dfine::InputSizeSource,
    session::{Detector, DetectorOptions, StageTimes, load_detector_with, load_segmenter},
    tools::{ModelDescription, ModelFamily, describe, init_segmenter, test_frame},
    weights::{Hub, HubConfig, ModelRef},
};

const CLASSES: [&str; 3] = ["bone", "Zyste, groß", "needle tip"];

fn hub() -> Hub {
    Hub::new(HubConfig::new(std::env::temp_dir()))
}

fn described(path: &Path) -> Result<ModelDescription, String> {
    let files = ModelRef::parse(path, None)
        .unwrap()
        .resolve(&hub(), &mut ())
        .map_err(|e| e.to_string())?;
    describe(&files).map_err(|e| e.to_string())
}

fn load(path: &Path, labels: Option<&Path>, input_size: Option<Size>) -> Result<Detector, String> {
    let options = DetectorOptions {
        name: path.to_str(),
        labels,
        input_size,
    };
    load_detector_with(&Engine::cpu(), options, &hub(), &mut ()).map_err(|e| e.to_string())
}

fn labels(detector: &Detector) -> Vec<&str> {
    detector.labels().iter().map(|name| &**name).collect()
}

fn saved(tensors: &Tensors, prefix: &str, path: &Path) {
    let named: std::collections::HashMap<String, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone()))
        .collect();
    candle_core::safetensors::save(&named, path).unwrap();
}

fn ultramotion(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// A folder, a random D-FINE-N in it as the hub has them, and its tensors under the authors' names.
fn models() -> (TempDir, Tensors, Tensors) {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub_model(&dir.path().join("hub"), &CLASSES);
    let authors = authors_names(&hub);
    (dir, hub, authors)
}

#[test]
fn detectors_load_from_every_place_and_behind_every_prefix() {
    let (dir, hub, authors) = models();
    let path = dir.path().join("last.ckpt");
    for (place, prefix) in [
        (None, ""),
        (Some("state_dict"), "model."),
        (Some("model_state_dict"), ""),
        (Some("model_state_dict"), "net."),
        (Some("state_dict"), "model._orig_mod."),
        (Some("state_dict"), "detector.net.module."),
        (Some("model"), "module.model."),
        (Some("model_state"), "module."),
    ] {
        let tensors = state_dict(&authors, prefix);
        let checkpoint = place.map_or(tensors.clone(), |place| {
            dict([("epoch", Value::Int(3)), (place, tensors)])
        });
        torch_file::write(&path, &checkpoint);
        let found = described(&path).unwrap_or_else(|e| panic!("{place:?} {prefix}: {e}"));
        assert_eq!(
            (found.family, found.size.as_deref(), found.classes.len()),
            (ModelFamily::DFine, Some("n"), 3),
            "{prefix}"
        );
        // Prefixes of parallel and compiled models are taken off when the file is opened.
        assert!(
            prefix.ends_with(&found.prefix) && !found.prefix.contains("module.model"),
            "{prefix}: {}",
            found.prefix
        );
    }
    // The hub's own names begin with `model.` too.
    for prefix in ["", "model.", "module.", "net.model."] {
        let folder = dir.path().join("wrapped");
        fs::create_dir_all(&folder).unwrap();
        for file in ["config.json", "preprocessor_config.json"] {
            fs::copy(dir.path().join("hub").join(file), folder.join(file)).unwrap();
        }
        saved(&hub, prefix, &folder.join("model.safetensors"));
        let found = described(&folder).unwrap_or_else(|e| panic!("{prefix}: {e}"));
        assert_eq!(
            (found.prefix.as_str(), found.classes),
            (prefix, CLASSES.map(str::to_owned).to_vec())
        );
    }
}

#[test]
fn what_is_beside_a_wrapped_model_is_named() {
    let (dir, _, authors) = models();
    let path = dir.path().join("last.ckpt");
    let mut entries = match state_dict(&authors, "model.") {
        Value::Dict(entries) => entries,
        other => panic!("{other:?}"),
    };
    entries.push(("criterion.weight".into(), Value::Tensor(vec![1], vec![1.0])));
    torch_file::write(&path, &dict([("state_dict", Value::Dict(entries.clone()))]));
    let error = load(&path, None, None).unwrap_err();
    assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    assert!(error.contains("have the prefix model., as training wrappers write them, and 1 tensor is there without it: criterion.weight;"));
    entries.pop();
    entries.push((
        "teacher.backbone.stem.stem1.conv.weight".into(),
        Value::Tensor(vec![1], vec![1.0]),
    ));
    torch_file::write(&path, &dict([("state_dict", Value::Dict(entries))]));
    assert!(
        load(&path, None, None)
            .unwrap_err()
            .contains("has several models, with the prefixes model., teacher.;")
    );
}

#[test]
fn segmenters_load_behind_prefixes_and_say_what_is_not_one() {
    let dir = tempfile::tempdir().unwrap();
    init_segmenter(1, dir.path()).unwrap();
    let tensors: Tensors =
        candle_core::safetensors::load(dir.path().join("mobile_sam.safetensors"), &Device::Cpu)
            .unwrap()
            .into_iter()
            .collect();
    let half: Tensors = tensors
        .iter()
        .map(|(name, t)| (name.clone(), t.to_dtype(DType::F16).unwrap()))
        .collect();
    let path = dir.path().join("wrapped.safetensors");
    for prefix in ["sam.", "model.sam.", "module._orig_mod.net."] {
        saved(&half, prefix, &path);
        load_segmenter(&Engine::cpu(), path.to_str(), &hub(), &mut ())
            .unwrap_or_else(|e| panic!("{prefix}: {e}"));
        assert_eq!(described(&path).unwrap().prefix, prefix);
    }
    let lightning = dir.path().join("last.ckpt");
    torch_file::write(
        &lightning,
        &dict([("model_state_dict", state_dict(&half, "net."))]),
    );
    load_segmenter(&Engine::cpu(), lightning.to_str(), &hub(), &mut ()).unwrap();

    let error = |tensors: &Tensors, prefix: &str| {
        saved(tensors, prefix, &path);
        load_segmenter(&Engine::cpu(), path.to_str(), &hub(), &mut ())
            .unwrap_err()
            .to_string()
    };
    let one = |name: &str| {
        Tensors::from([(
            name.to_owned(),
            Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap(),
        )])
    };
    let found = error(&one("image_encoder.pos_embed"), "sam.");
    assert!(
        found.contains("segment anything with a ViT encoder; MobileSAM has TinyViT"),
        "{found}"
    );
    assert!(
        error(&one("backbone.stem.x"), "")
            .contains("not a MobileSAM checkpoint (tensors such as backbone.stem.x)")
    );

    // Numbers that are not finite, in the weights.
    let mut broken = half.clone();
    let name = "mask_decoder.output_hypernetworks_mlps.0.layers.2.bias";
    let shape = broken[name].dims().to_vec();
    broken.insert(
        name.to_owned(),
        Tensor::full(f32::NAN, shape, &Device::Cpu).unwrap(),
    );
    let found = error(&broken, "sam.");
    assert!(
        found.contains(&format!(
            "tensor {name}: 32 of 32 values are not finite (NaN or infinity)"
        )),
        "{found}"
    );
}

/// What D-FINE-seg 0.6 saves beside the tensors.
fn meta(img_size: [i32; 2], keep_ratio: bool, task: &str) -> Value {
    let names = CLASSES
        .iter()
        .enumerate()
        .map(|(i, &name)| (Value::Int(i as i32), name.into()))
        .collect();
    dict([
        ("dfine_seg_version", "0.6.2".into()),
        ("model_name", "n".into()),
        ("task", task.into()),
        ("num_classes", Value::Int(3)),
        ("in_channels", Value::Int(3)),
        ("label_to_name", Value::Dict(names)),
        ("img_size", Value::List(img_size.map(Value::Int).into())),
        ("keep_ratio", Value::Flag(keep_ratio)),
    ])
}

#[test]
fn what_d_fine_seg_says_of_its_checkpoints_is_read() {
    let (dir, _, mut authors) = models();
    let path = dir.path().join("model.pt");
    let write = |tensors: &Tensors, meta: Value| {
        torch_file::write(
            &path,
            &dict([("model", state_dict(tensors, "")), ("meta", meta)]),
        )
    };
    write(&authors, meta([352, 320], false, "detect"));
    let detector = load(&path, None, None).unwrap();
    assert_eq!(labels(&detector), CLASSES);
    let config = detector.model().config();
    assert_eq!(
        (config.input_size, config.input_size_source),
        (Size::new(320, 352), InputSizeSource::Metadata)
    );
    assert!(detector.warnings().is_empty());
    // Without anchors another size may be given.
    let other = load(&path, None, Some(Size::new(384, 384))).unwrap();
    assert_eq!(other.model().config().input_size, Size::new(384, 384));

    // A mask head is left out with a word; padding and sizes that cannot be are errors.
    for (name, shape) in [
        ("decoder.mask_decoder.fusion_norm.weight", 4),
        ("decoder.mask_head.layers.0.bias", 2),
    ] {
        authors.insert(
            name.to_owned(),
            Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap(),
        );
    }
    write(&authors, meta([352, 320], false, "segment"));
    let with_masks = load(&path, None, None).unwrap();
    let warnings: Vec<String> = with_masks
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("model.pt: its mask head (2 tensors) is not used: it finds boxes"),
        "{}",
        warnings[0]
    );
    assert_eq!(described(&path).unwrap().mask_head_tensors, 2);
    for (meta, problem) in [
        (
            meta([352, 320], true, "detect"),
            "model.pt: meta: keep_ratio: true is not supported",
        ),
        (
            meta([350, 320], false, "detect"),
            "model.pt: input size: 320×350 is not supported: both sides must be multiples of 32",
        ),
        (
            meta([-320, 320], false, "detect"),
            "model.pt: meta: img_size: height and width in pixels are expected",
        ),
        (
            dict([("img_size", Value::Int(640))]),
            "model.pt: meta: img_size: height and width are expected",
        ),
    ] {
        write(&authors, meta);
        let error = load(&path, None, None).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    authors.insert(
        "decoder.classifier.weight".to_owned(),
        Tensor::ones(1, DType::F32, &Device::Cpu).unwrap(),
    );
    write(&authors, meta([352, 320], false, "sem_seg"));
    assert!(load(&path, None, None).unwrap_err().contains(
        "is a model for semantic segmentation (D-FINE-seg, task sem_seg), which finds no boxes"
    ));
}

#[test]
fn an_input_size_that_nothing_says_is_assumed_aloud_and_can_be_given() {
    let (dir, _, mut authors) = models();
    let (path, names) = (dir.path().join("best.pth"), dir.path().join("names.txt"));
    fs::write(&names, CLASSES.join("\n")).unwrap();
    torch_file::write(&path, &dict([("model", state_dict(&authors, ""))]));
    let assumed = load(&path, Some(&names), None).unwrap();
    assert_eq!(assumed.model().config().input_size, Size::new(640, 640));
    let warnings: Vec<String> = assumed.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with(
        "best.pth: nothing in the checkpoint says the size of its input: 640x640 is assumed; give the size it was trained for"
    ));
    let given = load(&path, Some(&names), Some(Size::new(640, 640))).unwrap();
    assert!(
        given.warnings().is_empty()
            && given.model().config().input_size_source == InputSizeSource::User
    );

    // Stored anchors say it, and rule out others.
    authors.insert("decoder.anchors".to_owned(), anchors((320, 384)));
    torch_file::write(&path, &dict([("model", state_dict(&authors, ""))]));
    let stored = load(&path, Some(&names), None).unwrap();
    assert_eq!(
        (stored.model().config().input_size, stored.warnings().len()),
        (Size::new(384, 320), 0)
    );
    assert!(load(&path, Some(&names), Some(Size::new(384, 320))).is_ok());
    let error = load(&path, Some(&names), Some(Size::new(320, 384))).unwrap_err();
    assert_eq!(
        error,
        "input size: size: 320×384 is not supported: the checkpoint has anchors for 384×320; do without a size of your own"
    );
}

#[test]
fn inspect_has_fields_and_names_the_family_and_the_file() {
    let (dir, _, authors) = models();
    let path = dir.path().join("best.pth");
    torch_file::write(
        &path,
        &dict([("state_dict", state_dict(&authors, "model."))]),
    );
    let text = path.to_str().unwrap();
    let json: Json =
        serde_json::from_slice(&ultramotion(&["models", "inspect", text, "--json"]).stdout)
            .unwrap();
    assert_eq!(json["model"]["family"], "dfine");
    assert_eq!(json["model"]["size"], "n");
    assert_eq!(json["model"]["classes"], serde_json::json!(["0", "1", "2"]));
    assert_eq!(
        json["model"]["input"],
        serde_json::json!({ "width": 640, "height": 640, "channels": 3, "assumed": true, "source": "assumed" })
    );
    assert_eq!(json["model"]["prefix"], "model.");
    assert_eq!(json["file"]["tensor_count"], authors.len());
    assert_eq!(
        json["file"]["dtypes"],
        serde_json::json!({ "F32": authors.len() })
    );
    assert_eq!(
        (
            &json["file"]["format"],
            json["file"]["sha256"].as_str().map(str::len)
        ),
        (&"torch_zip".into(), Some(64))
    );
    assert_eq!(
        (json["file"].get("tensors"), &json["problem"]),
        (None, &Json::Null)
    );
    let json: Json = serde_json::from_slice(
        &ultramotion(&["models", "inspect", text, "--json", "--tensors"]).stdout,
    )
    .unwrap();
    assert_eq!(
        json["file"]["tensors"].as_array().map(Vec::len),
        Some(authors.len())
    );

    let folder = dir.path().join("hub");
    let told = ultramotion(&["models", "inspect", folder.to_str().unwrap()]);
    let told_text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told_text.contains(r#"model: D-FINE-N, 3 classes (bone, "Zyste, groß", needle tip), input 320x320 with 3 channels"#),
        "{told_text}"
    );
    assert_eq!(told.status.code(), Some(0));

    // A configuration that does not fit is that of a D-FINE all the same; the message begins with its path.
    let config = folder.join("config.json");
    let good = fs::read_to_string(&config).unwrap();
    for (from, to, problem) in [
        (
            r#""num_channels": 3"#,
            r#""num_channels": 1"#,
            "num_channels: 1 is not supported: the stem takes 3",
        ),
        (
            r#""d_fine""#,
            r#""rt_detr""#,
            "model_type: rt_detr is not supported",
        ),
        (
            r#""needle tip""#,
            r#""needle tip", "7": "x""#,
            "id2label: [0, 1, 2, 7] is not supported",
        ),
        (&good[20..], "", "EOF while parsing"),
    ] {
        fs::write(&config, good.replacen(from, to, 1)).unwrap();
        let told = ultramotion(&["models", "inspect", folder.to_str().unwrap()]);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let expected = format!(
            "model: D-FINE, which cannot be used: {}: {problem}",
            config.display()
        );
        assert!(text.contains(&expected), "{text}");
        assert_eq!(told.status.code(), Some(1));
        let used = ultramotion(&[
            "detect",
            "--input",
            "nothing.png",
            "--detector",
            folder.to_str().unwrap(),
            "--output",
            "never",
        ]);
        assert!(
            stderr(&used).contains(&format!("error: {}: {problem}", config.display())),
            "{}",
            stderr(&used)
        );
    }
    fs::write(&config, good).unwrap();
    let preprocessor = folder.join("preprocessor_config.json");
    fs::write(&preprocessor, r#"{"size": {"longest_edge": 1333}}"#).unwrap();
    let error = load(&folder, None, None).unwrap_err();
    assert_eq!(
        error,
        format!(
            "{}: size: {{\"longest_edge\": 1333}} is not supported: height and width are expected",
            preprocessor.display()
        )
    );

    let other = dir.path().join("other.safetensors");
    saved(
        &Tensors::from([(
            "conv1.weight".to_owned(),
            Tensor::ones(1, DType::F32, &Device::Cpu).unwrap(),
        )]),
        "",
        &other,
    );
    let told = ultramotion(&["models", "inspect", other.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&told.stdout).contains(
        "other.safetensors: neither D-FINE nor MobileSAM (tensors such as conv1.weight)"
    ));
    assert_eq!(told.status.code(), Some(1));
}

#[test]
fn labels_come_from_data_yaml_coco_and_json_too() {
    let (dir, _, authors) = models();
    let path = dir.path().join("best.pth");
    torch_file::write(&path, &dict([("model", state_dict(&authors, ""))]));
    for (name, text) in [
        (
            "data.yaml",
            "train: images\nval: images\nnc: 3\nnames:\n  0: bone\n  1: 'Zyste, groß'\n  2: needle tip\n",
        ),
        ("list.yaml", "names: [bone, \"Zyste, groß\", needle tip]\n"),
        (
            "coco.json",
            r#"{"images": [], "annotations": [{"id": 1, "bbox": [1, 2, 3, 4]}], "categories": [{"id": 9, "name": "needle tip"}, {"id": 1, "name": "bone"}, {"id": 4, "name": "Zyste, groß"}]}"#,
        ),
        ("list.json", r#"["bone", "Zyste, groß", "needle tip"]"#),
    ] {
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        assert_eq!(
            labels(&load(&path, Some(&file), None).unwrap()),
            CLASSES,
            "{name}"
        );
    }
    let few = dir.path().join("few.yaml");
    fs::write(&few, "names: [bone]\n").unwrap();
    let error = load(&path, Some(&few), None).unwrap_err();
    assert_eq!(
        error,
        format!(
            "{}: 1 name, but the detector has 3 classes; a name for each class is expected",
            few.display()
        )
    );
}

/// The detector in `folder` with all values of a tensor changed.
fn with_values(folder: &Path, hub: &Tensors, name: &str, value: f32) -> PathBuf {
    let mut changed = hub.clone();
    let shape = changed[name].dims().to_vec();
    changed.insert(
        name.to_owned(),
        Tensor::full(value, shape, &Device::Cpu).unwrap(),
    );
    saved(&changed, "", &folder.join("model.safetensors"));
    folder.to_owned()
}

#[test]
fn numbers_that_are_not_finite_are_errors_that_name_the_tensor() {
    let (dir, hub, _) = models();
    let folder = dir.path().join("hub");
    for (name, value) in [
        ("model.enc_score_head.weight", f32::NAN),
        ("model.decoder.bbox_embed.1.layers.2.bias", f32::INFINITY),
    ] {
        let error = load(&with_values(&folder, &hub, name, value), None, None).unwrap_err();
        assert!(
            error.starts_with(folder.to_str().unwrap())
                && error.contains(&format!("tensor {name}: ")),
            "{error}"
        );
        assert!(
            error.contains("values are not finite (NaN or infinity)"),
            "{error}"
        );
    }
    // Weights that are finite, and results that are not.
    let frame = test_frame();
    for (name, expected) in [
        ("model.enc_score_head.weight", "enc_score_head: "),
        ("model.decoder.class_embed.2.weight", "of its logits"),
        (
            "model.decoder.bbox_embed.2.layers.2.weight",
            "of its pred_boxes",
        ),
    ] {
        let detector = load(&with_values(&folder, &hub, name, 3e38), None, None).unwrap();
        let found = detector
            .detect(&mut GraphCache::default(), &frame, &StageTimes::default())
            .map(|objects| objects.len())
            .map_err(|e| e.to_string());
        let error = found.expect_err(name);
        assert!(
            error.contains(expected) && error.contains("not finite (NaN or infinity)"),
            "{name}: {error}"
        );
    }
}

#[test]
fn masks_that_are_not_finite_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    init_segmenter(1, dir.path()).unwrap();
    let segmenter = load_segmenter(
        &Engine::cpu(),
        dir.path().join("mobile_sam.safetensors").to_str(),
        &hub(),
        &mut (),
    )
    .unwrap();
    let masks = |value: f32| {
        let mut logits = vec![1f32; 2 * 256 * 256];
        logits[256 * 256 + 77] = value;
        let logits = Tensor::from_vec(logits, (2, 256, 256), &Device::Cpu).unwrap();
        segmenter
            .masks(&logits, (1024, 512), (64, 32))
            .map(|masks| masks.len())
            .map_err(|e| e.to_string())
    };
    assert_eq!(masks(-1.0), Ok(2));
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(
            masks(value).unwrap_err().starts_with(
                "the segmenter's output low_res_masks is not finite (NaN or infinity);"
            )
        );
    }
}

#[test]
fn runs_say_what_is_assumed_what_the_built_in_models_know_and_find_classes_with_commas() {
    let (dir, _, authors) = models();
    let (path, names, image) = (
        dir.path().join("best.pth"),
        dir.path().join("data.yaml"),
        dir.path().join("a.png"),
    );
    torch_file::write(&path, &dict([("model", state_dict(&authors, ""))]));
    fs::write(&names, "names: [bone, \"Zyste, groß\", needle tip]\n").unwrap();
    image::GrayImage::from_fn(64, 48, |x, y| image::Luma([(x * y) as u8]))
        .save(&image)
        .unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (input, detector, names) = (text(&image), text(&path), text(&names));
    let detect = |output: &str, more: &[&str]| {
        let output = text(&dir.path().join(output));
        let common = [
            "detect", "--input", &input, "--device", "cpu", "--output", &output,
        ];
        ultramotion(&[&common, more].concat())
    };
    let own = ["--detector", &detector, "--labels", &names];
    let assumed = detect(
        "out",
        &[&own[..], &["--classes", "Zyste, groß,bone"]].concat(),
    );
    assert_eq!(assumed.status.code(), Some(0), "{}", stderr(&assumed));
    assert_eq!(
        stderr(&assumed).matches("640x640 is assumed").count(),
        1,
        "{}",
        stderr(&assumed)
    );
    assert!(
        !stderr(&assumed).contains("built-in"),
        "{}",
        stderr(&assumed)
    );
    let run: Json =
        serde_json::from_str(&fs::read_to_string(dir.path().join("out/run.json")).unwrap())
            .unwrap();
    assert!(
        run["warnings"].to_string().contains("640x640 is assumed"),
        "{}",
        run["warnings"]
    );

    // A size of one's own is part of what a run is resumed by.
    let sized = detect("sized", &[&own[..], &["--input-size", "320x384"]].concat());
    assert!(
        sized.status.code() == Some(0) && !stderr(&sized).contains("assumed"),
        "{}",
        stderr(&sized)
    );
    let other = detect("sized", &[&own[..], &["--resume"]].concat());
    assert!(
        other.status.code() != Some(0) && stderr(&other).contains("input-size"),
        "{}",
        stderr(&other)
    );
    for (option, value, problem) in [
        ("--input-size", "500", "multiples of 32"),
        (
            "--classes",
            "vessel",
            r#"vessel: not a class of this detector; it has bone, "Zyste, groß", needle tip"#,
        ),
    ] {
        let refused = detect("refused", &[&own[..], &[option, value]].concat());
        assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(problem), "{}", stderr(&refused));
    }

    // Several --classes, one of them with a comma; the built-in detector says what it knows, but not with --quiet.
    let built_in = detect(
        "built-in",
        &["--classes", "bone", "--classes", "cyst,needle"],
    );
    assert_eq!(built_in.status.code(), Some(0), "{}", stderr(&built_in));
    let said = stderr(&built_in);
    assert_eq!(
        said.matches("finds bone, cyst, vessel and needle in B-mode ultrasound")
            .count(),
        1,
        "{said}"
    );
    assert!(
        said.contains("--detector dfine-s finds the 80 classes of COCO"),
        "{said}"
    );
    assert_eq!(stderr(&detect("quiet", &["--quiet"])), "");
}

/// `models verify` and `bench` run a MobileSAM beside candle-transformers', and say what is known of that.
#[test]
fn a_segmenter_is_compared_with_candle_transformers_and_a_detector_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    init_segmenter(7, folder.path()).unwrap();
    let model = folder.path().join("mobile_sam.safetensors");
    let model = model.to_str().unwrap();
    let run = ultramotion(&[
        "models",
        "verify",
        "--segmenter",
        model,
        "--against",
        "candle",
        "--device",
        "cpu",
        "--json",
    ]);
    let found: Json = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(0), "{found} {}", stderr(&run));
    let names: Vec<&str> = found["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tensor| tensor["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["image_embeddings", "low_res_masks", "iou_predictions"]
    );
    assert!(
        found["known_faults"].to_string().contains("tanh"),
        "{found}"
    );

    let run = ultramotion(&[
        "bench",
        "--segmenter",
        model,
        "--against",
        "candle",
        "--device",
        "cpu",
        "--repeats",
        "1",
        "--warm-up",
        "0",
        "--json",
    ]);
    let found: Json = serde_json::from_slice(&run.stdout).unwrap();
    assert!(
        found["stages"][0]["ratio"].as_f64().unwrap() > 0.0,
        "{found}"
    );
    assert!(
        found["stages"][1]["candle"]["median_ms"].as_f64().unwrap() > 0.0,
        "{found}"
    );

    for command in [&["models", "verify"][..], &["bench"]] {
        let detector = ["--detector", "dfine-s", "--against", "candle"];
        let run = ultramotion(&[command, &detector].concat());
        assert_eq!(run.status.code(), Some(64));
        assert!(
            stderr(&run).contains("dfine-s: candle-transformers has no D-FINE"),
            "{}",
            stderr(&run)
        );
    }
    let run = ultramotion(&[
        "models",
        "verify",
        "--segmenter",
        model,
        "--against",
        "torch",
    ]);
    assert_eq!(run.status.code(), Some(64), "{}", stderr(&run));
}
