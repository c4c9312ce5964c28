// SPDX-License-Identifier: MPL-2.0
//! The process settings of a declaration, as C declares them.

use super::failure::Failure;
use super::input::boolean;
use super::json::value;
use super::options::variables;
use super::proxy_options::proxyprocess_proxy_options;
use crate::command::{Command, Credentials, Output, validate_withheld};
use crate::declaration::output::read_output;
use crate::declaration::process_settings::{read_cpus, read_rlimits};

impl proxyprocess_proxy_options {
    /// The command and the process settings.
    pub(super) fn command(&self) -> Result<Command, Failure> {
        let mut command = Command::from_argv(self.argv.words());
        if let Some(dir) = self.dir.optional_path() {
            command = command.dir(dir);
        }
        for (name, value) in variables("env", self.env)? {
            command = command.env(name, value);
        }
        for (index, name) in self.unset_env.words().into_iter().enumerate() {
            validate_withheld(&name).map_err(|error| error.within(format!("unset_env[{index}]")))?;
            command = command.unset_env(name);
        }
        if boolean("clear_env", self.clear_env)? {
            command = command.clear_env();
        }
        if boolean("has_credentials", self.has_credentials)? {
            let groups = self.groups.of_length("groups", self.group_count)?.to_vec();
            command = command.credentials(Credentials { uid: self.uid, gid: self.gid, groups });
        }
        if let Some(user) = self.user.optional_utf8("user")? {
            command = command.user(user);
        }
        if let Some(group) = self.group.optional_utf8("group")? {
            command = command.group(group);
        }
        if self.descriptor_limit != 0 {
            command = command.descriptor_limit(self.descriptor_limit);
        }
        if boolean("has_oom_score_adj", self.has_oom_score_adj)? {
            command = command.oom_score_adj(self.oom_score_adj);
        }
        if boolean("detached", self.detached)? {
            command = command.detached();
        }
        self.settings(command)
    }

    fn settings(&self, mut command: Command) -> Result<Command, Failure> {
        if let Some(limits) = self.rlimits_json.optional_utf8("rlimits_json")? {
            command = read_rlimits("rlimits_json", value("rlimits_json", "object", &limits)?, command)?;
        }
        if let Some(cpus) = self.cpu_affinity_json.optional_utf8("cpu_affinity_json")? {
            let cpus = value("cpu_affinity_json", "list", &cpus)?;
            command = command.cpu_affinity(read_cpus("cpu_affinity_json", cpus)?);
        }
        if let Some(name) = self.argv0.optional_path() {
            command = command.argv0(name);
        }
        if let Some(output) = self.output_json.optional_utf8("output_json")? {
            command = read_output("output_json", value("output_json", "object", &output)?, command)?;
        }
        let none_beside = |field: &str, output: &Output| match output {
            Output::File => Ok(()),
            _ => Err(Failure::config(format!("{field}: expected none beside one in output_json"))),
        };
        if boolean("has_stdout_fd", self.has_stdout_fd)? {
            none_beside("stdout_fd", command.declared_stdout())?;
            command = command.stdout(Output::descriptor_by_number("stdout_fd", self.stdout_fd)?);
        }
        if boolean("has_stderr_fd", self.has_stderr_fd)? {
            none_beside("stderr_fd", command.declared_stderr())?;
            command = command.stderr(Output::descriptor_by_number("stderr_fd", self.stderr_fd)?);
        }
        command.outputs().validate_descriptors()?;
        if boolean("has_nice", self.has_nice)? {
            command = command.nice(self.nice);
        }
        if boolean("has_umask", self.has_umask)? {
            command = command.umask(self.umask);
        }
        if boolean("no_new_privs", self.no_new_privs)? {
            command = command.no_new_privs();
        }
        Ok(command)
    }
}
