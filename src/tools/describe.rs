//! What a model's files hold: `ultramotion models inspect`.

use crate::{
    engine::Engine,
    models::{
        dfine::{self, DFineSize, InputSizeSource, keys::KeysError},
        mobile_sam::{self, IMAGE_SIDE, MobileSamError},
    },
    session::{ModelError, Names, build_detector, build_segmenter},
    text::counted,
    weights::{Checkpoint, ModelFiles},
};
use serde::Serialize;
use std::fmt;

/// Models that the program can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum ModelFamily {
    /// D-FINE, a detector.
    #[serde(rename = "dfine")]
    DFine,
    /// MobileSAM, a segmenter.
    #[serde(rename = "mobile_sam")]
    MobileSam,
}

impl ModelFamily {
    /// The family that a checkpoint is of by the names of its tensors; none for another model.
    fn of(checkpoint: &Checkpoint) -> Option<Self> {
        if matches!(
            dfine::keys::recognise("", checkpoint.names()),
            Ok(_) | Err(KeysError::Prefix(_))
        ) {
            return Some(Self::DFine);
        }
        let is_segmenter = matches!(
            mobile_sam::prefix_of("", checkpoint.names()),
            Ok(_) | Err(MobileSamError::Prefix(_))
        );
        is_segmenter.then_some(Self::MobileSam)
    }
}

impl fmt::Display for ModelFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DFine => "D-FINE",
            Self::MobileSam => "MobileSAM",
        })
    }
}

/// A model that can be run. Displayed for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelDescription {
    /// What it is.
    pub family: ModelFamily,
    /// Published size of a D-FINE (n, s, m, l, x), or the encoder of a MobileSAM; none for a D-FINE of other widths.
    pub size: Option<String>,
    /// Names of a detector's classes; numbers where the checkpoint has none.
    pub classes: Vec<String>,
    /// What it takes.
    pub input: ModelInput,
    /// What the names of all tensors begin with, as training wrappers write it; often empty.
    pub prefix: String,
    /// Tensors of a mask head that finding boxes does not need, and that are left out.
    pub mask_head_tensors: usize,
}

/// The images that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelInput {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// Whether nothing in the files says the size, so that the usual one is taken.
    pub assumed: bool,
    /// What says the size of a detector's input.
    pub source: Option<InputSizeSource>,
}

/// Builds the model of `files` on the CPU and describes it.
///
/// # Errors
/// [`ModelError::UnknownFamily`] if it is neither D-FINE nor MobileSAM, else what keeps it from being run.
pub fn describe(files: &ModelFiles) -> Result<ModelDescription, ModelError> {
    let checkpoint = Checkpoint::of(&files.weights)?;
    match ModelFamily::of(&checkpoint) {
        Some(ModelFamily::DFine) => detector(files, &checkpoint),
        Some(ModelFamily::MobileSam) => segmenter(checkpoint),
        None => {
            let examples = match checkpoint.names().take(3).collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "none at all".to_owned(),
                examples => examples,
            };
            Err(ModelError::UnknownFamily {
                path: files.weights.path.clone(),
                examples,
            })
        }
    }
}

/// The family that the names of a checkpoint's tensors show, whether the model can be run or not.
///
/// # Errors
/// [`ModelError::Weights`] if the checkpoint cannot be read.
pub fn model_family(files: &ModelFiles) -> Result<Option<ModelFamily>, ModelError> {
    Ok(ModelFamily::of(&Checkpoint::of(&files.weights)?))
}

fn detector(files: &ModelFiles, checkpoint: &Checkpoint) -> Result<ModelDescription, ModelError> {
    let detector = build_detector(&Engine::cpu(), files, checkpoint, Names::OrNumbers, None)?;
    let config = detector.config();
    Ok(ModelDescription {
        family: ModelFamily::DFine,
        size: DFineSize::of(config).map(|size| size.to_string()),
        classes: detector.labels().iter().map(ToString::to_string).collect(),
        input: ModelInput {
            width: config.input_size.width,
            height: config.input_size.height,
            channels: config.channels(),
            assumed: config.input_size_source == InputSizeSource::Assumed,
            source: Some(config.input_size_source),
        },
        prefix: detector.prefix().to_owned(),
        mask_head_tensors: detector.mask_head(),
    })
}

fn segmenter(checkpoint: Checkpoint) -> Result<ModelDescription, ModelError> {
    let (_, prefix) = build_segmenter(&Engine::cpu(), checkpoint)?;
    let side = IMAGE_SIDE as u32;
    Ok(ModelDescription {
        family: ModelFamily::MobileSam,
        size: Some("tiny_vit".to_owned()),
        classes: Vec::new(),
        input: ModelInput {
            width: side,
            height: side,
            channels: 3,
            assumed: false,
            source: None,
        },
        prefix,
        mask_head_tensors: 0,
    })
}

impl fmt::Display for ModelDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            family,
            size,
            classes,
            input,
            prefix,
            mask_head_tensors,
        } = self;
        match (family, size) {
            (ModelFamily::MobileSam, _) => write!(f, "MobileSAM (TinyViT)")?,
            (_, Some(size)) => write!(f, "{family}-{}", size.to_uppercase())?,
            (_, None) => write!(f, "{family} of no published size")?,
        }
        if *family == ModelFamily::DFine {
            let names: Vec<String> = classes
                .iter()
                .map(|name| crate::text::quoted(name))
                .collect();
            write!(
                f,
                ", {} ({})",
                counted(classes.len(), "class"),
                names.join(", ")
            )?;
        }
        write!(f, ", input {}x{}", input.width, input.height)?;
        if input.assumed {
            write!(f, " (assumed: nothing in the checkpoint states it)")?;
        }
        write!(f, " with {}", counted(input.channels, "channel"))?;
        if !prefix.is_empty() {
            write!(f, ", names with the prefix {prefix}")?;
        }
        if *mask_head_tensors > 0 {
            write!(
                f,
                "; its mask head ({mask_head_tensors} tensors) is not used"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_count_and_quote() {
        let input = ModelInput {
            width: 640,
            height: 512,
            channels: 1,
            assumed: true,
            source: Some(InputSizeSource::Assumed),
        };
        let mut model = ModelDescription {
            family: ModelFamily::DFine,
            size: Some("n".to_owned()),
            classes: vec!["Zyste, groß".to_owned()],
            input,
            prefix: "model.".to_owned(),
            mask_head_tensors: 0,
        };
        assert_eq!(
            model.to_string(),
            "D-FINE-N, 1 class (\"Zyste, groß\"), input 640x512 (assumed: nothing in the checkpoint states it) with 1 \
             channel, names with the prefix model."
        );
        (model.classes, model.prefix) = (
            vec!["bone".to_owned(), "needle tip".to_owned()],
            String::new(),
        );
        model.input = ModelInput {
            assumed: false,
            channels: 3,
            ..input
        };
        assert_eq!(
            model.to_string(),
            "D-FINE-N, 2 classes (bone, needle tip), input 640x512 with 3 channels"
        );
    }
}
