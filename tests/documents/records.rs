// SPDX-License-Identifier: MPL-2.0
//! Records and pid files of processes that live: whatever becomes of one of them, and of both, the process is found again
//! as long as anything proves it, and never a second one started.

use std::fs;
use std::path::PathBuf;

use proxyprocess::ProxyConfig;
use serde_json::{Value, json};

use crate::documents::damage::{disguises, flips, truncations};
use crate::documents::told::{failures, is_fit};
use crate::inside::{Host, helper, quick};
use crate::support::{Scene, Start, list};

/// A proxy that an earlier manager left running.
struct Left {
    scene: Scene,
    config: ProxyConfig,
    start: Start,
    record: String,
}

impl Left {
    fn behind() -> Left {
        let scene = Scene::of_library();
        let config = helper(&scene, &["run"]);
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", config.clone());
        host.run();
        let start = scene.reports.start("web");
        host.events.started("web");
        host.close();
        let record = fs::read_to_string(scene.data_dir().join("records/web.json")).unwrap();
        Left { scene, config, start, record }
    }

    fn record_path(&self) -> PathBuf {
        self.scene.data_dir().join("records/web.json")
    }

    fn pid_path(&self) -> PathBuf {
        self.scene.data_dir().join("pids/web.pid")
    }

    fn aside(&self) -> Vec<String> {
        let names = list(&self.scene.data_dir().join("records")).into_iter();
        names.filter(|name| name.contains("corrupt")).collect()
    }

    /// The next manager has the process, and files that are whole; returns what it told.
    #[track_caller]
    fn is_taken_over(&self, case: &str) -> Vec<String> {
        let mut host = Host::new(quick(&self.scene.data_dir()));
        host.restore().unwrap();
        let status = host.status("web");
        assert_eq!(status.pid, Some(self.start.pid), "{case}: {:#?}", host.events.seen());
        let told = failures(&mut host);
        told.iter().for_each(|text| is_fit(text, "web"));
        host.close();
        assert!(!self.start.process.is_gone(), "{case}");
        let record = fs::read_to_string(self.record_path()).unwrap();
        if told.is_empty() {
            // At the most the name of its digest is another one.
            assert_eq!(Left::said(&record), Left::said(&self.record), "{case}");
        } else {
            assert_eq!(record, self.record, "{case}");
        }
        assert_eq!(self.scene.pid_file("web"), Some(format!("{}\n", self.start.pid)), "{case}");
        told
    }

    fn said(record: &str) -> &str {
        record.rsplit_once(",\"").map_or(record, |(before, _)| before)
    }

    /// The same, and a run finds it to be what is declared.
    #[track_caller]
    fn is_wanted(&self, case: &str) {
        let mut host = Host::new(quick(&self.scene.data_dir()));
        let _ = host.restore();
        host.set("web", self.config.clone());
        host.run();
        assert_eq!(host.events.adopted("web"), self.start.pid, "{case}");
        host.follow("marker");
        assert_eq!(host.status("web").pid, Some(self.start.pid), "{case}");
        host.state.remove("marker");
        host.close();
    }

    /// No process was started beside it, nor is one left.
    fn end(self) {
        Host::new(quick(&self.scene.data_dir())).kill();
        assert!(self.start.process.is_gone());
        self.scene.finish();
    }
}

#[test]
fn every_damaged_record_is_set_aside_and_its_process_found() {
    let left = Left::behind();
    let whole = left.record.clone();
    let disguised = disguises(&whole).into_iter().map(|(_, content)| content);
    let mut found = 0;
    for (number, content) in truncations(whole.as_bytes()).chain(flips(whole.as_bytes())).chain(disguised).enumerate() {
        let case = format!("{number}: {:.600}", String::from_utf8_lossy(&content));
        fs::write(left.record_path(), &content).unwrap();
        if number % 40 == 0 {
            left.is_wanted(&case);
        }
        let told = left.is_taken_over(&case);
        match left.aside().as_slice() {
            [] => assert_eq!(told, [""; 0], "{case}"),
            [aside] => {
                let aside = left.scene.data_dir().join("records").join(aside);
                assert!(fs::read(&aside).unwrap() == content, "{case}");
                fs::remove_file(aside).unwrap();
                assert!(number % 40 == 0 || told[0].ends_with("set aside as web.json.corrupt-1"), "{case}: {told:?}");
                found += 1;
            }
            more => panic!("{case}: {more:?}"),
        }
    }
    // But a few flips in the name of the digest, all were found.
    assert!(found > 2 * whole.len() - 20, "{found} of {}", 2 * whole.len());
    left.end();
}

#[test]
fn a_damaged_pid_file_is_mended_from_the_record() {
    let left = Left::behind();
    for content in ["", "\0\0\0\0", "-1\n", "0\n", "99999999999999999999\n", "1\n", "nobody\n", &"9".repeat(2 << 20)] {
        fs::write(left.pid_path(), content).unwrap();
        assert_eq!(left.is_taken_over(&format!("{content:.30?}")), [""; 0]);
    }
    left.end();
}

/// The digest of a record, whose text was changed on purpose.
fn without_digest(record: &str, fields: &[(&str, Value)]) -> String {
    let mut record: Value = serde_json::from_str(record).unwrap();
    record.as_object_mut().unwrap().remove("check").unwrap();
    fields.iter().for_each(|(field, value)| record[*field] = value.clone());
    record.to_string()
}

