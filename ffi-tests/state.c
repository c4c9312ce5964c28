// SPDX-License-Identifier: MPL-2.0
/* The desired set: what is declared is what is read back, and a change that is refused changes nothing. */

#include "helpers.h"

static char *get(const proxyprocess_state *state, const char *id)
{
    char *json = NULL;
    size_t length = 99;
    OK(proxyprocess_state_get_json(state, id, &json, &length, &error));
    CHECK_INT(length, json == NULL ? 0 : strlen(json));
    return json;
}

static char *list(const proxyprocess_state *state)
{
    char *json = NULL;
    size_t length = 0;
    OK(proxyprocess_state_list_json(state, &json, &length, &error));
    CHECK_INT(length, strlen(json));
    return json;
}

/* Is `part` in the declaration? */
static void has(const proxyprocess_state *state, const char *id, const char *part)
{
    char *json = get(state, id);
    CHECK_HAS(json, part);
    proxyprocess_text_free(json);
}

static void by_options(void)
{
    static const char *const argv[] = {"/bin/a", "-x", "\xc3\xa4", "\xff", NULL}, *const env[] = {"A=1", "B==", NULL};
    static const char *const unset_env[] = {"Z", "C", NULL};
    static const uint32_t groups[] = {5, 6};
    proxyprocess_state *state = new_state();
    proxyprocess_proxy_options options = proxy(argv);
    options.dir = "/tmp";
    options.env = env;
    options.token = "secret";
    options.target_service = "web";
    options.stop_signal = SIGUSR1;
    options.grace_period_ms = 1;
    options.restart_healthy_after_ms = 2;
    options.restart_max_wait_ms = 3;
    options.restart_jitter = 0.5;
    options.restart_attempts_before_backoff = 4;
    options.has_credentials = 1;
    options.uid = 1;
    options.gid = 2;
    options.groups = groups;
    options.group_count = 2;
    options.unset_env = unset_env;
    options.clear_env = 1;
    options.leftover_grace_ms = 5;
    options.descriptor_limit = 256;
    options.oom_score_adj = -7;
    options.has_oom_score_adj = 1;
    options.detached = 1;
    options.rlimits_json = "{\"core\": 0, \"nproc\": {\"soft\": 1, \"hard\": \"unlimited\"}}";
    options.cpu_affinity_json = "[7, \"0-2\"]";
    options.argv0 = "web-server";
    options.nice = -3;
    options.has_nice = 1;
    options.umask = 027;
    options.has_umask = 1;
    options.no_new_privs = 1;
    options.ready_tcp = "[::1]:80";
    options.start_timeout_ms = 6;
    options.watchdog_ms = 7;
    options.restart_policy = PROXYPROCESS_RESTART_ON_FAILURE;
    options.restart_give_up_failures = 8;
    options.restart_give_up_within_ms = 9;
    options.expected_exit_json = "[64, \"SIGTERM\"]";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "[\"/bin/a\",\"-x\",\"\xc3\xa4\",");
    has(state, "web-proxy", "\"dir\":\"/tmp\"");
    has(state, "web-proxy", "[\"A=1\",\"B==\"]");
    has(state, "web-proxy", "\"token\":\"secret\"");
    has(state, "web-proxy", "\"target_service\":\"web\"");
    has(state, "web-proxy", "\"stop_signal\":\"SIGUSR1\"");
    has(state, "web-proxy", "\"grace_period_ms\":1");
    has(state, "web-proxy", "\"healthy_after_ms\":2");
    has(state, "web-proxy", "\"max_wait_ms\":3");
    has(state, "web-proxy", "\"jitter\":0.5");
    has(state, "web-proxy", "\"attempts_before_backoff\":4");
    has(state, "web-proxy", "\"uid\":1");
    has(state, "web-proxy", "\"gid\":2");
    has(state, "web-proxy", "[5,6]");
    has(state, "web-proxy", "\"unset_env\":[\"C\",\"Z\"]");
    has(state, "web-proxy", "\"clear_env\":true");
    has(state, "web-proxy", "\"leftover_grace_ms\":5");
    has(state, "web-proxy", "\"descriptor_limit\":256");
    has(state, "web-proxy", "\"oom_score_adj\":-7");
    has(state, "web-proxy", "\"detached\":true");
    has(state, "web-proxy", "\"rlimits\":{\"core\":0,\"nproc\":{\"hard\":\"unlimited\",\"soft\":1}}");
    has(state, "web-proxy", "\"cpu_affinity\":[\"0-2\",7]");
    has(state, "web-proxy", "\"argv0\":\"web-server\"");
    has(state, "web-proxy", "\"nice\":-3");
    has(state, "web-proxy", "\"umask\":\"0027\"");
    has(state, "web-proxy", "\"no_new_privs\":true");
    has(state, "web-proxy", "\"ready\":{\"tcp\":\"[::1]:80\"}");
    has(state, "web-proxy", "\"start_timeout_ms\":6");
    has(state, "web-proxy", "\"watchdog_ms\":7");
    has(state, "web-proxy", "\"policy\":\"on-failure\"");
    has(state, "web-proxy", "\"give_up_after\":{\"failures\":8,\"within_ms\":9}");
    has(state, "web-proxy", "\"expected_exit\":[64,\"SIGTERM\"]");
    options.has_credentials = 0;
    options.user = "envoy";
    options.group = "proxies";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"user\":\"envoy\"");
    has(state, "web-proxy", "\"group\":\"proxies\"");
    options.output_json = "{\"stdout\": \"/var/log/web\", \"stderr\": \"file\", \"owner\": \"proxy\"}";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"output\":{\"owner\":\"proxy\",\"stdout\":\"/var/log/web\"}");
    /* Descriptors: duplicated by the call, and closed with the last declaration. */
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    options.output_json = NULL;
    options.stderr_fd = ends[1];
    options.has_stderr_fd = 1;
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"output\":{\"stderr\":\"descriptor\"}");
    options.stderr_fd = ends[0];
    FAILS(proxyprocess_state_set(state, "web-proxy", &options, &error), PROXYPROCESS_E_INVALID_CONFIG, "stderr_fd");
    close(ends[1]);
    options.has_stderr_fd = 0;
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    char end_of_file;
    CHECK_INT(read(ends[0], &end_of_file, 1), 0);
    close(ends[0]);
    options.ready_tcp = NULL;
    options.ready_unix = "/run/web";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"ready\":{\"unix\":\"/run/web\"}");
    options.ready_unix = NULL;
    CHECK_INT(options.stop_json == NULL, 1);
    options.stop_signal = SIGINT;
    options.grace_period_ms = PROXYPROCESS_DAEMON_GRACE_PERIOD_MS;
    options.stop_json = "[{\"signal\": 10, \"for_ms\": 7, \"leader_only\": true}, {\"signal\": \"TERM\", \"for_ms\": 8}, "
                        "{\"command\": [\"/bin/b\"], \"for_ms\": 9}]";
    options.reload_json = "{\"command\": [\"/bin/b\"], \"timeout_ms\": 9}";
    options.ready_fd = 3;
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"ready\":{\"fd\":3}");
    has(state, "web-proxy", "\"reload\":{\"command\":[\"/bin/b\"],\"timeout_ms\":9}");
    has(state, "web-proxy", "\"for_ms\":7,\"leader_only\":true,\"signal\":\"SIGUSR1\"}");
    has(state, "web-proxy", "{\"for_ms\":8,\"signal\":\"SIGTERM\"}");
    has(state, "web-proxy", "{\"command\":[\"/bin/b\"],\"for_ms\":9}");
    options.ready_fd = 0;
    options.ready_notify = 1;
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"ready\":\"notify\"");
    options.reload_json = "{\"signal\": 10, \"notify\": true}";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"reload\":{\"notify\":true,\"signal\":\"SIGUSR1\"}");
    options.reload_json = NULL;
    options.ready_notify = 0;
    options.ready_json = "{\"command\": [\"/bin/c\"], \"timeout_ms\": 9}";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"ready\":{\"command\":[\"/bin/c\"],\"timeout_ms\":9}");
    options.ready_json = NULL;
    options.replace = PROXYPROCESS_REPLACE_OVERLAP;
    options.fd_store_max = 7;
    options.limits_json = "{\"memory_max\": 268435456, \"cpu_max\": 150}";
    options.listen_json = "[\"tcp:[::1]:80\", {\"address\": \"unix:/run/web\", \"name\": \"web\", \"mode\": \"0660\"}]";
    OK(proxyprocess_state_set(state, "web-proxy", &options, &error));
    has(state, "web-proxy", "\"listen\":[\"tcp:[::1]:80\",");
    has(state, "web-proxy", "\"replace\":\"overlap\"");
    has(state, "web-proxy", "\"fd_store_max\":7");
    has(state, "web-proxy", "\"limits\":{\"cpu_max\":150,\"memory_max\":268435456}");
    has(state, "web-proxy", "\"address\":\"unix:/run/web\"");
    has(state, "web-proxy", "\"mode\":\"0660\"");

    /* A kind of the host's own, with options and without a command. */
    CHECK_INT(proxyprocess_proxy_options_init(&options, sizeof options), PROXYPROCESS_OK);
    options.mode = "socket";
    options.options_json = "{\"port\": 80}";
    OK(proxyprocess_state_set(state, "port", &options, &error));
    has(state, "port", "\"mode\":\"socket\"");
    has(state, "port", "{\"port\":80}");

    /* The JSON form says all that the options say: it makes an equal set. */
    proxyprocess_state *other = new_state();
    char *document = list(state), *again;
    OK(proxyprocess_state_replace_all_json(other, document, strlen(document), &error));
    again = list(other);
    CHECK_TEXT(again, document);
    proxyprocess_text_free(again);
    proxyprocess_text_free(document);
    proxyprocess_state_free(other);
    proxyprocess_state_free(state);
}

