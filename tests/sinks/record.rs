//! A line of the record reads back as the very result it was written from, whatever that holds.

use std::{path::PathBuf, sync::Arc, time::Duration};
use ultramotion::{
    frame::{
        Channels, Detections, Frame, Image, Mask, Object, Physical, SourceInfo, SourceKind,
        UltrasoundRegion,
    },
    geometry::{BoxXyxy, Size},
    sinks::{RecordLine, read_record, write_record},
};

/// A small generator (xorshift), so that the test is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Any finite number, of any magnitude.
    fn float(&mut self) -> f32 {
        loop {
            let value = f32::from_bits(self.next() as u32);
            if value.is_finite() {
                return value;
            }
        }
    }

    fn text(&mut self) -> String {
        let alphabet = [
            'a',
            'Z',
            ' ',
            '"',
            '\\',
            '\n',
            '\u{0}',
            'é',
            '骨',
            '\u{1f600}',
            '\u{2028}',
            '/',
        ];
        (0..self.below(9))
            .map(|_| alphabet[self.below(alphabet.len() as u64) as usize])
            .collect()
    }

    fn mask(&mut self, size: Size) -> Mask {
        let share = self.below(101);
        let pixels: Vec<u8> = (0..size.pixels())
            .map(|_| u8::from(self.below(100) < share))
            .collect();
        Mask::from_row_major(size, &pixels).unwrap()
    }

    fn object(&mut self, size: Size) -> Object {
        Object {
            bbox: BoxXyxy::new(self.float(), self.float(), self.float(), self.float()),
            score: self.float(),
            class: self.next() as u32,
            label: self.text().into(),
            mask: (self.below(3) > 0).then(|| self.mask(size)),
            mask_score: (self.below(2) > 0).then(|| self.float()),
            track: None,
        }
    }

    fn file(&mut self) -> Option<PathBuf> {
        match self.below(3) {
            0 => None,
            1 => Some(self.text().into()),
            _ => Some(odd_path(
                self.next().to_le_bytes().iter().map(|b| b | 0x80).collect(),
            )),
        }
    }

    fn frame(&mut self, source: SourceInfo) -> Frame {
        let timestamp = (self.below(4) > 0).then(|| {
            Duration::new(
                self.next() >> self.below(64),
                self.below(1_000_000_000) as u32,
            )
        });
        let pixel = Image::new(Size::new(1, 1), Channels::Gray, vec![0]).unwrap();
        Frame {
            timestamp,
            file: self.file(),
            ..Frame::new(Arc::new(source), self.next(), pixel)
        }
    }

    fn found(&mut self) -> Detections {
        let size = Size::new(1 + self.below(20) as u32, 1 + self.below(20) as u32);
        Detections::new(
            size,
            (0..self.below(4)).map(|_| self.object(size)).collect(),
        )
    }
}

#[cfg(unix)]
fn odd_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn odd_path(bytes: Vec<u8>) -> PathBuf {
    format!("{bytes:?}").into()
}

fn source(name: &str) -> SourceInfo {
    SourceInfo {
        ordinal: 0,
        path: odd_path(vec![b'a', 0xff]),
        name: name.into(),
        kind: SourceKind::Dicom,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    }
}

#[test]
fn any_result_comes_back_in_every_bit() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..3000 {
        let found = random.found();
        let name = random.text();
        let region = UltrasoundRegion {
            bounds: BoxXyxy::new(0.0, 1.0, 2.0, random.float()),
            spatial_format: 1,
            data_type: 1,
            physical_delta: Some([0.005, 1.0 / 3.0]),
            physical_units: Some([3, 3]),
        };
        let physical = Physical {
            pixel_spacing_mm: Some([0.1, 0.2]),
            ultrasound_regions: vec![region],
            pixel_aspect: None,
            sop_instance_uid: None,
        };
        let ordinal = random.below(1 << 40) as usize;
        let mut frame = random.frame(SourceInfo {
            ordinal,
            ..source(&name)
        });
        frame.physical = (round % 2 == 0).then(|| Arc::new(physical));
        let line = write_record(&frame, &found).unwrap();
        assert!(
            line.ends_with('\n') && line.matches('\n').count() == 1,
            "one line"
        );
        let back = read_record(&line).unwrap();
        assert_eq!(back, found, "round {round}: {line}");
        let fields: RecordLine<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (fields.source_index, fields.frame, fields.timestamp),
            (frame.source.ordinal, frame.index, frame.timestamp)
        );
        assert_eq!(fields.file_path().unwrap(), frame.file);
        assert_eq!(fields.physical.as_deref(), frame.physical.as_deref());
        let bits = |r: &Detections| {
            r.objects
                .iter()
                .map(|o| (o.score.to_bits(), o.bbox.x0.to_bits()))
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&back), bits(&found), "the sign of zero too");
    }
}

#[test]
fn what_json_cannot_hold_is_not_written() {
    let mut random = Random(1);
    let (frame, mut found) = (random.frame(source("a")), random.found());
    found.objects = vec![random.object(found.size)];
    found.objects[0].bbox.x1 = f32::NAN;
    assert_eq!(write_record(&frame, &found), None);
}

#[test]
fn broken_lines_are_errors() {
    let mut random = Random(5);
    let line = write_record(&random.frame(source("a")), &random.found()).unwrap();
    read_record(&line).unwrap();
    for end in 0..line.trim_end().len() {
        if line.is_char_boundary(end) {
            assert!(read_record(&line[..end]).is_err(), "{}", &line[..end]);
        }
    }
    let object = r#"{"box":[0,0,1,1],"score":1,"class":0,"label":"a","area":1,"mask":{"size":[2,2],"counts":"9"}}"#;
    let with_bad_mask = format!(
        r#"{{"source":"a","source_index":0,"kind":"image","path":"a","frame":0,"timestamp":null,"width":2,"height":2,"objects":[{object}]}}"#
    );
    assert!(
        read_record(&with_bad_mask)
            .unwrap_err()
            .contains("do not fill")
    );
}
