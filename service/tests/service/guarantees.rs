//! The page of guarantees names tests, and all of them exist.

use std::{fs, path::Path};

const GUARANTEES: &str = include_str!("../../../docs/guarantees.md");

/// Least number of words in a test's name, to tell it from other names on the page.
const WORDS_MIN: usize = 5;

#[test]
fn every_test_named_by_the_page_of_guarantees_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    let mut directories: Vec<_> = [
        "hourlog/src",
        "service/src",
        "service/tests",
        "conformance/src",
        "conformance/tests",
        "console/src",
        "console/tests",
    ]
    .map(|room| root.join(room))
    .into();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("the directory is part of the source") {
            let path = entry.expect("the source can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&fs::read_to_string(path).expect("the source can be read"));
            }
        }
    }
    let names = GUARANTEES.split('`').skip(1).step_by(2).filter(|name| name.split('_').count() >= WORDS_MIN);
    let missing: Vec<&str> = names.clone().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(names.count() > 20 && missing.is_empty(), "these tests do not exist: {missing:?}");
}
