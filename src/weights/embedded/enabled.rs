//! The models of `assets/models`.

use super::model::EmbeddedModel;
use crate::weights::role::Role;

macro_rules! asset {
    ($path:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/models/",
            $path
        )) as &[u8]
    };
}

/// The models that are part of the program; empty without the feature `embedded-models`.
pub static EMBEDDED_MODELS: &[EmbeddedModel] = &[
    EmbeddedModel {
        name: "dfine-n-phantom",
        role: Role::Detector,
        description: "D-FINE-N: bone, cyst, vessel, needle; trained on phantoms, not for clinical use",
        weights: (
            "model.safetensors",
            asset!("dfine-n-phantom/model.safetensors"),
        ),
        config: Some(("config.json", asset!("dfine-n-phantom/config.json"))),
        preprocessor: Some((
            "preprocessor_config.json",
            asset!("dfine-n-phantom/preprocessor_config.json"),
        )),
    },
    EmbeddedModel {
        name: "mobile-sam-phantom",
        role: Role::Segmenter,
        description: "MobileSAM; trained on phantoms, not for clinical use",
        weights: (
            "mobile_sam.safetensors",
            asset!("mobile-sam-phantom/mobile_sam.safetensors"),
        ),
        config: None,
        preprocessor: None,
    },
];
