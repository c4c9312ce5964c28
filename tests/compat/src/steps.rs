// SPDX-License-Identifier: MPL-2.0
//! The steps, one after the other. What a step saw is a cell; a step that cannot be played is one as well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::program::{Cells, see};
use crate::result::Result;
use crate::scene::{ID, PATIENCE, Scene, kill, process};
use crate::{starts, stops};

/// A step: its name, and what plays it.
type Step = (&'static str, fn(&mut Scene, &mut Cells) -> Result<()>);

const STEPS: [Step; 5] = [
    ("life", life),
    ("stops", stops::stops),
    ("signals", stops::signals),
    ("starts", starts::starts),
    ("crash", starts::crash),
];

/// Plays all steps.
pub(crate) fn play(scene: &mut Scene) -> Cells {
    let mut seen = Cells::new();
    for (name, step) in STEPS {
        let begun = std::time::Instant::now();
        if let Err(error) = step(scene, &mut seen) {
            eprintln!("{name}: {error}: {}", scene.why());
            seen.insert("failed".to_owned(), name.to_owned());
        }
        // What does not start as it is recommended has no other cells.
        let is_over = seen.contains_key("failed") && name == "life";
        if std::env::var_os("COMPAT_TIMES").is_some() {
            eprintln!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
        }
        if let Err(error) = scene.quit() {
            eprintln!("{name}: {error}");
        }
        for (pid, name) in scene.processes() {
            seen.insert("left_behind".to_owned(), name);
            kill(pid, Signal::KILL);
        }
        if is_over {
            break;
        }
    }
    seen
}

/// What is recommended: started, asked, reloaded, crashed, adopted, crashed again, replaced, removed.
fn life(scene: &mut Scene, seen: &mut Cells) -> Result<()> {
    let declaration = scene.init(true)?;
    scene.declare(&[(ID, &declaration)])?;
    let checked = String::from_utf8(scene.run(&["check"])?.stderr)?;
    if checked.contains("--silence") {
        return Err(format!("what is recommended contradicts what is known: {checked}").into());
    }
    scene.start_agent()?;
    let first = scene.serving()?;
    let cgroup = first.cgroup();

    let reload = if declaration.get("reload").is_some() { reload(scene)? } else { "not declared" };
    see(seen, "reload", reload);

    see(seen, "crash", crash(scene)?);
    let before = scene.serving()?;
    let mut open = scene.client.open(scene.listen, &scene.upstream)?;
    scene.kill_agent()?;
    let serves_without = scene.client.ask(scene.listen, &scene.upstream);
    scene.start_agent()?;
    let after = scene.serving()?;
    let is_adopted = after.is_adopted() && after.pid() == before.pid() && after.restarts() == 0;
    let is_finished = open.finish(&scene.upstream, scene.is_http());
    drop(open);
    let adopted = match (is_adopted, serves_without && is_finished) {
        (true, true) => "adopted, nothing cut",
        (true, false) => "adopted, request cut",
        (false, _) => "not adopted",
    };
    see(seen, "adopted", adopted);
    see(seen, "crash_adopted", crash(scene)?);

    if scene.program.gapless.is_some() {
        let replaced = replace(scene)?;
        see(seen, "gapless", &replaced);
    }
    scene.declare(&[])?;
    let ends = scene.until("it is removed", Duration::from_secs(40), || scene.is_empty().then_some(()));
    let is_gone = || cgroup.as_ref().is_none_or(|path| !path.exists()).then_some(());
    let cgroup_left = scene.until("its cgroup is removed", Duration::from_secs(3), is_gone).is_err();
    let removed = match (ends.is_ok(), scene.is_listening(), cgroup_left) {
        (true, false, false) => "nothing left",
        (false, ..) => "processes left",
        (_, true, _) => "port left",
        (.., true) => "cgroup left",
    };
    see(seen, "removed", removed);
    Ok(())
}

/// By the command of the agent: whether it is the same process, and serves.
fn reload(scene: &Scene) -> Result<&'static str> {
    let before = scene.serving()?;
    if let Err(error) = scene.command(&["reload", ID]) {
        eprintln!("reload: {error}");
        return Ok("fails");
    }
    std::thread::sleep(Duration::from_millis(300));
    let after = scene.serving()?;
    Ok(if after.pid() == before.pid() && after.restarts() == before.restarts() {
        "same pid"
    } else {
        "another process"
    })
}

/// SIGKILL to the leader, with a request open: whether it is back with the first start.
fn crash(scene: &Scene) -> Result<&'static str> {
    let before = scene.serving()?;
    let open = scene.client.open(scene.listen, &scene.upstream)?;
    let leader = before.pid().ok_or("no pid")?;
    kill(leader, Signal::KILL);
    scene.until("it ends", PATIENCE, || process(leader).is_none().then_some(()))?;
    let after = scene.until("another process", PATIENCE, || {
        let status = scene.status(ID).ok()?;
        (status.is("running") && status.pid().is_some_and(|pid| pid != leader)).then_some(())
    });
    after?;
    let after = scene.serving()?;
    scene.upstream.release();
    drop(open);
    Ok(if after.restarts() == before.restarts() + 1 { "back at the first start" } else { "back after several starts" })
}

/// `agent restart` while clients connect, with a request open.
fn replace(scene: &Scene) -> Result<String> {
    let before = scene.serving()?;
    let mut open = scene.client.open(scene.listen, &scene.upstream)?;
    let (is_over, client, listen, upstream) = (AtomicBool::new(false), &scene.client, scene.listen, &scene.upstream);
    let (failed, is_finished) = std::thread::scope(|scope| -> Result<(usize, bool)> {
        let clients = scope.spawn(|| {
            let (mut asked, mut failed) = (0, 0);
            while !is_over.load(Ordering::SeqCst) || asked < 50 {
                asked += 1;
                failed += usize::from(!client.ask(listen, upstream));
            }
            failed
        });
        let next = |patience| {
            scene.until("the next one", patience, || {
                let status = scene.status(ID).ok()?;
                (status.is_ready() && status.pid() != before.pid()).then_some(())
            })
        };
        let begun = scene.command(&["restart", ID, "--no-wait"]);
        // Not before the last one has ended, where that comes first.
        let _ = next(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(300));
        let is_finished = open.finish(upstream, scene.is_http());
        drop(open);
        let restarted = begun.and_then(|_| next(PATIENCE));
        let alone = scene.until("the last one ends", Duration::from_secs(45), || {
            let status = scene.status(ID).ok()?;
            (!status.has_two() && status.is("running")).then_some(())
        });
        is_over.store(true, Ordering::SeqCst);
        let failed = clients.join().map_err(|_| "the client panicked")?;
        restarted?;
        alone?;
        Ok((failed, is_finished))
    })?;
    let request = if is_finished { "request finished" } else { "request cut" };
    Ok(format!("{}, {request}", if failed == 0 { "none lost" } else { "some lost" }))
}

impl Scene {
    pub(crate) fn is_http(&self) -> bool {
        use crate::traffic::Traffic;
        matches!(self.traffic(), Traffic::Http | Traffic::HttpProxy | Traffic::Https)
    }
}
