// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"example.org/agent/fleet/keys"
)

// wants makes declarations from texts like "id=value" and "id=value@group".
func wants(texts ...string) Desired {
	desired := Desired{}
	for i, text := range texts {
		id, rest := split(text, "=")
		value, group := split(rest, "@")
		desired[id] = Declaration{[]byte(value), group, int64(i + 1)}
	}
	return desired
}

func split(text, separator string) (string, string) {
	if i := strings.Index(text, separator); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// texts is the reverse of wants, without versions.
func texts(desired Desired) string {
	all := map[string]string{}
	for id, declaration := range desired {
		all[id] = string(declaration.Value)
		if declaration.Group != "" {
			all[id] += "@" + declaration.Group
		}
	}
	return strings.TrimPrefix(fmt.Sprint(all), "map")
}

func numbered(count int) (all []string) {
	for i := 0; i < count; i++ {
		all = append(all, fmt.Sprintf("p%02d=v", i))
	}
	return all
}

func TestNodeWinsOverGroupsAndAnEarlierGroupOverALaterOne(t *testing.T) {
	entry := func(value string) Entry { return Entry{Version: 1, Value: []byte(value)} }
	view := View{
		Own:    Contents{"a": entry("own"), "never-good": {Version: 3, Bad: "why"}},
		Groups: []string{"first", "second"},
		Of: map[string]Contents{
			"first":  {"a": entry("1"), "b": entry("1"), "never-good": entry("1")},
			"second": {"b": entry("2"), "c": entry("2")},
			"left":   {"d": entry("3")},
		},
	}
	if got, expected := texts(view.Target()), "[a:own b:1@first c:2@second never-good:1@first]"; got != expected {
		t.Errorf("got %s, expected %s", got, expected)
	}
	if bad := view.Bad(); len(bad) != 1 || bad["never-good"] != "declared for the node: why" {
		t.Errorf("got %v", bad)
	}
}

func TestBadValueKeepsTheLastGoodOne(t *testing.T) {
	check := func(_ string, value []byte) error {
		if string(value) == "bad" {
			return errors.New("why")
		}
		return nil
	}
	good := Take(Entry{}, "a", []byte("good"), 1, check)
	bad := Take(good, "a", []byte("bad"), 2, check)
	if string(bad.Value) != "good" || bad.Bad != "why" || bad.Version != 2 {
		t.Errorf("got %+v", bad)
	}
	if again := Take(bad, "a", []byte("better"), 3, check); string(again.Value) != "better" || again.Bad != "" {
		t.Errorf("got %+v", again)
	}
	if first := Take(Entry{}, "a", []byte("bad"), 1, check); first.Value != nil {
		t.Errorf("got %+v", first)
	}
}

func TestDecisions(t *testing.T) {
	half := Digest([]string{"p00", "p01", "p02"})
	for name, c := range map[string]struct {
		situation Situation
		next      string
		removed   string
		held      string
	}{
		"first contact with any store is followed": {
			Situation{Target: wants("a=1"), Distrust: "another store", MaxRemoved: 1}, "[a:1]", "[]", "",
		},
		"additions and changes are followed": {
			Situation{Applied: wants("a=1"), Target: wants("a=2", "b=1"), MaxRemoved: 0}, "[a:2 b:1]", "[]", "",
		},
		"the only one can be removed": {
			Situation{Applied: wants("a=1"), Target: wants(), MaxRemoved: 1}, "[]", "[a]", "",
		},
		"one of many can be removed": {
			Situation{Applied: wants(numbered(50)...), Target: wants(numbered(49)...), MaxRemoved: 10},
			texts(wants(numbered(49)...)), "[p49]", "",
		},
		"an empty store removes nothing": {
			Situation{Applied: wants("a=1", "b=1"), Target: wants(), MaxRemoved: 10}, "[a:1 b:1]", "[]", "more than half",
		},
		"more than half is held, and what else there is is followed": {
			Situation{Applied: wants("a=1", "b=1", "c=1"), Target: wants("a=2", "d=1"), MaxRemoved: 10},
			"[a:2 b:1 c:1 d:1]", "[]", "2 of 3 proxies",
		},
		"more than the limit is held": {
			Situation{Applied: wants(numbered(50)...), Target: wants(numbered(39)...), MaxRemoved: 10},
			texts(wants(numbered(50)...)), "[]", "more than 10",
		},
		"removals of a short while ago count": {
			Situation{Applied: wants(numbered(50)...), Target: wants(numbered(49)...), MaxRemoved: 10, Recent: 10},
			texts(wants(numbered(50)...)), "[]", "after 10 a short while ago",
		},
		"what was held stays held when it is little": {
			Situation{Applied: wants(numbered(50)...), Target: wants(numbered(49)...), MaxRemoved: 10,
				HeldBefore: map[string]bool{"p49": true}},
			texts(wants(numbered(50)...)), "[]", "held back before",
		},
		"what was held and came back does not hold others": {
			Situation{Applied: wants(numbered(50)...), Target: wants(numbered(49)...), MaxRemoved: 10,
				HeldBefore: map[string]bool{"p01": true}},
			texts(wants(numbered(49)...)), "[p49]", "",
		},
		"a suspicion holds one removal": {
			Situation{Applied: wants(numbered(50)...), Target: wants(numbered(49)...), MaxRemoved: 10, Suspicion: "why"},
			texts(wants(numbered(50)...)), "[]", "and why",
		},
		"a suspicion holds no change": {
			Situation{Applied: wants("a=1"), Target: wants("a=2"), MaxRemoved: 10, Suspicion: "why"}, "[a:2]", "[]", "",
		},
		"the confirmation of exactly these is followed": {
			Situation{Applied: wants(numbered(3)...), Target: wants(), MaxRemoved: 1, Confirmed: map[string]int64{half: 9}},
			"[]", "[p00 p01 p02]", "",
		},
		"the confirmation of others is not": {
			Situation{Applied: wants(numbered(4)...), Target: wants(), MaxRemoved: 1, Confirmed: map[string]int64{half: 9}},
			texts(wants(numbered(4)...)), "[]", "4 of 4",
		},
		"a confirmation from before they were declared is not": {
			Situation{Applied: wants(numbered(3)...), Target: wants(), MaxRemoved: 1, Confirmed: map[string]int64{half: 2}},
			texts(wants(numbered(3)...)), "[]", "3 of 3",
		},
		"a store that is not trusted changes nothing": {
			Situation{Applied: wants("a=1", "b=1"), Target: wants("a=2", "c=1"), Distrust: "it went back", MaxRemoved: 10},
			"[a:1 b:1]", "[]", "it went back",
		},
		"a store that is not trusted and says the same is followed": {
			Situation{Applied: wants("a=1"), Target: wants("a=1"), Distrust: "it went back", MaxRemoved: 10}, "[a:1]", "[]", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(c.situation)
			if texts(got.Next) != c.next || fmt.Sprint(got.Removed) != c.removed {
				t.Errorf("got %s without %v, expected %s without %s", texts(got.Next), got.Removed, c.next, c.removed)
			}
			if (got.Held == nil) != (c.held == "") || got.Held != nil && !strings.Contains(got.Held.Why, c.held) {
				t.Errorf("got %+v, expected %q", got.Held, c.held)
			}
		})
	}
}

