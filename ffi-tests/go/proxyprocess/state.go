// SPDX-License-Identifier: MPL-2.0

package proxyprocess

// #include <proxyprocess.h>
import "C"

import (
	"encoding/json"
	"unsafe"
)

// State is the desired set: which proxies should run, the source of truth for a manager. Changing it never waits for
// the manager, and never starts or stops anything by itself: a manager that runs follows it once the changes have
// calmed down.
type State struct {
	handle *handle
}

// NewState makes an empty set.
func NewState() (*State, error) {
	var state *C.proxyprocess_state
	if err := call(func(failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_state_new(&state, failure)
	}); err != nil {
		return nil, err
	}
	return &State{newHandle(unsafe.Pointer(state), func(pointer unsafe.Pointer) {
		C.proxyprocess_state_free((*C.proxyprocess_state)(pointer))
	})}, nil
}

// Close releases the state. Managers that were made with it keep the set.
func (s *State) Close() error {
	s.handle.close()
	return nil
}

func (s *State) use(function func(*C.proxyprocess_state, **C.proxyprocess_error) C.int32_t) error {
	return s.handle.use(func(object unsafe.Pointer, failure **C.proxyprocess_error) C.int32_t {
		return function((*C.proxyprocess_state)(object), failure)
	})
}

// Set adds a proxy or replaces the one with this id. Without a token it gets one: the one that was generated for this
// id before, or a new one. After an error nothing is changed.
func (s *State) Set(id string, config ProxyConfig) error {
	var mem cMemory
	defer mem.free()
	var options C.proxyprocess_proxy_options
	cid := mem.text("id", id)
	if err := config.fill(&options, &mem); err != nil {
		return err
	}
	return s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_state_set(state, cid, &options, failure)
	})
}

// SetJSON adds a proxy or replaces the one with this id, from the JSON form of a declaration, an object like
// {"command": ["/bin/a"]}. An error names the field, and nothing is changed.
func (s *State) SetJSON(id string, declaration []byte) error {
	var mem cMemory
	defer mem.free()
	cid := mem.text("id", id)
	if mem.err != nil {
		return mem.err
	}
	return s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		text, length := bytesOf(declaration)
		return C.proxyprocess_state_set_json(state, cid, text, length, failure)
	})
}

// Remove removes a proxy, and reports whether there was one with this id.
func (s *State) Remove(id string) (bool, error) {
	var mem cMemory
	defer mem.free()
	cid := mem.text("id", id)
	if mem.err != nil {
		return false, mem.err
	}
	var removed C.uint8_t
	err := s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_state_remove(state, cid, &removed, failure)
	})
	return removed != 0, err
}

// ReplaceAllJSON replaces the whole set at once by an object of declarations by id, like
// {"web-proxy": {"command": ["/bin/a"]}}. An error names the field, as in "proxies.web-proxy.command: ...", and nothing
// is changed.
func (s *State) ReplaceAllJSON(declarations []byte) error {
	return s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		text, length := bytesOf(declarations)
		return C.proxyprocess_state_replace_all_json(state, text, length, failure)
	})
}

// Get returns the declaration of one proxy in its JSON form, with its token, or nil when there is no proxy with this
// id. What has its default value is left out.
func (s *State) Get(id string) (json.RawMessage, error) {
	var mem cMemory
	defer mem.free()
	cid := mem.text("id", id)
	if mem.err != nil {
		return nil, mem.err
	}
	var text *C.char
	var length C.size_t
	err := s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_state_get_json(state, cid, &text, &length, failure)
	})
	return taken(text, length), err
}

// List returns all declarations by id, in their JSON form.
func (s *State) List() (map[string]json.RawMessage, error) {
	var text *C.char
	var length C.size_t
	if err := s.use(func(state *C.proxyprocess_state, failure **C.proxyprocess_error) C.int32_t {
		return C.proxyprocess_state_list_json(state, &text, &length, failure)
	}); err != nil {
		return nil, err
	}
	var declarations map[string]json.RawMessage
	err := json.Unmarshal(taken(text, length), &declarations)
	return declarations, err
}
