//! Selectors of lists: by label, by field (contract rules 92, 221, 222, 227).

mod fields;
mod labels;

pub(super) use fields::FieldSelector;
pub(super) use labels::LabelSelector;
