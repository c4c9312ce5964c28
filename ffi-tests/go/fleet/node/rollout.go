// SPDX-License-Identifier: MPL-2.0

package node

import (
	"context"
	"sort"
	"time"

	"example.org/agent/fleet/apply"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/rollout"
	"example.org/agent/fleet/store"
	"example.org/agent/proxyprocess"
)

// group is a group of the node whose nodes take turns.
type group struct {
	name string
	// spec is the last one that counts; without any nothing of the group changes.
	spec *rollout.Spec
	// declared tells that there is a rollout.
	declared bool
	// failed tells that a change has failed on a node.
	failed  bool
	machine rollout.Machine
	waiting []string
	// changing are the proxies that the turn is about.
	changing map[string]bool
	has      bool
	cancel   context.CancelFunc
	ended    chan struct{}
}

// grant tells that the node has its turn.
type grant struct {
	group *group
	ended chan struct{}
}

func (g *group) stopped() bool {
	return g.spec == nil || g.spec.Paused || g.failed && g.spec.PauseOnFailure
}

// forgetRollouts forgets what is read again, and groups that the node has left.
func (n *Node) forgetRollouts(groups []string, read map[string]bool) {
	of := map[string]bool{}
	for _, name := range groups {
		of[name] = true
	}
	for name, group := range n.rollouts {
		if !of[name] && group.cancel != nil {
			group.cancel()
		}
		if !of[name] {
			delete(n.rollouts, name)
		} else if read[name] {
			group.declared, group.failed = false, false
		}
	}
}

func (n *Node) takeRollout(kv store.KV) {
	name := kv.Key.Name
	g := n.rollouts[name]
	if g == nil {
		g = &group{name: name}
		n.rollouts[name] = g
	}
	if kv.Key.Kind == keys.RolloutFailed {
		g.failed = !kv.Gone
		return
	}
	g.declared = !kv.Gone
	problem := "rollout of " + name
	delete(n.problems, problem)
	if kv.Gone {
		g.spec = nil
		return
	}
	spec, err := rollout.Parse(kv.Value)
	if err != nil {
		n.problems[problem] = err.Error()
		n.log(proxyprocess.LogWarn, "%s: %v", problem, err)
		return
	}
	g.spec = &spec
}

// isGated tells whether changes of a group wait for the node's turn.
func (n *Node) isGated(name string) bool {
	g := n.rollouts[name]
	return g != nil && g.declared && g.machine.Phase != rollout.Changing
}

func (n *Node) setWaiting(waiting map[string][]string) {
	for name, g := range n.rollouts {
		g.waiting = waiting[name]
	}
}

func (n *Node) waitingCounts() map[string]int {
	counts := map[string]int{}
	for name, g := range n.rollouts {
		if len(g.waiting) > 0 {
			counts[name] = len(g.waiting)
		}
	}
	return counts
}

// members says up to which revision the node runs each group whose nodes take turns: all of it is ready, and nothing waits.
func (n *Node) members(members map[string]int64, proxies map[string]apply.Proxy) {
	for name, g := range n.rollouts {
		if !g.declared {
			continue
		}
		members[name] = 0
		if len(g.waiting) > 0 || g.machine.Phase != rollout.Idle {
			continue
		}
		newest, ready := int64(1), true
		for id, declaration := range n.good.Applied {
			if declaration.Group != name {
				continue
			}
			if proxy := proxies[id]; !proxy.Ready || proxy.Pending {
				ready = false
			}
			if declaration.Version > newest {
				newest = declaration.Version
			}
		}
		if ready {
			members[name] = newest
		}
	}
}

// grant takes a turn, unless the place in the queue was given up meanwhile.
func (n *Node) grant(grant grant) {
	if grant.group.ended == grant.ended {
		grant.group.has = true
	}
}

// stepRollouts steps the machine of each group. It returns when the next step is due.
func (n *Node) stepRollouts(ctx context.Context, now time.Time) time.Time {
	var next time.Time
	for again := true; again; {
		again = false
		next = time.Time{}
		for _, g := range n.rollouts {
			due, acted := n.stepRollout(ctx, g, now)
			if acted {
				again = true
			}
			if !due.IsZero() && (next.IsZero() || due.Before(next)) {
				next = due
			}
		}
	}
	return next
}

