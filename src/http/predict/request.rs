//! The JSON and the picture of a request.

use super::types::{Picture, PredictError, PredictionParams};
use crate::sources::{IssueKind, decode_image};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use std::{borrow::Cow, sync::Arc};

/// Marks of a request.
const MARKS: usize = 256;
/// Names in a filter of classes.
const CLASSES: usize = 10_000;

/// Base64 with or without `=` at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The body of `POST /v1/predict`.
#[derive(Deserialize)]
pub(crate) struct PredictCall<'a> {
    #[serde(borrow)]
    pub(crate) model: Cow<'a, str>,
    /// Base64, alone or as a data URI.
    #[serde(borrow)]
    image: Cow<'a, str>,
    #[serde(default)]
    params: Option<PredictionParams>,
}

impl<'a> PredictCall<'a> {
    /// Reads JSON.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, PredictError> {
        let call: Self = serde_json::from_slice(body).map_err(|e| {
            PredictError::Request(format!(
                "is not JSON of the form {{\"model\": \"…\", \"image\": \"data:image/png;base64,…\", \"params\": {{}}}}: {e}"
            ))
        })?;
        let params = call.params.as_ref();
        let marks = params.and_then(|p| p.marks.as_ref()).map_or(0, Vec::len);
        let classes = params.and_then(|p| p.filter_classes.as_ref());
        if marks > MARKS {
            return Err(PredictError::Request(format!(
                "has {marks} marks; {MARKS} are taken"
            )));
        }
        if classes.is_some_and(|c| c.len() > CLASSES) {
            return Err(PredictError::Request(format!(
                "has more than {CLASSES} names in filter_classes"
            )));
        }
        Ok(call)
    }

    /// The parameters; the defaults where there are none.
    pub(crate) fn params(&self) -> PredictionParams {
        self.params.clone().unwrap_or_default()
    }

    /// The picture, upright.
    pub(crate) fn picture(&self, max_pixels: u64) -> Result<Picture, PredictError> {
        let text = match self.image.split_once(',') {
            Some((_, data)) => data,
            None => &self.image,
        };
        let bytes = BASE64
            .decode(text)
            .map_err(|e| PredictError::Image(format!("image: is not base64: {e}")))?;
        decode_image("image", bytes, max_pixels)
            .map(Arc::new)
            .map_err(|e| match e.kind {
                IssueKind::PixelLimit => PredictError::ImageSize(e.to_string()),
                _ => PredictError::Image(e.to_string()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use std::io::Cursor;

    fn png(width: u32, height: u32) -> String {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayImage::new(width, height)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        BASE64.encode(bytes.into_inner())
    }

    fn call(image: &str) -> String {
        format!(r#"{{"model": "m", "image": "{image}", "params": {{"marks": []}}}}"#)
    }

    #[test]
    fn pictures_come_as_base64_alone_or_in_a_data_uri() {
        let data = png(5, 3);
        for image in [data.clone(), format!("data:image/png;base64,{data}")] {
            let body = call(&image);
            let call = PredictCall::parse(body.as_bytes()).unwrap();
            let picture = call.picture(15).unwrap();
            assert_eq!(picture.size(), Size::new(5, 3));
            let refused = call.picture(14).unwrap_err();
            assert!(matches!(&refused, PredictError::ImageSize(_)), "{refused}");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_in_words() {
        for (image, text) in [
            ("", "is empty"),
            ("data:image/png;base64,", "is empty"),
            ("{}", "is not base64"),
            ("AAAA", "is neither"),
            ("/etc/passwd", "is not"),
            ("file:///etc/passwd", "is not"),
            (&png(4, 4)[..60], "image: "),
        ] {
            let body = call(image);
            let refused = PredictCall::parse(body.as_bytes())
                .unwrap()
                .picture(1 << 20)
                .unwrap_err();
            assert!(
                matches!(&refused, PredictError::Image(t) if t.contains(text)),
                "{image}: {refused}"
            );
        }
    }

    #[test]
    fn requests_have_a_model_and_a_picture_and_no_end_of_marks() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"model": "m"}"#,
            r#"{"model": 1, "image": ""}"#,
        ] {
            assert!(PredictCall::parse(body.as_bytes()).is_err(), "{body}");
        }
        let mark = r#"{"type":"point","data":[1,2]},"#.repeat(MARKS + 1);
        let body = format!(
            r#"{{"model":"m","image":"","params":{{"marks":[{}]}}}}"#,
            mark.trim_end_matches(',')
        );
        let refused = PredictCall::parse(body.as_bytes()).err().unwrap();
        assert!(refused.to_string().contains("257 marks"), "{refused}");
        let plain = PredictCall::parse(br#"{"model":"m","image":"","params":null}"#).unwrap();
        assert_eq!(plain.params(), PredictionParams::default());
    }
}
