// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
)

func TestChangesRunAndAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.put("nodes/n/proxies/a", sleeper(1), "nodes/n/groups", `["g"]`, "groups/g/proxies/a", sleeper(2), "groups/g/proxies/b",
		`{"mode":"noop"}`)
	a := w.agent("n")
	report := w.says("n", "that two are ready", func(r status.Report) bool { return r.Node.Ready == 2 })
	if report.Node.Declared != 2 || report.Node.NotReady != 0 || len(report.Proxies) != 0 {
		t.Errorf("got %+v", report)
	}
	first := a.processOf("a")
	// Of the group's and the node's own declaration, that of the node runs.
	if text, err := os.ReadFile("/proc/" + strconv.Itoa(first.pid) + "/cmdline"); err != nil || string(text) != "sleep\x00301\x00" {
		t.Errorf("got %q, %v", text, err)
	}
	w.runs("n", w.put("groups/g/proxies/a", sleeper(3)))
	expectAlive(t, "after a change that another one overrides", first)
	w.runs("n", w.put("nodes/n/proxies/a", sleeper(4)))
	second := a.processOf("a")
	if second == first || first.alive() {
		t.Error("the process was not replaced")
	}
	// Without its own the node runs that of the group; without both, none. This is one removal of two.
	w.runs("n", w.put("nodes/n/proxies/a", ""))
	third := a.processOf("a")
	if third == second || second.alive() {
		t.Error("the process was not replaced")
	}
	w.runs("n", w.put("groups/g/proxies/a", ""))
	if third.alive() {
		t.Error("the process was not stopped")
	}
	// A proxy that cannot run is told, and running is not the revision that it came with.
	revision := w.put("nodes/n/proxies/c", `{"command":["/no/such/program","--password=hunter2hunter2"]}`)
	report = w.says("n", "that c is not ready", func(r status.Report) bool { return r.Proxies["c"] != nil })
	if report.Node.Revision < revision || report.Node.Running >= revision || report.Node.NotReady != 1 {
		t.Errorf("got %+v", report.Node)
	}
	if text := string(report.Proxies["c"]); !strings.Contains(text, "no such") || strings.Contains(text, "hunter2") {
		t.Errorf("got %s", text)
	}
}

