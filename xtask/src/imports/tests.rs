//! Each test plants an import and checks that it is found, or that a good one is not.

use super::*;

fn source(files: &[(&str, &str)]) -> Vec<Crate> {
    let files: Vec<SourceFile> =
        files.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
    crates(&files)
}

const VIEW: Rule = Rule {
    from: &["a/src/tui/update"],
    except: &["a/src/tui/update/allowed"],
    forbids: &["crate::tui::view", "ratatui", "std::time::Instant"],
    reason: "update draws nothing",
};

/// The problems of an update file with this text, beside a view.
fn in_update(text: &str) -> Vec<String> {
    let view = ("a/src/tui/view.rs", "mod times;\npub fn view() {}\n");
    let tui = ("a/src/tui.rs", "mod update;\nmod view;\npub use self::view::view as draw;\npub struct Shared;\n");
    let files =
        [view, tui, ("a/src/tui/view/times.rs", ""), ("a/src/lib.rs", "mod tui;"), ("a/src/tui/update.rs", text)];
    forbidden(&source(&files), &[VIEW])
}

#[test]
fn a_forbidden_module_is_found_however_it_is_written() {
    for text in [
        "use crate::tui::view::times;",
        "use super::view;",
        "use crate::{a, tui::{state, view::times::{self}}};",
        "pub(crate) use super::view::times as clock;",
        "fn f() { crate::tui::view::times::span(1) }",
        "use crate::tui; fn f() { tui::view::times::span(1) }",
    ] {
        let problems = in_update(&format!("//! Doc.\n{text}\n"));
        assert!(!problems.is_empty(), "{text}");
        assert!(problems[0].starts_with("a/src/tui/update.rs:2: uses crate::tui::view: update draws"), "{problems:?}");
    }
}

#[test]
fn a_forbidden_module_is_found_through_a_reexport() {
    assert_eq!(in_update("use crate::tui::{Shared, draw};\nfn f() {}").len(), 1);
    assert!(in_update("use crate::tui::Shared;").is_empty());
}

#[test]
fn a_forbidden_crate_or_item_is_found() {
    assert_eq!(in_update("use ratatui::widgets::Paragraph;").len(), 1);
    assert_eq!(in_update("fn f() { let a = ratatui::text::Line::raw(b); }").len(), 1);
    assert_eq!(in_update("use std::{fmt, time::{Duration, Instant}};").len(), 1);
    assert_eq!(in_update("use std::time;\nfn f() { time::Instant::now(); }").len(), 1);
    assert!(in_update("use std::time::Duration; use my_ratatui::Frame;").is_empty());
}

#[test]
fn comments_strings_and_tests_may_name_anything() {
    assert!(in_update("//! See [`view`](crate::tui::view).\nfn f() { say(\"ratatui::Frame\") }").is_empty());
    assert!(in_update("#[cfg(test)]\nmod tests {\n    use ratatui::Frame;\n}\n").is_empty());
}

#[test]
fn a_rule_covers_a_file_and_its_folder_but_no_exception() {
    assert!(VIEW.covers("a/src/tui/update.rs") && VIEW.covers("a/src/tui/update/log.rs"));
    assert!(!VIEW.covers("a/src/tui/updates.rs") && !VIEW.covers("a/src/tui/update/allowed.rs"));
}

#[test]
fn a_rule_that_fits_nothing_is_a_problem() {
    let problems = forbidden(&source(&[("b/src/lib.rs", "")]), &[VIEW]);
    assert!(problems[0].contains("no file is below a/src/tui/update"), "{problems:?}");
    let problems = forbidden(&source(&[("a/src/lib.rs", ""), ("a/src/tui/update.rs", "")]), &[VIEW]);
    assert!(problems[0].contains("there is no module crate::tui::view"), "{problems:?}");
}

#[test]
fn an_own_module_is_not_the_crate_of_the_same_name() {
    let driver = Rule { from: &["a/src"], except: &["a/src/scylla"], forbids: &["scylla"], reason: "" };
    let root = ("a/src/lib.rs", "mod scylla;\nmod pages;\npub use scylla::Scylla;\n");
    let archive = ("a/src/scylla.rs", "use scylla::client::Session;\npub struct Scylla;\n");
    let own = [root, archive, ("a/src/pages.rs", "use crate::Scylla;\n")];
    assert_eq!(forbidden(&source(&own), &[driver]), Vec::<String>::new());
    let driver = Rule { from: &["a/src"], except: &["a/src/scylla"], forbids: &["scylla"], reason: "" };
    let other = [root, archive, ("a/src/pages.rs", "use scylla::client::Session;\n")];
    assert_eq!(forbidden(&source(&other), &[driver]), ["a/src/pages.rs:1: uses scylla: "]);
}

