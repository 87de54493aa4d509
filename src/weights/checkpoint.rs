//! A checkpoint file: which tensors it has, and reading them.

use super::element::ElementType;
use super::error::{Flaw, WeightsError};
use super::hub::ModelFile;
use super::stored::{self, StoredTensor};
use super::torch::{self, Contents, Extra};
use candle_core::Tensor;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a checkpoint is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointFormat {
    /// A safetensors file.
    Safetensors,
    /// A zip archive that `torch.save` wrote (torch 1.6 on).
    TorchZip,
    /// A row of pickles that `torch.save` wrote (before torch 1.6).
    TorchLegacy,
}

impl CheckpointFormat {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch (zip)",
            Self::TorchLegacy => "PyTorch (before 1.6)",
        }
    }
}

/// Name, shape and type of a tensor in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its shape, outermost axis first.
    pub shape: Vec<usize>,
    /// Type of its elements in the file.
    pub element: ElementType,
}

/// An open checkpoint. Opening reads names, shapes and types; the data of a tensor is read on request.
///
/// Safetensors and both forms of `torch.save` are distinguished by their bytes, not by the file's extension. Pickles are
/// read without executing anything in them.
///
/// Of a pickle the tensors of one dictionary are taken: averaged weights (`ema.module`, `ema`, `ema_state_dict`, `state_dict_ema`),
/// else `model`, `model_state_dict`, `state_dict`, `model_state` or the top level, the first that holds any. A prefix `module.` or
/// `_orig_mod.` that all names have is removed.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: Mutex<Bytes>,
    format: CheckpointFormat,
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
    sub_dictionary: Option<&'static str>,
    prefix: Option<String>,
    extras: BTreeMap<String, Extra>,
}

/// What a checkpoint is read from.
#[derive(Debug)]
enum Bytes {
    File(File),
    Embedded(Cursor<&'static [u8]>),
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Embedded(cursor) => cursor.read(buffer),
        }
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Embedded(cursor) => cursor.seek(to),
        }
    }
}

