// SPDX-License-Identifier: MPL-2.0
#include "proxies.h"

#include "json.h"

#include <string.h>

/* The path as a word of a command: text, or a list of bytes when it is not UTF-8. NULL without memory. */
static json_t *word_of(const char *path)
{
    json_t *text = json_string(path);

    if (text != NULL)
        return text;
    json_t *bytes = json_array();
    for (; *path != '\0'; path++) {
        if (json_array_append_new(bytes, json_integer((unsigned char)*path)) != 0) {
            json_decref(bytes);
            return NULL;
        }
    }
    return bytes;
}

char *proxies_expand_self(json_t *proxies, const char *program)
{
    const char *id;
    json_t *proxy;

    json_object_foreach (proxies, id, proxy) {
        json_t *command = json_object_get(proxy, "command");
        const char *word = json_text(json_array_get(command, 0));
        if (word != NULL && strcmp(word, "{self}") == 0 && json_array_set_new(command, 0, word_of(program)) != 0)
            return failure("proxies.%s.command: out of memory", id);
    }
    return NULL;
}

/* The kinds of proxy of this agent; it registers none of its own. */
static char *check_modes(json_t *proxies)
{
    const char *id;
    json_t *proxy;

    json_object_foreach (proxies, id, proxy) {
        const char *mode = json_text(json_object_get(proxy, "mode"));
        if (mode != NULL && strcmp(mode, "daemon") != 0 && strcmp(mode, "noop") != 0)
            return failure("proxies.%s.mode: expected \"daemon\" or \"noop\", got \"%s\"", id, mode);
    }
    return NULL;
}

char *proxies_check(json_t *proxies, const char *text)
{
    proxyprocess_state *state = NULL;
    proxyprocess_error *error = NULL;
    char *failed = NULL;

    /* Into a state that no manager watches: a reload must know that all is well before it changes anything. */
    if (proxyprocess_state_new(&state, &error) != PROXYPROCESS_OK
        || proxyprocess_state_replace_all_json(state, text, strlen(text), &error) != PROXYPROCESS_OK)
        failed = failure_of(error);
    proxyprocess_state_free(state);
    return failed != NULL ? failed : check_modes(proxies);
}
