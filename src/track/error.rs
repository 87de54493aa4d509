//! What can be wrong with the options of a tracker.

/// Why a tracker cannot work with its options.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// A number is outside its range, or not a number.
    #[error("{name} of {value}; use {range}")]
    Range {
        /// The option's field.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is accepted.
        range: &'static str,
    },
    /// Two numbers are in the wrong order.
    #[error("{lower} of {low} above {upper} of {high}; lower the first or raise the second")]
    Order {
        /// The field of the number that has to be the lower one.
        lower: &'static str,
        /// Its value.
        low: f64,
        /// The field of the number that has to be the higher one.
        upper: &'static str,
        /// Its value.
        high: f64,
    },
}
