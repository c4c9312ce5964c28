// SPDX-License-Identifier: MPL-2.0
//! What a host is put through: it runs beside processes of its own, is interrupted and leaves its proxies; a host in another
//! language takes them over and ends them; and it runs once more on what looks like an older kernel.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::DESCRIPTORS;
use crate::deadline::until;
use crate::host::{End, Host};
use crate::look::{Inherited, signals, stat};
use crate::process::with_variable;
use crate::runtime::{Runtime, helper, root};

/// The cells of a row.
pub(crate) fn row(runtime: &Runtime, next: &Runtime) -> Vec<String> {
    let (place, data) = (place(runtime), data(runtime));
    let _leftovers = Leftovers(&place);
    let mut host = Host::start(runtime, place.path(), &data.path().join("data"), End::Leave, &[]);
    settle(&mut host);
    assert_eq!(host.came, ["started", "started"], "{}: {}", runtime.name, host.told());
    let pid = stat(host.proxies["web"].pid()).0;
    let own = Inherited::of(pid);
    let proxies: BTreeSet<Inherited> = host.proxies.values().map(|proxy| Inherited::of(proxy.pid())).collect();
    for proxy in host.proxies.values() {
        assert_eq!(stat(proxy.pid()).1, proxy.pid(), "{}: a proxy has no session of its own", runtime.name);
    }
    let interrupted = interrupt(&mut host, pid, runtime);
    let ended = host.wait();
    until(format!("{}: the end of its process group", runtime.name), || host.is_gone());
    for (id, proxy) in &host.proxies {
        assert!(!proxy.is_gone(), "{}: {id} has ended with the host\n{}", runtime.name, host.told());
    }
    let children = Inherited::written(&fs::read_to_string(place.path().join("facts")).expect("children have written"));
    let children: Vec<String> =
        children.iter().map(|child| format!("{}{}", child.text(), limit(child.limit))).collect();
    take_over(next, data.path(), &host, runtime.user.filter(|_| next.user.is_none()));
    let unknown = exits_on_an_older_kernel(runtime, place.path());
    vec![
        runtime.version(place.path()),
        format!("{}; {}", signals(own.blocked), signals(own.ignored)),
        format!("{} right; {}", host.word("own ").expect("it has said so"), children.join(" or ")),
        proxies.iter().map(|proxy| format!("{}{}", proxy.text(), limit(proxy.limit))).collect::<Vec<_>>().join(" or "),
        host.word("fork ").expect("it has said so").trim().to_owned(),
        unknown,
        interrupted,
        format!("{}; {}", status(ended), next.title),
    ]
}

fn limit(limit: u64) -> String {
    if limit == DESCRIPTORS.0 { String::new() } else { format!(", {limit} descriptors") }
}

fn status(ended: ExitStatus) -> String {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signals(1 << (signal.unwrap_or(1) - 1))),
    }
}

/// A directory for one runtime, with the program that it runs beside the library; also for other users.
fn place(runtime: &Runtime) -> TempDir {
    let place = tempfile::tempdir().expect("make a directory");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("let others in");
    let mut compile = Command::new("cc");
    compile.arg(root().join("ffi-tests/hosts/child.c")).arg("-o").arg(place.path().join("child"));
    assert!(compile.status().expect("run cc").success(), "ffi-tests/hosts/child.c is not built");
    // A host that has another user writes there as well.
    let facts = fs::File::create(place.path().join("facts")).expect("make a file");
    facts.set_permissions(fs::Permissions::from_mode(0o666)).expect("let others write");
    runtime.build(place.path());
    place
}

/// A directory for the data of its manager, which is the host's own.
fn data(runtime: &Runtime) -> TempDir {
    let data = tempfile::tempdir().expect("make a directory");
    if let Some(user) = runtime.user {
        let mut change = Command::new("chown");
        assert!(change.arg(user).arg(data.path()).status().expect("run chown").success(), "no user {user}");
    }
    data
}

