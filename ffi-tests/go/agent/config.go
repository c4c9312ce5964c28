// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"unicode/utf8"

	"example.org/agent/proxyprocess"
)

// onExit is what the agent does with its proxies when SIGINT or SIGTERM ends it.
type onExit int

const (
	// leaveProxies: they keep running, and the next agent adopts them.
	leaveProxies onExit = iota
	// stopProxies: they are stopped first.
	stopProxies
)

// configuration is a configuration that was read and checked whole.
type configuration struct {
	options proxyprocess.ManagerOptions
	onExit  onExit
	// The JSON object of the proxies, for State.ReplaceAllJSON.
	proxies json.RawMessage
}

// loadConfig reads a configuration file; program is what "{self}" stands for. An error is "path: field: what was
// expected", or says why the file cannot be read.
func loadConfig(path, program string) (*configuration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config, err := parseConfig(text, program)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

func parseConfig(text []byte, program string) (*configuration, error) {
	fields, err := readDocument(text)
	if err != nil {
		return nil, err
	}
	config := &configuration{options: proxyprocess.ManagerOptions{
		DataDir:         fields.text("data_dir", "a path", isPath),
		AllowRoot:       fields.boolean("allow_root"),
		ProxyEnv:        fields.texts("proxy_env", "a string NAME=value", isVariable),
		SnapshotPeriod:  fields.period("snapshot_period_ms"),
		CoalescePeriod:  fields.period("coalesce_period_ms"),
		QuiescentPeriod: fields.period("quiescent_period_ms"),
		MaxHandovers:    fields.number("max_handovers", 1, 1<<20),
		KeepRemoved:     fields.count("keep_removed"),
		Cgroup:          cgroups[fields.text("cgroup", `"off", "auto" or "required"`, isCgroup)],
		CgroupBase:      fields.text("cgroup_base", "a path", isPath),
	}}
	config.onExit = fields.onExit("on_exit")
	proxies := fields.raw("proxies")
	if err := fields.finish(); err != nil {
		return nil, err
	}
	config.proxies, err = readProxies(proxies, program)
	return config, err
}

// readProxies checks the declarations as they are written, by the library; then it puts the path of this program in
// place of a first word "{self}".
func readProxies(proxies json.RawMessage, program string) (json.RawMessage, error) {
	if proxies == nil {
		return json.RawMessage("{}"), nil
	}
	// Into a state that no manager watches: a reload must know that all is well before it changes anything.
	scratch, err := proxyprocess.NewState()
	if err != nil {
		return nil, err
	}
	defer scratch.Close()
	if err := scratch.ReplaceAllJSON(proxies); err != nil {
		return nil, err
	}
	if err := checkModes(scratch); err != nil {
		return nil, err
	}
	expanded, err := expandSelf(proxies, program)
	if err != nil {
		return nil, err
	}
	return expanded, scratch.ReplaceAllJSON(expanded)
}

// checkModes refuses kinds of proxy that this agent does not have; it registers none of its own.
func checkModes(state *proxyprocess.State) error {
	declarations, err := state.List()
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(declarations))
	for id := range declarations {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		declaration := struct{ Mode string }{proxyprocess.ModeDaemon}
		if err := json.Unmarshal(declarations[id], &declaration); err != nil {
			return err
		}
		if mode := declaration.Mode; mode != proxyprocess.ModeDaemon && mode != proxyprocess.ModeNoop {
			return fmt.Errorf(`proxies.%s.mode: expected "daemon" or "noop", got %q`, id, mode)
		}
	}
	return nil
}

// expandSelf replaces the first word "{self}" of commands. Everything else stays as it is written: numbers keep all
// their digits.
func expandSelf(proxies json.RawMessage, program string) (json.RawMessage, error) {
	var declarations map[string]map[string]json.RawMessage
	if err := json.Unmarshal(proxies, &declarations); err != nil {
		return nil, err
	}
	for _, declaration := range declarations {
		var words []json.RawMessage
		if command := declaration["command"]; command == nil || json.Unmarshal(command, &words) != nil {
			continue
		}
		var first string
		if len(words) == 0 || json.Unmarshal(words[0], &first) != nil || first != "{self}" {
			continue
		}
		var err error
		if words[0], err = word(program); err != nil {
			return nil, err
		}
		if declaration["command"], err = json.Marshal(words); err != nil {
			return nil, err
		}
	}
	return json.Marshal(declarations)
}

// word is a text as the library reads it: one that is not UTF-8 is a list of bytes.
func word(text string) (json.RawMessage, error) {
	if utf8.ValidString(text) {
		return json.Marshal(text)
	}
	numbers := make([]int, len(text))
	for i := range numbers {
		numbers[i] = int(text[i])
	}
	return json.Marshal(numbers)
}

func isPath(text string) bool {
	return text != "" && !strings.ContainsRune(text, 0)
}

var cgroups = map[string]proxyprocess.Cgroup{
	"off": proxyprocess.CgroupOff, "auto": proxyprocess.CgroupAuto, "required": proxyprocess.CgroupRequired,
}

func isCgroup(text string) bool {
	_, known := cgroups[text]
	return known
}

func isVariable(text string) bool {
	return strings.Index(text, "=") > 0 && !strings.ContainsRune(text, 0)
}

// onExit takes what becomes of the proxies. No secret is meant to stand here, so what does is said, as far as it could be
// a word.
func (d *document) onExit(name string) onExit {
	const wanted = `"leave" or "stop"`
	var word string
	known := func() bool { return word == "leave" || word == "stop" }
	raw := d.raw(name)
	switch isWord := raw != nil && json.Unmarshal(raw, &word) == nil && word != "" && len(word) <= 40; {
	case raw == nil || known():
	case isWord && d.err == nil:
		d.err = fmt.Errorf("%s: expected %s, got %q", name, wanted, word)
	default:
		d.expected(name, wanted, raw)
	}
	if word == "stop" {
		return stopProxies
	}
	return leaveProxies
}
