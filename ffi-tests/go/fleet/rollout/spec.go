// SPDX-License-Identifier: MPL-2.0

// Package rollout has the nodes of a group change in turns.
package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Spec says how the nodes of a group take turns.
type Spec struct {
	// AtOnce is how many nodes change at a time: a number, or per cent of the nodes that are there, as "10%".
	AtOnce json.RawMessage `json:"at_once"`
	// HealthyForMS is how long what has changed must be ready, without a break.
	HealthyForMS int64 `json:"healthy_for_ms"`
	// TimeoutMS is how long that may take; then the change has failed.
	TimeoutMS int64 `json:"timeout_ms"`
	// PauseOnFailure stops the rollout when the change fails on one node.
	PauseOnFailure bool `json:"pause_on_failure"`
	// Paused lets no more nodes begin.
	Paused bool `json:"paused,omitempty"`
	// Base is the revision of the store before the change, to which an abort goes back; fleetctl writes it.
	Base int64 `json:"base,omitempty"`

	number, percent int
}

const day = 24 * time.Hour

// Parse reads a rollout.
func Parse(value []byte) (Spec, error) {
	spec := Spec{HealthyForMS: 10_000, TimeoutMS: 120_000, PauseOnFailure: true}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		return Spec{}, fmt.Errorf("rollout: %w", err)
	}
	if decoder.More() {
		return Spec{}, errors.New("rollout: more than one document")
	}
	if spec.AtOnce == nil {
		spec.AtOnce = json.RawMessage("1")
	}
	text := strings.Trim(string(spec.AtOnce), `"`)
	count := &spec.number
	most := 1_000_000
	if strings.HasSuffix(text, "%") {
		text, count, most = strings.TrimSuffix(text, "%"), &spec.percent, 100
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || number > most {
		return Spec{}, errors.New(`rollout: at_once: expected a number of nodes from 1, or "1%" to "100%"`)
	}
	*count = number
	if spec.HealthyForMS < 0 || spec.HealthyFor() > day || spec.TimeoutMS < 1 || spec.Timeout() > day ||
		spec.HealthyForMS >= spec.TimeoutMS {
		return Spec{}, errors.New("rollout: expected 0 <= healthy_for_ms < timeout_ms, and at most a day")
	}
	return spec, nil
}

// Turns is how many of so many nodes change at a time.
func (s Spec) Turns(nodes int) int {
	turns := s.number
	if s.percent > 0 {
		turns = nodes * s.percent / 100
	}
	if turns < 1 {
		return 1
	}
	return turns
}

// HealthyFor is how long what has changed must be ready.
func (s Spec) HealthyFor() time.Duration { return time.Duration(s.HealthyForMS) * time.Millisecond }

// Timeout is after which a change has failed.
func (s Spec) Timeout() time.Duration { return time.Duration(s.TimeoutMS) * time.Millisecond }

// Failure is what a node says of a change that has failed on it.
type Failure struct {
	Node     string   `json:"node"`
	Revision int64    `json:"revision"`
	Proxies  []string `json:"proxies"`
	Why      string   `json:"why"`
}