/// Waits until all has happened that a host does before it waits.
fn settle(host: &mut Host) {
    let is_settled = |host: &Host| {
        host.word("own ").is_some() && host.word("fork ").is_some() && host.proxies.len() == 2 && host.is_given_up
    };
    assert!(host.read_until("its proxies and processes", is_settled), "it has ended:\n{}", host.told());
}

/// Interrupts a host that waits, and says how it took it.
fn interrupt(host: &mut Host, pid: u32, runtime: &Runtime) -> String {
    let turns = |host: &Host| host.said.iter().filter(|line| *line == "turn").count();
    let before = turns(host);
    assert!(host.read_until("the next wait", |host| turns(host) > before), "it has ended:\n{}", host.told());
    until(format!("{}: the main thread to wait", runtime.name), || stat(pid).2);
    let before = turns(host);
    host.signal(Signal::INT);
    if let Some(words) = runtime.goes_on {
        // It goes on as if nothing had been.
        assert!(host.read_until("a further wait", |host| turns(host) > before + 1), "it has ended:\n{}", host.told());
        host.signal(Signal::TERM);
        return words.to_owned();
    }
    let is_handled = host.read_until("the end", |host| host.said.iter().any(|line| line.ends_with("interrupted")));
    let when = if turns(host) == before { "at once" } else { "after the wait" };
    if is_handled { format!("handled {when}") } else { format!("ends it {when}") }
}

/// A host of another runtime, of the same user, adopts what this one has left, and ends it.
fn take_over(next: &Runtime, data: &Path, left: &Host, user: Option<&str>) {
    let place = place(next);
    let ids = user.map(|user| [format!("--reuid={user}"), format!("--regid={user}")]);
    let as_user = ids.as_ref().map(|[user, group]| ["setpriv", user, group, "--clear-groups"]);
    let through = as_user.as_ref().map_or(&[][..], |words| words);
    let mut host = Host::start(next, place.path(), &data.join("data"), End::Kill, through);
    let has_all = |host: &Host| host.came.len() == 2 && host.word("fork ").is_some();
    assert!(host.read_until("adoptions", has_all), "it has ended:\n{}", host.told());
    assert_eq!(host.came, ["adopted", "adopted"], "{}: {}", next.name, host.told());
    for (id, proxy) in &left.proxies {
        assert_eq!(host.proxies[id].pid(), proxy.pid(), "{}: {id} is another process", next.name);
    }
    end(&mut host, next);
}

/// Interrupts a host that stops its proxies then.
fn end(host: &mut Host, runtime: &Runtime) {
    host.signal(Signal::INT);
    if runtime.goes_on.is_some() {
        host.signal(Signal::TERM);
    }
    host.wait();
    for (id, proxy) in &host.proxies {
        assert!(proxy.is_gone(), "{}: {id} runs on\n{}", runtime.name, host.told());
    }
    until(format!("{}: the end of its process group", runtime.name), || host.is_gone());
}

/// Whether the runtime takes the exit status of processes that are not its own.
fn exits_on_an_older_kernel(runtime: &Runtime, place: &Path) -> String {
    let data = data(runtime);
    let helper = helper();
    // As before Linux 6.15, where the status of a child is gone that other code has waited for.
    let through = [helper.as_str(), "sandbox", "pidfd-get-info=ENOTTY"];
    let mut host = Host::start(runtime, place, &data.path().join("data"), End::Kill, &through);
    settle(&mut host);
    end(&mut host, runtime);
    let unknown = host.exits.iter().filter(|exit| *exit != "exit code 7").count();
    match unknown {
        0 => "none".to_owned(),
        all if all == host.exits.len() => "all".to_owned(),
        _ => "some".to_owned(),
    }
}

/// Whatever a trial leaves is ended: it has the variable of the trial in its environment.
struct Leftovers<'a>(&'a TempDir);

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        let facts = self.0.path().join("facts");
        let left = with_variable("CHILD_FACTS", facts.to_str().unwrap_or_default());
        left.iter().for_each(|process| process.signal(Signal::KILL));
        if !std::thread::panicking() {
            let pids: Vec<u32> = left.iter().map(|process| process.pid()).collect();
            assert!(pids.is_empty(), "processes are left: {pids:?}");
        }
    }
}
