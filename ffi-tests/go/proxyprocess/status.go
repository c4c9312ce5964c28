// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"syscall"
	"time"
)

// ProxyState is what a proxy is doing. A later version of the library may report others.
type ProxyState int32

// The states of a proxy.
const (
	// StateIdle: restored, but its process is gone; it is started when the manager runs and still wants it. Or never
	// started.
	StateIdle ProxyState = C.PROXYPROCESS_PROXY_IDLE
	// StateAdopting: a process of an earlier agent is being identified.
	StateAdopting ProxyState = C.PROXYPROCESS_PROXY_ADOPTING
	// StateStarting: the process is being started, or runs and is not ready yet, as its declaration says.
	StateStarting ProxyState = C.PROXYPROCESS_PROXY_STARTING
	// StateRunning: the process runs, and is ready.
	StateRunning ProxyState = C.PROXYPROCESS_PROXY_RUNNING
	// StateClearing: the process ended, and what it may have left is looked for, and ended or waited
	// for, before it is started again.
	StateClearing ProxyState = C.PROXYPROCESS_PROXY_CLEARING
	// StateWaiting: the next start is due later.
	StateWaiting ProxyState = C.PROXYPROCESS_PROXY_WAITING
	// StateStopping: the process was told to end.
	StateStopping ProxyState = C.PROXYPROCESS_PROXY_STOPPING
	// StateStopped: the process is gone, as was wanted.
	StateStopped ProxyState = C.PROXYPROCESS_PROXY_STOPPED
	// StateFailed: it cannot be started as it is declared, or may not be; or it has failed, and is not started again as its
	// declaration says.
	StateFailed ProxyState = C.PROXYPROCESS_PROXY_FAILED
	// StateClosed: whatever it was, it is no more supervised; a process may run on.
	StateClosed ProxyState = C.PROXYPROCESS_PROXY_CLOSED
	// StateCompleted: the process has ended as it may, and is not started again as its declaration says.
	StateCompleted ProxyState = C.PROXYPROCESS_PROXY_COMPLETED
	// StatePaused: it is declared and not run, by its declaration (Disabled) or by Manager.Pause.
	StatePaused ProxyState = C.PROXYPROCESS_PROXY_PAUSED
)

// String returns the name of the state, like "running".
func (s ProxyState) String() string {
	return C.GoString(C.proxyprocess_proxy_state_str(C.int32_t(s)))
}

// ExitKind says how a process ended.
type ExitKind int32

// How a process can end.
const (
	// ExitNone: it has not ended.
	ExitNone ExitKind = C.PROXYPROCESS_EXIT_NONE
	// ExitCode: it exited; the value is its exit code.
	ExitCode ExitKind = C.PROXYPROCESS_EXIT_CODE
	// ExitSignal: a signal ended it; the value is its number.
	ExitSignal ExitKind = C.PROXYPROCESS_EXIT_SIGNAL
	// ExitSignalCore: a signal ended it, and a core was dumped; the value is its number.
	ExitSignalCore ExitKind = C.PROXYPROCESS_EXIT_SIGNAL_CORE
	// ExitUnknown: it is gone, and the kernel does not tell how.
	ExitUnknown ExitKind = C.PROXYPROCESS_EXIT_UNKNOWN
)

// Exit is how a process ended. The zero value is one that has not.
type Exit struct {
	// Kind says what Value is.
	Kind ExitKind
	// Value is the exit code or the signal.
	Value int
}

// String says it as package os does, like "exit status 1" and "signal: killed".
func (e Exit) String() string {
	switch e.Kind {
	case ExitNone:
		return "none"
	case ExitCode:
		return fmt.Sprintf("exit status %d", e.Value)
	case ExitSignal:
		return fmt.Sprintf("signal: %v", syscall.Signal(e.Value))
	case ExitSignalCore:
		return fmt.Sprintf("signal: %v (core dumped)", syscall.Signal(e.Value))
	default:
		return "unknown"
	}
}

