//! Checkpoints that torch and safetensors wrote, and hostile ones: `fixtures/checkpoints/generate.py` makes them all.

use candle_core::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use ultramotion::engine::Engine;
use ultramotion::weights::{
    Checkpoint, CheckpointFormat, ElementType, Extra, Hub, HubConfig, ModelRef, WeightsError,
    inspect,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/checkpoints")
        .join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn ramp(count: usize, start: i32) -> Vec<f64> {
    (0..count).map(|i| i as f64 + f64::from(start)).collect()
}

/// The dictionary that `state(start)` of the generator writes.
fn assert_state(checkpoint: &Checkpoint, start: i32) {
    let tensors = checkpoint.tensors().unwrap();
    assert_eq!(
        tensors.keys().collect::<Vec<_>>(),
        ["backbone.weight", "head.bias", "head.num_batches_tracked"]
    );
    assert_eq!(tensors["backbone.weight"].dims(), [2, 3]);
    assert_eq!(values(&tensors["backbone.weight"]), ramp(6, start));
    assert_eq!(values(&tensors["head.bias"]), ramp(4, start));
    assert_eq!(tensors["head.num_batches_tracked"].dtype(), DType::I64);
    assert_eq!(
        values(&tensors["head.num_batches_tracked"]),
        [f64::from(7 + start)]
    );
}

#[test]
fn every_protocol_of_a_training_checkpoint_gives_the_averaged_weights_and_the_plain_values() {
    for protocol in 2..=5 {
        let checkpoint = open(&format!("training_protocol{protocol}.pt"));
        assert_eq!(checkpoint.format(), CheckpointFormat::TorchZip);
        assert_eq!(checkpoint.sub_dictionary(), Some("ema.module"));
        assert_state(&checkpoint, 200);
        let expected: BTreeMap<String, Extra> = [
            ("best", Extra::Number(0.5)),
            (
                "id2label",
                Extra::Map(
                    [("0", "lesion"), ("1", "needle")]
                        .map(|(k, v)| (k.to_owned(), v.to_owned()))
                        .into(),
                ),
            ),
            ("last_epoch", Extra::Integer(71)),
            (
                "names",
                Extra::Texts(["lesion", "needle", "vessel"].map(str::to_owned).into()),
            ),
            ("resumed", Extra::Flag(false)),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into();
        assert_eq!(checkpoint.extras(), &expected, "protocol {protocol}");
    }
}

#[test]
fn dictionaries_and_prefixes_of_wrappers_are_found() {
    for (name, sub_dictionary, prefix) in [
        ("bare.pt", None, None),
        ("plain.safetensors", None, None),
        ("data_parallel.pth", Some("state_dict"), Some("module.")),
        ("compiled.pth", Some("model"), Some("_orig_mod.module.")),
        ("legacy.pth", None, None),
    ] {
        let checkpoint = open(name);
        assert_eq!(
            (checkpoint.sub_dictionary(), checkpoint.removed_prefix()),
            (sub_dictionary, prefix),
            "{name}"
        );
        assert_state(&checkpoint, 0);
    }
    let legacy = open("legacy_protocol4.pth");
    assert_eq!(
        (legacy.format(), legacy.sub_dictionary()),
        (CheckpointFormat::TorchLegacy, Some("ema.module"))
    );
    assert_state(&legacy, 200);
    // The attribute _metadata of a state_dict is no tensor and no entry.
    let names = open("metadata.pth")
        .names()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            "bn.bias",
            "bn.num_batches_tracked",
            "bn.running_mean",
            "bn.running_var",
            "bn.weight",
            "fc.bias",
            "fc.weight"
        ]
    );
}

