//! One scan of processes: which of those that no record or pidfd of ours names carry a process tag.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;

use super::escaped_process::Escaped;
use super::process_tag::{Environment, EnvironmentReader, ProcessTag};
use super::stalled_scan::{ScanProgress, UnreadableProcesses};
use super::unproven_process::{Ancestor, Programs, Unproven, Untold};
use crate::supervisor::other_agent;
use crate::sys::pid::Pid;
use crate::sys::proc::{orphans, stat};
use crate::sys::{is_exhausted, pidfd};

/// More than most environments have, in bytes, so that each is read at once.
const USUAL_ENVIRONMENT: usize = 16 * 1024;

/// After so many lists of orphans that all differ, all processes are scanned instead.
const MOST_LISTS: usize = 10;

/// What a scan is for.
#[derive(Debug, Default)]
pub(crate) struct ScanScope {
    /// Any of the leaders was a child of an earlier agent.
    of_others: bool,
    /// Their numbers.
    leaders: HashSet<i32>,
    /// The start of the first of them, as far as it is known.
    since: Option<u64>,
}

impl ScanScope {
    /// All processes, by their tags alone.
    pub(crate) fn tags_of_all() -> ScanScope {
        ScanScope { of_others: true, ..ScanScope::default() }
    }

    pub(crate) fn of<'a>(requests: impl IntoIterator<Item = (&'a Ancestor, bool)>) -> ScanScope {
        let mut wanted = ScanScope::default();
        for (ancestor, of_others) in requests {
            wanted.of_others |= of_others;
            wanted.leaders.extend(ancestor.pid.map(Pid::as_raw));
            wanted.since = wanted.since.into_iter().chain(ancestor.since).min();
        }
        wanted
    }
}

/// One scan of the processes that are not supervised: which of them carry which tag, and of which the environment does
/// not tell whose they are.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    supervised: &'a HashSet<i32>,
    wanted: &'a ScanScope,
    /// This process and its ancestors.
    ancestors: Vec<i32>,
    ancestor_sessions: Vec<i32>,
    reader: EnvironmentReader<'a>,
    seen: HashMap<ProcessTag, Vec<Pid>>,
    untold: Vec<Untold>,
    programs: Programs,
    buffer: Vec<u8>,
}

/// A process with its group and session.
type Member = (i32, i32, i32);

