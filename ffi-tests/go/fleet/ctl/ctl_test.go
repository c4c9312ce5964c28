// SPDX-License-Identifier: MPL-2.0

package ctl

import (
	"bytes"
	"strings"
	"testing"
)

func TestDiffNamesFieldsAndNotTheirValues(t *testing.T) {
	before := map[string][]byte{
		"gone": []byte(`{}`), "same": []byte(`{"a":1}`), "text": []byte(`{"a":1}`),
		"changed": []byte(`{"command":["a"],"token":"secret","env":{"A":"b"},"nice":1}`),
	}
	now := map[string][]byte{
		"new": []byte(`{}`), "same": []byte(`{"a":1}`), "text": []byte(`{ "a": 1 }`),
		"changed": []byte(`{"command":["b"],"token":"other","env":{"A" : "b"},"umask":1}`),
	}
	got := strings.Join(diffLines(before, now), "\n")
	expected := "+ \"new\"\n- \"gone\"\n~ \"changed\": +umask, -nice, command, token\n~ \"text\": only its text"
	if got != expected {
		t.Errorf("got %s", got)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{
		{"fly"}, {"set"}, {"set", "--node", "a"}, {"set", "--node", "a", "--group", "b", "id"}, {"set", "--node", "a/b", "id"},
		{"set", "--unknown"}, {"rm", "--node", "a"}, {"confirm", "--node", "a"}, {"rollout"}, {"rollout", "status"},
		{"rollout", "status", "a/b"}, {"rollback", "--node", "a"}, {"groups"}, {"groups", "--node", "a", "b/c"},
		{"get"}, {"status", "a", "b"}, {"set", "--user", "root", "--node", "a", "id"}, {"status", "--key", "k"},
	} {
		var out, err bytes.Buffer
		if failed := Run(args[0], args[1:], Streams{strings.NewReader("{}"), &out, &err}); !IsUsage(failed) {
			t.Errorf("%q: got %v", args, failed)
		}
	}
}
