// SPDX-License-Identifier: MPL-2.0

package keys

import (
	"strings"
	"testing"
)

func TestParseIsTheReverseOfString(t *testing.T) {
	for _, key := range []Key{
		{NodeProxy, "n", "web"}, {NodeProxy, "n", "a/b"}, {NodeProxy, "n", ""}, {GroupProxy, "g", "x\x00\xff"},
		{NodeProxy, "n", "proxies/groups"}, {NodeGroups, "n", ""}, {NodeConfirm, "n", ""}, {GroupConfirm, "g", ""},
		{Rollout, "g", ""}, {RolloutFailed, "g", ""},
	} {
		if got := Parse(key.String()); got != key {
			t.Errorf("%s: got %+v, expected %+v", key, got, key)
		}
	}
}

func TestOtherKeysMeanNothing(t *testing.T) {
	for _, text := range []string{
		"", "/proxyprocess/v2/nodes/n/groups", Root, Root + "/nodes/n", Root + "/nodes/n/other", Root + "/groups/g/groups",
		Root + "/rollouts/g/turns/n", Root + "/rollouts/g/members/n", StatusKey("n"),
	} {
		if got := Parse(text); got.Kind != Unknown {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"web-1", "A.b_c", "0", strings.Repeat("n", 128)} {
		if err := CheckName("node", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "a/b", "a b", "a\x00", "é", strings.Repeat("n", 129)} {
		if CheckName("node", name) == nil {
			t.Errorf("%q is a name", name)
		}
	}
}
