//! The value of `--output`: the name of a format, or a format of the user.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{EnumValueParser, PossibleValue, TypedValueParser},
    error::ErrorKind,
};

use crate::output::Format;

use super::read::Template;

/// The format that the user has chosen.
#[derive(Debug, Clone)]
pub(super) enum OutputFormat {
    /// One that has a name.
    Named(Format),
    /// One with tokens, for events.
    Template(Template),
}

impl OutputFormat {
    /// Returns the format for everything but events, and the one for events.
    pub(super) fn into_parts(self) -> (Option<Format>, Option<Template>) {
        match self {
            Self::Named(format) => (Some(format), None),
            Self::Template(template) => (Some(Format::Raw), Some(template)),
        }
    }
}

/// Parser of [`OutputFormat`]. Help and completions list the names.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = OutputFormat;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<OutputFormat, Error> {
        match value.to_str().filter(|text| Template::is_meant_by(text)) {
            None => EnumValueParser::new().parse_ref(command, argument, value).map(OutputFormat::Named),
            Some(text) => text.parse().map(OutputFormat::Template).map_err(|error: String| {
                let text = format!("invalid value '{text}' for '--output <FORMAT>': {error}\n");
                Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
            }),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(EnumValueParser::<Format>::new().possible_values()?.collect::<Vec<_>>().into_iter()))
    }
}
