// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"syscall"
	"time"
)

// WaitFor is what Manager.WaitUntil waits for.
type WaitFor int32

const (
	// WaitRunning: the proxy is in the state StateRunning.
	WaitRunning WaitFor = C.PROXYPROCESS_WAIT_RUNNING
	// WaitCompleted: the proxy is in the state StateCompleted, which it never is with RestartAlways.
	WaitCompleted WaitFor = C.PROXYPROCESS_WAIT_COMPLETED
	// WaitPaused: the proxy is in the state StatePaused, and nothing of it runs.
	WaitPaused WaitFor = C.PROXYPROCESS_WAIT_PAUSED
)

// Restart restarts one proxy from the declaration that is followed: its process is stopped as a changed declaration stops
// it, and started anew when nothing of it is left; with ReplaceOverlap the next one is started first, and this one stopped
// when that is ready. It returns when the restart has begun, and waits neither for the stop nor
// for the start: events tell both. The backoff begins anew, and a proxy that waits for its next start, or has failed, is
// started at once. A Proxy of a registered kind is made anew by its Factory, after which the old one is stopped and the new
// one started.
//
// Its errors are ErrNotFound, when no proxy of this id is managed, as before the first sync of Run; ErrClosed; and of a
// Proxy of a registered kind what its Factory fails with, and ErrIO when the snapshot cannot be written.
func (m *Manager) Restart(id string) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_restart(manager, id, failure)
	})
}

// Retry tries now what one proxy waits for: a start that is due later, or the identification of a process that may live; and
// starts one that has failed, or was given up, which has all its failures before it again. The backoff goes on where it was.
// Nothing happens to a proxy that runs, is being started or stopped, or has completed; and no start begins beside what holds it.
// It returns when it has begun. A Proxy of a registered kind that has failed is restarted. A declaration that is set again
// unchanged retries nothing.
//
// Its errors are those of Restart.
func (m *Manager) Retry(id string) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_retry(manager, id, failure)
	})
}

// ResetCrashes forgets how often one proxy has crashed and how often its starts have failed: the backoff begins anew with the
// next crash, failures count anew for GiveUpAfter, and Status.Restarts is 0. A wait that is under way goes on, and a proxy that has
// failed stays so: see Retry.
//
// Its errors are ErrNotFound, when no proxy of this id is managed, and ErrClosed.
func (m *Manager) ResetCrashes(id string) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_reset_crashes(manager, id, failure)
	})
}

// Pause pauses one proxy: its process is stopped as declared, and not started again, while the proxy stays declared and is shown
// in StatePaused. Its Listen sockets are closed, and what its processes have stored is forgotten. It returns when the stop has
// begun; WaitUntil waits for its end. The proxy is paused until Resume, also under a changed declaration and, with a data
// directory, by the next agent; until it is removed; or until it is declared as Disabled, which holds from then on.
//
// Its errors are ErrNotFound, when no proxy of this id is managed; ErrInvalidConfig, when it is of another kind than ModeDaemon;
// ErrIO, when that could not be written down for the next agent, and nothing is stopped; and ErrClosed.
func (m *Manager) Pause(id string) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_pause(manager, id, failure)
	})
}

// Resume runs one proxy again that Pause has paused, with a backoff that begins anew. It returns when that has begun. A proxy that
// is not paused stays as it is.
//
// Its errors are those of Pause, and ErrPaused, when it is declared as Disabled.
func (m *Manager) Resume(id string) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_resume(manager, id, failure)
	})
}

// Signal sends a signal to the process of one proxy, for what the program makes of it: SIGHUP to reload, SIGUSR1 to open its
// logs anew. Only the leader gets it, no other process of its group, and never a process that has a recycled pid. A process
// that ends by it has ended by itself: it is restarted as after a crash. A proxy that is being stopped can be sent one as
// well, also when it was removed from the State.
//
// Its errors are ErrInvalidArgument, when there is no such signal; ErrNotFound, when there is no proxy of this id;
// ErrNotRunning, when it has no process now, or is of a registered kind; ErrIO, when the kernel refuses, as fs.ErrPermission
// when the agent may not signal the process; and ErrClosed.
func (m *Manager) Signal(id string, signal syscall.Signal) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_signal(manager, id, C.int32_t(signal), failure)
	})
}

// Reload has the process of one proxy reload its configuration, as ProxyConfig.Reload says: by a signal to its leader, which it
// may have to confirm, or by a command, which is run with the environment, directory and credentials of the proxy, and with the
// pid of the leader in MAINPID. It returns when the kernel has taken the signal; or when the process has confirmed that it has
// reloaded, or the command has exited, which keeps a thread. The declaration is the one that is followed. A stop of the proxy
// that comes meanwhile ends the command, a close does not. The process stays what it is, confirmed or not.
//
// Its errors are ErrCommandFailed, when the command has not exited with 0; ErrTimeout, when it took too long and was killed
// with its group, and ErrStillRunning, when it outlived that; ErrTimeout also when the process has not confirmed its reload
// within ProxyConfig.StartTimeout; ErrStartFailed and ErrRootRefused, when the command was not started; ErrInvalidConfig, when
// the proxy declares no Reload; ErrNotFound, when there is no proxy of this id; ErrNotRunning, when it has no process now, or is
// of a registered kind, or, where it is to confirm, its process is not ready or has ended before it did; ErrIO, when the kernel
// refuses the signal or a log cannot be opened; and ErrClosed.
func (m *Manager) Reload(id string) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_reload(manager, id, failure)
	})
}

// WaitUntil waits until one proxy is as wanted, as it is declared when this is called: a declaration that was changed before
// is followed first. So after State.Set it waits for the new process, and after Restart for the next one. Nothing is polled,
// and no event is missed. Before Run nothing is followed, so it waits for the first sync. A timeout of zero does not wait,
// and a negative one waits without limit. The wait keeps a thread, and cannot be interrupted.
//
// Its errors are ErrTimeout; ErrNotFound, when the proxy is not declared, or was removed meanwhile; the error with which the
// proxy has failed, such as ErrRootRefused and ErrStartFailed, when it cannot be started as it is declared; ErrNotRunning, when
// it has completed and was to run, or has failed with its exit and is not started again; and ErrClosed, also when the manager is
// closed or killed meanwhile.
func (m *Manager) WaitUntil(id string, what WaitFor, timeout time.Duration) error {
	return m.steer(id, func(manager *C.proxyprocess_manager, id *C.char, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_manager_wait_until(manager, id, C.int32_t(what), timeoutOf(timeout), failure)
	})
}

// steer makes a call about one proxy.
func (m *Manager) steer(
	id string, function func(*C.proxyprocess_manager, *C.char, **C.proxyprocess_error) C.int32_t,
) error {
	var mem cMemory
	defer mem.free()
	cid := mem.text("id", id)
	if mem.err != nil {
		return mem.err
	}
	return m.use(func(manager *C.proxyprocess_manager, failure **C.proxyprocess_error) C.int32_t {
		return function(manager, cid, failure)
	})
}
