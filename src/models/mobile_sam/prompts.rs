//! What the user or the detector points at, checked and packed for the device.

use crate::geometry::BoxXyxy;
use candle_core::{Result as TensorResult, Tensor};

use super::dimensions::MASK_SIDE;

/// Whether a point lies on the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointLabel {
    /// Label 0: the point is not on the object.
    Background,
    /// Label 1: the point is on the object.
    Foreground,
}

impl TryFrom<i64> for PointLabel {
    type Error = PromptError;

    fn try_from(label: i64) -> Result<Self, PromptError> {
        match label {
            0 => Ok(Self::Background),
            1 => Ok(Self::Foreground),
            _ => Err(PromptError::Label(label)),
        }
    }
}

/// A point in pixels of the model's input, with its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointPrompt {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
    /// On the object or beside it.
    pub label: PointLabel,
}

/// All prompts for one object, in pixels of the model's input (1024×1024): a box, points, or both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObjectPrompt {
    /// The object's box.
    pub bounds: Option<BoxXyxy>,
    /// Points on it and beside it, in the order given (the order has no effect but on rounding).
    pub points: Vec<PointPrompt>,
}

impl ObjectPrompt {
    /// A box.
    pub fn from_box(bounds: BoxXyxy) -> Self {
        Self {
            bounds: Some(bounds),
            points: Vec::new(),
        }
    }

    /// Points.
    pub fn from_points(points: Vec<PointPrompt>) -> Self {
        Self {
            bounds: None,
            points,
        }
    }

    /// Tokens in the decoder: points, then the corners of the box or, without one, a token that stands for its absence.
    fn tokens(&self) -> usize {
        self.points.len() + if self.bounds.is_some() { 2 } else { 1 }
    }

    fn check(&self, object: usize) -> Result<(), PromptError> {
        if self.bounds.is_none() && self.points.is_empty() {
            return Err(PromptError::Empty { object });
        }
        if let Some(bounds) = self.bounds.filter(|b| !b.is_valid()) {
            return Err(PromptError::Box { object, bounds });
        }
        match self
            .points
            .iter()
            .find(|p| !p.x.is_finite() || !p.y.is_finite())
        {
            Some(p) => Err(PromptError::Point {
                object,
                x: p.x,
                y: p.y,
            }),
            None => Ok(()),
        }
    }

    fn pack(&self, values: &mut Vec<f32>) {
        let mut push = |x: f32, y: f32, kind: usize| {
            let mut row = [0.0; TOKEN_WIDTH];
            (row[0], row[1]) = (x, y);
            row[2 + kind] = 1.0;
            values.extend(row);
        };
        for p in &self.points {
            push(
                p.x,
                p.y,
                if p.label == PointLabel::Foreground {
                    FOREGROUND
                } else {
                    BACKGROUND
                },
            );
        }
        match self.bounds {
            Some(b) => {
                push(b.x0, b.y0, UPPER_LEFT);
                push(b.x1, b.y1, LOWER_RIGHT);
            }
            None => push(0.0, 0.0, NOT_A_POINT),
        }
    }
}

/// Prompts that cannot be decoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PromptError {
    /// No prompt at all for an object.
    #[error("prompt {object}: has neither box nor points; give at least one of them")]
    Empty {
        /// Place in the list, from 0.
        object: usize,
    },
    /// A box without extent or with coordinates that are not numbers.
    #[error("prompt {object}: box {},{},{},{} has no extent or is not finite; give x0,y0,x1,y1 with x0 < x1 and y0 < y1", bounds.x0, bounds.y0, bounds.x1, bounds.y1)]
    Box {
        /// Place in the list, from 0.
        object: usize,
        /// The box.
        bounds: BoxXyxy,
    },
    /// A point with coordinates that are not numbers.
    #[error("prompt {object}: point {x},{y} is not finite; give two numbers in pixels")]
    Point {
        /// Place in the list, from 0.
        object: usize,
        /// To the right.
        x: f32,
        /// Down.
        y: f32,
    },
    /// A label other than 0 and 1.
    #[error("{0}: not a point's label; use 1 for a point on the object, 0 for one beside it")]
    Label(i64),
    /// A tensor of prompts has another shape.
    #[error("{what}: has shape {found:?}, MobileSAM takes {expected}")]
    Shape {
        /// Which one.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: String,
    },
}

/// Numbers of a packed token: x, y, and which of the five kinds below it is (one 1, four 0).
pub const TOKEN_WIDTH: usize = 7;
/// A place holder for an absent box: label -1 in the authors' code.
pub(super) const NOT_A_POINT: usize = 0;
const BACKGROUND: usize = 1;
const FOREGROUND: usize = 2;
/// The box corners: labels 2 and 3 in the authors' code.
pub(super) const UPPER_LEFT: usize = 3;
const LOWER_RIGHT: usize = 4;

