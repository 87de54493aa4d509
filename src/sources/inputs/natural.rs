//! Natural order: numbers inside names by their value, so that 2 comes before 10.

use std::{cmp::Ordering, ffi::OsStr, path::Path};

/// Compares paths component by component in natural order. A total order: only equal paths are equal. Works on bytes,
/// so that names that are not UTF-8 have their place too.
pub(super) fn compare_paths(a: &Path, b: &Path) -> Ordering {
    let (mut left, mut right) = (a.components(), b.components());
    loop {
        match (left.next(), right.next()) {
            (Some(x), Some(y)) => match compare_names(x.as_os_str(), y.as_os_str()) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (x, y) => return x.is_some().cmp(&y.is_some()).then_with(|| a.cmp(b)),
        }
    }
}

fn compare_names(a: &OsStr, b: &OsStr) -> Ordering {
    let (a, b) = (a.as_encoded_bytes(), b.as_encoded_bytes());
    let (mut x, mut y) = (a, b);
    loop {
        match (x.first(), y.first()) {
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (number_x, rest_x) = split_number(x);
                let (number_y, rest_y) = split_number(y);
                match compare_numbers(number_x, number_y) {
                    Ordering::Equal => (x, y) = (rest_x, rest_y),
                    unequal => return unequal,
                }
            }
            (Some(p), Some(q)) if p == q => (x, y) = (&x[1..], &y[1..]),
            (Some(p), Some(q)) => return p.cmp(q),
            // Names that differ in leading zeros alone.
            (p, q) => return p.is_some().cmp(&q.is_some()).then_with(|| a.cmp(b)),
        }
    }
}

/// Splits the run of digits off the front.
fn split_number(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(
        bytes
            .iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(bytes.len()),
    )
}

/// Compares runs of digits of any length by value.
pub(super) fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| {
        digits
            .iter()
            .position(|&d| d != b'0')
            .unwrap_or(digits.len())
    };
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_sort_by_value_at_any_length() {
        let mut names = [
            "b",
            "a10",
            "a2",
            "a02",
            "a",
            "a99999999999999999999999",
            "a1/z",
            "a1",
            "a10b",
        ]
        .map(Path::new);
        names.sort_by(|a, b| compare_paths(a, b));
        let order = [
            "a",
            "a1",
            "a1/z",
            "a02",
            "a2",
            "a10",
            "a10b",
            "a99999999999999999999999",
            "b",
        ]
        .map(Path::new);
        assert_eq!(names, order);
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_have_a_total_order() {
        use std::os::unix::ffi::OsStrExt;
        let names: Vec<&Path> = [&b"x\xff2"[..], b"x\xff10", b"x", b"x2", b"\xfe"]
            .iter()
            .map(|n| Path::new(OsStr::from_bytes(n)))
            .collect();
        for a in &names {
            for b in &names {
                assert_eq!(compare_paths(a, b), compare_paths(b, a).reverse());
                assert_eq!(compare_paths(a, b) == Ordering::Equal, a == b);
            }
        }
        assert_eq!(compare_paths(names[0], names[1]), Ordering::Less);
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(names in proptest::array::uniform3("[a01é_.]{0,3}(/?[b029]{0,4}){0,2}")) {
            let [a, b, c] = names.each_ref().map(Path::new);
            prop_assert_eq!(compare_paths(a, b), compare_paths(b, a).reverse());
            prop_assert_eq!(compare_paths(a, b) == Ordering::Equal, a == b);
            let mut sorted = [a, b, c];
            sorted.sort_by(|x, y| compare_paths(x, y));
            let [a, b, c] = sorted;
            prop_assert_ne!(compare_paths(a, b), Ordering::Greater);
            prop_assert_ne!(compare_paths(b, c), Ordering::Greater);
            prop_assert_ne!(compare_paths(a, c), Ordering::Greater);
        }

        #[test]
        fn numbers_compare_by_value(a: u64, b: u64, zeros in 0..4usize) {
            let text = |n: u64| format!("{}{n}", "0".repeat(zeros));
            prop_assert_eq!(compare_numbers(text(a).as_bytes(), b.to_string().as_bytes()), a.cmp(&b));
        }
    }
}
