// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

// sameJSON tells whether two texts are the same value, with all digits of its numbers.
func sameJSON(t *testing.T, got []byte, expected string) {
	t.Helper()
	decode := func(text []byte) (value interface{}) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return value
	}
	if !reflect.DeepEqual(decode(got), decode([]byte(expected))) {
		t.Fatalf("expected %s, got %s", expected, got)
	}
}

func TestEveryFieldOfADeclaration(t *testing.T) {
	state := newState(t)
	score, nice, umask, hard := int32(0), int32(-3), uint32(0027), proxyprocess.RLimitUnlimited
	check(t, state.Set("web", proxyprocess.ProxyConfig{
		Command:       []string{"/bin/a", "b", "", "ü"},
		Dir:           "/tmp",
		Env:           []string{"A=b=c", "B="},
		UnsetEnv:      []string{"C", "D"},
		ClearEnv:      true,
		Token:         "secret",
		TargetService: "db",
		StopSignal:    syscall.SIGUSR1,
		GracePeriod:   1500 * time.Microsecond,
		LeftoverGrace: time.Second,
		Restart: proxyprocess.RestartPolicy{
			HealthyAfter: time.Nanosecond, BackoffMin: 7, MaxWait: -1, Jitter: 0.5, Policy: proxyprocess.RestartNever,
			GiveUpAfter: proxyprocess.GiveUpAfter{Failures: 8, Within: time.Microsecond},
		},
		Credentials:     &proxyprocess.Credentials{UID: 1, GID: 2, Groups: []uint32{3, 4294967294}},
		DescriptorLimit: 256,
		OOMScoreAdj:     &score,
		RLimits:         map[string]proxyprocess.RLimit{"core": {}, "nproc": {Soft: 1, Hard: &hard}},
		Nice:            &nice,
		CPUAffinity:     []uint32{7, 0, 1},
		Umask:           &umask,
		NoNewPrivs:      true,
		Argv0:           "web-server",
		Output:          &proxyprocess.Output{Stdout: "/log/ü", Stderr: proxyprocess.OutputFile, Owner: proxyprocess.OutputOwnerProxy, MaxBytes: 65536, Keep: 99},
		Detached:        true,
		ReadyTCP:        "[::1]:8080",
		StartTimeout:    time.Microsecond,
		Watchdog:        1500 * time.Millisecond,
		FDStoreMax:      7,
		Limits:          &proxyprocess.CgroupLimits{MemoryMax: 1 << 28, CPUMax: 150},
		Replace:         proxyprocess.ReplaceOverlap,
		Disabled:        true,
		ExpectedExit:    []proxyprocess.ExpectedExit{{Code: 64}, {Signal: syscall.SIGTERM}},
		Listen:          []proxyprocess.Listen{{Address: "tcp:[::1]:80", IPv6Only: new(bool)}, {Address: "unix:/run/web", Mode: "0600"}},
	}))
	declaration, err := state.Get("web")
	check(t, err)
	sameJSON(t, declaration, `{
		"command": ["/bin/a", "b", "", "ü"], "dir": "/tmp", "env": ["A=b=c", "B="], "token": "secret",
		"target_service": "db", "stop_signal": "SIGUSR1", "grace_period_ms": 2,
		"restart": {"healthy_after_ms": 1, "attempts_before_backoff": 7, "max_wait_ms": 0, "jitter": 0.5,
			"policy": "never", "give_up_after": {"failures": 8, "within_ms": 1}}, "expected_exit": [64, "SIGTERM"], "enabled": false,
		"credentials": {"uid": 1, "gid": 2, "groups": [3, 4294967294]},
		"unset_env": ["C", "D"], "clear_env": true, "leftover_grace_ms": 1000,
		"descriptor_limit": 256, "oom_score_adj": 0, "detached": true,
		"rlimits": {"core": {"soft": 0}, "nproc": {"soft": 1, "hard": "unlimited"}}, "nice": -3, "cpu_affinity": ["0-1", 7],
		"umask": "0027", "no_new_privs": true, "argv0": "web-server", "output": {"stdout": "/log/ü", "owner": "proxy", "max_bytes": 65536, "keep": 99},
		"ready": {"tcp": "[::1]:8080"}, "start_timeout_ms": 1, "watchdog_ms": 1500, "fd_store_max": 7, "limits": {"memory_max": 268435456, "cpu_max": 150}, "replace": "overlap",
		"listen": [{"address": "tcp:[::1]:80", "ipv6_only": false}, {"address": "unix:/run/web", "mode": "0600"}]
	}`)

	check(t, state.Set("own", proxyprocess.ProxyConfig{
		Mode: "own-kind", Token: "x", GracePeriod: -1, Restart: proxyprocess.RestartPolicy{BackoffMin: -1},
		Options: map[string]interface{}{"large": uint64(1<<63 + 1)},
	}))
	declaration, err = state.Get("own")
	check(t, err)
	sameJSON(t, declaration, `{"mode": "own-kind", "token": "x", "grace_period_ms": 0, "restart": {
		"healthy_after_ms": 10000, "attempts_before_backoff": 0, "max_wait_ms": 60000, "jitter": 0.0},
		"options": {"large": 9223372036854775809}}`)

	steps := proxyprocess.ProxyConfig{Command: []string{"/bin/a"}}
	steps.Stop = []proxyprocess.StopStep{
		{Signal: syscall.SIGUSR1, For: 1500 * time.Microsecond, LeaderOnly: true},
		{Command: []string{"/bin/b", "ü"}, For: time.Second}, {Signal: syscall.SIGTERM},
	}
	check(t, state.Set("steps", steps))
	declaration, err = state.Get("steps")
	check(t, err)
	var stop struct{ Stop json.RawMessage }
	check(t, json.Unmarshal(declaration, &stop))
	sameJSON(t, stop.Stop, `[{"signal": "SIGUSR1", "for_ms": 2, "leader_only": true},
		{"command": ["/bin/b", "ü"], "for_ms": 1000}, {"signal": "SIGTERM", "for_ms": 0}]`)
	reloading := sleeper()
	reloading.Reload = &proxyprocess.Reload{Command: []string{"/bin/b", "ü"}, Timeout: time.Second}
	check(t, state.Set("reloading", reloading))
	declaration, err = state.Get("reloading")
	check(t, err)
	var reload struct{ Reload json.RawMessage }
	check(t, json.Unmarshal(declaration, &reload))
	sameJSON(t, reload.Reload, `{"command": ["/bin/b", "ü"], "timeout_ms": 1000}`)
	checked := sleeper()
	checked.ReadyCommand, checked.ReadyCommandTimeout = []string{"/bin/c", "ü"}, time.Second
	check(t, state.Set("checked", checked))
	declaration, err = state.Get("checked")
	check(t, err)
	var ready struct{ Ready json.RawMessage }
	check(t, json.Unmarshal(declaration, &ready))
	sameJSON(t, ready.Ready, `{"command": ["/bin/c", "ü"], "timeout_ms": 1000}`)
	checked.ReadyNotify = true
	expect(t, state.Set("checked", checked), proxyprocess.ErrInvalidArgument)
	confirms := sleeper()
	confirms.Reload = &proxyprocess.Reload{Notify: true}
	expect(t, state.Set("confirms", confirms), proxyprocess.ErrInvalidConfig)
	confirms.ReadyNotify = true
	for signal, written := range map[syscall.Signal]string{
		0: `"notify"`, syscall.SIGUSR1: `{"signal": "SIGUSR1", "notify": true}`,
	} {
		confirms.Reload.Signal = signal
		check(t, state.Set("confirms", confirms))
		declaration, err = state.Get("confirms")
		check(t, err)
		check(t, json.Unmarshal(declaration, &reload))
		sameJSON(t, reload.Reload, written)
	}
	reloading.Reload.Signal = syscall.SIGHUP
	expect(t, state.Set("reloading", reloading), proxyprocess.ErrInvalidConfig)
	reloading.Reload = &proxyprocess.Reload{}
	expect(t, state.Set("reloading", reloading), proxyprocess.ErrInvalidConfig)
	steps.Stop[1].Signal = syscall.SIGINT
	expect(t, state.Set("steps", steps), proxyprocess.ErrInvalidConfig)
	steps.Stop[1] = proxyprocess.StopStep{}
	expect(t, state.Set("steps", steps), proxyprocess.ErrInvalidConfig)
	steps.Stop = steps.Stop[:1]
	steps.GracePeriod = time.Second
	expect(t, state.Set("steps", steps), proxyprocess.ErrInvalidConfig)
	steps.GracePeriod, steps.Stop = 0, []proxyprocess.StopStep{}
	expect(t, state.Set("steps", steps), proxyprocess.ErrInvalidConfig)

	expect(t, state.Set("web", proxyprocess.ProxyConfig{}), proxyprocess.ErrInvalidConfig)
	tooLong := sleeper()
	tooLong.GracePeriod = proxyprocess.PeriodMax + time.Millisecond
	expect(t, state.Set("web", tooLong), proxyprocess.ErrInvalidArgument)
	for _, score := range []int32{-1001, 1001} {
		score := score
		outOfRange := sleeper()
		outOfRange.OOMScoreAdj = &score
		expect(t, state.Set("web", outOfRange), proxyprocess.ErrInvalidConfig)
	}
	noCPU := sleeper()
	noCPU.CPUAffinity = []uint32{}
	expect(t, state.Set("web", noCPU), proxyprocess.ErrInvalidConfig)
	named := sleeper()
	named.User, named.Group = "envoy", "proxies"
	check(t, state.Set("named", named))
	declaration, err = state.Get("named")
	check(t, err)
	var names struct{ User, Group string }
	check(t, json.Unmarshal(declaration, &names))
	if names.User != named.User || names.Group != named.Group {
		t.Fatalf("got %s", declaration)
	}
	named.Credentials = &proxyprocess.Credentials{UID: 1, GID: 1}
	expect(t, state.Set("named", named), proxyprocess.ErrInvalidConfig)
	contradiction := sleeper()
	contradiction.Env, contradiction.UnsetEnv = []string{"A=1"}, []string{"A"}
	expect(t, state.Set("web", contradiction), proxyprocess.ErrInvalidConfig)
	unencodable := sleeper()
	unencodable.Options = map[string]interface{}{"channel": make(chan int)}
	expect(t, state.Set("web", unencodable), proxyprocess.ErrInvalidConfig)
}

