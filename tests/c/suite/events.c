/* Events: every kind with all its fields, every reason to close that a peer can provoke, the mask
 * of kinds. Callbacks run on the engine's threads, checks on the test's. */
#include "host.h"

TEST(a_message_has_all_its_fields, PLAIN, 20) {
    struct host host;
    struct ws ws;
    host_open(&host);
    uint64_t id = host_join(&host, &ws, "/lobby?user=ann");
    struct seen asked = host_wait(&host, ROOMCAST_EVENT_CONNECTING, id, 0);
    TEXT("/lobby", S(asked.path));
    CHECK(!asked.has_user && !asked.has_text && asked.message_len == 0 && !asked.data);
    struct seen opened = host_wait(&host, ROOMCAST_EVENT_OPENED, id, 0);
    TEXT("ann", S(opened.user));
    EQ(0, opened.message_kind | opened.reason | opened.code | opened.missed | opened.high);
    EQ(0, opened.missed_first | opened.missed_last | opened.missed_replaced);
    CHECK(!opened.has_delivery);
    ws_say(&ws, "h\xc3\xa9llo");
    ws_frame(&ws, true, WS_BINARY, "\0\1\2", 3);
    ws_frame(&ws, true, WS_TEXT, "", 0);
    ws_frame(&ws, false, WS_TEXT, "in ", 3);
    ws_frame(&ws, false, WS_MORE, "three ", 6);
    ws_frame(&ws, true, WS_PING, "?", 1);
    ws_frame(&ws, true, WS_MORE, "parts", 5);
    struct seen text = host_wait(&host, ROOMCAST_EVENT_MESSAGE, id, 0);
    EQ(TEXT_KIND, text.message_kind);
    TEXT("h\xc3\xa9llo", S(text.message));
    TEXT("ann", S(text.user));
    struct seen binary = host_wait(&host, ROOMCAST_EVENT_MESSAGE, id, 1);
    EQ(BINARY_KIND, binary.message_kind);
    EQ(3, binary.message_len);
    CHECK(memcmp(binary.message, "\0\1\2", 3) == 0);
    EQ(0, host_wait(&host, ROOMCAST_EVENT_MESSAGE, id, 2).message_len);
    TEXT("in three parts", S(host_wait(&host, ROOMCAST_EVENT_MESSAGE, id, 3).message));
    ws_send_close(&ws, 4321, "enough");
    struct seen closed = host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_PEER, closed.reason);
    EQ(4321, closed.code);
    TEXT("enough", S(closed.text));
    TEXT("ann", S(closed.user));
    EQ(4321, ws_expect_end(&ws));
    ws_free(&ws);
    host_free(&host);
}

static struct seen closed_after(struct host *host, struct ws *ws, void (*act)(struct ws *)) {
    uint64_t id = host_join(host, ws, "/r");
    act(ws);
    return host_wait(host, ROOMCAST_EVENT_CLOSED, id, 0);
}

static void send_unmasked(struct ws *ws) {
    CHECK(write(ws->fd, "\x81\x01x", 3) == 3);
}

static void send_bad_text(struct ws *ws) {
    ws_frame(ws, true, WS_TEXT, "\xff", 1);
}

static void send_too_much(struct ws *ws) {
    static char much[5000];
    ws_frame(ws, true, WS_BINARY, much, sizeof much);
}

static void send_nothing(struct ws *ws) {
    (void)ws;
}

static void send_empty_close(struct ws *ws) {
    ws_frame(ws, true, WS_CLOSE, "", 0);
}

