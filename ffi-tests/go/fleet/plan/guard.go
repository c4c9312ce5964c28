// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
)

// Situation is all that a decision depends on.
type Situation struct {
	// Applied is what the node runs.
	Applied Desired
	// Target is what the store asks for.
	Target Desired
	// Distrust says why the store may have lost or forgotten something; empty is a store that has gone on from where the
	// node was.
	Distrust string
	// Suspicion says why what is gone may be gone by mistake, however little it is; it is about removals alone.
	Suspicion string
	// Store tells stores apart, for the confirmation of one that is not trusted.
	Store string
	// Confirmed are the confirmations that there are, each with the revision in which it was written.
	Confirmed map[string]int64
	// HeldBefore are removals that were held back and were not confirmed.
	HeldBefore map[string]bool
	// MaxRemoved is how many proxies can be removed without a confirmation.
	MaxRemoved int
	// Recent is how many were, a short while ago.
	Recent int
}

// Held is what is not followed, until it is confirmed.
type Held struct {
	// Why is the reason.
	Why string `json:"why"`
	// Confirm is the word that permits it.
	Confirm string   `json:"confirm"`
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// Decision is what becomes of a situation.
type Decision struct {
	// Next is what the node has to run.
	Next Desired
	// Removed are the proxies that are stopped by it.
	Removed []string
	// Held is what is held back, or nil.
	Held *Held
}

// Decide decides what is followed. A store that is not trusted is followed in nothing that differs, and a mass deletion in no
// removal, until a human confirms exactly that.
func Decide(s Situation) Decision {
	diff := Compare(s.Applied, s.Target)
	if s.Distrust != "" && !diff.Empty() && len(s.Applied) > 0 {
		held := &Held{s.Distrust, digestAll(s, diff), diff.Added, diff.Changed, diff.Removed}
		if _, confirmed := s.Confirmed[held.Confirm]; !confirmed {
			return Decision{Next: s.Applied.Clone(), Held: held}
		}
		return Decision{Next: s.Target.Clone(), Removed: diff.Removed}
	}
	why := s.tooMany(diff.Removed)
	if why == "" {
		return Decision{Next: s.Target.Clone(), Removed: diff.Removed}
	}
	word := Digest(diff.Removed)
	if written, confirmed := s.Confirmed[word]; confirmed && s.newer(written, diff.Removed) {
		return Decision{Next: s.Target.Clone(), Removed: diff.Removed}
	}
	next := s.Target.Clone()
	for _, id := range diff.Removed {
		next[id] = s.Applied[id]
	}
	return Decision{Next: next, Held: &Held{Why: why, Confirm: word, Removed: diff.Removed}}
}

// tooMany says why removals need a confirmation. Once some were held, they and those that join them need one, also when the
// time that the limit is about is over: else a mass deletion would go on in small steps.
func (s Situation) tooMany(removed []string) string {
	count := len(removed)
	for _, id := range removed {
		if s.HeldBefore[id] {
			return fmt.Sprintf("%d of %d proxies are to be removed, some of which were held back before", count, len(s.Applied))
		}
	}
	switch {
	case count == 0:
		return ""
	case s.Suspicion != "":
		return fmt.Sprintf("%d of %d proxies are to be removed, and %s", count, len(s.Applied), s.Suspicion)
	case count+s.Recent > s.MaxRemoved:
		return fmt.Sprintf("%d of %d proxies are to be removed, after %d a short while ago: more than %d", count, len(s.Applied),
			s.Recent, s.MaxRemoved)
	case count > 1 && 2*count > len(s.Applied):
		return fmt.Sprintf("%d of %d proxies are to be removed: more than half", count, len(s.Applied))
	default:
		return ""
	}
}

// newer tells whether a confirmation was written after the declarations whose end it permits: one that was used once does not
// count when the same proxies were declared again since.
func (s Situation) newer(written int64, removed []string) bool {
	for _, id := range removed {
		if s.Applied[id].Version > written {
			return false
		}
	}
	return true
}

// Digest is the word that confirms the removal of these proxies, whatever their order.
func Digest(ids []string) string {
	sorted := append([]string(nil), ids...)
	sort.Strings(sorted)
	sum := sha256.New()
	for _, id := range sorted {
		fmt.Fprintf(sum, "%d:%s\n", len(id), id)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// digestAll is the word that confirms all that an untrusted store wants otherwise. It names declarations by their revisions: no
// word is made of a secret.
func digestAll(s Situation, diff Diff) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "store %s\n", s.Store)
	for _, ids := range [][]string{diff.Added, diff.Changed, diff.Removed} {
		for _, id := range ids {
			fmt.Fprintf(sum, "%d:%s %d\n", len(id), id, s.Target[id].Version)
		}
		fmt.Fprintln(sum)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}
