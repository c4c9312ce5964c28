// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"
	"time"
)

// Phase is what a node does about the changes of one group.
type Phase int

const (
	// Idle: it has nothing to change.
	Idle Phase = iota
	// Queued: it waits for its turn.
	Queued
	// Changing: it has its turn.
	Changing
)

// Input is what a step depends on.
type Input struct {
	Now  time.Time
	Spec Spec
	// Stopped tells that no node may begin: the rollout is paused, or has failed on a node.
	Stopped bool
	// Waiting is how many changes wait for the turn.
	Waiting int
	// Granted tells that the node has its turn.
	Granted bool
	// Ready tells that all that has changed runs as it is declared, and is ready.
	Ready bool
	// Failed names a proxy that has changed and will not run, or is empty.
	Failed string
}

// Action is what has to be done.
type Action int

const (
	// Nothing is to be done.
	Nothing Action = iota
	// Enter the queue for a turn.
	Enter
	// Leave the queue.
	Leave
	// Open the gate: the changes are made.
	Open
	// Succeed: the turn is given back.
	Succeed
	// Fail: the turn is given back, and the failure is told.
	Fail
)

// Machine takes one node through the changes of one group.
type Machine struct {
	Phase Phase
	// Why is why it has failed last.
	Why            string
	since, readyAt time.Time
}

// Step makes one step. It returns what is to be done, and when the next step is due if nothing happens before; the zero time is
// never.
func (m *Machine) Step(in Input) (Action, time.Time) {
	switch m.Phase {
	case Idle:
		if in.Waiting > 0 && !in.Stopped {
			m.Phase = Queued
			return Enter, time.Time{}
		}
	case Queued:
		if in.Waiting == 0 || in.Stopped {
			m.Phase = Idle
			return Leave, time.Time{}
		}
		if in.Granted {
			m.Phase, m.since, m.readyAt = Changing, in.Now, time.Time{}
			return Open, in.Now
		}
	case Changing:
		return m.judge(in)
	}
	return Nothing, time.Time{}
}

// judge decides whether a change went well.
func (m *Machine) judge(in Input) (Action, time.Time) {
	end := m.since.Add(in.Spec.Timeout())
	switch {
	case !in.Ready:
		m.readyAt = time.Time{}
	case m.readyAt.IsZero():
		m.readyAt = in.Now
	}
	healthy := m.readyAt.Add(in.Spec.HealthyFor())
	switch {
	case in.Ready && !in.Now.Before(healthy):
		m.Phase = Idle
		return Succeed, time.Time{}
	case in.Failed != "":
		m.Phase, m.Why = Idle, fmt.Sprintf("%s has failed", in.Failed)
		return Fail, time.Time{}
	case !in.Now.Before(end):
		m.Phase, m.Why = Idle, fmt.Sprintf("not ready for %v within %v", in.Spec.HealthyFor(), in.Spec.Timeout())
		return Fail, time.Time{}
	case in.Ready && healthy.Before(end):
		return Nothing, healthy
	default:
		return Nothing, end
	}
}
