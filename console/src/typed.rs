//! The command line as it was typed, so that a hint can repeat it with other options.

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

use crate::{shell::quoted, when::Moment};

/// A command line that can be printed again, for a shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    /// The names of the subcommands.
    verbs: Vec<String>,
    arguments: Vec<String>,
    options: Vec<TypedOption>,
    /// A login was typed. It is left out: a terminal, and a log of it, keep what they show.
    has_login: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TypedOption {
    /// The id of its argument.
    id: String,
    flag: String,
    value: Option<String>,
}

impl Typed {
    /// Returns what stands on the command line that `matches` was parsed from. What comes from the environment is
    /// left out: the next command has the same one.
    pub(crate) fn new(command: &Command, matches: &ArgMatches) -> Self {
        let mut levels = vec![(command, matches)];
        let mut typed = Self::default();
        while let Some((command, matches)) = levels.last().copied()
            && let Some((verb, matches)) = matches.subcommand()
            && let Some(command) = command.find_subcommand(verb)
        {
            typed.verbs.push(verb.to_owned());
            levels.push((command, matches));
        }
        // The options of the subcommand say more about it than those of every command.
        for (command, matches) in levels.into_iter().rev() {
            for argument in command.get_arguments() {
                typed.add(argument, matches);
            }
        }
        typed
    }

    fn add(&mut self, argument: &Arg, matches: &ArgMatches) {
        let id = argument.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            return;
        }
        let flag = match (argument.get_short(), argument.get_long()) {
            (Some(short), _) => format!("-{short}"),
            (None, Some(long)) => format!("--{long}"),
            (None, None) => String::new(),
        };
        if !argument.get_action().takes_values() {
            self.options.push(TypedOption { id: id.to_owned(), flag, value: None });
            return;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let value = value.to_string_lossy().into_owned();
            let shown =
                if argument.is_hide_env_values_set() { arguments::hide(argument, &value) } else { value.clone() };
            self.has_login |= shown != value;
            if shown == arguments::HIDDEN {
                continue;
            }
            match argument.is_positional() {
                true => self.arguments.push(shown),
                false => self.options.push(TypedOption { id: id.to_owned(), flag: flag.clone(), value: Some(shown) }),
            }
        }
    }

    /// The same command without the options of these ids.
    pub(crate) fn without(mut self, ids: &[&str]) -> Self {
        self.options.retain(|option| !ids.contains(&option.id.as_str()));
        self
    }

    /// The same command with one more option.
    pub(crate) fn with(mut self, flag: &str, value: impl Into<String>) -> Self {
        let id = flag.trim_start_matches('-').to_owned();
        self.options.push(TypedOption { id, flag: flag.to_owned(), value: Some(value.into()) });
        self
    }

    /// The same command with these times as they were understood: a relative one moves with the clock.
    pub(crate) fn with_times(mut self, since: Option<Moment>, until: Option<Moment>) -> Self {
        for (id, moment) in [("since", since), ("until", until)] {
            if let Some(Moment::At(time)) = moment {
                self = self.without(&[id]).with(&format!("--{id}"), time.to_string());
            }
        }
        self
    }

    /// Returns the sentence for a user who has stopped the command: `resume with: hourlog …`.
    pub(crate) fn resume(&self) -> String {
        self.hint("resume")
    }

    /// Returns the sentence that tells a user to do something with this command.
    pub(crate) fn hint(&self, verb: &str) -> String {
        let login = if self.has_login { " (add the login, which is not shown)" } else { "" };
        format!("{verb} with{login}: {}", self.line())
    }

    /// Returns the command, for a POSIX shell.
    fn line(&self) -> String {
        let mut words = vec!["hourlog".to_owned()];
        words.extend(self.verbs.iter().cloned());
        let arguments = self.arguments.iter().map(|argument| quoted(argument).into_owned());
        // Only what follows two dashes is certainly not an option.
        let come_last = self.arguments.iter().any(|argument| argument.starts_with('-') && argument != "-");
        if !come_last {
            words.extend(arguments.clone());
        }
        words.extend(self.options.iter().map(TypedOption::words));
        if come_last {
            words.push("--".to_owned());
            words.extend(arguments);
        }
        words.join(" ")
    }
}

impl TypedOption {
    fn words(&self) -> String {
        match &self.value {
            None => self.flag.clone(),
            Some(value) if value.starts_with('-') && self.flag.starts_with("--") => {
                format!("{}={}", self.flag, quoted(value))
            }
            Some(value) => format!("{} {}", self.flag, quoted(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, value_parser};

    use super::*;

    fn command() -> Command {
        let global = |name: &'static str| Arg::new(name).long(name).global(true);
        let secret = |name: &'static str| global(name).hide_env_values(true);
        let read = Command::new("read")
            .arg(Arg::new("logs").num_args(1..).action(ArgAction::Append))
            .arg(Arg::new("since").long("since").allow_hyphen_values(true))
            .arg(Arg::new("limit").long("limit").value_parser(value_parser!(u32)))
            .arg(Arg::new("follow").short('f').long("follow").action(ArgAction::SetTrue));
        Command::new("hourlog")
            .arg(global("output").short('o'))
            .arg(secret("server").value_name("URL"))
            .arg(secret("password"))
            .arg(global("prefix").default_value("hourlog"))
            .subcommand(read)
    }

    fn typed(words: &[&str]) -> Typed {
        let line: Vec<&str> = std::iter::once("hourlog").chain(words.iter().copied()).collect();
        let matches = command().try_get_matches_from(line).expect("the words are valid");
        Typed::new(&command(), &matches)
    }

    #[test]
    fn a_command_is_repeated_as_it_was_typed() {
        for (words, line) in [
            (&["read", "a"][..], "hourlog read a"),
            (&["-o", "raw", "read", "a b", "c", "-f"], "hourlog read 'a b' c -f -o raw"),
            (&["read", "a", "--follow", "--output=%d\\n"], "hourlog read a -f -o \"%d\\\\n\""),
            (&["read", "a", "--since", "-30m", "--prefix", "p"], "hourlog read a --since=-30m --prefix p"),
            (&["read", "-f", "--", "-rf"], "hourlog read -f -- -rf"),
            (&["--server", "nats://host:4222", "read", "it's"], "hourlog read \"it's\" --server nats://host:4222"),
        ] {
            assert_eq!(typed(words).line(), line);
            let again = shlex::split(line).expect("the quotes are closed");
            let again: Vec<&str> = again.iter().skip(1).map(String::as_str).collect();
            assert_eq!(typed(&again).line(), line, "it does not mean the same");
        }
    }

    #[test]
    fn options_are_replaced() {
        let typed = typed(&["read", "a", "--since", "2h", "--limit", "9", "-f"]);
        let next = typed.without(&["since", "limit"]).with("--after", "-5-7").with("--limit", "3");
        assert_eq!(next.resume(), "resume with: hourlog read a -f --after=-5-7 --limit 3");
    }

    #[test]
    fn a_login_is_left_out_and_said() {
        let next = typed(&["read", "a", "--server", "nats://me:s3cret@host", "--password", "s3cret"]);
        assert_eq!(
            next.resume(),
            "resume with (add the login, which is not shown): hourlog read a --server nats://host"
        );
    }
}
