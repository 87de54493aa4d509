//! A frame with what was found in it, as streams and live loops give it.

use crate::{
    frame::{Detections, Frame, Object},
    session::{
        error::{ModelError, SessionError},
        picture,
        refine::Refiner,
    },
};

/// A frame that is done; a surface goes back to its decoder.
pub(crate) fn frame_with_detections(
    mut frame: Frame,
    objects: Result<Vec<Object>, ModelError>,
    keep_pixels: bool,
    refiner: &mut Refiner,
) -> Result<(Frame, Detections), SessionError> {
    picture::settle(&mut frame, keep_pixels || refiner.reads_pixels())?;
    let mut found = Detections::new(frame.size(), objects?);
    refiner.frame(&frame, &mut found);
    Ok((frame, found))
}
