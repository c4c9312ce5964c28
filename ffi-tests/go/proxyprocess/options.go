// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import "time"

// ManagerOptions are the settings of a Manager. A period or capacity that is 0 has its default; a period below 0 is
// none at all. Periods are of whole milliseconds, rounded up.
type ManagerOptions struct {
	// State is the desired set, required. It may be closed at any time; the manager keeps the set.
	State *State
	// DataDir is where logs, pid files, process records and the snapshot are; it is made with mode 0700. When it is
	// empty nothing is written but logs to LogDir, without which the output of the proxies is lost, and no later agent takes
	// them over.
	DataDir string
	// LogDir is where logs are in place of a data directory, for a manager that needs no more of one; it is made with mode
	// 0700, and keeps its mode when it is there. It is empty with DataDir, which has logs of its own.
	LogDir string
	// ProxyEnv holds environment variables for all proxies, over the agent's own and under each proxy's: NAME=value.
	ProxyEnv []string
	// SnapshotPeriod is the least time between two snapshots (ManagerSnapshotPeriod).
	SnapshotPeriod time.Duration
	// CoalescePeriod is after which changes of the state are followed at the latest (ManagerCoalescePeriod).
	CoalescePeriod time.Duration
	// QuiescentPeriod is after which they are followed when there were no more (ManagerQuiescentPeriod).
	QuiescentPeriod time.Duration
	// AllowRoot tells whether proxies may run as root. If not, and the agent is root, proxies that declare no other
	// user are not started; each such failure is logged and in the status.
	AllowRoot bool
	// EventCapacity is how many lifecycle events are kept for readers that fell behind (EventCapacity).
	EventCapacity int
	// MaxHandovers is how many proxies at a time may be preparing their next process (ReplaceOverlap), from its start
	// until it is ready, 1 to 1048576: the others wait for their turn, in the order in which they were changed, and their
	// current processes serve on. One that waits after a failure lets others go first. 0 is one for each processor, up to 3.
	MaxHandovers int
	// KeepRemoved is the logs of how many proxies that were removed stay, of those that were written to last, with the files of
	// older lines beside them; the others are deleted once nothing of their proxy runs any more. nil: all stay.
	KeepRemoved *uint32
	// Cgroup is whether each proxy has a cgroup (version 2) of its own, which has all that its process starts, whatever those
	// do, and by which a stop ends all of it (CgroupAuto).
	Cgroup Cgroup
	// CgroupBase is the directory of the cgroup below which the manager makes its own. When it is empty it is that of this
	// process, or the one above it where systemd has delegated that (DelegateSubgroup=). It is empty with CgroupOff.
	CgroupBase string
}

// Cgroup is whether each proxy has a cgroup of its own.
type Cgroup int32

const (
	// CgroupAuto: each has one where this process may make cgroups; what the log says when the manager is made.
	CgroupAuto Cgroup = C.PROXYPROCESS_CGROUP_AUTO
	// CgroupOff: none has.
	CgroupOff Cgroup = C.PROXYPROCESS_CGROUP_OFF
	// CgroupRequired: each has one. A manager that may make none is refused, and a process that cannot enter is not started.
	CgroupRequired Cgroup = C.PROXYPROCESS_CGROUP_REQUIRED
)

func (o *ManagerOptions) fill(options *C.proxyprocess_manager_options, mem *cMemory) error {
	code := C.proxyprocess_manager_options_init(options, C.sizeof_proxyprocess_manager_options)
	if code != C.PROXYPROCESS_OK {
		return Code(code)
	}
	options.data_dir = mem.optional("data_dir", o.DataDir)
	options.log_dir = mem.optional("log_dir", o.LogDir)
	options.cgroup_base = mem.optional("cgroup_base", o.CgroupBase)
	options.cgroup = C.int32_t(o.Cgroup)
	options.proxy_env = mem.list("proxy_env", o.ProxyEnv)
	setPeriod(&options.snapshot_period_ms, o.SnapshotPeriod)
	setPeriod(&options.coalesce_period_ms, o.CoalescePeriod)
	setPeriod(&options.quiescent_period_ms, o.QuiescentPeriod)
	if o.AllowRoot {
		options.allow_root = 1
	}
	if o.EventCapacity != 0 {
		options.event_capacity = C.uint64_t(o.EventCapacity)
	}
	if o.MaxHandovers != 0 {
		options.max_handovers = C.uint64_t(o.MaxHandovers)
	}
	if o.KeepRemoved != nil {
		options.keep_removed = C.uint32_t(*o.KeepRemoved)
		options.has_keep_removed = 1
	}
	return mem.err
}
