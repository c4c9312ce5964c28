// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
)

func TestFleetctlDeclaresShowsAndGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	file := filepath.Join(w.dir, "a.json")
	check(t, os.WriteFile(file, []byte(sleeper(1)+"\n"), 0o600))
	first := w.ctl("set", "--node", "n", "a", file)
	if text, err := w.fleetctl(`{"comand":["x"]}`, "set", "--node", "n", "a"); err == nil || !strings.Contains(text, "comand") {
		t.Errorf("got %v, %s", err, text)
	}
	w.ctl("groups", "--node", "n", "g")
	if got := w.ctl("groups", "--node", "n"); got != "[\"g\"]\n" {
		t.Errorf("got %s", got)
	}
	if text, err := w.fleetctl(`{"mode":"noop"}`, "set", "--group", "g", "b"); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	a := w.agent("n")
	w.says("n", "that two are ready", func(r status.Report) bool { return r.Node.Ready == 2 })
	if got := w.ctl("get", "--node", "n", "a"); got != sleeper(1)+"\n" {
		t.Errorf("got %s", got)
	}
	if got := w.ctl("status"); !regexp.MustCompile(`(?m)^n +2 +2 +\d+ +\d+ +-$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	if got := w.ctl("diff", "--node", "n"); got != "" {
		t.Errorf("got %s", got)
	}
	// What a file would change, and what was changed since a revision; only names of fields.
	check(t, os.WriteFile(file, []byte(`{"command":["sleep","302"],"stop_signal":15,"token":"hunter2"}`), 0o600))
	if got := w.ctl("diff", "--node", "n", "a", file); got != "~ \"a\": +token, command\n" {
		t.Errorf("got %s", got)
	}
	before := a.processOf("a")
	w.ctl("set", "--node", "n", "a", file)
	w.ctl("rm", "--group", "g", "b")
	w.says("n", "that one is ready", func(r status.Report) bool { return r.Node.Ready == 1 && r.Node.Declared == 1 })
	second := a.processOf("a")
	if second == before {
		t.Error("the change was not followed")
	}
	history := w.ctl("history", "--node", "n")
	if !regexp.MustCompile(`^\d+  \+ "a"\n\d+  ~ "a": \+token, command\n$`).MatchString(history) {
		t.Errorf("got %s", history)
	}
	if got := w.ctl("history", "--group", "g", "b"); !regexp.MustCompile(`^\d+  \+ "b"\n\d+  - "b"\n$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	revision := strings.Fields(first)[1]
	if got := w.ctl("rollback", "--node", "n", "--revision", revision); !strings.HasPrefix(got, "~ \"a\": -token, command\nrevision ") {
		t.Errorf("got %s", got)
	}
	got, err := w.client.Get(ctx(t), keys.Root+"/nodes/n/proxies/a")
	check(t, err)
	w.runs("n", got.Kvs[0].ModRevision)
	if third := a.processOf("a"); third == second {
		t.Error("the way back was not followed")
	}
	if got := w.ctl("rollback", "--node", "n", "--revision", revision); got != "nothing differs\n" {
		t.Errorf("got %s", got)
	}
	// What is compacted is said.
	_, err = w.client.Compact(ctx(t), got.Header.Revision)
	check(t, err)
	if got := w.ctl("history", "--node", "n"); !strings.HasPrefix(got, "revisions before ") {
		t.Errorf("got %s", got)
	}
	if text, err := w.fleetctl("", "rollback", "--node", "n", "--revision", revision); err == nil || !strings.Contains(text, "compacted") {
		t.Errorf("got %v, %s", err, text)
	}
	for _, args := range [][]string{
		{"rm", "--node", "n", "none"}, {"get", "--node", "n", "none"}, {"status", "none"}, {"rollout", "status", "g"},
	} {
		if text, err := w.fleetctl("", args...); err == nil {
			t.Errorf("%q: got %s", args, text)
		}
	}
}
