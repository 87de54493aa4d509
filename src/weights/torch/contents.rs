//! What reading a file of `torch.save` gives.

use super::extras::Extra;
use crate::weights::stored::StoredTensor;
use std::collections::BTreeMap;

/// What a torch file holds, without the data of its tensors.
pub(in crate::weights) struct Contents {
    pub(in crate::weights) tensors: BTreeMap<String, StoredTensor>,
    /// Dotted path of the dictionary the tensors were taken from; none at the top level.
    pub(in crate::weights) sub_dictionary: Option<&'static str>,
    /// Prefix that all names had and that was removed.
    pub(in crate::weights) prefix: Option<String>,
    pub(in crate::weights) extras: BTreeMap<String, Extra>,
}
