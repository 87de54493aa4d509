//! Which layouts can be shown.

use super::{
    fault::Fault,
    layout::{Format, Layout, Photometric, compression},
};

impl Layout {
    pub(super) fn check(&self) -> Result<(), Fault> {
        let unread = |what: String| Err(Fault::Unread(what));
        if self.samples < self.colours() {
            return Err(Fault::Damaged(format!(
                "it has {} samples a pixel where its colours need {}",
                self.samples,
                self.colours()
            )));
        }
        match (self.format, self.bits) {
            (Format::Unsigned, 1..=16 | 32 | 64)
            | (Format::Signed, 8 | 16 | 32 | 64)
            | (Format::Float, 16 | 32 | 64) => {}
            (Format::Unsigned, n) => return unread(format!("it has {n} bits a sample")),
            (Format::Signed, n) => return unread(format!("it has signed samples of {n} bits")),
            (Format::Float, n) => {
                return unread(format!("it has floating-point samples of {n} bits"));
            }
        }
        if !matches!(self.bits, 8 | 16 | 32 | 64) && self.predictor != 1 {
            return unread(format!(
                "it has a predictor over samples of {} bits",
                self.bits
            ));
        }
        self.check_colours()?;
        if self.reversed && !matches!(self.compression, compression::NONE..=compression::CCITT_G4) {
            return unread(
                "its compressed data have their bits in reverse order (FillOrder 2)".to_owned(),
            );
        }
        if matches!(
            self.compression,
            compression::CCITT_RLE..=compression::CCITT_G4
        ) && (self.bits, self.samples) != (1, 1)
        {
            return Err(Fault::Damaged(
                "it is compressed as fax, yet has more than one bit a pixel".to_owned(),
            ));
        }
        Ok(())
    }

    fn check_colours(&self) -> Result<(), Fault> {
        let unread = |what: String| Err(Fault::Unread(what));
        let (bits, whole_numbers) = (self.bits, self.format == Format::Unsigned);
        match &self.photometric {
            Photometric::Palette(map) if !whole_numbers || bits > 16 || map.len() < 3 << bits => {
                Err(Fault::Damaged(format!(
                    "its palette has {} values, too few for {bits} bits a pixel",
                    map.len(),
                )))
            }
            Photometric::YCbCr(_) if bits != 8 || !whole_numbers => {
                unread(format!("its YCbCr colours have {bits} bits a sample"))
            }
            Photometric::YCbCr(_)
                if self.blocks().is_some()
                    && (self.planar || self.samples != 3 || self.predictor != 1) =>
            {
                unread("its subsampled YCbCr colours are stored by planes, with alpha or with a predictor".to_owned())
            }
            Photometric::Cmyk if !matches!(bits, 8 | 16) || !whole_numbers => {
                unread(format!("its CMYK colours have {bits} bits a sample"))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn check_compression(number: u16) -> Result<(), Fault> {
    let name = match number {
        compression::CCITT_RLE..=compression::CCITT_G4 => return Ok(()),
        n if compression::READ.contains(&n) => return Ok(()),
        6 => "the old-style JPEG of TIFF 6.0",
        9 | 10 => "JBIG",
        34_661 => "JBIG",
        32_766 => "NeXT's run lengths",
        32_809 => "ThunderScan",
        32_908 => "PixarFilm",
        32_909 => "PixarLog",
        33_003 | 33_005 | 34_712 => "JPEG 2000",
        34_676 | 34_677 => "SGI's LogLuv",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_002 | 52_546 => "JPEG XL",
        n => {
            return Err(Fault::Unread(format!(
                "it is compressed by a method with the number {n}"
            )));
        }
    };
    Err(Fault::Unread(format!("it is compressed as {name}")))
}
