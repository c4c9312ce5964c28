// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"syscall"
	"time"
)

// ProxyConfig is the declaration of one proxy. A period or number that is 0 has its default, one below 0 is none at
// all; periods are of whole milliseconds, rounded up.
type ProxyConfig struct {
	// Mode is the kind of the proxy: ModeDaemon, which is the default, ModeNoop, or one that was registered.
	Mode string
	// Command is the program and its arguments, required for a daemon. A program without a slash is looked up in the
	// PATH that the process will have.
	Command []string
	// Dir is the working directory; empty is the agent's.
	Dir string
	// Env holds environment variables of its own, each NAME=value.
	Env []string
	// UnsetEnv holds names of variables that it does not get from the agent or from ManagerOptions.ProxyEnv.
	UnsetEnv []string
	// ClearEnv withholds the whole environment of the agent; ManagerOptions.ProxyEnv and Env remain.
	ClearEnv bool
	// Token is the secret by which the proxy identifies itself; a State generates one for a proxy without.
	Token string
	// TargetService is the id of the service that it is the sidecar of.
	TargetService string
	// Options configure a kind of the host's own.
	Options map[string]interface{}
	// StopSignal asks the process group to end; 0 is SIGINT.
	StopSignal syscall.Signal
	// GracePeriod is how long it may take to obey the stop signal (DaemonGracePeriod).
	GracePeriod time.Duration
	// Stop holds the steps of a stop, at most 16, in place of StopSignal and GracePeriod, which are 0 then. What is left after
	// the last one is killed.
	Stop []StopStep
	// LeftoverGrace is how long what it left of its process group when it crashed may take to obey the stop signal; 0
	// is no time: it is killed at once.
	LeftoverGrace time.Duration
	// Restart tells when it is restarted.
	Restart RestartPolicy
	// Credentials are the user that it runs as, which needs privilege; nil is the agent's.
	Credentials *Credentials
	// User is the user that it runs as by name, which is looked up at each start, with the groups of that user, and HOME, USER and
	// LOGNAME in its environment; empty is none. It excludes Credentials.
	User string
	// Group is the group that it has in place of the first one of User, by name; empty is that.
	Group string
	// DescriptorLimit is how many descriptors it may have, its soft RLIMIT_NOFILE, at most the agent's hard limit; 0 is
	// the soft limit that the agent was started with.
	DescriptorLimit uint64
	// OOMScoreAdj is the absolute value of /proc/<pid>/oom_score_adj, from -1000 to 1000; nil is 0 if the kernel permits
	// that, else the agent's. A value below the agent's needs CAP_SYS_RESOURCE.
	OOMScoreAdj *int32
	// RLimits are its resource limits, by their names in getrlimit(2) without RLIMIT_ and in lower case: "core", "nproc"; others
	// are the agent's. "nofile" excludes DescriptorLimit.
	RLimits map[string]RLimit
	// Nice is its nice value, -20 to 19; nil is the agent's. A value below that needs CAP_SYS_NICE.
	Nice *int32
	// CPUAffinity holds the CPUs on which it may run; nil is the agent's.
	CPUAffinity []uint32
	// Umask is its umask, at most 0777; nil is the agent's.
	Umask *uint32
	// NoNewPrivs keeps it and what it starts from getting privileges by executing a program (PR_SET_NO_NEW_PRIVS).
	NoNewPrivs bool
	// Argv0 is what it is told as its name in place of the first word of Command, which is executed all the same; empty is that.
	Argv0 string
	// Output is where its standard output and error go; nil is to the logs in the data directory.
	Output *Output
	// Detached starts it as an orphan and no child of the agent, for a program that asks to be killed when its parent
	// ends (PR_SET_PDEATHSIG), as Envoy does: as a child it ends with the agent, and when the last manager or daemon of
	// the program is closed.
	Detached bool
	// ReadyTCP is the address at which a TCP connect succeeds when it is ready, like "127.0.0.1:8080"; empty is none. It
	// is no address of Listen, nor is ReadyUnix. At most one of the five Ready fields is set; with none it is ready once it is
	// started.
	ReadyTCP string
	// ReadyUnix is the absolute path of the stream socket at which a connect succeeds when it is ready; empty is none.
	ReadyUnix string
	// ReadyFD is the descriptor, 3 to 1023, to which it writes a newline when it is ready, and which is opened for it; 0 is
	// none.
	ReadyFD uint32
	// ReadyNotify: it is ready when it sends READY=1 to the socket that NOTIFY_SOCKET names in its environment
	// (sd_notify(3)).
	ReadyNotify bool
	// ReadyCommand is a program and its arguments, UTF-8, run again until it exits with code 0, which it does when it is
	// ready; empty is none.
	ReadyCommand []string
	// ReadyCommandTimeout is how long one run of ReadyCommand may take before it is killed; 0 is 10 s. In whole milliseconds,
	// rounded up.
	ReadyCommandTimeout time.Duration
	// StartTimeout is how long it may take from its start until it is ready (StartTimeout). Then it is stopped, and started
	// again as after a crash.
	StartTimeout time.Duration
	// Listen holds the sockets that it gets from descriptor 3 on, in this order.
	Listen []Listen
	// Watchdog is how long it may be silent once it is ready: one that sends no WATCHDOG=1 to the socket that NOTIFY_SOCKET
	// names for so long (sd_notify(3)) gets SIGABRT, and is started again as after a crash; 0 is no watchdog.
	Watchdog time.Duration
	// Limits are what all its processes may use together, by a cgroup of its own (ManagerOptions.Cgroup); nil is no limit. A change
	// is made at once, without a new process. Where one cannot be set no process is started.
	Limits *CgroupLimits
	// FDStoreMax is how many descriptors it can hand over with FDSTORE=1 (sd_notify(3)), at most 512, which are kept while it is
	// declared and given to each next process after the sockets of Listen; 0 is none.
	FDStoreMax uint32
	// Reload is how Manager.Reload has it reload its configuration; nil is none.
	Reload *Reload
	// Replace is how its process is replaced: ReplaceStopFirst or ReplaceOverlap.
	Replace Replace
	// Disabled: it is declared and not run, and in StatePaused.
	Disabled bool
	// ExpectedExit is how it may end besides by exit code 0. Such an end is no failure.
	ExpectedExit []ExpectedExit
}

