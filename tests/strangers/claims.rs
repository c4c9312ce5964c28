// SPDX-License-Identifier: MPL-2.0
//! The pid of a proxy that died with its agent is another process's when the next agent comes.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::strangers::left::{Left, SOURCES, Source, starts_anew, stops_nothing};
use crate::strangers::stranger::{NOBODY, Stranger, Thread, a_tick_passes, reading, start_as, start_ticks};
use crate::support::{Launch, Process, Scene, have_inodes, in_pid_namespace, next_pid_is};

/// Who gets the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    SameUser,
    AnotherUser,
    /// Of the same user, and it reads the proxy's log.
    Reader,
    Zombie,
    Thread,
}

const ALL: [Who; 5] = [Who::SameUser, Who::AnotherUser, Who::Reader, Who::Zombie, Who::Thread];

/// A process that has the recycled pid.
enum Has {
    Stranger(Stranger),
    Zombie(Child),
    Thread(Thread),
}

impl Has {
    #[track_caller]
    fn take(who: Who, number: u32, scene: &Scene) -> Has {
        a_tick_passes();
        match who {
            Who::SameUser => Has::Stranger(Stranger::with(number, scene, &mut Stranger::command(scene, &["stranger"]))),
            Who::AnotherUser => Has::Stranger(Stranger::with(number, scene, &mut Stranger::of_nobody(scene))),
            Who::Reader => {
                let mut command = Stranger::command(scene, &["stranger"]);
                command.stdin(reading(&scene.data_dir().join("logs/web-stdout.log")));
                Has::Stranger(Stranger::with(number, scene, &mut command))
            }
            Who::Zombie => {
                let zombie = start_as(number, Command::new("/bin/true").stdin(Stdio::null()));
                Process::open(number).expect("an unreaped child").wait();
                Has::Zombie(zombie)
            }
            Who::Thread => Has::Thread(Thread::with(number)),
        }
    }

    #[track_caller]
    fn end(self) {
        match self {
            Has::Stranger(stranger) => stranger.end(),
            Has::Zombie(mut zombie) => assert!(zombie.wait().expect("still unreaped").success()),
            Has::Thread(thread) => thread.end(),
        }
    }
}

/// Whether the user namespace has this user; that of an ordinary user has only one.
fn is_a_user(uid: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("read the map of users");
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().expect("a number"));
        let (first, count) = (numbers.next(), numbers.nth(1));
        first.zip(count).is_some_and(|(first, count)| (first..first + count).contains(&uid.into()))
    })
}

/// Why the claim is refused.
fn reason(who: Who, source: Source) -> &'static str {
    match (who, source) {
        (Who::Thread, _) => "is a thread",
        (_, Source::Record | Source::Snapshot) => "belongs to another process",
        (Who::Zombie, _) => "is a zombie",
        (_, _) => "does not carry the id and token",
    }
}

#[test]
fn recycled_pid_is_refused_and_its_process_left_alone() {
    in_pid_namespace("strangers::claims::recycled_pid_is_refused_and_its_process_left_alone", || {
        let scene = Scene::new();
        let others = is_a_user(NOBODY);
        for who in ALL.into_iter().filter(|who| *who != Who::AnotherUser || others) {
            // Only where a number is all that is known does it matter who reads the logs.
            let by_number = |source: &Source| matches!(source, Source::Version1 | Source::PidFile);
            for source in SOURCES.into_iter().filter(|source| who != Who::Reader || by_number(source)) {
                let left = Left::behind(&scene);
                left.say_in(source, &json!({}));
                let has = Has::take(who, left.pid, &scene);
                let reasons = [&format!("pid {}", left.pid), reason(who, source)];
                starts_anew(&scene, Launch::new(&scene), &["run"], left.pid, &reasons);
                has.end();
            }
            let left = Left::behind(&scene);
            let has = Has::take(who, left.pid, &scene);
            stops_nothing(&scene, &[reason(who, Source::Record)]);
            has.end();
        }
        scene.finish();
    });
}

