// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"errors"
	"runtime/cgo"
	"unsafe"
)

// Manager starts, stops, snapshots and restores the proxies of a State. Nothing is started or stopped before Run; until
// then everything can be set up, and Restore called. It ends once: by Close, which leaves the proxies running for the
// next agent, or by Kill, which stops them; whichever comes second does nothing.
//
// None of its methods can be called by a Proxy, a Factory or the function of SetLog.
type Manager struct {
	handle       *handle
	snapshotPath string
}

// NewManager makes a manager of the proxies of a state, which may be filled before or after. It opens the data
// directory and holds its lock until the manager is closed or killed.
//
// Its errors are ErrInvalidConfig and ErrInvalidArgument, naming the option; ErrLocked, when another manager has the
// data directory; ErrUntrusted, when that is another user's or can be written by others; ErrIO and ErrExhausted.
func NewManager(options ManagerOptions) (*Manager, error) {
	if options.State == nil {
		return nil, &Error{Code: ErrNullArgument, Message: "State: expected a state, got nil"}
	}
	var mem cMemory
	defer mem.free()
	var filled C.proxyprocess_manager_options
	if err := options.fill(&filled, &mem); err != nil {
		return nil, err
	}
	var object *C.proxyprocess_manager
	if err := options.State.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_new(state, &filled, &object, failure)
	}); err != nil {
		return nil, err
	}
	manager := &Manager{handle: newHandle(unsafe.Pointer(object), func(pointer unsafe.Pointer) {
		C.proxyprocess_manager_free((*C.proxyprocess_manager)(pointer))
	})}
	var path *C.char
	if err := manager.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_snapshot_path(manager, &path, failure)
	}); err != nil {
		manager.Close()
		return nil, err
	}
	if path != nil {
		manager.snapshotPath = C.GoString(path)
		C.proxyprocess_text_free(path)
	}
	return manager, nil
}

func (m *Manager) use(function func(*C.proxyprocess_manager, **C.proxyprocess_error) C.int32_t) error {
	return m.handle.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		return function((*C.proxyprocess_manager)(object), failure)
	})
}

// RegisterKind registers a kind of proxy under a mode, by which declarations and snapshots name it: 1 to 64 of the
// characters a-z, 0-9, - and _. Call it before Restore and Run. A mode that is registered already, as ModeDaemon and
// ModeNoop always are, is ErrInvalidConfig.
//
// The factory is kept until the manager is closed or killed: a manager that its factory refers to must be, and is not
// released when it is forgotten.
func (m *Manager) RegisterKind(mode string, factory Factory) error {
	if factory == nil {
		return &Error{Code: ErrNullArgument, Message: "factory: expected a function, got nil"}
	}
	var mem cMemory
	defer mem.free()
	cmode := mem.text("mode", mode)
	if mem.err != nil {
		return mem.err
	}
	word := cgo.NewHandle(factory)
	err := m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_go_register_kind(manager, cmode, C.uintptr_t(word), failure)
	})
	if err != nil {
		word.Delete()
	}
	return err
}

// Restore takes over the proxies of an earlier manager of the same data directory: call it with an empty path, before Run.
// Processes that live, and are proven to be the recorded ones, are supervised when it returns; nothing is started. Tokens that
// were generated come back into the state. Where there is nothing to take over it does nothing.
//
// A snapshot of the data directory that cannot be read is renamed to snapshot.json.corrupt-<n>, and the error is
// ErrCorruptSnapshot; Run still finds the processes by their records. So an agent logs the error and goes on.
//
// Another path than SnapshotPath, which the empty one stands for, is for a change of directory or of agent: snapshots that
// Snapshot wrote, and those of Consul 1.2 to 1.4. The snapshot of another data directory names no processes: the records beside
// it do, and are read and not changed. While a manager has that directory the error is ErrLocked. Where there are no records
// that can be trusted, each proxy gets an EventAdoptionRefused and a LastError that say so, and Run starts another process of
// each that is wanted.
func (m *Manager) Restore(path string) error {
	var mem cMemory
	defer mem.free()
	cpath := mem.optional("path", path)
	if mem.err != nil {
		return mem.err
	}
	return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_restore(manager, cpath, failure)
	})
}

// Snapshot writes a snapshot to a path, atomically. Unlike the one that the manager keeps in its data directory, it
// names the living processes, so that it can be restored by a manager of another data directory. Needed only for that:
// the manager writes its own whenever something changed.
func (m *Manager) Snapshot(path string) error {
	var mem cMemory
	defer mem.free()
	cpath := mem.text("path", path)
	if mem.err != nil {
		return mem.err
	}
	return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_snapshot(manager, cpath, failure)
	})
}

// SnapshotPath returns where the manager keeps its snapshot, which may not exist yet. It is empty without a data
// directory.
func (m *Manager) SnapshotPath() string { return m.snapshotPath }

// Run follows the state until the manager is closed or killed, and returns when that is complete, with its result; while
// another Run is executing it returns at once. It blocks, and should be run in a goroutine, or at the end of main. Fill the
// state first: what was restored or recorded and is not in it is stopped by the first sync.
//
// Its errors are ErrClosed, when the manager was closed or killed before; ErrExhausted, after which it can be called
// again; and what Close or Kill has failed with, which both return.
func (m *Manager) Run() error {
	return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_run(manager, failure)
	})
}

