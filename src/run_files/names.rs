//! Images of two files by their names, which may differ in leading folders and in the extension.

use std::collections::HashMap;

/// Why a name has no image of its own on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmatched {
    /// No image there has this name.
    Unknown,
    /// Several could be meant.
    Ambiguous,
}

/// Folders of a name that are looked at, from its end.
const MAX_DEPTH: usize = 64;

/// With `/` between folders, without `.` and empty parts.
pub(crate) fn normalised(name: &str) -> String {
    name.split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .collect::<Vec<_>>()
        .join("/")
}

/// For each of `names` the place of its image among `known`: the same name; else the one name left that has the most
/// trailing parts in common with it; else the same by names without extension. No place is given twice. All names are
/// [`normalised`], those of `known` different.
pub(crate) fn match_names(names: &[String], known: &[String]) -> Vec<Result<usize, Unmatched>> {
    let mut matching = Matching {
        found: vec![Err(Unmatched::Unknown); names.len()],
        taken: vec![false; known.len()],
    };
    let places: HashMap<&str, usize> = known
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), i))
        .collect();
    matching.stage(|at| {
        names
            .get(at)
            .and_then(|name| places.get(name.as_str()))
            .map_or(Err(Unmatched::Unknown), |place| Ok(*place))
    });
    for form in [str::len as fn(&str) -> usize, stem_length] {
        // None for an ending of several names.
        let mut endings: HashMap<&str, Option<usize>> = HashMap::new();
        for (i, name) in known
            .iter()
            .enumerate()
            .filter(|(i, _)| !matching.taken[*i])
        {
            for ending in endings_of(&name[..form(name)]) {
                endings
                    .entry(ending)
                    .and_modify(|known| *known = None)
                    .or_insert(Some(i));
            }
        }
        matching.stage(|at| {
            let name = names.get(at).map_or("", String::as_str);
            match endings_of(&name[..form(name)]).find_map(|ending| endings.get(ending)) {
                Some(Some(i)) => Ok(*i),
                Some(None) => Err(Unmatched::Ambiguous),
                None => Err(Unmatched::Unknown),
            }
        });
    }
    matching.found
}

struct Matching {
    found: Vec<Result<usize, Unmatched>>,
    /// Places that have a name.
    taken: Vec<bool>,
}

impl Matching {
    /// Looks for the names that are unknown so far; a place that several of them come to is nobody's.
    fn stage(&mut self, place_of: impl Fn(usize) -> Result<usize, Unmatched>) {
        let open: Vec<usize> = (0..self.found.len())
            .filter(|&at| self.found[at] == Err(Unmatched::Unknown))
            .collect();
        let mut users = vec![0usize; self.taken.len()];
        for &at in &open {
            self.found[at] = place_of(at);
            if let Ok(place) = self.found[at] {
                users[place] += 1;
            }
        }
        for at in open {
            if let Ok(place) = self.found[at] {
                self.taken[place] = true;
                if users[place] > 1 {
                    self.found[at] = Err(Unmatched::Ambiguous);
                }
            }
        }
    }
}

/// Whether two names that were matched have nothing but the file's name in common, and folders that contradict each other.
pub(crate) fn folders_differ(name: &str, known: &str) -> bool {
    let folder = |name: &'_ str| name.rsplit('/').nth(1).map(str::to_owned);
    folder(name).zip(folder(known)).is_some_and(|(a, b)| a != b)
}

/// Length of a name without the extension of its file. What follows the last dot of a UID is no extension.
fn stem_length(name: &str) -> usize {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].rfind('.').map(|dot| file + dot) {
        Some(dot) if dot > file && name[dot..].contains(|c: char| c.is_ascii_alphabetic()) => dot,
        _ => name.len(),
    }
}

