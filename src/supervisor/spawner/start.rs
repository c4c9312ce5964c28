// SPDX-License-Identifier: MPL-2.0
//! The start of a process, from its declaration to the table of the reaper.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::job::Leftovers;
use super::process_resources::{notify_socket, open_sockets, recorded, report_pipe};
use super::spawn_tools::SpawnTools;
use super::work::Spawner;
use crate::declaration::validate_id;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::start_numbers::StartNumbers;
use crate::logging::{self, Level};
use crate::store::{self, RecordedNotifications};
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::cgroups::StartPlace;
use crate::supervisor::mailbox::StartedProcess;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::reaper::process::Process;
use crate::supervisor::sockets::ProxySockets;
use crate::supervisor::spec::{Files, Spec};
use crate::sys::fail;
use crate::sys::notify_socket::SocketName;
use crate::sys::pidfd;
use crate::sys::proc::stat;
use crate::sys::process_identity::{self, Identity};
use crate::sys::spawn;
use crate::sys::spawn::dumpable;
use crate::sys::spawn::program::ReportDescriptor;

impl Spawner {
    /// Starts a process and takes it into the table of the reaper.
    ///
    /// # Errors
    /// What is wrong with the declaration, or what failed; nothing of the start is left then.
    pub(super) fn start(
        &self,
        key: ProcessKey,
        (spec, numbers): (&Spec, StartNumbers),
        left: &Leftovers,
        (sockets, last_cgroup, other_cgroup): (Option<&ProxySockets>, Option<StartPlace>, Option<Arc<Path>>),
        tools: &mut SpawnTools,
    ) -> Result<StartedProcess> {
        let begun = Instant::now();
        validate_id(&spec.id)?;
        spec.config.validate_to_start()?;
        spec.refuse_root()?;
        self.end_leftovers(spec, left)?;
        let opened = sockets.map(|sockets| open_sockets(spec, sockets)).transpose()?.unwrap_or_default();
        let (report, report_end) = report_pipe(spec)?.unzip();
        let notify = notify_socket(spec)?;
        let mut program = spec.program(numbers);
        spec.become_user(&mut program)?;
        let stored = sockets.map(|sockets| sockets.stored.for_start(spec.config.fd_store_max as usize, spec.place));
        let stored = stored.unwrap_or_default();
        let all = opened.iter().chain(stored.iter().map(|stored| &stored.descriptor));
        program.sockets = all.filter_map(|socket| socket.get()).map(AsFd::as_fd).collect();
        if spec.config.fd_store_max > 0 {
            program.set_variable(defaults::ENV_FDSTORE, spec.config.fd_store_max.to_string().as_ref());
            spec.name_stored(&mut program, &stored.iter().map(|stored| stored.name.clone()).collect::<Vec<_>>());
        }
        if !program.sockets.is_empty() {
            program.pid_variables.push(defaults::ENV_LISTEN_PID);
        }
        if let Some((name, _)) = &notify {
            program.set_variable(defaults::ENV_NOTIFY_SOCKET, name.to_string().as_ref());
        }
        let watchdog = spec.config.watchdog_period();
        if !watchdog.is_zero() {
            program.set_variable(defaults::ENV_WATCHDOG_USEC, watchdog.as_micros().to_string().as_ref());
            program.pid_variables.push(defaults::ENV_WATCHDOG_PID);
        }
        let of_start = |(name, _): &(SocketName, _)| RecordedNotifications { name: *name, watchdog_period: None };
        let notifications = notify.as_ref().map(of_start);
        let number = spec.config.ready.fd().and_then(|number| number.try_into().ok());
        program.report =
            report_end.as_ref().zip(number).map(|(end, number)| ReportDescriptor { end: end.as_fd(), number });
        program.cgroup = spec.enter(last_cgroup.as_ref(), other_cgroup.as_deref())?;
        let entered = program.cgroup.as_ref().map(|cgroup| cgroup.path.clone());
        let oom_kills = spec.oom_kills(entered.as_deref()).unwrap_or(0);
        let outputs = spec.open_outputs(program.credentials.as_ref())?;
        let output_begins = self.positions.end_of(outputs[1].as_fd());
        let streams = tools.streams.with(outputs);
        let (standard, stack, host) = (streams.as_fds(), &mut tools.stack, tools.host.get());
        fail::point("start:prepared");
        // ORDER: before the start, for once a process runs nothing may fail that it is supervised by.
        let boot_id_of_detached = spec.config.command.is_detached().then(boot_id).transpose()?;
        let started = match &spec.context.files {
            Files::DataDir(data_dir) => {
                // A process of which the next agent could not know whether it lives must not begin to.
                stat::check_mounted().map_err(|error| Error::os(ErrorCode::Io, "look for /proc/self", &error))?;
                let recorded = recorded(spec, sockets);
                let header = store::RecordHeader { notifications, ..spec.record_header(numbers, &recorded) };
                let record = data_dir.prepare_record(spec.place, header, &boot_id()?)?;
                spawn::start(stack, &host, program, standard, Some(&record))
            }
            Files::LogDir(_) | Files::Paths { .. } => spawn::start(stack, &host, program, standard, None),
        };
        if let Some(error) = dumpable::take_failure() {
            logging::write(Level::Warn, format_args!("make this process dumpable again: {error}"));
        }
        let started = started.inspect_err(|_| spec.leave_unused(entered.as_deref()));
        let started = started.map_err(|error| error.to_error())?;
        if let Some(why) = &started.uncontained {
            spec.warn_of_uncontained(why);
        }
        let cgroup = started.cgroup.clone();
        let took = begun.elapsed();
        drop((streams, report_end));
        let detached = started.start_ticks.zip(boot_id_of_detached).map(|(start_ticks, boot_id)| {
            let inode = started.pidfd.as_ref().and_then(|fd| pidfd::inode(fd.as_fd()).ok().flatten());
            Identity { pid: started.pid, group: started.pid, start_ticks, boot_id, inode }
        });
        // Of a process that is no child of ours, as of one that is adopted.
        let claim = detached.clone().map(|identity| {
            let (token, owner_tag) =
                (spec.config.token.clone().map(String::into), Some(spec.context.owner_tag.to_string()));
            let (sockets, ended) = ([].into(), None);
            Box::new(Claim::Recorded { identity, token, owner_tag, numbers, notifications, sockets, ended })
        });
        // The child cannot be reaped before it is in the table.
        let of_child = || if started.pidfd.is_none() { Identity::of(started.pid, None).ok().flatten() } else { None };
        let identity = detached.or_else(of_child).map(Box::new);
        self.reaper.insert(key, Process { pid: started.pid, pidfd: started.pidfd, identity });
        fail::point("start:listed");
        // The pid file is for people and scripts; the process runs whether it can be written or not.
        let written = spec.replace_pid_file(started.pid);
        fail::point("start:written-down");
        Ok(StartedProcess {
            pid: started.pid,
            numbers,
            written,
            claim,
            output_begins,
            report,
            notify,
            took,
            cgroup,
            oom_kills,
        })
    }
}

fn boot_id() -> Result<Arc<str>> {
    process_identity::boot_id()
        .map_err(|error| Error::os(ErrorCode::Io, format_args!("read {}", process_identity::BOOT_ID), &error))
}
