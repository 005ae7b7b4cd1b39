//! Each test plants a phrase and checks that it is found, or that good English is not.

use super::*;

fn found(path: &str, text: &str) -> Vec<String> {
    problems(&[SourceFile { path: path.to_owned(), text: text.to_owned() }], &[])
}

#[test]
fn a_phrase_in_a_comment_is_found_with_its_file_and_line() {
    let problems = found("log/a.rs", "fn f() {\n    // Waits, for it may be late.\n}\n");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("log/a.rs:2: \", for it\": write \"because"), "{problems:?}");
}

#[test]
fn a_phrase_is_found_in_doc_comments_strings_and_markdown() {
    assert_eq!(found("a.rs", "/// Keeps it for ever.\nstruct A;\n").len(), 1);
    assert_eq!(found("a.rs", "fn f() { fail(\"the archive is away\") }\n").len(), 1);
    assert_eq!(found("a.rs", "fn f() { fail(r#\"the archive is away\"#) }\n").len(), 1);
    assert_eq!(found("README.md", "The archive\nis away.\n").len(), 1);
    assert_eq!(found("compose.yml", "# Nowhere unless said.\n").len(), 1);
}

#[test]
fn a_phrase_is_found_across_the_lines_it_is_wrapped_on() {
    let comment = found("a.rs", "/// A node that comes\n    /// back.\nstruct A;\n");
    assert!(comment[0].starts_with("a.rs:1: \"comes back\""), "{comment:?}");
    assert_eq!(found("a.rs", "const A: &str = \"a node comes \\\n    back\";\n").len(), 1);
    assert_eq!(found("a.sh", "# A node comes\n# back.\n").len(), 1);
}

#[test]
fn code_is_not_prose() {
    assert!(found("a.rs", "fn f() { is.away(); let anew = away; }\n").is_empty());
    assert!(found("a.rs", "x, // one\nfor it in items {}\n").is_empty());
}

#[test]
fn every_phrase_is_found() {
    let planted = [
        ", for there is one",
        "It is looked whether it ended.",
        "It does its part.",
        "nowhere unless said",
        "the node is away",
        "the node comes back",
        "It is made anew.",
        "kept for ever",
        "That is no failure.",
        "told to whoever asks",
        "at most so many events",
        "a punctual event",
    ];
    for (phrase, text) in phrases::PHRASES.iter().zip(planted) {
        let problems = found("a.md", text);
        assert!(problems.iter().any(|problem| problem.contains(phrase.instead)), "{text}: {problems:?}");
    }
    assert_eq!(phrases::PHRASES.len(), planted.len());
}

#[test]
fn good_english_passes() {
    for text in [
        "A limit for each log, for example.",
        "There is no row. Where there is no name, none is shown.",
        "It is no longer needed.",
        "The next bucket is away from here.",
        "It looks for a file and then looks at it.",
        "A reader who left gets nothing.",
        "So many events that the page is full.",
    ] {
        assert!(found("a.md", text).is_empty(), "{:?}", found("a.md", text));
    }
}

#[test]
fn a_doc_comment_opens_with_a_noun_or_a_verb() {
    for text in ["/// Who asked.", "    /// What is kept.", "//! Of a log, its head.", "/// Whether it is looked at."] {
        assert!(found("a.rs", text).iter().any(|problem| problem.contains("noun phrase")), "{text}");
    }
    for text in
        ["/// Offset of the log.", "// What follows is sorted.", "/// The log\n/// Of one day.", "/// Whether x"]
    {
        assert!(found("a.rs", text).is_empty(), "{text}");
    }
}

#[test]
fn a_name_that_is_a_sentence_is_prose_too() {
    for name in ["who_has_paused_follows_again", "a_stream_made_anew_is_a_fork", "the_archive_is_away_for_long"] {
        assert_eq!(found("a.rs", &format!("#[test]\nfn {name}() {{}}\n")).len(), 1, "{name}");
    }
    assert!(found("a.rs", "fn whole_log() {}\nfn of_first_event() { a_stream_is_made_anew() }\n").is_empty());
}

#[test]
fn an_exception_excuses_one_line_of_one_file() {
    let exception = Exception { file: "a.md", text: "diamonds are for ever", reason: "the title of a film" };
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let excused = file("a.md", "A film: diamonds are for ever.\n");
    assert!(problems(std::slice::from_ref(&excused), std::slice::from_ref(&exception)).is_empty());
    let elsewhere = file("b.md", "diamonds are for ever");
    let problems = problems(&[excused, elsewhere], &[exception]);
    assert!(problems.len() == 1 && problems[0].starts_with("b.md:1: "), "{problems:?}");
}

#[test]
fn an_exception_that_excuses_nothing_is_a_problem() {
    let exception = Exception { file: "a.md", text: "diamonds", reason: "the title of a film" };
    let problems = problems(&[], &[exception]);
    assert!(problems[0].contains("excuses nothing"), "{problems:?}");
}

#[test]
fn data_and_generated_files_are_skipped() {
    assert!(found("Cargo.lock", "anew").is_empty());
    assert!(found("examples/quakes.jsonl", "anew").is_empty());
    assert!(found("xtask/src/tidy/phrases.rs", "// anew").is_empty());
    assert_eq!(found("xtask/src/tidy.rs", "// anew").len(), 1);
}