/// Not even a number is left; but the process has its id in its environment and writes to its log.
#[test]
fn without_any_record_and_pid_file_a_process_is_known_by_what_it_has() {
    let left = Left::behind();
    let another_pid = format!("{}\n", std::process::id());
    for record in ["", "garbage", &left.record[..40]] {
        for pid in [None, Some(""), Some("garbage"), Some("4194303\n"), Some(&another_pid)] {
            let case = format!("{record:?} {pid:?}");
            fs::write(left.record_path(), record).unwrap();
            match pid {
                Some(pid) => fs::write(left.pid_path(), pid).unwrap(),
                None => fs::remove_file(left.pid_path()).unwrap(),
            }
            left.is_taken_over(&case);
            left.aside().iter().for_each(|name| {
                fs::remove_file(left.scene.data_dir().join("records").join(name)).unwrap();
            });
        }
    }
    left.end();
}

/// Neither the snapshot nor the record says what it was any more: the process does.
#[test]
fn a_generated_token_comes_back_from_the_process_when_record_and_snapshot_are_lost() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.token = None;
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    let token = host.state.get("web").unwrap().token;
    host.close();
    fs::write(scene.data_dir().join("records/web.json"), "").unwrap();
    fs::remove_file(scene.data_dir().join("snapshot.json")).unwrap();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.set("web", config);
    assert_eq!(next.state.get("web").unwrap().token, token);
    next.run();
    assert_eq!(next.events.adopted("web"), start.pid);
    next.follow("marker");
    assert_eq!(next.status("web").pid, Some(start.pid));
    next.kill();
    scene.finish();
}

/// The command is the same, but the variables that it was started with are not: an agent died before it replaced it.
#[test]
fn without_a_record_a_process_with_other_variables_is_replaced() {
    for (variable, token, snapshot) in [("CHANGED", None, true), ("CHANGED", None, false), ("", Some("new"), false)] {
        let left = Left::behind();
        let mut config = left.config.clone();
        if !variable.is_empty() {
            config.command = config.command.env(variable, "1");
        }
        config.token = token.map(str::to_owned).or(config.token);
        fs::write(left.record_path(), "").unwrap();
        let path = left.scene.data_dir().join("snapshot.json");
        if snapshot {
            let document = json!({"Version": 2, "Proxies": {"web": {"Mode": "daemon", "Config": config.to_json()}}});
            fs::write(path, document.to_string()).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let mut host = Host::new(quick(&left.scene.data_dir()));
        host.restore().unwrap();
        host.set("web", config);
        host.run();
        let replaced = left.scene.reports.start("web");
        assert!(left.start.process.is_gone(), "{variable:?} {token:?} {snapshot}");
        assert_eq!(host.events.started("web"), replaced.pid);
        host.kill();
        left.scene.finish();
    }
}

/// A process that reads the logs of a proxy, or has its id, is not its process.
#[test]
fn who_only_reads_the_logs_is_a_stranger() {
    let left = Left::behind();
    left.start.process.kill();
    let log = left.scene.data_dir().join("logs/web-stdout.log");
    let mut command = std::process::Command::new(*crate::support::HELPER);
    command.arg("graceful").envs(left.scene.env()).env("CONNECT_PROXY_ID", "web");
    command.stdin(fs::File::open(&log).unwrap()).stdout(fs::File::open(&log).unwrap());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut reader = command.spawn().unwrap();
    let stranger = left.scene.reports.start("web");
    fs::write(left.record_path(), "").unwrap();
    fs::remove_file(left.pid_path()).unwrap();
    let host = Host::new(quick(&left.scene.data_dir()));
    host.restore().unwrap();
    assert_eq!(host.status("web").pid, None);
    host.kill();
    assert!(!stranger.process.is_gone(), "it was signalled");
    reader.kill().unwrap();
    reader.wait().unwrap();
    left.scene.finish();
}

/// A snapshot from elsewhere names another process: the record is what is believed.
#[test]
fn a_record_says_more_than_a_snapshot() {
    let left = Left::behind();
    let told = left.scene.path("told");
    let host = Host::new(quick(&left.scene.data_dir()));
    host.restore().unwrap();
    host.manager.snapshot(&told).unwrap();
    host.close();
    let mut document: Value = serde_json::from_str(&fs::read_to_string(&told).unwrap()).unwrap();
    for (field, value) in [("pid", json!(std::process::id())), ("start_ticks", json!(7)), ("boot_id", json!("another"))]
    {
        document["Proxies"]["web"]["Config"]["process"][field] = value;
        fs::write(&told, document.to_string()).unwrap();
        let host = Host::new(quick(&left.scene.data_dir()));
        host.manager.restore(&told).unwrap();
        assert_eq!(host.status("web").pid, Some(left.start.pid), "{field}");
        host.close();
    }
    left.end();
}

/// By its name it is of one proxy, by its content of another.
#[test]
fn a_record_under_the_name_of_another_is_no_use_to_either() {
    let left = Left::behind();
    for id in ["other", "../web", "", "web.json", &"x".repeat(2000), "a\nb"] {
        fs::write(left.record_path(), without_digest(&left.record, &[("id", json!(id))])).unwrap();
        let told = left.is_taken_over(id);
        assert_eq!(told.len(), 1, "{id:?}: {told:?}");
        fs::remove_file(left.scene.data_dir().join("records/web.json.corrupt-1")).unwrap();
    }
    left.end();
}