#[test]
fn every_type_is_read_as_itself_or_wider() {
    for name in ["dtypes.safetensors", "dtypes.pth"] {
        let checkpoint = open(name);
        for (tensor, stored, loaded) in [
            ("f64", ElementType::F64, DType::F64),
            ("f32", ElementType::F32, DType::F32),
            ("f16", ElementType::F16, DType::F16),
            ("bf16", ElementType::Bf16, DType::BF16),
            ("i64", ElementType::I64, DType::I64),
            ("i32", ElementType::I32, DType::I32),
            ("i16", ElementType::I16, DType::I16),
            ("i8", ElementType::I8, DType::I16),
            ("u8", ElementType::U8, DType::U8),
            ("bool", ElementType::Bool, DType::U8),
        ] {
            let info = checkpoint.infos().find(|info| info.name == tensor).unwrap();
            assert_eq!(
                (info.element, info.shape.as_slice()),
                (stored, &[2, 2][..]),
                "{name} {tensor}"
            );
            let read = checkpoint.tensor(tensor).unwrap();
            assert_eq!(read.dtype(), loaded, "{name} {tensor}");
            let expected = match tensor {
                "u8" => ramp(4, 0),
                "bool" => vec![1.0, 0.0, 0.0, 1.0],
                _ => ramp(4, -1),
            };
            assert_eq!(values(&read), expected, "{name} {tensor}");
        }
    }
    assert_eq!(
        values(&open("dtypes.pth").tensor("u16").unwrap()),
        [1.0, 65535.0]
    );
    assert_eq!(
        open("dtypes.safetensors").metadata()["made_by"],
        "générateur"
    );
}

