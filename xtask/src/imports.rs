//! `cargo xtask ci imports`: which parts of the code may use which, and no circles.
//!
//! The check reads `use` declarations and paths such as `crate::wire::json`, with simple rules
//! instead of a compiler. It follows a re-export to the file that defines the name. It leaves out
//! tests, which stand at the end of a file (clippy's `items_after_test_module` sees to that).
//!
//! A circle is a chain of files in one crate in which each file uses the next and the last uses the
//! first. A child that uses its parent, or any other file above it, adds nothing to a chain: a
//! child is a part of its parent, split off to keep files short, and may see what the parent
//! defines. A parent that uses its child does count, and so does every use between siblings and
//! between branches. `mod` alone is not a use, and neither is a re-export (`pub use`) of a name
//! that the file itself does not mention again.

mod rules;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::LazyLock,
};

use anyhow::{Result, bail};
use regex::Regex;

use crate::{
    print,
    source::{Layers, SourceFile, line_number},
};

use self::rules::{RULES, Rule};

/// A module or item as its path from the root of its crate, or from another crate's name.
type Path = Vec<String>;

/// Fails if a file uses what a rule forbids, or files use each other in a circle.
pub(crate) fn run(files: &[SourceFile]) -> Result<()> {
    let crates = crates(files);
    let mut problems = forbidden(&crates, RULES);
    problems.extend(circles(&crates));
    problems.iter().for_each(print::note);
    match problems.len() {
        0 => Ok(()),
        count => bail!("{count} imports to untangle"),
    }
}

/// The files of one crate, by their module's path. The root's path is empty.
#[derive(Debug, Default)]
struct Crate {
    modules: BTreeMap<Path, Module>,
}

/// One file of a crate.
#[derive(Debug)]
struct Module {
    file: String,
    /// Everything that the file uses, in the order of the lines.
    uses: Vec<Use>,
    /// Names that `use` declarations bring into the file, with the paths they stand for.
    names: BTreeMap<String, Path>,
}

/// A path that a file uses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    line: usize,
    target: Target,
    /// The file only hands the name on.
    is_reexport: bool,
}

/// The meaning of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// An item of the same crate, by its path from the root.
    Own(Path),
    /// An item of another crate; the path begins with the crate's name.
    Other(Path),
}

/// Sorts the sources under each `src` folder into crates. A second binary is a crate of its own if
/// it has a folder `src/bin/NAME/`. Other roots have no modules and are left out.
fn crates(files: &[SourceFile]) -> Vec<Crate> {
    let mut crates: BTreeMap<String, Crate> = BTreeMap::new();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for file in files {
        let Some((package, path)) = file.path.split_once("/src/").filter(|(_, path)| path.ends_with(".rs")) else {
            continue;
        };
        let mut root = format!("{package}/src");
        let mut module: Path = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module[0] == "bin" {
            if module.len() < 3 {
                continue;
            }
            root = format!("{root}/bin/{}", module[1]);
            module.drain(..2);
        }
        if module == ["main"] && paths.contains(format!("{root}/lib.rs").as_str()) {
            continue;
        }
        if module == ["main"] || module == ["lib"] {
            module.clear();
        }
        crates.entry(root).or_default().modules.insert(module.clone(), Module::parse(file, &module));
    }
    crates.into_values().collect()
}

static TEST_MODULE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#\[cfg\((all\()?test\b[^\]]*\]\s*mod \w+ \{").expect("the pattern is constant"));
static CHILD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmod\s+(\w+)\s*;").expect("the pattern is constant"));
static DECLARATION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<public>\bpub(?:\([^)]*\))?\s+)?\buse\s+(?<tree>[^;]+);").expect("the pattern is constant")
});
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+").expect("the pattern is constant"));
static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b\w+(?:::\w+)+").expect("the pattern is constant"));

