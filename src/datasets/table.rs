//! `objects.csv`: a row an object and frame, with its sizes in pixels and millimetres.

use super::{
    item::{Annotation, Item, Place},
    writer::{DatasetWriter, WriteOptions},
};
use crate::{
    frame::SourceKind,
    measure::{Measurements, measure, rounded},
    sinks::{AtomicFile, SinkError},
};
use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, Write as _},
    path::PathBuf,
    time::Duration,
};

const FILE: &str = "objects.csv";
const BUFFER: usize = 1 << 16;

const HEADER: &str = "source,kind,file_name,frame,time_s,track_id,class,label,score,mask_score,x0,y0,x1,y1,\
    area_px,perimeter_px,centroid_x_px,centroid_y_px,area_mm2,length_mm,width_mm,perimeter_mm,\
    centroid_x_mm,centroid_y_mm,spacing_x_mm,spacing_y_mm,note\n";

/// Writes `objects.csv`: comma-separated UTF-8 (RFC 4180, lines that end in a line feed), a header, a row an object and frame
/// in the order of the pictures. A picture without objects has no row.
///
/// | columns | what |
/// |---|---|
/// | `source`, `kind` | the source's name and kind (`image`, `sequence`, `video`, `dicom`) |
/// | `file_name` | the picture's file below the image root |
/// | `frame`, `time_s` | number in its source, from 0; seconds from its start, exact to the nanosecond |
/// | `track_id` | number of a tracked object over its source |
/// | `class`, `label` | class from 0, and its name |
/// | `score`, `mask_score` | confidence, and the segmenter's estimate of its mask's IoU, 0..1 |
/// | `x0`, `y0`, `x1`, `y1` | box in pixels, right and lower edges exclusive |
/// | `area_px` … `centroid_y_px` | sizes in pixels: see [`Measurements`] |
/// | `area_mm2` … `spacing_y_mm` | sizes in millimetres: see [`crate::measure::Millimetres`] |
/// | `note` | why there are no millimetres in a picture that states physical facts: see [`crate::measure::Note`] |
///
/// What is not known is an empty cell: sources of pictures that say no place, scores of annotations, millimetres without a
/// scale. Boxes and scores are as in the record, sizes have at most six significant digits.
pub struct TableWriter {
    path: PathBuf,
    /// None once it is complete.
    file: Option<BufWriter<AtomicFile>>,
    /// The present row.
    row: String,
}

impl TableWriter {
    /// Starts the file in the folder of `options`.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be made.
    pub fn new(options: &WriteOptions) -> Result<Self, SinkError> {
        let path = options.root.join(FILE);
        let file = BufWriter::with_capacity(BUFFER, AtomicFile::create(&path)?);
        let mut table = Self {
            path,
            file: Some(file),
            row: HEADER.to_owned(),
        };
        table.write_row()?;
        Ok(table)
    }

    fn error(&self, error: &io::Error) -> SinkError {
        SinkError::io(&self.path, "write the file", error)
    }

    fn write_row(&mut self) -> Result<(), SinkError> {
        let Some(file) = &mut self.file else {
            return Err(SinkError::new(&self.path, "is complete already"));
        };
        let written = file.write_all(self.row.as_bytes());
        self.row.clear();
        written.map_err(|e| self.error(&e))
    }

    fn object(&mut self, item: &Item, object: &Annotation) -> Result<(), SinkError> {
        let mask = match &object.outline {
            Some(outline) => Some(outline.to_mask(item.size).ok_or_else(|| {
                let problem = format!(
                    "the outline of an object of {} does not fit its picture of {}",
                    item.file_name, item.size
                );
                SinkError::new(&self.path, problem)
            })?),
            None => None,
        };
        let sizes = measure(mask.as_deref(), object.bbox, item.physical.as_ref());
        let mut row = Row(&mut self.row);
        row.place(item);
        row.found(object);
        row.sizes(&sizes);
        self.write_row()
    }
}

impl DatasetWriter for TableWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        item.annotations
            .iter()
            .try_for_each(|object| self.object(item, object))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        match file.into_inner() {
            Ok(file) => file.commit(),
            Err(failed) => Err(self.error(failed.error())),
        }
    }
}

/// A row that is being filled.
struct Row<'a>(&'a mut String);

impl Row<'_> {
    fn place(&mut self, item: &Item) {
        let place = item.place.as_ref();
        self.text(item.source());
        self.text(place.map_or("image", |p| kind(p.kind)));
        self.text(&item.file_name);
        self.number(place.map(|p| p.frame));
        let time = |place: &Place| place.timestamp.map(seconds);
        self.number(place.and_then(time));
    }

    fn found(&mut self, object: &Annotation) {
        self.number(object.track_id);
        self.number(Some(object.class));
        self.text(&object.label);
        self.number(object.score);
        self.number(object.mask_score);
        let bbox = object.bbox;
        for edge in [bbox.x0, bbox.y0, bbox.x1, bbox.y1] {
            self.number(Some(edge));
        }
    }

    fn sizes(&mut self, sizes: &Measurements) {
        self.figure(Some(sizes.area_px));
        self.figure(Some(sizes.perimeter_px));
        self.pair(sizes.centroid_px);
        let mm = sizes.mm.as_ref();
        self.figure(mm.map(|mm| mm.area_mm2));
        self.figure(mm.map(|mm| mm.length_mm));
        self.figure(mm.map(|mm| mm.width_mm));
        self.figure(mm.map(|mm| mm.perimeter_mm));
        self.pair(mm.map(|mm| mm.centroid_mm));
        self.pair(mm.map(|mm| mm.spacing_mm));
        if let Some(note) = sizes.note {
            // A string takes all that is written to it.
            let _ = write!(self.0, "{note}");
        }
        self.0.push('\n');
    }

    /// A cell of text, in quotes where it needs them (RFC 4180, 2.5 to 2.7).
    fn text(&mut self, text: &str) {
        if text.contains(['"', ',', '\n', '\r']) {
            self.0.push('"');
            self.0.push_str(&text.replace('"', "\"\""));
            self.0.push('"');
        } else {
            self.0.push_str(text);
        }
        self.0.push(',');
    }

    fn number(&mut self, number: Option<impl Display>) {
        if let Some(number) = number {
            let _ = write!(self.0, "{number}");
        }
        self.0.push(',');
    }

    fn figure(&mut self, figure: Option<f64>) {
        self.number(figure.map(rounded));
    }

    fn pair(&mut self, pair: Option<[f64; 2]>) {
        self.figure(pair.map(|p| p[0]));
        self.figure(pair.map(|p| p[1]));
    }
}

