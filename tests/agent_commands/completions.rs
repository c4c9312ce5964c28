// SPDX-License-Identifier: MPL-2.0
//! Shells complete the ids of proxies: those of the agent that the line means, or of its configuration.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Ran, ask, run, start};
use crate::support::{Config, Proxy, Scene, example_agent};

/// What can come after these words.
fn after(words: &[&str]) -> String {
    run(&[&["__ids"], words].concat()).ok()
}

fn of_helpers(scene: &Scene, ids: &[&str]) -> Config {
    ids.iter().fold(Config::new(scene), |config, id| config.proxy(id, Proxy::helper(&["run"])))
}

#[test]
fn ids_are_those_of_the_running_agent_or_else_of_its_configuration() {
    let scene = Scene::new();
    let (file, data_dir) = (scene.path("agent.json"), scene.data_dir());
    let (file_name, dir) = (file.to_str().unwrap(), data_dir.to_str().unwrap());
    assert_eq!(after(&["status", "--config", file_name]), "", "there is nothing yet");
    let agent = start(&scene, &of_helpers(&scene, &["web", "two words"]));
    for id in ["web", "two words"] {
        scene.reports.start(id);
    }
    ask(&data_dir, &["wait", "--all"]).ok();
    let both = "two words\nweb\n";
    assert_eq!(after(&["status", "--data-dir", dir]), both);
    // What is in the file alone is not known to the agent.
    of_helpers(&scene, &["next", "web"]).write(&file);
    assert_eq!(after(&["status", "--config", file_name]), both);
    agent.quit();
    assert_eq!(after(&["status", "--config", file_name]), "next\nweb\n");
    assert_eq!(after(&["status", "--data-dir", dir]), "");
    std::fs::write(&file, "no configuration").unwrap();
    assert_eq!(after(&["status", "--config", file_name]), "");
    scene.finish();
}

#[test]
fn ids_are_offered_only_where_a_command_takes_one() {
    let scene = Scene::new();
    let file = scene.path("agent.json");
    of_helpers(&scene, &["a", "b", "line\nbreak"]).write(&file);
    let file = format!("--config={}", file.display());
    for line in
        ["status", "restart --no-wait", "stop", "start", "reload", "signal", "wait --timeout 3s", "logs -n 3 -f"]
    {
        let words: Vec<&str> = line.split(' ').chain([file.as_str()]).collect();
        assert_eq!(after(&words), "a\nb\n", "{line}");
    }
    for line in ["status a", "wait b", "logs a", "check", "nosuch", "run"] {
        let words: Vec<&str> = line.split(' ').chain([file.as_str()]).collect();
        assert_eq!(after(&words), "", "{line}");
    }
    // Of several, not the same one again; and not in place of the value of an option.
    assert_eq!(after(&["stop", "a", &file]), "b\n");
    for awaits_value in ["--timeout", "--config"] {
        assert_eq!(after(&["stop", &file, awaits_value]), "");
    }
    let split: Vec<&str> = ["stop", "--config", "=", &file["--config=".len()..]].into();
    assert_eq!(after(&split), "a\nb\n", "as bash splits it");
    assert_eq!((after(&[]), after(&["stop"])), (String::new(), String::new()));
    scene.finish();
}

/// Runs a script of a shell that finds the agent, where that is installed.
fn in_shell(scene: &Scene, shell: &str, script: &str) -> Option<String> {
    let found = Command::new(shell).arg("--version").stdin(Stdio::null()).output();
    if found.is_err() {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "{shell} is not installed: .ci/packages.sh");
        println!("skipped, not installed: {shell}");
        return None;
    }
    let agent_dir = example_agent().parent().and_then(Path::to_str).unwrap();
    let path = format!("{agent_dir}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("timeout");
    command.args(["30", shell]).args(if shell == "zsh" { &["-f", "-c"][..] } else { &["-c"] }).arg(script);
    command.env("PATH", path).env("AGENT_CONFIG", scene.path("agent.json")).env("HOME", scene.path(""));
    command.env("TERM", "dumb").stdin(Stdio::null()).current_dir(scene.path(""));
    Some(Ran::of(command.output().expect("run a shell")).ok())
}

#[test]
fn bash_fish_and_zsh_complete_ids() {
    let scene = Scene::new();
    of_helpers(&scene, &["web", "web two", "cache"]).write(&scene.path("agent.json"));
    for (shell, file) in [("bash", "bash"), ("fish", "fish"), ("zsh", "_agent")] {
        std::fs::write(scene.path(file), run(&["completions", shell]).ok()).unwrap();
    }
    let bash = r#"source ./bash
        t() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agent_with_ids agent "${!#}"; printf '%s|' "${COMPREPLY[@]}"; echo; }
        t agent status ""; t agent stop web ""; t agent stop w; t agent wait --timeo"#;
    if let Some(said) = in_shell(&scene, "bash", bash) {
        assert_eq!(said, "cache|web|web\\ two|\ncache|web\\ two|\nweb|web\\ two|\n--timeout|\n");
    }
    let fish = "source ./fish; for line in 'agent status ' 'agent stop web ' 'agent stop w' 'agent wait --timeo'
        complete -C $line | string split -f1 \\t | string join '|'; end; exit 0";
    if let Some(said) = in_shell(&scene, "fish", fish) {
        assert_eq!(said, "cache|web|web two\ncache|web two\nweb|web two\n--timeout\n");
    }
    // It has to be asked as at a terminal: what it lists then comes back.
    let zsh = r#"zmodload zsh/zpty; zpty z zsh -f -i
        zpty -w z 'PS1=; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -d $PWD/dump; bindkey "^I" list-choices; echo READ""Y'
        zpty -r z line '*READY*'
        for typed listed in 'agent status ' '*cache*web*web\\ two*' 'agent stop web ' '*cache*web\\ two*' 'agent stop w' '*web*web\\ two*'; do
            zpty -w -n z "$typed"$'\t'; zpty -r z line "$listed"; zpty -w -n z $'\C-u'; echo listed
        done; zpty -d z"#;
    if let Some(said) = in_shell(&scene, "zsh", zsh) {
        assert_eq!(said, "listed\nlisted\nlisted\n");
    }
    scene.finish();
}
