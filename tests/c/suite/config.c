/* The configuration: limits there and back, conflicts, the environment, sentences that say why. */
#include "host.h"

TEST(limits_there_and_back, PLAIN, 10) {
    roomcast_config *config = NULL;
    OK(roomcast_config_new(ROOMCAST_VERSION, &config));
    for (uint32_t limit = ROOMCAST_LIMIT_CONNECTIONS_MAX; roomcast_limit_name(limit); limit++) {
        const char *name = roomcast_limit_name(limit);
        uint64_t first = 0, value = 0;
        CHECK(name && strlen(name) > 3);
        OK(roomcast_config_limit(config, limit, &first));
        OK(roomcast_config_set_limit(config, limit, first + 7));
        OK(roomcast_config_limit(config, limit, &value));
        EQ(first + 7, value);
        for (uint32_t other = ROOMCAST_LIMIT_CONNECTIONS_MAX; other < limit; other++)
            CHECK(strcmp(name, roomcast_limit_name(other)) != 0);
        OK(roomcast_config_set_limit(config, limit, first));
    }
    OK(roomcast_config_check(config, NULL, 0));
    roomcast_config_free(config);
}

TEST(an_engine_has_the_limits_of_its_configuration, PLAIN, 10) {
    roomcast_config *config = host_config();
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_ROOM_NAME_BYTES_MAX, 5));
    roomcast_engine *engine = engine_of(config);
    for (uint32_t limit = ROOMCAST_LIMIT_CONNECTIONS_MAX; roomcast_limit_name(limit); limit++) {
        uint64_t set = 0, is = 1;
        OK(roomcast_config_limit(config, limit, &set));
        OK(roomcast_engine_limit(engine, limit, &is));
        EQ(set, is);
    }
    OK(roomcast_engine_publish(engine, S("12345"), TEXT_KIND, B("x"), NULL));
    IS(ROOM_NAME, roomcast_engine_publish(engine, S("123456"), TEXT_KIND, B("x"), NULL));
    roomcast_config_free(config);
    roomcast_engine_free(engine);
}

/* Huge values are a sentence or an engine that runs, never a crash. */
TEST(extreme_limits_start_or_say_why, PLAIN, 60) {
    static const uint64_t values[] = {0, 1, UINT32_MAX, 1ull << 40, INT64_MAX, UINT64_MAX};
    for (uint32_t limit = ROOMCAST_LIMIT_CONNECTIONS_MAX; roomcast_limit_name(limit); limit++) {
        for (size_t i = 0; i < LENGTH(values); i++) {
            roomcast_config *config = host_config();
            roomcast_engine *engine = NULL;
            char why[256] = "";
            roomcast_status set = roomcast_config_set_limit(config, limit, values[i]);
            CHECK(set == ROOMCAST_STATUS_OK || set == ROOMCAST_STATUS_INVALID_ARGUMENT);
            roomcast_status wanted = roomcast_config_check(config, why, sizeof why);
            suite_at(roomcast_limit_name(limit), (int)i, "engine_new");
            roomcast_status status = roomcast_engine_new(config, &engine, why, sizeof why);
            /* Longer than the system waits for its peers, which its listeners say. */
            bool is_long = limit == ROOMCAST_LIMIT_KEEPALIVE_MS ||
                           limit == ROOMCAST_LIMIT_USER_TIMEOUT_MS;
            if (is_long && status == ROOMCAST_STATUS_IO) {
                roomcast_config_free(config);
                continue;
            }
            EQ(wanted, status);
            if (status == ROOMCAST_STATUS_OK) {
                /* Its figures are of use whatever the limits are. */
                size_t members = 99;
                OK(roomcast_engine_count(engine, S("r"), &members));
                EQ(0, members);
                roomcast_engine_free(engine);
            } else {
                EQ(ROOMCAST_STATUS_CONFIG, status);
                HAS(roomcast_limit_name(limit), why);
            }
            roomcast_config_free(config);
        }
    }
}

TEST(conflicts_name_the_setting, PLAIN, 10) {
    static const struct {
        uint32_t limit;
        uint64_t value;
        const char *name;
    } conflicts[] = {
        {ROOMCAST_LIMIT_TAPE_BYTES_MAX, 1000, "tape_bytes_max"},
        {ROOMCAST_LIMIT_PUBLICATION_BYTES_MAX, 4 << 20, "publication_bytes_max"},
        {ROOMCAST_LIMIT_OUTBOX_HIGH_BYTES, 2 << 20, "outbox_high_bytes"},
        {ROOMCAST_LIMIT_ROOM_AHEAD_BYTES_MAX, 3 << 20, "room_ahead_bytes_max"},
    };
    for (size_t i = 0; i < LENGTH(conflicts); i++) {
        roomcast_config *config = host_config();
        char why[256] = "";
        OK(roomcast_config_set_limit(config, conflicts[i].limit, conflicts[i].value));
        IS(CONFIG, roomcast_config_check(config, why, sizeof why));
        HAS(conflicts[i].name, why);
        roomcast_config_free(config);
    }
    roomcast_config *config = host_config();
    char why[256] = "";
    OK(roomcast_config_set_shards(config, 256));
    IS(CONFIG, roomcast_config_check(config, why, sizeof why));
    HAS("shards", why);
    HAS("256", why);
    roomcast_config_free(config);
}

