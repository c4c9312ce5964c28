// SPDX-License-Identifier: MPL-2.0
//! Looking whether all is as wanted: the processes, the files, and what the agent says.

use std::collections::{BTreeMap, BTreeSet};

use crate::crashes::outside::{self, Living};
use crate::crashes::player::Player;
use crate::crashes::wanted::{Kind, Wanted};
use crate::support::{Agent, Process, ProxyStatus, Status};

impl Player {
    /// Whether all is as wanted, and if not, what is not. It may be on its way.
    pub(crate) fn look(&self) -> Result<BTreeMap<String, Living>, String> {
        let status = self.agent().status_unless(|| self.is_cut()).ok_or("the agent does not answer")?;
        self.told.borrow_mut().extend(status.proxies.values().filter_map(|proxy| proxy.last_error.clone()));
        let (living, others) = self.living();
        if others > 0 {
            return Err(format!("{others} processes that have not executed yet"));
        }
        let leaders = outside::check_processes(&self.wanted, living)?;
        check_status(&self.wanted, &status, &leaders)?;
        outside::check_files(&self.scene.data_dir(), &self.wanted, &leaders)?;
        outside::check_sockets(&self.scene, &self.wanted)?;
        if self.agent().process().is_gone() {
            return Err("the agent is gone".to_owned());
        }
        Ok(leaders)
    }

    /// What lived when this agent was started and is wanted as it was has the same processes.
    pub(crate) fn check_survivors(&mut self, leaders: &BTreeMap<String, Living>) {
        for old in std::mem::take(&mut self.before).into_iter().filter(Living::leads) {
            let want = self.wanted.0.get(&old.id).filter(|want| old.version == Some(want.version));
            if want.is_some_and(|want| want.kind.lives()) {
                let new = leaders.get(&old.id).map(Living::pid);
                assert_eq!(new, Some(old.pid()), "{} needed no other process", old.id);
                self.sums.adoptions += 1;
            }
        }
    }

    /// The leaders that live.
    pub(crate) fn leaders(&self) -> Vec<Living> {
        self.living().0.into_iter().filter(Living::leads).collect()
    }

    /// While there is no agent: its children that have not executed yet.
    pub(crate) fn in_flight(&self) -> Vec<Process> {
        let known: BTreeSet<u32> = self.living().0.iter().map(Living::pid).chain([self.stranger.pid]).collect();
        self.scene.alive().into_iter().filter(|process| !known.contains(&process.pid())).collect()
    }

    /// The living processes of proxies, and how many others there are beside the agent.
    pub(crate) fn living(&self) -> (Vec<Living>, usize) {
        let agent = self.agent.as_ref().map(Agent::pid);
        let (mut living, others) = outside::living(&self.scene, agent);
        living.retain(|process| process.pid() != self.stranger.pid);
        (living, others)
    }
}

fn is_not_run_again(said: &ProxyStatus) -> bool {
    let says = |error: &String| error.starts_with("not restarted, for its restart policy is never: ");
    said.last_error.as_ref().is_some_and(says)
}

/// Checks that the status is of exactly what is wanted, and names the processes that live.
fn check_status(wanted: &Wanted, status: &Status, leaders: &BTreeMap<String, Living>) -> Result<(), String> {
    if !status.proxies.keys().eq(wanted.0.keys()) {
        return Err(format!("the status is of {:?}", status.proxies.keys()));
    }
    for (id, want) in &wanted.0 {
        let (said, pid) = (&status[id], leaders.get(id).map(Living::pid));
        let expected = match want.kind {
            Kind::Ends => said.state == "waiting" && said.last_exit.as_deref() == Some("exit code 3"),
            // It may have been killed, or have ended when there was no agent; it is not run again either.
            Kind::Once => said.state == "completed" || said.state == "failed" && is_not_run_again(said),
            Kind::Paused => said.state == "paused",
            Kind::Missing => said.last_error.as_ref().is_some_and(|error| error.contains("No such file")),
            _ => said.state == "running",
        };
        if !expected || said.pid != pid {
            return Err(format!("{id}, which is process {pid:?}: {said:?}"));
        }
    }
    Ok(())
}
