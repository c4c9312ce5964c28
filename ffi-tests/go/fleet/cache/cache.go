// SPDX-License-Identifier: MPL-2.0

// Package cache keeps the last good state of a node on its disk, so that the node needs no store to go on.
package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"example.org/agent/fleet/plan"
	"example.org/agent/fleet/store"
)

// State is the last good state.
type State struct {
	// Node is whose state it is.
	Node string `json:"node"`
	// Source names the store that it came from, as "etcd" or "dir".
	Source string `json:"source"`
	// Position is up to where the store was followed.
	Position plan.Position `json:"position"`
	// View is what the store said there.
	View plan.View `json:"view"`
	// Applied is what the node runs.
	Applied plan.Desired `json:"applied"`
	// Other are the keys that are no declarations: the list of groups, confirmations, rollouts.
	Other []store.KV `json:"other,omitempty"`
	// Held are removals that wait for a confirmation.
	Held []string `json:"held,omitempty"`
}

// ErrCorrupt is a file that was not written by this package, or not whole.
var ErrCorrupt = errors.New("the last good state is damaged")

const header = "proxyprocess-fleet 1 %x\n"

// File is the path of the state.
type File string

// In is the file in a data directory.
func In(dir string) File { return File(filepath.Join(dir, "fleet.state")) }

// Read reads the state; it is nil when there is none yet. One that is damaged is moved aside, for a human to look at.
func (f File) Read() (*State, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last good state: %w", err)
	}
	end := bytes.IndexByte(text, '\n') + 1
	var state State
	if string(text[:end]) == fmt.Sprintf(header, sha256.Sum256(text[end:])) && json.Unmarshal(text[end:], &state) == nil {
		return &state, nil
	}
	aside := string(f) + ".corrupt"
	if err := os.Rename(string(f), aside); err != nil {
		return nil, fmt.Errorf("%w, and cannot be moved aside: %v", ErrCorrupt, err)
	}
	return nil, fmt.Errorf("%w: moved to %s", ErrCorrupt, aside)
}

// Write writes the state, whole or not at all, and durably. It holds the secrets of declarations, so only its owner can read it.
func (f File) Write(state *State) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode the last good state: %w", err)
	}
	if err := f.replace(append([]byte(fmt.Sprintf(header, sha256.Sum256(text))), text...)); err != nil {
		return fmt.Errorf("write the last good state: %w", err)
	}
	return nil
}

func (f File) replace(text []byte) (err error) {
	next := string(f) + ".next"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next, string(f))
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(string(f)))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