impl Module {
    fn parse(file: &SourceFile, module: &Path) -> Self {
        let mut code = Layers::split(&file.text).code;
        if let Some(tests) = TEST_MODULE.find(&code) {
            code.truncate(tests.start());
        }
        let children: BTreeSet<&str> =
            CHILD.captures_iter(&code).map(|child| child.get(1).expect("a group of the pattern").as_str()).collect();
        let mut body = code.clone();
        for declaration in DECLARATION.find_iter(&code) {
            body.replace_range(declaration.range(), &" ".repeat(declaration.len()));
        }
        let words: BTreeSet<&str> = WORD.find_iter(&body).map(|word| word.as_str()).collect();

        let (mut uses, mut names) = (Vec::new(), BTreeMap::new());
        for declaration in DECLARATION.captures_iter(&code) {
            let is_public = declaration.name("public").is_some();
            let tree = declaration.name("tree").expect("a group of the pattern");
            for (offset, path, name) in leaves(tree.as_str()) {
                let target = absolute(&path, module, &children);
                let line = line_number(&code, tree.start() + offset);
                let is_reexport = is_public && !words.contains(name.as_str());
                uses.push(Use { line, target: target.clone(), is_reexport });
                names.insert(name, target);
            }
        }
        for found in PATH.find_iter(&body) {
            let path: Path = found.as_str().split("::").map(str::to_owned).collect();
            // `times::span` after `use super::times` is a path through that declaration.
            let target = match names.get(&path[0]) {
                Some(Target::Own(start)) => Target::Own([start.as_slice(), &path[1..]].concat()),
                Some(Target::Other(start)) => Target::Other([start.as_slice(), &path[1..]].concat()),
                None => absolute(&path, module, &children),
            };
            uses.push(Use { line: line_number(&code, found.start()), target, is_reexport: false });
        }
        uses.sort_by_key(|used| used.line);
        let own = |(name, target)| match target {
            Target::Own(path) => Some((name, path)),
            Target::Other(_) => None,
        };
        Self { file: file.path.clone(), uses, names: names.into_iter().filter_map(own).collect() }
    }
}

/// The paths of a `use` tree such as `a::{b, c::{self, d as e}}`, each with its offset in the tree
/// and the name it brings in.
fn leaves(tree: &str) -> Vec<(usize, Path, String)> {
    let mut leaves = Vec::new();
    let mut prefixes: Vec<Path> = Vec::new();
    let mut start = 0;
    for (offset, separator) in tree.match_indices(['{', ',', '}']).chain([(tree.len(), ",")]) {
        let text = &tree[start..offset];
        let prefix = prefixes.last().cloned().unwrap_or_default();
        let at = start + text.len() - text.trim_start().len();
        start = offset + 1;
        let (path, renamed) = text.trim().split_once(" as ").unwrap_or((text.trim(), ""));
        let segments = path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned);
        let mut path: Path = prefix.iter().cloned().chain(segments).collect();
        if separator == "{" {
            prefixes.push(path);
            continue;
        }
        if path.len() > prefix.len() {
            // `a::{self}` stands for `a`.
            path.pop_if(|last| last == "self");
            let name = if renamed.is_empty() { path.last().cloned().unwrap_or_default() } else { renamed.to_owned() };
            leaves.push((at, path, name));
        }
        if separator == "}" {
            prefixes.pop();
        }
    }
    leaves
}

/// The meaning of a path in `module`, which declares `children`.
fn absolute(path: &[String], module: &[String], children: &BTreeSet<&str>) -> Target {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    let own = |start: &[String], rest: &[String]| Target::Own([start, rest].concat());
    match path[0].as_str() {
        "crate" => own(&[], &path[1..]),
        "self" => own(module, &path[1..]),
        "super" => own(&module[..module.len().saturating_sub(supers)], &path[supers..]),
        child if children.contains(child) => own(module, path),
        _ => Target::Other(path.to_vec()),
    }
}

impl Crate {
    /// The module whose file defines the item at `path`. Follows what other files re-export.
    fn defining_module(&self, path: &[String]) -> Path {
        const REEXPORTS_MAX: usize = 8; // Ends on names that refer to each other.
        let mut path = path.to_vec();
        for _ in 0..REEXPORTS_MAX {
            let module = self.module_of(&path);
            let Some(name) = path.get(module.len()) else { break };
            let Some(target) = self.modules.get(module).and_then(|found| found.names.get(name)) else { break };
            path = [target.as_slice(), &path[module.len() + 1..]].concat();
        }
        self.module_of(&path).to_vec()
    }

