//! The prompt in the footer.

/// A prompt, and the text typed into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The purpose of the text.
    pub kind: PromptKind,
    /// The text so far.
    pub text: String,
    /// Why the text was refused.
    pub error: Option<String>,
    /// Index of the selected row of the palette.
    pub choice: usize,
}

/// The purpose of a typed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// Find a log.
    Find,
    /// Go to a time.
    GoTo,
    /// Search for a pattern.
    Search,
    /// Hide events that do not match a pattern.
    Filter,
    /// Choose how much time the scrubber shows, by a digit.
    Window,
    /// Choose from the palette.
    Palette,
}

impl Prompt {
    /// Returns a prompt that already holds `text`.
    pub fn new(kind: PromptKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), error: None, choice: 0 }
    }
}