impl Checkpoint {
    /// Opens `path`.
    ///
    /// # Errors
    /// [`WeightsError::Io`] if it cannot be read, [`WeightsError::Malformed`] if it is damaged or no checkpoint,
    /// [`WeightsError::WholeModule`], [`WeightsError::NoTensors`] or [`WeightsError::Tensor`] if a pickle has no
    /// tensors that can be read. All sizes and offsets are checked here, against the size of the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let fail = |source| WeightsError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            let reason = "is a directory where a checkpoint file is needed".to_owned();
            return Err(WeightsError::Directory {
                path: path.to_owned(),
                reason,
            });
        }
        let len = metadata.len();
        let mut head = Vec::new();
        io::Read::by_ref(&mut file)
            .take(64)
            .read_to_end(&mut head)
            .and_then(|_| file.rewind())
            .map_err(fail)?;
        let malformed = |flaw| WeightsError::Malformed {
            path: path.to_owned(),
            flaw,
        };
        let format = recognise(&head, path).map_err(malformed)?;
        let mut metadata = BTreeMap::new();
        let contents = match format {
            CheckpointFormat::Safetensors => {
                let header = super::safetensors::read_header(&mut file, len).map_err(malformed)?;
                metadata = header.metadata;
                Contents {
                    tensors: header.tensors,
                    sub_dictionary: None,
                    prefix: None,
                    extras: BTreeMap::new(),
                }
            }
            CheckpointFormat::TorchZip => torch::read_zip(path, &file, len)?,
            CheckpointFormat::TorchLegacy => torch::read_legacy(path, &file, len)?,
        };
        let Contents {
            tensors,
            sub_dictionary,
            prefix,
            extras,
        } = contents;
        let file = Mutex::new(Bytes::File(file));
        Ok(Self {
            path: path.to_owned(),
            file,
            format,
            tensors,
            metadata,
            sub_dictionary,
            prefix,
            extras,
        })
    }

    /// Opens a file of a model, on disk or in the program.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn of(file: &ModelFile) -> Result<Self, WeightsError> {
        let Some(content) = file.content else {
            return Self::open(&file.path);
        };
        let mut cursor = Cursor::new(content);
        let header = super::safetensors::read_header(&mut cursor, file.bytes);
        let header = header.map_err(|flaw| WeightsError::Malformed {
            path: file.path.clone(),
            flaw,
        })?;
        Ok(Self {
            path: file.path.clone(),
            file: Mutex::new(Bytes::Embedded(cursor)),
            format: CheckpointFormat::Safetensors,
            tensors: header.tensors,
            metadata: header.metadata,
            sub_dictionary: None,
            prefix: None,
            extras: BTreeMap::new(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is stored.
    pub fn format(&self) -> CheckpointFormat {
        self.format
    }

    /// Names, shapes and types of all tensors, by name.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = TensorInfo> {
        let info = |(name, stored): (&String, &StoredTensor)| TensorInfo {
            name: name.clone(),
            shape: stored.shape.clone(),
            element: stored.element,
        };
        self.tensors.iter().map(info)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of the tensor `name`, outermost axis first.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// Safetensors' own metadata; empty for other formats.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Dotted path of the dictionary in a pickle that the tensors were taken from; none for its top level and for safetensors.
    pub fn sub_dictionary(&self) -> Option<&str> {
        self.sub_dictionary
    }

    /// Prefix (`module.`, `_orig_mod.`) that all names had and that was removed.
    pub fn removed_prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Plain values at the top level of a pickle and in its dictionaries `meta` and `hyper_parameters` (class names, epoch, image size),
    /// by key (`names`, `meta.img_size`); empty for safetensors.
    pub fn extras(&self) -> &BTreeMap<String, Extra> {
        &self.extras
    }

    /// Reads the tensor `name` to the CPU in its own type, or the next wider one where Candle has no such type
    /// ([`ElementType::tensor_type`]).
    ///
    /// # Errors
    /// [`WeightsError::NoTensor`], [`WeightsError::Io`], or [`WeightsError::Tensor`] for a type that cannot be converted.
    pub fn tensor(&self, name: &str) -> Result<Tensor, WeightsError> {
        let stored = self.tensors.get(name);
        let stored = stored.ok_or_else(|| WeightsError::NoTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })?;
        self.load(name, stored)
    }

    /// Reads all tensors to the CPU.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>, WeightsError> {
        self.tensors
            .iter()
            .map(|(name, stored)| Ok((name.clone(), self.load(name, stored)?)))
            .collect()
    }

    fn load(&self, name: &str, stored: &StoredTensor) -> Result<Tensor, WeightsError> {
        let fail = |reason| WeightsError::Tensor {
            path: self.path.clone(),
            name: name.to_owned(),
            reason,
        };
        let read = stored.read(&mut *self.file());
        let bytes = read.map_err(|source| WeightsError::Io {
            path: self.path.clone(),
            source,
        })?;
        stored::to_tensor(stored.element, &stored.shape, &bytes).map_err(fail)
    }

    fn file(&self) -> MutexGuard<'_, Bytes> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The format that the first bytes of a file say.
fn recognise(head: &[u8], path: &Path) -> Result<CheckpointFormat, Flaw> {
    const CHECKPOINTS: &str =
        "checkpoints are read as safetensors or as files of torch.save (.pth, .pt)";
    let text = head.trim_ascii_start().to_ascii_lowercase();
    match head {
        [] => Err(Flaw::new("it is empty")),
        [b'P', b'K', 3, 4, ..] => Ok(CheckpointFormat::TorchZip),
        [0x80, 0..=5, ..] => Ok(CheckpointFormat::TorchLegacy),
        [_, _, _, _, _, _, _, _, b'{', ..] => Ok(CheckpointFormat::Safetensors),
        _ if text.starts_with(b"version https://git-lfs") => Err(Flaw::with_advice(
            "it is a Git LFS pointer, not the file itself",
            "fetch the file with `git lfs pull`",
        )),
        _ if text.starts_with(b"<!doctype") || text.starts_with(b"<html") => {
            Err(Flaw::with_advice(
                "it is a web page, not a checkpoint",
                "download the file itself, by its resolve/ address on the hub",
            ))
        }
        [0x89, b'H', b'D', b'F', ..] => {
            Err(Flaw::with_advice("it is an HDF5 file (Keras)", CHECKPOINTS))
        }
        [b'G', b'G', b'U', b'F', ..] => Err(Flaw::with_advice("it is a GGUF file", CHECKPOINTS)),
        _ if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("onnx")) =>
        {
            Err(Flaw::with_advice("it is an ONNX file", CHECKPOINTS))
        }
        _ if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) =>
        {
            Err(Flaw::new("it does not begin with a safetensors header"))
        }
        _ => Err(Flaw::with_advice(
            "its first bytes are those of no checkpoint",
            CHECKPOINTS,
        )),
    }
}
