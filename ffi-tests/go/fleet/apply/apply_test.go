// SPDX-License-Identifier: MPL-2.0

package apply

import (
	"strings"
	"testing"
)

func TestWhatIsNoDeclarationIsRefusedWithoutItsSecrets(t *testing.T) {
	checker, err := NewChecker()
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{
		`{"command":["a"]}`, `{"mode":"noop"}`, `{"command":["a"],"token":"t","env":["A=b"]}`, `{"mode":null,"command":["a"]}`,
	} {
		if err := checker.Check("web", []byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	const secret = "hunter2hunter2"
	for _, bad := range []string{
		``, `null`, `[]`, `"` + secret + `"`, `{"command":["a"]`, `{"command":["a"]} {}`, "\xff", "{\"command\":[\"\xff\"]}",
		`{"comand":["` + secret + `"]}`, `{"command":"` + secret + `"}`, `{"command":["` + secret + `\u0000"]}`,
		`{"command":["a"],"token":["` + secret + `"]}`, `{"command":["a"],"token":"` + secret + `","token":"` + secret + `"}`,
		`{"command":["a"],"env":["` + secret + `"]}`, `{"command":["a"],"env":{"A":["` + secret + `"]}}`,
		`{"command":["a"],"env":["A\u0000=` + secret + `"]}`, `{"mode":"lamp","token":"` + secret + `"}`,
		`{"command":["a"],"grace_period_ms":-1}`, strings.Repeat("[", 100_000), `{"command":["a"],"token":"` + secret,
	} {
		err := checker.Check("web", []byte(bad))
		if err == nil {
			t.Errorf("%.60q counts", bad)
		} else if text := err.Error(); strings.Contains(text, secret) || len(text) > longestReason+10 {
			t.Errorf("%.60q: got %q", bad, text)
		}
	}
	for _, id := range []string{"", strings.Repeat("i", 1025), "a\x00b", "\xff"} {
		if checker.Check(id, []byte(`{"mode":"noop"}`)) == nil {
			t.Errorf("%.20q is an id", id)
		}
	}
}

func TestRedact(t *testing.T) {
	declaration := `{"command":["/bin/run","--password=hunter2"],"token":"tok-en-tok","env":["KEY=va-lu-e","S=x"]}`
	got := Redact("execute /bin/run --password=hunter2 with tok-en-tok and va-lu-e, x", []byte(declaration))
	if expected := "execute /bin/run [...] with [...] and [...], x"; got != expected {
		t.Errorf("got %q", got)
	}
	if got := Redact("text", []byte("no JSON")); got != "text" {
		t.Errorf("got %q", got)
	}
}
