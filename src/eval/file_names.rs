//! Images of two files by their names, which may differ in leading folders.

use std::collections::HashMap;

/// Why a name has no image of its own on the other side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// No image there has this name.
    Unknown,
    /// Several could be meant.
    Ambiguous,
}

/// Folders of a name that are looked at, from its end.
const MAX_DEPTH: usize = 64;

/// With `/` between folders, without `.` and empty parts.
pub(super) fn normalised(name: &str) -> String {
    name.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// For each of `names` the place of its image among `known`: the same name, else the one name left that has the most
/// trailing parts in common with it. No place is given twice. All names are [`normalised`], those of `known` different.
pub(super) fn match_names(names: &[String], known: &[String]) -> Vec<Result<usize, Unmatched>> {
    let places: HashMap<&str, usize> = known.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let exact: Vec<Option<usize>> = names.iter().map(|name| places.get(name.as_str()).copied()).collect();
    let mut users = vec![0usize; known.len()];
    exact.iter().flatten().for_each(|&i| users[i] += 1);

    // None for an ending of several names.
    let mut endings: HashMap<&str, Option<usize>> = HashMap::new();
    for (i, name) in known.iter().enumerate().filter(|(i, _)| users[*i] == 0) {
        for ending in endings_of(name) {
            endings.entry(ending).and_modify(|known| *known = None).or_insert(Some(i));
        }
    }
    let by_ending = |name: &str| match endings_of(name).find_map(|ending| endings.get(ending)) {
        Some(Some(i)) => Ok(*i),
        Some(None) => Err(Unmatched::Ambiguous),
        None => Err(Unmatched::Unknown),
    };
    let mut found: Vec<_> = names.iter().zip(&exact).map(|(name, exact)| exact.map_or_else(|| by_ending(name), Ok)).collect();
    users.fill(0);
    found.iter().flatten().for_each(|&i| users[i] += 1);
    for place in &mut found {
        if place.as_ref().is_ok_and(|&i| users[i] > 1) {
            *place = Err(Unmatched::Ambiguous);
        }
    }
    found
}

/// The last parts of a name: as many as are looked at first, the file's name alone last.
fn endings_of(name: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<usize> = name.rmatch_indices('/').map(|(i, _)| i + 1).take(MAX_DEPTH).collect();
    if starts.len() < MAX_DEPTH {
        starts.push(0);
    }
    starts.into_iter().rev().map(|start| &name[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], known: &[&str]) -> Vec<Result<usize, Unmatched>> {
        let all = |names: &[&str]| names.iter().map(|n| normalised(n)).collect::<Vec<_>>();
        match_names(&all(names), &all(known))
    }

    #[test]
    fn leading_folders_may_differ() {
        assert_eq!(found(&["out\\frames\\2.png", "./frames//1.png"], &["frames/1.png", "frames/2.png"]), [Ok(1), Ok(0)]);
        assert_eq!(found(&["/data/s2/1.png", "/data/s1/1.png"], &["s1/1.png", "s2/1.png"]), [Ok(1), Ok(0)]);
        assert_eq!(found(&["frames/clip/000001.png"], &["frames/000000.png", "frames/000001.png"]), [Ok(1)]);
        assert_eq!(found(&["1.png"], &["a/b/1.png"]), [Ok(0)]);
    }

    #[test]
    fn what_is_not_certain_is_not_matched() {
        use Unmatched::{Ambiguous, Unknown};
        assert_eq!(found(&["x/1.png"], &["s1/1.png", "s2/1.png"]), [Err(Ambiguous)]);
        assert_eq!(found(&["s1/1.png", "s2/1.png"], &["1.png"]), [Err(Ambiguous), Err(Ambiguous)]);
        assert_eq!(found(&["a/1.png", "b/1.png"], &["a/1.png"]), [Ok(0), Err(Unknown)]);
        assert_eq!(found(&["1.png", "1.png"], &["1.png"]), [Err(Ambiguous), Err(Ambiguous)]);
        assert_eq!(found(&["11.png"], &["1.png"]), [Err(Unknown)]);
        // The same name is preferred to a longer one that ends like it.
        assert_eq!(found(&["1.png"], &["x/1.png", "1.png"]), [Ok(1)]);
    }

    #[test]
    fn many_images_of_one_name_and_deep_names_take_no_time() {
        let known: Vec<String> = (0..20_000).map(|i| format!("s{i}/0.png")).collect();
        let names: Vec<String> = known.iter().map(|name| format!("out/{name}")).collect();
        assert!(match_names(&names, &known).iter().enumerate().all(|(i, found)| *found == Ok(i)));
        let deep = "a/".repeat(1_000_000);
        assert_eq!(match_names(&[format!("{deep}1.png")], &[format!("b/{deep}1.png")]), [Ok(0)]);
    }
}
