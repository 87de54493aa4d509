//! The modules of a crate, read from its files: what each defines, re-exports and uses.

use std::collections::{BTreeMap, BTreeSet};
use syn::{
    Attribute, Item, UseTree,
    visit::{self, Visit},
};

/// A path from the root of the crate, without `crate`.
pub(crate) type Path = Vec<String>;

/// A use of something of this crate, in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    /// The file that uses it.
    pub user: String,
    /// The file that defines it, all re-exports followed.
    pub definer: String,
    /// The path as written, from the root of the crate.
    pub path: Path,
}

/// What a module holds.
#[derive(Debug, Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    children: BTreeSet<String>,
    reexports: BTreeMap<String, Path>,
    globs: Vec<Path>,
}

/// A crate.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    modules: BTreeMap<Path, Module>,
    /// File, module, path used.
    mentions: Vec<(String, Path, Path)>,
}

impl Tree {
    /// Of files by name, below `src/` and with `/`. What is compiled for tests only is left out.
    pub(crate) fn read(files: &[(String, String)]) -> Self {
        let parsed: Vec<(&String, Path, syn::File)> = files
            .iter()
            .map(|(name, text)| {
                let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{name}: {e}"));
                (name, module_of(name), file)
            })
            .collect();
        let for_tests: Vec<Path> = parsed
            .iter()
            .flat_map(|(_, module, file)| test_modules(module, &file.items))
            .collect();
        let mut tree = Self::default();
        tree.modules.insert(Vec::new(), Module::default());
        for (name, module, file) in &parsed {
            if !for_tests.iter().any(|tests| module.starts_with(tests)) {
                tree.add(name, module, &file.items);
            }
        }
        tree
    }

    fn add(&mut self, file: &str, path: &Path, items: &[Item]) {
        let module = self.modules.entry(path.clone()).or_default();
        module.file = file.to_owned();
        let mut finder = Finder::default();
        let declared = items.iter().filter_map(|item| match item {
            Item::Mod(declared) => Some(declared.ident.to_string()),
            _ => None,
        });
        module.children = declared.collect();
        let children = module.children.clone();
        let from_root = |used: &Path| match used.first() {
            Some(first) if children.contains(first) => Some([path.clone(), used.clone()].concat()),
            _ => absolute(used, path),
        };
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            if let Some(name) = name_of(item) {
                module.items.insert(name);
            }
            match item {
                Item::Mod(_) => {}
                Item::Use(used) => {
                    let mut leaves = Vec::new();
                    flatten(&used.tree, &mut Vec::new(), &mut leaves);
                    for (leaf, alias) in leaves {
                        finder.paths.push(leaf.clone());
                        let Some(target) = from_root(&leaf) else {
                            continue;
                        };
                        match alias.as_str() {
                            "*" => module.globs.push(target),
                            _ => {
                                module.reexports.insert(alias, target);
                            }
                        }
                    }
                }
                _ => finder.visit_item(item),
            }
        }
        for found in finder.paths {
            if let Some(target) = from_root(&found) {
                self.mentions.push((file.to_owned(), path.clone(), target));
            }
        }
        for item in items {
            if let Item::Mod(inline) = item
                && !is_for_tests(&inline.attrs)
                && let Some((_, items)) = &inline.content
            {
                let inner = [path.clone(), vec![inline.ident.to_string()]].concat();
                self.add(file, &inner, items);
            }
        }
    }

    /// The file that defines what `path` names.
    fn definer(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut at: Path = Vec::new();
        for (n, segment) in path.iter().enumerate() {
            let module = self.modules.get(&at)?;
            let inner = [at.clone(), vec![segment.clone()]].concat();
            if self.modules.contains_key(&inner) {
                at = inner;
                continue;
            }
            if module.items.contains(segment) || depth > 20 {
                return Some(&module.file);
            }
            if let Some(target) = module.reexports.get(segment) {
                let whole = [target.clone(), path[n + 1..].to_vec()].concat();
                return self.definer(&whole, depth + 1);
            }
            return module
                .globs
                .iter()
                .filter_map(|glob| {
                    self.definer(&[glob.clone(), path[n..].to_vec()].concat(), depth + 1)
                })
                .next()
                .or(Some(&module.file));
        }
        self.modules.get(&at).map(|module| module.file.as_str())
    }

    /// All uses of one file by another.
    pub(crate) fn uses(&self) -> BTreeSet<Use> {
        let found = self.mentions.iter().filter_map(|(user, _, path)| {
            let definer = self.definer(path, 0)?;
            (definer != user && !path.is_empty()).then(|| Use {
                user: user.clone(),
                definer: definer.to_owned(),
                path: path.clone(),
            })
        });
        found.collect()
    }
}

