// SPDX-License-Identifier: MPL-2.0
//! Sending notifications (sd_notify(3)) when the test says so, in each of the ways in which programs do.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::pipe;
use rustix::process::setsid;
use rustix::time::{ClockId, clock_gettime};

use crate::report::Reporter;
use crate::roles::own_program;
use crate::wait::{self, Handled};

/// The role of a process that sends one notification.
pub(crate) const SENDS: &str = "sends";

/// On each SIGUSR1 sends the next text, with the time for `MONOTONIC_USEC=now`, and says so; `at-once`: the first one before it
/// reports its start; `feeds`: beside that, its watchdog all the time, until the text is `silent`; `stays`: survives SIGABRT,
/// and says so; `asks`: sends the next text on SIGINT as well, and ends when there is none left; `stores`: sends each with a
/// file.
pub(crate) fn notify(reporter: &mut Reporter, how: &str, texts: &[String]) -> ! {
    wait::without_core_files();
    let mut handled = match how {
        "stays" => Handled::aborts(),
        "asks" => Handled::all(),
        _ => Handled::user(),
    };
    let mut texts = texts.iter();
    let feeds = Arc::new(AtomicBool::new(how == "feeds"));
    if how == "feeds" {
        feed_while(feeds.clone());
    }
    if how == "at-once" {
        // Programs do not care whether they are heard: the agent may be gone.
        texts.next().into_iter().for_each(|text| drop(try_to_send(text)));
    }
    reporter.started(None);
    loop {
        let signal = wait::signal(&mut handled);
        if signal == "SIGABRT" {
            reporter.signal(signal);
            continue;
        }
        if let Some(text) = texts.next() {
            match how {
                "feeds" if text == "silent" => feeds.store(false, Ordering::SeqCst),
                "child" => send_by_process(&[text]),
                "escaped" => send_by_process(&[text, "stays"]),
                "barrier" => send_barrier(text),
                "stores" => send_with_file(text),
                "flood" => flood(text),
                _ => send(text),
            }
        } else if how == "asks" {
            std::process::exit(0);
        }
        reporter.signal(signal);
    }
}

/// Sends one notification; `stays`: from a session of its own, and then waits.
pub(crate) fn send_once(text: &str, stays: bool) {
    if stays {
        setsid().expect("leave for a session of its own");
    }
    send(text);
    if stays {
        writeln!(io::stdout()).expect("write to the pipe");
        wait::end()
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let name = std::env::var("NOTIFY_SOCKET").expect("the name of a socket");
    let name = name.strip_prefix('@').expect("an abstract name");
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    Ok(socket)
}

pub(crate) fn try_to_send(text: &str) -> io::Result<usize> {
    let now = clock_gettime(ClockId::Monotonic);
    let now = format!("MONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000);
    connect()?.send(text.replace("MONOTONIC_USEC=now", &now).as_bytes())
}

pub(crate) fn send(text: &str) {
    try_to_send(text).expect("send a notification");
}

/// When it returns the process is gone, or says that it has sent.
#[expect(clippy::zombie_processes, reason = "the one that stays is ended by the agent")]
fn send_by_process(words: &[&str]) {
    let mut sender = Command::new(own_program());
    let mut sender = sender.arg(SENDS).args(words).stdout(Stdio::piped()).spawn().expect("start another process");
    let mut output = sender.stdout.take().expect("its output is a pipe");
    if words.len() == 1 {
        assert!(sender.wait().expect("wait for the other process").success());
    } else {
        output.read_exact(&mut [0]).expect("it sends");
    }
}

/// Waits until the descriptor that was sent is closed, as sd_notify_barrier(3) does.
fn send_barrier(text: &str) {
    let (reader, writer) = pipe().expect("make a pipe");
    send_descriptor(text, writer.as_fd());
    drop(writer);
    assert_eq!(File::from(reader).read(&mut [0]).expect("read from the pipe"), 0);
}

fn send_descriptor(text: &str, descriptor: BorrowedFd<'_>) {
    let mut space = [MaybeUninit::uninit(); 64];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    let all = [descriptor];
    assert!(rights.push(SendAncillaryMessage::ScmRights(&all)));
    let text = [IoSlice::new(text.as_bytes())];
    sendmsg(connect().expect("connect to the socket"), &text, &mut rights, SendFlags::empty())
        .expect("send a notification");
}

/// With a file that has the text as its content, and that this process closes then.
fn send_with_file(text: &str) {
    let name = format!("stored by {}", std::process::id());
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC).expect("create a file"));
    file.write_all(text.as_bytes()).expect("write to it");
    send_descriptor(text, file.as_fd());
}

/// Often, so that a busy machine does not make it late.
fn feed_while(feeds: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        while feeds.load(Ordering::SeqCst) {
            let _ = try_to_send("WATCHDOG=1");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

/// As fast as the kernel takes them, until it is killed.
fn flood(text: &str) {
    let (socket, text) = (connect().expect("connect to the socket"), text.to_owned());
    std::thread::spawn(move || while socket.send(text.as_bytes()).is_ok() {});
}
