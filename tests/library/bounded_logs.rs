// SPDX-License-Identifier: MPL-2.0
//! Logs that are kept within a limit while processes write to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use proxyprocess::{
    Command, EndedBy, ManagerOptions, ProxyConfig, ProxyState, ProxyStatus, Replace, RestartSettings, RestartWhen,
};

use crate::inside::{Host, helper, quick};
use crate::library::overlap::{ends, gone, never_ready, serves};
use crate::support::{Agent, Config, Launch, OVERLAPS, Proxy, Scene, agent_with_fail_points, until};

const LIMIT: u64 = 65_536;

/// Each of four processes writes so many lines, a line with one call.
const LINES: u32 = 8000;
/// In the middle they wait for the first cut, so that there is another one, however fast they are.
const WRITERS: &str = "for writer in 1 2 3 4; do (line=0; while [ $line -lt 8000 ]; do line=$((line+1)); \
    echo \"$writer $line $padding\"; if [ $line = 4000 ]; then until [ -e \"$first\" ]; do sleep 0.01; done; fi; \
    done) & done; wait";

/// Runs once.
fn script(text: &str) -> ProxyConfig {
    let mut config = ProxyConfig::new(Command::new("/bin/sh").args(["-c", text]));
    config.token = Some("a declared token".to_owned());
    config.restart = RestartSettings::default().with_policy(RestartWhen::Never);
    config
}

fn bounded(mut config: ProxyConfig, keep: u32) -> ProxyConfig {
    config.command = config.command.output_max_bytes(LIMIT).output_keep(keep);
    config
}

fn old(log: &Path, number: u32) -> PathBuf {
    log.with_extension(format!("log.{number}"))
}

/// How much of a log takes space.
fn used(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |found| found.len().min(found.blocks() * 512))
}

/// The lines of a log and its older files, the oldest first. One may be blank, and what takes no space reads as zeros.
#[track_caller]
fn lines_of(log: &Path) -> Vec<String> {
    let older = (1..=99).rev().map(|number| old(log, number)).filter(|path| path.exists());
    let mut lines = Vec::new();
    for file in older.chain([log.to_owned()]) {
        let content = fs::read_to_string(&file).unwrap_or_default();
        lines
            .extend(content.trim_start_matches('\0').lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    }
    lines
}

#[test]
fn no_line_of_four_writers_is_lost_or_torn_while_their_log_is_cut() {
    let scene = Scene::of_library();
    // In memory no block can be removed from a file, and the space of its front is given back.
    let in_memory = tempfile::TempDir::with_prefix_in("proxyprocess-", "/dev/shm").unwrap();
    let places: [(ManagerOptions, PathBuf); 2] = {
        let on_disk = quick(&scene.data_dir());
        let mut in_logs = quick(&scene.data_dir());
        (in_logs.data_dir, in_logs.log_dir) = (None, Some(in_memory.path().join("logs")));
        [(on_disk, scene.data_dir().join("logs")), (in_logs, in_memory.path().join("logs"))]
    };
    for (options, logs) in places {
        let mut host = Host::new(options);
        let padding = "x".repeat(30);
        let mut config = bounded(script(WRITERS), 99);
        config.command = config.command.env("padding", &padding).env("first", old(&logs.join("web-stdout.log"), 1));
        host.set("web", config);
        host.run();
        let rests = |status: &ProxyStatus| status.state == ProxyState::Completed;
        until("the end", || host.manager.status().iter().any(rests));
        let log = logs.join("web-stdout.log");
        until("the last cut", || used(&log) <= LIMIT);
        host.kill();
        assert!(old(&log, 2).exists(), "it was cut twice");
        let mut last: BTreeMap<String, u32> = BTreeMap::new();
        for line in lines_of(&log) {
            let parts: Vec<&str> = line.split(' ').collect();
            let [writer, number, end] = parts[..] else { panic!("torn: {line:?}") };
            let before = last.entry(writer.to_owned()).or_default();
            assert_eq!((number.parse(), end), (Ok(*before + 1), &*padding), "after {before} of {writer}");
            *before += 1;
        }
        assert_eq!(last.values().copied().collect::<Vec<_>>(), [LINES; 4]);
    }
    scene.finish();
}

#[test]
fn log_without_newlines_is_cut_again_after_a_rest() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", bounded(helper(&scene, &["run"]), 0));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    let log = scene.data_dir().join("logs/web-stdout.log");
    for round in 1..=2 {
        // What it is written to by does not matter, and nor does that there are no lines.
        let filled = "no newline".repeat(20_000);
        fs::File::options().append(true).open(&log).unwrap().write_all(filled.as_bytes()).unwrap();
        until("a cut", || used(&log) <= LIMIT);
        assert!(used(&log) > LIMIT / 2, "{round}");
    }
    host.kill();
    assert!(start.process.is_gone());
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn limit_is_declared_without_a_new_process_and_kept_by_the_next_agent() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    let start = scene.reports.start("web");
    let log = scene.data_dir().join("logs/web-stderr.log");
    let lines = "a line of some length\n".repeat(10_000);
    let write = || fs::File::options().append(true).open(&log).unwrap().write_all(lines.as_bytes()).unwrap();
    host.follow("marker");
    write();
    host.set("web", bounded(config.clone(), 1));
    until("a cut", || used(&log) <= LIMIT);
    host.close();

    write();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.restore().unwrap();
    until("a cut by the next agent", || used(&log) <= LIMIT);
    assert!(old(&log, 1).exists() && !old(&log, 2).exists());
    host.set("web", bounded(config, 0));
    host.run();
    host.follow("marker");
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.kill();
    scene.finish();
}

