// SPDX-License-Identifier: MPL-2.0
//! Whole agents, killed, whose files are damaged before the next one starts.

use std::fs;
use std::path::PathBuf;

use crate::documents::damage::{disguises, flips, sample, truncations};
use crate::support::{Agent, Config, Proxy, Scene, Start, list};

const IDS: [&str; 3] = ["one", "two", "thr/ee"];

struct Play {
    scene: Scene,
    config: Config,
    starts: Vec<Start>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Play {
    /// An agent starts them and is killed.
    fn begin() -> Play {
        let scene = Scene::new();
        let proxy = || Proxy::helper(&["run"]).set("token", "declared");
        let config = IDS.iter().fold(Config::new(&scene), |config, id| config.proxy(id, proxy()));
        let agent = Agent::start(&scene, &config);
        let starts: Vec<Start> = IDS.iter().map(|id| scene.reports.start(id)).collect();
        starts.iter().for_each(|start| drop(agent.status_running(&scene, &start.id, start.pid)));
        agent.kill();
        let names =
            ["snapshot.json", "records/one.json", "pids/two.pid", "records/%thr%2Fee.json", "pids/%thr%2Fee.pid"];
        let file = |name: &str| {
            let path = scene.data_dir().join(name);
            let content = fs::read(&path).unwrap_or_else(|error| panic!("read {name}: {error}"));
            (path, content)
        };
        let files = names.map(file).into();
        Play { scene, config, starts, files }
    }

    /// The next agent has the same processes and no others, and has said what was wrong; then it is killed as well.
    #[track_caller]
    fn next(&self, case: &str, damaged: &[&str]) {
        let agent = Agent::start(&self.scene, &self.config);
        for start in &self.starts {
            let status = agent.status_running(&self.scene, &start.id, start.pid);
            assert!(status[&start.id].adopted, "{case}: {status:#?}");
        }
        damaged.iter().for_each(|name| agent.wait_for_log(name));
        assert!(!agent.log().contains("panicked"), "{case}: {}", agent.log());
        assert!(self.starts.iter().all(|start| !start.process.is_gone()), "{case}");
        agent.kill();
    }

    fn remove_aside(&self) {
        for dir in ["", "records"].map(|name| self.scene.data_dir().join(name)) {
            for name in list(&dir).into_iter().filter(|name| name.contains("corrupt")) {
                fs::remove_file(dir.join(name)).unwrap();
            }
        }
    }

    fn end(self) {
        Agent::start(&self.scene, &self.config).quit();
        assert!(self.starts.iter().all(|start| start.process.is_gone()));
        self.scene.finish();
    }
}

/// Each at the same time: the snapshot, the record of one proxy, the pid file of another, and both of a third.
#[test]
fn an_agent_whose_files_are_all_damaged_has_every_process_again() {
    let play = Play::begin();
    let all = |damage: fn(&[u8]) -> Vec<Vec<u8>>| -> Vec<Vec<Vec<u8>>> {
        play.files.iter().map(|(_, whole)| damage(whole)).collect()
    };
    let kinds = [
        ("cut", all(|whole| sample(truncations(whole), 8)), true),
        ("flipped", all(|whole| sample(flips(whole), 8)), false),
        (
            "disguised",
            all(|whole| disguises(&String::from_utf8_lossy(whole)).into_iter().map(|(_, it)| it).collect()),
            true,
        ),
    ];
    for (kind, damage, certain) in &kinds {
        for round in 0..8 {
            for ((path, whole), contents) in play.files.iter().zip(damage) {
                // With no record to say otherwise, a bit that flipped in a declaration is another declaration.
                let left_whole = !certain && path.ends_with("snapshot.json");
                fs::write(path, if left_whole { whole } else { &contents[round % contents.len()] }).unwrap();
            }
            let case = format!("{kind} {round}");
            // A bit can flip where it changes nothing.
            let told = ["snapshot.json: ", "set aside as snapshot.json.corrupt-1", "records/one.json: ", "web"];
            play.next(&case, if *certain { &told[..3] } else { &[] });
            play.remove_aside();
        }
    }
    play.end();
}

/// A bit that flipped in a declaration cannot be told from another declaration: the process is replaced or goes on, and in
/// the end it is the declared one, once.
#[test]
fn a_flipped_bit_in_a_snapshot_doubles_nothing() {
    let play = Play::begin();
    let (path, whole) = &play.files[0];
    for content in sample(flips(whole), 20) {
        fs::write(path, &content).unwrap();
        play.next(&String::from_utf8_lossy(&content), &[]);
        play.remove_aside();
    }
    play.end();
}