func TestSetOfDeclarations(t *testing.T) {
	state := newState(t)
	check(t, state.SetJSON("a", []byte(`{"command": ["/bin/a"]}`)))
	check(t, state.Set("b", sleeper()))
	expect(t, state.SetJSON("c", nil), proxyprocess.ErrInvalidConfig)
	check(t, state.SetJSON("marked", []byte("\ufeff"+`{"mode": "noop", "token": "x", "stop_signal": "SIGRTMIN+3"}`)))
	marked, err := state.Get("marked")
	check(t, err)
	sameJSON(t, marked, `{"mode": "noop", "token": "x", "stop_signal": "37"}`)
	_, err = state.Remove("marked")
	check(t, err)
	expect(t, state.Set("", sleeper()), proxyprocess.ErrInvalidID)

	token := func(id string) string {
		t.Helper()
		declaration, err := state.Get(id)
		check(t, err)
		var read struct{ Token string }
		check(t, json.Unmarshal(declaration, &read))
		return read.Token
	}
	first := token("a")
	if len(first) < 32 || first == token("b") {
		t.Errorf("tokens %q and %q", first, token("b"))
	}
	check(t, state.SetJSON("a", []byte(`{"command": ["/bin/other"]}`)))
	if token("a") != first {
		t.Error("another token for the same id")
	}
	for _, existed := range []bool{true, false} {
		removed, err := state.Remove("a")
		check(t, err)
		if removed != existed {
			t.Errorf("removed: %v", removed)
		}
	}
	if declaration, err := state.Get("a"); err != nil || declaration != nil {
		t.Errorf("got %s, %v", declaration, err)
	}
	check(t, state.Set("a", sleeper()))

	listed, err := state.List()
	check(t, err)
	if len(listed) != 2 || !strings.Contains(string(listed["b"]), "sleep") {
		t.Errorf("got %s", listed)
	}
	all, err := json.Marshal(listed)
	check(t, err)
	check(t, state.ReplaceAllJSON([]byte(`{"only": {"command": ["x"]}}`)))
	expect(t, state.ReplaceAllJSON([]byte(`{"web": {"command": ["a\u0000b"]}}`)), proxyprocess.ErrInvalidConfig)
	if listed, _ := state.List(); len(listed) != 1 {
		t.Errorf("got %s", listed)
	}
	check(t, state.ReplaceAllJSON(all))
	if listed, _ := state.List(); len(listed) != 2 {
		t.Errorf("got %s", listed)
	}
}

