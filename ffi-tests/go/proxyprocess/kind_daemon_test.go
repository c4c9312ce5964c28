// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"path/filepath"
	"testing"

	"example.org/agent/proxyprocess"
)

// wrapped is a kind that is a Daemon, which a program may have reasons to wrap.
type wrapped struct{ *proxyprocess.Daemon }

func (w wrapped) Equal(other proxyprocess.Proxy) bool {
	return w.Daemon.Equal(other.(wrapped).Daemon)
}

func wrap(context proxyprocess.ProxyContext) (proxyprocess.Proxy, error) {
	var options struct{ Seconds string }
	if err := context.DecodeOptions(&options); err != nil {
		return nil, err
	}
	config := sleeper()
	config.Command[1] = options.Seconds
	daemon, err := proxyprocess.NewDaemon(context.ID, config, proxyprocess.DaemonOptions{})
	return wrapped{daemon}, err
}

func TestKindThatIsADaemonIsHandedOver(t *testing.T) {
	dataDir := filepath.Join(t.TempDir(), "data")
	state := newState(t)
	declared := proxyprocess.ProxyConfig{Mode: "wrapped", Options: map[string]interface{}{"seconds": "299"}}
	check(t, state.Set("a", declared))
	var daemons []*proxyprocess.Daemon
	begin := func() (*proxyprocess.Manager, reader) {
		manager := newManager(t, quick(state, dataDir))
		check(t, manager.RegisterKind("wrapped", func(context proxyprocess.ProxyContext) (proxyprocess.Proxy, error) {
			proxy, err := wrap(context)
			daemons = append(daemons, proxy.(wrapped).Daemon)
			return proxy, err
		}))
		events := read(t, manager)
		check(t, manager.Restore(""))
		return manager, events
	}
	first, events := begin()
	run(t, first)
	events.until(proxyprocess.EventStarted, "a")
	pid := status(t, daemons[0]).PID
	check(t, first.Snapshot(first.SnapshotPath()))
	check(t, first.Close())
	if !alive(pid) {
		t.Fatal("closing stops nothing")
	}

	second, events := begin()
	adopted := daemons[1]
	if got := status(t, adopted); got.PID != pid || !got.Adopted {
		t.Errorf("got %+v", got)
	}
	run(t, second)
	events.until(proxyprocess.EventStarted, "a")
	if got := status(t, adopted); got.PID != pid || got.Restarts != 0 {
		t.Errorf("got %+v", got)
	}
	check(t, second.Kill())
	if alive(pid) {
		t.Error("it lives")
	}
	for _, daemon := range daemons {
		daemon.Close()
	}
}
