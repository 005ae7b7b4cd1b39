//! `cargo xtask ci tidy`: finds phrases that make our prose hard to read.
//!
//! It reads comments, string literals and names of functions in Rust files, and every other text
//! file as a whole. The phrases and their exceptions are in `tidy/phrases.rs`.

mod phrases;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, sync::LazyLock};

use anyhow::{Result, bail};
use regex::Regex;

use crate::{
    print,
    source::{Layers, SourceFile, line_number},
};

/// A phrase that we avoid.
struct Phrase {
    /// Regular expression, in any case. A blank matches any white space, also a line break.
    pattern: &'static str,
    /// Regular expression for matches of `pattern` that are good English.
    except: Option<&'static str>,
    /// Advice for the author.
    instead: &'static str,
}

/// A sentence that may keep its phrase.
struct Exception {
    file: &'static str,
    /// Part of the line that the phrase starts on.
    text: &'static str,
    /// Why the sentence is good as it is.
    reason: &'static str,
}

/// A phrase in a file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    found: String,
    instead: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: \"{}\": {}", self.file, self.line, self.found, self.instead)
    }
}

/// Fails if a file has one of the phrases, or an exception is no longer needed.
pub(crate) fn run(files: &[SourceFile]) -> Result<()> {
    let problems = problems(files, phrases::EXCEPTIONS);
    problems.iter().for_each(print::note);
    match problems.len() {
        0 => Ok(()),
        count => bail!("{count} phrases to rewrite"),
    }
}

/// Every finding without an exception, and every exception without a finding.
fn problems(files: &[SourceFile], exceptions: &[Exception]) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| !is_skipped(&file.path)) {
        for finding in findings(file) {
            let line = file.text.lines().nth(finding.line - 1).unwrap_or_default();
            let excepts = |exception: &Exception| exception.file == file.path && line.contains(exception.text);
            match exceptions.iter().position(excepts) {
                Some(index) => drop(used.insert(index)),
                None => problems.push(finding.to_string()),
            }
        }
    }
    let unused = exceptions.iter().enumerate().filter(|(index, _)| !used.contains(index));
    problems.extend(unused.map(|(_, exception)| {
        let Exception { file, text, reason } = exception;
        format!("{file}: the exception for \"{text}\" ({reason}) excuses nothing: remove it")
    }));
    problems
}

/// The phrases in one file, by line.
fn findings(file: &SourceFile) -> BTreeSet<Finding> {
    if !is_rust(&file.path) {
        return phrase_findings(file, &plain_prose(&file.text));
    }
    let layers = Layers::split(&file.text);
    let mut findings = phrase_findings(file, &layers.prose);
    findings.extend(opener_findings(file));
    findings.extend(name_findings(file, &layers.code));
    findings
}

fn phrase_findings(file: &SourceFile, prose: &str) -> BTreeSet<Finding> {
    let finding = |(offset, found, instead)| Finding {
        file: file.path.clone(),
        line: line_number(prose, offset),
        found,
        instead,
    };
    phrases_in(prose).map(finding).collect()
}

/// The phrases in a text: where each starts, its words, and the advice.
fn phrases_in(prose: &str) -> impl Iterator<Item = (usize, String, &'static str)> {
    COMPILED.iter().flat_map(move |(phrase, pattern, except)| {
        let found = pattern.find_iter(prose).map(|found| {
            let words = found.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
            (found.start(), words, phrase.instead)
        });
        found.filter(|(_, words, _)| !except.as_ref().is_some_and(|except| except.is_match(words)))
    })
}

/// Names of functions that are whole sentences, as those of tests are, with a phrase or a bad first
/// word.
fn name_findings(file: &SourceFile, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in FUNCTION_NAME.captures_iter(code) {
        let name = name.get(1).expect("a group of the pattern");
        let sentence = format!(" {}", name.as_str().replace('_', " "));
        let phrase = phrases_in(&sentence).map(|(_, _, instead)| instead).next();
        if let Some(instead) = phrase.or_else(|| OPENERS.is_match(&sentence).then_some(phrases::NAMES_INSTEAD)) {
            let line = line_number(code, name.start());
            findings.push(Finding { file: file.path.clone(), line, found: name.as_str().to_owned(), instead });
        }
    }
    findings
}

/// Doc comments that open with a word that cannot name a thing.
fn opener_findings(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut previous = "";
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        let opens = |marker: &str| line.starts_with(marker) && !previous.starts_with(marker);
        if (opens("///") || opens("//!")) && OPENERS.is_match(&line[3..]) {
            let found = line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
            let instead = phrases::OPENERS_INSTEAD;
            findings.push(Finding { file: file.path.clone(), line: index + 1, found, instead });
        }
        previous = line;
    }
    findings
}

static COMPILED: LazyLock<Vec<(&Phrase, Regex, Option<Regex>)>> = LazyLock::new(|| {
    let compile = |phrase: &'static Phrase| (phrase, regex(phrase.pattern), phrase.except.map(regex));
    phrases::PHRASES.iter().map(compile).collect()
});

static OPENERS: LazyLock<Regex> = LazyLock::new(|| regex(phrases::OPENERS));
static FUNCTION_NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\bfn ([a-z0-9]+(?:_[a-z0-9]+){3,})"));

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){}", pattern.replace(' ', r"\s+"))).expect("the pattern is constant")
}

fn is_skipped(path: &str) -> bool {
    phrases::SKIPPED.iter().any(|(skipped, _)| match skipped.split_once('*') {
        Some((start, end)) => path.starts_with(start) && path.ends_with(end),
        None => path == *skipped,
    })
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// Replaces the markers of comments, headings and lists at the start of lines with blanks, so that a
/// sentence can be matched across lines.
fn plain_prose(text: &str) -> String {
    let blank = |line: &str| {
        let text = line.trim_start_matches(|character: char| " \t#/>*-".contains(character));
        " ".repeat(line.len() - text.len()) + text
    };
    text.split('\n').map(blank).collect::<Vec<_>>().join("\n")
}
