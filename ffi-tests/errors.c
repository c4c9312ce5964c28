// SPDX-License-Identifier: MPL-2.0
/* Errors: codes, classes, texts, and the objects that carry them. */

#include "check.h"

typedef struct known {
    int32_t code;
    int32_t class;
    const char *text;
} known;

#define ARGUMENT PROXYPROCESS_CLASS_ARGUMENT
#define SYSTEM PROXYPROCESS_CLASS_SYSTEM
#define STATE PROXYPROCESS_CLASS_STATE
#define DATA PROXYPROCESS_CLASS_DATA
#define PROCESS PROXYPROCESS_CLASS_PROCESS
#define INTERNAL PROXYPROCESS_CLASS_INTERNAL

static const known KNOWN[] = {
    {PROXYPROCESS_OK, PROXYPROCESS_CLASS_NONE, "no error"},
    {PROXYPROCESS_E_INVALID_CONFIG, ARGUMENT, "invalid configuration"},
    {PROXYPROCESS_E_INVALID_ID, ARGUMENT, "invalid proxy id"},
    {PROXYPROCESS_E_IO, SYSTEM, "input or output failed"},
    {PROXYPROCESS_E_LOCKED, STATE, "data directory is locked"},
    {PROXYPROCESS_E_UNTRUSTED, DATA, "file or directory cannot be trusted"},
    {PROXYPROCESS_E_CORRUPT_SNAPSHOT, DATA, "snapshot is corrupt"},
    {PROXYPROCESS_E_STOPPED, STATE, "stopped for good"},
    {PROXYPROCESS_E_CLOSED, STATE, "closed"},
    {PROXYPROCESS_E_STILL_RUNNING, PROCESS, "processes outlived a stop"},
    {PROXYPROCESS_E_EXHAUSTED, SYSTEM, "a resource is exhausted"},
    {PROXYPROCESS_E_ROOT_REFUSED, PROCESS, "proxies may not run as root"},
    {PROXYPROCESS_E_UNKNOWN_MODE, ARGUMENT, "execution mode is not registered"},
    {PROXYPROCESS_E_START_FAILED, PROCESS, "process could not be started"},
    {PROXYPROCESS_E_ADOPTION_REFUSED, PROCESS, "process could not be adopted"},
    {PROXYPROCESS_E_FORKED, STATE, "handle of the process before the fork"},
    {PROXYPROCESS_E_INTERNAL, INTERNAL, "internal fault"},
    {PROXYPROCESS_E_UNPROVEN, PROCESS, "processes may have outlived a stop"},
    {PROXYPROCESS_E_NOT_FOUND, STATE, "no such proxy is managed"},
    {PROXYPROCESS_E_NOT_RUNNING, STATE, "the proxy has no process now"},
    {PROXYPROCESS_E_TIMEOUT, STATE, "not in time"},
    {PROXYPROCESS_E_COMMAND_FAILED, PROCESS, "a command for the proxy has failed"},
    {PROXYPROCESS_E_PAUSED, STATE, "proxy is paused"},
    {PROXYPROCESS_E_NULL_ARGUMENT, ARGUMENT, "argument is NULL"},
    {PROXYPROCESS_E_INVALID_UTF8, ARGUMENT, "text is not UTF-8"},
    {PROXYPROCESS_E_STRUCT_SIZE, ARGUMENT, "struct size is not possible"},
    {PROXYPROCESS_E_INVALID_ARGUMENT, ARGUMENT, "argument is out of range"},
    {PROXYPROCESS_E_IN_CALLBACK, STATE, "not to be called from a callback"},
    {PROXYPROCESS_E_LOGGER_INSTALLED, STATE, "another logger is installed"},
    {PROXYPROCESS_E_PANIC, INTERNAL, "a fault of the library was caught"},
    {PROXYPROCESS_E_ABANDONED, STATE, "a call was left by a non-local exit"},
};

