// SPDX-License-Identifier: MPL-2.0
//! The roles.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Signal, getpid, getppid, kill_process, set_parent_process_death_signal, setpgid, setsid};

use crate::bomb;
use crate::debugger;
use crate::handing_over;
use crate::message::{Inspection, WATCH_PID};
use crate::notify;
use crate::readiness;
use crate::report::{Birth, Reporter};
use crate::sandbox;
use crate::serving;
use crate::sockets;
use crate::wait::{self, Handled};

/// The role of the process that a leader starts.
const MEMBER: &str = "member";
/// How one of them behaves, and the role that it takes then.
const CLEARED: &str = "cleared";
const SILENT: &str = "silent";
/// The roles of strangers in the group of another process.
const STRANGE_MEMBER: &str = "strange-member";
const JOINER: &str = "joiner";

/// Takes the role that the arguments name.
pub(crate) fn play(birth: Birth, inspection: Inspection) -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let role = args.next().unwrap_or_default().to_string_lossy().into_owned();
    let args: Vec<OsString> = args.collect();
    let word = args.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match role.as_str() {
        SILENT => return be_silent(&word),
        "guard" => return guard(&args),
        notify::SENDS => {
            notify::send_once(&word, args.len() > 1);
            return ExitCode::SUCCESS;
        }
        "starts-and-becomes" => {
            start_member(&["stubborn".into()]);
            return become_program(&role, &args);
        }
        "sandbox" => return sandbox(&word, args.get(1..).unwrap_or_default()),
        _ => {}
    }
    let name = match role.as_str() {
        "grandchild" => "leader",
        MEMBER | STRANGE_MEMBER | handing_over::SUCCEEDS => "grandchild",
        other => other,
    };
    let mut reporter = Reporter::connect(name, birth);
    match role.as_str() {
        "run" => just_wait(&mut reporter, None),
        "bound" => {
            // As Envoy does. It is the thread that counts: the main thread of this process is the only one there is.
            set_parent_process_death_signal(Some(Signal::TERM)).expect("ask to be killed with the parent");
            just_wait(&mut reporter, None)
        }
        "ready" => {
            let word = |at: usize| args.get(at).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
            readiness::become_ready(&mut reporter, &word(0), &word(1), word(2) == "at-once")
        }
        "serve" => sockets::serve(&mut reporter),
        "notifies" => notify::notify(&mut reporter, &word, &words(args.get(1..).unwrap_or_default())),
        "hands-over" => handing_over::hand_over(&mut reporter, &words(&args)),
        handing_over::SUCCEEDS => {
            handing_over::succeed(&mut reporter, &word, &words(args.get(1..).unwrap_or_default()))
        }
        "serve-beside" => {
            serving::serve(&mut reporter, &word, &args.get(1).map(|word| word.to_string_lossy()).unwrap_or_default())
        }
        "inspect" => just_wait(&mut reporter, Some(inspection)),
        "stubborn" => stay(&mut reporter),
        "graceful" => obey(&mut reporter),
        "grows" => grow(&mut reporter),
        "exit" => {
            reporter.started(None);
            words(args.get(1..).unwrap_or_default()).iter().for_each(|line| eprintln!("{line}"));
            word.parse::<u8>().map_or_else(|_| usage(&role), ExitCode::from)
        }
        "crash" => crash(&mut reporter, &word),
        "stopped" => {
            reporter.started(None);
            kill_process(getpid(), Signal::STOP).expect("stop");
            wait::end()
        }
        "log" => {
            writeln!(std::io::stdout(), "{word}").expect("write to stdout");
            writeln!(std::io::stderr(), "{word}").expect("write to stderr");
            just_wait(&mut reporter, None)
        }
        "stranger" => be_strange(&mut reporter, &word),
        STRANGE_MEMBER => stay_for(&mut reporter, Handled::every()),
        "mixed" => lead_strangers(&mut reporter),
        JOINER => join(&mut reporter),
        MEMBER => belong(&mut reporter, &word, &args.get(1).map(|option| option.to_string_lossy()).unwrap_or_default()),
        "grandchild" => lead(&mut reporter, &args, Handled::default()),
        "leader-exits" => lead(&mut reporter, &["stubborn".into()], Handled::polite()),
        "escaped" => lead(&mut reporter, &escaped(args), Handled::default()),
        "background" => {
            start_cleared(&[CLEARED.into()]);
            ExitCode::SUCCESS
        }
        "daemonizes" => {
            start_member(&escaped(args));
            ExitCode::SUCCESS
        }
        "starts" => {
            start_another(Command::new(args.first().expect("a program")).args(args.get(1..).unwrap_or_default()));
            just_wait(&mut reporter, None)
        }
        "traceable" => {
            debugger::let_others_trace(word == "threads");
            just_wait(&mut reporter, None)
        }
        "traces" | "interrupts" => {
            debugger::trace(&word, role == "interrupts");
            just_wait(&mut reporter, None)
        }
        "bomb" => bomb::go_off(&mut reporter, word.parse().expect("a count"), args.len() > 1),
        bomb::SPARK => bomb::burn(&args),
        _ => usage(&role),
    }
}

