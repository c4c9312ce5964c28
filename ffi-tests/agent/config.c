// SPDX-License-Identifier: MPL-2.0
#define _POSIX_C_SOURCE 200809L /* getdelim, strdup */

#include "config.h"

#include "json.h"
#include "proxies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_data_dir(struct config *config, const char *field, json_t *value)
{
    const char *path = json_text(value);

    if (path == NULL || *path == '\0')
        return json_expected(field, "a path", value);
    config->options.data_dir = path;
    return NULL;
}

static char *read_allow_root(struct config *config, const char *field, json_t *value)
{
    if (!json_is_boolean(value))
        return json_expected(field, "true or false", value);
    config->options.allow_root = json_is_true(value);
    return NULL;
}

static char *read_on_exit(struct config *config, const char *field, json_t *value)
{
    const char *name = json_text(value);

    if (name != NULL && strcmp(name, "leave") == 0)
        config->on_exit = ON_EXIT_LEAVE;
    else if (name != NULL && strcmp(name, "stop") == 0)
        config->on_exit = ON_EXIT_STOP;
    else if (name != NULL && *name != '\0' && strlen(name) <= 40 && strpbrk(name, "\n\r\"") == NULL)
        /* No secret is meant to stand here. */
        return failure("%s: expected \"leave\" or \"stop\", got \"%s\"", field, name);
    else
        return json_expected(field, "\"leave\" or \"stop\"", value);
    return NULL;
}

static char *read_proxy_env(struct config *config, const char *field, json_t *value)
{
    if (!json_is_array(value))
        return json_expected(field, "a list of strings NAME=value", value);
    size_t count = json_array_size(value);
    config->proxy_env = calloc(count + 1, sizeof *config->proxy_env);
    if (config->proxy_env == NULL)
        return failure("%s: out of memory", field);
    for (size_t index = 0; index < count; index++) {
        const json_t *variable = json_array_get(value, index);
        const char *text = json_text(variable);
        if (text == NULL || *text == '=' || strchr(text, '=') == NULL) {
            char place[64];
            snprintf(place, sizeof place, "%s[%zu]", field, index);
            if (text != NULL && strchr(text, '=') == NULL)
                return failure("%s: expected a string NAME=value, got a string without =", place);
            return json_expected(place, "a string NAME=value", variable);
        }
        config->proxy_env[index] = text;
    }
    config->options.proxy_env = config->proxy_env;
    return NULL;
}

static char *read_period(uint64_t *period, const char *field, json_t *value)
{
    json_int_t milliseconds = json_integer_value(value);

    if (!json_is_integer(value) || milliseconds < 0 || milliseconds > PROXYPROCESS_PERIOD_MAX_MS)
        return json_expected(field, "milliseconds, a whole number from 0 to 31622400000", value);
    *period = (uint64_t)milliseconds;
    return NULL;
}

static char *read_snapshot_period(struct config *config, const char *field, json_t *value)
{
    return read_period(&config->options.snapshot_period_ms, field, value);
}

static char *read_coalesce_period(struct config *config, const char *field, json_t *value)
{
    return read_period(&config->options.coalesce_period_ms, field, value);
}

static char *read_quiescent_period(struct config *config, const char *field, json_t *value)
{
    return read_period(&config->options.quiescent_period_ms, field, value);
}

static char *read_max_handovers(struct config *config, const char *field, json_t *value)
{
    json_int_t most = json_integer_value(value);

    if (!json_is_integer(value) || most < 1 || most > 1048576)
        return json_expected(field, "a number from 1 to 1048576", value);
    config->options.max_handovers = (uint64_t)most;
    return NULL;
}

static char *read_keep_removed(struct config *config, const char *field, json_t *value)
{
    json_int_t most = json_integer_value(value);

    if (!json_is_integer(value) || most < 0 || most > UINT32_MAX)
        return json_expected(field, "a number from 0 to 4294967295", value);
    config->options.keep_removed = (uint32_t)most;
    config->options.has_keep_removed = 1;
    return NULL;
}

