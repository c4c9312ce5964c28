// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.org/agent/fleet/status"
)

func TestAHundredMegabytesOfKeysOfWhichAFifthIsTheNodes(t *testing.T) {
	if os.Getenv("FLEET_LONG") == "" {
		t.Skip("FLEET_LONG is not set: .ci/fleet.sh long")
	}
	w := newWorld(t, 1)
	value := func(i int) string {
		return fmt.Sprintf(`{"mode":"noop","target_service":"%d-%s"}`, i, strings.Repeat("x", 100_000))
	}
	for i := 0; i < 800; i++ {
		w.put(fmt.Sprintf("nodes/other-%d/proxies/p", i), value(i))
	}
	for i := 0; i < 200; i++ {
		w.put(fmt.Sprintf("nodes/n/proxies/p%03d", i), value(i))
	}
	a := w.agent("n")
	w.says("n", "that 200 are ready", func(r status.Report) bool { return r.Node.Ready == 200 })
	w.runs("n", w.put("nodes/n/proxies/p000", value(1000)))
	a.end(9)
	a.start()
	started := a.status().Node.Started
	w.says("n", "that it has begun anew", func(r status.Report) bool { return r.Node.Started.Equal(started) && r.Node.Ready == 200 })
	w.runs("n", w.put("nodes/n/proxies/p001", "", "nodes/n/proxies/p002", value(7)))
	w.says("n", "that one is gone", func(r status.Report) bool { return r.Node.Declared == 199 && r.Node.Ready == 199 })
}