// ExpectedExit is an end that is no failure: by an exit code, or by a signal.
type ExpectedExit struct {
	// Code is an exit code, without Signal.
	Code uint8
	// Signal ends the process; 0 is none.
	Signal syscall.Signal
}

// MarshalJSON gives the end as a declaration has it.
func (e ExpectedExit) MarshalJSON() ([]byte, error) {
	if e.Signal == 0 {
		return json.Marshal(e.Code)
	}
	return json.Marshal(strconv.Itoa(int(e.Signal)))
}

// RestartWhen tells after which ends a proxy is started again. A failure is an exit that is no expected one, a start that
// failed, a process that was not ready in time, and one that has not fed its watchdog.
type RestartWhen int32

const (
	// RestartAlways: after each end.
	RestartAlways RestartWhen = C.PROXYPROCESS_RESTART_ALWAYS
	// RestartOnFailure: after each failure. After an expected end it is in StateCompleted.
	RestartOnFailure RestartWhen = C.PROXYPROCESS_RESTART_ON_FAILURE
	// RestartNever: after none. After an expected end it is in StateCompleted, after another one in StateFailed.
	RestartNever RestartWhen = C.PROXYPROCESS_RESTART_NEVER
)

// GiveUpAfter tells when a proxy that fails again and again is not started any more, and is in StateFailed. It is started again
// when it is asked for, when its declaration changes, and by the next agent.
type GiveUpAfter struct {
	// Failures is how many, 1 to 1000; 0 is never to give up.
	Failures uint32
	// Within is how long they may take together, in whole milliseconds, rounded up.
	Within time.Duration
}

// Listen is a socket that the library opens before the first start of a proxy, and keeps open while the proxy is declared.
type Listen struct {
	// Address is where: "tcp:127.0.0.1:8080", "tcp:[::1]:8080", "udp:127.0.0.1:53" or "unix:/run/web.sock".
	Address string `json:"address"`
	// Name is its name in LISTEN_FDNAMES and in {fd:NAME}; empty is none.
	Name string `json:"name,omitempty"`
	// Backlog is how many connections may wait that are not accepted yet; 0 is ListenBacklog.
	Backlog uint32 `json:"backlog,omitempty"`
	// ReusePort lets other sockets with this option have the address as well (SO_REUSEPORT).
	ReusePort bool `json:"reuse_port,omitempty"`
	// IPv6Only tells whether an IPv6 socket is none for IPv4; nil is as the kernel is set up.
	IPv6Only *bool `json:"ipv6_only,omitempty"`
	// Mode holds the permissions of a unix socket's path, like "0660"; empty is what the agent's umask leaves.
	Mode string `json:"mode,omitempty"`
}