/// The name that the record has for a kind.
fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Image => "image",
        SourceKind::Sequence => "sequence",
        SourceKind::Video => "video",
        SourceKind::Dicom => "dicom",
    }
}

/// Seconds in the fewest digits that are exact.
fn seconds(time: Duration) -> String {
    let digits = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    let short = digits.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::item::Outline;
    use super::*;
    use crate::{
        coco::Classes,
        frame::{Mask, Physical},
        geometry::{BoxXyxy, Size},
    };
    use std::{fs, path::Path, sync::Arc};

    fn options(root: &Path) -> WriteOptions {
        WriteOptions {
            root: root.to_path_buf(),
            classes: Classes::new(["cyst"]),
            images: None,
            masks: Default::default(),
            parts: Default::default(),
        }
    }

    fn object(outline: Option<Outline>) -> Annotation {
        Annotation {
            class: 0,
            label: Arc::from("cyst, \"simple\""),
            bbox: BoxXyxy::new(1.0, 1.0, 4.0, 3.0),
            outline,
            score: Some(0.875),
            mask_score: None,
            track_id: Some(7),
        }
    }

    fn item(physical: Option<Physical>, annotations: Vec<Annotation>) -> Item {
        Item {
            file_name: "a b/ü/000001.png".to_owned(),
            original: None,
            size: Size::new(6, 4),
            place: Some(Place {
                source: Arc::from("a b/ü"),
                kind: SourceKind::Video,
                path: Arc::from("in/a b/ü.mp4"),
                file: None,
                frame: 1,
                timestamp: Some(Duration::from_millis(40)),
                frame_rate: Some(25.0),
                attributes: Default::default(),
            }),
            annotations,
            physical,
            exif_orientation: None,
        }
    }

    fn written(items: &[Item]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut table = TableWriter::new(&options(dir.path())).unwrap();
        items.iter().for_each(|item| table.item(item).unwrap());
        let path = dir.path().join(FILE);
        assert!(!path.exists(), "before it is complete");
        table.finish().unwrap();
        table.finish().unwrap();
        assert!(table.item(&item(None, vec![object(None)])).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_row_has_what_is_known() {
        let physical = Physical {
            pixel_spacing_mm: Some([0.5, 0.1 + 0.2]),
            ..Physical::default()
        };
        #[rustfmt::skip]
        let mask = Mask::from_row_major(Size::new(6, 4), &[
            0, 0, 0, 0, 0, 0,
            0, 1, 1, 1, 0, 0,
            0, 1, 1, 1, 0, 0,
            0, 0, 0, 0, 0, 0,
        ]).unwrap();
        let lines = vec![vec![[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]]];
        let objects = vec![
            object(Some(Outline::Mask(mask))),
            object(Some(Outline::Polygons(lines))),
            object(None),
        ];
        let still = Item {
            place: None,
            ..item(None, vec![object(None)])
        };
        let text = written(&[item(Some(physical), objects), still]);
        let lines: Vec<&str> = text.lines().collect();
        let columns = HEADER.split(',').count();
        assert_eq!((lines[0], columns), (HEADER.trim_end(), 27));
        assert_eq!(
            lines[3],
            "a b/ü,video,a b/ü/000001.png,1,0.04,7,0,\"cyst, \"\"simple\"\"\",0.875,,1,1,4,3,\
             6,10,2.5,2,0.9,1,0.9,3.8,0.75,1,0.3,0.5,"
        );
        assert_eq!(
            lines[4],
            "a b/ü/000001.png,image,a b/ü/000001.png,,,7,0,\"cyst, \"\"simple\"\"\",0.875,,1,1,4,3,6,10,2.5,2,,,,,,,,,"
        );
        assert_eq!(lines[1], lines[2], "polygons are measured as their pixels");
        assert_ne!(lines[1], lines[3], "the perimeter of a mask is an estimate");
        assert!(lines[1].contains(",0.9,1,0.9,"), "{}", lines[1]);
    }

    #[test]
    fn an_outline_that_does_not_fit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = TableWriter::new(&options(dir.path())).unwrap();
        let mask = Mask::from_row_major(Size::new(1, 1), &[1]).unwrap();
        let wrong = item(None, vec![object(Some(Outline::Mask(mask)))]);
        let error = table.item(&wrong).unwrap_err().to_string();
        assert!(error.contains("a b/ü/000001.png"), "{error}");
    }
}
