// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/clientv3"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
)

// service is a declaration that is replaced without a gap; each number is another one. It is ready at once.
func service(number int) string {
	return fmt.Sprintf(`{"command":["sh","-c","echo >&3; exec sleep %d"],"stop_signal":15,"ready":{"fd":3},"replace":"overlap"}`, 300+number)
}

// broken is a declaration that is never ready.
const broken = `{"command":["sh","-c","exec sleep 300"],"stop_signal":15,"ready":{"fd":3},"replace":"overlap","start_timeout_ms":60000}`

// fleet starts nodes of the group g, which take turns.
func (w *world) fleet(count int, args ...string) []*agent {
	w.t.Helper()
	w.put("groups/g/proxies/web", service(1))
	w.ctl(append([]string{"rollout", "set", "g"}, args...)...)
	var agents []*agent
	for i := 0; i < count; i++ {
		w.put(fmt.Sprintf("nodes/n%d/groups", i), `["g"]`)
		agents = append(agents, w.agent(fmt.Sprintf("n%d", i), "--lease-ttl", "3s"))
	}
	for _, a := range agents {
		w.says(a.node, "that one is ready", func(r status.Report) bool { return r.Node.Ready == 1 })
	}
	w.rolledOut(count)
	return agents
}

// rolledOut waits until all nodes say that they have the group as it is now.
func (w *world) rolledOut(count int) {
	w.t.Helper()
	w.rollout(regexp.MustCompile(fmt.Sprintf(`: done\n%d of %d nodes have it`, count, count)))
}

// rollout waits until the rollout looks like that.
func (w *world) rollout(like *regexp.Regexp) string {
	w.t.Helper()
	prefix := keys.RolloutKey("g")
	for deadline := time.Now().Add(patience); ; {
		got, err := w.client.Get(ctx(w.t), prefix, clientv3.WithPrefix())
		check(w.t, err)
		said := w.ctl("rollout", "status", "g")
		if like.MatchString(said) {
			return said
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the rollout is not like %s: %s", like, said)
		}
		// The next thing that happens to it.
		<-w.client.Watch(ctx(w.t), prefix, clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1))
	}
}

func TestNodesTakeTurnsAndNoneIsDisturbedWithoutOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	agents := w.fleet(4, "--at-once", "2", "--healthy-for", "300ms", "--timeout", "30s")
	before := map[string]process{}
	for _, a := range agents {
		before[a.node] = a.processOf("web")
	}
	got, err := w.client.Get(ctx(t), keys.Root, clientv3.WithCountOnly())
	check(t, err)
	if text, err := w.fleetctl(service(2), "set", "--group", "g", "web"); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	w.rolledOut(4)
	for _, a := range agents {
		if before[a.node].alive() {
			t.Errorf("%s has not changed", a.node)
		}
	}
	// The queue as it was: who gave a turn back was among the first two, and each node had one.
	end := w.put("rollouts/g/turns/end", "1")
	var queue []string
	turns := 0
	for response := range w.client.Watch(ctx(t), keys.TurnsPrefix("g"), clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1)) {
		check(t, response.Err())
		for _, event := range response.Events {
			key := string(event.Kv.Key)
			switch {
			case event.Kv.ModRevision == end:
				if turns != 4 || len(queue) != 0 {
					t.Errorf("%d turns, and %q are left", turns, queue)
				}
				return
			case event.IsCreate():
				queue = append(queue, key)
			case event.Type == clientv3.EventTypeDelete:
				turns++
				at := 0
				for queue[at] != key {
					at++
				}
				if at >= 2 {
					t.Errorf("%s had its turn as number %d", key, at)
				}
				queue = append(queue[:at], queue[at+1:]...)
			}
		}
	}
}

func TestAFailureStopsTheRolloutAndAnAbortGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	agents := w.fleet(3, "--at-once", "1", "--healthy-for", "100ms", "--timeout", "1500ms")
	before := map[string]process{}
	for _, a := range agents {
		before[a.node] = a.processOf("web")
	}
	// One that is well reaches all; from there one that is not reaches one.
	if text, err := w.fleetctl(broken, "set", "--group", "g", "web"); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	said := w.rollout(regexp.MustCompile(`stopped: failed on node "n\d": "not ready for 100ms within 1.5s", proxies \["web"\]`))
	failed := regexp.MustCompile(`n\d`).FindString(said)
	for _, a := range agents {
		// By the overlap the one that failed still serves as it did.
		expectAlive(t, a.node, before[a.node])
		if a.node != failed {
			w.says(a.node, "that it waits", func(r status.Report) bool { return r.Node.Waiting["g"] == 1 })
			if strings.Contains(a.log.text(), "this node's turn") {
				t.Errorf("%s had a turn", a.node)
			}
		}
	}
	// Also agents that begin now wait.
	other := agents[0]
	if other.node == failed {
		other = agents[1]
	}
	other.end(syscall.SIGKILL)
	other.start()
	w.says(other.node, "that it waits", func(r status.Report) bool { return r.Node.Waiting["g"] == 1 })
	if got := w.ctl("rollout", "abort", "g"); !strings.Contains(got, `~ "web"`) {
		t.Errorf("got %s", got)
	}
	w.rolledOut(3)
	for _, a := range agents {
		expectAlive(t, a.node+" after the abort", before[a.node])
	}
	// The next change goes through.
	if text, err := w.fleetctl(service(3), "set", "--group", "g", "web"); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	w.rolledOut(3)
}

func TestAPausedRolloutWaitsAndATurnOfADeadAgentIsGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	agents := w.fleet(2, "--at-once", "1", "--healthy-for", "1h", "--timeout", "2h")
	w.ctl("rollout", "pause", "g")
	before := []process{agents[0].processOf("web"), agents[1].processOf("web")}
	if text, err := w.fleetctl(service(2), "set", "--group", "g", "web"); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for i, a := range agents {
		w.says(a.node, "that it waits", func(r status.Report) bool { return r.Node.Waiting["g"] == 1 })
		expectAlive(t, a.node, before[i])
	}
	w.ctl("rollout", "resume", "g")
	// One has its turn, for an hour.
	said := w.rollout(regexp.MustCompile(`changes "n\d"\nwaits "n\d"`))
	first, second := agents[0], agents[1]
	if strings.Contains(said, `changes "n1"`) {
		first, second = second, first
	}
	first.logged("this node's turn", 0)
	if strings.Contains(second.log.text(), "this node's turn") {
		t.Error("both have a turn")
	}
	first.end(syscall.SIGKILL)
	second.logged("this node's turn", 0)
}