#[test]
fn a_circle_is_shown_with_the_lines_that_close_it() {
    let files = [
        ("a/src/main.rs", "mod msg;\nmod state;\nmod keymap;\n"),
        ("a/src/keymap.rs", "\nuse crate::state::State;\n"),
        ("a/src/msg.rs", "use crate::{\n    keymap::Key,\n};\n"),
        ("a/src/state.rs", "fn f(msg: super::msg::Msg) {}\n"),
    ];
    assert_eq!(
        circles(&source(&files)),
        ["circle of imports: a/src/keymap.rs:2 -> a/src/state.rs:1 -> a/src/msg.rs:2 -> a/src/keymap.rs"]
    );
}

#[test]
fn a_circle_through_reexports_is_found() {
    let files = [
        ("a/src/lib.rs", "mod record;\nmod time;\npub use self::{record::Record, time::Offset};\n"),
        ("a/src/record.rs", "use crate::Offset;\n"),
        ("a/src/time.rs", "use crate::Record;\n"),
    ];
    assert_eq!(circles(&source(&files)).len(), 1);
}

#[test]
fn a_file_that_only_reexports_a_name_does_not_use_it() {
    let root = ("a/src/lib.rs", "mod archive;\nmod store;\n");
    let archive = ("a/src/archive.rs", "use crate::store::Store;\npub struct Archive;\n");
    let facade = ("a/src/store.rs", "pub use crate::archive::Archive;\npub trait Store {}\n");
    assert_eq!(circles(&source(&[root, archive, facade])), Vec::<String>::new());
    let user = ("a/src/store.rs", "pub use crate::archive::Archive;\npub trait Store {}\nfn f(a: Archive) {}\n");
    assert_eq!(circles(&source(&[root, archive, user])).len(), 1);
}

#[test]
fn a_child_may_use_its_parent() {
    let files = [
        ("a/src/lib.rs", "mod update;\nmod msg;\npub struct Id;\n"),
        ("a/src/msg.rs", "use crate::Id;\n"),
        ("a/src/update.rs", "mod log;\nuse crate::msg;\npub fn say() {}\nfn f() { log::open() }\n"),
        ("a/src/update/log.rs", "use super::say;\nuse crate::Id;\n"),
    ];
    assert_eq!(circles(&source(&files)), Vec::<String>::new());
}

#[test]
fn a_circle_between_branches_is_found_through_a_parent() {
    let files = [
        ("a/src/lib.rs", "mod update;\nmod view;\n"),
        ("a/src/update.rs", "mod log;\nfn f() { log::open() }\n"),
        ("a/src/update/log.rs", "use crate::view::times;\n"),
        ("a/src/view.rs", "pub mod times;\nuse crate::update::choices;\n"),
        ("a/src/view/times.rs", ""),
    ];
    assert_eq!(circles(&source(&files)), Vec::<String>::new(), "times uses nothing");
    let mut closed = files;
    closed[4] = ("a/src/view/times.rs", "use crate::update;\n");
    assert_eq!(circles(&source(&closed)).len(), 1);
}

#[test]
fn imports_of_tests_close_no_circle() {
    let files = [
        ("a/src/lib.rs", "mod b;\nmod c;\n"),
        ("a/src/b.rs", "use crate::c;\n"),
        ("a/src/c.rs", "#[cfg(test)]\nmod tests {\n    use crate::b;\n}\n"),
    ];
    assert_eq!(circles(&source(&files)), Vec::<String>::new());
}

#[test]
fn each_crate_is_checked_by_itself() {
    let files = [
        ("a/src/lib.rs", ""),
        ("a/src/main.rs", "use a::run;\n"),
        ("a/src/bin/bench/main.rs", "mod b;\nmod c;\n"),
        ("a/src/bin/bench/b.rs", "use crate::c;\n"),
        ("a/src/bin/bench/c.rs", "use super::b;\n"),
    ];
    assert_eq!(circles(&source(&files)).len(), 1);
    assert_eq!(source(&files).len(), 2);
}

#[test]
fn a_tree_of_imports_is_read_leaf_by_leaf() {
    let names = |tree| leaves(tree).into_iter().map(|(_, path, name)| (path.join("::"), name)).collect::<Vec<_>>();
    let own = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(path, name)| ((*path).to_owned(), (*name).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(names("a::b"), own(&[("a::b", "b")]));
    assert_eq!(
        names("a::{\n    b,\n    c::{self, d as e},\n    f,\n}"),
        own(&[("a::b", "b"), ("a::c", "c"), ("a::c::d", "e"), ("a::f", "f")])
    );
}
