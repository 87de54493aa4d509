//! Colours of classes and tracks.

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// The colours of Okabe and Ito, which people with any kind of colour blindness can tell apart, without black and with
/// blue lightened, as neither shows on dark ultrasound. The strongest come first.
const BASE: [Colour; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 190, 140],
    [240, 228, 66],
    [213, 94, 0],
    [204, 121, 167],
    [70, 130, 220],
];

/// The colour of a class: always the same. From the eighth class on the colours return, lighter, then darker.
pub(crate) fn colour(class: u32) -> Colour {
    let base = BASE[class as usize % BASE.len()];
    let towards = |target: f32, share: f32| {
        base.map(|c| (f32::from(c) + (target - f32::from(c)) * share).round() as u8)
    };
    match (class as usize / BASE.len()) % 3 {
        0 => base,
        1 => towards(255.0, 0.45),
        _ => towards(0.0, 0.35),
    }
}

/// Colours before they return.
const COLOURS: u64 = 3 * BASE.len() as u64;

/// The colour of a track, from 1: the same in all frames. Tracks go through the colours of classes in their order, so that those
/// that begin one after the other differ, and the 22nd has the colour of the first again.
pub(crate) fn track_colour(id: u64) -> Colour {
    colour((id.saturating_sub(1) % COLOURS) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_classes_differ() {
        let all: std::collections::BTreeSet<Colour> = (0..21).map(colour).collect();
        assert_eq!(all.len(), 21);
        assert_eq!(colour(21), colour(0));
        colour(u32::MAX);
    }

    #[test]
    fn the_first_tracks_differ() {
        let all: std::collections::BTreeSet<Colour> = (1..22).map(track_colour).collect();
        assert_eq!(all.len(), 21);
        assert_eq!(track_colour(22), track_colour(1));
        assert_eq!([track_colour(1), track_colour(0)], [colour(0); 2]);
        track_colour(u64::MAX);
    }
}
