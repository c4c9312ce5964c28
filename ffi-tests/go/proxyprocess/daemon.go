// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"unsafe"
)

// Daemon is one supervised process without a manager: started, restarted with backoff when it ends, and stopped. Unlike
// with a manager, no token is generated when none is declared, and it may run as root. It implements Proxy.
type Daemon struct {
	handle *handle
}

// DaemonOptions are the files of a Daemon. An empty path is none.
type DaemonOptions struct {
	// PidPath is a file that holds the pid and a newline while the process runs. When it cannot be written, the process
	// runs nevertheless and the error is logged.
	PidPath string
	// StdoutPath is a file to which the standard output is appended; without one it is lost.
	StdoutPath string
	// StderrPath is a file to which the standard error is appended; without one it is lost.
	StderrPath string
}

func (o *DaemonOptions) fill(options *C.proxyprocess_daemon_options, mem *cMemory) error {
	code := C.proxyprocess_daemon_options_init(options, C.sizeof_proxyprocess_daemon_options)
	if code != C.PROXYPROCESS_OK {
		return Code(code)
	}
	options.pid_path = mem.optional("pid_path", o.PidPath)
	options.stdout_path = mem.optional("stdout_path", o.StdoutPath)
	options.stderr_path = mem.optional("stderr_path", o.StderrPath)
	return mem.err
}

// NewDaemon makes a daemon that is not started. A declaration that can never work may be an error only of Start.
func NewDaemon(id string, config ProxyConfig, files DaemonOptions) (*Daemon, error) {
	var mem cMemory
	defer mem.free()
	var options C.proxyprocess_proxy_options
	if err := config.fill(&options, &mem); err != nil {
		return nil, err
	}
	return newDaemon(id, files, &mem, func(
		id *C.char, files *C.proxyprocess_daemon_options, daemon **C.proxyprocess_daemon, failure **C.proxyprocess_error,
	) C.int32_t {
		return C.proxyprocess_daemon_new(id, &options, files, daemon, failure)
	})
}

// NewDaemonJSON makes a daemon that is not started, from the JSON form of a declaration, an object like
// {"command": ["/bin/a"]}.
func NewDaemonJSON(id string, declaration []byte, files DaemonOptions) (*Daemon, error) {
	var mem cMemory
	defer mem.free()
	return newDaemon(id, files, &mem, func(
		id *C.char, files *C.proxyprocess_daemon_options, daemon **C.proxyprocess_daemon, failure **C.proxyprocess_error,
	) C.int32_t {
		text, length := bytesOf(declaration)
		return C.proxyprocess_daemon_new_json(id, text, length, files, daemon, failure)
	})
}

func newDaemon(
	id string,
	files DaemonOptions,
	mem *cMemory,
	create func(
		*C.char, *C.proxyprocess_daemon_options, **C.proxyprocess_daemon, **C.proxyprocess_error,
	) C.int32_t,
) (*Daemon, error) {
	var options C.proxyprocess_daemon_options
	cid := mem.text("id", id)
	if err := files.fill(&options, mem); err != nil {
		return nil, err
	}
	var daemon *C.proxyprocess_daemon
	if err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return create(cid, &options, &daemon, failure)
	}); err != nil {
		return nil, err
	}
	return &Daemon{newHandle(unsafe.Pointer(daemon), func(pointer unsafe.Pointer) {
		C.proxyprocess_daemon_free((*C.proxyprocess_daemon)(pointer))
	})}, nil
}

func (d *Daemon) use(function func(*C.proxyprocess_daemon, **C.proxyprocess_error) C.int32_t) error {
	return d.handle.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		return function((*C.proxyprocess_daemon)(object), failure)
	})
}

// Start starts the process and keeps it running. Starting a started daemon is no error; a stopped one is started anew.
//
// It returns when the first attempt succeeded; or, after a failure that may pass (missing program, exhausted processes,
// full disk), with the next attempt scheduled and the failure in the status and the log.
func (d *Daemon) Start() error {
	return d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_daemon_start(daemon, failure)
	})
}

// Stop stops the process: the stop signal to its group, SIGKILL after the grace period. It returns when the whole group
// is gone; ErrUnproven then names other processes that may be of it and were not signalled. Stopping a daemon that is not
// started, or twice, is no error; after Close it has no effect. Start starts it again.
func (d *Daemon) Stop() error {
	err := d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_daemon_stop(daemon, failure)
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// EndGrace ends the grace of a Stop that is under way in another goroutine, as Manager.EndGrace does: what is left of the process
// gets SIGKILL now. While nothing is being ended, and after Close, it does nothing.
func (d *Daemon) EndGrace() error {
	err := d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_daemon_end_grace(daemon, failure)
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Close ends the supervision, leaves the process running, and releases the daemon.
func (d *Daemon) Close() error {
	return d.handle.end(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_daemon_close((*C.proxyprocess_daemon)(object), failure)
	})
}

// Equal reports whether the other is a Daemon and the same process as declared: id, command, directory, environment,
// token, credentials and files. How it is stopped and restarted, and the agent's own environment, do not count. A daemon
// out of a snapshot of Consul's equals one whose declared variables its process has, whichever others that has.
func (d *Daemon) Equal(other Proxy) bool {
	second, ok := other.(*Daemon)
	if !ok || second == nil || !second.handle.acquire() {
		return false
	}
	defer second.handle.release()
	var equal C.uint8_t
	err := d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		other := (*C.proxyprocess_daemon)(second.handle.pointer)
		return C.proxyprocess_daemon_equal(daemon, other, &equal, failure)
	})
	return err == nil && equal != 0
}

// MarshalSnapshot returns what UnmarshalSnapshot needs to take the process over, in another agent as well: the
// declaration, the token in the clear, and the process if one lives. Numbers are of type json.Number. It is nil after
// Close.
func (d *Daemon) MarshalSnapshot() map[string]interface{} {
	var text *C.char
	var length C.size_t
	if d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_daemon_marshal_snapshot(daemon, &text, &length, failure)
	}) != nil {
		return nil
	}
	snapshot, err := decodeSnapshot(taken(text, length))
	if err != nil {
		return nil
	}
	return snapshot
}

// UnmarshalSnapshot becomes the daemon of a snapshot. A process that lives, and is proven to be the one of the
// snapshot, is supervised at once; one that is gone is started by Start. What MarshalSnapshot of Consul 1.2 to 1.4
// returned (CommandArgs, CommandDir, CommandEnv, CommandPath, Pid, ProxyID, ProxyToken) is read as well, and the files of
// this daemon are kept then. An error names the field, or says that this daemon was started already, and nothing is
// changed.
func (d *Daemon) UnmarshalSnapshot(snapshot map[string]interface{}) error {
	encoded, err := json.Marshal(snapshot)
	if err != nil {
		return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("snapshot: %v", err)}
	}
	return d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		text, length := bytesOf(encoded)
		return C.proxyprocess_daemon_unmarshal_snapshot(daemon, text, length, failure)
	})
}

// Status returns what the daemon is doing.
func (d *Daemon) Status() (Status, error) {
	var list statusList
	err := d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_daemon_status(daemon, &list.list, failure)
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

// Events returns a reader of the daemon's lifecycle events from now on.
func (d *Daemon) Events() (*Events, error) {
	return newEvents(func(events **C.proxyprocess_events) error {
		return d.use(func(daemon *C.proxyprocess_daemon, failure **C.proxyprocess_error) C.int32_t {
			return C.proxyprocess_daemon_events(daemon, events, failure)
		})
	})
}
