//! Selectors of lists: by label, by field (contract rules 92, 221, 222, 227).

mod labels;

pub(super) use crate::request::FieldSelector;
pub(crate) use labels::LabelSelector;