#[test]
fn views_of_shared_storages_come_out_as_python_sees_them() {
    let checkpoint = open("views.pth");
    let base = |r: usize, c: usize| (r * 6 + c) as f64;
    let grid = |rows: &[usize], columns: &[usize]| {
        rows.iter()
            .flat_map(|r| columns.iter().map(|c| base(*r, *c)))
            .collect::<Vec<_>>()
    };
    let all = [0, 1, 2, 3, 4, 5];
    let mut transposed = Vec::new();
    all.iter()
        .for_each(|c| (0..4).for_each(|r| transposed.push(base(r, *c))));
    let mut permuted = Vec::new();
    (0..4).for_each(|k| {
        (0..2).for_each(|i| (0..3).for_each(|j| permuted.push((i * 12 + j * 4 + k) as f64)))
    });
    let expected: [(&str, &[usize], Vec<f64>); 12] = [
        ("base", &[4, 6], ramp(24, 0)),
        ("tied", &[4, 6], ramp(24, 0)),
        ("rows", &[2, 6], grid(&[1, 2], &all)),
        ("columns", &[4, 2], grid(&[0, 1, 2, 3], &[2, 3])),
        ("transposed", &[6, 4], transposed),
        ("stepped", &[2, 2], grid(&[0, 2], &[0, 3])),
        ("scalar", &[], vec![23.0]),
        ("expanded", &[3, 2], [5.0, 6.0].repeat(3)),
        ("permuted", &[4, 2, 3], permuted),
        ("channels_last", &[1, 2, 2, 3], ramp(12, 0)),
        ("empty", &[0, 5], vec![]),
        ("parameter", &[3], ramp(3, 0)),
    ];
    let tensors = checkpoint.tensors().unwrap();
    assert_eq!(tensors.len(), expected.len());
    for (name, shape, data) in expected {
        assert_eq!(checkpoint.shape(name), Some(shape), "{name}");
        assert_eq!(tensors[name].dims(), shape, "{name}");
        assert_eq!(values(&tensors[name]), data, "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_what_would_work() {
    for (name, expected) in [
        ("whole_module.pt", "holds a whole __main__.Net object"),
        ("whole_module_inside.pt", "torch.save(model.state_dict()"),
        ("script.pt", "TorchScript program"),
        ("no_tensors.pth", "it has epoch, optimizer"),
        ("single_tensor.pt", "a single tensor without a name"),
        (
            "sparse.pth",
            "tensor w: is a tensor of a kind that is not supported (sparse_tensor)",
        ),
        (
            "plain_pickle.pth",
            "a plain pickle, not a file of torch.save",
        ),
        ("empty.pth", "it is empty"),
        ("lfs_pointer.safetensors", "git lfs pull"),
        ("page.safetensors", "web page"),
        ("truncated.pth", "zip directory cannot be read"),
        ("truncated_legacy.pth", "claims"),
        (
            "truncated.safetensors",
            "describes 48 bytes of tensors, the file has 45",
        ),
        ("hostile_system_call_alone.pth", "a posix.system object"),
        (
            "hostile_past_storage.pth",
            "tensor w: shape [5] needs 20 bytes of its storage, which has 16",
        ),
        ("hostile_overflow.pth", "overflows"),
        ("hostile_negative.pth", "malformed size"),
        (
            "hostile_expanded.pth",
            "more than 16 times the bytes of the file",
        ),
        ("hostile_offset.pth", "overflows"),
        (
            "hostile_no_storage.pth",
            "refers to storage ../../etc/passwd, which is not in the file",
        ),
        ("hostile_deep.pth", "no tensors"),
        ("hostile_doubling.pth", "no tensors"),
        ("hostile_text_length.pth", "ends at byte"),
        ("hostile_compressed.pth", "compressed or encrypted"),
        ("hostile_other_zip.pt", "zip archive without data.pkl"),
        (
            "hostile_header_length.safetensors",
            "claims 9223372036854775809 bytes",
        ),
        (
            "hostile_header_past_end.safetensors",
            "claims 1048576 bytes, the file has 73",
        ),
        (
            "hostile_overlap.safetensors",
            "invalid offset for tensor `b`",
        ),
        ("hostile_gap.safetensors", "invalid offset for tensor `b`"),
        (
            "hostile_reversed.safetensors",
            "invalid offset for tensor `a`",
        ),
        ("hostile_overflow.safetensors", "overflow"),
        ("hostile_size.safetensors", "invalid shape"),
        ("hostile_dtype.safetensors", "F33"),
        (
            "hostile_trailing.safetensors",
            "describes 4 bytes of tensors, the file has 9",
        ),
        ("hostile_json.safetensors", "header is invalid"),
        ("hostile_nesting.safetensors", "recursion limit"),
    ] {
        let error = Checkpoint::open(fixture(name)).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.contains(name), "the path is in the message: {error}");
    }
    let complex = open("complex.pth").tensor("w").unwrap_err().to_string();
    assert!(complex.contains("C64, which is not supported"), "{complex}");
    assert!(matches!(
        open("bare.pt").tensor("nothing"),
        Err(WeightsError::NoTensor { .. })
    ));
    assert!(matches!(
        Checkpoint::open(fixture("not there.pth")),
        Err(WeightsError::Io { .. })
    ));
    assert!(matches!(
        Checkpoint::open(fixture("")),
        Err(WeightsError::Directory { .. })
    ));
}

#[test]
fn a_system_call_in_a_pickle_is_a_value_and_does_not_run() {
    let checkpoint = open("hostile_system_call.pth");
    assert_state(&checkpoint, 0);
    assert!(checkpoint.extras().is_empty());
    assert!(!Path::new("ultramotion_was_here").exists());
}

#[test]
fn tensors_become_parameters_under_their_new_names() {
    let engine = Engine::cpu();
    let rename = |name: String, tensor: Tensor| match name.as_str() {
        "head.num_batches_tracked" => Ok(vec![]),
        "head.bias" => {
            let half = |at| tensor.narrow(0, at, 2).map_err(|e| e.to_string());
            Ok(vec![
                ("a.bias".to_owned(), half(0)?),
                ("b.bias".to_owned(), half(2)?),
            ])
        }
        _ => Ok::<_, String>(vec![(format!("model.{name}"), tensor)]),
    };
    let params = open("data_parallel.pth")
        .into_params(&engine, rename)
        .unwrap();
    assert_eq!(
        values(
            &params
                .scope("model")
                .get("backbone.weight", &[2, 3])
                .unwrap()
        ),
        ramp(6, 0)
    );
    assert_eq!(values(&params.get("b.bias", &[2]).unwrap()), ramp(2, 2));
    assert!(
        params
            .finish(|_| false)
            .unwrap_err()
            .to_string()
            .contains("1 tensor is not part of the model: a.bias")
    );

    let error = open("bare.pt")
        .into_params(&engine, |_, tensor| {
            Ok::<_, String>(vec![("same".to_owned(), tensor)])
        })
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("backbone.weight and head.bias both become same"),
        "{error}"
    );
    let error = open("bare.pt")
        .into_params(&engine, |_, _| Err("is not known"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("bare.pt: tensor backbone.weight: is not known"),
        "{error}"
    );
}

#[test]
fn an_inspection_describes_without_loading() {
    let files = ModelRef::parse(fixture("training_protocol5.pt"), None).unwrap();
    let files = files
        .resolve(&Hub::new(HubConfig::from_env().unwrap()), &mut ())
        .unwrap();
    let inspection = inspect(&files.weights).unwrap();
    assert_eq!((inspection.tensors.len(), inspection.parameters), (3, 11));
    assert_eq!(
        inspection.elements,
        BTreeMap::from([(ElementType::F32, 2), (ElementType::I64, 1)])
    );
    assert_eq!(
        inspection.bytes,
        std::fs::metadata(fixture("training_protocol5.pt"))
            .unwrap()
            .len()
    );
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["format"], "torch_zip");
    assert_eq!(json["sub_dictionary"], "ema.module");
    assert_eq!(json["tensor_count"], 3);
    assert_eq!(json["dtypes"], serde_json::json!({ "I64": 1, "F32": 2 }));
    assert_eq!(
        json["extras"]["names"],
        serde_json::json!(["lesion", "needle", "vessel"])
    );
    assert_eq!(
        json["tensors"][0],
        serde_json::json!({ "name": "backbone.weight", "shape": [2, 3], "element": "F32" })
    );
}

