//! The repository's files as text, and Rust source split into its code and its prose.

use std::sync::LazyLock;

use regex::Regex;

/// A file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Path from the root of the repository, with `/` between its parts.
    pub path: String,
    /// Content of the file.
    pub text: String,
}

/// Stands for a byte of the other layer. It is neither a letter nor white space, so no pattern
/// crosses it.
const MASK: char = '\u{1}';

/// Comments, string literals and characters. Characters are matched because `'"'` does not open a
/// string. A lifetime has no closing quote after its first letter and does not match.
static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    const HASHES_MAX: usize = 5; // More than any string here needs.
    let hashes = (0..=HASHES_MAX).map(|count| "#".repeat(count));
    let raw = hashes.map(|hashes| format!("r{hashes}\".*?\"{hashes}")).collect::<Vec<_>>().join("|");
    let tokens = [
        r"(?s)(?<comment>//[^\n]*|/\*.*?\*/)".to_owned(),
        format!("(?<raw>{raw})"),
        r#"(?<string>"(?:[^"\\]|\\.)*")"#.to_owned(),
        r"(?<character>'(?:[^'\\\n]|\\.[^'\n]*)')".to_owned(),
    ];
    Regex::new(&tokens.join("|")).expect("the pattern is constant")
});

/// Escapes that stand for white space, and the backslash that continues a string on the next line.
static SPACE_ESCAPES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\[nrt]|\\\n").expect("the pattern is constant"));

/// Rust source in two layers. Both have the length and the line breaks of the source, so an offset
/// into one of them is an offset into the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The source without comments and literals.
    pub code: String,
    /// The text of comments and string literals. Comment markers are blanks, so that a sentence
    /// can be matched across the lines it is wrapped on.
    pub prose: String,
}

impl Layers {
    /// Splits Rust source.
    pub(crate) fn split(source: &str) -> Self {
        let mut layers = Self { code: String::new(), prose: String::new() };
        let mut end = 0;
        for token in TOKENS.captures_iter(source) {
            let whole = token.get(0).expect("a match has group 0");
            let between = &source[end..whole.start()];
            layers.code.push_str(between);
            layers.prose.push_str(&masked(between));
            layers.code.push_str(&masked(whole.as_str()));
            if token.name("comment").is_some() {
                layers.prose.push_str(&without_markers(whole.as_str()));
            } else if token.name("string").is_some() {
                let blank = |escape: &regex::Captures| if escape[0].ends_with('\n') { " \n" } else { "  " };
                layers.prose.push_str(&SPACE_ESCAPES.replace_all(whole.as_str(), blank));
            } else if token.name("raw").is_some() {
                layers.prose.push_str(whole.as_str());
            } else {
                layers.prose.push_str(&masked(whole.as_str()));
            }
            end = whole.end();
        }
        layers.code.push_str(&source[end..]);
        layers.prose.push_str(&masked(&source[end..]));
        layers
    }
}

/// The number of the line that holds the byte at `offset`, from 1.
pub(crate) fn line_number(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn masked(text: &str) -> String {
    let mask = |character: char| match character {
        ' ' | '\n' | '\t' => character.to_string(),
        _ => MASK.to_string().repeat(character.len_utf8()),
    };
    text.chars().map(mask).collect()
}

/// A comment whose lines start with blanks instead of `//`, `///`, `//!` or `*`.
fn without_markers(comment: &str) -> String {
    let blank = |line: &str| {
        let text = line.trim_start_matches(|character: char| " \t/!*".contains(character));
        " ".repeat(line.len() - text.len()) + text
    };
    comment.split('\n').map(blank).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_prose_and_the_rest_is_code() {
        let source = "/// A doc\n/// comment\nfn f<'a>(x: &'a str) { call('\"', \"a \\\"text\\\" \\\n   over\\nlines\"); } // end";
        let layers = Layers::split(source);
        assert_eq!((layers.code.len(), layers.prose.len()), (source.len(), source.len()));
        assert!(layers.code.contains("fn f<'a>(x: &'a str) { call("), "{}", layers.code);
        assert!(!layers.code.contains("doc") && !layers.code.contains("text") && !layers.code.contains("end"));
        let prose: Vec<&str> =
            layers.prose.split(|character: char| character == MASK || character.is_whitespace()).collect();
        let words: Vec<&str> = prose.into_iter().filter(|word| !word.is_empty()).collect();
        assert_eq!(words, ["A", "doc", "comment", "\"a", "\\\"text\\\"", "over", "lines\"", "end"]);
    }

    #[test]
    fn raw_strings_end_at_their_own_delimiter() {
        let layers = Layers::split("let a = r#\"one \"two\" three\"#; let b = r\"\\\"; code()");
        assert!(layers.prose.contains("one \"two\" three"), "{}", layers.prose);
        assert!(layers.code.ends_with("; code()"), "{}", layers.code);
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line_number("a\nb\nc", 0), 1);
        assert_eq!(line_number("a\nb\nc", 4), 3);
    }
}
