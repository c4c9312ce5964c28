// SPDX-License-Identifier: MPL-2.0
//! Numbers that no process can have, and such as become another number where they do not fit.

use serde_json::{Value, json};

use crate::strangers::left::{Left, SOURCES, Source, starts_anew};
use crate::strangers::stranger::Stranger;
use crate::support::{Launch, Scene, in_pid_namespace};

/// Above what the kernel gives (PID_MAX_LIMIT), and free in the namespace.
const TOO_HIGH: u32 = 1 << 22 | 1;

#[test]
fn number_that_is_no_pid_names_no_process() {
    in_pid_namespace("strangers::numbers::number_that_is_no_pid_names_no_process", || {
        let scene = Scene::new();
        for source in SOURCES {
            let mut stranger = None;
            // Cut to 32 bits, this would be the number of the stranger.
            let wraps = |pid: u32| json!(u64::from(pid) + (1 << 32));
            let cases: [&dyn Fn(u32) -> Value; 5] =
                [&|_| json!(-1), &|_| json!(0), &|_| json!(TOO_HIGH), &|_| json!("12 34"), &wraps];
            for number in cases {
                let left = Left::behind(&scene);
                let with = || Stranger::with(left.pid, &scene, &mut Stranger::command(&scene, &["stranger"]));
                let taken = stranger.get_or_insert_with(with).start.pid;
                let claim = number(taken);
                left.say_in(source, &json!({"pid": claim}));
                starts_anew(&scene, Launch::new(&scene), &["run"], taken, reasons(source, &claim));
            }
            stranger.unwrap().end();
        }
        scene.finish();
    });
}

fn reasons(source: Source, claim: &Value) -> &'static [&'static str] {
    match source {
        // What Consul writes of a proxy that does not run.
        Source::Version1 if *claim == 0 => &[],
        _ if *claim == TOO_HIGH => &["no process has pid 4194305"],
        _ => &["expected a pid"],
    }
}