/* A caller that was compiled with the first header has a shorter struct, whatever is behind it in memory. */
static void by_options_of_the_first_version(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_proxy_options options = proxy(SLEEP);
    char *plain, *old;
    options.token = "t";
    OK(proxyprocess_state_set(state, "web", &options, &error));
    plain = get(state, "web");
    options.struct_size = offsetof(proxyprocess_proxy_options, unset_env);
    CHECK_INT(options.struct_size, 128);
    memset((char *)&options + options.struct_size, 0xff, sizeof options - options.struct_size);
    OK(proxyprocess_state_set(state, "web", &options, &error));
    old = get(state, "web");
    CHECK_TEXT(old, plain);
    proxyprocess_text_free(old);
    proxyprocess_text_free(plain);
    proxyprocess_state_free(state);
}

static void by_json(void)
{
    static const char whole[] = "{\"b\": {\"command\": [\"/b\"], \"token\": \"t\"}, \"a\": {\"mode\": \"noop\"}}";
    proxyprocess_state *state = new_state();
    char *empty = list(state), *before, *after;
    uint8_t removed = 7;
    CHECK_TEXT(empty, "{}");
    proxyprocess_text_free(empty);
    OK(proxyprocess_state_replace_all_json(state, whole, sizeof whole - 1, &error));
    has(state, "b", "{\"command\":[\"/b\"],\"token\":\"t\"}");
    /* A byte order mark is skipped, and a real-time signal has a name. */
    OK(proxyprocess_state_set_json(state, "m", "\xef\xbb\xbf{\"mode\": \"noop\", \"stop_signal\": \"SIGRTMIN+3\"}", 48,
                                   &error));
    has(state, "m", "\"stop_signal\":\"37\"");
    OK(proxyprocess_state_replace_all_json(state, "\xef\xbb\xbf{}", 5, &error));
    OK(proxyprocess_state_replace_all_json(state, whole, sizeof whole - 1, &error));
    /* As long as it is said to be, not up to a NUL. */
    OK(proxyprocess_state_set_json(state, "c", "{\"mode\": \"noop\"}garbage", 16, &error));
    before = list(state);

    FAILS(proxyprocess_state_set_json(state, "b", "{\"command\": 7}", 14, &error), PROXYPROCESS_E_INVALID_CONFIG,
          "command: expected");
    FAILS(proxyprocess_state_replace_all_json(state, "{\"x\": {\"command\": 7}}", 21, &error),
          PROXYPROCESS_E_INVALID_CONFIG, "proxies.x.command: expected");
    FAILS(proxyprocess_state_replace_all_json(state, "{\"\": {\"mode\": \"noop\"}}", 22, &error),
          PROXYPROCESS_E_INVALID_ID, "id");
    FAILS(proxyprocess_state_replace_all_json(state, "[]", 2, &error), PROXYPROCESS_E_INVALID_CONFIG, "proxies");
    FAILS(proxyprocess_state_replace_all_json(state, NULL, 0, &error), PROXYPROCESS_E_INVALID_CONFIG, "proxies");
    after = list(state);
    CHECK_TEXT(after, before);
    proxyprocess_text_free(after);
    proxyprocess_text_free(before);

    OK(proxyprocess_state_remove(state, "c", &removed, &error));
    CHECK_INT(removed, 1);
    OK(proxyprocess_state_remove(state, "c", &removed, &error));
    CHECK_INT(removed, 0);
    OK(proxyprocess_state_remove(state, "a", NULL, &error));
    CHECK(get(state, "c") == NULL && get(state, "a") == NULL);
    OK(proxyprocess_state_replace_all_json(state, "{}", 2, &error));
    CHECK(get(state, "b") == NULL);
    proxyprocess_state_free(state);
}

