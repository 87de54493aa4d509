//! Label maps, compressed.

use super::layers::{self, Segment};
use crate::{
    datasets::volume::SourceMasks,
    sinks::{AtomicFile, SinkError},
};
use flate2::{Compression, write::GzEncoder};
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Files that get the same bytes from here on.
pub(super) struct Files(Vec<(PathBuf, BufWriter<AtomicFile>)>);

impl Files {
    /// Makes the files, each beginning with its header.
    pub(super) fn create(files: Vec<(PathBuf, Vec<u8>)>) -> Result<Self, SinkError> {
        let made = files.into_iter().map(|(path, header)| {
            let mut file = BufWriter::new(AtomicFile::create(&path)?);
            file.write_all(&header)
                .map_err(|e| SinkError::io(&path, "write the file", &e))?;
            Ok((path, file))
        });
        Ok(Self(made.collect::<Result<_, SinkError>>()?))
    }

    /// Gives the files their names.
    fn commit(self) -> Result<(), SinkError> {
        for (path, file) in self.0 {
            let file = file
                .into_inner()
                .map_err(|e| SinkError::io(&path, "write the file", e.error()))?;
            file.commit()?;
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.0
            .first()
            .map_or_else(PathBuf::new, |(path, _)| path.clone())
    }
}

impl Write for Files {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (_, file) in &mut self.0 {
            file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|(_, file)| file.flush())
    }
}

/// Writes the voxels of all frames, by gzip, and completes the files. Voxels come column by column, row by row, frame by frame;
/// those of layers side by side. Of masks that share a pixel of a layer the first has it.
pub(super) fn write(
    files: Files,
    masks: &SourceMasks,
    segments: &[Segment],
) -> Result<(), SinkError> {
    let path = files.path();
    // Mostly zeros: a faster level is 2 % larger.
    let mut gzip = GzEncoder::new(files, Compression::fast());
    frames(&mut gzip, masks, segments)
        .and_then(|()| gzip.finish())
        .map_err(|e| fault(&path, &e))?
        .commit()
}

fn fault(path: &Path, error: &io::Error) -> SinkError {
    SinkError::io(path, "write the file", error)
}

fn frames(to: &mut dyn Write, masks: &SourceMasks, segments: &[Segment]) -> io::Result<()> {
    let (layers, bytes) = (layers::count(segments), layers::bytes(segments));
    let (width, voxel) = (masks.size.width as usize, layers * bytes);
    let mut map = vec![0u8; masks.size.pixels() as usize * voxel];
    for frame in &masks.frames {
        map.fill(0);
        for (key, mask) in frame.masks.iter().rev() {
            let Ok(segment) = segments.binary_search_by_key(key, |segment| segment.key) else {
                continue;
            };
            let Segment { layer, value, .. } = segments[segment];
            let (start, value) = (layer * bytes, value.to_le_bytes());
            mask.for_each_run(|x, top, bottom| {
                for y in top..bottom {
                    let at = (y as usize * width + x as usize) * voxel + start;
                    map[at..at + bytes].copy_from_slice(&value[..bytes]);
                }
            });
        }
        to.write_all(&map)?;
    }
    Ok(())
}
