// SPDX-License-Identifier: MPL-2.0
//! A proxy names another of its processes as the leader (`MAINPID=` of sd_notify(3)). A spawner verifies that process,
//! and it replaces the earlier leader. The end of the earlier leader is then no end of the proxy, also during the
//! verification.

use super::EventLoop;
use super::leader::LeaderChange;
use super::pending_repair::RepairTask;
use super::supervised::Supervised;
use crate::logging::Level;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::adoption::named_leader::NamedLeader;
use crate::supervisor::mailbox::NewLeader;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;
use crate::sys::boot_time::BootTime;
use crate::sys::pid::Pid;

impl EventLoop {
    /// The proxy names its leader; `None`: by something that is no pid.
    pub(super) fn name_leader(&mut self, key: ProcessKey, named: Option<Pid>) {
        let Some(supervised) = self.slots.get_mut(&key).filter(|supervised| supervised.machine.runs()) else { return };
        let Some(pid) = named else { return supervised.refuse_leader("what follows MAINPID= is no pid") };
        if let Some(change) = &mut supervised.rare.leader_change {
            change.then = named;
            return;
        }
        let Some(instead_of) = supervised.pid.zip(supervised.group).filter(|(leader, _)| *leader != pid) else {
            return;
        };
        supervised.rare.leader_change = Some(LeaderChange::default());
        let (token, owner_tag) = (supervised.token(), supervised.owner_tag());
        let named = NamedLeader { pid, instead_of, token, owner_tag };
        let job = Job::ChangeLeader { key, spec: supervised.spec.clone(), named };
        self.submit(key, job);
    }

    /// The process that was named was proven to be of the proxy, or is refused.
    pub(super) fn leader_named(&mut self, key: ProcessKey, proven: Result<NewLeader, String>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let then = supervised.rare.leader_change.take().and_then(|change| change.then);
        match proven {
            // One that is being stopped, or was started meanwhile, has its own leader.
            Ok(_) if !supervised.machine.runs() => {}
            Ok(leader) => self.change_leader(key, leader),
            Err(reason) => supervised.refuse_leader(&reason),
        }
        if then.is_some() {
            self.name_leader(key, then);
        }
        // The end of the old one, if that was held and it leads still.
        self.check_exit(key);
    }

    fn change_leader(&mut self, key: ProcessKey, NewLeader { process, identity, written }: NewLeader) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some((former, former_group)) = supervised.pid.zip(supervised.group) else { return };
        let (pid, group) = (identity.pid, identity.group);
        supervised.note_age(BootTime::age(identity.start_ticks));
        self.reaper.change_leader(key, process);
        let (given, claimed) = (supervised.given(), supervised.claim.take().map(|claim| *claim));
        supervised.claim = Some(Box::new(Claim::Recorded {
            identity,
            token: supervised.token().map(String::into),
            owner_tag: Some(given.owner_tag.to_string()).filter(|owner_tag| !owner_tag.is_empty()),
            numbers: given.numbers,
            notifications: given.notifications,
            sockets: claimed.as_ref().map_or([].into(), |claim| claim.sockets().into()),
            ended: None,
        }));
        if group != former_group {
            // What is left of that when the new leader ends is in the way of the next start.
            let of_child = Claim::PidOnly { pid: former_group, as_declared: false };
            supervised.rare.uncleared = Some(Box::new(claimed.unwrap_or(of_child)));
        }
        (supervised.pid, supervised.group, supervised.was_claimed) = (Some(pid), Some(group), true);
        if let Some(leader) = &mut supervised.leader {
            leader.pid = Some(group);
        }
        if let Some(notifications) = &mut supervised.rare.notifications {
            notifications.leader_changed(former);
        }
        let what = format_args!("pid {pid} leads in place of pid {former}, as MAINPID= says");
        supervised.spec.context.log.about(Level::Info, &supervised.slot.id, what);
        supervised.note(RepairTask::Record(supervised.spec.clone(), pid), written);
        self.arm_repair(key);
    }

    /// Whether the end of a process is not told yet: it has named another leader, which is being proven.
    ///
    /// ORDER: what the process has sent before its end is read before that is taken, for its group may be killed then.
    pub(super) fn holds_exit(&mut self, key: ProcessKey) -> bool {
        let hears = |supervised: &Supervised| supervised.rare.notifications.is_some() && supervised.machine.runs();
        if !self.slots.get(&key).is_some_and(|supervised| hears(supervised)) || !self.reaper.has_ended(key) {
            return false;
        }
        self.read_all_notifications(key);
        let holds = |supervised: &Supervised| supervised.rare.leader_change.is_some() && hears(supervised);
        let holds = self.slots.get(&key).is_some_and(|supervised| holds(supervised));
        if holds {
            self.reaper.hold_exit(key);
        }
        holds
    }
}

impl Supervised {
    /// The token that its process has.
    fn token(&self) -> Option<String> {
        let tag = self.leader.as_ref()?.tag();
        Some(String::from_utf8_lossy(&tag.token).into_owned()).filter(|token| !token.is_empty())
    }

    fn refuse_leader(&mut self, reason: &str) {
        self.complain(&format!("MAINPID= is refused: {reason}"));
    }
}
