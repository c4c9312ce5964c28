// SPDX-License-Identifier: MPL-2.0

package apply

import (
	"encoding/json"
	"sort"
	"strings"
)

// Redact takes out of a text what a declaration keeps secret: its token, the values of its environment and the arguments of its
// commands, which may hold a password. The program that it runs may be named.
func Redact(text string, declaration []byte) string {
	for _, secret := range secrets(declaration) {
		text = strings.ReplaceAll(text, secret, "[...]")
	}
	return text
}

// secrets are the texts of a declaration that are not told, the longest first.
func secrets(declaration []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(declaration, &fields) != nil {
		return nil
	}
	var texts []string
	keep := func(text string) {
		// What is shorter stands in every text.
		if len(text) >= 4 {
			texts = append(texts, text)
		}
	}
	var token string
	if json.Unmarshal(fields["token"], &token) == nil {
		keep(token)
	}
	var variables []interface{}
	if json.Unmarshal(fields["env"], &variables) == nil {
		for _, variable := range variables {
			if text, ok := variable.(string); ok {
				keep(text)
				keep(text[strings.Index(text, "=")+1:])
			}
		}
	}
	var words []interface{}
	if json.Unmarshal(fields["command"], &words) == nil {
		for i, word := range words {
			if text, ok := word.(string); ok && i > 0 {
				keep(text)
			}
		}
	}
	sort.Slice(texts, func(i, j int) bool { return len(texts[i]) > len(texts[j]) })
	return texts
}