func TestABadDeclarationChangesNothingAndIsToldWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	const secret = "hunter2hunter2"
	good := `{"command":["sleep","301"],"stop_signal":15,"token":"` + secret + `","env":["KEY=` + secret + `"]}`
	w.put("nodes/n/groups", `["g"]`, "groups/g/proxies/a", good)
	a := w.agent("n")
	w.says("n", "that one is ready", func(r status.Report) bool { return r.Node.Ready == 1 })
	before := a.processOf("a")
	for _, bad := range []string{
		"no JSON", `{"command":["sleep","302"],"token":["` + secret + `"]}`, `{"command":"` + secret + `"}`, "\xff", `{}`,
		strings.Repeat(`{"a":`, 5000),
	} {
		revision := w.put("groups/g/proxies/a", bad)
		report := w.says("n", "that a does not count", func(r status.Report) bool {
			return r.Node.Revision >= revision && r.Errors["a"] != ""
		})
		if report.Node.Bad != 1 || report.Node.Ready != 1 || !strings.HasPrefix(report.Errors["a"], "declared for group g: ") {
			t.Errorf("got %+v", report)
		}
	}
	// Also for an agent that begins now.
	a.end(syscall.SIGKILL)
	a.start()
	w.says("n", "that it has begun again", func(r status.Report) bool {
		return r.Node.Bad == 1 && r.Node.Ready == 1 && r.Node.Started.UnixNano() > 0
	})
	expectAlive(t, "after bad declarations", before)
	w.runs("n", w.put("groups/g/proxies/a", good+" "))
	w.says("n", "that nothing is bad", func(r status.Report) bool { return r.Node.Bad == 0 && len(r.Errors) == 0 })
	// Neither the log nor the status has it; the last good state, which must, is for the owner alone.
	got, err := w.client.Get(ctx(t), keys.StatusPrefix, clientv3.WithPrefix())
	check(t, err)
	for _, kv := range got.Kvs {
		if strings.Contains(string(kv.Value), secret) {
			t.Errorf("%s: %s", kv.Key, kv.Value)
		}
	}
	if strings.Contains(a.log.text(), secret) || strings.Contains(a.out.text(), secret) {
		t.Error("the log has a secret")
	}
	if info, err := os.Stat(filepath.Join(a.dir, "fleet.state")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestAKilledAgentGoesOnWithTheSameProcessesAndWritesItsStatusAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, id := range []string{"a", "b", "c"} {
		w.put("nodes/n/proxies/"+id, sleeper(1))
	}
	a := w.agent("n")
	w.says("n", "that three are ready", func(r status.Report) bool { return r.Node.Ready == 3 })
	before := map[string]process{}
	for _, id := range []string{"a", "b", "c"} {
		before[id] = a.processOf(id)
	}
	got, err := w.client.Get(ctx(t), keys.Root, clientv3.WithPrefix(), clientv3.WithCountOnly())
	check(t, err)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		a.end(signal)
		a.start()
		started := a.status().Node.Started
		w.says("n", "that it has begun anew", func(r status.Report) bool { return r.Node.Started.Equal(started) && r.Node.Ready == 3 })
		for id, process := range before {
			expectAlive(t, id, process)
		}
		if strings.Contains(a.log.text(), "added") {
			t.Errorf("it followed something:\n%s", a.log.text())
		}
	}
	watch := w.client.Watch(ctx(t), keys.Root, clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1))
	w.put("nodes/x/proxies/end", "1")
	for ended := false; !ended; {
		for _, event := range (<-watch).Events {
			switch key := string(event.Kv.Key); {
			case strings.HasSuffix(key, "/end"):
				ended = true
			case key != keys.StatusKey("n") && !strings.HasPrefix(key, keys.StatusKey("n")+"/proxies/"):
				t.Errorf("%s was written", key)
			}
		}
	}
}

func TestADeclarationThatMovesInOneStepIsNotStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.put("nodes/n/groups", `["g","h"]`, "groups/g/proxies/a", sleeper(1), "groups/g/proxies/b", sleeper(1))
	a := w.agent("n")
	w.says("n", "that two are ready", func(r status.Report) bool { return r.Node.Ready == 2 })
	before := a.processOf("a")
	places := []string{"groups/g/proxies/a", "nodes/n/proxies/a", "groups/h/proxies/a"}
	revision := int64(0)
	for i := 0; i < 300; i++ {
		revision = w.put(places[i%3], "", places[(i+1)%3], sleeper(1))
	}
	w.runs("n", revision)
	expectAlive(t, "after it was moved 300 times", before)
	if strings.Contains(a.log.text(), "removed") {
		t.Errorf("it was removed:\n%s", a.log.text())
	}
}

func TestStatusVanishesWithTheNodeAndIsWrittenOnceASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.put("nodes/n/proxies/a", sleeper(1))
	a := w.agent("n", "--lease-ttl", "2s")
	first := w.says("n", "that one is ready", func(r status.Report) bool { return r.Node.Ready == 1 })
	if first.Node.Started.IsZero() {
		t.Error("it does not say since when it runs")
	}
	got, err := w.client.Get(ctx(t), keys.StatusKey("n"))
	check(t, err)
	// Fifty changes, as fast as they can be made.
	revision := int64(0)
	for i := 0; i < 50; i++ {
		revision = w.put("nodes/n/proxies/b", `{"mode":"noop","target_service":"`+strconv.Itoa(i)+`"}`)
	}
	w.runs("n", revision)
	written, err := w.client.Get(ctx(t), keys.StatusKey("n"))
	check(t, err)
	if writes := written.Kvs[0].Version - got.Kvs[0].Version; writes > 4 {
		t.Errorf("%d writes", writes)
	}
	from := written.Header.Revision + 1
	a.end(syscall.SIGKILL)
	for event := range w.client.Watch(ctx(t), keys.StatusKey("n"), clientv3.WithRev(from), clientv3.WithFilterPut()) {
		if len(event.Events) > 0 {
			return
		}
	}
	t.Error("the status stays")
}
