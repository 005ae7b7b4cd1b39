//! The phrases that the tidy check finds, the files it skips, and the sentences it excuses.
//!
//! A phrase belongs here only if it is nearly always wrong: a check with false alarms is ignored.

use super::{Exception, Phrase};

/// Phrases that no sentence should have.
pub(super) const PHRASES: &[Phrase] = &[
    Phrase {
        pattern: r", for (it|they|there|he|she|nobody)\b",
        except: None,
        instead: "write \"because …\", or start a new sentence",
    },
    Phrase {
        pattern: r"\b(is|are|was|were) looked (whether|for|at|through)\b",
        except: None,
        instead: "use the active voice: \"checks whether …\", \"searches for …\", \"reads …\"",
    },
    Phrase {
        pattern: r"\b(do|does|did|doing) (its|their) part\b",
        except: None,
        instead: "write \"is healthy\", or \"is degraded\" for the opposite",
    },
    Phrase {
        pattern: r"\b(nowhere|never|nothing) unless\b",
        except: None,
        instead: "state the default: \"…; off by default\", \"only if …\"",
    },
    Phrase {
        pattern: r"\b(is|are|was|were) away\b( from)?",
        except: Some(r"from$"),
        instead: "write \"is down\", \"is unreachable\" or \"is degraded\"",
    },
    Phrase {
        pattern: r"\b(come|comes|came|coming) back\b",
        except: None,
        instead: "write \"recovers\", \"restarts\", \"reconnects\" or \"returns\"",
    },
    Phrase {
        pattern: r"\b(anew|made again)\b",
        except: None,
        instead: "write \"again\", \"recreated\" or \"from the start\"",
    },
    Phrase {
        pattern: r"\bfor ever\b",
        except: None,
        instead: "write \"forever\", or name the limit that is missing: \"never deleted\", \"without a deadline\"",
    },
    Phrase {
        pattern: r##"[\w}`"]+ (is|are|was) no [a-z-]+["`.,;:)]"##,
        except: Some(r"^(there|where) |no (longer|more|less|fewer|better|worse|other)\W$"),
        instead: "write \"is not a …\" or the plain word: \"invalid …\", \"unexpected …\"",
    },
    Phrase {
        pattern: r"\bwhoever\b|\b(to|for|of|from|by|than) who\b",
        except: None,
        instead: "name the person or part: \"the reader\", \"the caller\", \"callers that …\"",
    },
    Phrase {
        pattern: r"\b(at most|past|after|from|within|in|for|by) so (many|much|long)\b",
        except: None,
        instead: "write \"this many\", \"this long\", or name the limit",
    },
    Phrase { pattern: r"\bpunctual\b", except: None, instead: "write \"on time\"" },
];

/// Regular expression for the first word of a doc comment or of a function's name.
pub(super) const OPENERS: &str = r"^ (Who|Whose|Whoever|Whom|What|Whatever|Of|Whether it is|How often it is)\b";

/// Advice for a doc comment that matches [`OPENERS`].
pub(super) const OPENERS_INSTEAD: &str =
    "open with a noun phrase (types, fields) or a verb such as \"Returns …\" (functions)";

/// Advice for the name of a function that matches [`OPENERS`].
pub(super) const NAMES_INSTEAD: &str = "name the claim of a test with subject, verb and object";

/// Files that are not our prose, each with the reason. A `*` stands for any text.
pub(super) const SKIPPED: &[(&str, &str)] = &[
    ("Cargo.lock", "written by cargo"),
    ("LICENSE", "the text of the licence"),
    ("*.jsonl", "data"),
    ("*.snap", "screens; their text is checked where it is drawn"),
    ("xtask/src/tidy/*", "the phrases themselves, and tests that plant them"),
];

/// Sentences that keep a phrase. An entry that excuses nothing is an error.
pub(super) const EXCEPTIONS: &[Exception] = &[];