TEST(every_way_to_close_has_its_reason, PLAIN, 30) {
    struct host host;
    struct ws ws;
    struct seen seen;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_MESSAGE_BYTES_MAX, 4096));
    host_start(&host);
    static const struct {
        void (*act)(struct ws *);
        uint32_t reason, code, sent;
    } ways[] = {
        {send_unmasked, ROOMCAST_CLOSE_REASON_PROTOCOL, 1002, 1002},
        {send_bad_text, ROOMCAST_CLOSE_REASON_PROTOCOL, 1007, 1007},
        {send_too_much, ROOMCAST_CLOSE_REASON_PROTOCOL, 1009, 1009},
        {send_empty_close, ROOMCAST_CLOSE_REASON_PEER, 1005, 1005},
    };
    for (size_t i = 0; i < LENGTH(ways); i++) {
        seen = closed_after(&host, &ws, ways[i].act);
        EQ(ways[i].reason, seen.reason);
        EQ(ways[i].code, seen.code);
        if (seen.reason == ROOMCAST_CLOSE_REASON_PROTOCOL) CHECK(seen.has_text);
        EQ(ways[i].sent, ws_expect_end(&ws));
        ws_free(&ws);
    }
    seen = closed_after(&host, &ws, ws_reset);
    EQ(ROOMCAST_CLOSE_REASON_VANISHED, seen.reason);
    EQ(1006, seen.code);
    seen = closed_after(&host, &ws, ws_free);
    EQ(ROOMCAST_CLOSE_REASON_VANISHED, seen.reason);
    EQ(1006, seen.code);
    uint64_t id = host_join(&host, &ws, "/r");
    OK(roomcast_connection_close(host.engine, id, 3333, S("bye")));
    EQ(3333, ws_expect_end(&ws));
    TEXT("bye", S(ws.data));
    ws_free(&ws);
    seen = host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_HOST, seen.reason);
    EQ(3333, seen.code);
    id = host_join(&host, &ws, "/r");
    OK(roomcast_engine_begin_stop(host.engine));
    EQ(1001, ws_expect_end(&ws));
    ws_free(&ws);
    OK(roomcast_engine_stop(host.engine, NULL));
    seen = host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_STOPPING, seen.reason);
    EQ(1001, seen.code);
    host_free(&host);
}

TEST(silence_ends_in_two_ways, PLAIN, 30) {
    struct host host;
    struct ws ws;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_PING_INTERVAL_MS, 30));
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_PING_TIMEOUT_MS, 30));
    host_start(&host);
    struct seen seen = closed_after(&host, &ws, send_nothing);
    EQ(ROOMCAST_CLOSE_REASON_PING_TIMEOUT, seen.reason);
    ws_free(&ws);
    host_free(&host);
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_IDLE_TIMEOUT_MS, 30));
    host_start(&host);
    seen = closed_after(&host, &ws, send_nothing);
    EQ(ROOMCAST_CLOSE_REASON_IDLE_TIMEOUT, seen.reason);
    EQ(4001, seen.code);
    EQ(4001, ws_expect_end(&ws));
    ws_free(&ws);
    host_free(&host);
}

static void say_three(struct ws *ws) {
    for (int i = 0; i < 3; ++i) ws_say(ws, "x");
}

TEST(more_than_the_rate_of_messages_ends_by_name, PLAIN, 20) {
    struct host host;
    struct ws ws;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_MESSAGE_RATE_MAX, 1));
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_MESSAGE_BURST_MAX, 2));
    OK(roomcast_config_set_message_rate_policy(host.config, ROOMCAST_MESSAGE_RATE_POLICY_CLOSE));
    host_start(&host);
    struct seen seen = closed_after(&host, &ws, say_three);
    EQ(ROOMCAST_CLOSE_REASON_LIMIT, seen.reason);
    EQ(1008, seen.code);
    EQ(1008, ws_expect_end(&ws));
    roomcast_snapshot figures = {.struct_size = sizeof figures};
    OK(roomcast_engine_snapshot(host.engine, &figures));
    EQ(1, figures.messages_refused);
    EQ(1, figures.closed[ROOMCAST_CLOSE_REASON_LIMIT]);
    ws_free(&ws);
    host_free(&host);
}

TEST(backpressure_is_told_high_and_low, PLAIN, 30) {
    static char part[60000];
    struct host host;
    struct ws ws;
    host_prepare_slow(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_OUTBOX_BYTES_MAX, 16 << 20));
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_OUTBOX_HIGH_BYTES, 100000));
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/slow?user=u");
    size_t sent = 0;
    roomcast_bytes bytes = roomcast_bytes_of(part, sizeof part);
    while (host_count(&host, ROOMCAST_EVENT_BACKPRESSURE, id) == 0) {
        roomcast_status status = roomcast_connection_send(host.engine, id, BINARY_KIND, bytes);
        CHECK(status == ROOMCAST_STATUS_OK);
        if (++sent % 20 == 0) suite_nap();
        CHECK(sent < 1000);
    }
    struct seen seen = host_wait(&host, ROOMCAST_EVENT_BACKPRESSURE, id, 0);
    CHECK(seen.high);
    TEXT("u", S(seen.user));
    for (size_t i = 0; i < sent; i++) {
        CHECK(ws_hear(&ws));
        EQ(sizeof part, ws.len);
    }
    CHECK(!host_wait(&host, ROOMCAST_EVENT_BACKPRESSURE, id, 1).high);
    ws_free(&ws);
    host_free(&host);
}

