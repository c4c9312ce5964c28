// SPDX-License-Identifier: MPL-2.0
//! What other programs read of this one: completions, and the schema of configurations.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::arguments::Arguments;
use crate::{Result, config};

/// In bash, ids take the place of what is offered else where one is expected.
const BASH: &str = r#"
_agent_with_ids() {
    local id
    local -a ids
    _agent "$@"
    [[ "$2" == -* ]] && return
    mapfile -t ids < <("$1" __ids "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
    [[ "${#ids[@]}" -gt 0 ]] || return
    COMPREPLY=()
    for id in "${ids[@]}"; do
        [[ "$id" == "$2"* ]] && COMPREPLY+=("$(printf %q "$id")")
    done
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _agent_with_ids -o nosort -o bashdefault -o default agent
elif [[ "${BASH_VERSINFO[0]}" -eq 4 ]]; then
    complete -F _agent_with_ids -o bashdefault -o default agent
fi
"#;

/// In zsh, where the file that is generated has `_default` for an id.
const ZSH: &str = r#"
(( $+functions[_agent_ids] )) ||
_agent_ids() {
    local -a ids
    ids=("${(@f)$(agent __ids "${(@)words[1,CURRENT-1]}" 2>/dev/null)}")
    compadd -- ${ids:#}
}
"#;

/// In fish, beside what is generated.
const FISH: &str = r#"
complete -c agent -n "__fish_agent_using_subcommand status restart stop start reload signal wait logs" -f -a "(command -q agent; and agent __ids (commandline -opc)[2..-1] 2>/dev/null)"
"#;

/// Prints what a shell reads to complete the arguments; in bash, zsh and fish also ids, for which it asks `agent __ids`.
pub(super) fn completions(shell: Shell) {
    let mut script = Vec::new();
    let command = Arguments::command();
    let mut command = if shell == Shell::Zsh { commands_alone(&command) } else { command };
    clap_complete::generate(shell, &mut command, "agent", &mut script);
    let script = String::from_utf8_lossy(&script);
    let script = match shell {
        Shell::Bash => format!("{script}{BASH}"),
        Shell::Zsh => with_ids_in_zsh(&script),
        Shell::Fish => format!("{script}{FISH}"),
        _ => script.into_owned(),
    };
    // As of all that is said, its reader may be gone.
    let _ = io::stdout().write_all(script.as_bytes());
}

/// What a command is, without the file that can stand in its place: the script for zsh would take each command for that.
fn commands_alone(command: &Command) -> Command {
    Command::new("agent").version(env!("CARGO_PKG_VERSION")).subcommands(command.get_subcommands().cloned())
}

fn with_ids_in_zsh(script: &str) -> String {
    let is_of_id = |line: &str| [":id -- ", ":ids -- "].iter().any(|name| line.contains(name));
    let lines = script.lines().map(|line| match line.strip_suffix(":_default' \\") {
        // Two colons would take the command and what is before the ids out of the words.
        Some(start) if is_of_id(line) => format!("{}:_agent_ids' \\", start.replacen("*::", "*:", 1)),
        _ => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    let script = lines.join("\n");
    // Before the end of the file, which calls what it has defined.
    match script.rsplit_once("\nif [ \"$funcstack[1]\"") {
        Some((definitions, end)) => format!("{definitions}\n{ZSH}\nif [ \"$funcstack[1]\"{end}\n"),
        None => format!("{script}\n{ZSH}"),
    }
}

/// Prints the JSON schema of configurations.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn schema() -> Result<()> {
    Ok(io::stdout().write_all(config::SCHEMA.as_bytes())?)
}