impl<'a> Scan<'a> {
    /// Scans. Members of the group or session of one of the `supervised` are skipped: asking for these costs two system
    /// calls, and reading an environment ten times as much.
    ///
    /// What children of ours have left is found among the orphans; an orphan that ends leaves its own children there in
    /// turn. Only children of an earlier agent may have left theirs to a process that is no ancestor of ours.
    pub(crate) fn at_all_but(
        supervised: &'a HashSet<i32>,
        wanted: &'a ScanScope,
        progress: &'a ScanProgress,
        unreadable: &'a UnreadableProcesses,
    ) -> io::Result<Scan<'a>> {
        let ancestors = orphans::ancestors()?;
        let sessions = ancestors.iter().filter_map(|pid| stat::with_session(*pid)).map(|(_, _, session)| session);
        let mut scan = Scan {
            supervised,
            wanted,
            ancestor_sessions: sessions.collect(),
            ancestors,
            reader: EnvironmentReader { progress, unreadable },
            seen: HashMap::new(),
            untold: Vec::new(),
            programs: Programs::default(),
            buffer: Vec::with_capacity(USUAL_ENVIRONMENT),
        };
        if scan.wanted.of_others || !scan.at_orphans()? {
            scan.seen.clear();
            scan.untold.clear();
            scan.at_all()?;
        }
        Ok(scan)
    }

    fn at_all(&mut self) -> io::Result<()> {
        let orphans = orphans::list()?.map(|orphans| orphans.into_iter().collect::<HashSet<i32>>());
        for member in stat::sessions(self.supervised)? {
            self.examine(member, orphans.as_ref().map(|orphans| orphans.contains(&member.0)))?;
        }
        Ok(())
    }

    /// Scans the orphans, until two lists of them in a row are equal: one that ends before it is examined has left its
    /// children to the same heir; and a list that is read while one of its processes ends can lack another one
    /// (proc_tid_children(5)). A process that is exiting may have no environment any more and its children still. False
    /// when the lists never become equal, or there is no such list.
    fn at_orphans(&mut self) -> io::Result<bool> {
        let (mut last, mut examined) = (None, HashSet::new());
        for _ in 0..MOST_LISTS {
            let Some(orphans) = orphans::list()? else { return Ok(false) };
            if last.as_ref() == Some(&orphans) {
                return Ok(true);
            }
            let mut settled = true;
            for &pid in &orphans {
                if self.supervised.contains(&pid) || examined.contains(&pid) {
                    continue;
                }
                let Some(member) = stat::with_session(pid) else { continue };
                if self.examine(member, Some(true))? {
                    examined.insert(pid);
                } else {
                    settled = false;
                }
            }
            last = settled.then_some(orphans);
        }
        Ok(false)
    }

    /// Takes note of what the environment of a process tells; false when the process is exiting or being executed, so that
    /// this has told nothing. Its parent says whether it is an orphan if that is not known.
    fn examine(&mut self, (number, group, session): Member, is_orphan: Option<bool>) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(number).filter(|_| !self.ancestors.contains(&number)) else { return Ok(true) };
        if self.supervised.contains(&group) || self.supervised.contains(&session) {
            return Ok(true);
        }
        let environment = match self.reader.unreadable.contains(pid)? {
            true => Environment::Unreadable,
            false => self.reader.environment_of(pid, &mut self.buffer)?,
        };
        let is_unreadable = match environment {
            Environment::Tagged(tag) => {
                self.seen.entry(tag).or_default().push(pid);
                return Ok(true);
            }
            Environment::Foreign | Environment::Gone => return Ok(true),
            // A zombie is, and stays so.
            Environment::Blank => return Ok(stat::read(number)?.is_none_or(|stat| stat.is_dead())),
            Environment::Silent => false,
            Environment::Unreadable => true,
        };
        // Most processes of a system are neither, and need not be asked for more. No process joins a session: those of ours
        // are the leader's and what was made in it.
        let is_related = self.wanted.leaders.contains(&session);
        if is_orphan == Some(false) && !is_related || self.ancestor_sessions.contains(&session) {
            return Ok(true);
        }
        let Some(stat) = stat::read(number)?.filter(|stat| !stat.is_dead()) else { return Ok(true) };
        if stat.is_exiting {
            return Ok(false);
        }
        let is_orphan = is_orphan.unwrap_or_else(|| self.ancestors.contains(&stat.parent));
        if self.wanted.since.is_some_and(|since| stat.start_ticks >= since) {
            self.untold.push(Untold::new(pid, session, stat.start_ticks, is_orphan, is_unreadable));
        }
        Ok(true)
    }

    /// The ids and processes that were seen with this owner tag.
    pub(crate) fn of_origin(&self, owner_tag: &str) -> impl Iterator<Item = (&[u8], &[Pid])> {
        let of_it = self.seen.iter().filter(move |(tag, _)| *tag.owner_tag == *owner_tag.as_bytes());
        of_it.map(|(tag, pids)| (&*tag.id, &**pids))
    }

    /// The processes that were seen with this tag, and have it now, and those that may be of its proxy. None if another
    /// agent has adopted one of the first: the others are of that one, or can be.
    pub(crate) fn with(&mut self, tag: &ProcessTag, ancestor: &Ancestor) -> io::Result<ScanResult> {
        let seen = self.seen.get(tag).map(Vec::as_slice).unwrap_or_default();
        if any_is_claimed(seen)? {
            return Ok(ScanResult { seen: false, escaped: Vec::new(), unproven: Vec::new() });
        }
        let escaped = seen.iter().filter_map(|pid| Escaped::prove(*pid, tag, self.reader).transpose());
        let mut sighting =
            ScanResult { seen: !seen.is_empty(), escaped: escaped.collect::<io::Result<_>>()?, unproven: Vec::new() };
        for untold in &self.untold {
            let Some(unproven) = untold.of(ancestor, &mut self.programs)? else { continue };
            // One that was just being executed had no environment for an instant, and has one now.
            match Escaped::prove(untold.pid, tag, self.reader)? {
                Some(escaped) => sighting.escaped.push(escaped),
                None => sighting.unproven.push(unproven),
            }
        }
        sighting.seen |= !sighting.escaped.is_empty();
        Ok(sighting)
    }
}

/// Whether another agent has adopted any of these processes.
pub(crate) fn any_is_claimed(seen: &[Pid]) -> io::Result<bool> {
    for pid in seen.iter().filter(|_| pidfd::has_inodes()) {
        match pidfd::open(*pid) {
            Ok(process) if other_agent::is_claimed(process.as_fd())? => return Ok(true),
            Err(error) if is_exhausted(&error) => return Err(error),
            Ok(_) | Err(_) => {} // gone
        }
    }
    Ok(false)
}

/// What a scan tells of one proxy.
#[derive(Debug)]
pub(crate) struct ScanResult {
    /// Whether any process was seen. One that has ended since may have left children that were not.
    pub(crate) seen: bool,
    /// Those that are proven to be of it.
    pub(crate) escaped: Vec<Escaped>,
    /// Those that may be.
    pub(crate) unproven: Vec<Unproven>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::spec::Spec;
    use crate::sys::pidfd;
    use crate::sys::proc::environ;
    use crate::sys::signal::{self, Signal};
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;

    /// A leader of this declaration that ended before anything else that lives was started.
    fn ancestor(program: &str) -> Ancestor {
        let config = crate::ProxyConfig::new(crate::Command::new(program));
        Ancestor { pid: None, since: Some(0), spec: Arc::new(Spec::for_tests("web", config)) }
    }

