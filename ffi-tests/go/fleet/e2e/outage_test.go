// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/fleettest"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
)

// three are three proxies of node n, and a fourth of its group.
func (w *world) three() (*agent, map[string]process) {
	w.t.Helper()
	w.put("nodes/n/proxies/a", sleeper(1), "nodes/n/proxies/b", sleeper(1), "nodes/n/proxies/c", sleeper(1),
		"nodes/n/groups", `["g"]`, "groups/g/proxies/d", sleeper(1))
	a := w.agent("n")
	w.says("n", "that four are ready", func(r status.Report) bool { return r.Node.Ready == 4 })
	processes := map[string]process{}
	for _, id := range []string{"a", "b", "c", "d"} {
		processes[id] = a.processOf(id)
	}
	return a, processes
}

func expectAllAlive(t *testing.T, what string, processes map[string]process) {
	t.Helper()
	for id, process := range processes {
		expectAlive(t, what+", proxy "+id, process)
	}
}

func TestWithoutTheStoreProxiesAreKeptRestartedAndTheTimeIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	begun := time.Now().Add(-time.Second)
	w.members[0].Kill()
	cut := a.logged("cut off from the store since", 0)
	said := a.status().Node.CutOff
	if said == nil || said.Before(begun) || said.After(time.Now()) {
		t.Errorf("it says that it is cut off since %v", said)
	}
	expectAllAlive(t, "without the store", before)
	// One that ends is restarted.
	check(t, syscall.Kill(before["a"].pid, syscall.SIGKILL))
	a.logged("proxy a: started", cut)
	restarted := a.processOf("a")
	if restarted == before["a"] {
		t.Error("a was not restarted")
	}
	before["a"] = restarted
	// Agents that are killed go on with all of it.
	a.end(syscall.SIGKILL)
	a.start()
	a.logged("cut off from the store since", 0)
	if report := a.untilStatus("that four are ready", func(r status.Report) bool { return r.Node.Ready == 4 }); report.Node.CutOff == nil {
		t.Errorf("got %+v", report.Node)
	}
	expectAllAlive(t, "an agent that begins without the store", before)
	check(t, syscall.Kill(before["b"].pid, syscall.SIGKILL))
	a.logged("proxy b: started", 0)
	before["b"] = a.processOf("b")
	// The store comes back.
	check(t, w.members[0].Start())
	a.logged("the store is reached again", 0)
	report := w.runs("n", w.put("nodes/n/proxies/e", sleeper(1)))
	if report.Node.Declared != 5 || report.Node.CutOff != nil || report.Node.WasCutOff == nil {
		t.Errorf("got %+v", report.Node)
	}
	expectAllAlive(t, "with the store again", before)
}

func TestACutOffAgentFollowsWhatWasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	a.end(syscall.SIGKILL)
	revision := w.put("nodes/n/proxies/a", sleeper(2), "nodes/n/proxies/b", "", "nodes/n/proxies/e", sleeper(1))
	a.start()
	w.runs("n", revision)
	if before["a"].alive() || before["b"].alive() {
		t.Error("changes were not followed")
	}
	delete(before, "a")
	delete(before, "b")
	expectAllAlive(t, "what did not change", before)
	// It went on from where it was: nothing was read again, so nothing is said of the other ones.
	if strings.Contains(a.log.text(), "held back") {
		t.Errorf("got\n%s", a.log.text())
	}
}

func TestCompactionHoldsARemovalThatCannotBeProvenAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	a.end(syscall.SIGKILL)
	revision := w.put("nodes/n/proxies/a", sleeper(2), "nodes/n/proxies/b", "")
	_, err := w.client.Compact(ctx(t), w.put("nodes/n/proxies/e", sleeper(1)), clientv3.WithCompactPhysical())
	check(t, err)
	a.start()
	report := w.says("n", "that b is held", func(r status.Report) bool { return r.Node.Held != nil && r.Node.Ready == 5 })
	if held := report.Node.Held; fmt.Sprint(held.Removed) != "[b]" || !strings.Contains(held.Why, "compacted") ||
		report.Node.Revision < revision {
		t.Errorf("got %+v", held)
	}
	expectAlive(t, "a removal that cannot be proven", before["b"])
	if before["a"].alive() {
		t.Error("the change was not followed")
	}
	// It stays so with the next agent, until it is confirmed.
	a.end(syscall.SIGKILL)
	a.start()
	w.runs("n", w.put("nodes/n/proxies/e", sleeper(2)))
	expectAlive(t, "after another restart", before["b"])
	w.ctl("confirm", "--node", "n", report.Node.Held.Confirm)
	w.says("n", "that nothing is held", func(r status.Report) bool { return r.Node.Held == nil && r.Node.Declared == 4 && r.Node.Ready == 4 })
	if before["b"].alive() {
		t.Error("the confirmation was not followed")
	}
}

