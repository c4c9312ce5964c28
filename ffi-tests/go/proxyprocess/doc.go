// SPDX-License-Identifier: MPL-2.0

// Package proxyprocess runs the proxies of an agent: it starts them, restarts them with backoff, logs them, stops them,
// and after the agent was restarted, upgraded or killed it takes them over again, still running. It is the library
// proxyprocess behind the interface of Consul 1.4's package agent/proxyprocess. Linux only.
//
// A State holds the desired set of proxies. A Manager follows it:
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
// A Daemon is one process without a manager. Kinds of proxy that are no processes implement Proxy, and are registered
// with Manager.RegisterKind.
//
// # Errors
//
// The errors of the library are of type *Error; errors.Is finds their Code, as in errors.Is(err, ErrLocked), and the
// errno of the system call behind it, as in errors.Is(err, fs.ErrPermission).
//
// # Log
//
// NewLogs and Manager.Logs read the log by pull, as Events reads what happens; SetLog has a function called instead.
//
// # Lifetime
//
// What has a Close method is released by it. Close can be called at any time, by several goroutines and more than once;
// other methods return ErrClosed after it. A value that is forgotten instead is released by the garbage collector, some
// time: a Manager or a Daemon then leaves its processes running. All methods can be called by several goroutines at the
// same time.
//
// # Callbacks
//
// The methods of a Proxy of one's own, its Factory and the function of SetLog are called on threads of the library as
// well as on those of goroutines. They must not end their goroutine (runtime.Goexit, testing.T.FailNow). A panic in
// them is logged with its stack and becomes an error. What they cannot call returns ErrInCallback; nor may they wait
// for another goroutine that calls it.
//
// # Environment
//
// Processes inherit the environment of the program as it is when NewManager or Daemon.Start is called. The library
// reads it as C programs do: it must not be changed (os.Setenv) meanwhile. Variables that a service manager has addressed
// to the program are not inherited, such as NOTIFY_SOCKET and LISTEN_FDS.
//
// # Linking
//
// The header is found by CGO_CFLAGS=-I..., the library by CGO_LDFLAGS=-L..., unless they are where the compiler looks.
// With a static library there, the program needs no other.
package proxyprocess

// #cgo LDFLAGS: -lproxyprocess -lgcc_s -lutil -lrt -lpthread -lm -ldl
import "C"
