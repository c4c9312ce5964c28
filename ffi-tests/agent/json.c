// SPDX-License-Identifier: MPL-2.0
#include "json.h"

#include <string.h>

char *json_parse(const char *text, size_t length, json_t **document)
{
    static const char mark[] = "\xef\xbb\xbf"; /* A byte order mark, with which some editors begin a file. */
    const size_t mark_length = sizeof mark - 1;
    json_error_t error;

    if (length >= mark_length && memcmp(text, mark, mark_length) == 0) {
        text += mark_length;
        length -= mark_length;
    }
    *document = json_loadb(text, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*document != NULL)
        return NULL;
    /* What follows is a piece of the document: it may be of a secret. */
    char *piece = strstr(error.text, " near '");
    if (piece != NULL)
        *piece = '\0';
    return failure("not a JSON document: %s at line %d column %d", error.text, error.line, error.column);
}

const char *json_text(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

static const char *name_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return json_string_length(value) > 0 ? "a string" : "an empty string";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    case JSON_INTEGER:
    case JSON_REAL:
        break;
    }
    return "a number";
}

char *json_expected(const char *place, const char *wanted, const json_t *got)
{
    if (json_is_integer(got))
        return failure("%s: expected %s, got %" JSON_INTEGER_FORMAT, place, wanted, json_integer_value(got));
    if (json_is_real(got))
        return failure("%s: expected %s, got %g", place, wanted, json_real_value(got));
    return failure("%s: expected %s, got %s", place, wanted, name_of(got));
}
