// SPDX-License-Identifier: MPL-2.0
/* What the readers of the configuration share. */
#ifndef AGENT_JSON_H
#define AGENT_JSON_H

#include "failure.h"

#include <jansson.h>

/* Reads a document, which the caller frees with json_decref(); `document` is NULL after a failure. */
MUST_USE char *json_parse(const char *text, size_t length, json_t **document);

/* The text of a string that C can hold; NULL when there is a NUL within, or it is no string at all. */
const char *json_text(const json_t *value);

/* "place: expected this, got that", without the text of what was got: it may be a secret or a megabyte. */
MUST_USE char *json_expected(const char *place, const char *wanted, const json_t *got);

#endif