    struct World {
        progress: ScanProgress,
        unreadable: UnreadableProcesses,
        ancestor: Ancestor,
        supervised: HashSet<i32>,
    }

    impl World {
        fn new(ancestor: Ancestor) -> World {
            pidfd::probe().unwrap();
            let (progress, unreadable) = (ScanProgress::default(), UnreadableProcesses::default());
            World { progress, unreadable, ancestor, supervised: HashSet::new() }
        }

        fn find(&self, tag: &ProcessTag) -> ScanResult {
            let wanted = ScanScope::of([(&self.ancestor, true)]);
            let scan = Scan::at_all_but(&self.supervised, &wanted, &self.progress, &self.unreadable);
            scan.unwrap().with(tag, &self.ancestor).unwrap()
        }
    }

    fn start(command: &mut Command) -> Child {
        let child = command.arg("1000").process_group(0).spawn().unwrap();
        environ::wait_until_told(child.id() as i32);
        child
    }

    #[test]
    fn a_scan_finds_only_processes_with_the_exact_tag_outside_of_supervised_sessions() {
        let start = |owner_tag: &str| {
            let variables =
                [("CONNECT_PROXY_ID", "web"), ("CONNECT_PROXY_TOKEN", "t"), ("CONNECT_PROXY_ORIGIN", owner_tag)];
            start(Command::new("sleep").envs(variables))
        };
        let tag = ProcessTag::new("web", "t", &crate::sys::random::uuid().unwrap());
        let owner_tag = String::from_utf8(tag.owner_tag.to_vec()).unwrap();
        let (mut ours, mut others) = (start(&owner_tag), start("another agent's"));
        let mut world = World::new(ancestor("/nonexistent"));
        let found: Vec<String> = world.find(&tag).escaped.iter().map(|found| found.to_string()).collect();
        assert_eq!(found, [ours.id().to_string()]);
        world.supervised.insert(ours.id() as i32);
        assert!(!world.find(&tag).seen);
        world.supervised.clear();
        let pid = Pid::from_raw(ours.id() as i32).unwrap();
        let held_up = ScanProgress::default();
        held_up.read(pid, || world.unreadable.insert(pid, &held_up)).unwrap();
        assert!(!world.find(&tag).seen, "it is passed over");
        world.unreadable.remove(pid);
        let wanted = ScanScope::of([(&world.ancestor, true)]);
        let scan = Scan::at_all_but(&world.supervised, &wanted, &world.progress, &world.unreadable);
        ours.kill().unwrap();
        ours.wait().unwrap();
        let sighting = scan.unwrap().with(&tag, &world.ancestor).unwrap();
        assert!(sighting.seen && sighting.escaped.is_empty(), "it has ended since");
        others.kill().unwrap();
        others.wait().unwrap();
    }

    /// A session of its own, led by a shell, with a member that has nothing of a proxy and one of another proxy.
    fn start_session() -> (Child, [Pid; 2]) {
        let script = "sleep 1000 & echo $!; CONNECT_PROXY_ID=another sleep 1000 & echo $!; exec sleep 1000";
        let shell = Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::piped()).spawn();
        let mut shell = shell.unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let members = [(); 2].map(|()| Pid::from_raw(lines.next().unwrap().unwrap().parse().unwrap()).unwrap());
        while members.iter().any(|pid| stat::name(pid.as_raw()).as_deref() != Some("sleep")) {
            std::thread::yield_now();
        }
        members.iter().for_each(|pid| environ::wait_until_told(pid.as_raw()));
        (shell, members)
    }

    #[test]
    fn member_of_the_old_session_is_unproven_unless_the_pid_was_recycled_or_it_is_of_another_proxy() {
        let tag = ProcessTag::new("web", "t", "o");
        let (mut leader, [silent, foreign]) = start_session();
        let number = Pid::from_raw(leader.id() as i32).unwrap();
        let mut world = World::new(Ancestor { pid: Some(number), ..ancestor("/nonexistent") });
        assert!(world.find(&tag).unproven.is_empty(), "a process has the number");
        leader.kill().unwrap();
        leader.wait().unwrap();
        let found = world.find(&tag);
        let told: Vec<String> = found.unproven.iter().map(ToString::to_string).collect();
        assert_eq!(told, [format!("pid {silent} (sleep: in the session of pid {number}, which has ended)")]);
        assert!(found.unproven[0].holds_start() && found.unproven[0].lives() && !found.seen);
        world.ancestor.since = Some(u64::MAX);
        assert!(world.find(&tag).unproven.is_empty(), "started before the leader");
        for pid in [silent, foreign] {
            signal::kill_process(pid, Signal::KILL).unwrap();
        }
        while found.unproven[0].lives() {
            std::thread::yield_now();
        }
    }
}