fn words(args: &[OsString]) -> Vec<String> {
    args.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn just_wait(reporter: &mut Reporter, inspection: Option<Inspection>) -> ! {
    reporter.started(inspection);
    wait::end()
}

fn stay(reporter: &mut Reporter) -> ! {
    stay_for(reporter, Handled::polite())
}

fn stay_for(reporter: &mut Reporter, mut handled: Handled) -> ! {
    reporter.started(None);
    loop {
        reporter.signal(wait::signal(&mut handled));
    }
}

/// Has 32 MiB more after each SIGUSR1, when that is reported.
fn grow(reporter: &mut Reporter) -> ! {
    let mut handled = Handled::user();
    reporter.started(None);
    let mut memory = Vec::new();
    loop {
        let signal = wait::signal(&mut handled);
        memory.push(vec![1_u8; 32 << 20]);
        reporter.signal(signal);
    }
}

fn obey(reporter: &mut Reporter) -> ExitCode {
    let mut handled = Handled::all();
    reporter.started(None);
    reporter.signal(wait::signal(&mut handled));
    ExitCode::SUCCESS
}

fn crash(reporter: &mut Reporter, signal: &str) -> ExitCode {
    let signal = match signal {
        "SIGABRT" => Signal::ABORT,
        "SIGSEGV" => Signal::SEGV,
        "SIGKILL" => Signal::KILL,
        "SIGTERM" => Signal::TERM,
        "SIGUSR1" => Signal::USR1,
        _ => return usage("crash"),
    };
    wait::without_core_files();
    reporter.started(None);
    loop {
        // The first SIGSEGV only removes the handler of Rust's runtime.
        kill_process(getpid(), signal).expect("signal myself");
    }
}

/// Is what a leader has started, as it was told.
fn belong(reporter: &mut Reporter, how: &str, option: &str) -> ExitCode {
    match how {
        "stubborn" => stay(reporter),
        "stopped" => {
            reporter.started(None);
            kill_process(getpid(), Signal::STOP).expect("stop");
            wait::end()
        }
        "relapses" => {
            let mut handled = Handled::relapsing();
            reporter.started(None);
            loop {
                kill_process(getpid(), Signal::STOP).expect("stop");
                while wait::signal(&mut handled) != "SIGCONT" {}
            }
        }
        CLEARED => become_silent(reporter, option),
        "escaped" => {
            setsid().expect("leave for a session of its own");
            if option == "stubborn" { stay(reporter) } else { obey(reporter) }
        }
        "traceable" => {
            debugger::let_others_trace(!option.is_empty());
            just_wait(reporter, None)
        }
        _ => just_wait(reporter, None),
    }
}

/// Leaves for a session of its own and clears its environment, as a careful daemon does. It has told who it is.
fn become_silent(reporter: &mut Reporter, option: &str) -> ExitCode {
    if option != "stays" {
        setsid().expect("leave for a session of its own");
    }
    reporter.started(None);
    let mut silent = Command::new(own_program());
    silent.arg(SILENT).arg(std::env::var(WATCH_PID).unwrap_or_default()).env_clear();
    if option != "keeps-log" {
        silent.stderr(Stdio::null());
    }
    panic!("execute own program: {}", silent.exec())
}

/// The same process, when that is done, which a line tells the one that has started it.
fn be_silent(test: &str) -> ExitCode {
    writeln!(std::io::stdout()).expect("write to the pipe");
    wait::end_with(test)
}

/// Starts one that becomes silent, and returns when it is.
fn start_cleared(args: &[OsString]) {
    let mut command = Command::new(own_program());
    let started = command.arg(MEMBER).args(args).stdout(Stdio::piped()).spawn();
    let mut output = started.expect("start another process").stdout.expect("its output is a pipe");
    output.read_exact(&mut [0]).expect("it becomes silent");
}

/// Starts another process of this group and waits; a signal that is handled leaves it behind.
fn lead(reporter: &mut Reporter, member: &[OsString], mut handled: Handled) -> ExitCode {
    if member.first().is_some_and(|how| how == CLEARED) {
        start_cleared(member);
    } else {
        start_member(member);
    }
    reporter.started(None);
    wait::signal(&mut handled);
    ExitCode::SUCCESS
}

fn escaped(mut args: Vec<OsString>) -> Vec<OsString> {
    args.insert(0, "escaped".into());
    args
}

fn start_member(args: &[OsString]) {
    start_another(Command::new(own_program()).arg(MEMBER).args(args));
}

/// A session leader can be told from a managed process by its number's past alone.
fn be_strange(reporter: &mut Reporter, how: &str) -> ! {
    if how != "follow" {
        setsid().expect("lead a session");
    }
    let handled = Handled::every();
    if how == "lead" {
        start_another(Command::new(own_program()).arg(STRANGE_MEMBER));
    }
    stay_for(reporter, handled)
}

fn lead_strangers(reporter: &mut Reporter) -> ! {
    start_another(Command::new(own_program()).arg(MEMBER));
    let mut stranger = Command::new(own_program());
    stranger.arg(JOINER).env("CONNECT_PROXY_ID", "stranger").env_remove("CONNECT_PROXY_TOKEN");
    start_another(stranger.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0));
    just_wait(reporter, None)
}