TEST(addresses_that_cannot_be_are_named, PLAIN, 10) {
    static const char *const addresses[] = {"nonsense", "127.0.0.1", "127.0.0.1:99999", "",
                                            "256.1.1.1:80", ":::", "127.0.0.1:0\n"};
    for (size_t i = 0; i < LENGTH(addresses); i++) {
        roomcast_config *config = NULL;
        roomcast_engine *engine = NULL;
        char why[256] = "";
        OK(roomcast_config_new(ROOMCAST_VERSION, &config));
        OK(roomcast_config_add_listener(config, S(addresses[i])));
        roomcast_status status = roomcast_engine_new(config, &engine, why, sizeof why);
        CHECK(status == ROOMCAST_STATUS_CONFIG || status == ROOMCAST_STATUS_IO);
        CHECK(!engine && strlen(why) > 0);
        if (i < 3) HAS(addresses[i], why);
        roomcast_config_free(config);
    }
}

TEST(an_address_in_use_is_named, PLAIN, 10) {
    roomcast_config *config = host_config();
    roomcast_engine *engine = engine_of(config), *second = NULL;
    char address[32], why[256] = "";
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(engine));
    OK(roomcast_config_add_listener(config, S(address)));
    IS(IO, roomcast_engine_new(config, &second, why, sizeof why));
    HAS(address, why);
    CHECK(!second);
    roomcast_config_free(config);
    roomcast_engine_free(engine);
}

/* "é" is cut whole or not at all; whatever the size, the end is a zero and what is behind stays. */
TEST(sentences_are_cut_at_characters, PLAIN, 10) {
    roomcast_config *config = NULL;
    roomcast_engine *engine = NULL;
    char whole[256], part[256];
    OK(roomcast_config_new(ROOMCAST_VERSION, &config));
    OK(roomcast_config_add_unix_listener(
        config, S("/\xc3\xa9\xc3\xa9\xe2\x82\xac/\xf0\x9f\x8e\x89/\xc3\xa9\xc3\xa9")));
    IS(IO, roomcast_engine_new(config, &engine, whole, sizeof whole));
    HAS("\xf0\x9f\x8e\x89", whole);
    for (size_t size = 0; size <= strlen(whole) + 3; size++) {
        memset(part, '#', sizeof part);
        IS(IO, roomcast_engine_new(config, &engine, part, size));
        for (size_t i = size; i < sizeof part; i++) EQ('#', part[i]);
        if (size == 0) continue;
        CHECK(memchr(part, 0, size));
        size_t len = strlen(part);
        CHECK(strncmp(part, whole, len) == 0);
        CHECK(((unsigned char)whole[len] & 0xC0) != 0x80);
        CHECK(len + 4 >= size || whole[len] == 0);
    }
    roomcast_config_free(config);
}

TEST(the_environment_sets_limits, PLAIN, 10) {
    roomcast_config *config = NULL;
    uint64_t value = 0;
    char why[256] = "";
    OK(roomcast_config_new(ROOMCAST_VERSION, &config));
    CHECK(setenv("ROOMCAST_CONNECTIONS_MAX", "4321", 1) == 0);
    CHECK(setenv("ROOMCAST_PING_INTERVAL_MS", "0", 1) == 0);
    OK(roomcast_config_read_environment(config, why, sizeof why));
    OK(roomcast_config_limit(config, ROOMCAST_LIMIT_CONNECTIONS_MAX, &value));
    EQ(4321, value);
    static const char *const bad[] = {"many", "-1", "", "1e3", "99999999999999999999999",
                                      "\xff"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        CHECK(setenv("ROOMCAST_CONNECTIONS_MAX", "1", 1) == 0);
        CHECK(setenv("ROOMCAST_EVENTS_MAX", bad[i], 1) == 0);
        roomcast_status status = roomcast_config_read_environment(config, why, sizeof why);
        if (status == ROOMCAST_STATUS_OK)
            suite_fail(__FILE__, __LINE__, "ROOMCAST_EVENTS_MAX=\"%s\" is taken", bad[i]);
        EQ(ROOMCAST_STATUS_CONFIG, status);
        HAS("ROOMCAST_EVENTS_MAX", why);
        OK(roomcast_config_limit(config, ROOMCAST_LIMIT_CONNECTIONS_MAX, &value));
        EQ(4321, value);
    }
    roomcast_config_free(config);
}

TEST(origins_decide_which_pages_connect, PLAIN, 10) {
    roomcast_config *config = host_config();
    const roomcast_str origins[] = {S("https://a.example"), S("http://b.example:8080")};
    struct ws ws;
    OK(roomcast_config_set_events(config, 0));
    OK(roomcast_config_set_origins(config, origins, 2));
    roomcast_engine *listed = engine_of(config);
    OK(roomcast_config_allow_any_origin(config));
    roomcast_engine *any = engine_of(config);
    static const struct {
        const char *origin;
        int listed;
    } peers[] = {
        {"", 101},
        {"Origin: https://a.example\r\n", 101},
        {"Origin: http://b.example:8080\r\n", 101},
        {"Origin: http://localhost\r\n", 101},
        {"Origin: http://a.example\r\n", 403},
        {"Origin: null\r\n", 403},
    };
    for (size_t i = 0; i < LENGTH(peers); i++) {
        ws_ask(&ws, ws_tcp(port_of(listed)), "/", peers[i].origin);
        EQ(peers[i].listed, ws.status);
        ws_free(&ws);
        ws_ask(&ws, ws_tcp(port_of(any)), "/", peers[i].origin);
        EQ(101, ws.status);
        ws_free(&ws);
    }
    roomcast_config_free(config);
    roomcast_engine_free(listed);
    roomcast_engine_free(any);
}