    /// The longest start of `path` that is a file of this crate.
    fn module_of<'a>(&self, path: &'a [String]) -> &'a [String] {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]));
        &path[..length.unwrap_or(0)]
    }

    /// The modules that `module` uses, other than those above it, each with the line of its first
    /// use.
    fn uses_of(&self, module: &Path) -> BTreeMap<Path, usize> {
        let mut used = BTreeMap::new();
        for Use { line, target, is_reexport } in &self.modules[module].uses {
            if let (Target::Own(path), false) = (target, is_reexport) {
                let target = self.defining_module(path);
                if !module.starts_with(&target) && self.modules.contains_key(&target) {
                    used.entry(target).or_insert(*line);
                }
            }
        }
        used
    }
}

/// Every use that a rule forbids, and every rule that does not fit the repository.
fn forbidden(crates: &[Crate], rules: &[Rule]) -> Vec<String> {
    let mut problems = Vec::new();
    for rule in rules {
        let covered = |module: &&Module| rule.covers(&module.file);
        let of_rule = || crates.iter().filter(|of| of.modules.values().any(|module| covered(&module)));
        if of_rule().next().is_none() {
            problems.push(format!("no file is below {}: correct the rule in imports/rules.rs", rule.from.join(", ")));
        }
        for (of, forbids) in of_rule().flat_map(|of| rule.forbids.iter().map(move |forbids| (of, *forbids))) {
            let path: Path = forbids.split("::").map(str::to_owned).collect();
            if path[0] == "crate" && !of.modules.contains_key(&path[1..]) {
                problems.push(format!("there is no module {forbids}: correct the rule in imports/rules.rs"));
            }
            for module in of.modules.values().filter(covered) {
                let is_forbidden = |target: &Target| match target {
                    Target::Own(_) if path[0] != "crate" => false,
                    Target::Own(used) => {
                        used.starts_with(&path[1..]) || of.defining_module(used).starts_with(&path[1..])
                    }
                    Target::Other(used) => used.starts_with(&path),
                };
                let mut lines: Vec<usize> =
                    module.uses.iter().filter(|used| is_forbidden(&used.target)).map(|used| used.line).collect();
                lines.dedup();
                problems.extend(
                    lines.iter().map(|line| format!("{}:{line}: uses {forbids}: {}", module.file, rule.reason)),
                );
            }
        }
    }
    problems
}

/// A shortest circle through every file that is in one, each circle once.
fn circles(crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for of in crates {
        let uses: BTreeMap<&Path, BTreeMap<Path, usize>> =
            of.modules.keys().map(|module| (module, of.uses_of(module))).collect();
        let circles: BTreeSet<Vec<&Path>> = uses.keys().filter_map(|module| shortest_circle(&uses, module)).collect();
        for circle in circles {
            let next = circle.iter().cycle().skip(1);
            let steps = circle.iter().zip(next).map(|(module, next)| {
                let line = uses[module][*next];
                format!("{}:{line}", of.modules[*module].file)
            });
            let steps = steps.collect::<Vec<_>>().join(" -> ");
            problems.push(format!("circle of imports: {steps} -> {}", of.modules[circle[0]].file));
        }
    }
    problems
}

/// A shortest way from `start` over its uses to `start` again, beginning with its least module.
fn shortest_circle<'a>(uses: &BTreeMap<&'a Path, BTreeMap<Path, usize>>, start: &'a Path) -> Option<Vec<&'a Path>> {
    let mut came_from: BTreeMap<&Path, &Path> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for next in uses[module].keys() {
            let (next, _) = uses.get_key_value(next).expect("uses_of names modules of the crate");
            if *next == start {
                let mut circle = vec![module];
                while let Some(previous) = came_from.get(circle[circle.len() - 1]) {
                    circle.push(previous);
                }
                circle.reverse();
                let least = circle.iter().enumerate().min_by_key(|(_, module)| **module).map_or(0, |(index, _)| index);
                circle.rotate_left(least);
                return Some(circle);
            }
            if !came_from.contains_key(*next) {
                came_from.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}
