// SPDX-License-Identifier: MPL-2.0
//! `agent init`: the declaration of a program that is known, and the files of its configuration.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::unistd::{User, geteuid};

use crate::known::Program;
use crate::{Result, say};

/// What to declare, and for which place.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The program; without one, those that are known
    program: Option<String>,
    /// Write an example of its configuration into this directory, where no such file may be
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The executable, if it is another one than that of the package
    #[arg(long, value_name = "PATH")]
    executable: Option<String>,
    /// The id of the proxy, if it is not to be the name of the program
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Where it listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where it passes on what it gets
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    upstream: SocketAddr,
    /// Let the program open its socket by itself, also where it can take one that stays open over replacements
    #[arg(long)]
    own_socket: bool,
}

/// Prints a configuration with one proxy.
///
/// # Errors
/// The program is not known, or a file cannot be written.
pub(super) fn init(wanted: Init) -> Result<()> {
    let Some(name) = &wanted.program else {
        for program in Program::all()? {
            let versions: Vec<&str> = program.played().iter().map(|played| played.version).collect();
            say(format_args!("{}\t{}\t{}", program.name(), program.title(), versions.join(", ")));
        }
        return Ok(());
    };
    let program = Program::named(name)?;
    let dir = match &wanted.dir {
        Some(dir) => std::path::absolute(dir).map_err(|error| format!("{}: {error}", dir.display()))?,
        None => Path::new("/etc").join(name),
    };
    let dir = dir.to_str().ok_or("--dir: expected a path in UTF-8")?;
    let executable = wanted.executable.as_deref().unwrap_or(program.executable());
    let fill = |text: &str| {
        text.replace("@program@", executable)
            .replace("@dir@", dir)
            .replace("@listen@", &wanted.listen.to_string())
            .replace("@ip@", &wanted.listen.ip().to_string())
            .replace("@port@", &wanted.listen.port().to_string())
            .replace("@upstream@", &wanted.upstream.to_string())
            .replace("@upstream_ip@", &wanted.upstream.ip().to_string())
            .replace("@upstream_port@", &wanted.upstream.port().to_string())
    };
    let fields = program.declaration(!wanted.own_socket);
    if wanted.dir.is_some() {
        write_files(&program, dir, user_of(&fields), fill)?;
    }
    for line in head(&program, Path::new(executable), dir, wanted.dir.is_some()) {
        say(line);
    }
    say("data_dir = \"/var/lib/agent\"");
    if user_of(&fields).is_none() {
        say(
            "# It gives up root by itself, or needs it, as for a port below 1024: else declare a `user`.\nallow_root = true",
        );
    }
    say(format_args!("\n[proxies.{}]", toml_key(wanted.id.as_deref().unwrap_or(name))));
    for (_, line) in fields {
        say(fill(line));
    }
    Ok(())
}

/// Where the declaration comes from: of the versions that were played, the one that fits what is installed, or else all.
fn head(program: &Program, executable: &Path, dir: &str, is_written: bool) -> Vec<String> {
    let played = program.played_as(executable).map_or_else(|| program.played(), |played| vec![played]);
    let versions: Vec<&str> = played.iter().map(|played| played.version).collect();
    let source = match program.source() {
        "debian" => "Debian's package",
        "pypi" => "the PyPI package",
        "npm" => "the npm package",
        _ => "the crate",
    };
    let mut lines = vec![
        format!("# {}, as tested with {source} {} {}:", program.title(), program.package(), versions.join(" and ")),
        format!(
            "# tests/compat/programs/{}.toml and docs/proxies.md of proxyprocess {}.",
            program.name(),
            env!("CARGO_PKG_VERSION")
        ),
    ];
    if !is_written {
        lines.extend(
            program.files().keys().map(|file| format!("# It needs {dir}/{file}: --dir DIR writes an example.")),
        );
    }
    lines.extend(program.prepare().map(|script| format!("# In {dir}, once: {script}")));
    lines
}

/// The user that a declaration names.
fn user_of<'a>(fields: &[(&str, &'a str)]) -> Option<&'a str> {
    let line = fields.iter().find(|(name, _)| *name == "user")?.1;
    line.split('"').nth(1)
}

/// A user that the declaration names has the directory, for what the program writes there.
fn write_files(program: &Program, dir: &str, user: Option<&str>, fill: impl Fn(&str) -> String) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| format!("create {dir}: {error}"))?;
    for (name, text) in program.files() {
        let path = format!("{dir}/{name}");
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(fill(text).as_bytes()))
            .map_err(|error| format!("write {path}: {error}"))?;
    }
    if let Some(user) = user.filter(|_| geteuid().is_root()) {
        let found = User::from_name(user)?.ok_or_else(|| format!("no such user: {user}"))?;
        chown(dir, Some(found.uid.as_raw()), Some(found.gid.as_raw()))
            .map_err(|error| format!("chown {dir}: {error}"))?;
    }
    Ok(())
}

fn toml_key(id: &str) -> String {
    let is_bare = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_bare { id.to_owned() } else { serde_json::Value::from(id).to_string() }
}