/// The record has the start time of the process that has the pid, but for what the case says.
#[test]
fn process_that_cannot_be_the_proxy_is_refused_whatever_the_record_says() {
    in_pid_namespace("strangers::claims::process_that_cannot_be_the_proxy_is_refused_whatever_the_record_says", || {
        let scene = Scene::new();
        let elsewhere = json!({"boot_id": "00000000-0000-0000-0000-000000000000"});
        let right = |_| json!({});
        let later = |ticks: u64| json!({"start_ticks": ticks + 1_000_000});
        let earlier = |_| json!({"start_ticks": 1});
        type Change<'a> = &'a dyn Fn(u64) -> Value;
        let cases: [(Who, Change<'_>, &str); 5] = [
            (Who::SameUser, &later, "belongs to another process"),
            (Who::SameUser, &earlier, "belongs to another process"),
            (Who::SameUser, &|_| elsewhere.clone(), "of another boot"),
            (Who::Zombie, &right, "is a zombie"),
            (Who::Thread, &right, "is a thread"),
        ];
        for (who, change, why) in cases {
            let mut left = Left::behind(&scene);
            left.forget_inode();
            refuses(&scene, &left, who, Source::Record, change, why);
        }
        // The inode is that of the proxy, as if it had begun in the same tick.
        if have_inodes() {
            for source in [Source::Record, Source::Snapshot] {
                let left = Left::behind(&scene);
                refuses(&scene, &left, Who::SameUser, source, &right, "started in the same clock tick");
            }
        }
        scene.finish();
    });
}

/// After a reboot pid, start time and inode can all be the same: inodes are counted anew.
#[test]
fn record_of_another_boot_is_void_for_a_process_that_does_not_prove_itself() {
    in_pid_namespace(
        "strangers::claims::record_of_another_boot_is_void_for_a_process_that_does_not_prove_itself",
        || {
            let scene = Scene::new();
            for boot_id in ["00000000-0000-0000-0000-000000000000", ""] {
                for source in [Source::Record, Source::Snapshot] {
                    let left = Left::behind(&scene);
                    let has = Has::take(Who::SameUser, left.pid, &scene);
                    let process = Process::open(left.pid).expect("it lives");
                    let inode = rustix::fs::fstat(process.fd()).expect("look at a pidfd").st_ino;
                    let ticks = start_ticks(left.pid);
                    left.say_in(source, &json!({"start_ticks": ticks, "pidfd_inode": inode, "boot_id": boot_id}));
                    let why = "is not proven to be the recorded process";
                    starts_anew(
                        &scene,
                        Launch::new(&scene),
                        &["run"],
                        left.pid,
                        &[why, "does not carry the id and token"],
                    );
                    has.end();
                }
            }
            scene.finish();
        },
    );
}

#[track_caller]
fn refuses(scene: &Scene, left: &Left, who: Who, source: Source, change: &dyn Fn(u64) -> Value, why: &str) {
    let has = Has::take(who, left.pid, scene);
    let ticks = start_ticks(left.pid);
    let mut claim = json!({"start_ticks": ticks});
    claim.as_object_mut().unwrap().append(change(ticks).as_object_mut().unwrap());
    left.say_in(source, &claim);
    starts_anew(scene, Launch::new(scene), &["run"], left.pid, &[why]);
    has.end();
}

/// In a container the same small numbers are given again and again: the next agent may have that of the proxy.
#[test]
fn an_agent_that_has_the_number_itself_is_not_its_own_proxy() {
    in_pid_namespace("strangers::claims::an_agent_that_has_the_number_itself_is_not_its_own_proxy", || {
        let scene = Scene::new();
        for source in SOURCES {
            let left = Left::behind(&scene);
            left.say_in(source, &json!({}));
            next_pid_is(left.pid);
            let reason = format!("pid {} is this process", left.pid);
            let agent = starts_anew(&scene, Launch::new(&scene), &["run"], left.pid, &[&reason]);
            assert_eq!(agent, left.pid);
        }
        scene.finish();
    });
}

#[test]
fn init_is_never_a_proxy() {
    in_pid_namespace("strangers::claims::init_is_never_a_proxy", || {
        let scene = Scene::new();
        for source in SOURCES {
            let mut left = Left::behind(&scene);
            left.forget_inode();
            left.say_in(source, &json!({"pid": 1, "start_ticks": start_ticks(1)}));
            starts_anew(&scene, Launch::new(&scene), &["run"], 1, &["pid 1 is init"]);
        }
        scene.finish();
    });
}

/// Whom no pid namespace has, and no ordinary user sees another end of: they have been there since boot.
#[test]
fn a_thread_of_the_kernel_is_never_a_proxy() {
    const KTHREADD: u32 = 2;
    if !std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd") {
        println!("skipped: this pid namespace has no threads of the kernel");
        return;
    }
    let scene = Scene::new();
    for source in SOURCES {
        let mut left = Left::behind(&scene);
        left.forget_inode();
        left.say_in(source, &json!({"pid": KTHREADD, "start_ticks": start_ticks(KTHREADD)}));
        let why = match source {
            Source::Record | Source::Snapshot => "pid 2 leads no process group",
            Source::Version1 | Source::PidFile => "pid 2 ",
        };
        starts_anew(&scene, Launch::new(&scene), &["run"], KTHREADD, &[why]);
    }
    scene.finish();
}
