// SPDX-License-Identifier: MPL-2.0

package foreground

import (
	"testing"

	"example.org/agent/proxyprocess"
)

func TestParseLevel(t *testing.T) {
	for name, expected := range map[string]proxyprocess.LogLevel{
		"off": proxyprocess.LogOff, "ERROR": proxyprocess.LogError, "Trace": proxyprocess.LogTrace,
	} {
		if level, known := parseLevel(name); !known || level != expected {
			t.Errorf("%s: got %v, %v", name, level, known)
		}
	}
	for _, name := range []string{"", "loud", "level 6"} {
		if level, known := parseLevel(name); known {
			t.Errorf("%q: got %v", name, level)
		}
	}
}
