//! All kinds from the record that the environment names, for programs that read them (tests/interop).

use super::{
    cvat::CvatWriter,
    label_studio::{LabelStudioOptions, LabelStudioWriter, ResultsAs},
    labelme::LabelmeWriter,
    samples::{of_record, write},
    voc::{VocCorners, VocWriter},
    writer::MaskForm,
    writer::WriteOptions,
};
use crate::coco::Classes;
use std::path::PathBuf;

#[test]
#[ignore = "writes ULTRAMOTION_RECORD as data sets below ULTRAMOTION_OUT"]
fn a_record_as_all_kinds() {
    let folder = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let items = of_record(&folder("ULTRAMOTION_RECORD"));
    for (name, form) in [("polygon", MaskForm::Polygon), ("rle", MaskForm::Rle)] {
        let options = WriteOptions {
            root: folder("ULTRAMOTION_OUT").join(name),
            classes: Classes::default(),
            images: Some("images".into()),
            masks: Default::default(),
            parts: Default::default(),
        };
        let mut settings = LabelStudioOptions::new(form);
        settings.results = ResultsAs::Annotations;
        let timed = |what: &str, run: &dyn Fn()| {
            let start = std::time::Instant::now();
            run();
            eprintln!("{name} {what}: {:?}", start.elapsed());
        };
        timed("cvat", &|| {
            write(CvatWriter::new(options.clone(), form), &items)
        });
        timed("labelme", &|| {
            write(LabelmeWriter::new(options.clone(), form), &items)
        });
        timed("voc", &|| {
            write(
                VocWriter::new(options.clone(), {
                    match form {
                        MaskForm::Polygon => VocCorners::Edges,
                        MaskForm::Rle => VocCorners::Pixels,
                    }
                }),
                &items,
            )
        });
        timed("labelstudio", &|| {
            write(
                LabelStudioWriter::new(options.clone(), settings.clone()),
                &items,
            );
        });
    }
}
