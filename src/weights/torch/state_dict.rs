//! Finding the dictionary of tensors in what a training script saved.

use super::contents::Contents;
use super::storages::Storages;
use super::{extras, tensor};
use crate::weights::error::{Flaw, WeightsError};
use crate::weights::pickle::{Graph, Id, Node};
use crate::weights::stored::StoredTensor;
use std::collections::BTreeMap;
use std::path::Path;

/// Where tensors are looked for, best first: averaged weights before raw ones, wrapped before bare.
const PLACES: [(&str, &[&str]); 8] = [
    ("ema.module", &["ema", "module"]),
    ("ema", &["ema"]),
    ("ema_state_dict", &["ema_state_dict"]),
    ("state_dict_ema", &["state_dict_ema"]),
    ("model", &["model"]),
    ("model_state_dict", &["model_state_dict"]),
    ("state_dict", &["state_dict"]),
    ("model_state", &["model_state"]),
];

/// Prefixes that wrappers around a model (data parallel, compiled) put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// All tensors together may have this many times the bytes of the file (tied weights are stored once and named
/// several times) plus [`SLACK`]: without a bound, a view with stride 0 could ask for any amount of memory.
const MAX_SHARING: u64 = 16;
const SLACK: u64 = 16 << 20;

pub(super) fn extract(
    path: &Path,
    graph: &Graph,
    storages: &Storages,
) -> Result<Contents, WeightsError> {
    let (dictionary, sub_dictionary) = find(path, graph)?;
    let mut tensors = BTreeMap::new();
    for (key, value) in graph.entries(dictionary).unwrap_or_default() {
        let Some(name) = graph.text(*key) else {
            continue;
        };
        let read = tensor::tensor(graph, *value, storages);
        let fail = |flaw: Flaw| WeightsError::Tensor {
            path: path.to_owned(),
            name: name.to_owned(),
            reason: flaw.to_string(),
        };
        if let Some(stored) = read.map_err(fail)? {
            tensors.insert(name.to_owned(), stored);
        }
    }
    bound(path, &tensors, storages.file_len)?;
    let (tensors, prefix) = unwrap_names(tensors);
    Ok(Contents {
        tensors,
        sub_dictionary,
        prefix,
        extras: extras::collect(graph),
    })
}

fn find(path: &Path, graph: &Graph) -> Result<(Id, Option<&'static str>), WeightsError> {
    let has_tensors = |id: Id| {
        let entries = graph.entries(id).unwrap_or_default();
        entries
            .iter()
            .any(|(key, value)| graph.text(*key).is_some() && tensor::is_tensor(graph, *value))
    };
    let whole = |id: Id| {
        module_class(graph, id).map_or(Ok(()), |class| {
            Err(WeightsError::WholeModule {
                path: path.to_owned(),
                class,
            })
        })
    };
    for (name, keys) in PLACES {
        let Some(id) = keys
            .iter()
            .try_fold(graph.root, |id, key| graph.get(id, key))
        else {
            continue;
        };
        if has_tensors(id) {
            return Ok((id, Some(name)));
        }
    }
    if has_tensors(graph.root) {
        return Ok((graph.root, None));
    }
    whole(graph.root)?;
    for (_, keys) in PLACES {
        if let Some(id) = keys
            .iter()
            .try_fold(graph.root, |id, key| graph.get(id, key))
        {
            whole(id)?;
        }
    }
    Err(WeightsError::NoTensors {
        path: path.to_owned(),
        keys: describe(graph),
    })
}

/// The class of a pickled `torch.nn.Module`, or of another object that stands where a dictionary should.
fn module_class(graph: &Graph, id: Id) -> Option<String> {
    let Node::Object(object) = graph.node(id) else {
        return None;
    };
    let state = object.state?;
    let module = ["_modules", "_parameters"]
        .iter()
        .any(|key| graph.get(state, key).is_some());
    module.then(|| graph.class(id).unwrap_or_else(|| "module".to_owned()))
}

fn describe(graph: &Graph) -> Vec<String> {
    match graph.entries(graph.root) {
        Some(entries) => entries
            .iter()
            .filter_map(|(key, _)| graph.text(*key))
            .take(100)
            .map(str::to_owned)
            .collect(),
        None if tensor::is_tensor(graph, graph.root) => {
            vec!["a single tensor without a name".to_owned()]
        }
        None => match graph.node(graph.root) {
            Node::List(_) | Node::Tuple(_) => vec!["a list".to_owned()],
            _ => graph
                .class(graph.root)
                .map(|class| format!("a {class} object"))
                .into_iter()
                .collect(),
        },
    }
}

fn bound(
    path: &Path,
    tensors: &BTreeMap<String, StoredTensor>,
    file_len: u64,
) -> Result<(), WeightsError> {
    let limit = file_len.saturating_mul(MAX_SHARING).saturating_add(SLACK);
    let mut total = 0u64;
    for (name, stored) in tensors {
        total = total.saturating_add(
            stored
                .logical_bytes()
                .map_or(u64::MAX, |bytes| bytes as u64),
        );
        if total > limit {
            let reason = format!(
                "with shape {:?} the tensors take more than {MAX_SHARING} times the bytes of the file ({file_len}); \
                 save them as dense tensors: {{k: v.contiguous() for k, v in model.state_dict().items()}}",
                stored.shape
            );
            return Err(WeightsError::Tensor {
                path: path.to_owned(),
                name: name.clone(),
                reason,
            });
        }
    }
    Ok(())
}

/// Removes prefixes of wrappers where every name has them.
fn unwrap_names(
    mut tensors: BTreeMap<String, StoredTensor>,
) -> (BTreeMap<String, StoredTensor>, Option<String>) {
    let mut removed = String::new();
    while let Some(prefix) = WRAPPERS.iter().find(|p| {
        !tensors.is_empty()
            && tensors
                .keys()
                .all(|k| k.len() > p.len() && k.starts_with(**p))
    }) {
        tensors = tensors
            .into_iter()
            .map(|(name, stored)| (name.split_at(prefix.len()).1.to_owned(), stored))
            .collect();
        removed.push_str(prefix);
    }
    (tensors, (!removed.is_empty()).then_some(removed))
}
