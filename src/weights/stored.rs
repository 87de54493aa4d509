//! Where a tensor lies in its file, and reading it from there.

use super::element::ElementType;
use super::error::Flaw;
use candle_core::{Device, Tensor};
use std::io::{self, Read, Seek, SeekFrom};

/// A run of bytes in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A tensor in a file: a strided view of a region.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    pub(super) element: ElementType,
    pub(super) shape: Vec<usize>,
    /// Elements between neighbours, by axis.
    strides: Vec<usize>,
    /// Element of the region at which the view begins.
    start: usize,
    region: Region,
    big_endian: bool,
}

impl StoredTensor {
    /// A view of `region` that was found to lie within it.
    pub(super) fn new(
        element: ElementType,
        shape: Vec<usize>,
        strides: Vec<usize>,
        start: usize,
        region: Region,
        big_endian: bool,
    ) -> Result<Self, Flaw> {
        let stored = Self {
            element,
            shape,
            strides,
            start,
            region,
            big_endian,
        };
        let overflow = || {
            Flaw::new(format!(
                "shape {:?} with strides {:?} overflows",
                stored.shape, stored.strides
            ))
        };
        if stored.shape.len() != stored.strides.len() {
            return Err(Flaw::new(format!(
                "shape {:?} and strides {:?} have different lengths",
                stored.shape, stored.strides
            )));
        }
        let bytes = stored.logical_bytes().ok_or_else(overflow)?;
        let span = stored.span().ok_or_else(overflow)?;
        let end = stored
            .start
            .checked_add(span)
            .and_then(|e| e.checked_mul(element.size()))
            .ok_or_else(overflow)?;
        if bytes > 0 && end as u64 > stored.region.len {
            let have = stored.region.len;
            return Err(Flaw::new(format!(
                "shape {:?} needs {end} bytes of its storage, which has {have}",
                stored.shape
            )));
        }
        Ok(stored)
    }

    /// A whole region, row-major.
    pub(super) fn contiguous(
        element: ElementType,
        shape: Vec<usize>,
        region: Region,
    ) -> Result<Self, Flaw> {
        let strides =
            row_major(&shape).ok_or_else(|| Flaw::new(format!("shape {shape:?} overflows")))?;
        Self::new(element, shape, strides, 0, region, false)
    }

    /// Number of elements times their size; none where that overflows.
    pub(super) fn logical_bytes(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(self.element.size(), |n, d| n.checked_mul(*d))
    }

    /// Elements from the first to the last of the view, both included.
    fn span(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .zip(&self.strides)
            .try_fold(1usize, |n, (d, s)| n.checked_add((d - 1).checked_mul(*s)?))
    }

    /// Elements in row-major order and the machine's byte order.
    ///
    /// The caller bounds [`StoredTensor::logical_bytes`], since a view may repeat elements (stride 0).
    pub(super) fn read(&self, file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
        let size = self.element.size();
        let (Some(span), Some(logical)) = (self.span(), self.logical_bytes()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "shape overflows",
            ));
        };
        if logical == 0 {
            return Ok(Vec::new());
        }
        let wanted = span * size;
        file.seek(SeekFrom::Start(
            self.region.offset + (self.start * size) as u64,
        ))?;
        let mut raw = Vec::with_capacity(wanted);
        file.take(wanted as u64).read_to_end(&mut raw)?;
        if raw.len() != wanted {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was read",
            ));
        }
        if self.big_endian != cfg!(target_endian = "big") {
            raw.chunks_exact_mut(self.element.swap_unit())
                .for_each(<[u8]>::reverse);
        }
        let ordered = row_major(&self.shape).is_some_and(|dense| {
            self.shape
                .iter()
                .zip(dense.iter().zip(&self.strides))
                .all(|(dim, (a, b))| *dim == 1 || a == b)
        });
        Ok(if ordered {
            raw
        } else {
            gather(&raw, &self.shape, &self.strides, size, logical)
        })
    }
}

fn row_major(shape: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1usize; shape.len()];
    let mut step = 1usize;
    for (stride, dim) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.checked_mul((*dim).max(1))?;
    }
    Some(strides)
}

