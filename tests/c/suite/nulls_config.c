/* NULLS of the configuration's functions; see nulls.h. */
#include "nulls.h"

/* A change with each bad text, and without a configuration. */
#define TAKES_TEXT(function)                                                                     \
    NULLS(roomcast_config_##function) {                                                          \
        IS(INVALID_ARGUMENT, roomcast_config_##function(NULL, S("x")));                          \
        EACH(bad, bad_texts, roomcast_str) {                                                     \
            IS(INVALID_ARGUMENT, roomcast_config_##function(w->config, *bad));                   \
            IS(INVALID_ARGUMENT, roomcast_config_##function(NULL, *bad));                        \
        }                                                                                        \
        OK(roomcast_config_check(w->config, NULL, 0));                                           \
    }
TAKES_TEXT(add_listener)
TAKES_TEXT(add_unix_listener)
TAKES_TEXT(set_health_path)
TAKES_TEXT(set_metrics_path)

NULLS(roomcast_config_new) {
    PLACE(roomcast_config *, config);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_config_new(ROOMCAST_VERSION, NULL));
    static const uint32_t others[] = {0, 999, ROOMCAST_VERSION + 1000, 1001000, UINT32_MAX};
    EACH(other, others, uint32_t) {
        IS(VERSION_MISMATCH, roomcast_config_new(*other, &config));
        UNTOUCHED(config);
    }
}

NULLS(roomcast_config_set_shards) {
    IS(INVALID_ARGUMENT, roomcast_config_set_shards(NULL, 1));
    OK(roomcast_config_set_shards(w->config, SIZE_MAX));
    IS(CONFIG, roomcast_config_check(w->config, NULL, 0));
    OK(roomcast_config_set_shards(w->config, 0));
    OK(roomcast_config_check(w->config, NULL, 0));
}

NULLS(roomcast_config_set_own_threads) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_config_set_own_threads(NULL, true));
}

NULLS(roomcast_config_set_reuse_port) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_config_set_reuse_port(NULL, true));
}

NULLS(roomcast_config_set_websocket_metrics) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_config_set_websocket_metrics(NULL, true));
}

NULLS(roomcast_config_allow_any_origin) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_config_allow_any_origin(NULL));
}

NULLS(roomcast_config_set_events) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_config_set_events(NULL, 0));
}

NULLS(roomcast_config_set_slow_policy) {
    IS(INVALID_ARGUMENT, roomcast_config_set_slow_policy(NULL, ROOMCAST_SLOW_POLICY_SKIP));
    EACH(bad, bad_enums, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_config_set_slow_policy(w->config, *bad));
    for (uint32_t policy = 0; policy <= ROOMCAST_SLOW_POLICY_REPLAY; policy++)
        OK(roomcast_config_set_slow_policy(w->config, policy));
    OK(roomcast_config_set_slow_policy(w->config, ROOMCAST_SLOW_POLICY_DEFAULT));
}

NULLS(roomcast_config_set_room_options) {
    roomcast_room_options options = {0};
    IS(INVALID_ARGUMENT, roomcast_config_set_room_options(NULL, S("r"), NULL));
    static const size_t sizes[] = {0, 1, sizeof(size_t), sizeof options - 4};
    EACH(bad, sizes, size_t) {
        options.struct_size = *bad;
        IS(INVALID_ARGUMENT, roomcast_config_set_room_options(w->config, S("r"), &options));
    }
    options.struct_size = sizeof options;
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_config_set_room_options(w->config, *bad, &options));
    EACH(bad, bad_enums, uint32_t) {
        options.slow_policy = *bad;
        IS(INVALID_ARGUMENT, roomcast_config_set_room_options(w->config, S("r"), &options));
    }
    options.slow_policy = ROOMCAST_SLOW_POLICY_DEFAULT;
    options.flush_interval_ms = UINT32_MAX - 1;
    OK(roomcast_config_set_room_options(w->config, S("r"), &options));
    IS(CONFIG, roomcast_config_check(w->config, NULL, 0));
    options.flush_interval_ms = ROOMCAST_EACH_TURN;
    options.conflate = true;
    OK(roomcast_config_set_room_options(w->config, S("r"), &options));
    IS(CONFIG, roomcast_config_check(w->config, NULL, 0));
    OK(roomcast_config_set_room_options(w->config, S("r"), NULL));
    OK(roomcast_config_check(w->config, NULL, 0));
}

