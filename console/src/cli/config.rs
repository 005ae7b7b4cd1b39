//! `config`: the settings in use.

use clap::{Arg, ArgMatches, Args, Subcommand};
use serde::Serialize;

use crate::{
    connect::{PARTS, Source},
    contexts::config_dir,
    exit::Failure,
    output::{Align, TableColumn},
    session::Session,
};

const COLUMNS: &[TableColumn] =
    &[TableColumn("setting", Align::Left), TableColumn("value", Align::Left), TableColumn("source", Align::Left)];

/// Show the settings in use
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog config show
  hourlog config show --context prod -o json")]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print each setting in use and its source: a flag, a variable, a context or the default.
    /// Secrets are shown as ***
    Show,
}

/// A setting in use.
#[derive(Serialize)]
struct Row {
    setting: String,
    value: String,
    source: String,
}

impl Config {
    pub(super) fn run(self, session: &Session, command: &clap::Command, matches: &ArgMatches) -> Result<(), Failure> {
        let Action::Show = self.action;
        let mut table = session.out.table(COLUMNS);
        for row in rows(session, command, matches)? {
            table.push(&row, || vec![row.setting.clone(), row.value.clone(), row.source.clone()])?;
        }
        table.finish()
    }
}

fn rows(session: &Session, command: &clap::Command, matches: &ArgMatches) -> Result<Vec<Row>, Failure> {
    let levels = session.connect.levels(&config_dir())?;
    let flag = |argument: &Arg| argument.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    let variable = |argument: &Arg| argument.get_env().map(|name| name.to_string_lossy().into_owned());
    let mut rows = Vec::new();
    // Without a variable, an argument is an option of this command rather than a setting.
    let is_setting = |argument: &Arg| argument.get_env().is_some() || argument.get_id() == "tls_first";
    for argument in command.get_arguments().filter(|argument| is_setting(argument)) {
        let id = argument.get_id().as_str();
        let given = if PARTS.iter().any(|(known, _)| *known == id) {
            levels.part(id).map(|(value, source)| {
                let source = match source {
                    Source::Flag => flag(argument),
                    Source::Variable => variable(argument).unwrap_or_default(),
                    Source::Context(name) => format!("context {name}"),
                };
                (arguments::hide(argument, &value), source)
            })
        } else if id == "context" {
            let source = arguments::source(argument, matches).unwrap_or_else(|| "nats context select".to_owned());
            levels.context().map(|name| (name.to_owned(), source))
        } else {
            arguments::value(argument, matches).zip(arguments::source(argument, matches))
        };
        let default = || match id {
            "context" => None,
            "js_domain" => {
                let name = levels.context().filter(|_| !levels.jetstream_domain().is_empty())?;
                Some((levels.jetstream_domain().to_owned(), format!("context {name}")))
            }
            _ => Some((arguments::default_in_help(argument)?, "default".to_owned())),
        };
        if let Some((value, source)) = given.or_else(default) {
            rows.push(Row { setting: id.replace('_', "-"), value, source });
        }
    }
    Ok(rows)
}
