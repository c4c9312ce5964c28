// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

func TestProxyIsReadyWhenItReportsAndStoppedWhenItIsLate(t *testing.T) {
	state := newState(t)
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	reports := shell("echo >&5; exec sleep 300")
	reports.ReadyFD = 5
	check(t, state.Set("reports", reports))
	if generation := events.until(proxyprocess.EventReady, "reports").Generation; generation != 1 {
		t.Errorf("expected the first generation, got %d", generation)
	}
	late := sleeper()
	late.ReadyUnix, late.StartTimeout = "/nonexistent/socket", 50*time.Millisecond
	check(t, state.Set("late", late))
	reason := "connect to /nonexistent/socket: No such file or directory (os error 2)"
	if text := events.until(proxyprocess.EventNotReady, "late").Text; text != reason {
		t.Errorf("expected %q, got %q", reason, text)
	}
	all, err := manager.Status()
	check(t, err)
	for _, status := range all {
		if status.Ready != (status.ID == "reports") {
			t.Errorf("%s: ready is %v", status.ID, status.Ready)
		}
		if status.ID == "reports" && status.Generation != 1 {
			t.Errorf("expected the first generation, got %d", status.Generation)
		}
		if status.ID == "late" && !strings.HasPrefix(status.LastError, "not ready in 50 ms: connect to ") {
			t.Errorf("last error: %q", status.LastError)
		}
	}
	notifies := proxyprocess.ProxyConfig{Command: []string{os.Args[0], "-test.run=^TestNotifies$"}, ReadyNotify: true}
	notifies.Env = append(notifies.Env, "PROXYPROCESS_NOTIFIES=1")
	check(t, state.Set("notifies", notifies))
	events.until(proxyprocess.EventReady, "notifies")
	all, err = manager.Status()
	check(t, err)
	for _, status := range all {
		if status.ID == "notifies" && (!status.Ready || status.StatusText != "2 workers") {
			t.Errorf("ready is %v, status %q", status.Ready, status.StatusText)
		}
	}
	notifies.Reload = &proxyprocess.Reload{Notify: true}
	check(t, state.Set("notifies", notifies))
	check(t, state.Set("marker", sleeper()))
	events.until(proxyprocess.EventStarted, "marker")
	check(t, manager.Reload("notifies"))
	events.until(proxyprocess.EventReady, "notifies")
	hangs := shell("ulimit -c 0; exec sleep 300")
	hangs.Watchdog = 50 * time.Millisecond
	check(t, state.Set("hangs", hangs))
	if text := events.until(proxyprocess.EventWatchdogExpired, "hangs").Text; text != "no message for 50 ms" {
		t.Errorf("unexpected reason: %q", text)
	}
	// It serves while the next one, which does not become ready, is started beside it.
	replaced := sleeper()
	replaced.Replace = proxyprocess.ReplaceOverlap
	check(t, state.Set("replaced", replaced))
	events.until(proxyprocess.EventStarted, "replaced")
	replaced.ReadyFD = 3
	check(t, state.Set("replaced", replaced))
	next := events.until(proxyprocess.EventStarted, "replaced")
	all, err = manager.Status()
	check(t, err)
	for _, status := range all {
		if (status.ID == "replaced") != (status.Other != nil) {
			t.Errorf("%s: the other generation is %v", status.ID, status.Other)
		} else if status.ID == "replaced" {
			other := proxyprocess.OtherGeneration{Generation: 2, State: proxyprocess.StateStarting, PID: next.PID}
			other.Attempts, other.NextStart = 1, -1
			if !reflect.DeepEqual(*status.Other, other) || status.Generation != 1 {
				t.Errorf("expected %v beside the first one, got %v beside %d", other, *status.Other, status.Generation)
			}
		}
	}
	// Nor while each next one ends.
	ends := shell(`echo why >&2; exit 7`)
	ends.Replace, ends.ReadyFD, ends.Restart = replaced.Replace, 3, proxyprocess.RestartPolicy{BackoffMin: -1}
	ends.Output = &proxyprocess.Output{Stderr: filepath.Join(t.TempDir(), "stderr")}
	check(t, state.Set("replaced", ends))
	ctx := deadline(t)
	for told := false; !told; {
		check(t, ctx.Err())
		all, err = manager.Status()
		check(t, err)
		for _, status := range all {
			if other := status.Other; other != nil && len(other.LastStderr) > 0 && other.NextStart > 0 {
				told = true
				exit := proxyprocess.Exit{Kind: proxyprocess.ExitCode, Value: 7}
				if other.LastExit != exit || other.LastExitBy != proxyprocess.EndedByItself || other.LastExitExpected ||
					other.LastStderr[0] != "why" || other.Attempts != 2 || status.LastExit != exit {
					t.Errorf("got %+v of %+v", other, status)
				}
			}
		}
	}
	refused := sleeper()
	refused.ReadyTCP = "localhost:80"
	expect(t, state.Set("refused", refused), proxyprocess.ErrInvalidArgument)
}

// TestNotifies is the proxy of the test above: it says that it is ready, and on SIGHUP that it has reloaded, at a time that is
// never over.
func TestNotifies(t *testing.T) {
	if os.Getenv("PROXYPROCESS_NOTIFIES") == "" {
		t.Skip("started by another test")
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	address := net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	connection, err := net.DialUnix(address.Net, nil, &address)
	check(t, err)
	_, err = connection.Write([]byte("READY=1\nSTATUS=2 workers"))
	check(t, err)
	for range hangups {
		for _, text := range []string{"RELOADING=1\nMONOTONIC_USEC=9000000000000000000", "READY=1"} {
			_, err = connection.Write([]byte(text))
			check(t, err)
		}
	}
}