static void tokens(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_proxy_options options = proxy(SLEEP);
    char *first, *second;
    options.token = NULL;
    OK(proxyprocess_state_set(state, "web", &options, &error));
    first = get(state, "web");
    CHECK_HAS(first, "\"token\":\"");
    /* Drawn once for an id. */
    OK(proxyprocess_state_set(state, "web", &options, &error));
    second = get(state, "web");
    CHECK_TEXT(second, first);
    proxyprocess_text_free(second);
    OK(proxyprocess_state_set(state, "other", &options, &error));
    second = get(state, "other");
    CHECK(strcmp(second, first) != 0);
    proxyprocess_text_free(second);
    proxyprocess_text_free(first);
    proxyprocess_state_free(state);
}

static uint8_t changed(const proxyprocess_subscription *subscription, uint64_t timeout_ms)
{
    uint8_t changed = 7;
    OK(proxyprocess_subscription_wait(subscription, timeout_ms, &changed, &error));
    return changed;
}

/* A host with an event loop waits for the descriptor; the wait that tells a change resets it. */
static void subscription_descriptor(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_subscription *subscription = NULL;
    int32_t descriptor = -1, again = -1;
    OK(proxyprocess_state_subscribe(state, &subscription, &error));
    OK(proxyprocess_subscription_descriptor(subscription, &descriptor, &error));
    OK(proxyprocess_subscription_descriptor(subscription, &again, &error));
    CHECK(descriptor > 2 && descriptor == again);
    CHECK(!readable(descriptor, 0));
    for (int round = 0; round < 3; round++) {
        set(state, "a", SLEEP);
        set(state, "b", SLEEP);
        CHECK(readable(descriptor, DEADLINE_MS));
        CHECK_INT(changed(subscription, 0), 1);
        CHECK(!readable(descriptor, 0));
        CHECK_INT(changed(subscription, 0), 0);
        OK(proxyprocess_state_remove(state, "a", NULL, &error));
        CHECK_INT(changed(subscription, UINT64_MAX), 1);
        CHECK(!readable(descriptor, 0));
    }
    proxyprocess_state_free(state);
    /* Nothing will change any more, and a host that polls hears of it. */
    CHECK(readable(descriptor, DEADLINE_MS));
    CHECK_INT(changed(subscription, UINT64_MAX), 0);
    CHECK(readable(descriptor, 0));
    proxyprocess_subscription_free(subscription);
}

