// SPDX-License-Identifier: MPL-2.0

package status

import (
	"encoding/json"
	"fmt"
	"testing"
)

func keysOf(t *testing.T, report Report) map[string][]byte {
	t.Helper()
	told, err := report.Keys("n")
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func TestOnlyWhatChangedIsWrittenAndTheNodeLast(t *testing.T) {
	report := Report{
		Node:    Node{Revision: 5},
		Proxies: map[string]json.RawMessage{"a": []byte("1"), "b": []byte("1")}, Errors: map[string]string{"c": "why"},
		Members: map[string]int64{"g": 4},
	}
	before := keysOf(t, report)
	if changes := Changes(before, keysOf(t, report), "n", 100); len(changes) != 0 {
		t.Errorf("got %+v", changes)
	}
	report.Node.Revision = 6
	report.Proxies = map[string]json.RawMessage{"a": []byte("2"), "b": []byte("1")}
	report.Errors = nil
	got := fmt.Sprintf("%s", Changes(before, keysOf(t, report), "n", 100))
	expected := `[{/proxyprocess/v1/status/n/errors/c } {/proxyprocess/v1/status/n/proxies/a 2} {/proxyprocess/v1/status/n {` +
		`"agent":"","version":"","started":"0001-01-01T00:00:00Z","revision":6,"running":0,"declared":0,"ready":0,"not_ready":0}}]`
	if got != expected {
		t.Errorf("got %s", got)
	}
}

func TestManyChangesAreWrittenInParts(t *testing.T) {
	report := Report{Proxies: map[string]json.RawMessage{}}
	for i := 0; i < 250; i++ {
		report.Proxies[fmt.Sprint(i)] = []byte("1")
	}
	wanted, written := keysOf(t, report), map[string][]byte{}
	for i, expected := range []int{100, 100, 51, 0} {
		changes := Changes(written, wanted, "n", 100)
		if len(changes) != expected {
			t.Fatalf("part %d: got %d", i, len(changes))
		}
		for _, change := range changes {
			written[change.Key] = change.Value
		}
	}
	for i, expected := range []int{100, 100, 51, 0} {
		changes := Changes(written, keysOf(t, Report{Node: Node{Revision: 1}}), "n", 100)
		if len(changes) != expected {
			t.Fatalf("part %d of removals: got %d", i, len(changes))
		}
		for _, change := range changes {
			if change.Value == nil {
				delete(written, change.Key)
			} else {
				written[change.Key] = change.Value
			}
		}
	}
}
