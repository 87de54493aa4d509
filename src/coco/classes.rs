//! Class names and the category ids that COCO files give them.

use std::sync::Arc;

/// Names of the classes that a model or the user states, in order of class, with their COCO category ids.
///
/// Ids are class + 1, but for the 80 classes of COCO, which get the ids of the published annotations (1 to 90 with gaps),
/// so that results can be evaluated against them. A class beyond the names gets the id after the highest, and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classes {
    names: Vec<Arc<str>>,
    coco: bool,
}

impl Classes {
    /// The classes named `names`, class 0 first.
    pub fn new(names: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        let names: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        let coco = names.len() == COCO_NAMES.len()
            && names.iter().zip(COCO_NAMES).all(|(a, b)| same_class(a, b));
        Self { names, coco }
    }

    /// The names, class 0 first.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The COCO category id of `class`.
    pub fn category_id(&self, class: u32) -> i64 {
        let class = i64::from(class);
        if !self.coco {
            return class + 1;
        }
        let known = usize::try_from(class).ok().and_then(|c| COCO_IDS.get(c));
        known.map_or(class + 1 + (i64::from(COCO_IDS[79]) - 80), |&id| {
            i64::from(id)
        })
    }

    /// The class of a COCO category id: the inverse of [`Classes::category_id`]; none for an id that it never gives.
    pub fn class_of(&self, id: i64) -> Option<u32> {
        let last = i64::from(COCO_IDS[79]);
        let class = match (self.coco, id) {
            (_, ..=0) => None,
            (false, _) => Some(id - 1),
            (true, _) if id > last => Some(id - 1 - (last - 80)),
            (true, _) => COCO_IDS
                .iter()
                .position(|&i| i64::from(i) == id)
                .and_then(|p| i64::try_from(p).ok()),
        };
        u32::try_from(class?).ok()
    }
}

/// Whether two names mean one class of COCO: letter case and `_`, `-` for a space do not matter, nor do the older names
/// that some checkpoints carry.
fn same_class(a: &str, coco: &str) -> bool {
    let plain = a.trim().to_lowercase().replace(['_', '-'], " ");
    let name = match plain.as_str() {
        "motorbike" => "motorcycle",
        "aeroplane" => "airplane",
        "sofa" => "couch",
        "pottedplant" => "potted plant",
        "diningtable" => "dining table",
        "tvmonitor" => "tv",
        other => other,
    };
    name == coco
}

/// The 80 classes of COCO, in the order of models trained on them.
#[rustfmt::skip]
pub const COCO_NAMES: [&str; 80] = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light", "fire hydrant", "stop sign",
    "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack",
    "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed",
    "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
];

/// Their ids in the published annotations.
#[rustfmt::skip]
const COCO_IDS: [u8; 80] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 67, 70, 72, 73, 74, 75, 76, 77, 78,
    79, 80, 81, 82, 84, 85, 86, 87, 88, 89, 90,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coco_classes_get_the_published_ids() {
        let coco = Classes::new(COCO_NAMES);
        let id = |name: &str| {
            coco.category_id(COCO_NAMES.iter().position(|n| *n == name).unwrap() as u32)
        };
        assert_eq!(
            [
                id("person"),
                id("stop sign"),
                id("backpack"),
                id("dining table"),
                id("toothbrush")
            ],
            [1, 13, 27, 67, 90]
        );
        assert_eq!(coco.category_id(80), 91);
        assert!((0..100).all(|class| coco.class_of(coco.category_id(class)) == Some(class)));
        assert_eq!([-1, 0, 12].map(|id| coco.class_of(id)), [None; 3]);
    }

    #[test]
    fn other_classes_count_from_one() {
        let own = Classes::new(["bone", "shadow"]);
        assert_eq!((own.category_id(0), own.category_id(7)), (1, 8));
        assert_eq!(own.class_of(8), Some(7));
        assert_eq!(
            Classes::new(
                COCO_NAMES
                    .iter()
                    .map(|n| n.to_uppercase().replace(' ', "_"))
            )
            .category_id(79),
            90
        );
        assert_eq!(
            Classes::new(COCO_NAMES[..79].iter().copied()).category_id(78),
            79
        );
    }
}
