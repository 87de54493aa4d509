//! The page around the lines.

use super::{doubt::SCALE, options::ReportOptions};
use crate::datasets::writer::WriteOptions;
use serde_json::json;
use std::path::{Component, Path};

/// The page with names of what goes where, in double braces.
const PAGE: &str = include_str!("page.html");
const STYLE: &str = concat!(
    include_str!("style.css"),
    include_str!("gallery.css"),
    include_str!("detail.css")
);
/// One script: later files use what earlier ones define.
const SCRIPT: &str = concat!(
    include_str!("data.js"),
    include_str!("draw.js"),
    include_str!("doubt.js"),
    include_str!("marks.js"),
    include_str!("overview.js"),
    include_str!("timeline.js"),
    include_str!("lanes.js"),
    include_str!("filter.js"),
    include_str!("gallery.js"),
    include_str!("detail.js"),
    include_str!("main.js")
);

/// What comes before the lines of the frames, and what comes after them.
pub(super) fn around(options: &WriteOptions, report: &ReportOptions) -> (String, String) {
    let facts = json!({
        "title": report.title,
        "threshold": report.threshold,
        "classes": options.classes.names().iter().map(|n| &**n).collect::<Vec<&str>>(),
        "images": options.images.as_deref().map(url),
        "facts": report.facts,
        "doubt": SCALE,
    });
    let (facts, title) = (inert(&facts.to_string()), escaped(&report.title));
    let mut parts = [String::new(), String::new()];
    let mut part = 0;
    // The template alone is searched for names: a title that looks like one stays what it is.
    for (index, piece) in PAGE.split("{{").enumerate() {
        let text = match piece.split_once("}}") {
            Some((name, text)) if index > 0 => {
                match name {
                    "title" => parts[part].push_str(&title),
                    "style" => parts[part].push_str(STYLE),
                    "facts" => parts[part].push_str(&facts),
                    "script" => parts[part].push_str(SCRIPT),
                    _ => part = 1,
                }
                text
            }
            _ => piece,
        };
        parts[part].push_str(text);
    }
    let [before, after] = parts;
    (before, after)
}

/// JSON in which nothing can end a script element or begin a comment: `<` occurs in strings alone.
pub(super) fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A folder as the beginning of addresses: relative to the page's, or of the file scheme. It ends with `/`.
fn url(folder: &Path) -> String {
    let mut url = String::new();
    for component in folder.components() {
        match component {
            Component::Prefix(prefix) => {
                url.push_str("file:///");
                url.push_str(&prefix.as_os_str().to_string_lossy());
            }
            Component::RootDir if url.is_empty() => url.push_str("file:///"),
            Component::RootDir => url.push('/'),
            Component::CurDir => url.push_str("./"),
            Component::ParentDir => url.push_str("../"),
            Component::Normal(name) => {
                percent_encode(name.as_encoded_bytes(), &mut url);
                url.push('/');
            }
        }
    }
    if url.is_empty() {
        url.push_str("./");
    }
    url
}

/// Every byte but letters, digits and `-._~` as `%XX`.
fn percent_encode(bytes: &[u8], url: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(byte.into());
        } else {
            url.push('%');
            for half in [byte >> 4, byte & 15] {
                url.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coco::Classes;

    #[test]
    fn folders_become_addresses() {
        for (folder, expected) in [
            ("images", "images/"),
            ("", "./"),
            (".", "./"),
            ("../a b/ä#?%", "../a%20b/%C3%A4%23%3F%25/"),
            ("c:d", "c%3Ad/"),
            ("/data/x", "file:///data/x/"),
        ] {
            assert_eq!(url(Path::new(folder)), expected);
        }
    }

    #[test]
    fn names_of_others_stay_text() {
        let options = WriteOptions {
            root: "out".into(),
            classes: Classes::new(["</script><script>alert(1)</script>", "<!--"]),
            images: None,
            masks: Default::default(),
            parts: Default::default(),
        };
        let report = ReportOptions::new("{{script}}<b>&\"</title>", 0.5)
            .fact("model", "</script>{{frames}}");
        let (before, after) = around(&options, &report);
        assert!(before.contains("<title>{{script}}&lt;b&gt;&amp;&quot;&lt;/title&gt;</title>"));
        assert!(!before.contains("alert(1)</script>") && !before.contains("<!--\""));
        assert_eq!(before.matches("</script").count(), 1);
        assert_eq!(after.matches("</script").count(), 2);
    }

    #[test]
    fn own_files_fit_into_the_page() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
            assert!(!text.contains("http:") && !text.contains("https:"));
        }
    }
}
