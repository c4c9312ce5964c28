// SPDX-License-Identifier: MPL-2.0
//! The life that is cut at every point: three agents, one after the other, and what happens to their proxies.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::crashes::arm::Played;
use crate::crashes::consul;
use crate::crashes::player::Player;
use crate::crashes::wanted::{CONSUL, Kind, Wanted};

/// What the first agent is told.
pub(crate) fn first() -> Wanted {
    Wanted::default()
        .with(CONSUL, Kind::Polite, 1)
        .with("apart", Kind::Detached, 1)
        .with("drains", Kind::Drains, 1)
        .with("drifts", Kind::Runs, 1)
        .with("ends", Kind::Ends, 1)
        .with("gone", Kind::Polite, 1)
        .with("heads", Kind::Leads, 1)
        .with("idles", Kind::Paused, 1)
        .with("leads", Kind::Leads, 1)
        .with("listens", Kind::Listens, 1)
        .with("missing", Kind::Missing, 1)
        .with("once", Kind::Once, 1)
        .with("other", Kind::Polite, 1)
        .with("plain", Kind::Runs, 1)
        .with("shifts", Kind::Overlaps, 1)
        .with("stays", Kind::Runs, 1)
        .with("stubborn", Kind::Stubborn, 1)
        .with("tells", Kind::Notifies, 1)
}

fn second() -> Wanted {
    first()
        .without("gone")
        .with("other", Kind::Stubborn, 2)
        .with("drains", Kind::Drains, 2)
        .with("idles", Kind::Runs, 2)
        .with("once", Kind::Once, 2)
        .with("new", Kind::Runs, 2)
        .with("shifts", Kind::Overlaps, 2)
        .grace("plain", 60)
}

fn third() -> Wanted {
    // Of what drains nothing but its record is known by then.
    let third = second().without("new").without("listens").without("drains").with("other", Kind::Runs, 3);
    let third = third.with("idles", Kind::Paused, 3).with("drifts", Kind::Runs, 3);
    third.with("shifts", Kind::Overlaps, 3)
}

/// What an agent may be told that finds the processes of any of these.
pub(crate) fn other() -> Wanted {
    third()
        .with(CONSUL, Kind::Polite, 4)
        .without("plain")
        .without("stubborn")
        .without("ends")
        .with("leads", Kind::Leads, 4)
        .with("late", Kind::Runs, 4)
}

/// Plays the life to its end, or until an agent is cut.
pub(crate) fn play(it: &mut Player) -> Played {
    consul::leave(&it.scene);
    it.launch()?;
    let leaders = it.settle()?;
    it.kill(&leaders["plain"]);
    it.settle()?;
    it.kill(&leaders["leads"]);
    it.settle()?;
    // So little that the snapshot is not written anew.
    it.reload(first().with("ahead", Kind::Runs, 2));
    it.settle()?;
    it.reload(second());
    let leaders = it.settle()?;
    it.end(Signal::TERM)?;

    // No agent supervises them, and what is written of them is not true.
    it.kill(&leaders["plain"]);
    it.kill(&leaders["leads"]);
    plant(&it.scene.data_dir(), it.stranger.pid);
    it.launch()?;
    let leaders = it.settle()?;
    it.kill(&leaders["stubborn"]);
    it.kill(&leaders["apart"]);
    it.kill(&leaders["listens"]);
    it.settle()?;
    it.kill(&leaders["heads"]);
    let leaders = it.settle()?;
    it.end(Signal::TERM)?;

    corrupt(&it.scene.data_dir());
    for id in ["drifts", "heads", "stays"] {
        fs::remove_file(it.scene.data_dir().join(format!("records/{id}.json"))).expect("lose a record");
    }
    it.kill(&leaders["heads"]);
    it.kill(&leaders["plain"]);
    it.wanted = third();
    it.launch()?;
    it.settle()?;
    it.end(Signal::QUIT)
}

/// A record and pid files that name a stranger.
fn plant(data_dir: &Path, stranger: u32) {
    let path = data_dir.join("records/plain.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("read a record")).expect("a record");
    record["pid"] = json!(stranger);
    // It is to be out of date and not damaged.
    record.as_object_mut().expect("an object").remove("check");
    fs::write(&path, record.to_string()).expect("write the record");
    for id in ["plain", "lost"] {
        fs::write(data_dir.join(format!("pids/{id}.pid")), format!("{stranger}\n")).expect("write a pid file");
    }
}

/// Only its first half is there.
fn corrupt(data_dir: &Path) {
    let path = data_dir.join("snapshot.json");
    let whole = fs::read(&path).expect("read the snapshot");
    fs::write(&path, &whole[..whole.len() / 2]).expect("write half of the snapshot");
}
