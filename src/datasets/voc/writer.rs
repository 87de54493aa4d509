//! `voc/`: annotations, the list of pictures, the list of classes.

use super::corners::VocCorners;
use crate::{
    datasets::{
        item::{Annotation, Item},
        names::{TreeNames, UsedLabels},
        spool::Spool,
        writer::{DatasetWriter, WriteOptions},
        xml::escaped,
    },
    sinks::{SinkError, write_atomic},
};
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

/// The list of a data set that is not divided.
const UNDIVIDED: &str = "default";

/// Writes Pascal VOC: `voc/Annotations/TREE.xml` for each picture, `voc/ImageSets/Main/default.txt` with their names (of a
/// divided data set `train.txt`, `val.txt`, `test.txt`), and `voc/labelmap.txt` as Datumaro and CVAT have it. VOC has boxes
/// alone; scores and track numbers are `<attributes>`.
pub struct VocWriter {
    options: WriteOptions,
    corners: VocCorners,
    names: TreeNames,
    labels: UsedLabels,
    lists: BTreeMap<&'static str, Spool>,
}

impl VocWriter {
    /// A writer below [`WriteOptions::root`].
    pub fn new(options: WriteOptions, corners: VocCorners) -> Self {
        Self {
            options,
            corners,
            names: TreeNames::default(),
            labels: UsedLabels::default(),
            lists: BTreeMap::new(),
        }
    }

    fn root(&self) -> PathBuf {
        self.options.root.join("voc")
    }

    /// Starts the lists that are not there.
    fn start_lists(&mut self) -> Result<(), SinkError> {
        let names = if self.options.parts.are_there() {
            self.options.parts.names()
        } else {
            vec![UNDIVIDED]
        };
        for name in names {
            if !self.lists.contains_key(name) {
                let path = self.root().join(format!("ImageSets/Main/{name}.txt"));
                self.lists.insert(name, Spool::new(path)?);
            }
        }
        Ok(())
    }

    fn document(&self, item: &Item) -> String {
        let folder = item
            .file_name
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let mut out = format!(
            "<annotation>\n  <folder>{}</folder>\n  <filename>{}</filename>\n  <source>\n    <database>Unknown</database>\n    <annotation>Unknown</annotation>\n    <image>Unknown</image>\n  </source>\n  <size>\n    <width>{}</width>\n    <height>{}</height>\n    <depth>3</depth>\n  </size>\n  <segmented>0</segmented>\n",
            escaped(folder),
            escaped(&item.file_name),
            item.size.width,
            item.size.height
        );
        for annotation in &item.annotations {
            self.object(&mut out, annotation);
        }
        out.push_str("</annotation>\n");
        out
    }

    fn object(&self, out: &mut String, annotation: &Annotation) {
        let b = annotation.bbox;
        let first = |edge: f32| match self.corners {
            VocCorners::Edges => edge.to_string(),
            VocCorners::Pixels => (f64::from(edge) + 1.0).to_string(),
        };
        let _ = write!(
            out,
            "  <object>\n    <name>{}</name>\n    <truncated>0</truncated>\n    <occluded>0</occluded>\n    <difficult>0</difficult>\n    <bndbox>\n      <xmin>{}</xmin>\n      <ymin>{}</ymin>\n      <xmax>{}</xmax>\n      <ymax>{}</ymax>\n    </bndbox>\n",
            escaped(&annotation.label),
            first(b.x0),
            first(b.y0),
            b.x1,
            b.y1
        );
        let figures = [
            ("score", annotation.score.map(|v| v.to_string())),
            ("mask_score", annotation.mask_score.map(|v| v.to_string())),
            ("track_id", annotation.track_id.map(|v| v.to_string())),
        ];
        if figures.iter().any(|(_, value)| value.is_some()) {
            out.push_str("    <attributes>\n");
            for (name, value) in figures {
                if let Some(value) = value {
                    let _ = writeln!(
                        out,
                        "      <attribute><name>{name}</name><value>{value}</value></attribute>"
                    );
                }
            }
            out.push_str("    </attributes>\n");
        }
        out.push_str("  </object>\n");
    }
}

impl DatasetWriter for VocWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        self.labels.add(item);
        let name = self.names.of(&item.file_name);
        if name.starts_with('#') || name.trim() != name || name.contains(['\n', '\r']) {
            let problem = format!(
                "the picture's name {:?} cannot stand in a list of VOC",
                item.file_name
            );
            return Err(SinkError::new(self.root(), problem).with_remedy(
                "give it a name without line ends, blanks around it and a leading #",
            ));
        }
        let path = self.root().join("Annotations").join(format!("{name}.xml"));
        write_atomic(&path, self.document(item).as_bytes())?;
        self.start_lists()?;
        let list = if self.options.parts.are_there() {
            self.options.parts.of(item)
        } else {
            UNDIVIDED
        };
        if let Some(list) = self.lists.get_mut(list) {
            list.add(&format!("{name}\n"))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.start_lists()?;
        for list in std::mem::take(&mut self.lists).into_values() {
            list.finish("", "")?;
        }
        let path = self.root().join("labelmap.txt");
        let mut map = String::from("# label:color_rgb:parts:actions\n");
        for label in self.labels.names(self.options.classes.names()) {
            if label.contains([':', '\n', '\r'])
                || label.starts_with('#')
                || label.trim() != &*label
            {
                let problem = format!("the class {label:?} cannot stand in a label map of VOC");
                return Err(SinkError::new(&path, problem).with_remedy(
                    "give it a name without colon, blanks around it and a leading #",
                ));
            }
            let _ = writeln!(map, "{label}:::");
        }
        write_atomic(&path, map.as_bytes())
    }
}