/// Objects with the same number of tokens, packed on the host, which one upload brings to the device.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedPrompts {
    objects: Vec<usize>,
    values: Vec<f32>,
    tokens: usize,
}

impl PackedPrompts {
    /// Checks the prompts and groups them by number of tokens: objects with different numbers cannot share a batch without
    /// changing each other's masks. Groups are in the order of their first object.
    ///
    /// # Errors
    /// The first of `prompts` that is empty, not finite or a box without extent.
    pub fn pack(prompts: &[ObjectPrompt]) -> Result<Vec<Self>, PromptError> {
        let mut groups: Vec<Self> = Vec::new();
        for (object, prompt) in prompts.iter().enumerate() {
            prompt.check(object)?;
            let tokens = prompt.tokens();
            let at = groups
                .iter()
                .position(|g| g.tokens == tokens)
                .unwrap_or_else(|| {
                    groups.push(Self {
                        objects: Vec::new(),
                        values: Vec::new(),
                        tokens,
                    });
                    groups.len() - 1
                });
            if let Some(group) = groups.get_mut(at) {
                group.objects.push(object);
                prompt.pack(&mut group.values);
            }
        }
        Ok(groups)
    }

    /// Places of the objects in the list that was packed, in this batch's order.
    pub fn objects(&self) -> &[usize] {
        &self.objects
    }

    /// The batch's numbers and their shape, of which [`Prompts::from_packed`] takes the tensor.
    pub fn values(&self) -> (&[f32], [usize; 3]) {
        (&self.values, [self.objects.len(), self.tokens, TOKEN_WIDTH])
    }
}

/// A batch of N objects' prompts on the device, with the same number of tokens each.
#[derive(Debug, Clone)]
pub struct Prompts {
    pub(super) sparse: Sparse,
    /// `[N, 1, 256, 256]`.
    pub(super) masks: Option<Tensor>,
    len: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Sparse {
    /// `[N, 4]`.
    Boxes(Tensor),
    /// `[N, tokens, TOKEN_WIDTH]`.
    Tokens(Tensor),
}

impl Prompts {
    /// Boxes that are on the device already, for instance a detector's: `[N, 4]` f32, x0, y0, x1, y1 in pixels of the model's
    /// input. Their values are not looked at: a box that is not finite gives a mask that is not.
    ///
    /// # Errors
    /// [`PromptError::Shape`].
    pub fn from_boxes(boxes: &Tensor) -> Result<Self, PromptError> {
        match boxes.dims() {
            &[len, 4] => Ok(Self {
                sparse: Sparse::Boxes(boxes.clone()),
                masks: None,
                len,
            }),
            _ => Err(shape("boxes", boxes, "[N, 4]".to_owned())),
        }
    }

    /// Packed prompts that are on the device already: the numbers of [`PackedPrompts::values`] in their shape, f32.
    ///
    /// # Errors
    /// [`PromptError::Shape`].
    pub fn from_packed(tokens: &Tensor) -> Result<Self, PromptError> {
        match tokens.dims() {
            &[len, _, TOKEN_WIDTH] => Ok(Self {
                sparse: Sparse::Tokens(tokens.clone()),
                masks: None,
                len,
            }),
            _ => Err(shape(
                "packed prompts",
                tokens,
                format!("[N, tokens, {TOKEN_WIDTH}]"),
            )),
        }
    }

    /// The same prompts with a mask for each object: logits `[N, 1, 256, 256]` f32 over the model's padded input, such as an earlier
    /// [`super::MaskOutput::low_res_masks`].
    ///
    /// # Errors
    /// [`PromptError::Shape`], also for another number of objects.
    pub fn with_masks(self, masks: &Tensor) -> Result<Self, PromptError> {
        if masks.dims() != [self.len, 1, MASK_SIDE, MASK_SIDE] {
            return Err(shape(
                "mask prompts",
                masks,
                format!("[{}, 1, {MASK_SIDE}, {MASK_SIDE}]", self.len),
            ));
        }
        Ok(Self {
            masks: Some(masks.clone()),
            ..self
        })
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The objects from `first` on, `len` of them.
    pub(super) fn narrow(&self, first: usize, len: usize) -> TensorResult<Self> {
        let part = |t: &Tensor| t.narrow(0, first, len);
        let sparse = match &self.sparse {
            Sparse::Boxes(boxes) => Sparse::Boxes(part(boxes)?),
            Sparse::Tokens(tokens) => Sparse::Tokens(part(tokens)?),
        };
        Ok(Self {
            sparse,
            masks: self.masks.as_ref().map(part).transpose()?,
            len,
        })
    }
}

fn shape(what: &'static str, tensor: &Tensor, expected: String) -> PromptError {
    PromptError::Shape {
        what,
        found: tensor.dims().to_vec(),
        expected,
    }
}

#[cfg(test)]
mod tests;
