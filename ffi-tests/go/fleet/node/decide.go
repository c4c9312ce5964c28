// SPDX-License-Identifier: MPL-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.org/agent/fleet/plan"
	"example.org/agent/proxyprocess"
)

// decide has followed what can be, of what the store says now. Whole tells that all of it was read at one revision.
func (n *Node) decide(ctx context.Context, whole bool) {
	n.changes = true
	if n.lost && !n.found() {
		return
	}
	decision := plan.Decide(n.situation())
	if len(decision.Removed) > 0 && !whole {
		if err := n.verify(ctx, decision.Removed); err != nil {
			return
		}
		decision = plan.Decide(n.situation())
	}
	n.tellHeld(decision.Held)
	if n.distrust != "" && decision.Held != nil {
		return
	}
	if n.distrust != "" {
		n.log(proxyprocess.LogInfo, "the store is followed again: what it says is confirmed, or is what runs")
		n.distrust = ""
	}
	next, waiting := plan.Gate(n.good.Applied, decision.Next, n.isGated)
	n.setWaiting(waiting)
	n.follow(next)
}

func (n *Node) situation() plan.Situation {
	s := plan.Situation{
		Applied: n.good.Applied, Target: n.view.Target(), Distrust: n.distrust,
		Suspicion: n.suspicion,
		Store:     fmt.Sprintf("%x", n.position.Cluster),
		Confirmed: map[string]int64{}, HeldBefore: map[string]bool{}, MaxRemoved: n.config.MaxRemoved,
	}
	if n.groupsGone {
		s.Suspicion = "the list of groups is gone"
	}
	for _, confirm := range n.confirms {
		if confirm.version >= s.Confirmed[confirm.word] {
			s.Confirmed[confirm.word] = confirm.version
		}
	}
	for _, id := range n.good.Held {
		s.HeldBefore[id] = true
	}
	since := time.Now().Add(-RemovalWindow)
	for _, at := range n.recent {
		if at.After(since) {
			s.Recent++
		}
	}
	return s
}

// found tells whether the store names all that an earlier agent left, where the last good state is lost: only then can the library
// run, which stops what is not declared.
func (n *Node) found() bool {
	recorded, err := n.library.Recorded()
	if err != nil {
		n.log(proxyprocess.LogError, "ask the library for what was left: %v", err)
		return false
	}
	target := n.view.Target()
	s := n.situation()
	s.Applied = plan.Desired{}
	for _, id := range recorded {
		if declaration, wanted := target[id]; wanted {
			s.Applied[id] = declaration
		} else {
			s.Applied[id] = plan.Declaration{}
		}
	}
	missing := plan.Compare(s.Applied, target).Removed
	s.Distrust = ""
	if len(missing) > 0 {
		s.Distrust = "the last good state of the node is lost, and the store does not name all that runs"
		s.Target = s.Applied.Clone()
		for _, id := range missing {
			delete(s.Target, id)
		}
		decision := plan.Decide(s)
		n.tellHeld(decision.Held)
		if decision.Held != nil {
			return false
		}
	}
	n.lost = false
	return true
}

func (n *Node) tellHeld(held *plan.Held) {
	if held != nil && (n.held == nil || n.held.Confirm != held.Confirm) {
		n.log(proxyprocess.LogError, "held back: %s (%d added, %d changed, %d removed); to confirm it: %s", held.Why,
			len(held.Added), len(held.Changed), len(held.Removed), held.Confirm)
	}
	n.held = held
}

// follow has the library run what was decided. It is on the disk before it runs: an agent that is killed between the two goes
// on with it, and not back.
func (n *Node) follow(next plan.Desired) {
	diff := plan.Compare(n.good.Applied, next)
	good := n.good
	good.Applied = next
	good.View, good.Position = n.view, n.position
	good.Held = nil
	if n.held != nil {
		good.Held = n.held.Removed
	}
	if diff.Empty() && !n.unsaved && len(good.Held) == len(n.good.Held) {
		return
	}
	good.Other = nil
	for _, kv := range n.other {
		good.Other = append(good.Other, kv)
	}
	if err := n.file.Write(&good); err != nil {
		n.problems["disk"] = err.Error()
		n.log(proxyprocess.LogError, "%v; what runs goes on, and changes wait", err)
		n.retryAt = time.Now().Add(time.Second)
		return
	}
	delete(n.problems, "disk")
	n.unsaved = false
	n.joinTurns(diff, next)
	n.good = good
	n.wanted = n.position.Revision
	if diff.Empty() {
		return
	}
	now := time.Now()
	for range diff.Removed {
		n.recent = append(n.recent, now)
	}
	if extra := len(n.recent) - 1000; extra > 0 {
		n.recent = n.recent[extra:]
	}
	n.changedAt = now
	n.log(proxyprocess.LogInfo, "revision %d: %s", n.wanted, describe(diff))
	if err := n.library.Apply(next, diff); err != nil {
		n.problems["apply"] = err.Error()
		n.log(proxyprocess.LogError, "%v", err)
	}
}

// joinTurns has changes that come while the node has its turn judged with the others.
func (n *Node) joinTurns(diff plan.Diff, next plan.Desired) {
	for _, ids := range [][]string{diff.Added, diff.Changed, diff.Removed} {
		for _, id := range ids {
			from, wanted := next[id]
			if !wanted {
				from = n.good.Applied[id]
			}
			if g := n.rollouts[from.Group]; g != nil && g.changing != nil {
				g.changing[id] = true
			}
		}
	}
}

// describe names a few of what differs.
func describe(diff plan.Diff) string {
	var parts []string
	for _, part := range []struct {
		verb string
		ids  []string
	}{{"added", diff.Added}, {"changed", diff.Changed}, {"removed", diff.Removed}} {
		const most = 5
		if len(part.ids) == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", len(part.ids), part.verb)
		for i, id := range part.ids {
			if i == most {
				text += ", ..."
				break
			}
			text += fmt.Sprintf(" %.100q", id)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