// Status is what one proxy is doing, at one moment.
type Status struct {
	// ID is the id of the proxy.
	ID string
	// Mode is its kind.
	Mode string
	// State is what it is doing.
	State ProxyState
	// PID is its process, or 0 while there is none.
	PID int
	// Adopted tells that the process was started by an earlier agent.
	Adopted bool
	// Restarts is how many times it was started after its first start or adoption.
	Restarts uint64
	// LastExit is how its last process ended.
	LastExit Exit
	// NextStart is the time until the next start while it waits for one, else below 0.
	NextStart time.Duration
	// LastError is the last thing that went wrong, until the next start goes well.
	LastError string
	// Unproven names living processes that it may have left, and that are not proven to be its own: they were not
	// signalled. It is one line like "pid 7 (nginx: why)", with commas between several, or empty.
	Unproven string
	// Hint is what its ends suggest about its declaration, as a question to a human, or empty.
	Hint string
	// Ready tells that it is ready: it runs, and if its declaration says when it is ready, it was so since its last start.
	// It is not while it says that it reloads or stops.
	Ready bool
	// Generation tells which start of the proxy its process comes from, or its last one: 1 for the first, one more for each
	// process that was started since. It goes on with the next agent, and begins anew only where no record is left of the
	// last process. 0 before the first start, and for a process that an earlier version of the library started.
	Generation uint64
	// StatusText is what its process says of itself (STATUS=, sd_notify(3)), one line of at most 512 bytes, or empty.
	StatusText string
	// Other is the other generation during a handover (ReplaceOverlap): the next one, which is not ready, or the
	// predecessor, which is ending; nil when there is none.
	Other *OtherGeneration
	// InState is how long it has been in its state; below 0 of a kind that the host registered.
	InState time.Duration
	// Uptime is the time since its process was started, by this agent or an earlier one, while that lives and its start is
	// known, else below 0.
	Uptime time.Duration
	// LastExitBy is what made its last process end.
	LastExitBy EndedBy
	// LastExitExpected tells that this end was expected: by a stop or a replacement, or by itself in a way that
	// ProxyConfig.ExpectedExit names.
	LastExitExpected bool
	// LastExitOOM tells that the kernel killed it, or another process of the proxy before it, for lack of memory. It is false
	// also where that is not counted: it is where the memory of its cgroup is controlled, as with ProxyConfig.Limits.
	LastExitOOM bool
	// LastStderr has the last lines that this process wrote to its standard error, at most 10 of them and at most 4096
	// bytes, without empty ones, control characters replaced. It is empty when the process was ended by a stop, when it wrote
	// none or not to a log, and until they are read, a moment after the end.
	LastStderr []string
	// StdoutLog and StderrLog are the files that its standard output and error go to, or empty.
	StdoutLog string
	StderrLog string
	// Cgroup is the directory of the cgroup that its processes are in, or were; empty when it has none of its own.
	Cgroup string
}

// EndedBy is what made a process end. A later version of the library may report others.
type EndedBy int32

// What can make a process end.
const (
	// EndedByNone: no process has ended.
	EndedByNone EndedBy = C.PROXYPROCESS_ENDED_BY_NONE
	// EndedByItself: nothing that the library did; it exited or crashed, or another process ended it.
	EndedByItself EndedBy = C.PROXYPROCESS_ENDED_BY_ITSELF
	// EndedByStop: a stop, or its replacement.
	EndedByStop EndedBy = C.PROXYPROCESS_ENDED_BY_STOP
	// EndedByNotReady: the stop of a process that was not ready within its StartTimeout.
	EndedByNotReady EndedBy = C.PROXYPROCESS_ENDED_BY_NOT_READY
	// EndedByWatchdog: its watchdog.
	EndedByWatchdog EndedBy = C.PROXYPROCESS_ENDED_BY_WATCHDOG
)

// String returns the name, like "watchdog".
func (b EndedBy) String() string {
	return C.GoString(C.proxyprocess_ended_by_str(C.int32_t(b)))
}