func (n *Node) stepRollout(ctx context.Context, g *group, now time.Time) (time.Time, bool) {
	in := rollout.Input{Now: now, Stopped: g.stopped(), Waiting: len(g.waiting), Granted: g.has}
	if g.spec != nil {
		in.Spec = *g.spec
	}
	if g.machine.Phase == rollout.Idle && in.Waiting == 0 {
		return time.Time{}, false
	}
	if g.machine.Phase == rollout.Changing {
		in.Ready, in.Failed = n.judge(g)
	}
	action, due := g.machine.Step(in)
	queue := rollout.Queue{Client: n.config.Client, Group: g.name, Node: n.config.Name}
	switch action {
	case rollout.Nothing:
		return due, false
	case rollout.Enter:
		n.enter(ctx, g)
	case rollout.Leave:
		n.leave(ctx, g, nil)
	case rollout.Open:
		g.changing = map[string]bool{}
		for _, id := range g.waiting {
			g.changing[id] = true
		}
		n.log(proxyprocess.LogInfo, "group %s: this node's turn, %d proxies change", g.name, len(g.changing))
		n.decide(ctx, false)
	case rollout.Succeed:
		n.log(proxyprocess.LogInfo, "group %s: changed, and healthy", g.name)
		n.changes = true
		n.leave(ctx, g, nil)
	case rollout.Fail:
		failure := rollout.Failure{Node: n.config.Name, Revision: n.position.Revision, Why: g.machine.Why}
		for id := range g.changing {
			failure.Proxies = append(failure.Proxies, id)
		}
		sort.Strings(failure.Proxies)
		if len(failure.Proxies) > 20 {
			failure.Proxies = failure.Proxies[:20]
		}
		n.log(proxyprocess.LogError, "group %s: the change has failed: %s", g.name, failure.Why)
		g.failed = true
		n.changes = true
		n.leave(ctx, g, func(ctx context.Context) error {
			if !in.Spec.PauseOnFailure {
				return nil
			}
			return queue.Fail(ctx, failure)
		})
		if !in.Spec.PauseOnFailure {
			g.failed = false
		}
	}
	return due, true
}

// judge tells whether all that has changed is ready, or names what will not be.
func (n *Node) judge(g *group) (ready bool, failed string) {
	proxies, err := n.library.Status(n.good.Applied)
	if err != nil {
		return false, ""
	}
	ready = true
	for id := range g.changing {
		proxy, known := proxies[id]
		_, wanted := n.good.Applied[id]
		switch {
		case known && !wanted, known && proxy.Pending, wanted && !(known && proxy.Ready):
			ready = false
		}
		if wanted && proxy.Failed && !proxy.Pending {
			failed = id
		}
	}
	return ready, failed
}

// enter waits in the queue beside all else.
func (n *Node) enter(ctx context.Context, g *group) {
	if n.lease == 0 || g.spec == nil {
		// The next lease enters it.
		return
	}
	lease, spec := n.lease, *g.spec
	n.inQueue(ctx, g, func(ctx context.Context, queue rollout.Queue, ended chan struct{}) {
		if queue.Wait(ctx, lease, spec) == nil {
			select {
			case n.granted <- grant{g, ended}:
			case <-ctx.Done():
			}
		}
	})
}

// inQueue does something about the node's place in the queue of a group, by itself, until it is cancelled. The channel is closed
// when it has ended.
func (n *Node) inQueue(ctx context.Context, g *group, do func(context.Context, rollout.Queue, chan struct{})) {
	ctx, g.cancel = context.WithCancel(ctx)
	earlier, ended := g.ended, make(chan struct{})
	g.ended, g.has = ended, false
	queue := rollout.Queue{Client: n.config.Client, Group: g.name, Node: n.config.Name}
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		defer close(ended)
		// ORDER: a place that is being given up is gone before the next one is taken: they are one key.
		if earlier != nil {
			<-earlier
		}
		do(ctx, queue, ended)
	}()
}

// requeue enters the queues again under another lease: a place is lost with the one before.
func (n *Node) requeue(ctx context.Context) {
	for _, g := range n.rollouts {
		if g.machine.Phase == rollout.Queued {
			if g.cancel != nil {
				g.cancel()
			}
			n.enter(ctx, g)
		}
	}
}

// leave gives the turn back, after what is to be told before. It is tried until it goes well or the lease is over, which gives it
// back as well.
func (n *Node) leave(ctx context.Context, g *group, before func(context.Context) error) {
	if g.cancel != nil {
		g.cancel()
	}
	g.changing = nil
	n.inQueue(ctx, g, func(ctx context.Context, queue rollout.Queue, _ chan struct{}) {
		for ctx.Err() == nil {
			var err error
			if before != nil {
				err = before(ctx)
			}
			if err == nil {
				before = nil
				err = queue.Leave(ctx)
			}
			if err == nil {
				return
			}
			n.log(proxyprocess.LogWarn, "%v", err)
			timer := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	})
}
