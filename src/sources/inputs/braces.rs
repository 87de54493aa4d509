//! `{a,b}` in patterns: the patterns that it stands for.

/// Patterns that one may stand for, at most.
const MAX_PATTERNS: usize = 4096;

/// The patterns that `text` stands for, without braces, in the order of their alternatives. A backslash takes the meaning
/// from the character after it, and within `[…]` braces mean themselves.
///
/// # Errors
/// What is wrong with the braces, in words.
pub(super) fn expanded(text: &str) -> Result<Vec<String>, String> {
    let mut open = vec![text.to_owned()];
    let mut done = Vec::new();
    while let Some(pattern) = open.pop() {
        match first_braces(&pattern)? {
            Some((start, end)) => {
                let (before, after) = (&pattern[..start], &pattern[end + 1..]);
                let mut alternatives = alternatives(&pattern[start + 1..end]);
                alternatives.reverse();
                open.extend(
                    alternatives
                        .iter()
                        .map(|alternative| format!("{before}{alternative}{after}")),
                );
            }
            None => done.push(pattern),
        }
        if open.len() + done.len() > MAX_PATTERNS {
            return Err(format!(
                "its braces stand for more than {MAX_PATTERNS} patterns"
            ));
        }
    }
    Ok(done)
}

/// The places of the first `{` and of the `}` that belongs to it.
fn first_braces(pattern: &str) -> Result<Option<(usize, usize)>, String> {
    let (mut start, mut depth) = (None, 0usize);
    for (at, c) in special(pattern) {
        match c {
            '{' => {
                start = start.or(Some(at));
                depth += 1;
            }
            '}' if depth == 0 => return Err("a } without a { before it".to_owned()),
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(start.map(|start| (start, at)));
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        Err("a { without a } after it".to_owned())
    } else {
        Ok(None)
    }
}

/// What is between the commas of the outermost braces.
fn alternatives(inner: &str) -> Vec<&str> {
    let (mut from, mut depth, mut parts) = (0, 0usize, Vec::new());
    for (at, c) in special(inner) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    parts
}

/// The characters that mean something to braces: not those after a backslash, nor those within `[…]`.
fn special(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let (mut escaped, mut class_from) = (false, None);
    text.char_indices().filter(move |&(at, c)| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match (c, class_from) {
            ('\\', _) if cfg!(unix) => escaped = true,
            // A `]` right after `[` or `[!` is one of the class.
            (']', Some(from)) if !["[", "[!", "[^"].contains(&&text[from..at]) => class_from = None,
            ('[', None) if text[at..].contains(']') => class_from = Some(at),
            (_, None) => return true,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_what_they_stand_for() {
        let all = |text: &str| expanded(text).unwrap().join(" ");
        assert_eq!(
            all("a/{b,c/d}/*.{png,jpg}"),
            "a/b/*.png a/b/*.jpg a/c/d/*.png a/c/d/*.jpg"
        );
        assert_eq!(all("{a,{b,c}d,}x"), "ax bdx cdx x");
        assert_eq!(all("{one}"), "one");
        assert_eq!(all("a[{,}]b{1,2}"), "a[{,}]b1 a[{,}]b2");
        assert_eq!(all("[]{]{1,2}"), "[]{]1 []{]2");
        assert_eq!(all("no"), "no");
        if cfg!(unix) {
            assert_eq!(all(r"\{a,b\}{1,\,}"), r"\{a,b\}1 \{a,b\}\,");
        }
    }

    #[test]
    fn braces_without_end_and_without_bound_are_errors() {
        for bad in ["{", "a{b", "a}b", "{a}}", "{a,{b}"] {
            assert!(expanded(bad).is_err(), "{bad}");
        }
        assert!(
            expanded(&"{1,2,3,4,5,6,7,8}".repeat(60))
                .unwrap_err()
                .contains("more than")
        );
    }
}
