// SPDX-License-Identifier: MPL-2.0

package node

import (
	"context"
	"encoding/json"
	"sort"
	"time"

	"example.org/agent/fleet/apply"
	"example.org/agent/fleet/status"
)

// Version is that of the agent.
const Version = "1"

const (
	// settle is how long a report waits for a change to run, so that one write tells both.
	settle = 600 * time.Millisecond
	// look is how often it is asked whether a change runs.
	look = 25 * time.Millisecond
	// lookLater is that when it takes long.
	lookLater = time.Second
	// reportPeriod is the least time between two looks at the status of all proxies.
	reportPeriod = 100 * time.Millisecond
)

// report is what there is to say.
func (n *Node) report() status.Report {
	report := status.Report{
		Proxies: map[string]json.RawMessage{}, Errors: n.view.Bad(), Members: map[string]int64{},
		Node: status.Node{
			Agent: "fleet-agent", Version: Version + " (proxyprocess " + apply.Version() + ")", Started: n.started.UTC(),
			Groups: n.view.Groups, Revision: n.wanted, Running: n.follows, Declared: len(n.good.Applied),
			Held: status.Brief(n.held), CutOff: n.cutOff, WasCutOff: n.wasCutOff,
		},
	}
	report.Node.Bad = len(report.Errors)
	for name, waiting := range n.waitingCounts() {
		if report.Node.Waiting == nil {
			report.Node.Waiting = map[string]int{}
		}
		report.Node.Waiting[name] = waiting
	}
	proxies, err := n.library.Status(n.good.Applied)
	if err != nil {
		n.problems["library"] = err.Error()
	}
	for id := range n.good.Applied {
		proxy, known := proxies[id]
		if !known {
			proxy.State = "declared"
		}
		if proxy.Ready {
			report.Node.Ready++
			continue
		}
		report.Node.NotReady++
		if text, err := json.Marshal(proxy); err == nil {
			report.Proxies[id] = text
		}
	}
	for name, why := range n.problems {
		report.Node.Problems = append(report.Node.Problems, name+": "+why)
	}
	sort.Strings(report.Node.Problems)
	n.members(report.Members, proxies)
	return report
}

// step does what is due, and returns when it must be called again; the zero time is when something happens.
func (n *Node) step(ctx context.Context, now time.Time) time.Time {
	var next time.Time
	soonest := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if !n.retryAt.IsZero() {
		if now.Before(n.retryAt) {
			soonest(n.retryAt)
		} else {
			n.retryAt = time.Time{}
			n.decide(ctx, false)
			soonest(n.retryAt)
		}
	}
	pending := 0
	if n.running {
		pending = n.library.Pending()
	}
	if pending == 0 && n.follows != n.wanted && n.running {
		n.follows = n.wanted
		n.changes = true
	}
	if pending > 0 {
		if now.Sub(n.changedAt) < 2*settle {
			soonest(now.Add(look))
		} else {
			soonest(now.Add(lookLater))
		}
	}
	soonest(n.stepRollouts(ctx, now))
	if n.changes && n.heard && n.reporter != nil {
		due := n.reportAt
		if pending > 0 && n.changedAt.Add(settle).After(due) {
			due = n.changedAt.Add(settle)
		}
		if now.Before(due) {
			soonest(due)
		} else {
			n.changes = false
			n.reportAt = now.Add(reportPeriod)
			n.reporter.Report(n.report())
		}
	}
	return next
}
