// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
)

func TestAMassDeletionAsksForAConfirmation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	_, err := w.client.Delete(ctx(t), keys.Root+"/nodes/n/proxies/", clientv3.WithPrefix())
	check(t, err)
	report := w.says("n", "that three are held", func(r status.Report) bool { return r.Node.Held != nil })
	if fmt.Sprint(report.Node.Held.Removed) != "[a b c]" {
		t.Errorf("got %+v", report.Node.Held)
	}
	// Everything else is followed meanwhile, and the next agent holds them as well.
	w.runs("n", w.put("nodes/n/proxies/e", sleeper(1)))
	a.end(syscall.SIGKILL)
	a.start()
	w.runs("n", w.put("nodes/n/proxies/e", sleeper(2)))
	expectAllAlive(t, "after a mass deletion", before)
	// Of what comes back nothing is held any more.
	w.put("nodes/n/proxies/a", sleeper(1), "nodes/n/proxies/b", sleeper(1), "nodes/n/proxies/c", sleeper(1))
	w.says("n", "that nothing is held", func(r status.Report) bool { return r.Node.Held == nil && r.Node.Ready == 5 })
	expectAllAlive(t, "after they came back", before)
	// What fleetctl removes is confirmed by it.
	w.ctl("rm", "--node", "n", "a", "b", "c")
	w.says("n", "that three are gone", func(r status.Report) bool { return r.Node.Declared == 2 && r.Node.Ready == 2 })
	// That confirmation is used up: it is older than what is declared now.
	w.runs("n", w.put("nodes/n/proxies/a", sleeper(1), "nodes/n/proxies/b", sleeper(1), "nodes/n/proxies/c", sleeper(1)))
	again := map[string]process{"a": a.processOf("a"), "b": a.processOf("b"), "c": a.processOf("c")}
	w.put("nodes/n/proxies/a", "", "nodes/n/proxies/b", "", "nodes/n/proxies/c", "")
	report = w.says("n", "that three are held", func(r status.Report) bool { return r.Node.Held != nil })
	expectAllAlive(t, "after a confirmation that was used up", again)
	w.ctl("confirm", "--node", "n", report.Node.Held.Confirm)
	w.says("n", "that three are gone", func(r status.Report) bool { return r.Node.Held == nil && r.Node.Declared == 2 })
}

func TestTheLimitOfRemovalsIsTheOneThatIsSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for i := 0; i < 10; i++ {
		w.put(fmt.Sprintf("nodes/n/proxies/p%d", i), `{"mode":"noop"}`)
	}
	w.agent("n", "--max-removed", "2")
	w.says("n", "that ten are ready", func(r status.Report) bool { return r.Node.Ready == 10 })
	w.runs("n", w.put("nodes/n/proxies/p0", "", "nodes/n/proxies/p1", ""))
	w.put("nodes/n/proxies/p2", "")
	report := w.says("n", "that the third is held", func(r status.Report) bool { return r.Node.Held != nil })
	if report.Node.Declared != 8 || fmt.Sprint(report.Node.Held.Removed) != "[p2]" {
		t.Errorf("got %+v", report.Node)
	}
}

func TestAListOfGroupsThatIsGarbageOrGoneChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	for _, list := range []string{"garbage", `{"g":1}`, `["g/../h"]`, `null`, "\xff\x00", ""} {
		revision := w.put("nodes/n/groups", list)
		w.says("n", "that the list is a problem", func(r status.Report) bool {
			return r.Node.Revision >= revision && len(r.Node.Problems) == 1 && strings.Contains(r.Node.Problems[0], "groups")
		})
		expectAllAlive(t, fmt.Sprintf("with groups %q", list), before)
	}
	// The group is still followed. A removal while the list is gone is held: whatever took the list may have taken that.
	w.runs("n", w.put("groups/g/proxies/d", sleeper(2)))
	before["d"] = a.processOf("d")
	w.put("nodes/n/proxies/a", "")
	w.says("n", "that a removal is held", func(r status.Report) bool { return r.Node.Held != nil })
	a.end(syscall.SIGKILL)
	a.start()
	w.runs("n", w.put("groups/g/proxies/e", sleeper(1)))
	expectAllAlive(t, "an agent that begins without the list", before)
	// An empty list is how a node leaves its groups.
	w.put("nodes/n/groups", `[]`, "nodes/n/proxies/a", sleeper(1))
	w.says("n", "that the group is left", func(r status.Report) bool {
		return r.Node.Held == nil && r.Node.Ready == 3 && len(r.Node.Problems) == 0
	})
	if before["d"].alive() {
		t.Error("the group was not left")
	}
}

func TestWithoutTheLastGoodStateNothingIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	state := filepath.Join(a.dir, "fleet.state")
	for name, damage := range map[string]func() error{
		"gone":    func() error { return os.Remove(state) },
		"damaged": func() error { return os.Truncate(state, 100) },
	} {
		a.end(syscall.SIGKILL)
		check(t, damage())
		w.members[0].Kill()
		a.start()
		a.logged("the last good state is not known", 0)
		a.logged("cut off from the store", 0)
		expectAllAlive(t, "state "+name+", without the store", before)
		check(t, w.members[0].Start())
		// The store names all that runs.
		w.runs("n", w.put("nodes/n/proxies/x"+name, `{"mode":"noop"}`))
		expectAllAlive(t, "state "+name+", with the store", before)
	}
	// It does not name one of them.
	a.end(syscall.SIGKILL)
	check(t, os.Remove(state))
	w.put("nodes/n/proxies/a", "")
	a.start()
	report := w.says("n", "that all waits", func(r status.Report) bool { return r.Node.Held != nil })
	if fmt.Sprint(report.Node.Held.Removed) != "[a]" {
		t.Errorf("got %+v", report.Node.Held)
	}
	expectAllAlive(t, "with a store that does not name one", before)
	w.ctl("confirm", "--node", "n", report.Node.Held.Confirm)
	w.says("n", "that all is followed", func(r status.Report) bool {
		return r.Node.Held == nil && r.Node.Ready == r.Node.Declared && r.Node.Ready > 3
	})
	if before["a"].alive() {
		t.Error("the confirmation was not followed")
	}
	delete(before, "a")
	expectAllAlive(t, "after the confirmation", before)
}

func TestADiskThatTakesNothingKeepsWhatRunsAndChangesFollowLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	// In the place of the next state, something that cannot be written to.
	obstacle := filepath.Join(a.dir, "fleet.state.next")
	check(t, os.Mkdir(obstacle, 0o700))
	w.put("nodes/n/proxies/a", sleeper(2))
	w.says("n", "that the disk is a problem", func(r status.Report) bool {
		return len(r.Node.Problems) == 1 && strings.Contains(r.Node.Problems[0], "disk: ")
	})
	expectAllAlive(t, "with a disk that takes nothing", before)
	check(t, os.Remove(obstacle))
	w.says("n", "that it is well", func(r status.Report) bool {
		return len(r.Node.Problems) == 0 && r.Node.Ready == 4 && r.Node.Running == r.Node.Revision
	})
	if before["a"].alive() {
		t.Error("the change was not followed")
	}
}

func TestHostileKeysAndValuesHarmNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, "--max-request-bytes", "10000000")
	a, before := w.three()
	long := strings.Repeat("i", 2000)
	revision := w.put(
		"nodes/n/proxies/", `{"mode":"noop"}`, "nodes/n/proxies/"+long, `{"mode":"noop"}`, "nodes/n/proxies/\x00", `{"mode":"noop"}`,
		"nodes/n/proxies/\xff\xfe", `{"mode":"noop"}`, "nodes/n/proxies/big", `{"mode":"noop","options":{"a":"`+strings.Repeat("x", 900_000)+`"}}`,
		"nodes/n/proxies/deep", strings.Repeat("[", 100_000), "nodes/n/proxies/twice", `{"mode":"noop","mode":"noop"}`,
		"nodes/n/proxies/../../m/proxies/x", `{"mode":"noop"}`, "nodes/n/unknown", "x", "nodes/n/confirm", strings.Repeat("c", 400_000),
		"rollouts/g", `{"at_once":"1e99%"}`, "nodes/n/proxies/new\nline", `{"mode":"noop"}`, "nodes/n/proxies/root",
		`{"command":["sleep","300"],"user":"no such user"}`, "nodes/n/proxies/kind", `{"mode":"lamp"}`,
	)
	report := w.says("n", "that it has seen them", func(r status.Report) bool { return r.Node.Revision >= revision && r.Node.Bad > 4 })
	for _, id := range []string{"", long, "\x00", "\xff\xfe", "deep", "twice", "kind"} {
		if len(id) > 1024 {
			id = id[:1024]
		}
		if report.Errors[id] == "" {
			t.Errorf("%.20q counts", id)
		}
	}
	if !strings.Contains(strings.Join(report.Node.Problems, ";"), "rollout of g") {
		t.Errorf("got %q", report.Node.Problems)
	}
	expectAllAlive(t, "with hostile values", before)
	for _, line := range strings.Split(a.log.text(), "\n") {
		if len(line) > 2000 {
			t.Errorf("a line of %d bytes: %.100q", len(line), line)
		}
	}
	w.runs("n", w.put("nodes/n/proxies/root", "", "nodes/n/proxies/a", sleeper(2)))
	w.ctl("status", "n")
}
