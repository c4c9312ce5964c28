// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"fmt"

	"example.org/agent/fleet/keys"
)

// Position is where in the history of a store something was read.
type Position struct {
	// Cluster tells stores apart; 0 is none that was read.
	Cluster uint64 `json:"cluster"`
	// Revision is the newest revision that was followed.
	Revision int64 `json:"revision"`
	// Spans are the ranges of keys that were read, each by its first key. They can differ in how far they are known: each is
	// watched by itself.
	Spans map[string]Span `json:"spans,omitempty"`
}

// Span is what is known of a range of keys.
type Span struct {
	// Revision is up to which it is known.
	Revision int64 `json:"revision"`
	// Count is how many keys are in it.
	Count int64 `json:"count"`
	// Newest is the revision of the key that was written last; 0 is not known.
	Newest int64 `json:"newest"`
}

// Same tells whether a range was, at the revision up to which it is known, as it is known.
func (s Span) Same(count, newest int64) bool {
	return s.Count == count && (s.Newest == newest || s.Newest == 0)
}

// Put is the span after a key was written.
func (s Span) Put(revision int64, created bool) Span {
	if created {
		s.Count++
	}
	return Span{revision, s.Count, revision}
}

// Delete is the span after a key was deleted: the newest of the others is not known.
func (s Span) Delete(revision int64) Span {
	return Span{revision, s.Count - 1, 0}
}

// Distrust says why a store that was read whole is not one that has gone on from a position: another store, an older one, or
// one whose keys have another past. It is empty when there is no such sign.
func Distrust(node string, from Position, before *View, cluster uint64, revision int64, now *View) string {
	if from.Cluster == 0 {
		return ""
	}
	if cluster != from.Cluster {
		return fmt.Sprintf("the store is another one: cluster %x, not %x", cluster, from.Cluster)
	}
	if revision < from.Revision {
		return fmt.Sprintf("the store has gone back from revision %d to %d", from.Revision, revision)
	}
	if why := otherPast(from.Spans[keys.NodePrefix(node)].Revision, before.Own, now.Own); why != "" {
		return "the store has another past: the node's " + why
	}
	for group, contents := range now.Of {
		known, read := before.Of[group], from.Spans[keys.GroupPrefix(group)].Revision
		if why := otherPast(read, known, contents); read > 0 && known != nil && why != "" {
			return fmt.Sprintf("the store has another past: group %s's %s", group, why)
		}
	}
	return ""
}

// otherPast compares keys as they were known at a revision with what is said of them later: one that was not written since must
// be as it was.
func otherPast(at int64, before, now Contents) string {
	for id, entry := range now {
		known, was := before[id]
		switch {
		case entry.Version > at:
		case !was:
			return fmt.Sprintf("%.100q of revision %d was not there at revision %d", id, entry.Version, at)
		case known.Version != entry.Version:
			return fmt.Sprintf("%.100q is of revision %d, and was of revision %d", id, entry.Version, known.Version)
		}
	}
	return ""
}