// OtherGeneration is the generation of a proxy that is not the one which serves.
type OtherGeneration struct {
	// Generation is greater than that of the status for the next one, smaller for the predecessor. 0 before the first start
	// of the next one, and for a process that an earlier version of the library started.
	Generation uint64
	// State is what it is doing.
	State ProxyState
	// PID is its process, or 0 while there is none.
	PID int
	// LastError is the last thing that went wrong with it.
	LastError string
	// Attempts is, of a next one, how many processes were started in this handover to take over, also of declarations that
	// were superseded meanwhile. 0 of a predecessor.
	Attempts uint64
	// NextStart is the time until its next start while it waits for one, else below 0.
	NextStart time.Duration
	// LastExit is how its last process ended.
	LastExit Exit
	// LastExitBy is what made that process end.
	LastExitBy EndedBy
	// LastExitExpected tells that this end was expected, as that of Status.
	LastExitExpected bool
	// LastExitOOM tells that the kernel killed it for lack of memory, as that of Status.
	LastExitOOM bool
	// LastStderr has the last lines that this process wrote to its standard error, as that of Status.
	LastStderr []string
}

// linesOf splits lines; NULL has none.
func linesOf(text *C.char) []string {
	if text == nil {
		return nil
	}
	return strings.Split(C.GoString(text), "\n")
}

// durationOf is a time of the library, or -1 for what there is not.
func durationOf(number C.uint64_t) time.Duration {
	if number == math.MaxUint64 {
		return -1
	}
	return time.Duration(number) * time.Millisecond
}

// statusList takes what several proxies are doing from the library.
type statusList struct {
	list *C.proxyprocess_status_list
}

func (l *statusList) free() {
	C.proxyprocess_status_list_free(l.list)
}

func (l *statusList) all() ([]Status, error) {
	all := make([]Status, C.proxyprocess_status_list_count(l.list))
	for i := range all {
		var status C.proxyprocess_proxy_status
		status.struct_size = C.sizeof_proxyprocess_proxy_status
		if err := call(func(failure **C.proxyprocess_error) C.int32_t {
			return C.proxyprocess_status_list_get(l.list, C.size_t(i), &status, failure)
		}); err != nil {
			return nil, err
		}
		all[i] = Status{
			ID:         C.GoString(status.id),
			Mode:       C.GoString(status.mode),
			State:      ProxyState(status.state),
			PID:        int(status.pid),
			Adopted:    status.adopted != 0,
			Restarts:   uint64(status.restarts),
			LastExit:   Exit{ExitKind(status.last_exit), int(status.last_exit_value)},
			NextStart:  durationOf(status.next_start_ms),
			LastError:  C.GoString(status.last_error),
			Unproven:   C.GoString(status.unproven),
			Hint:       C.GoString(status.hint),
			Ready:      status.ready != 0,
			Generation: uint64(status.generation),
			StatusText: C.GoString(status.status_text),
			InState:    durationOf(status.state_ms),
			Uptime:     durationOf(status.uptime_ms),
			LastExitBy: EndedBy(status.last_exit_by),
			LastStderr: linesOf(status.last_stderr),
			StdoutLog:  C.GoString(status.stdout_log),
			StderrLog:  C.GoString(status.stderr_log),
			Cgroup:     C.GoString(status.cgroup),

			LastExitExpected: status.last_exit_expected != 0,
			LastExitOOM:      status.last_exit_oom != 0,
		}
		if state := ProxyState(status.other_state); status.other_generation != 0 || state != 0 {
			all[i].Other = &OtherGeneration{
				Generation: uint64(status.other_generation),
				State:      state,
				PID:        int(status.other_pid),
				LastError:  C.GoString(status.other_error),
				Attempts:   uint64(status.other_attempts),
				NextStart:  durationOf(status.other_next_start_ms),
				LastExit:   Exit{ExitKind(status.other_last_exit), int(status.other_last_exit_value)},
				LastExitBy: EndedBy(status.other_last_exit_by),
				LastStderr: linesOf(status.other_last_stderr),

				LastExitExpected: status.other_last_exit_expected != 0,
				LastExitOOM:      status.other_last_exit_oom != 0,
			}
		}
	}
	return all, nil
}

func (l *statusList) json() (json.RawMessage, error) {
	var text *C.char
	var length C.size_t
	err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_status_list_json(l.list, &text, &length, failure)
	})
	return taken(text, length), err
}