/* As without options, and with a size that is none. */
#define LISTENS_WITH(function)                                                                   \
    NULLS(roomcast_config_##function) {                                                          \
        roomcast_listen_options options = {0};                                                   \
        IS(INVALID_ARGUMENT, roomcast_config_##function(NULL, S("x"), NULL));                    \
        EACH(bad, bad_texts, roomcast_str)                                                       \
            IS(INVALID_ARGUMENT, roomcast_config_##function(w->config, *bad, NULL));             \
        IS(INVALID_ARGUMENT, roomcast_config_##function(w->config, S("x"), &options));           \
        options.struct_size = sizeof options - 1;                                                \
        IS(INVALID_ARGUMENT, roomcast_config_##function(w->config, S("x"), &options));           \
        OK(roomcast_config_check(w->config, NULL, 0));                                           \
    }
LISTENS_WITH(add_listener_with)
LISTENS_WITH(add_unix_listener_with)

NULLS(roomcast_config_set_message_rate_policy) {
    const uint32_t good = ROOMCAST_MESSAGE_RATE_POLICY_CLOSE;
    IS(INVALID_ARGUMENT, roomcast_config_set_message_rate_policy(NULL, good));
    EACH(bad, bad_enums, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_config_set_message_rate_policy(w->config, *bad));
    IS(INVALID_ARGUMENT, roomcast_config_set_message_rate_policy(w->config, 2));
}

NULLS(roomcast_config_set_origins) {
    const roomcast_str good = S("https://a.example");
    IS(INVALID_ARGUMENT, roomcast_config_set_origins(NULL, &good, 1));
    IS(INVALID_ARGUMENT, roomcast_config_set_origins(w->config, NULL, 1));
    IS(INVALID_ARGUMENT, roomcast_config_set_origins(w->config, NULL, SIZE_MAX));
    IS(INVALID_ARGUMENT, roomcast_config_set_origins(w->config, &good, SIZE_MAX));
    IS(INVALID_ARGUMENT, roomcast_config_set_origins(w->config, &good, SIZE_MAX / 16 + 2));
    for (size_t i = 0; i < LENGTH(bad_texts); i++) {
        const roomcast_str pair[] = {good, bad_texts[i]};
        IS(INVALID_ARGUMENT, roomcast_config_set_origins(w->config, pair, 2));
    }
    OK(roomcast_config_set_origins(w->config, NULL, 0));
}

NULLS(roomcast_config_set_trusted_proxies) {
    const roomcast_str good = S("10.0.0.0/8");
    IS(INVALID_ARGUMENT, roomcast_config_set_trusted_proxies(NULL, &good, 1));
    IS(INVALID_ARGUMENT, roomcast_config_set_trusted_proxies(w->config, NULL, 1));
    IS(INVALID_ARGUMENT, roomcast_config_set_trusted_proxies(w->config, &good, SIZE_MAX));
    EACH(bad, bad_texts, roomcast_str) {
        const roomcast_str pair[] = {good, *bad};
        IS(INVALID_ARGUMENT, roomcast_config_set_trusted_proxies(w->config, pair, 2));
    }
    OK(roomcast_config_set_trusted_proxies(w->config, &good, 1));
    OK(roomcast_config_set_trusted_proxies(w->config, NULL, 0));
}

NULLS(roomcast_config_set_forwarded_header) {
    const uint32_t good = ROOMCAST_FORWARDED_HEADER_X_FORWARDED_FOR;
    IS(INVALID_ARGUMENT, roomcast_config_set_forwarded_header(NULL, good));
    EACH(bad, bad_enums, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_config_set_forwarded_header(w->config, *bad));
    IS(INVALID_ARGUMENT, roomcast_config_set_forwarded_header(w->config, 2));
    OK(roomcast_config_set_forwarded_header(w->config, good));
}

NULLS(roomcast_config_set_limit) {
    uint64_t value = 0;
    IS(INVALID_ARGUMENT, roomcast_config_set_limit(NULL, ROOMCAST_LIMIT_EVENTS_MAX, 5));
    IS(INVALID_ARGUMENT, roomcast_config_set_limit(w->config, 0, 5));
    IS(INVALID_ARGUMENT, roomcast_config_set_limit(w->config, 1000, 5));
    EACH(bad, bad_enums, uint32_t) {
        IS(INVALID_ARGUMENT, roomcast_config_set_limit(w->config, *bad, 5));
        IS(INVALID_ARGUMENT, roomcast_config_set_limit(NULL, *bad, 5));
    }
    OK(roomcast_config_limit(w->config, ROOMCAST_LIMIT_EVENTS_MAX, &value));
    EQ(65536, value);
}

NULLS(roomcast_config_limit) {
    PLACE(uint64_t, value);
    IS(INVALID_ARGUMENT, roomcast_config_limit(NULL, ROOMCAST_LIMIT_EVENTS_MAX, &value));
    IS(INVALID_ARGUMENT, roomcast_config_limit(w->config, 0, &value));
    EACH(bad, bad_enums, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_config_limit(w->config, *bad, &value));
    IS(INVALID_ARGUMENT, roomcast_config_limit(w->config, ROOMCAST_LIMIT_EVENTS_MAX, NULL));
    UNTOUCHED(value);
}

NULLS(roomcast_config_read_environment) {
    char why[64] = "left";
    IS(INVALID_ARGUMENT, roomcast_config_read_environment(NULL, why, sizeof why));
    IS(INVALID_ARGUMENT, roomcast_config_read_environment(NULL, NULL, 0));
    OK(roomcast_config_read_environment(w->config, NULL, 0));
    OK(roomcast_config_read_environment(w->config, NULL, SIZE_MAX));
    OK(roomcast_config_read_environment(w->config, why, sizeof why));
}

NULLS(roomcast_config_check) {
    char why[64] = "";
    IS(INVALID_ARGUMENT, roomcast_config_check(NULL, why, sizeof why));
    IS(INVALID_ARGUMENT, roomcast_config_check(NULL, NULL, 5));
    OK(roomcast_config_check(w->config, NULL, 0));
    OK(roomcast_config_check(w->config, NULL, SIZE_MAX));
}

static int freed;

static void on_free(void *data) {
    CHECK(data == &freed);
    freed++;
}

static void on_event(void *data, const roomcast_engine *engine, const roomcast_event *event) {
    (void)data, (void)engine, (void)event;
}

static void on_page(void *data, const roomcast_request *request, roomcast_page *page) {
    (void)data, (void)request, (void)page;
}

static void on_log(void *data, uint32_t level, roomcast_str line) {
    (void)data, (void)level, (void)line;
}

/* Where it fails, the finalizer is not called; where another replaces it, it is. */
#define TAKES_FUNCTION(what, call)                                                               \
    NULLS(roomcast_config_set_##what) {                                                          \
        freed = 0;                                                                               \
        IS(INVALID_ARGUMENT, roomcast_config_set_##what(NULL, &freed, call, on_free));           \
        IS(INVALID_ARGUMENT, roomcast_config_set_##what(NULL, NULL, NULL, NULL));                \
        EQ(0, freed);                                                                            \
        OK(roomcast_config_set_##what(w->config, &freed, call, on_free));                        \
        EQ(0, freed);                                                                            \
        OK(roomcast_config_set_##what(w->config, &freed, call, on_free));                        \
        EQ(1, freed);                                                                            \
        OK(roomcast_config_set_##what(w->config, &freed, call, NULL));                           \
        EQ(2, freed);                                                                            \
        OK(roomcast_config_set_##what(w->config, NULL, NULL, NULL));                             \
        EQ(2, freed);                                                                            \
        OK(roomcast_config_check(w->config, NULL, 0));                                           \
    }
TAKES_FUNCTION(callback, on_event)
TAKES_FUNCTION(pages, on_page)
TAKES_FUNCTION(log, on_log)

/* No function, but data with a finalizer: it is the library's when the call is fine. */
TEST(a_finalizer_without_a_function_is_called, PLAIN, 10) {
    roomcast_config *config = host_config();
    freed = 0;
    OK(roomcast_config_set_callback(config, &freed, NULL, on_free));
    OK(roomcast_config_set_pages(config, &freed, NULL, on_free));
    OK(roomcast_config_set_log(config, &freed, NULL, on_free));
    roomcast_config_free(config);
    EQ(3, freed);
}
