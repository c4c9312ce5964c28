// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"testing"
	"time"
)

func TestSpecs(t *testing.T) {
	spec, err := Parse([]byte(`{}`))
	if err != nil || spec.Turns(1000) != 1 || spec.HealthyFor() != 10*time.Second || !spec.PauseOnFailure || spec.Paused {
		t.Errorf("got %+v, %v", spec, err)
	}
	for text, expected := range map[string]int{
		`{"at_once": 7}`: 7, `{"at_once": "7"}`: 7, `{"at_once": "10%"}`: 100, `{"at_once": "100%"}`: 1000,
	} {
		if spec, err := Parse([]byte(text)); err != nil || spec.Turns(1000) != expected {
			t.Errorf("%s: got %d, %v", text, spec.Turns(1000), err)
		}
	}
	if spec, _ := Parse([]byte(`{"at_once": "10%"}`)); spec.Turns(3) != 1 || spec.Turns(0) != 1 {
		t.Error("per cent of a few nodes are none")
	}
	for _, text := range []string{
		``, `[]`, `{"at_once": 0}`, `{"at_once": -1}`, `{"at_once": "101%"}`, `{"at_once": "%"}`, `{"at_once": {}}`,
		`{"healthy_for_ms": -1}`, `{"healthy_for_ms": 5, "timeout_ms": 5}`, `{"timeout_ms": 1e30}`, `{"at-once": 1}`, `{} {}`,
	} {
		if spec, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: got %+v", text, spec)
		}
	}
}

// step is one step, at so many seconds.
type step struct {
	at     int
	in     Input
	action Action
	// due is when the next step is, in seconds, or 0.
	due int
}

func TestMachine(t *testing.T) {
	start := time.Unix(1000, 0)
	spec, err := Parse([]byte(`{"healthy_for_ms": 10000, "timeout_ms": 60000}`))
	if err != nil {
		t.Fatal(err)
	}
	begin := []step{
		{0, Input{Waiting: 1}, Enter, 0},
		{1, Input{Waiting: 1}, Nothing, 0},
		{2, Input{Waiting: 1, Granted: true}, Open, 2},
	}
	for name, steps := range map[string][]step{
		"nothing to do":          {{0, Input{}, Nothing, 0}},
		"paused before it began": {{0, Input{Waiting: 1, Stopped: true}, Nothing, 0}},
		"paused in the queue":    {{0, Input{Waiting: 1}, Enter, 0}, {1, Input{Waiting: 1, Stopped: true, Granted: true}, Leave, 0}},
		"undone in the queue":    {{0, Input{Waiting: 1}, Enter, 0}, {1, Input{Granted: true}, Leave, 0}},
		"goes well": append(begin[:3:3],
			step{3, Input{Granted: true}, Nothing, 62},
			step{5, Input{Granted: true, Ready: true}, Nothing, 15},
			step{14, Input{Granted: true, Ready: true}, Nothing, 15},
			step{15, Input{Granted: true, Ready: true}, Succeed, 0},
			step{16, Input{}, Nothing, 0}),
		"a break begins the time anew": append(begin[:3:3],
			step{5, Input{Ready: true}, Nothing, 15},
			step{9, Input{}, Nothing, 62},
			step{10, Input{Ready: true}, Nothing, 20},
			step{15, Input{Ready: true}, Nothing, 20},
			step{20, Input{Ready: true}, Succeed, 0}),
		"fails for good":    append(begin[:3:3], step{5, Input{Failed: "a"}, Fail, 0}),
		"is never ready":    append(begin[:3:3], step{61, Input{}, Nothing, 62}, step{62, Input{}, Fail, 0}),
		"is ready too late": append(begin[:3:3], step{61, Input{Ready: true}, Nothing, 62}, step{62, Input{Ready: true}, Fail, 0}),
		"a turn that has begun is finished": append(begin[:3:3],
			step{5, Input{Stopped: true, Ready: true}, Nothing, 15}, step{15, Input{Stopped: true, Ready: true}, Succeed, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			var machine Machine
			for i, step := range steps {
				in := step.in
				in.Now, in.Spec = start.Add(time.Duration(step.at)*time.Second), spec
				action, due := machine.Step(in)
				expected := time.Time{}
				if step.due != 0 {
					expected = start.Add(time.Duration(step.due) * time.Second)
				}
				if action != step.action || !due.Equal(expected) {
					t.Fatalf("step %d: got %v, due %v; expected %v, %v", i, action, due, step.action, expected)
				}
			}
		})
	}
}