fn join(reporter: &mut Reporter) -> ! {
    let handled = Handled::every();
    setpgid(None, getppid()).expect("join the group of the parent");
    stay_for(reporter, handled)
}

#[expect(clippy::zombie_processes, reason = "its end must be seen by others than its parent")]
pub(crate) fn start_another(command: &mut Command) {
    command.spawn().expect("start another process");
}

pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().expect("find own program")
}

/// Becomes another program that is killed when its parent ends, however that comes about: a test that was killed
/// leaves no agent behind.
fn guard(args: &[OsString]) -> ExitCode {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("ask to die with the parent");
    let parent = std::os::unix::process::parent_id().to_string();
    if std::env::var(WATCH_PID).is_ok_and(|pid| pid != parent) {
        return ExitCode::FAILURE; // it ended before we had asked
    }
    become_program("guard", args)
}

fn sandbox(calls: &str, args: &[OsString]) -> ExitCode {
    sandbox::refuse(calls);
    become_program("sandbox", args)
}

fn become_program(role: &str, args: &[OsString]) -> ExitCode {
    let Some((program, args)) = args.split_first() else { return usage(role) };
    let error = Command::new(program).args(args).exec();
    let _ = writeln!(std::io::stderr(), "execute {}: {error}", program.to_string_lossy());
    ExitCode::FAILURE
}

fn usage(role: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "role {role:?}: unknown, or without the argument that it needs");
    ExitCode::from(64)
}
