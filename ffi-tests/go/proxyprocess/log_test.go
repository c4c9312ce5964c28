// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.org/agent/proxyprocess"
)

// logTo has the library log into a text until the test ends.
func logTo(t *testing.T, level proxyprocess.LogLevel) *lines {
	t.Helper()
	logged := &lines{}
	check(t, proxyprocess.SetLog(level, func(level proxyprocess.LogLevel, message string) {
		fmt.Fprintf(logged, "%v: %s\n", level, message)
	}))
	t.Cleanup(func() { check(t, proxyprocess.SetLog(proxyprocess.LogOff, nil)) })
	return logged
}

func startAndStop(t *testing.T, config proxyprocess.ProxyConfig) {
	t.Helper()
	daemon := newDaemon(t, "web", config, proxyprocess.DaemonOptions{})
	check(t, daemon.Start())
	check(t, daemon.Stop())
	check(t, daemon.Close())
}

func TestLog(t *testing.T) {
	logged := logTo(t, proxyprocess.LogInfo)
	startAndStop(t, sleeper())
	for _, part := range []string{"info: proxy web: started, pid ", "info: proxy web: stopped\n"} {
		if !strings.Contains(logged.String(), part) {
			t.Errorf("no %q in %s", part, logged)
		}
	}
	if strings.Contains(logged.String(), "debug") {
		t.Errorf("got %s", logged)
	}
	errorsOnly := logTo(t, proxyprocess.LogError)
	before := logged.String()
	startAndStop(t, sleeper())
	if logged.String() != before || errorsOnly.String() != "" {
		t.Errorf("got %s and %s", logged, errorsOnly)
	}
	expect(t, proxyprocess.SetLog(7, func(proxyprocess.LogLevel, string) {}), proxyprocess.ErrInvalidArgument)
	startAndStop(t, proxyprocess.ProxyConfig{Command: []string{"/missing/program"}})
	if !strings.Contains(errorsOnly.String(), "/missing/program") {
		t.Errorf("the earlier function is gone: %s", errorsOnly)
	}
}

func TestLogLevel(t *testing.T) {
	names := ""
	for level := proxyprocess.LogOff; level <= proxyprocess.LogTrace+1; level++ {
		names += level.String() + " "
	}
	if names != "off error warn info debug trace level 6 " {
		t.Errorf("got %s", names)
	}
}

func TestLogThatPanics(t *testing.T) {
	stacks := captureLog(t)
	check(t, proxyprocess.SetLog(proxyprocess.LogInfo, func(proxyprocess.LogLevel, string) { panic("on purpose") }))
	startAndStop(t, sleeper())
	check(t, proxyprocess.SetLog(proxyprocess.LogOff, nil))
	if !strings.Contains(stacks.String(), "on purpose") {
		t.Errorf("got %s", stacks)
	}
}

func TestLogThatCallsTheLibrary(t *testing.T) {
	state := newState(t)
	var mu sync.Mutex
	var got []error
	check(t, proxyprocess.SetLog(proxyprocess.LogInfo, func(proxyprocess.LogLevel, string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, state.Set("web", sleeper()), proxyprocess.SetLog(proxyprocess.LogOff, nil))
	}))
	startAndStop(t, sleeper())
	check(t, proxyprocess.SetLog(proxyprocess.LogOff, nil))
	if len(got) == 0 {
		t.Error("nothing was logged")
	}
	for _, err := range got {
		expect(t, err, proxyprocess.ErrInCallback)
	}
}
