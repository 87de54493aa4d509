//! Data sets, element by element.

use super::{
    codes::Code,
    value::{clean, decimal},
};
use dicom_core::{
    DataElement, PrimitiveValue, Tag, VR,
    value::{C, DataSetSequence},
};
use dicom_object::InMemDicomObject;

/// A data set or an item that is being built.
#[derive(Debug, Clone)]
pub(super) struct Build(InMemDicomObject);

impl Build {
    pub(super) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// The data set.
    pub(super) fn done(self) -> InMemDicomObject {
        self.0
    }

    fn put(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self {
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    /// A value without text: zero length.
    pub(super) fn empty(self, tag: Tag, vr: VR) -> Self {
        self.put(tag, vr, PrimitiveValue::Empty)
    }

    /// One value, as far as its VR allows it.
    pub(super) fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        let text = clean(vr, text);
        match text.is_empty() {
            true => self.empty(tag, vr),
            false => self.put(tag, vr, PrimitiveValue::from(text)),
        }
    }

    pub(super) fn uid(self, tag: Tag, uid: &str) -> Self {
        self.put(tag, VR::UI, PrimitiveValue::from(uid))
    }

    /// Several defined terms.
    pub(super) fn terms(self, tag: Tag, terms: &[&str]) -> Self {
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        self.put(tag, VR::CS, PrimitiveValue::Strs(terms))
    }

    pub(super) fn int(self, tag: Tag, value: u64) -> Self {
        self.put(tag, VR::IS, PrimitiveValue::from(value.to_string()))
    }

    pub(super) fn words(self, tag: Tag, values: &[u16]) -> Self {
        self.put(
            tag,
            VR::US,
            PrimitiveValue::U16(values.iter().copied().collect()),
        )
    }

    pub(super) fn longs(self, tag: Tag, values: &[u32]) -> Self {
        self.put(
            tag,
            VR::UL,
            PrimitiveValue::U32(values.iter().copied().collect()),
        )
    }

    pub(super) fn decimals(self, tag: Tag, values: &[f64]) -> Self {
        let values = values.iter().map(|v| decimal(*v)).collect();
        self.put(tag, VR::DS, PrimitiveValue::Strs(values))
    }

    pub(super) fn tag(self, tag: Tag, value: Tag) -> Self {
        self.put(tag, VR::AT, PrimitiveValue::from(value))
    }

    pub(super) fn items(mut self, tag: Tag, items: impl IntoIterator<Item = Build>) -> Self {
        let items: C<InMemDicomObject> = items.into_iter().map(Build::done).collect();
        let element = DataElement::new(tag, VR::SQ, DataSetSequence::from(items));
        self.0.put(element);
        self
    }

    pub(super) fn item(self, tag: Tag, item: Build) -> Self {
        self.items(tag, [item])
    }

    /// A sequence of one code.
    pub(super) fn code(self, tag: Tag, code: &Code) -> Self {
        self.coded(tag, &code.value, &code.scheme, &code.meaning)
    }

    pub(super) fn coded(self, tag: Tag, value: &str, scheme: &str, meaning: &str) -> Self {
        use dicom_dictionary_std::tags;
        let item = Self::new()
            .text(tags::CODE_VALUE, VR::SH, value)
            .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme)
            .text(tags::CODE_MEANING, VR::LO, meaning);
        self.item(tag, item)
    }
}
