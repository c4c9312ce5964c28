// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"example.org/agent/proxyprocess"
)

func TestSocketIsThereBeforeAndAfterTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	state := newState(t)
	manager := newManager(t, quick(state, ""))
	events := read(t, manager)
	run(t, manager)
	web := shell(`test $LISTEN_FDS = 1 && test $LISTEN_PID = $$ && test -S /proc/self/fd/3 && echo >&4; exec sleep 300`)
	web.ReadyFD = 4
	web.Listen = []proxyprocess.Listen{{Address: "unix:" + path, Name: "web", Mode: "0600"}}
	check(t, state.Set("web", web))
	events.until(proxyprocess.EventReady, "web")
	connects(t, path)
	check(t, manager.Signal("web", syscall.SIGKILL))
	events.until(proxyprocess.EventExited, "web")
	connects(t, path)
	events.until(proxyprocess.EventReady, "web")
	refused := sleeper()
	refused.Listen = []proxyprocess.Listen{{Address: "localhost:80"}}
	expect(t, state.Set("refused", refused), proxyprocess.ErrInvalidConfig)
}

func connects(t *testing.T, path string) {
	t.Helper()
	connection, err := net.Dial("unix", path)
	check(t, err)
	check(t, connection.Close())
}