// another replaces the store by another one at the same address.
func (w *world) another(prepare func(dir string)) {
	w.t.Helper()
	w.members[0].Kill()
	check(w.t, os.RemoveAll(w.members[0].Dir))
	if prepare != nil {
		prepare(w.members[0].Dir)
	}
	check(w.t, w.members[0].Start())
	w.connect()
}

func TestAnEmptyStoreStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	w.another(nil)
	a.logged("nothing that differs is followed", 0)
	report := w.says("n", "that all is held", func(r status.Report) bool { return r.Node.Held != nil })
	if held := report.Node.Held; fmt.Sprint(held.Removed) != "[a b c d]" || !strings.Contains(held.Why, "the store") {
		t.Errorf("got %+v", held)
	}
	expectAllAlive(t, "with an empty store", before)
	// Nor with an agent that begins with it.
	a.end(syscall.SIGKILL)
	a.start()
	a.logged("held back", 0)
	started := a.status().Node.Started
	w.says("n", "that all is still held, since it has begun anew", func(r status.Report) bool {
		if r.Node.Started.Equal(started) && r.Node.Held == nil {
			t.Error("an agent that has not heard of the store yet says that nothing is held")
		}
		return r.Node.Started.Equal(started) && r.Node.Held != nil
	})
	expectAllAlive(t, "an agent that begins with an empty store", before)
	// What is declared again is what runs: it is trusted again.
	w.put("nodes/n/groups", `["g"]`, "groups/g/proxies/d", sleeper(1))
	w.put("nodes/n/proxies/a", sleeper(1), "nodes/n/proxies/b", sleeper(1), "nodes/n/proxies/c", sleeper(1))
	w.says("n", "that nothing is held", func(r status.Report) bool { return r.Node.Held == nil && r.Node.Ready == 4 })
	w.runs("n", w.put("nodes/n/proxies/a", sleeper(2)))
	if before["a"].alive() {
		t.Error("a change of the store that is trusted again was not followed")
	}
	delete(before, "a")
	expectAllAlive(t, "after all was declared again", before)
}

func TestAnEmptyStoreWithAHigherRevisionStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.put("nodes/n/proxies/a", sleeper(1))
	a := w.agent("n")
	revision := w.runs("n", 1).Node.Revision
	before := a.processOf("a")
	a.end(syscall.SIGKILL)
	// The cluster has the same name and addresses, and so the same id; and writes of other nodes have taken it further.
	w.another(nil)
	for at := int64(0); at < revision+10; at = w.put("status/other", "x") {
	}
	a.start()
	report := w.says("n", "that all is held", func(r status.Report) bool { return r.Node.Held != nil })
	if fmt.Sprint(report.Node.Held.Removed) != "[a]" {
		t.Errorf("got %+v", report.Node.Held)
	}
	expectAlive(t, "with an empty store that went further", before)
}

func TestARestoredBackupChangesNothingUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	w.put("nodes/n/proxies/old", sleeper(1))
	w.runs("n", w.put("nodes/n/proxies/a", sleeper(2)))
	backup := filepath.Join(w.dir, "backup.db")
	etcdctl(t, "--endpoints", w.members[0].URL, "snapshot", "save", backup)
	w.runs("n", w.put("nodes/n/proxies/a", sleeper(3), "nodes/n/proxies/old", "", "nodes/n/proxies/e", sleeper(1)))
	before["a"], before["e"] = a.processOf("a"), a.processOf("e")
	w.another(func(dir string) {
		etcdctl(t, "snapshot", "restore", backup, "--data-dir", dir, "--name", w.members[0].Name,
			"--initial-cluster", w.members[0].Name+"="+w.members[0].Peer, "--initial-advertise-peer-urls", w.members[0].Peer)
	})
	report := w.says("n", "that all is held", func(r status.Report) bool { return r.Node.Held != nil })
	held := report.Node.Held
	if fmt.Sprint(held.Added, held.Changed, held.Removed) != "[old] [a] [e]" {
		t.Errorf("got %+v", held)
	}
	expectAllAlive(t, "with a restored backup", before)
	w.ctl("confirm", "--node", "n", held.Confirm)
	w.says("n", "that the backup is followed", func(r status.Report) bool { return r.Node.Held == nil && r.Node.Ready == 5 })
	if before["a"].alive() || before["e"].alive() {
		t.Error("the confirmed backup was not followed")
	}
	for _, id := range []string{"b", "c", "d"} {
		expectAlive(t, id, before[id])
	}
}

func etcdctl(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.Command("etcdctl", args...)
	command.Env = append(os.Environ(), "ETCDCTL_API=3")
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("etcdctl %q: %v: %s", args, err, text)
	}
	return string(text)
}

