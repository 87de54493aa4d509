//! What the calls that rebuild tensors in torch pickles describe.

use super::storages::Storages;
use crate::weights::element::ElementType;
use crate::weights::error::Flaw;
use crate::weights::pickle::{Global, Graph, Id, Node};
use crate::weights::stored::StoredTensor;

/// A reference to a storage: `("storage", class, key, location, length)`.
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    /// None for untyped storages.
    pub(super) element: Option<ElementType>,
}

/// How many calls may be wrapped around the one that rebuilds the tensor (parameters, subclasses).
const MAX_WRAPPERS: usize = 4;

/// The tensor that `id` stands for, or none where it is something else.
pub(super) fn tensor(
    graph: &Graph,
    id: Id,
    storages: &Storages,
) -> Result<Option<StoredTensor>, Flaw> {
    let Some((function, args)) = rebuild_call(graph, id) else {
        return Ok(None);
    };
    match function.name.as_str() {
        "_rebuild_tensor" | "_rebuild_tensor_v2" => rebuild(graph, args, None, storages).map(Some),
        "_rebuild_tensor_v3" => {
            let dtype = args
                .get(6)
                .and_then(|id| graph.global(*id))
                .filter(|g| g.module == "torch");
            let element = dtype.and_then(|g| ElementType::from_torch_dtype(&g.name));
            let element = element.ok_or_else(|| {
                unsupported(&dtype.map_or_else(|| "an unknown type".to_owned(), |g| g.name.clone()))
            })?;
            rebuild(graph, args, Some(element), storages).map(Some)
        }
        other => Err(unsupported(other.trim_start_matches("_rebuild_"))),
    }
}

/// Whether `id` is a tensor of any kind, readable or not.
pub(super) fn is_tensor(graph: &Graph, id: Id) -> bool {
    rebuild_call(graph, id).is_some()
}

fn unsupported(kind: &str) -> Flaw {
    Flaw::with_advice(
        format!("is a tensor of a kind that is not supported ({kind})"),
        "save dense tensors of a float or integer type",
    )
}

/// Function and arguments of the innermost `torch._utils._rebuild_*` call at `id`.
fn rebuild_call(graph: &Graph, id: Id) -> Option<(&Global, &[Id])> {
    let (mut callable, mut args) = call(graph, id)?;
    for _ in 0..MAX_WRAPPERS {
        match (callable.module.as_str(), callable.name.as_str()) {
            // (parameter, requires_grad, hooks, …)
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                (callable, args) = call(graph, *args.first()?)?
            }
            // (function, type, arguments, state)
            ("torch._tensor", "_rebuild_from_type_v2")
            | ("torch._utils", "_rebuild_from_type_v2") => {
                callable = graph.global(*args.first()?)?;
                args = graph.tuple(*args.get(2)?)?;
            }
            ("torch._utils", name) if name.starts_with("_rebuild_") => {
                return Some((callable, args));
            }
            _ => return None,
        }
    }
    None
}

fn call(graph: &Graph, id: Id) -> Option<(&Global, &[Id])> {
    let Node::Object(object) = graph.node(id) else {
        return None;
    };
    Some((graph.global(object.callable)?, graph.tuple(object.args)?))
}

/// From (storage, offset, size, stride, …), offset and strides in elements.
fn rebuild(
    graph: &Graph,
    args: &[Id],
    element: Option<ElementType>,
    storages: &Storages,
) -> Result<StoredTensor, Flaw> {
    let [storage_id, offset, size, stride, ..] = args else {
        return Err(Flaw::new("is described with too few arguments"));
    };
    let Node::Persistent(reference) = graph.node(*storage_id) else {
        return Err(Flaw::new("has no storage"));
    };
    let storage = storage(graph, *reference)?;
    let element = element
        .or(storage.element)
        .ok_or_else(|| Flaw::new("has an untyped storage and no type"))?;
    let offset = graph
        .size(*offset)
        .ok_or_else(|| Flaw::new("has a malformed offset"))?;
    let shape = sizes(graph, *size).ok_or_else(|| Flaw::new("has a malformed size"))?;
    let strides = sizes(graph, *stride).ok_or_else(|| Flaw::new("has malformed strides"))?;
    let region = storages.regions.get(storage.key).copied();
    let region = region.ok_or_else(|| {
        Flaw::new(format!(
            "refers to storage {}, which is not in the file",
            storage.key
        ))
    })?;
    StoredTensor::new(element, shape, strides, offset, region, storages.big_endian)
}

/// A tuple of sizes, or `torch.Size` of one.
fn sizes(graph: &Graph, id: Id) -> Option<Vec<usize>> {
    let tuple = match graph.node(id) {
        Node::Object(object) => graph.tuple(*graph.tuple(object.args)?.first()?)?,
        _ => graph.tuple(id)?,
    };
    tuple.iter().map(|id| graph.size(*id)).collect()
}

/// Reads a persistent reference.
pub(super) fn storage(graph: &Graph, reference: Id) -> Result<Storage<'_>, Flaw> {
    let malformed = || Flaw::new("its pickle has a malformed reference to a storage");
    let fields = graph.tuple(reference).ok_or_else(malformed)?;
    let [kind, class, key, _location, _length, rest @ ..] = fields else {
        return Err(malformed());
    };
    if graph.text(*kind) != Some("storage") {
        return Err(malformed());
    }
    if rest
        .first()
        .is_some_and(|view| !matches!(graph.node(*view), Node::None))
    {
        return Err(Flaw::with_advice(
            "it has views of storages, as torch before 0.4 wrote",
            "load it with torch and save it again",
        ));
    }
    let key = graph.text(*key).ok_or_else(malformed)?;
    let class = graph.global(*class).ok_or_else(malformed)?.name.as_str();
    if matches!(class, "UntypedStorage" | "_UntypedStorage") {
        return Ok(Storage { key, element: None });
    }
    let element = ElementType::from_torch_storage(class).ok_or_else(|| unsupported(class))?;
    Ok(Storage {
        key,
        element: Some(element),
    })
}
