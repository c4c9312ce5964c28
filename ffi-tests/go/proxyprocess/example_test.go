// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"example.org/agent/proxyprocess"
)

// An agent in short: a state, a manager that follows it, and what happens.
func Example() {
	state, err := proxyprocess.NewState()
	if err != nil {
		log.Fatal(err)
	}
	defer state.Close()
	if err := state.Set("web-proxy", proxyprocess.ProxyConfig{
		Command:    []string{"sleep", "1000"},
		StopSignal: syscall.SIGTERM,
	}); err != nil {
		log.Fatal(err)
	}

	manager, err := proxyprocess.NewManager(proxyprocess.ManagerOptions{State: state, AllowRoot: true})
	if err != nil {
		log.Fatal(err)
	}
	events, err := manager.Events()
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close()
	if err := manager.Restore(manager.SnapshotPath()); err != nil {
		log.Printf("going on without the snapshot: %v", err)
	}
	go manager.Run()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	event, err := events.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ID, event.Kind)
	if err := manager.Kill(); err != nil {
		log.Fatal(err)
	}
	// Output: web-proxy started
}

// A daemon is one process without a manager.
func ExampleDaemon() {
	daemon, err := proxyprocess.NewDaemonJSON("web-proxy", []byte(`{
		"command": ["sleep", "1000"], "stop_signal": "SIGTERM", "grace_period_ms": 1000
	}`), proxyprocess.DaemonOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer daemon.Close()
	if err := daemon.Start(); err != nil {
		log.Fatal(err)
	}
	status, err := daemon.Status()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.ID, "is", status.State)
	if err := daemon.Stop(); err != nil {
		log.Fatal(err)
	}
	// Output: web-proxy is running
}

// A process is replaced ten times, and each time a client connects meanwhile: the socket stays open, and none is refused.
func ExampleManager_Restart() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("web-proxy-%d.socket", os.Getpid()))
	state, err := proxyprocess.NewState()
	must(err)
	defer state.Close()
	must(state.Set("web-proxy", proxyprocess.ProxyConfig{
		Command: []string{"sleep", "1000"},
		Listen:  []proxyprocess.Listen{{Address: "unix:" + path}},
	}))
	manager, err := proxyprocess.NewManager(proxyprocess.ManagerOptions{State: state, AllowRoot: true})
	must(err)
	go manager.Run()
	must(manager.WaitUntil("web-proxy", proxyprocess.WaitRunning, 30*time.Second))
	for replaced := 0; replaced < 10; replaced++ {
		must(manager.Restart("web-proxy"))
		client, err := net.Dial("unix", path)
		must(err)
		must(client.Close())
		must(manager.WaitUntil("web-proxy", proxyprocess.WaitRunning, 30*time.Second))
	}
	must(manager.Kill())
	fmt.Println("10 replacements, and every connection was made")
	// Output: 10 replacements, and every connection was made
}
