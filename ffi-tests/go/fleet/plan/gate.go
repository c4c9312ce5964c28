// SPDX-License-Identifier: MPL-2.0

package plan

import "sort"

// Gate keeps changes of groups whose nodes take turns until the node has its turn. It returns what to run now, and which
// proxies wait, by group. A node that runs nothing of a group yet waits for no turn: it has nothing that could be disturbed.
func Gate(applied, next Desired, gated func(group string) bool) (Desired, map[string][]string) {
	runs := map[string]bool{}
	for _, declaration := range applied {
		runs[declaration.Group] = true
	}
	now, waiting := next.Clone(), map[string][]string{}
	diff := Compare(applied, next)
	for _, ids := range [][]string{diff.Added, diff.Changed, diff.Removed} {
		for _, id := range ids {
			// A change belongs to the group that it comes from; where a group's declaration goes, to that one.
			before, was := applied[id]
			after, wanted := next[id]
			group := after.Group
			if !wanted {
				group = before.Group
			}
			if group == "" || !runs[group] || !gated(group) {
				continue
			}
			waiting[group] = append(waiting[group], id)
			if was {
				now[id] = before
			} else {
				delete(now, id)
			}
		}
	}
	for _, ids := range waiting {
		sort.Strings(ids)
	}
	return now, waiting
}
