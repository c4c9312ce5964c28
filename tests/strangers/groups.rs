// SPDX-License-Identifier: MPL-2.0
//! What a proxy left of its process group is ended, and no process of another group that has its id.

use std::process::Command;

use crate::strangers::left::{Left, run_and_kill_agent, starts_anew};
use crate::strangers::stranger::{Stranger, check_runs, end, reading};
use crate::support::{Launch, Scene, in_pid_namespace};

/// A group of strangers under the number of the proxy, with its leader and one other.
fn group_of_strangers(scene: &Scene, number: u32, change: impl Fn(&mut Command)) -> (Stranger, crate::support::Start) {
    let mut command = Stranger::command(scene, &["stranger", "lead"]);
    change(&mut command);
    let leader = Stranger::with(number, scene, &mut command);
    (leader, scene.reports.grandchild(crate::strangers::stranger::STRANGER))
}

#[test]
fn a_group_of_strangers_that_has_the_number_is_left_alone() {
    in_pid_namespace("strangers::groups::a_group_of_strangers_that_has_the_number_is_left_alone", || {
        let scene = Scene::new();
        for (leader_lives, reads_log) in [(true, false), (false, false), (true, true), (false, true)] {
            let left = Left::behind(&scene);
            let log = scene.data_dir().join("logs/web-stderr.log");
            let (leader, member) = group_of_strangers(&scene, left.pid, |command| {
                if reads_log {
                    command.stdin(reading(&log));
                }
            });
            let why = if leader_lives { "belongs to another process" } else { "no process has pid" };
            let leader = if leader_lives {
                Some(leader)
            } else {
                leader.end();
                None
            };
            starts_anew(&scene, Launch::new(&scene), &["run"], left.pid, &[why]);
            check_runs(&member);
            leader.into_iter().for_each(Stranger::end);
            end(&member.process);
        }
        scene.finish();
    });
}

/// Only a process of the same session can join; it has neither the environment of the proxy nor its logs.
#[test]
fn of_a_mixed_group_only_what_is_ours_is_ended() {
    in_pid_namespace("strangers::groups::of_a_mixed_group_only_what_is_ours_is_ended", || {
        let scene = Scene::new();
        let leader = run_and_kill_agent(&scene, &["mixed"]);
        let ours = scene.reports.grandchild("web");
        let joined = Stranger { start: scene.reports.start(crate::strangers::stranger::STRANGER) };
        end(&leader.process);
        starts_anew(&scene, Launch::new(&scene), &["run"], leader.pid, &["no process has pid"]);
        assert!(ours.process.is_gone());
        joined.end();
        scene.finish();
    });
}
