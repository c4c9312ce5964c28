// SPDX-License-Identifier: MPL-2.0
//! What ends the program, and what it does with a request then.

use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Cells, see};
use crate::result::Result;
use crate::scene::{ID, Scene, process, with};
use crate::traffic::Traffic;

/// How long a program has to obey a signal.
const GRACE: Duration = Duration::from_millis(5000);
/// How long a request is open while the program is stopped.
const OPEN: Duration = Duration::from_millis(700);
/// The same of a connection that carries nothing: nothing but its end says that it was cut.
const OPEN_IDLE: Duration = Duration::from_millis(2500);
/// How long what the program has left may take to end, before the request is let go.
const LEFT: Duration = Duration::from_millis(1500);
/// How long a program may take to end at a signal that is not meant to stop it.
const END: Duration = Duration::from_millis(1500);

const STOPPING: [&str; 3] = ["SIGINT", "SIGTERM", "SIGQUIT"];
const USUAL: [&str; 3] = ["SIGHUP", "SIGUSR1", "SIGUSR2"];

/// Each signal as that of a stop, and the stop that is declared.
pub(crate) fn stops(scene: &mut Scene, seen: &mut Cells) -> Result<()> {
    let declaration = scene.init(false)?;
    let by =
        |signal: &str| with(&declaration, &json!({ "stop": null, "stop_signal": signal, "grace_period_ms": 5000 }));
    scene.declare(&[(ID, &declaration)])?;
    scene.start_agent()?;
    for signal in STOPPING {
        scene.declare(&[(ID, &by(signal))])?;
        scene.run(&["start", ID, "--no-wait"])?;
        let what = stop(scene, signal_grace())?;
        see(seen, &format!("stop_{signal}"), &what);
    }
    scene.declare(&[(ID, &declaration)])?;
    scene.run(&["start", ID, "--no-wait"])?;
    let what = stop(scene, Duration::from_secs(60))?;
    see(seen, "drain", &what);

    scene.run(&["start", ID, "--no-wait"])?;
    scene.serving()?;
    scene.command(&["stop", ID])?;
    see(seen, "idle_exit", &last_exit(scene)?);
    Ok(())
}

fn signal_grace() -> Duration {
    GRACE + Duration::from_secs(3)
}

fn last_exit(scene: &Scene) -> Result<String> {
    Ok(scene.status(ID)?.last_exit().unwrap_or_else(|| "unknown".to_owned()))
}

/// A stop with a request open, which is let go a while later.
fn stop(scene: &Scene, patience: Duration) -> Result<String> {
    let status = scene.serving()?;
    let leader = status.pid().ok_or("no pid")?;
    let mut open = scene.client.open(scene.listen, &scene.upstream)?;
    let open_for = if scene.traffic() == Traffic::Accept { OPEN_IDLE } else { OPEN };
    scene.command(&["stop", ID, "--no-wait"])?;
    let is_stopped = || scene.status(ID).ok()?.is("paused").then_some(());
    if scene.until("it ends", open_for, || process(leader).is_none().then_some(())).is_ok() {
        // What it has left is ended a moment later.
        let _ = scene.until("it is stopped", LEFT, is_stopped);
    }
    let accepts = scene.client.ask(scene.listen, &scene.upstream);
    let is_finished = open.finish(&scene.upstream, scene.is_http());
    drop(open);
    scene.until("it is stopped", patience, is_stopped)?;
    let exit = last_exit(scene)?;
    let how = match (is_finished, accepts) {
        _ if exit == "signal SIGKILL" && accepts => return Ok("ignored".to_owned()),
        _ if exit == "signal SIGKILL" && is_finished => "finishes and does not end",
        _ if exit == "signal SIGKILL" => "cuts and does not end",
        (true, false) => "drains",
        (true, true) => "drains and accepts",
        (false, _) => "cuts",
    };
    Ok(if exit == "signal SIGKILL" { how.to_owned() } else { format!("{how}, {exit}") })
}

/// Signals to the leader that do something else with many programs.
pub(crate) fn signals(scene: &mut Scene, seen: &mut Cells) -> Result<()> {
    let declaration = scene.init(false)?;
    scene.declare(&[(ID, &once(&declaration))])?;
    scene.start_agent()?;
    for signal in USUAL {
        scene.run(&["start", ID, "--no-wait"])?;
        let before = scene.serving()?;
        scene.command(&["signal", ID, signal])?;
        let leader = before.pid().ok_or("no pid")?;
        let ended = scene.until("it ends", END, || process(leader).is_none().then_some(()));
        let serves = || {
            let ask = || (process(leader).is_none() || scene.client.ask(scene.listen, &scene.upstream)).then_some(());
            scene.until("it serves, or ends", Duration::from_secs(4), ask)
        };
        let is_served = ended.is_err() && serves().is_ok();
        let what = match (process(leader).is_some(), is_served) {
            (true, true) => "lives".to_owned(),
            (true, false) => "lives and does not serve".to_owned(),
            (false, _) => {
                let exit = scene.until("its exit", GRACE, || {
                    let status = scene.status(ID).ok()?;
                    (!status.is("running")).then(|| status.last_exit())?
                });
                format!("ends, {}", exit.unwrap_or_else(|_| "unknown".to_owned()))
            }
        };
        see(seen, &format!("on_{signal}"), &what);
        // What it has started at this signal goes with it.
        scene.command(&["stop", ID])?;
    }
    Ok(())
}

/// Without another start.
pub(crate) fn once(declaration: &Value) -> Value {
    with(declaration, &json!({ "restart": { "policy": "never" } }))
}
