//! Names of tensors in checkpoints: the prefixes of training wrappers, other models, tensors without a part in inference.

use super::error::MobileSamError;
use crate::models::prefix;

/// What names of the image encoder begin with, and those of no other model.
const MARKS: &[((), &str)] = &[((), "image_encoder.patch_embed.seq.")];
/// A name that segment anything's own, larger image encoder has.
const LARGE_ENCODER: &str = "image_encoder.pos_embed";

/// What all `names` begin with before the model's own names, as training wrappers write it; often nothing.
///
/// # Errors
/// [`MobileSamError::Unrecognised`] for names of another model, [`MobileSamError::Prefix`] if not all have the prefix.
pub fn prefix_of<'a>(
    origin: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<String, MobileSamError> {
    if let Some(((), prefix)) = prefix::find(origin, names.clone(), MARKS)? {
        return Ok(prefix);
    }
    let found = if names.clone().any(|name| name.ends_with(LARGE_ENCODER)) {
        "segment anything with a ViT encoder; MobileSAM has TinyViT".to_owned()
    } else {
        match names.take(3).collect::<Vec<_>>().join(", ") {
            examples if examples.is_empty() => "no tensors at all".to_owned(),
            examples => format!("tensors such as {examples}"),
        }
    };
    Err(MobileSamError::Unrecognised {
        origin: origin.to_owned(),
        found,
    })
}

/// Whether a tensor of a published checkpoint has no part in the computation:
///
/// - `num_batches_tracked` of batch normalisation;
/// - `attention_bias_idxs` and `ab` of TinyViT's attention, buffers that follow from the window's size;
/// - `norm_head` and `head`, TinyViT's classifier, which `mobile_sam.pt` carries along;
/// - `pixel_mean` and `pixel_std`, fixed in [`crate::ops::Normalisation::IMAGENET`].
pub fn is_ignorable(name: &str) -> bool {
    let classifier = ["image_encoder.norm_head.", "image_encoder.head."];
    matches!(name, "pixel_mean" | "pixel_std")
        || name.rsplit('.').next() == Some("num_batches_tracked")
        || name.ends_with(".attn.attention_bias_idxs")
        || name.ends_with(".attn.ab")
        || classifier.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_and_other_models_named() {
        let of =
            |names: &[&str]| prefix_of("sam.pth", names.iter().copied()).map_err(|e| e.to_string());
        let name = "image_encoder.patch_embed.seq.0.c.weight";
        assert_eq!(of(&[name, "pixel_mean"]), Ok(String::new()));
        assert_eq!(
            of(&[
                "net.sam.image_encoder.patch_embed.seq.0.c.weight",
                "net.sam.pixel_mean"
            ]),
            Ok("net.sam.".to_owned())
        );
        assert!(
            of(&["model.image_encoder.patch_embed.seq.0.c.weight", "loss.w"])
                .unwrap_err()
                .contains("prefix model.,")
        );
        assert!(
            of(&["image_encoder.pos_embed", "x"])
                .unwrap_err()
                .starts_with("sam.pth: not a MobileSAM checkpoint (segment anything with")
        );
        assert!(
            of(&["backbone.stem.x"])
                .unwrap_err()
                .contains("tensors such as backbone.stem.x")
        );
    }
}
