//! Files as `torch.save` writes them (zip, protocol 2), for tests.

use std::{fs::File, io::Write, path::Path};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// What a checkpoint is made of.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A tensor of f32: shape and values.
    Tensor(Vec<usize>, Vec<f32>),
    /// A dictionary with texts or integers as keys.
    Dict(Vec<(Value, Value)>),
    /// A list.
    List(Vec<Value>),
    /// A text.
    Text(String),
    /// An integer.
    Int(i32),
    /// `True` or `False`.
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A dictionary with texts as keys.
pub(crate) fn dict<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dict(entries.map(|(key, value)| (key.into(), value)).into())
}

/// Writes `value` to `path`.
pub(crate) fn write(path: &Path, value: &Value) {
    let (mut pickle, mut storages) = (vec![0x80, 2], Vec::new());
    put(value, &mut pickle, &mut storages);
    pickle.push(b'.');
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut entry = |name: String, bytes: &[u8]| {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    };
    entry("archive/data.pkl".to_owned(), &pickle);
    entry("archive/byteorder".to_owned(), b"little");
    for (i, values) in storages.iter().enumerate() {
        entry(format!("archive/data/{i}"), values);
    }
    entry("archive/version".to_owned(), b"3\n");
    zip.finish().unwrap();
}

fn put(value: &Value, out: &mut Vec<u8>, storages: &mut Vec<Vec<u8>>) {
    match value {
        Value::Tensor(shape, values) => tensor(shape, values, out, storages),
        Value::Dict(entries) => {
            out.extend(b"}(");
            for (key, value) in entries {
                put(key, out, storages);
                put(value, out, storages);
            }
            out.push(b'u');
        }
        Value::List(items) => {
            out.extend(b"](");
            items.iter().for_each(|item| put(item, out, storages));
            out.push(b'e');
        }
        Value::Text(text) => unicode(text, out),
        Value::Int(number) => int(*number, out),
        Value::Flag(flag) => out.push(if *flag { 0x88 } else { 0x89 }),
    }
}

fn unicode(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(number: i32, out: &mut Vec<u8>) {
    out.push(b'J');
    out.extend(number.to_le_bytes());
}

fn tensor(shape: &[usize], values: &[f32], out: &mut Vec<u8>, storages: &mut Vec<Vec<u8>>) {
    let tuple = |numbers: &[usize], out: &mut Vec<u8>| {
        out.push(b'(');
        numbers.iter().for_each(|&n| int(n as i32, out));
        out.push(b't');
    };
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    unicode("storage", out);
    out.extend(b"ctorch\nFloatStorage\n");
    unicode(&storages.len().to_string(), out);
    unicode("cpu", out);
    int(values.len() as i32, out);
    out.extend(b"tQ");
    int(0, out);
    tuple(shape, out);
    let strides: Vec<usize> = (0..shape.len())
        .map(|axis| shape[axis + 1..].iter().product())
        .collect();
    tuple(&strides, out);
    out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    storages.push(values.iter().flat_map(|v| v.to_le_bytes()).collect());
}
