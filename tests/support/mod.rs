// SPDX-License-Identifier: MPL-2.0
//! What the integration tests share. Nothing here waits for time to pass: it waits for messages of the helper
//! processes, pidfds, descriptors and file changes, and only gives up by the clock.

mod agent;
mod alone;
mod cgroups;
mod config;
mod consul;
mod cost;
mod deadline;
mod files;
mod leak;
#[path = "../helper/message.rs"]
mod message;
mod process;
mod programs;
mod raise;
mod reports;
mod scene;
mod status;

pub(crate) use agent::{Agent, Launch, Stdout};
pub(crate) use alone::{alone, alone_under, in_pid_namespace, is_alone, next_pid_is};
pub(crate) use cgroups::{cgroup_of, without_cgroups};
pub(crate) use config::{Config, Proxy};
pub(crate) use consul::{ConsulProxy, consul_snapshot, leave_as_consul};
pub(crate) use cost::Cost;
pub(crate) use deadline::{Deadline, WATCHDOG, until};
pub(crate) use files::Changes;
pub(crate) use leak::{Leak, OF_A_SPAWNER, spawners};
pub(crate) use message::{Inspection, OVERLAPS};
pub(crate) use process::{Process, children_of, have_inodes, readable};
pub(crate) use programs::{HELPER, HELPER_VARIABLE, agent_under_test, agent_with_fail_points, example, example_agent};
pub(crate) use raise::RaiseAtEnd;
pub(crate) use reports::Start;
pub(crate) use scene::{Scene, list};
pub(crate) use status::{ProxyStatus, Status};