func TestOfThreeMembersOneAndThenTwoAreStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	a, before := w.three()
	w.members[0].Kill()
	w.runs("n", w.put("nodes/n/proxies/e", sleeper(1)))
	before["e"] = a.processOf("e")
	expectAllAlive(t, "with two members", before)
	from := a.log.count()
	w.members[1].Kill()
	a.logged("cut off from the store", from)
	expectAllAlive(t, "with one member", before)
	check(t, syscall.Kill(before["e"].pid, syscall.SIGKILL))
	a.logged("proxy e: started", from)
	before["e"] = a.processOf("e")
	check(t, w.members[1].Start())
	check(t, w.members[0].Start())
	a.logged("the store is reached again", from)
	w.connect()
	w.runs("n", w.put("nodes/n/proxies/a", sleeper(2)))
	delete(before, "a")
	expectAllAlive(t, "with three members again", before)
	if strings.Contains(a.log.text(), "removed") || strings.Contains(a.log.text(), "nothing that differs is followed") {
		t.Errorf("got\n%s", a.log.text())
	}
}

func TestAStoreThatHangsIsNoticedAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, before := w.three()
	// A stopped process keeps its connections: nothing comes, and nothing is refused. As behind a partition that drops packets.
	a.end(syscall.SIGTERM)
	a.args = append(a.args, "--lease-ttl", "2s")
	a.start()
	w.says("n", "that it runs", func(r status.Report) bool { return r.Node.Ready == 4 })
	started := a.status().Node.Started
	w.says("n", "that it has begun anew", func(r status.Report) bool { return r.Node.Started.Equal(started) })
	check(t, w.members[0].Signal(syscall.SIGSTOP))
	a.logged("cut off from the store", 0)
	expectAllAlive(t, "with a store that hangs", before)
	check(t, w.members[0].Signal(syscall.SIGCONT))
	a.logged("the store is reached again", 0)
	w.runs("n", w.put("nodes/n/proxies/e", sleeper(1)))
	expectAllAlive(t, "with the store again", before)
}

// The node is in a network namespace of its own, whose link to the store is cut and comes back.
func TestASlowDiskOfTheStoreDelaysChangesAndStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	_, before := w.three()
	const delay = 400 * time.Millisecond
	end, err := w.members[0].SlowDisk(delay)
	check(t, err)
	defer end()
	begun := time.Now()
	report := w.runs("n", w.put("nodes/n/proxies/e", sleeper(1)))
	if took := time.Since(begun); took < delay {
		t.Errorf("the disk was not slow: all of it took %v", took)
	}
	if report.Node.Declared != 5 || report.Node.CutOff != nil || report.Node.Held != nil {
		t.Errorf("got %+v", report.Node)
	}
	expectAllAlive(t, "with a slow disk", before)
}

func TestANodeInAPartitionKeepsItsProxiesAndCatchesUp(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	name := fmt.Sprintf("fl%d", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if text, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", args, err, text)
		}
	}
	ip("netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	ip("link", "add", name+"a", "type", "veth", "peer", "name", name+"b", "netns", name)
	t.Cleanup(func() { exec.Command("ip", "link", "del", name+"a").Run() })
	ip("addr", "add", "10.213.77.1/30", "dev", name+"a")
	ip("link", "set", name+"a", "up")
	ip("-n", name, "addr", "add", "10.213.77.2/30", "dev", name+"b")
	ip("-n", name, "link", "set", name+"b", "up")
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.members, err = fleettest.NewEtcd(w.dir, 1)
	check(t, err)
	w.members[0].URL = strings.Replace(w.members[0].URL, "127.0.0.1", "10.213.77.1", 1)
	check(t, w.members[0].Start())
	t.Cleanup(w.members[0].Kill)
	w.connect()
	w.put("nodes/n/proxies/a", sleeper(1), "nodes/n/proxies/b", sleeper(1))
	a := startAgent(t, w.dir, "n", []string{"ip", "netns", "exec", name}, "--endpoints", w.members[0].URL, "--lease-ttl", "2s")
	w.says("n", "that two are ready", func(r status.Report) bool { return r.Node.Ready == 2 })
	before := a.processOf("a")
	ip("-n", name, "link", "set", name+"b", "down")
	next := a.logged("cut off from the store since", 0)
	check(t, syscall.Kill(a.processOf("b").pid, syscall.SIGKILL))
	a.logged("proxy b: started", next)
	done, err := w.client.Put(ctx(t), keys.Root+"/nodes/n/proxies/c", sleeper(1))
	check(t, err)
	expectAlive(t, "in a partition", before)
	ip("-n", name, "link", "set", name+"b", "up")
	a.logged("the store is reached again", next)
	w.runs("n", done.Header.Revision)
	expectAlive(t, "after a partition", before)
}
