// SPDX-License-Identifier: MPL-2.0

// Package status tells the store what a node is doing, under a lease: what is told vanishes with the node.
package status

import (
	"bytes"
	"encoding/json"
	"sort"
	"time"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/plan"
)

// Node is what a node says of itself as a whole.
type Node struct {
	Agent   string    `json:"agent"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Groups are its groups.
	Groups []string `json:"groups,omitempty"`
	// Revision is the newest revision of the store that is followed.
	Revision int64 `json:"revision"`
	// Running is the newest revision of which all runs, and is ready, or has failed for good.
	Running  int64 `json:"running"`
	Declared int   `json:"declared"`
	Ready    int   `json:"ready"`
	NotReady int   `json:"not_ready"`
	// Bad is how many declarations do not count.
	Bad int `json:"bad,omitempty"`
	// Held is what waits for a confirmation.
	Held *plan.Held `json:"held,omitempty"`
	// Waiting is how many changes wait for the node's turn, by group.
	Waiting map[string]int `json:"waiting,omitempty"`
	// Problems are of the node as a whole.
	Problems []string `json:"problems,omitempty"`
	// CutOff is since when the store is not reached, for those who ask the node itself.
	CutOff *time.Time `json:"cut_off_since,omitempty"`
	// WasCutOff is the last time when it was not.
	WasCutOff *Outage `json:"was_cut_off,omitempty"`
}

// Outage is a time without the store.
type Outage struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Why  string    `json:"why"`
}

// Report is everything that a node says.
type Report struct {
	Node Node `json:"node"`
	// Proxies are those that are not ready.
	Proxies map[string]json.RawMessage `json:"proxies,omitempty"`
	// Errors are why declarations do not count.
	Errors map[string]string `json:"errors,omitempty"`
	// Members is up to which revision the node runs each group whose nodes take turns.
	Members map[string]int64 `json:"-"`
}

// Keys are the keys of a report, with their values.
func (r Report) Keys(node string) (map[string][]byte, error) {
	text, err := json.Marshal(r.Node)
	if err != nil {
		return nil, err
	}
	told := map[string][]byte{keys.StatusKey(node): text}
	for id, value := range r.Proxies {
		told[keys.ProxyStatusKey(node, short(id))] = value
	}
	for id, reason := range r.Errors {
		told[keys.ErrorKey(node, short(id))] = []byte(reason)
	}
	for group, revision := range r.Members {
		if text, err = json.Marshal(revision); err != nil {
			return nil, err
		}
		told[keys.MembersPrefix(group)+node] = text
	}
	return told, nil
}

// short is as much of an id as the library takes; one that is longer does not count, and must not fill a write alone.
func short(id string) string {
	const most = 1024
	if len(id) > most {
		return id[:most]
	}
	return id
}

// Brief is what is held, with so many names of each kind as fit into a status.
func Brief(held *plan.Held) *plan.Held {
	if held == nil {
		return nil
	}
	brief := *held
	for _, ids := range []*[]string{&brief.Added, &brief.Changed, &brief.Removed} {
		const most = 50
		if len(*ids) > most {
			*ids = append((*ids)[:most:most], "...")
		}
	}
	return &brief
}

// Change is one key that must be written, or removed.
type Change struct {
	Key string
	// Value is nil of one that is removed.
	Value []byte
}

// Changes are what has to be written so that the store has what is wanted, at most so many; the key of the node itself is always
// the last, so that who sees it sees all that it is about.
func Changes(written, wanted map[string][]byte, node string, most int) []Change {
	own := keys.StatusKey(node)
	var changes []Change
	for key, value := range wanted {
		if before, was := written[key]; key != own && (!was || !bytes.Equal(before, value)) {
			changes = append(changes, Change{key, value})
		}
	}
	for key := range written {
		if _, still := wanted[key]; !still {
			changes = append(changes, Change{Key: key})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Key < changes[j].Key })
	if len(changes) >= most {
		return changes[:most]
	}
	if before, was := written[own]; !was || !bytes.Equal(before, wanted[own]) {
		changes = append(changes, Change{own, wanted[own]})
	}
	return changes
}
