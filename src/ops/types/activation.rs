//! Pointwise functions.

/// A pointwise function applied to a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// None: the identity.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// x·Φ(x) by the error function, not its tanh approximation.
    Gelu,
    /// x·sigmoid(x).
    Silu,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// Held to ± the number.
    Clamp(f32),
}