/// Groups of files that use each other in a circle.
pub(crate) fn cycles(uses: &BTreeSet<Use>) -> Vec<Vec<String>> {
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for used in uses {
        after.entry(&used.user).or_default().insert(&used.definer);
    }
    let reach = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            for next in after.get(at).into_iter().flatten() {
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        after.keys().map(|file| (*file, reach(file))).collect();
    let circle = |file: &str| -> Vec<String> {
        let others = reachable[file].iter();
        others
            .filter(|other| reachable.get(**other).is_some_and(|r| r.contains(file)))
            .map(|other| (*other).to_owned())
            .collect()
    };
    let found: BTreeSet<Vec<String>> = after.keys().map(|file| circle(file)).collect();
    found.into_iter().filter(|group| group.len() > 1).collect()
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn module_of(file: &str) -> Path {
    let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
    match stem {
        "lib" | "main" => Vec::new(),
        _ => stem.split('/').map(str::to_owned).collect(),
    }
}

fn test_modules(module: &Path, items: &[Item]) -> Vec<Path> {
    let of_tests = items.iter().filter_map(|item| match item {
        Item::Mod(declared) if is_for_tests(&declared.attrs) => {
            Some([module.clone(), vec![declared.ident.to_string()]].concat())
        }
        _ => None,
    });
    of_tests.collect()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(i) => i.ident.to_string(),
        Item::Enum(i) => i.ident.to_string(),
        Item::Fn(i) => i.sig.ident.to_string(),
        Item::Static(i) => i.ident.to_string(),
        Item::Struct(i) => i.ident.to_string(),
        Item::Trait(i) => i.ident.to_string(),
        Item::Type(i) => i.ident.to_string(),
        Item::Union(i) => i.ident.to_string(),
        Item::Macro(i) => i.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// The leaves of a `use`: whole path, and the name it gets here.
fn flatten(tree: &UseTree, before: &mut Path, leaves: &mut Vec<(Path, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Group(group) => {
            for item in &group.items {
                flatten(item, before, leaves);
            }
        }
        UseTree::Glob(_) => leaves.push((before.clone(), "*".to_owned())),
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((before.clone(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push(([before.clone(), vec![name.clone()]].concat(), name));
        }
        UseTree::Rename(rename) => {
            let path = match rename.ident.to_string().as_str() {
                "self" => before.clone(),
                name => [before.clone(), vec![name.to_owned()]].concat(),
            };
            leaves.push((path, rename.rename.to_string()));
        }
    }
}

/// A path that starts with `crate`, `self` or `super` in module `here`, from the root; none of another crate.
fn absolute(path: &[String], here: &[String]) -> Option<Path> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([here, rest].concat()),
        "super" => {
            let ups = path
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let up = here.len().checked_sub(ups)?;
            Some([&here[..up], &path[ups..]].concat())
        }
        _ => None,
    }
}

/// Finds the paths in code, those within macros included.
#[derive(Default)]
struct Finder {
    paths: Vec<Path>,
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.paths
            .push(segments.map(|s| s.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        let mut leaves = Vec::new();
        flatten(tree, &mut Vec::new(), &mut leaves);
        self.paths.extend(leaves.into_iter().map(|(path, _)| path));
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(crate)` uses nothing.
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {
        // A module of its own.
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let text = call.tokens.to_string();
        for (at, _) in text.match_indices("crate ::") {
            let words = text[at..].split_whitespace();
            let path = words
                .take_while(|w| *w == "::" || w.chars().all(|c| c.is_alphanumeric() || c == '_'));
            self.paths
                .push(path.filter(|w| *w != "::").map(str::to_owned).collect());
        }
    }
}