// CgroupLimits are what all processes of a proxy may use together; 0 is no limit.
type CgroupLimits struct {
	// MemoryMax is in bytes: above it the kernel ends a process (memory.max).
	MemoryMax uint64 `json:"memory_max,omitempty"`
	// MemoryHigh is in bytes: above it processes are slowed down and their memory is reclaimed (memory.high).
	MemoryHigh uint64 `json:"memory_high,omitempty"`
	// PidsMax is how many processes and threads there may be (pids.max).
	PidsMax uint32 `json:"pids_max,omitempty"`
	// CPUMax is processor time in percent of one processor, 1 to 100000 (cpu.max).
	CPUMax uint32 `json:"cpu_max,omitempty"`
	// IOWeight is the share of busy disks, 1 to 10000, where 100 is the usual one (io.weight).
	IOWeight uint32 `json:"io_weight,omitempty"`
}

// Output is where the standard output and error of a process go.
type Output struct {
	// Stdout and Stderr are OutputFile, OutputInherit, OutputNull, OutputJournal, or an absolute path, UTF-8, that is appended to;
	// empty is OutputFile.
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	// StdoutFile and StderrFile are open files that they go to in place of that, a pipe or socket too; nil is none. Each is
	// duplicated by the call that gets it, which has Fd make it a blocking one, so that it may be closed then. The next agent does
	// not have it: what that starts before the proxy is declared again writes to its log.
	StdoutFile *os.File `json:"-"`
	StderrFile *os.File `json:"-"`
	// Owner is whose the logs in the data directory are: OutputOwnerAgent or OutputOwnerProxy; empty is OutputOwnerAgent.
	Owner string `json:"owner,omitempty"`
	// MaxBytes is how large each of the files may become that the outputs go to, 65536 to 1<<50: of one that is larger the oldest
	// lines are removed while the process writes on. 0 is without a limit.
	MaxBytes uint64 `json:"max_bytes,omitempty"`
	// Keep is how many files with older lines are kept beside each, at most 99; <log>.1 is the youngest. Needs MaxBytes.
	Keep uint32 `json:"keep,omitempty"`
}

const (
	// OutputFile is the log of the proxy in the data directory.
	OutputFile = "file"
	// OutputInherit is where that of the agent goes.
	OutputInherit = "inherit"
	// OutputNull is nowhere.
	OutputNull = "null"
	// OutputJournal is the journal of systemd, with the id of the proxy as identifier.
	OutputJournal = "journal"
	// OutputOwnerAgent is the user of the agent.
	OutputOwnerAgent = "agent"
	// OutputOwnerProxy is the user that the process runs as, who can open its logs by name then, as /dev/stdout.
	OutputOwnerProxy = "proxy"
)

// RLimit is the soft and the hard limit of a resource, in the unit of getrlimit(2).
type RLimit struct {
	// Soft is what the kernel enforces; RLimitUnlimited is no limit.
	Soft uint64
	// Hard is up to where the process may raise the soft limit; nil is the agent's hard limit.
	Hard *uint64
}

// RLimitUnlimited is no limit.
const RLimitUnlimited uint64 = math.MaxUint64

// MarshalJSON gives the limit as a declaration has it.
func (l RLimit) MarshalJSON() ([]byte, error) {
	value := func(limit uint64) interface{} {
		if limit == RLimitUnlimited {
			return "unlimited"
		}
		return limit
	}
	limits := map[string]interface{}{"soft": value(l.Soft)}
	if l.Hard != nil {
		limits["hard"] = value(*l.Hard)
	}
	return json.Marshal(limits)
}

// Reload is how a process reloads its configuration: by a signal or by a command.
type Reload struct {
	// Signal goes to the leader, and to no other process of its group; 0 is SIGHUP with Notify, and else none.
	Signal syscall.Signal
	// Notify has the process confirm the signal by its notifications (sd_notify(3)), RELOADING=1 with MONOTONIC_USEC= and then
	// READY=1, within ProxyConfig.StartTimeout. It needs ReadyNotify or Watchdog.
	Notify bool
	// Command is a program and its arguments, UTF-8.
	Command []string
	// Timeout is how long the command may take before it is killed; 0 is 30 s. In whole milliseconds, rounded up.
	Timeout time.Duration
}

