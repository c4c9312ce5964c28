// SPDX-License-Identifier: MPL-2.0

package proxyprocess_test

import (
	"strings"
	"testing"
	"time"

	"example.org/agent/proxyprocess"
)

func TestConstants(t *testing.T) {
	periods := map[time.Duration]time.Duration{
		proxyprocess.DaemonRestartHealthy:   10 * time.Second,
		proxyprocess.DaemonRestartMaxWait:   time.Minute,
		proxyprocess.ManagerCoalescePeriod:  5 * time.Second,
		proxyprocess.ManagerQuiescentPeriod: 500 * time.Millisecond,
		proxyprocess.ManagerSnapshotPeriod:  time.Second,
	}
	for got, expected := range periods {
		if got != expected {
			t.Errorf("expected %v, got %v", expected, got)
		}
	}
	if proxyprocess.DaemonRestartBackoffMin != 3 {
		t.Errorf("got %d", proxyprocess.DaemonRestartBackoffMin)
	}
	names := []string{proxyprocess.EnvProxyID, proxyprocess.EnvProxyToken, proxyprocess.EnvSidecarFor}
	if got := strings.Join(names, " "); got != "CONNECT_PROXY_ID CONNECT_PROXY_TOKEN CONNECT_SIDECAR_FOR" {
		t.Errorf("got %s", got)
	}
}

func TestVersion(t *testing.T) {
	if parts := strings.Split(proxyprocess.Version(), "."); len(parts) != 3 {
		t.Errorf("got %v", parts)
	}
}
