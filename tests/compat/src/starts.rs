// SPDX-License-Identifier: MPL-2.0
//! Starts that are not as they should be, and what a crash leaves.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{Cells, see};
use crate::result::Result;
use crate::scene::{ID, PATIENCE, Scene, kill, process, with};
use crate::stops::once;
use crate::traffic::Traffic;

/// How long a program may try to have its port, or take to go into the background.
const TRIES: Duration = Duration::from_secs(7);

/// How long what a crash has left may take to end by itself.
const LEFT: Duration = Duration::from_secs(5);

/// What became of a start.
enum Start {
    Serves,
    Ended(String),
    /// It lives, and does not serve.
    Stays,
}

impl Start {
    fn words<'a>(&'a self, serves: &'a str, stays: &'a str) -> &'a str {
        match self {
            Start::Serves => serves,
            Start::Ended(exit) => exit,
            Start::Stays => stays,
        }
    }
}

/// Starts a declaration once, and looks.
fn start(scene: &mut Scene, declaration: &Value, patience: Duration, asks: bool) -> Result<Start> {
    scene.declare(&[])?;
    scene.until("nothing runs", PATIENCE, || scene.is_empty().then_some(()))?;
    let declaration = with(&once(declaration), &json!({ "ready": "started" }));
    scene.declare(&[(ID, &declaration)])?;
    let found = scene.until("it ends or serves", patience, || {
        let status = scene.status(ID).ok()?;
        if let Some(exit) = status.last_exit() {
            return Some(Start::Ended(exit));
        }
        (asks && status.is("running") && scene.client.ask(scene.listen, &scene.upstream)).then_some(Start::Serves)
    });
    Ok(found.unwrap_or(Start::Stays))
}

/// In the background, as root, beside another one, with a taken port, with a socket for notifications.
pub(crate) fn starts(scene: &mut Scene, seen: &mut Cells) -> Result<()> {
    let declaration = scene.init(false)?;
    scene.declare(&[])?;
    scene.start_agent()?;

    let background = (!scene.program.foreground.is_empty()).then(|| {
        let mut changed = declaration.clone();
        if let Some(command) = changed["command"].as_array_mut() {
            command.retain(|word| !scene.program.foreground.iter().any(|it| word == it));
        }
        changed
    });
    let word = match background {
        None => "no switch".to_owned(),
        Some(declaration) => match start(scene, &declaration, TRIES, false)? {
            Start::Ended(exit) if exit == "exit code 0" => "goes into the background".to_owned(),
            Start::Ended(exit) => exit,
            _ => "stays".to_owned(),
        },
    };
    see(seen, "background", &word);
    end_all(scene)?;

    see(seen, "notify", &notify(scene, &declaration)?);
    // The agent itself accepts connections that carry nothing.
    if scene.traffic() != Traffic::Accept {
        see(seen, "listen_fds", listen_fds(scene, &declaration)?);
    }
    see(seen, "taken", &taken(scene, &declaration)?);
    see(seen, "beside", &beside(scene, &declaration)?);
    // Files that it makes as root are in the way of another user.
    if declaration.get("user").is_some() {
        let found = start(scene, &with(&declaration, &json!({ "user": null, "group": null })), TRIES, true)?;
        see(seen, "as_root", found.words("runs", "stays without serving"));
    }
    Ok(())
}

/// Ends what runs, by SIGKILL what the agent does not end in time.
fn end_all(scene: &mut Scene) -> Result<()> {
    scene.declare(&[])?;
    let ended = scene.until("nothing runs", Duration::from_secs(6), || scene.is_empty().then_some(()));
    if ended.is_ok() {
        return Ok(());
    }
    scene.until("nothing runs", PATIENCE, || {
        let left = scene.processes();
        left.iter().for_each(|(pid, _)| kill(*pid, Signal::KILL));
        scene.is_empty().then_some(())
    })
}

fn notify(scene: &mut Scene, declaration: &Value) -> Result<String> {
    end_all(scene)?;
    scene.declare(&[(ID, &with(&once(declaration), &json!({ "ready": "notify" })))])?;
    let found = scene.until("it is ready, or ends", PATIENCE, || {
        let status = scene.status(ID).ok()?;
        if status.is_ready() {
            return Some("READY=1");
        }
        if status.last_exit().is_some() {
            return Some("does not start");
        }
        scene.client.ask(scene.listen, &scene.upstream).then_some("not sent")
    })?;
    if found != "not sent" {
        return Ok(found.to_owned());
    }
    let late =
        scene.until("it says so", Duration::from_millis(1000), || scene.status(ID).ok()?.is_ready().then_some(()));
    Ok(if late.is_ok() { "READY=1" } else { "not sent" }.to_owned())
}

/// Sockets at its address, of which it is told by LISTEN_FDS alone.
fn listen_fds(scene: &mut Scene, declaration: &Value) -> Result<&'static str> {
    let kinds: &[&str] = if scene.traffic() == Traffic::Dns { &["udp", "tcp"] } else { &["tcp"] };
    let sockets: Vec<String> = kinds.iter().map(|kind| format!("{kind}:{}", scene.listen)).collect();
    let found = start(scene, &with(declaration, &json!({ "listen": sockets })), Duration::from_secs(3), true)?;
    Ok(if let Start::Serves = found { "taken" } else { "not taken" })
}