// MarshalJSON gives what a declaration has.
func (r Reload) MarshalJSON() ([]byte, error) {
	signal := r.Signal
	if r.Notify && signal == 0 {
		signal = syscall.SIGHUP
	}
	return json.Marshal(struct {
		Signal    int      `json:"signal,omitempty"`
		Notify    bool     `json:"notify,omitempty"`
		Command   []string `json:"command,omitempty"`
		TimeoutMS uint64   `json:"timeout_ms,omitempty"`
	}{int(signal), r.Notify, r.Command, milliseconds(r.Timeout)})
}

// StopStep is one step of a stop: a signal or a command, and how long the processes may take to obey it before the next
// step.
type StopStep struct {
	// Signal goes to the process group.
	Signal syscall.Signal
	// Command is a program and its arguments, UTF-8, in place of Signal: it is run as that of a Reload, while the leader
	// lives. If it fails, the next step begins at once.
	Command []string
	// For is how long they may take, in whole milliseconds, rounded up; 0 and less is no time.
	For time.Duration
	// LeaderOnly has the signal go to the leader only, as long as it lives.
	LeaderOnly bool
}

// MarshalJSON gives the step as a declaration has it.
func (s StopStep) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Signal     int      `json:"signal,omitempty"`
		Command    []string `json:"command,omitempty"`
		ForMS      uint64   `json:"for_ms"`
		LeaderOnly bool     `json:"leader_only,omitempty"`
	}{int(s.Signal), s.Command, milliseconds(s.For), s.LeaderOnly})
}

// Replace is how the process of a proxy is replaced.
type Replace int32

const (
	// ReplaceStopFirst: the next process is started when the last one is gone.
	ReplaceStopFirst Replace = C.PROXYPROCESS_REPLACE_STOP_FIRST
	// ReplaceOverlap: the next process is started beside the last one, which is stopped once the next one is ready.
	ReplaceOverlap Replace = C.PROXYPROCESS_REPLACE_OVERLAP
)

// RestartPolicy tells when a process that ended is restarted.
type RestartPolicy struct {
	// HealthyAfter is how long a run must be to reset the backoff (DaemonRestartHealthy).
	HealthyAfter time.Duration
	// BackoffMin is how many restarts in a row are made without waiting (DaemonRestartBackoffMin).
	BackoffMin int
	// MaxWait is the longest wait (DaemonRestartMaxWait).
	MaxWait time.Duration
	// Jitter is the fraction of each wait that is left to chance, from 0 to 1.
	Jitter float64
	// Policy tells after which ends it is started again.
	Policy RestartWhen
	// GiveUpAfter tells when it is not started any more.
	GiveUpAfter GiveUpAfter
}

// Credentials are a user and its groups.
type Credentials struct {
	// UID and GID are the user and its first group.
	UID, GID uint32
	// Groups are all supplementary groups.
	Groups []uint32
}