/// Numbers that look random and are the same on every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    }

    /// Flips and overwrites some bytes; one time in four removes, repeats or inserts some too, which breaks the offsets
    /// of archives and so ends early.
    fn mutate(&mut self, bytes: &mut Vec<u8>, donor: &[u8]) {
        const TELLING: [u8; 12] = [
            0, 1, 0x7f, 0x80, 0xff, b'(', b'.', b'R', b'h', b'}', 0x85, 0x94,
        ];
        let kinds = if self.roll(4) == 0 { 6 } else { 2 };
        for _ in 0..=self.roll(2) {
            let at = self.roll(bytes.len().max(1));
            match self.roll(kinds) {
                0 => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|b| *b ^= 1 << self.roll(8)),
                1 => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1 + self.roll(8))
                    .for_each(|b| *b = TELLING[self.roll(TELLING.len())]),
                2 => drop(bytes.drain(at..(at + self.roll(16)).min(bytes.len()))),
                3 => {
                    let piece = bytes[at..(at + self.roll(64)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 => {
                    let from = self.roll(donor.len());
                    let piece = donor[from..(from + self.roll(64)).min(donor.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(bytes.len() - self.roll(1 + bytes.len() / 8)),
            }
        }
    }
}

#[test]
fn mutated_files_give_tensors_or_errors_and_never_panic() {
    let names: Vec<PathBuf> = std::fs::read_dir(fixture(""))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let is_checkpoint = |p: &&PathBuf| p.extension().is_some_and(|e| e != "py");
    let mut names: Vec<&PathBuf> = names.iter().filter(is_checkpoint).collect();
    names.sort();
    let files: Vec<Vec<u8>> = names
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let (mut dice, mut opened, mut refused) = (Dice(0x9E37_79B9_7F4A_7C15), 0, 0);
    for round in 0..4000 {
        let path = dir.path().join("mutated.pth");
        let mut bytes = files[round % files.len()].clone();
        let donor = loop {
            let donor = &files[dice.roll(files.len())];
            if !donor.is_empty() {
                break donor;
            }
        };
        dice.mutate(&mut bytes, donor);
        std::fs::write(&path, &bytes).unwrap();
        match Checkpoint::open(&path).and_then(|checkpoint| checkpoint.tensors()) {
            Ok(_) => opened += 1,
            Err(error) => {
                assert!(error.to_string().contains("mutated.pth"));
                refused += 1;
            }
        }
    }
    // Both happen often: neither the front door alone is tried nor what lies behind it.
    assert!(
        opened > 200 && refused > 200,
        "{opened} opened, {refused} refused"
    );
}