fn taken(scene: &mut Scene, declaration: &Value) -> Result<String> {
    end_all(scene)?;
    // What the agent has listened at for the last one is closed a moment later.
    let sockets = || TcpListener::bind(scene.listen).and_then(|tcp| Ok((tcp, UdpSocket::bind(scene.listen)?))).ok();
    let (tcp, udp) = scene.until("the port is free", PATIENCE, sockets)?;
    let found = start(scene, declaration, TRIES, false)?;
    drop((tcp, udp));
    if let Start::Ended(exit) = found {
        return Ok(exit);
    }
    let binds = scene
        .until("it serves", Duration::from_secs(3), || scene.client.ask(scene.listen, &scene.upstream).then_some(()));
    Ok(format!("stays alive, {} when it is free", if binds.is_ok() { "listens" } else { "does not listen" }))
}

/// A second one with the same declaration.
fn beside(scene: &mut Scene, declaration: &Value) -> Result<String> {
    const SECOND: &str = "second";
    end_all(scene)?;
    let declaration = with(&once(declaration), &json!({ "ready": "started" }));
    scene.declare(&[(ID, &declaration)])?;
    let first = scene.serving()?;
    scene.declare(&[(ID, &declaration), (SECOND, &declaration)])?;
    let ended = scene.until("the second one ends", TRIES, || scene.status(SECOND).ok()?.last_exit());
    let found = match ended {
        Ok(exit) => exit,
        Err(_) => {
            kill(first.pid().ok_or("no pid")?, Signal::KILL);
            scene.until("the first one ends", PATIENCE, || scene.status(ID).ok()?.last_exit())?;
            let serves = scene.until("it serves", Duration::from_secs(5), || {
                (0..5).all(|_| scene.client.ask(scene.listen, &scene.upstream)).then_some(())
            });
            if serves.is_ok() { "shares the port" } else { "stays without the port" }.to_owned()
        }
    };
    end_all(scene)?;
    Ok(found)
}

/// SIGKILL to the agent, and then to the leader: what is left, and what the next agent has of it.
pub(crate) fn crash(scene: &mut Scene, seen: &mut Cells) -> Result<()> {
    let declaration = scene.init(false)?;
    let files_before = scene.new_files();
    scene.declare(&[(ID, &with(&declaration, &json!({ "detached": null })))])?;
    scene.start_agent()?;
    let status = scene.serving()?;
    let leader = status.pid().ok_or("no pid")?;
    let open = scene.client.open(scene.listen, &scene.upstream)?;
    scene.kill_agent()?;
    let ended = scene.until("it ends", Duration::from_millis(500), || process(leader).is_none().then_some(()));
    see(seen, "agent_ends", if ended.is_ok() { "ends" } else { "lives" });

    kill(leader, Signal::KILL);
    scene.until("it ends", PATIENCE, || process(leader).is_none().then_some(()))?;
    // Some end by themselves when they have noticed.
    let _ = scene.until("nothing is left", LEFT, || scene.processes().is_empty().then_some(()));
    let mut names: Vec<String> = scene.processes().into_iter().map(|(_, name)| name).collect();
    names.sort();
    names.dedup();
    see(seen, "left", &if names.is_empty() { "none".to_owned() } else { names.join(", ") });
    // The kernel closes what a process had a moment after its end.
    let freed = scene.until("the port is free", Duration::from_secs(1), || (!scene.is_listening()).then_some(()));
    see(seen, "port_held", if freed.is_err() { "held" } else { "free" });
    let files: BTreeSet<PathBuf> = scene.new_files().difference(&files_before).cloned().collect();
    scene.upstream.release();
    drop(open);
    scene.start_agent()?;
    let next = scene.serving();
    see(
        seen,
        "next_agent",
        match &next {
            Ok(status) if status.restarts() == 0 => "serves at the first start",
            Ok(_) => "serves after several starts",
            Err(_) => "does not serve",
        },
    );

    // A pid file that names a process of another program.
    let number = |path: &&PathBuf| fs::read_to_string(path).ok().filter(|text| text.trim().parse::<u32>().is_ok());
    let pid_files: Vec<_> = files.iter().filter(|path| number(path).is_some()).cloned().collect();
    let word = if pid_files.is_empty() {
        "none".to_owned()
    } else {
        end_all(scene)?;
        for path in &pid_files {
            fs::write(path, format!("{}\n", std::process::id()))?;
            let of = fs::metadata(&scene.dir)?;
            chown(path, Some(of.uid()), Some(of.gid()))?;
        }
        start(scene, &declaration, TRIES, true)?.words("overwritten", "stays without serving").to_owned()
    };
    see(seen, "pid_file", &word);
    let mut kept: Vec<String> = files.iter().map(|path| named(scene, path)).collect();
    kept.sort();
    kept.dedup();
    see(seen, "files", &if kept.is_empty() { "none".to_owned() } else { kept.join(", ") });
    Ok(())
}

/// The file without what is another one in each run: long numbers, and what is in folders of the program.
fn named(scene: &Scene, path: &Path) -> String {
    let Ok(inner) = path.strip_prefix(&scene.dir) else { return without_numbers(&path.display().to_string()) };
    let mut parts = inner.iter().map(|part| part.to_string_lossy().into_owned());
    let first = parts.next().unwrap_or_default();
    if parts.next().is_some() { format!("{first}/") } else { without_numbers(&first) }
}

fn without_numbers(text: &str) -> String {
    // The names of Python's semaphores are random.
    if let Some((begin, _)) = text.split_once("/sem.mp-") {
        return format!("{begin}/sem.mp-N");
    }
    let mut name = String::new();
    for part in text.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        name += if digits > 2 { "N" } else { &part[..digits] };
        name += &part[digits..];
    }
    name
}
