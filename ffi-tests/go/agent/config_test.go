// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWholeConfiguration(t *testing.T) {
	config, err := parseConfig([]byte(`{
		"data_dir": "/var/lib/agent", "allow_root": true, "on_exit": "stop", "proxy_env": ["A=b=c", "B="],
		"snapshot_period_ms": 7, "coalesce_period_ms": 0, "quiescent_period_ms": null, "max_handovers": 2,
		"keep_removed": 0,
		"proxies": {
			"web": {"command": ["{self}", "{self}", "a"], "grace_period_ms": 31622400000},
			"db": {"command": ["/bin/db"], "mode": "daemon"},
			"off": {"mode": "noop"}
		}
	}`), "/opt/<agent>")
	if err != nil {
		t.Fatal(err)
	}
	options := config.options
	if options.DataDir != "/var/lib/agent" || !options.AllowRoot || strings.Join(options.ProxyEnv, " ") != "A=b=c B=" {
		t.Errorf("got %+v", options)
	}
	if options.SnapshotPeriod != 7*time.Millisecond || options.CoalescePeriod >= 0 || options.QuiescentPeriod != 0 {
		t.Errorf("got %+v", options)
	}
	if options.MaxHandovers != 2 || options.KeepRemoved == nil || *options.KeepRemoved != 0 {
		t.Errorf("got %+v", options)
	}
	if config.onExit != stopProxies {
		t.Error("they are left")
	}
	var proxies map[string]struct {
		Command []string
		Period  json.Number `json:"grace_period_ms"`
	}
	if err := json.Unmarshal(config.proxies, &proxies); err != nil {
		t.Fatal(err)
	}
	web := proxies["web"]
	if strings.Join(web.Command, " ") != "/opt/<agent> {self} a" || web.Period != "31622400000" {
		t.Errorf("got %s", config.proxies)
	}
	if len(proxies) != 3 || proxies["db"].Command[0] != "/bin/db" {
		t.Errorf("got %s", config.proxies)
	}
}

func TestEmptyConfiguration(t *testing.T) {
	for _, text := range []string{"{}", `{"proxies": null, "data_dir": null}`, ` {"proxies": {}} ` + "\n", "\ufeff{}"} {
		config, err := parseConfig([]byte(text), "/opt/agent")
		if err != nil {
			t.Fatal(err)
		}
		if string(config.proxies) != "{}" || config.options.DataDir != "" || config.onExit != leaveProxies {
			t.Errorf("%s: got %+v", text, config)
		}
	}
}

func TestBadConfigurations(t *testing.T) {
	web := func(declaration string) string { return `{"proxies": {"web": ` + declaration + `}}` }
	cases := map[string]string{
		"\ufeff\ufeff{}":                        "not a JSON document",
		``:                                      "not a JSON document",
		`[]`:                                    "document: expected an object, got a list",
		`null`:                                  "document: expected an object, got null",
		`{} {}`:                                 "not a JSON document",
		`{"proxies": {`:                         "not a JSON document",
		"{\"data_dir\": \"\xff\"}":              "not a JSON document: not UTF-8",
		`{"datadir": "x"}`:                      "datadir: unknown field, expected one of data_dir, ",
		`{"Data_dir": "x"}`:                     "Data_dir: unknown field",
		`{"a": 1, "data_dir": 1}`:               "data_dir: expected a path, got 1",
		`{"data_dir": ""}`:                      "data_dir: expected a path, got an empty string",
		`{"data_dir": "a\u0000b"}`:              "data_dir: expected a path, got a string",
		`{"data_dir": 1, "data_dir":1`:          "not a JSON document",
		`{"on_exit":"stop", "on_exit":"leave"}`: "on_exit: declared twice",
		`{"on_exit": "explode"}`:                `on_exit: expected "leave" or "stop", got "explode"`,
		`{"on_exit": 7}`:                        `on_exit: expected "leave" or "stop", got 7`,
		`{"allow_root": "yes"}`:                 "allow_root: expected true or false, got a string",
		`{"snapshot_period_ms": 1.0}`:           "snapshot_period_ms: expected milliseconds",
		`{"snapshot_period_ms": -1}`:            "snapshot_period_ms: expected milliseconds",
		`{"snapshot_period_ms": 31622400001}`:   "from 0 to 31622400000, got 31622400001",
		`{"proxy_env": "A=b"}`:                  "proxy_env: expected a list of strings, got a string",
		`{"proxy_env": ["A=b", "=c"]}`:          "proxy_env[1]: expected a string NAME=value, got a string",
		`{"proxy_env": ["secret"]}`:             "proxy_env[0]: expected a string NAME=value, got a string without =",
		`{"proxy_env": [null]}`:                 "proxy_env[0]: expected a string NAME=value, got null",
		`{"proxies": []}`:                       "proxies: expected an object",
		web(`{"command": ["a\u0000b"]}`):        "proxies.web.command[0]: ",
		web(`{"comand": ["a"]}`):                "proxies.web.comand: unknown field",
		web(`{"command": "a"}`):                 "proxies.web.command: ",
		web(`{"command": ["{self}", 1]}`):       "proxies.web.command[1]: ",
		web(`{"command": ["\ud800"]}`):          "proxies: not a JSON document: unexpected end of hex escape",
		web(`{"mode": "own"}`):                  `proxies.web.mode: expected "daemon" or "noop", got "own"`,
		web(`{"command": ["a"], "grace_period_ms": 18446744073709551616}`): "proxies.web.grace_period_ms: ",
		`{"proxies": {"web": {"mode": "noop"}, "web": {"mode": "noop"}}}`:  "proxies.web: declared twice",
	}
	for text, expected := range cases {
		if config, err := parseConfig([]byte(text), "/opt/agent"); err == nil {
			t.Errorf("%s: got %+v", text, config)
		} else if !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: expected %q, got %q", text, expected, err)
		}
	}
}

func TestProgramThatIsNoText(t *testing.T) {
	config, err := parseConfig([]byte(`{"proxies": {"web": {"command": ["{self}"]}}}`), "/opt/\xff")
	if err != nil {
		t.Fatal(err)
	}
	if expected := `{"web":{"command":[[47,111,112,116,47,255]]}}`; string(config.proxies) != expected {
		t.Errorf("expected %s, got %s", expected, config.proxies)
	}
}

func TestLoadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.json")
	if _, err := loadConfig(path, ""); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path, ""); err == nil || !strings.HasPrefix(err.Error(), path+": document: ") {
		t.Errorf("got %v", err)
	}
}

func TestWrongArguments(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	os.Stderr, _ = os.Open(os.DevNull)
	for _, args := range [][]string{{}, {"--unknown"}, {"a", "b"}} {
		if code := command(args); code != exitUsage {
			t.Errorf("%q: got %d", args, code)
		}
	}
	if code := command([]string{filepath.Join(t.TempDir(), "missing")}); code != exitFailure {
		t.Errorf("got %d", code)
	}
}