static char *read_cgroup(struct config *config, const char *field, json_t *value)
{
    static const char *const NAMES[] = {"auto", "off", "required"};
    const char *name = json_text(value);

    for (int32_t cgroup = PROXYPROCESS_CGROUP_AUTO; name != NULL && cgroup <= PROXYPROCESS_CGROUP_REQUIRED; cgroup++)
        if (strcmp(name, NAMES[cgroup]) == 0) {
            config->options.cgroup = cgroup;
            return NULL;
        }
    return json_expected(field, "\"off\", \"auto\" or \"required\"", value);
}

static char *read_cgroup_base(struct config *config, const char *field, json_t *value)
{
    const char *path = json_text(value);

    if (path == NULL || *path == '\0')
        return json_expected(field, "a path", value);
    config->options.cgroup_base = path;
    return NULL;
}

static char *read_proxies(struct config *config, const char *field, json_t *value)
{
    config->proxies = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    return config->proxies == NULL ? failure("%s: out of memory", field) : proxies_check(value, config->proxies);
}

static const struct field {
    const char *name;
    char *(*read)(struct config *config, const char *field, json_t *value);
} FIELDS[] = {
    {"data_dir", read_data_dir},
    {"allow_root", read_allow_root},
    {"on_exit", read_on_exit},
    {"proxy_env", read_proxy_env},
    {"snapshot_period_ms", read_snapshot_period},
    {"coalesce_period_ms", read_coalesce_period},
    {"quiescent_period_ms", read_quiescent_period},
    {"max_handovers", read_max_handovers},
    {"keep_removed", read_keep_removed},
    {"cgroup", read_cgroup},
    {"cgroup_base", read_cgroup_base},
    {"proxies", read_proxies},
};

static char *unknown_field(const char *name)
{
    char known[256] = "";

    for (size_t index = 0; index < sizeof FIELDS / sizeof *FIELDS; index++) {
        size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, "%s%s", index > 0 ? ", " : "", FIELDS[index].name);
    }
    return failure("%s: unknown field, expected one of %s", name, known);
}

/* Reads one field; absent and null are the same. */
static char *read_field(struct config *config, const char *name, json_t *value)
{
    for (size_t index = 0; index < sizeof FIELDS / sizeof *FIELDS; index++) {
        if (strcmp(name, FIELDS[index].name) == 0)
            return json_is_null(value) ? NULL : FIELDS[index].read(config, name, value);
    }
    return unknown_field(name);
}

static char *parse(const char *text, size_t length, const char *program, struct config *config)
{
    const char *name;
    json_t *value;

    char *failed = json_parse(text, length, &config->document);
    if (failed != NULL)
        return failed;
    if (!json_is_object(config->document))
        return json_expected("document", "an object", config->document);
    int32_t code = proxyprocess_manager_options_init(&config->options, sizeof config->options);
    if (code != PROXYPROCESS_OK)
        return failure("set up options: %s", proxyprocess_code_str(code));
    failed = proxies_expand_self(json_object_get(config->document, "proxies"), program);
    if (failed != NULL)
        return failed;
    json_object_foreach (config->document, name, value) {
        failed = read_field(config, name, value);
        if (failed != NULL)
            return failed;
    }
    if (config->proxies == NULL && (config->proxies = strdup("{}")) == NULL)
        return failure("proxies: out of memory");
    return NULL;
}

/* Reads a file up to its end, or up to a NUL, which no JSON document has and no parser lets pass. */
static char *read_file(const char *path, char **text, size_t *length)
{
    size_t capacity = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return failure("read %s: %s", path, strerror(errno));
    ssize_t count = getdelim(text, &capacity, '\0', file);
    char *failed = count < 0 && !feof(file) ? failure("read %s: %s", path, strerror(errno)) : NULL;
    fclose(file);
    *length = count < 0 ? 0 : (size_t)count;
    return failed;
}

char *config_load(const char *path, const char *program, struct config *config)
{
    char *text = NULL;
    size_t length = 0;

    *config = (struct config){0};
    char *failed = read_file(path, &text, &length);
    if (failed == NULL)
        failed = failure_within(path, parse(text, length, program, config));
    free(text);
    if (failed != NULL)
        config_free(config);
    return failed;
}

void config_free(struct config *config)
{
    json_decref(config->document);
    free(config->proxy_env);
    free(config->proxies);
    *config = (struct config){0};
}