/// The current process goes on, under the settings that are declared last.
#[test]
fn limit_that_is_declared_with_the_end_of_a_handover_is_that_of_the_process_that_stays() {
    let scene = Scene::of_library();
    let writes = || {
        let mut config = helper(&scene, &["stubborn"]).with_replace(Replace::Overlap);
        config.command = config.command.env(OVERLAPS, "1");
        config.stop.grace_period = Duration::ZERO;
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", writes());
    host.run();
    let current = scene.reports.start("web");
    // Before that it would not be overlapped.
    assert_eq!(host.events.started("web"), current.pid);
    host.set("web", never_ready(&scene, Duration::ZERO));
    let next = scene.reports.start("web");
    host.set("web", bounded(writes(), 0));
    gone(&mut host, &next);
    serves(&host, &current, 1);
    let log = host.status("web").stdout_log.unwrap();
    let lines = "a line of the process\n".repeat(9000);
    fs::File::options().append(true).open(&log).unwrap().write_all(lines.as_bytes()).unwrap();
    until("the log to be cut", || used(&log) <= LIMIT);
    ends(scene, host);
}

#[test]
fn last_lines_of_a_process_are_its_own_after_its_log_was_cut() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let log = scene.data_dir().join("logs/web-stderr.log");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    for dir in [scene.data_dir(), scene.data_dir().join("logs")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(&log, "before\n".repeat(9000)).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    // It ends when its log was cut: then the end of that is before where the process began to write.
    let text = "printf '%03000d\\n' 0 >&2; while [ $(stat -c %b \"$log\") -gt 120 ]; do sleep 0.01; done; \
        echo line >&2; echo last >&2; exit 3";
    let mut config = bounded(script(text), 0);
    config.command = config.command.env("log", &log);
    host.set("web", config);
    host.run();
    until("the last lines", || host.manager.status().iter().any(|status| !status.last_stderr.is_empty()));
    let status = host.status("web");
    assert_eq!((status.state, status.last_exit_by), (ProxyState::Failed, Some(EndedBy::Itself)));
    let last = status.last_stderr;
    assert!(last.len() == 3 && last[0].starts_with("000") && last[1..] == ["line", "last"], "{last:?}");
    host.kill();
    scene.finish();
}

#[test]
fn cut_that_the_agent_dies_in_is_finished_by_the_next_one() {
    for point in ["log:kept", "log:blanked", "log:cut"] {
        let scene = Scene::new();
        let log = scene.data_dir().join("logs/web-stdout.log");
        let writers = format!("{WRITERS}; exec sleep 1000");
        let first = format!("first={}", old(&log, 1).display());
        let proxy =
            Proxy::command(&["/bin/sh", "-c", &writers]).env(&["padding=x", &first]).set("token", "a declared token");
        let output = json!({"max_bytes": LIMIT, "keep": 99});
        let config = Config::new(&scene).proxy("web", proxy.set("output", output));
        let fail = format!("{point}#2=die");
        Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", &fail).spawn(&config).end();
        let agent = Agent::start(&scene, &config);
        let ends = format!(" {LINES} x");
        until("the last lines", || lines_of(&log).iter().filter(|line| line.ends_with(&ends)).count() >= 4);
        until("the last cut", || used(&log) <= LIMIT);
        // What was taken away when it died may have been kept twice.
        let lines: BTreeSet<String> = lines_of(&log).into_iter().collect();
        let wanted = (1..=4).flat_map(|writer| (1..=LINES).map(move |line| format!("{writer} {line} x")));
        assert_eq!(lines, wanted.collect(), "{point}");
        agent.quit();
        scene.finish();
    }
}

#[test]
fn line_that_is_written_after_a_truncation_during_the_copy_stays() {
    let scene = Scene::new();
    let log = scene.data_dir().join("logs/web-stdout.log");
    let proxy = Proxy::command(&["/bin/sh", "-c", "yes 'an old line' | head -n 8000; exec sleep 1000"]);
    let config = Config::new(&scene).proxy("web", proxy.set("output", json!({"max_bytes": LIMIT, "keep": 9})));
    let release = scene.path("release");
    let agent = Launch::of(agent_with_fail_points(), &scene)
        .env("PROXYPROCESS_FAIL", "log:kept#1=hold")
        .env("PROXYPROCESS_FAIL_RELEASE", release.to_str().expect("a path in UTF-8"))
        .start(&config);
    // It is there when it was written as a whole.
    until("the copy", || old(&log, 1).exists());
    until("all old lines", || fs::metadata(&log).is_ok_and(|found| found.len() == 8000 * 12));
    let mut file = fs::File::options().append(true).open(&log).unwrap();
    file.set_len(0).unwrap();
    file.write_all(b"the first new line\n").unwrap();
    fs::write(&release, "").unwrap();
    file.write_all("a new line\n".repeat(9000).as_bytes()).unwrap();
    until("a cut", || used(&log) <= LIMIT);
    let lines = lines_of(&log);
    let new: Vec<_> = lines.iter().skip_while(|line| *line == "an old line").collect();
    assert!(new.len() == 9001 && new[0] == "the first new line" && new[1..].iter().all(|line| *line == "a new line"));
    agent.quit();
    scene.finish();
}

/// Where a file system removes no part of a file, and gives no space back.
#[test]
fn log_is_truncated_where_nothing_else_can_be_done_and_that_is_said() {
    let scene = Scene::new();
    let log = scene.data_dir().join("logs/web-stdout.log");
    let proxy = Proxy::command(&["/bin/sh", "-c", "yes 'a whole line' | head -n 20000; exec sleep 1000"]);
    let config = Config::new(&scene).proxy("web", proxy.set("output", json!({"max_bytes": LIMIT})));
    let fail = "log:collapse#1-99=fail:95,log:punch#1-99=fail:95";
    let agent = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", fail).start(&config);
    agent.wait_for_log("lines that are written in this moment are lost");
    until("it is cut", || used(&log) <= LIMIT);
    let kept = fs::read_to_string(old(&log, 1)).unwrap();
    // The last one may have been written in two parts.
    let (whole, rest) = kept.rsplit_once('\n').unwrap();
    assert!(whole.lines().all(|line| line == "a whole line") && "a whole line".starts_with(rest), "{whole:.99} {rest}");
    agent.quit();
    scene.finish();
}