/* Publishes until `kind` came for the peer, which does not read; gives how many were taken. */
static size_t flood(struct host *host, uint64_t id, uint32_t kind) {
    static char part[60000];
    roomcast_published published;
    size_t taken = 0;
    while (host_count(host, kind, id) == 0) {
        roomcast_status status = roomcast_engine_publish(
            host->engine, S("slow"), BINARY_KIND, roomcast_bytes_of(part, sizeof part),
            &published);
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_BEHIND);
        taken += status == ROOMCAST_STATUS_OK;
        if (status == ROOMCAST_STATUS_BEHIND) suite_nap();
    }
    return taken;
}

TEST(too_slow_is_closed_with_4008, PLAIN, 30) {
    struct host host;
    struct ws ws;
    host_prepare_slow(&host);
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/slow");
    flood(&host, id, ROOMCAST_EVENT_CLOSED);
    struct seen seen = host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_TOO_SLOW, seen.reason);
    EQ(4008, seen.code);
    ws_free(&ws);
    host_free(&host);
}

TEST(lagged_tells_room_and_number, PLAIN, 30) {
    struct host host;
    struct ws ws;
    host_prepare_slow(&host);
    OK(roomcast_config_set_slow_policy(host.config, ROOMCAST_SLOW_POLICY_SKIP));
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/slow");
    size_t taken = flood(&host, id, ROOMCAST_EVENT_LAGGED);
    struct seen seen = host_wait(&host, ROOMCAST_EVENT_LAGGED, id, 0);
    TEXT("slow", S(seen.text));
    CHECK(seen.missed > 0 && seen.missed < taken);
    EQ(seen.missed, seen.missed_last - seen.missed_first + 1);
    CHECK(!seen.missed_replaced);
    UNTIL(roomcast_engine_publish(host.engine, S("slow"), TEXT_KIND, B("end"), NULL) ==
          ROOMCAST_STATUS_OK);
    size_t heard = 0, missed = 0;
    while (ws_hear(&ws) && ws.opcode != WS_TEXT) heard++;
    size_t lags = host_count(&host, ROOMCAST_EVENT_LAGGED, id);
    for (size_t i = 0; i < lags; i++)
        missed += host_wait(&host, ROOMCAST_EVENT_LAGGED, id, i).missed;
    EQ(taken, heard + missed);
    ws_free(&ws);
    host_free(&host);
}

static const uint32_t all_kinds[] = {
    ROOMCAST_EVENT_CONNECTING, ROOMCAST_EVENT_OPENED, ROOMCAST_EVENT_MESSAGE,
    ROOMCAST_EVENT_CLOSED,
};

TEST(only_wanted_kinds_are_told, PLAIN, 30) {
    for (uint32_t mask = 0; mask < 1u << LENGTH(all_kinds); mask++) {
        struct host host;
        struct ws ws;
        uint32_t kinds = 0;
        for (size_t i = 0; i < LENGTH(all_kinds); i++)
            if (mask & 1u << i) kinds |= 1u << all_kinds[i];
        host_prepare(&host);
        OK(roomcast_config_set_events(host.config, kinds));
        host_start(&host);
        ws_open(&ws, host.port, "/r");
        ws_say(&ws, "hello");
        ws_send_close(&ws, 1000, "");
        EQ(1000, ws_expect_end(&ws));
        ws_free(&ws);
        OK(roomcast_engine_stop(host.engine, NULL));
        for (size_t i = 0; i < LENGTH(all_kinds); i++)
            EQ(mask & 1u << i ? 1 : 0, host_count(&host, all_kinds[i], 0));
        host_free(&host);
    }
}