// Arguments are bytes, not texts.
func TestBytesThatAreNoText(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", proxyprocess.ProxyConfig{Command: []string{"/bin/a", "\xff"}, Token: "x"}))
	declaration, err := state.Get("web")
	check(t, err)
	sameJSON(t, declaration, `{"command": ["/bin/a", [255]], "token": "x"}`)
}

func TestSubscription(t *testing.T) {
	state := newState(t)
	subscription, err := state.Subscribe()
	check(t, err)
	wait := func(timeout time.Duration) bool {
		t.Helper()
		changed, err := subscription.Wait(timeout)
		check(t, err)
		return changed
	}
	if wait(0) || wait(time.Microsecond) {
		t.Error("nothing has changed")
	}
	check(t, state.Set("a", sleeper()))
	check(t, state.Set("b", sleeper()))
	if !wait(-1) || wait(0) {
		t.Error("two changes are told once")
	}
	var waiting sync.WaitGroup
	waiting.Add(1)
	go func() {
		defer waiting.Done()
		if changed, err := subscription.Wait(patience); !changed || err != nil {
			t.Errorf("got %v, %v", changed, err)
		}
	}()
	check(t, state.Set("c", sleeper()))
	waiting.Wait()
	check(t, subscription.Close())
	check(t, subscription.Close())
	_, err = subscription.Wait(0)
	expect(t, err, proxyprocess.ErrClosed)
}

func TestManagerKeepsTheSetOfAClosedState(t *testing.T) {
	state := newState(t)
	check(t, state.Set("web", sleeper()))
	manager := newManager(t, quick(state, ""))
	check(t, state.Close())
	check(t, state.Close())
	expect(t, state.Set("web", sleeper()), proxyprocess.ErrClosed)
	events := read(t, manager)
	run(t, manager)
	events.until(proxyprocess.EventStarted, "web")
}
