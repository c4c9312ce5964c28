// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"strings"
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
	refused := sleeper()
	refused.ReadyTCP = "localhost:80"
	expect(t, state.Set("refused", refused), proxyprocess.ErrInvalidArgument)
}
