//! CRC-64 of bodies: ECMA-182, not reflected, begun with 0, nothing added.

use crc_fast::{CrcAlgorithm, Digest};

/// A check sum that grows with the bytes.
pub(super) struct Crc(Digest);

impl Crc {
    pub(super) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Ecma182))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, from the definition.
    fn slow(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ (u64::from(byte) << 56), |crc, _| {
                (crc << 1)
                    ^ if crc >> 63 == 1 {
                        0x42F0_E1EB_A9EA_3693
                    } else {
                        0
                    }
            })
        })
    }

    fn of(bytes: &[u8]) -> u64 {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.value()
    }

    #[test]
    fn the_check_value_is_that_of_the_catalogue() {
        assert_eq!(of(b"123456789"), 0x6c40_df5f_0b49_7347);
        assert_eq!(of(b""), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_sum_of_the_definition(
            bytes in proptest::collection::vec(any::<u8>(), 0..700), cut in 0..700usize
        ) {
            let cut = cut.min(bytes.len());
            let mut crc = Crc::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            prop_assert_eq!(crc.value(), slow(&bytes));
        }
    }
}
