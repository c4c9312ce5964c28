// SPDX-License-Identifier: MPL-2.0

package proxyprocess

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Proxy is the interface of every kind of proxy: Daemon, Noop, and those that a program registers with
// Manager.RegisterKind.
//
// All methods must be safe to be called by several goroutines at once. A manager calls Start, Stop and Close one after
// the other; they may block, and then delay other proxies of registered kinds, but no daemon.
type Proxy interface {
	// Start starts the proxy. It fails only when the proxy can never work as it is configured; any other failure is
	// retried by the proxy itself. Starting a started proxy is no error.
	Start() error

	// Stop stops the proxy for good, releases its resources, and returns when it is gone. Stopping twice, or before
	// Start, is no error.
	Stop() error

	// Close releases the resources of this value and leaves the proxy running. Only one of Close and Stop is called.
	Close() error

	// Equal reports whether the other, a proxy of the same kind, is the same as declared, so that this one may go on
	// in its place.
	Equal(Proxy) bool

	// MarshalSnapshot returns the state from which UnmarshalSnapshot regains the proxy, of what encoding/json takes.
	// The id is kept by the manager.
	MarshalSnapshot() map[string]interface{}

	// UnmarshalSnapshot restores a proxy, as its Factory made it, from a stored state, in which numbers are of type
	// json.Number. After an error the stored state is lost.
	UnmarshalSnapshot(map[string]interface{}) error
}

// StopRequester is implemented by a Proxy that can begin to stop without waiting.
type StopRequester interface {
	// RequestStop is called at once on every proxy that has to go, while Stop is called on one after the other, so that
	// slow ones stop at the same time.
	RequestStop()
}

// Factory makes a proxy, stopped. It is called with the manager locked, and must be short.
type Factory func(ProxyContext) (Proxy, error)

// ProxyContext is what a proxy is made from.
type ProxyContext struct {
	// ID is the id of the proxy.
	ID string
	// Mode is what its kind is registered under.
	Mode string
	// Declaration is the JSON form of its declaration, with its token and its options. It is nil when the proxy is made
	// to be restored: UnmarshalSnapshot follows, and later Equal decides whether it is still the one that is declared.
	Declaration json.RawMessage
}

// DecodeOptions decodes the options of the declaration, as json.Unmarshal does. Without any, or without a declaration,
// nothing is changed.
func (c ProxyContext) DecodeOptions(options interface{}) error {
	if c.Declaration == nil {
		return nil
	}
	var declaration struct {
		Options json.RawMessage `json:"options"`
	}
	err := json.Unmarshal(c.Declaration, &declaration)
	if err == nil && declaration.Options != nil {
		err = json.Unmarshal(declaration.Options, options)
	}
	if err != nil {
		return &Error{Code: ErrInvalidConfig, Message: fmt.Sprintf("options: %v", err)}
	}
	return nil
}

// Noop is a proxy that does nothing, and does it well: for tests, and in the place of a proxy that is switched off. In
// a declaration it is ModeNoop.
type Noop struct{}

// Start does nothing.
func (*Noop) Start() error { return nil }

// Stop does nothing.
func (*Noop) Stop() error { return nil }

// Close does nothing.
func (*Noop) Close() error { return nil }

// Equal reports whether the other does nothing either.
func (*Noop) Equal(other Proxy) bool {
	_, equal := other.(*Noop)
	return equal
}

// MarshalSnapshot returns an empty map.
func (*Noop) MarshalSnapshot() map[string]interface{} { return map[string]interface{}{} }

// UnmarshalSnapshot takes anything.
func (*Noop) UnmarshalSnapshot(map[string]interface{}) error { return nil }

var (
	_ Proxy = (*Daemon)(nil)
	_ Proxy = (*Noop)(nil)
)

// decodeSnapshot decodes an object without a loss of precision.
func decodeSnapshot(text []byte) (map[string]interface{}, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var snapshot map[string]interface{}
	err := decoder.Decode(&snapshot)
	return snapshot, err
}