/// The last parts of a name: as many as are looked at first, the file's name alone last.
fn endings_of(name: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<usize> = name
        .rmatch_indices('/')
        .map(|(i, _)| i + 1)
        .take(MAX_DEPTH)
        .collect();
    if starts.len() < MAX_DEPTH {
        starts.push(0);
    }
    starts.into_iter().rev().map(|start| &name[start..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(names: &[&str], known: &[&str]) -> Vec<Result<usize, Unmatched>> {
        let all = |names: &[&str]| names.iter().map(|n| normalised(n)).collect::<Vec<_>>();
        match_names(&all(names), &all(known))
    }

    #[test]
    fn leading_folders_may_differ() {
        assert_eq!(
            found(
                &["out\\frames\\2.png", "./frames//1.png"],
                &["frames/1.png", "frames/2.png"]
            ),
            [Ok(1), Ok(0)]
        );
        assert_eq!(
            found(
                &["/data/s2/1.png", "/data/s1/1.png"],
                &["s1/1.png", "s2/1.png"]
            ),
            [Ok(1), Ok(0)]
        );
        assert_eq!(
            found(
                &["frames/clip/000001.png"],
                &["frames/000000.png", "frames/000001.png"]
            ),
            [Ok(1)]
        );
        assert_eq!(found(&["1.png"], &["a/b/1.png"]), [Ok(0)]);
    }

    #[test]
    fn what_is_not_certain_is_not_matched() {
        use Unmatched::{Ambiguous, Unknown};
        assert_eq!(
            found(&["x/1.png"], &["s1/1.png", "s2/1.png"]),
            [Err(Ambiguous)]
        );
        assert_eq!(
            found(&["s1/1.png", "s2/1.png"], &["1.png"]),
            [Err(Ambiguous), Err(Ambiguous)]
        );
        assert_eq!(
            found(&["a/1.png", "b/1.png"], &["a/1.png"]),
            [Ok(0), Err(Unknown)]
        );
        assert_eq!(
            found(&["1.png", "1.png"], &["1.png"]),
            [Err(Ambiguous), Err(Ambiguous)]
        );
        assert_eq!(found(&["11.png"], &["1.png"]), [Err(Unknown)]);
        // The same name is preferred to a longer one that ends like it.
        assert_eq!(found(&["1.png"], &["x/1.png", "1.png"]), [Ok(1)]);
    }

    #[test]
    fn extensions_may_differ_where_nothing_else_is_known() {
        use Unmatched::{Ambiguous, Unknown};
        assert_eq!(
            found(&["in/a.jpg", "in/b.jpg"], &["b.png", "a.png"]),
            [Ok(1), Ok(0)]
        );
        assert_eq!(
            found(&["a.jpg", "a.png"], &["x/a.png"]),
            [Err(Unknown), Ok(0)]
        );
        assert_eq!(found(&["a.bmp"], &["a.png", "a.jpg"]), [Err(Ambiguous)]);
        assert_eq!(
            found(&["a.jpg", "a.bmp"], &["a.png"]),
            [Err(Ambiguous), Err(Ambiguous)]
        );
        assert_eq!(found(&["val/000000000139.jpg"], &["000000000139"]), [Ok(0)]);
        // The last number of a UID tells images apart.
        assert_eq!(found(&["1.2.840.7"], &["1.2.840.8"]), [Err(Unknown)]);
        assert_eq!(found(&["a.d/x"], &["a.e/x"]), [Ok(0)]);
    }

    #[test]
    fn folders_that_contradict_each_other_are_seen() {
        let differ = |a: &str, b: &str| folders_differ(&normalised(a), &normalised(b));
        assert!(differ("a/1.png", "b/1.png") && differ("/x/a/1.png", "x/b/1.jpg"));
        assert!(
            !differ("/data/a/1.png", "a/1.png")
                && !differ("1.png", "b/1.png")
                && !differ("./a/1.png", "x/a//1.png")
        );
    }

    #[test]
    fn many_images_of_one_name_and_deep_names_take_no_time() {
        let known: Vec<String> = (0..20_000).map(|i| format!("s{i}/0.png")).collect();
        let names: Vec<String> = known.iter().map(|name| format!("out/{name}")).collect();
        assert!(
            match_names(&names, &known)
                .iter()
                .enumerate()
                .all(|(i, found)| *found == Ok(i))
        );
        let deep = "a/".repeat(1_000_000);
        assert_eq!(
            match_names(&[format!("{deep}1.png")], &[format!("b/{deep}1.png")]),
            [Ok(0)]
        );
    }

    proptest! {
        #[test]
        fn each_place_is_given_once_and_to_a_name_that_ends_like_it(
            names in proptest::collection::vec("([ab]/){0,2}[xy]{1,2}(\\.(png|jpg))?", 0..6),
            known in proptest::collection::btree_set("([ab]/){0,2}[xy]{1,2}(\\.(png|jpg))?", 0..6),
        ) {
            let known: Vec<String> = known.into_iter().collect();
            let found = match_names(&names, &known);
            prop_assert_eq!(found.len(), names.len());
            let mut given = Vec::new();
            for (name, place) in names.iter().zip(&found) {
                if let Ok(place) = place {
                    let file = |name: &str| name[..stem_length(name)].rsplit('/').next().map(str::to_owned);
                    prop_assert_eq!(file(name), file(&known[*place]));
                    given.push(*place);
                }
            }
            let count = given.len();
            given.sort_unstable();
            given.dedup();
            prop_assert_eq!(given.len(), count);
        }

        #[test]
        fn the_same_names_in_another_folder_are_found(
            known in proptest::collection::btree_set("([ab]/){0,2}[a-d]{1,3}\\.png", 1..8),
        ) {
            let known: Vec<String> = known.into_iter().collect();
            let all: Vec<_> = (0..known.len()).map(Ok).collect();
            prop_assert_eq!(match_names(&known, &known), all.clone());
            let moved: Vec<String> = known.iter().map(|name| format!("out/{name}")).collect();
            // A name may end like a longer one of another image: then that one is not certain.
            for (at, place) in match_names(&moved, &known).into_iter().enumerate() {
                prop_assert!(place == Ok(at) || place == Err(Unmatched::Ambiguous));
            }
        }
    }
}
