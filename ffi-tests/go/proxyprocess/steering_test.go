// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"testing"

	"example.org/agent/proxyprocess"
)

func TestManagerRestart(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	check(t, state.Set("other", sleeper()))
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	expect(t, manager.Restart("web"), proxyprocess.ErrNotFound)
	run(t, manager)
	pids := events.started("other", "web")
	check(t, manager.Restart("web"))
	second := events.until(proxyprocess.EventStarted, "web").PID
	if second == pids["web"] || alive(pids["web"]) || !alive(pids["other"]) {
		t.Error("just the one process is replaced")
	}
	expect(t, manager.Restart("undeclared"), proxyprocess.ErrNotFound)
	expect(t, manager.Restart("a\x00b"), proxyprocess.ErrInvalidConfig)
	expect(t, manager.Restart("\xff"), proxyprocess.ErrInvalidUTF8)
	check(t, manager.Kill())
	expect(t, manager.Restart("web"), proxyprocess.ErrClosed)
}
