// SPDX-License-Identifier: MPL-2.0
//! Declarations, made field by field in one expression.

use std::time::Duration;

use serde_json::Value;

use super::{CgroupLimits, ExpectedExit, Listen, ProxyConfig, Ready, Reload, Replace};
use crate::lifecycle::{RestartSettings, StopSettings};

impl ProxyConfig {
    /// The same with this [`ProxyConfig::token`].
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> ProxyConfig {
        self.token = Some(token.into());
        self
    }

    /// The same with this [`ProxyConfig::target_service`].
    #[must_use]
    pub fn with_target_service(mut self, id: impl Into<String>) -> ProxyConfig {
        self.target_service = Some(id.into());
        self
    }

    /// The same with these [`ProxyConfig::stop`] settings.
    #[must_use]
    pub fn with_stop(mut self, stop: StopSettings) -> ProxyConfig {
        self.stop = stop;
        self
    }

    /// The same with these [`ProxyConfig::restart`] settings.
    #[must_use]
    pub fn with_restart(mut self, restart: RestartSettings) -> ProxyConfig {
        self.restart = restart;
        self
    }

    /// The same with one of the [`ProxyConfig::expected_exit`] more.
    #[must_use]
    pub fn with_expected_exit(mut self, exit: ExpectedExit) -> ProxyConfig {
        self.expected_exit.push(exit);
        self
    }

    /// The same with this [`ProxyConfig::ready`].
    #[must_use]
    pub fn with_ready(mut self, ready: Ready) -> ProxyConfig {
        self.ready = ready;
        self
    }

    /// The same with this [`ProxyConfig::replace`].
    #[must_use]
    pub fn with_replace(mut self, replace: Replace) -> ProxyConfig {
        self.replace = replace;
        self
    }

    /// The same with this [`ProxyConfig::enabled`].
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> ProxyConfig {
        self.enabled = enabled;
        self
    }

    /// The same with this [`ProxyConfig::start_timeout`].
    #[must_use]
    pub fn with_start_timeout(mut self, timeout: Duration) -> ProxyConfig {
        self.start_timeout = timeout;
        self
    }

    /// The same with one of the [`ProxyConfig::listen`] sockets more.
    #[must_use]
    pub fn with_listen(mut self, socket: Listen) -> ProxyConfig {
        self.listen.push(socket);
        self
    }

    /// The same with this [`ProxyConfig::watchdog`].
    #[must_use]
    pub fn with_watchdog(mut self, period: Duration) -> ProxyConfig {
        self.watchdog = period;
        self
    }

    /// The same with these [`ProxyConfig::limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: CgroupLimits) -> ProxyConfig {
        self.limits = limits;
        self
    }

    /// The same with this [`ProxyConfig::fd_store_max`].
    #[must_use]
    pub fn with_fd_store_max(mut self, most: u32) -> ProxyConfig {
        self.fd_store_max = most;
        self
    }

    /// The same with this [`ProxyConfig::reload`].
    #[must_use]
    pub fn with_reload(mut self, reload: Reload) -> ProxyConfig {
        self.reload = Some(reload);
        self
    }

    /// The same with one of the [`ProxyConfig::options`] more.
    #[must_use]
    pub fn with_option(mut self, name: impl Into<String>, value: impl Into<Value>) -> ProxyConfig {
        self.options.insert(name.into(), value.into());
        self
    }
}