/// Copies a strided view, found to lie within `raw`, into row-major order.
fn gather(raw: &[u8], shape: &[usize], strides: &[usize], size: usize, logical: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(logical);
    let mut index = vec![0usize; shape.len()];
    loop {
        let at: usize = index.iter().zip(strides).map(|(i, s)| i * s * size).sum();
        out.extend_from_slice(raw.get(at..at + size).unwrap_or_default());
        // The next index, last axis fastest.
        let mut axis = shape.len();
        loop {
            let Some(previous) = axis.checked_sub(1) else {
                return out;
            };
            axis = previous;
            let (Some(i), Some(dim)) = (index.get_mut(axis), shape.get(axis)) else {
                return out;
            };
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
}

/// A tensor on the CPU from elements as [`StoredTensor::read`] gives them; the error says why there is none.
pub(super) fn to_tensor(
    element: ElementType,
    shape: &[usize],
    bytes: &[u8],
) -> Result<Tensor, String> {
    let Some(dtype) = element.tensor_type() else {
        return Err(format!(
            "has type {element}, which is not supported; convert it to a float or integer type first"
        ));
    };
    let widened: Option<Vec<u8>> = match element {
        ElementType::Bool => Some(bytes.iter().map(|b| u8::from(*b != 0)).collect()),
        ElementType::I8 => Some(
            bytes
                .iter()
                .flat_map(|b| i16::from(b.cast_signed()).to_ne_bytes())
                .collect(),
        ),
        ElementType::U16 => Some(
            bytes
                .as_chunks()
                .0
                .iter()
                .flat_map(|b| u32::from(u16::from_ne_bytes(*b)).to_ne_bytes())
                .collect(),
        ),
        ElementType::U64
            if bytes
                .as_chunks()
                .0
                .iter()
                .any(|b| i64::try_from(u64::from_ne_bytes(*b)).is_err()) =>
        {
            return Err(
                "has U64 values past the range of I64; convert it to a float or integer type first"
                    .to_owned(),
            );
        }
        _ => None,
    };
    let bytes: &[u8] = widened.as_deref().unwrap_or(bytes);
    Tensor::from_raw_buffer(bytes, dtype, shape, &Device::Cpu).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn view(
        shape: &[usize],
        strides: &[usize],
        start: usize,
        len: u64,
    ) -> Result<StoredTensor, Flaw> {
        StoredTensor::new(
            ElementType::U8,
            shape.into(),
            strides.into(),
            start,
            Region { offset: 2, len },
            false,
        )
    }

    #[test]
    fn strided_views_come_out_row_major() {
        let mut file = Cursor::new((0..20).collect::<Vec<u8>>());
        assert_eq!(
            view(&[2, 3], &[3, 1], 0, 6)
                .unwrap()
                .read(&mut file)
                .unwrap(),
            [2, 3, 4, 5, 6, 7]
        );
        assert_eq!(
            view(&[3, 2], &[1, 3], 0, 6)
                .unwrap()
                .read(&mut file)
                .unwrap(),
            [2, 5, 3, 6, 4, 7]
        );
        assert_eq!(
            view(&[2, 2], &[4, 2], 1, 8)
                .unwrap()
                .read(&mut file)
                .unwrap(),
            [3, 5, 7, 9]
        );
        assert_eq!(
            view(&[2, 3], &[0, 1], 0, 3)
                .unwrap()
                .read(&mut file)
                .unwrap(),
            [2, 3, 4, 2, 3, 4]
        );
        assert_eq!(view(&[], &[], 4, 5).unwrap().read(&mut file).unwrap(), [6]);
        assert!(
            view(&[0, 7], &[7, 1], 90, 0)
                .unwrap()
                .read(&mut file)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn views_past_their_storage_and_overflows_are_refused() {
        assert!(
            view(&[2, 3], &[3, 1], 1, 6)
                .unwrap_err()
                .to_string()
                .contains("needs 7 bytes")
        );
        assert!(view(&[2, 3], &[4, 1], 0, 6).is_err());
        assert!(
            view(&[2], &[usize::MAX], 1, 6)
                .unwrap_err()
                .to_string()
                .contains("overflows")
        );
        assert!(
            view(&[usize::MAX, 3], &[0, 0], 0, 6)
                .unwrap_err()
                .to_string()
                .contains("overflows")
        );
        assert!(
            view(&[2], &[1, 1], 0, 6)
                .unwrap_err()
                .to_string()
                .contains("different lengths")
        );
        assert!(view(&[1], &[1], usize::MAX, 6).is_err());
    }

    #[test]
    fn types_without_a_twin_are_widened_and_the_rest_refused() {
        let tensor = to_tensor(ElementType::I8, &[2], &[0xff, 3]).unwrap();
        assert_eq!(tensor.to_vec1::<i16>().unwrap(), [-1, 3]);
        let tensor = to_tensor(ElementType::U16, &[1], &0xfffeu16.to_ne_bytes()).unwrap();
        assert_eq!(tensor.to_vec1::<u32>().unwrap(), [0xfffe]);
        assert!(
            to_tensor(ElementType::U64, &[1], &u64::MAX.to_ne_bytes())
                .unwrap_err()
                .contains("U64")
        );
        assert!(
            to_tensor(ElementType::C64, &[1], &[0; 8])
                .unwrap_err()
                .contains("C64")
        );
    }

    #[test]
    fn other_byte_orders_are_turned() {
        let region = Region { offset: 0, len: 4 };
        let stored =
            StoredTensor::new(ElementType::I16, vec![2], vec![1], 0, region, true).unwrap();
        let bytes = stored
            .read(&mut Cursor::new(vec![0, 1, 0xff, 0xfe]))
            .unwrap();
        assert_eq!(
            to_tensor(ElementType::I16, &[2], &bytes)
                .unwrap()
                .to_vec1::<i16>()
                .unwrap(),
            [1, -2]
        );
    }
}
