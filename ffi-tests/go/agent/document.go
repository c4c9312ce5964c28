// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/agent/proxyprocess"
)

// document is a JSON object that is being read: each field is taken once, and finish tells the first thing that was wrong
// with one, or refuses what is left. Absent and null are the same.
type document struct {
	object map[string]json.RawMessage
	// The names that were asked for: those that there may be.
	known []string
	err   error
}

// readDocument reads a document that is an object. Unlike json.Unmarshal into a struct, it takes names exactly as they
// are written, and refuses one that stands twice.
func readDocument(text []byte) (*document, error) {
	// Some editors begin a file with a byte order mark.
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		return nil, errors.New("not a JSON document: not UTF-8")
	}
	// All of it, and nothing after it.
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, fmt.Errorf("not a JSON document: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(whole))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("document: expected an object, got %s", describe(whole))
	}
	read := &document{object: map[string]json.RawMessage{}}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(token)
		if _, twice := read.object[name]; twice {
			return nil, fmt.Errorf("%s: declared twice", name)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		read.object[name] = value
	}
	return read, nil
}

// raw takes a field; it is nil when there is none.
func (d *document) raw(name string) json.RawMessage {
	d.known = append(d.known, name)
	value := d.object[name]
	delete(d.object, name)
	if isNull(value) {
		return nil
	}
	return value
}

// read takes a field into a value that accept must like.
func (d *document) read(name, wanted string, value interface{}, accept func() bool) {
	raw := d.raw(name)
	if raw != nil && (json.Unmarshal(raw, value) != nil || !accept()) {
		d.expected(name, wanted, raw)
	}
}

func (d *document) expected(place, wanted string, got json.RawMessage) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: expected %s, got %s", place, wanted, describe(got))
	}
}

func (d *document) text(name, wanted string, accept func(string) bool) (text string) {
	d.read(name, wanted, &text, func() bool { return accept(text) })
	return text
}

func (d *document) boolean(name string) (value bool) {
	d.read(name, "true or false", &value, func() bool { return true })
	return value
}

// texts takes a list, each item of which must be accepted.
func (d *document) texts(name, wanted string, accept func(string) bool) []string {
	var items []json.RawMessage
	d.read(name, "a list of strings", &items, func() bool { return true })
	texts := make([]string, len(items))
	for i, item := range items {
		isText := !isNull(item) && json.Unmarshal(item, &texts[i]) == nil
		if place := fmt.Sprintf("%s[%d]", name, i); isText && !strings.Contains(texts[i], "=") && d.err == nil {
			d.err = fmt.Errorf("%s: expected %s, got a string without =", place, wanted)
		} else if !isText || !accept(texts[i]) {
			d.expected(place, wanted, item)
		}
	}
	return texts
}

// period takes milliseconds: at most a year, as in the fields of a proxy; longer ones are mistakes of the unit.
func (d *document) period(name string) (period time.Duration) {
	const most = uint64(proxyprocess.PeriodMax / time.Millisecond)
	wanted := fmt.Sprintf("milliseconds, a whole number from 0 to %d", most)
	var value json.RawMessage
	d.read(name, wanted, &value, func() bool {
		number, err := strconv.ParseUint(string(value), 10, 64)
		period = milliseconds(number)
		return err == nil && number <= most
	})
	return period
}

// number takes a whole number in this range; it is 0 when there is none.
func (d *document) number(name string, least, most int) (number int) {
	wanted := fmt.Sprintf("a number from %d to %d", least, most)
	d.read(name, wanted, &number, func() bool { return least <= number && number <= most })
	return number
}

// count takes a whole number of 32 bits; it is nil when there is none.
func (d *document) count(name string) *uint32 {
	var number *uint32
	d.read(name, "a number from 0 to 4294967295", &number, func() bool { return true })
	return number
}

// milliseconds is a period as options have it, where 0 is the default and less is none at all.
func milliseconds(number uint64) time.Duration {
	if number == 0 {
		return -1
	}
	return time.Duration(number) * time.Millisecond
}

// finish returns the first error, and refuses fields that were not read.
func (d *document) finish() error {
	if d.err != nil || len(d.object) == 0 {
		return d.err
	}
	left := make([]string, 0, len(d.object))
	for name := range d.object {
		left = append(left, name)
	}
	sort.Strings(left)
	return fmt.Errorf("%s: unknown field, expected one of %s", left[0], strings.Join(d.known, ", "))
}

func isNull(value json.RawMessage) bool {
	return string(value) == "null"
}

// describe says what a value is, without the text of it: it may be a secret or a megabyte.
func describe(value json.RawMessage) string {
	switch value = bytes.TrimSpace(value); {
	case string(value) == `""`:
		return "an empty string"
	case value[0] == '"':
		return "a string"
	case value[0] == '[':
		return "a list"
	case value[0] == '{':
		return "an object"
	default:
		return string(value)
	}
}
