// SPDX-License-Identifier: MPL-2.0

// Package plan decides what a node runs, from what its store says and what it ran before. It is pure: it reads no store, no
// clock and no file.
package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"example.org/agent/fleet/keys"
)

// Entry is one key with a declaration, as far as it counts.
type Entry struct {
	// Version is the revision in which the key was written.
	Version int64 `json:"version"`
	// Value is the last value that counted; nil when none has.
	Value json.RawMessage `json:"value,omitempty"`
	// Bad says why the value of this version does not count, and is empty when it does.
	Bad string `json:"bad,omitempty"`
}

// Contents are the declarations of one node or group, by id.
type Contents map[string]Entry

// View is all that a node's sources say.
type View struct {
	// Own are the declarations of the node itself.
	Own Contents `json:"own"`
	// Groups are the groups of the node; an earlier one wins over a later one.
	Groups []string `json:"groups,omitempty"`
	// Of are the declarations of each group.
	Of map[string]Contents `json:"of,omitempty"`
}

// Declaration is what a node runs of one id.
type Declaration struct {
	Value json.RawMessage `json:"value"`
	// Group is where it comes from; empty is the node itself.
	Group string `json:"group,omitempty"`
	// Version is the revision in which its key was written.
	Version int64 `json:"version"`
}

// Desired is what a node runs, by id.
type Desired map[string]Declaration

// Check says why a declaration cannot be followed.
type Check func(id string, value []byte) error

// Take is an entry after its key was written. A value that is no declaration changes nothing but what is said of it.
func Take(earlier Entry, id string, value []byte, version int64, check Check) Entry {
	if err := check(id, value); err != nil {
		return Entry{Version: version, Value: earlier.Value, Bad: err.Error()}
	}
	return Entry{Version: version, Value: append(json.RawMessage(nil), value...)}
}

// Target is what a view asks for: the declaration of the node wins over those of its groups.
func (v *View) Target() Desired {
	target := Desired{}
	add := func(group string, contents Contents) {
		for id, entry := range contents {
			if entry.Value != nil {
				target[id] = Declaration{entry.Value, group, entry.Version}
			}
		}
	}
	for i := len(v.Groups) - 1; i >= 0; i-- {
		add(v.Groups[i], v.Of[v.Groups[i]])
	}
	add("", v.Own)
	return target
}

// Bad are the declarations that do not count, by id, and why. The keys name where each stands.
func (v *View) Bad() map[string]string {
	bad := map[string]string{}
	add := func(kind keys.Kind, name string, contents Contents) {
		for id, entry := range contents {
			if entry.Bad != "" {
				where := "declared for the node"
				if kind == keys.GroupProxy {
					where = "declared for group " + name
				}
				bad[id] = where + ": " + entry.Bad
			}
		}
	}
	for i := len(v.Groups) - 1; i >= 0; i-- {
		add(keys.GroupProxy, v.Groups[i], v.Of[v.Groups[i]])
	}
	add(keys.NodeProxy, "", v.Own)
	return bad
}

// MaxGroups is how many groups a node can be in.
const MaxGroups = 64

// ParseGroups reads the list of a node's groups.
func ParseGroups(value []byte) ([]string, error) {
	var groups []string
	decoder := json.NewDecoder(bytes.NewReader(value))
	if err := decoder.Decode(&groups); err != nil || groups == nil || decoder.More() {
		return nil, errors.New(`groups: expected a list of names, as ["web", "edge"]`)
	}
	if len(groups) > MaxGroups {
		return nil, fmt.Errorf("groups: expected at most %d, got %d", MaxGroups, len(groups))
	}
	seen := map[string]bool{}
	for i, group := range groups {
		place := fmt.Sprintf("groups[%d]", i)
		if err := keys.CheckName(place, group); err != nil {
			return nil, err
		}
		if seen[group] {
			return nil, fmt.Errorf("%s: %s stands there twice", place, group)
		}
		seen[group] = true
	}
	return groups, nil
}

// Diff is how what is wanted differs from what runs; each list is sorted.
type Diff struct {
	Added, Changed, Removed []string
}

// Empty tells that nothing differs.
func (d Diff) Empty() bool { return len(d.Added)+len(d.Changed)+len(d.Removed) == 0 }

// Compare compares declarations by their text; where the text is the same it does not matter where it stands.
func Compare(applied, target Desired) Diff {
	var diff Diff
	for id, declaration := range target {
		if before, known := applied[id]; !known {
			diff.Added = append(diff.Added, id)
		} else if !bytes.Equal(before.Value, declaration.Value) {
			diff.Changed = append(diff.Changed, id)
		}
	}
	for id := range applied {
		if _, wanted := target[id]; !wanted {
			diff.Removed = append(diff.Removed, id)
		}
	}
	sort.Strings(diff.Added)
	sort.Strings(diff.Changed)
	sort.Strings(diff.Removed)
	return diff
}

// Clone is a copy of the map.
func (d Desired) Clone() Desired {
	clone := make(Desired, len(d))
	for id, declaration := range d {
		clone[id] = declaration
	}
	return clone
}
