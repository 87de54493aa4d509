//! `objects.csv`: a row an object and frame, with its sizes in pixels and millimetres; `events.csv`: what became of tracks.

use super::{row::Table, speed::Speeds};
use crate::{
    datasets::{
        item::{Annotation, Item},
        writer::{DatasetWriter, WriteOptions},
    },
    measure::measure,
    sinks::SinkError,
};
use std::path::PathBuf;

pub(super) const OBJECTS: &str = "objects.csv";
pub(super) const EVENTS: &str = "events.csv";

const EVENTS_HEADER: &str = "source,frame,time_s,track_id,class,label,from,to,score\n";

pub(super) const HEADER: &str = "source,kind,file_name,frame,time_s,track_id,visibility,visibility_score,class,label,score,mask_score,x0,y0,x1,y1,\
    area_px,perimeter_px,centroid_x_px,centroid_y_px,area_mm2,length_mm,width_mm,perimeter_mm,\
    centroid_x_mm,centroid_y_mm,spacing_x_mm,spacing_y_mm,speed_px_s,speed_mm_s,note\n";

/// Writes `objects.csv`: comma-separated UTF-8 (RFC 4180, lines that end in a line feed), a header, a row an object and frame
/// in the order of the pictures. A picture without objects has no row.
///
/// | columns | what |
/// |---|---|
/// | `source`, `kind` | the source's name and kind (`image`, `sequence`, `video`, `dicom`) |
/// | `file_name` | the picture's file below the image root |
/// | `frame`, `time_s` | number in its source, from 0; seconds from its start, exact to the nanosecond |
/// | `track_id` | number of a tracked object over its source |
/// | `visibility`, `visibility_score` | whether the tracked object is seen: `visible`, `relocalizing` or `lost`; the score behind it, 0..1 |
/// | `class`, `label` | class from 0, and its name |
/// | `score`, `mask_score` | confidence, and the segmenter's estimate of its mask's IoU, 0..1 |
/// | `x0`, `y0`, `x1`, `y1` | box in pixels, right and lower edges exclusive |
/// | `area_px` … `centroid_y_px` | sizes in pixels: see [`Measurements`](crate::measure::Measurements) |
/// | `area_mm2` … `spacing_y_mm` | sizes in millimetres: see [`crate::measure::Millimetres`] |
/// | `speed_px_s`, `speed_mm_s` | way of the centroid since the track's row before, by the time between both, in pixels and millimetres a second |
/// | `note` | why there are no millimetres in a picture that states physical facts: see [`crate::measure::Note`] |
///
/// What is not known is an empty cell: sources of pictures that say no place, scores of annotations, millimetres without a
/// scale. Boxes and scores are as in the record, sizes have at most six significant digits. A speed is not known in the first
/// row of a track, without times, and, in millimetres, where the two rows have not the same scale.
///
/// Where objects are tracked there is `events.csv` too, a row a change of visibility: source, frame, time_s, track_id (empty for
/// the state of a class), class, label, from (empty at the first appearance), to, score.
pub struct TableWriter {
    objects: Table,
    /// None as long as nothing is tracked.
    events: Option<Table>,
    events_path: PathBuf,
    speeds: Speeds,
}

impl TableWriter {
    /// Starts the file in the folder of `options`.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be made.
    pub fn new(options: &WriteOptions) -> Result<Self, SinkError> {
        Ok(Self {
            objects: Table::new(&options.root.join(OBJECTS), HEADER)?,
            events: None,
            events_path: options.root.join(EVENTS),
            speeds: Speeds::default(),
        })
    }

    /// The table of events, where there is a track or an event.
    fn events(&mut self, item: &Item) -> Result<(), SinkError> {
        let tracked = item.annotations.iter().any(|a| a.track_id.is_some());
        if self.events.is_none() && (tracked || !item.changes.is_empty()) {
            self.events = Some(Table::new(&self.events_path, EVENTS_HEADER)?);
        }
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        for change in &item.changes {
            events.row().change(item, change);
            events.write_row()?;
        }
        Ok(())
    }

    fn object(&mut self, item: &Item, object: &Annotation) -> Result<(), SinkError> {
        let mask = match &object.outline {
            Some(outline) => Some(outline.to_mask(item.size).ok_or_else(|| {
                let problem = format!(
                    "the outline of an object of {} does not fit its picture of {}",
                    item.file_name, item.size
                );
                SinkError::new(self.objects.path(), problem)
            })?),
            None => None,
        };
        let sizes = measure(mask.as_deref(), object.bbox, item.physical.as_ref());
        let speed = self.speeds.next(item, object, &sizes);
        let mut row = self.objects.row();
        row.place(item);
        row.found(object);
        row.sizes(&sizes, speed);
        self.objects.write_row()
    }
}

impl DatasetWriter for TableWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        self.events(item)?;
        item.annotations
            .iter()
            .try_for_each(|object| self.object(item, object))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.objects.finish()?;
        self.events.as_mut().map_or(Ok(()), Table::finish)
    }
}