func TestConfirmationOfAStoreIsOfThatStoreAndThoseRevisions(t *testing.T) {
	situation := Situation{Applied: wants("a=1"), Target: wants("a=2"), Distrust: "why", Store: "1", MaxRemoved: 10}
	word := Decide(situation).Held.Confirm
	situation.Confirmed = map[string]int64{word: 0}
	if got := Decide(situation); got.Held != nil || texts(got.Next) != "[a:2]" {
		t.Errorf("got %+v", got)
	}
	other := situation
	other.Store = "2"
	if Decide(other).Held == nil {
		t.Error("another store is confirmed by it")
	}
	newer := situation
	newer.Target = Desired{"a": {Value: []byte("3"), Version: 7}}
	if Decide(newer).Held == nil {
		t.Error("another revision is confirmed by it")
	}
}

func TestAMassDeletionInSmallStepsIsHeldFromTheLimitOn(t *testing.T) {
	applied := wants(numbered(50)...)
	held := map[string]bool{}
	recent := 0
	for left := 49; left >= 0; left-- {
		got := Decide(Situation{
			Applied: applied, Target: wants(numbered(left)...), MaxRemoved: 10, Recent: recent, HeldBefore: held,
		})
		recent += len(got.Removed)
		if left < 20 {
			// The window is over, and the script goes on.
			recent = 0
		}
		applied, held = got.Next, map[string]bool{}
		if got.Held != nil {
			for _, id := range got.Held.Removed {
				held[id] = true
			}
		}
	}
	if len(applied) != 40 {
		t.Errorf("%d are left", len(applied))
	}
}

