//! Words with numbers.

/// `count` and the word for so many of them: `1 frame`, `2 boxes`, `0 entries`.
pub fn counted<N: std::fmt::Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    if count == N::from(1) {
        format!("{count} {one}")
    } else {
        format!("{count} {}", plural(one))
    }
}

/// [`counted`] with its verb: `1 frame is`, `2 boxes are`.
pub fn counted_are<N: std::fmt::Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    let verb = if count == N::from(1) { "is" } else { "are" };
    format!("{} {verb}", counted(count, one))
}

/// The plural of an English noun whose spelling is regular.
pub fn plural(one: &str) -> String {
    let hissing = ["s", "x", "ch", "sh"]
        .iter()
        .any(|ending| one.ends_with(ending));
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if hissing => format!("{one}es"),
        _ => format!("{one}s"),
    }
}

/// A class name as lists of names show it: in quotes where it has what could end it.
pub(crate) fn quoted(name: &str) -> String {
    let plain =
        !name.contains([',', ';', '"', '(', ')']) && name.trim() == name && !name.is_empty();
    if plain {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(counted(1u64, "error"), "1 error");
        assert_eq!(counted(0usize, "error"), "0 errors");
        assert_eq!(counted(2u64, "box"), "2 boxes");
        assert_eq!(counted(3u64, "class"), "3 classes");
        assert_eq!(counted(2u64, "entry"), "2 entries");
        assert_eq!(counted(2u64, "array"), "2 arrays");
        assert_eq!(counted(2u64, "batch"), "2 batches");
        assert_eq!(
            (counted_are(1u64, "tensor"), counted_are(2u64, "tensor")),
            ("1 tensor is".into(), "2 tensors are".into())
        );
        assert_eq!(counted(1.0, "object"), "1 object");
        assert_eq!(counted(2.5, "object"), "2.5 objects");
    }
}
