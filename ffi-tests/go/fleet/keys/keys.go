// SPDX-License-Identifier: MPL-2.0

// Package keys is the layout of the store: which key means what.
package keys

import (
	"fmt"
	"strings"
)

// Root is what all keys begin with.
const Root = "/proxyprocess/v1"

// Kind is what a key holds.
type Kind int

const (
	// Unknown is a key that means nothing to an agent.
	Unknown Kind = iota
	// NodeProxy is a declaration of one node.
	NodeProxy
	// GroupProxy is a declaration of a group of nodes.
	GroupProxy
	// NodeGroups is the list of the groups of a node.
	NodeGroups
	// NodeConfirm and GroupConfirm permit what the guard holds back.
	NodeConfirm
	GroupConfirm
	// Rollout says how the nodes of a group take turns.
	Rollout
	// RolloutFailed says that a change has failed on a node of the group.
	RolloutFailed
)

// Key is a key, taken apart.
type Key struct {
	Kind Kind
	// Name is the node or the group.
	Name string
	// ID is the proxy, of NodeProxy and GroupProxy.
	ID string
}

// NodePrefix is below which all of a node stands.
func NodePrefix(node string) string { return Root + "/nodes/" + node + "/" }

// GroupPrefix is below which all of a group stands but its rollout.
func GroupPrefix(group string) string { return Root + "/groups/" + group + "/" }

// RolloutKey is how the nodes of a group take turns.
func RolloutKey(group string) string { return Root + "/rollouts/" + group }

// TurnsPrefix is where nodes queue for their turn.
func TurnsPrefix(group string) string { return RolloutKey(group) + "/turns/" }

// MembersPrefix is where the nodes of a group say how far they are.
func MembersPrefix(group string) string { return RolloutKey(group) + "/members/" }

// StatusKey is what a node says of itself.
func StatusKey(node string) string { return Root + "/status/" + node }

// StatusPrefix is before all that nodes say of themselves.
const StatusPrefix = Root + "/status/"

// ProxyStatusKey is what a node says of a proxy that is not ready.
func ProxyStatusKey(node, id string) string { return StatusKey(node) + "/proxies/" + id }

// ErrorKey is why a declaration does not count on a node.
func ErrorKey(node, id string) string { return StatusKey(node) + "/errors/" + id }

// String is the key as the store has it.
func (k Key) String() string {
	switch k.Kind {
	case NodeProxy:
		return NodePrefix(k.Name) + "proxies/" + k.ID
	case GroupProxy:
		return GroupPrefix(k.Name) + "proxies/" + k.ID
	case NodeGroups:
		return NodePrefix(k.Name) + "groups"
	case NodeConfirm:
		return NodePrefix(k.Name) + "confirm"
	case GroupConfirm:
		return GroupPrefix(k.Name) + "confirm"
	case Rollout:
		return RolloutKey(k.Name)
	case RolloutFailed:
		return RolloutKey(k.Name) + "/failed"
	default:
		return ""
	}
}

// Parse takes a key apart.
func Parse(text string) Key {
	for _, tree := range []struct {
		prefix                 string
		proxy, groups, confirm Kind
	}{
		{Root + "/nodes/", NodeProxy, NodeGroups, NodeConfirm},
		{Root + "/groups/", GroupProxy, Unknown, GroupConfirm},
	} {
		if !strings.HasPrefix(text, tree.prefix) {
			continue
		}
		name, rest, _ := cut(text[len(tree.prefix):], "/")
		switch {
		case rest == "groups":
			return Key{Kind: tree.groups, Name: name}
		case rest == "confirm":
			return Key{Kind: tree.confirm, Name: name}
		case strings.HasPrefix(rest, "proxies/"):
			// An id may have slashes.
			return Key{Kind: tree.proxy, Name: name, ID: rest[len("proxies/"):]}
		}
		return Key{}
	}
	if rest := strings.TrimPrefix(text, Root+"/rollouts/"); rest != text {
		switch name, rest, deeper := cut(rest, "/"); {
		case !deeper:
			return Key{Kind: Rollout, Name: name}
		case rest == "failed":
			return Key{Kind: RolloutFailed, Name: name}
		}
	}
	return Key{}
}

func cut(text, separator string) (before, after string, found bool) {
	if i := strings.Index(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// CheckName refuses what is no name of a node or a group. A slash would reach the keys of another one.
func CheckName(what, name string) error {
	if name == "" || len(name) > 128 {
		return fmt.Errorf("%s: expected 1 to 128 characters, got %d", what, len(name))
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("%s: expected letters, digits, \"-\", \"_\" and \".\", got %.128q", what, name)
		}
	}
	return nil
}