func TestDistrust(t *testing.T) {
	const node = "n"
	at := func(version int64) Entry { return Entry{Version: version} }
	before := &View{
		Own: Contents{"a": at(5), "b": at(7)}, Groups: []string{"g"}, Of: map[string]Contents{"g": {"c": at(6)}},
	}
	from := Position{Cluster: 1, Revision: 10, Spans: map[string]Span{
		keys.NodePrefix(node): {Revision: 10, Count: 2, Newest: 7}, keys.GroupPrefix("g"): {Revision: 8, Count: 1, Newest: 6},
	}}
	for name, c := range map[string]struct {
		from     Position
		cluster  uint64
		revision int64
		now      View
		expected string
	}{
		"nothing was known":        {Position{}, 2, 1, View{}, ""},
		"the same":                 {from, 1, 10, *before, ""},
		"later changes":            {from, 1, 20, View{Own: Contents{"a": at(12), "c": at(11)}}, ""},
		"another store":            {from, 2, 20, *before, "another one"},
		"it went back":             {from, 1, 9, *before, "gone back from revision 10 to 9"},
		"a key is older":           {from, 1, 20, View{Own: Contents{"a": at(4)}}, "revision 4, and was of revision 5"},
		"a key was not there":      {from, 1, 20, View{Own: Contents{"z": at(4)}}, "was not there"},
		"a group's key is older":   {from, 1, 20, View{Of: map[string]Contents{"g": {"c": at(3)}}}, "group g's"},
		"a group's key is later":   {from, 1, 20, View{Of: map[string]Contents{"g": {"d": at(9)}}}, ""},
		"another group was joined": {from, 1, 20, View{Of: map[string]Contents{"h": {"d": at(2)}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := c.now
			got := Distrust(node, c.from, before, c.cluster, c.revision, &now)
			if (got == "") != (c.expected == "") || !strings.Contains(got, c.expected) {
				t.Errorf("got %q, expected %q", got, c.expected)
			}
		})
	}
}

func TestSpanFollowsItsKeys(t *testing.T) {
	span := Span{Revision: 3, Count: 2, Newest: 3}.Put(5, true).Put(7, false)
	if span != (Span{7, 3, 7}) || !span.Same(3, 7) || span.Same(3, 6) || span.Same(2, 7) {
		t.Errorf("got %+v", span)
	}
	if span = span.Delete(9); !span.Same(2, 4) || span.Same(3, 4) {
		t.Errorf("got %+v", span)
	}
}

func TestGate(t *testing.T) {
	closed := func(group string) bool { return group == "g" }
	for name, c := range map[string]struct {
		applied, next Desired
		now, waiting  string
	}{
		"a change of the node itself waits for nothing": {
			wants("a=1", "b=1@g"), wants("a=2", "b=1@g"), "[a:2 b:1@g]", "map[]",
		},
		"a change of the group waits":          {wants("b=1@g"), wants("b=2@g"), "[b:1@g]", "map[g:[b]]"},
		"an addition and a removal wait":       {wants("b=1@g", "c=1@g"), wants("c=1@g", "d=1@g"), "[b:1@g c:1@g]", "map[g:[b d]]"},
		"a group that is new to the node":      {wants("a=1"), wants("a=1", "b=1@g", "c=1@g"), "[a:1 b:1@g c:1@g]", "map[]"},
		"a change of another group goes on":    {wants("b=1@g", "c=1@h"), wants("b=1@g", "c=2@h"), "[b:1@g c:2@h]", "map[]"},
		"the same text from elsewhere is none": {wants("b=1@g"), wants("b=1"), "[b:1]", "map[]"},
		"the node takes over a proxy at once":  {wants("b=1@g"), wants("b=2"), "[b:2]", "map[]"},
	} {
		t.Run(name, func(t *testing.T) {
			now, waiting := Gate(c.applied, c.next, closed)
			if texts(now) != c.now || fmt.Sprint(waiting) != c.waiting {
				t.Errorf("got %s, %v; expected %s, %s", texts(now), waiting, c.now, c.waiting)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	for text, expected := range map[string][]string{
		`["web", "edge-1.x_Y"]`: {"web", "edge-1.x_Y"},
		`[]`:                    {},
	} {
		if got, err := ParseGroups([]byte(text)); err != nil || !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	many := `["g0"` + strings.Repeat(`,"x"`, 64) + `]`
	for _, text := range []string{
		``, `null`, `{}`, `"web"`, `[1]`, `["web"`, `["a"] ["b"]`, `[""]`, `["a/b"]`, `["../nodes/other"]`, `["a", "a"]`,
		"[\"\x00\"]", "\xff", many, `["` + strings.Repeat("g", 129) + `"]`,
	} {
		if got, err := ParseGroups([]byte(text)); err == nil {
			t.Errorf("%.40q: got %v", text, got)
		}
	}
}
