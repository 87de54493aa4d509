//! t
use crate::{frame::Frame, geometry::BoxXyxy};
use super::Classes;
/// t
#[derive(Debug, Clone)]
pub struct BoxPrompt {
/// t
pub bbox: BoxXyxy,
/// t
pub score: f32,
/// t
pub class: u32,
/// t
pub label: std::sync::Arc<str> }
/// t
#[derive(Debug, Clone)]
pub struct BoxPrompts;
impl BoxPrompts {
/// t
pub fn of(&self, _f: &Frame) -> &[BoxPrompt] { &[] }
/// t
pub fn classes(&self) -> &Classes { todo!() }
}