// fill writes the declaration in C's form.
func (c *ProxyConfig) fill(options *C.proxyprocess_proxy_options, mem *cMemory) error {
	code := C.proxyprocess_proxy_options_init(options, C.sizeof_proxyprocess_proxy_options)
	if code != C.PROXYPROCESS_OK {
		return Code(code)
	}
	options.mode = mem.optional("mode", c.Mode)
	options.argv = mem.list("command", c.Command)
	options.dir = mem.optional("dir", c.Dir)
	options.env = mem.list("env", c.Env)
	options.unset_env = mem.list("unset_env", c.UnsetEnv)
	options.clear_env = flag(c.ClearEnv)
	options.token = mem.optional("token", c.Token)
	options.target_service = mem.optional("target_service", c.TargetService)
	if c.Options != nil {
		text, err := json.Marshal(c.Options)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("options: %v", err)}
		}
		options.options_json = mem.text("options", string(text))
	}
	if c.StopSignal != 0 {
		options.stop_signal = C.int32_t(c.StopSignal)
	}
	setPeriod(&options.grace_period_ms, c.GracePeriod)
	if c.Stop != nil {
		text, err := json.Marshal(c.Stop)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("stop: %v", err)}
		}
		options.stop_json = mem.text("stop", string(text))
	}
	if c.Reload != nil {
		text, err := json.Marshal(c.Reload)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("reload: %v", err)}
		}
		options.reload_json = mem.text("reload", string(text))
	}
	setPeriod(&options.leftover_grace_ms, c.LeftoverGrace)
	setPeriod(&options.restart_healthy_after_ms, c.Restart.HealthyAfter)
	setPeriod(&options.restart_max_wait_ms, c.Restart.MaxWait)
	switch attempts := int64(c.Restart.BackoffMin); {
	case attempts < 0:
		options.restart_attempts_before_backoff = 0
	case attempts > math.MaxUint32:
		options.restart_attempts_before_backoff = math.MaxUint32
	case attempts > 0:
		options.restart_attempts_before_backoff = C.uint32_t(attempts)
	}
	options.restart_jitter = C.double(c.Restart.Jitter)
	options.restart_policy = C.int32_t(c.Restart.Policy)
	options.restart_give_up_failures = C.uint32_t(c.Restart.GiveUpAfter.Failures)
	setPeriod(&options.restart_give_up_within_ms, c.Restart.GiveUpAfter.Within)
	if len(c.ExpectedExit) > 0 {
		text, err := json.Marshal(c.ExpectedExit)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("expected_exit: %v", err)}
		}
		options.expected_exit_json = mem.text("expected_exit", string(text))
	}
	if c.Credentials != nil {
		options.has_credentials = 1
		options.uid, options.gid = C.uint32_t(c.Credentials.UID), C.uint32_t(c.Credentials.GID)
		options.groups = mem.numbers(c.Credentials.Groups)
		options.group_count = C.size_t(len(c.Credentials.Groups))
	}
	options.user = mem.optional("user", c.User)
	options.group = mem.optional("group", c.Group)
	options.descriptor_limit = C.uint64_t(c.DescriptorLimit)
	if c.OOMScoreAdj != nil {
		options.has_oom_score_adj = 1
		options.oom_score_adj = C.int32_t(*c.OOMScoreAdj)
	}
	if len(c.RLimits) > 0 {
		text, err := json.Marshal(c.RLimits)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("rlimits: %v", err)}
		}
		options.rlimits_json = mem.text("rlimits", string(text))
	}
	if c.Nice != nil {
		options.has_nice = 1
		options.nice = C.int32_t(*c.Nice)
	}
	if c.CPUAffinity != nil {
		text, err := json.Marshal(c.CPUAffinity)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("cpu_affinity: %v", err)}
		}
		options.cpu_affinity_json = mem.text("cpu_affinity", string(text))
	}
	if c.Umask != nil {
		options.has_umask = 1
		options.umask = C.uint32_t(*c.Umask)
	}
	if c.Output != nil {
		text, err := json.Marshal(c.Output)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("output: %v", err)}
		}
		options.output_json = mem.text("output", string(text))
		if c.Output.StdoutFile != nil {
			options.has_stdout_fd = 1
			options.stdout_fd = mem.descriptor(c.Output.StdoutFile)
		}
		if c.Output.StderrFile != nil {
			options.has_stderr_fd = 1
			options.stderr_fd = mem.descriptor(c.Output.StderrFile)
		}
	}
	options.no_new_privs = flag(c.NoNewPrivs)
	options.argv0 = mem.optional("argv0", c.Argv0)
	options.detached = flag(c.Detached)
	options.ready_tcp = mem.optional("ready_tcp", c.ReadyTCP)
	options.ready_unix = mem.optional("ready_unix", c.ReadyUnix)
	options.ready_fd = C.uint32_t(c.ReadyFD)
	options.ready_notify = flag(c.ReadyNotify)
	if len(c.ReadyCommand) > 0 {
		text, err := json.Marshal(Reload{Command: c.ReadyCommand, Timeout: c.ReadyCommandTimeout})
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("ready: %v", err)}
		}
		options.ready_json = mem.text("ready", string(text))
	}
	options.replace = C.int32_t(c.Replace)
	options.enabled = flag(!c.Disabled)
	options.fd_store_max = C.uint32_t(c.FDStoreMax)
	if c.Limits != nil {
		text, err := json.Marshal(c.Limits)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("limits: %v", err)}
		}
		options.limits_json = mem.text("limits", string(text))
	}
	setPeriod(&options.start_timeout_ms, c.StartTimeout)
	setPeriod(&options.watchdog_ms, c.Watchdog)
	if len(c.Listen) > 0 {
		text, err := json.Marshal(c.Listen)
		if err != nil {
			return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("listen: %v", err)}
		}
		options.listen_json = mem.text("listen", string(text))
	}
	return mem.err
}

func flag(isSet bool) C.uint8_t {
	if isSet {
		return 1
	}
	return 0
}

// setPeriod puts a period in place of the default, unless it is 0.
func setPeriod(option *C.uint64_t, period time.Duration) {
	if period != 0 {
		*option = C.uint64_t(milliseconds(period))
	}
}

// milliseconds rounds a period up; one below 0 is none.
func milliseconds(period time.Duration) uint64 {
	if period <= 0 {
		return 0
	}
	return uint64((period-1)/time.Millisecond) + 1
}
