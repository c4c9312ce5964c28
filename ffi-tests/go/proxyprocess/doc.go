// SPDX-License-Identifier: MPL-2.0

// Package proxyprocess runs the proxies of an agent: it starts them, restarts them with backoff, writes their logs and
// stops them. After the agent was restarted, upgraded or killed, the next one takes over the same running processes. It
// is the library proxyprocess with the interface of Consul 1.4's package agent/proxyprocess. Linux only.
//
// A State holds the desired set of proxies. A Manager applies it:
//
//	state, err := proxyprocess.NewState()
//	...
//	err = state.Set("web-proxy", proxyprocess.ProxyConfig{Command: []string{"sleep", "1000"}})
//	...
//	manager, err := proxyprocess.NewManager(proxyprocess.ManagerOptions{State: state, DataDir: "proxies"})
//	...
//	if err := manager.Restore(""); err != nil {
//		log.Printf("going on without the snapshot: %v", err)
//	}
//	go manager.Run()
//	...
//	err = manager.Close() // the proxies run on for the next agent; Kill stops them
//
// A Daemon is one process without a manager. Kinds of proxies that are not processes implement Proxy, and are
// registered with Manager.RegisterKind.
//
// # Errors
//
// The errors of the library are of type *Error; errors.Is finds their Code, as in errors.Is(err, ErrLocked), and the
// errno of the system call behind it, as in errors.Is(err, fs.ErrPermission).
//
// # Log
//
// NewLogs and Manager.Logs return readers of the log, like Events for events; SetLog sets a function that is called
// for each line instead.
//
// # Lifetime
//
// Close releases a value. It can be called at any time, by several goroutines and more than once; other methods return
// ErrClosed after it. A value that is never closed is released by the garbage collector at some time: a Manager or a
// Daemon then leaves its processes running. All methods can be called by several goroutines at the same time.
//
// # Callbacks
//
// The methods of a Proxy that a program implements, its Factory and the function of SetLog are called on threads of the
// library as well as on those of goroutines. They must not end their goroutine (runtime.Goexit, testing.T.FailNow). A
// panic in them is logged with its stack and becomes an error. Functions that they must not call return ErrInCallback;
// nor may they wait for another goroutine that calls one of these.
//
// # Environment
//
// Processes inherit the environment of the program at the time when NewManager or Daemon.Start is called. The library
// reads it like a C program: it must not be changed (os.Setenv) during these calls. Variables that a service manager has
// set for the program itself, such as NOTIFY_SOCKET and LISTEN_FDS, are not inherited.
//
// # Linking
//
// CGO_CFLAGS=-I... names the directory of the header, and CGO_LDFLAGS=-L... that of the library, unless the compiler
// finds them. If that directory has only the static library, the program needs no shared one.
package proxyprocess

// #cgo LDFLAGS: -lproxyprocess -lgcc_s -lutil -lrt -lpthread -lm -ldl
import "C"
