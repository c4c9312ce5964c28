// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"fmt"
	"time"
)

// Constants of the restarts of daemons; the defaults of RestartPolicy and ProxyConfig.
const (
	// DaemonRestartHealthy is how long a process runs before it counts as healthy: its next exit is a first failure
	// again.
	DaemonRestartHealthy = C.PROXYPROCESS_DAEMON_RESTART_HEALTHY_MS * time.Millisecond
	// DaemonRestartBackoffMin is how many restarts in a row are made without waiting.
	DaemonRestartBackoffMin = C.PROXYPROCESS_DAEMON_RESTART_BACKOFF_MIN
	// DaemonRestartMaxWait is the longest wait between two attempts.
	DaemonRestartMaxWait = C.PROXYPROCESS_DAEMON_RESTART_MAX_WAIT_MS * time.Millisecond
	// DaemonGracePeriod is how long a process may take to obey the stop signal before it is killed.
	DaemonGracePeriod = C.PROXYPROCESS_DAEMON_GRACE_PERIOD_MS * time.Millisecond
	// StartTimeout is how long a process may take to become ready, where its declaration says when it is, before it is
	// stopped.
	StartTimeout = C.PROXYPROCESS_START_TIMEOUT_MS * time.Millisecond
)

// ListenBacklog is how many connections may wait at a socket of a declaration that are not accepted yet.
const ListenBacklog = C.PROXYPROCESS_LISTEN_BACKLOG

// Constants of the manager; the defaults of ManagerOptions.
const (
	// ManagerCoalescePeriod and ManagerQuiescentPeriod tell when changes of the state are followed: once there were no
	// more for the quiescent period, and at the latest after the coalesce period.
	ManagerCoalescePeriod  = C.PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS * time.Millisecond
	ManagerQuiescentPeriod = C.PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS * time.Millisecond
	// ManagerSnapshotPeriod is the least time between two snapshots; one is written only if it changed.
	ManagerSnapshotPeriod = C.PROXYPROCESS_MANAGER_SNAPSHOT_PERIOD_MS * time.Millisecond
	// EventCapacity is how many lifecycle events are kept for readers that fell behind.
	EventCapacity = C.PROXYPROCESS_EVENT_CAPACITY
	// LogCapacity is how many lines of the log are kept for each reader of them.
	LogCapacity = C.PROXYPROCESS_LOG_CAPACITY
	// PeriodMax is the longest period that can be set: a year. More is a mistake of the unit.
	PeriodMax = C.PROXYPROCESS_PERIOD_MAX_MS * time.Millisecond
)

// Names of environment variables that a process gets.
const (
	// EnvProxyID holds the id of the proxy.
	EnvProxyID = C.PROXYPROCESS_ENV_PROXY_ID
	// EnvProxyToken holds the token of the proxy.
	EnvProxyToken = C.PROXYPROCESS_ENV_PROXY_TOKEN
	// EnvProxyOrigin holds the tag of the manager or daemon that the process is of: how a scan knows it.
	EnvProxyOrigin = C.PROXYPROCESS_ENV_PROXY_ORIGIN
	// EnvProxyGeneration holds the generation of the process: which of the starts of its proxy it comes from.
	EnvProxyGeneration = C.PROXYPROCESS_ENV_PROXY_GENERATION
	// EnvProxyEpoch holds the epoch of the process: one more than that of the process of its proxy beside which it was
	// started, else 0.
	EnvProxyEpoch = C.PROXYPROCESS_ENV_PROXY_EPOCH
	// EnvSidecarFor holds the id of the service that the proxy is the sidecar of.
	EnvSidecarFor = C.PROXYPROCESS_ENV_SIDECAR_FOR
)

// The modes that every manager knows.
const (
	// ModeDaemon is a supervised process.
	ModeDaemon = "daemon"
	// ModeNoop is a proxy that does nothing.
	ModeNoop = "noop"
)

// Version returns the version of the library that is linked, like "0.1.0".
func Version() string {
	return C.GoString(C.proxyprocess_version())
}

func init() {
	if linked := C.proxyprocess_abi_version(); linked != C.PROXYPROCESS_ABI_VERSION {
		panic(fmt.Sprintf("proxyprocess: compiled for version %d of the library's interface, linked to version %d",
			C.PROXYPROCESS_ABI_VERSION, linked))
	}
}
