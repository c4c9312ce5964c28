// SPDX-License-Identifier: MPL-2.0
//! Whether a process of one declaration also satisfies another one: by the declaration, by its digest, by what the
//! process shows.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::Spec;
use crate::declaration::placeholders::may_become;
use crate::declaration::{Fingerprint, ProxyConfig, listen_json};
use crate::defaults;

impl Spec {
    /// Whether a process of this one is one of the other as well.
    pub(crate) fn same_process(&self, other: &Spec) -> bool {
        let same_context =
            Arc::ptr_eq(&self.context, &other.context) || self.context.proxy_env == other.context.proxy_env;
        if same_context {
            return Arc::ptr_eq(&self.config, &other.config) || self.config.same_process(&other.config);
        }
        // The manager's variables changed: what counts is what comes out for this proxy.
        self.fingerprint() == other.fingerprint()
    }

    /// The digest of everything declared that the process can see. The agent's own environment is not declared.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let config = &*self.config;
        let command = &config.command;
        let environment = self.declared_environment();
        let credentials = command.declared_credentials().map(|to| format!("{}:{}:{:?}", to.uid, to.gid, to.groups));
        let variables = environment.iter().flat_map(|(name, value)| [*name, *value]).collect::<Vec<&OsStr>>();
        let fingerprint = Fingerprint::new()
            .add(OsStr::new(&*self.id))
            .add_list(command.argv().iter().map(OsString::as_os_str))
            .add_optional(command.declared_dir().map(|dir| dir.as_os_str()))
            .add_list(variables.into_iter())
            .add_optional(credentials.as_deref().map(OsStr::new))
            .add_optional(config.token.as_deref().map(OsStr::new))
            .add_optional(config.target_service.as_deref().map(OsStr::new));
        add_later_fields(fingerprint, config)
    }

    /// The first variable whose value in the process differs from the declared one; `value` gives what the process has.
    /// What it inherited does not count unless it is to be withheld, nor do the owner tag, which an earlier owner may
    /// have given it, and the numbers of its start.
    pub(crate) fn changed_variable<'a>(&self, value: impl Fn(&OsStr) -> Option<&'a OsStr>) -> Option<&OsStr> {
        let sidecar = OsStr::new(defaults::ENV_SIDECAR_FOR);
        let own = self.own_environment();
        let unlike = [defaults::ENV_PROXY_ORIGIN, defaults::ENV_PROXY_GENERATION, defaults::ENV_PROXY_EPOCH];
        let declared = own.iter().filter(|(name, _)| !unlike.iter().any(|unlike| unlike == *name));
        let changed = declared.map(|(name, wanted)| (*name, Some(*wanted)));
        // The service that the agent itself is a sidecar of is not inherited either.
        let undeclared = (!own.contains_key(sidecar)).then_some((sidecar, None));
        let withheld = self.config.command.declared_unset_env().iter().map(|name| (name.as_os_str(), None));
        let differs = |wanted: Option<&OsStr>, found: Option<&OsStr>| match (wanted, found) {
            (Some(wanted), Some(found)) => !may_become(wanted, found),
            (wanted, found) => wanted.is_some() || found.is_some(),
        };
        let mut all = changed.chain(undeclared).chain(withheld);
        all.find(|(name, wanted)| differs(*wanted, value(name))).map(|(name, _)| name)
    }
}

/// Adds the fields that declarations of earlier versions do not have, those alone that are used: what uses none must keep
/// the digest that is in the records.
fn add_later_fields(fingerprint: Fingerprint, config: &ProxyConfig) -> Fingerprint {
    let (mut fields, command) = (vec![], &config.command);
    fields.extend(command.declared_descriptor_limit().map(|limit| format!("descriptor_limit={limit}")));
    fields.extend(command.declared_oom_score_adj().map(|score| format!("oom_score_adj={score}")));
    fields.extend(command.declared_user().map(|user| format!("user={user}")));
    fields.extend(command.declared_group().map(|group| format!("group={group}")));
    fields.extend(command.clears_env().then(|| "clear_env".to_owned()));
    fields.extend(command.is_detached().then(|| "detached".to_owned()));
    fields.extend(config.ready.part_of_process());
    let watchdog = Some(config.watchdog_period()).filter(|period| !period.is_zero());
    fields.extend(watchdog.map(|period| format!("watchdog_ms={}", period.as_millis())));
    fields.extend((config.fd_store_max > 0).then(|| format!("fd_store_max={}", config.fd_store_max)));
    fields.extend(config.listen.iter().map(|socket| format!("listen={}", listen_json::to_json(socket))));
    let of_process = command.settings().part_of_fingerprint();
    let of_output = command.outputs().part_of_fingerprint();
    let later = of_process.iter().chain(&of_output).map(OsString::as_os_str);
    let fields = fields.iter().map(OsStr::new).chain(later);
    let fingerprint = fields.fold(fingerprint, Fingerprint::add);
    let withheld = command.declared_unset_env();
    if withheld.is_empty() {
        return fingerprint;
    }
    fingerprint.add(OsStr::new("unset_env")).add_list(withheld.iter().map(OsString::as_os_str))
}
