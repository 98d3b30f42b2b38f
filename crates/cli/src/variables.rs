//! The environment: a variable that is set to nothing, as pipelines and `compose` files set those that nobody filled in,
//! is one that is not set.

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::commands::Arguments;

/// The command line, with what variables add to it.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let mut command = without_empty(Arguments::command());
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The same command, to which variables that are set to nothing say nothing.
fn without_empty(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let empty = argument
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if empty { argument.env(clap::builder::Resettable::Reset) } else { argument }
    });
    command.mut_subcommands(without_empty)
}