static void subscriptions(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_subscription *first = NULL, *second = NULL;
    set(state, "before", SLEEP);
    OK(proxyprocess_state_subscribe(state, &first, &error));
    OK(proxyprocess_state_subscribe(state, &second, &error));
    CHECK_INT(changed(first, 0), 0);
    set(state, "a", SLEEP);
    set(state, "b", SLEEP);
    CHECK_INT(changed(first, UINT64_MAX), 1);
    CHECK_INT(changed(first, 1), 0);
    set(state, "b", SLEEP);
    CHECK_INT(changed(first, 0), 0);
    /* Each has its own. */
    CHECK_INT(changed(second, 0), 1);
    proxyprocess_subscription_free(second);
    OK(proxyprocess_state_remove(state, "b", NULL, &error));
    proxyprocess_state_free(state);
    /* What was told before is there after the state. */
    CHECK_INT(changed(first, 0), 1);
    /* And then there will never be a change again: no thread waits for ever. */
    CHECK_INT(changed(first, UINT64_MAX), 0);
    proxyprocess_subscription_free(first);
    proxyprocess_subscription_free(NULL);
}

/* An ended manager follows nothing, though it is not freed: no change can come, and a host that waits or polls hears of it. */
static void subscription_ends_with_the_manager(void)
{
    for (int kill = 0; kill < 2; kill++) {
        proxyprocess_state *state = new_state();
        proxyprocess_manager *manager = new_manager(state, NULL);
        proxyprocess_subscription *subscription = NULL;
        int32_t descriptor = -1;
        OK(proxyprocess_state_subscribe(state, &subscription, &error));
        OK(proxyprocess_subscription_descriptor(subscription, &descriptor, &error));
        OK(proxyprocess_manager_start(manager, &error));
        proxyprocess_state_free(state);
        CHECK(!readable(descriptor, 0));
        OK((kill ? proxyprocess_manager_kill : proxyprocess_manager_close)(manager, &error));
        CHECK(readable(descriptor, DEADLINE_MS));
        CHECK_INT(changed(subscription, DEADLINE_MS), 0);
        CHECK(readable(descriptor, 0));
        proxyprocess_manager_free(manager);
        proxyprocess_subscription_free(subscription);
    }
}

int main(void)
{
    resources before = resources_now();
    by_options();
    by_options_of_the_first_version();
    by_json();
    tokens();
    subscriptions();
    subscription_ends_with_the_manager();
    subscription_descriptor();
    proxyprocess_state_free(NULL);
    proxyprocess_text_free(NULL);
    nothing_is_left_since(before);
    return 0;
}