static void codes(void)
{
    static const int32_t unknown[] = {1, -40, -50, -100, -109, INT32_MAX, INT32_MIN};
    for (size_t index = 0; index < sizeof KNOWN / sizeof *KNOWN; index++) {
        CHECK_TEXT(proxyprocess_code_str(KNOWN[index].code), KNOWN[index].text);
        CHECK_INT(proxyprocess_code_class(KNOWN[index].code), KNOWN[index].class);
    }
    for (size_t index = 0; index < sizeof unknown / sizeof *unknown; index++) {
        CHECK_TEXT(proxyprocess_code_str(unknown[index]), "unknown code");
        CHECK_INT(proxyprocess_code_class(unknown[index]), PROXYPROCESS_CLASS_INTERNAL);
    }
    CHECK(proxyprocess_code_str(-1) == proxyprocess_code_str(-1));
}

static void no_error(void)
{
    size_t length = 99;
    CHECK_INT(proxyprocess_error_code(NULL), PROXYPROCESS_OK);
    CHECK_INT(proxyprocess_error_class(NULL), PROXYPROCESS_CLASS_NONE);
    CHECK_INT(proxyprocess_error_os_errno(NULL), 0);
    CHECK_TEXT(proxyprocess_error_message(NULL, &length), "");
    CHECK_INT(length, 0);
    CHECK_TEXT(proxyprocess_error_message(NULL, NULL), "");
    proxyprocess_error_free(NULL);
}

static void objects(void)
{
    proxyprocess_state *state = NULL;
    proxyprocess_manager *manager = NULL;
    proxyprocess_manager_options options;
    size_t length = 0;
    OK(proxyprocess_state_new(&state, &error));

    /* Of the system. */
    OK(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = "/proc/is not\nthere/data";
    CHECK_INT(proxyprocess_manager_new(state, &options, &manager, &error), PROXYPROCESS_E_IO);
    CHECK(manager == NULL);
    CHECK_INT(proxyprocess_error_code(error), PROXYPROCESS_E_IO);
    CHECK_INT(proxyprocess_error_class(error), PROXYPROCESS_CLASS_SYSTEM);
    CHECK_INT(proxyprocess_error_os_errno(error), ENOENT);
    const char *message = proxyprocess_error_message(error, &length);
    CHECK_INT(length, strlen(message));
    /* One line, whatever it is about. */
    CHECK_HAS(message, "/proc/is not there/data");
    CHECK_HAS(message, "No such file or directory");
    CHECK(proxyprocess_error_message(error, NULL) == message);

    /* What is put over an error is another one: nothing is freed behind the caller's back. */
    proxyprocess_error *first = error;
    CHECK_INT(proxyprocess_state_set_json(state, "web", "{}", 2, &error), PROXYPROCESS_E_INVALID_CONFIG);
    CHECK(error != first);
    CHECK_INT(proxyprocess_error_code(first), PROXYPROCESS_E_IO);
    proxyprocess_error_free(first);

    /* Of the caller: without an errno. */
    CHECK_INT(proxyprocess_error_class(error), PROXYPROCESS_CLASS_ARGUMENT);
    CHECK_INT(proxyprocess_error_os_errno(error), 0);
    CHECK_HAS(proxyprocess_error_message(error, NULL), "command");

    /* It outlives what it is about, and success does not touch it. */
    first = error;
    proxyprocess_state_free(state);
    CHECK_INT(proxyprocess_state_new(&state, &error), PROXYPROCESS_OK);
    CHECK(error == first);
    CHECK_HAS(proxyprocess_error_message(error, NULL), "command");
    proxyprocess_error_free(error);
    error = NULL;

    /* Who wants no object gets the code. */
    CHECK_INT(proxyprocess_state_set_json(state, "web", "{}", 2, NULL), PROXYPROCESS_E_INVALID_CONFIG);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    codes();
    no_error();
    objects();
    nothing_is_left_since(before);
    return 0;
}