// Close ends the manager and leaves the proxies running. When it returns every process is recorded, the snapshot is
// written, and the data directory is free for the next manager; Run returns as well. An error tells what went wrong; the
// manager is closed nevertheless, unless it is ErrInCallback.
func (m *Manager) Close() error {
	return m.handle.end(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_close((*C.proxyprocess_manager)(object), failure)
	})
}

// Kill ends the manager and stops all proxies, at the same time, restored ones and recorded ones that were not claimed
// included. It returns when they are gone, and so does Run then. An error tells what went wrong, ErrStillRunning what
// outlived SIGKILL or may live, ErrUnproven which processes may be of a proxy and were not signalled, ErrIO that only files
// are left; the manager is ended nevertheless, unless it is
// ErrInCallback.
func (m *Manager) Kill() error {
	return m.handle.end(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_kill((*C.proxyprocess_manager)(object), failure)
	})
}

// EndGrace ends the grace of all stops that are under way: what is left of their processes gets SIGKILL now, whatever time and
// whichever steps they have, and for those that are just being started or adopted to be stopped it comes as soon as they are
// there. So an agent that was asked to end, and is asked again, need not wait for a grace period of an hour.
//
// That concerns Kill, Pause, Restart and each stop by the State alike; in a handover both generations, as far as they are being
// stopped; what a crash has left, and a process that writes its core. Commands of a stop are killed. Stops that begin later have
// their grace, and while none is under way it does nothing. A Proxy of a registered kind is stopped by its own Stop, which this
// does not reach.
//
// It returns at once, and the stop as always when all are gone: at the latest about five seconds later, with ErrStillRunning if
// anything outlives SIGKILL. After the end it does nothing.
func (m *Manager) EndGrace() error {
	err := m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_end_grace(manager, failure)
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Reconfigure takes other settings, at once: periods, ProxyEnv and AllowRoot. Another ProxyEnv replaces every proxy
// whose environment comes out otherwise by it; AllowRoot has those tried again that were refused. DataDir and
// EventCapacity must be as they were, and State is not looked at. After an error nothing is changed.
func (m *Manager) Reconfigure(options ManagerOptions) error {
	var mem cMemory
	defer mem.free()
	var filled C.proxyprocess_manager_options
	if err := options.fill(&filled, &mem); err != nil {
		return err
	}
	return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_reconfigure(manager, &filled, failure)
	})
}

// Status returns what every proxy is doing, in the order of their ids. It is empty after the end.
func (m *Manager) Status() ([]Status, error) {
	var all []Status
	err := m.useStatus(func(list *statusList) (err error) {
		all, err = list.all()
		return err
	})
	return all, err
}

// StatusOf returns what one proxy is doing: what Status says of it, without the cost of all others.
//
// Its errors are ErrNotFound, when there is no proxy of this id, where one that was removed is there until its stop is done; and
// ErrClosed, when there will be none.
func (m *Manager) StatusOf(id string) (Status, error) {
	var list statusList
	err := m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_status_of(manager, id, &list.list, failure)
	})
	if err != nil {
		return Status{}, err
	}
	defer list.free()
	all, err := list.all()
	if err != nil || len(all) == 0 {
		return Status{}, err
	}
	return all[0], nil
}

// StatusJSON returns the same as one object by id, each with mode, state, pid, adopted, restarts, last_exit (as text),
// last_exit_kind ("code", "signal" or "unknown"), last_exit_value, last_exit_core_dumped, next_start_ms, last_error, unproven
// (a list of objects with pid, program and why), hint, ready, generation, status_text, other (an object with generation,
// state, pid, last_error, attempts, next_start_ms, and the keys that begin with last_exit, and last_stderr), state_ms,
// uptime_ms, last_exit_by, last_exit_expected, last_exit_oom, last_stderr (a list of lines), stdout_log, stderr_log and cgroup; null is what there
// is not.
func (m *Manager) StatusJSON() (json.RawMessage, error) {
	text := json.RawMessage("{}")
	err := m.useStatus(func(list *statusList) (err error) {
		text, err = list.json()
		return err
	})
	return text, err
}

// Metrics returns what the manager and its proxies do, as metrics in the text format of Prometheus, version 0.0.4 (content type
// "text/plain; version=0.0.4"). Counters of the manager begin with 0 at its creation; those of a proxy, which have the label
// "proxy", with its process.
func (m *Manager) Metrics() (string, error) {
	var text *C.char
	var length C.size_t
	err := m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_metrics(manager, &text, &length, failure)
	})
	if err != nil {
		return "", err
	}
	defer C.proxyprocess_text_free(text)
	return C.GoStringN(text, C.int(length)), nil
}

func (m *Manager) useStatus(function func(*statusList) error) error {
	var list statusList
	err := m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_status(manager, &list.list, failure)
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	defer list.free()
	return function(&list)
}

// Events returns a reader of the manager's lifecycle events from now on. Take it before Restore to see adoptions.
func (m *Manager) Events() (*Events, error) {
	return newEvents(func(events **C.proxyprocess_events) error {
		return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
			return C.proxyprocess_manager_events(manager, events, failure)
		})
	})
}
