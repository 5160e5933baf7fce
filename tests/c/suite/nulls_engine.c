/* NULLS of the engine's own functions and of taking events; see nulls.h. */
#include "nulls.h"

NULLS(roomcast_engine_new) {
    PLACE(roomcast_engine *, engine);
    char why[64] = "left";
    IS(INVALID_ARGUMENT, roomcast_engine_new(NULL, &engine, why, sizeof why));
    IS(INVALID_ARGUMENT, roomcast_engine_new(NULL, NULL, NULL, 0));
    IS(INVALID_ARGUMENT, roomcast_engine_new(w->config, NULL, why, sizeof why));
    IS(INVALID_ARGUMENT, roomcast_engine_new(w->config, NULL, NULL, SIZE_MAX));
    OK(roomcast_config_set_limit(w->config, ROOMCAST_LIMIT_TAPE_BYTES_MAX, 1));
    IS(CONFIG, roomcast_engine_new(w->config, &engine, NULL, 0));
    IS(CONFIG, roomcast_engine_new(w->config, &engine, NULL, SIZE_MAX));
    IS(CONFIG, roomcast_engine_new(w->config, &engine, why, sizeof why));
    OK(roomcast_config_set_limit(w->config, ROOMCAST_LIMIT_TAPE_BYTES_MAX, 4 << 20));
    UNTOUCHED(engine);
}

NULLS(roomcast_engine_stop) {
    PLACE(roomcast_stop_report, report);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_engine_stop(NULL, &report));
    IS(INVALID_ARGUMENT, roomcast_engine_stop(NULL, NULL));
    UNTOUCHED(report);
}

NULLS(roomcast_engine_stop_within) {
    PLACE(roomcast_stop_report, report);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_engine_stop_within(NULL, 5, &report));
    IS(INVALID_ARGUMENT, roomcast_engine_stop_within(NULL, UINT64_MAX, NULL));
    UNTOUCHED(report);
}

NULLS(roomcast_engine_begin_stop) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_engine_begin_stop(NULL));
}

NULLS(roomcast_engine_is_stopping) {
    (void)w;
    CHECK(roomcast_engine_is_stopping(NULL));
}

NULLS(roomcast_engine_is_broken) {
    (void)w;
    CHECK(!roomcast_engine_is_broken(NULL));
}

NULLS(roomcast_engine_address_count) {
    EQ(0, roomcast_engine_address_count(NULL));
    EQ(1, roomcast_engine_address_count(w->engine));
}

NULLS(roomcast_engine_address) {
    PLACE(roomcast_str, address);
    PLACE(uint16_t, port);
    IS(INVALID_ARGUMENT, roomcast_engine_address(NULL, 0, &address, &port));
    IS(INVALID_ARGUMENT, roomcast_engine_address(w->engine, 1, &address, &port));
    IS(INVALID_ARGUMENT, roomcast_engine_address(w->engine, SIZE_MAX, &address, &port));
    UNTOUCHED(address);
    UNTOUCHED(port);
    OK(roomcast_engine_address(w->engine, 0, NULL, NULL));
    OK(roomcast_engine_address(w->engine, 0, &address, NULL));
    UNTOUCHED(port);
    OK(roomcast_engine_address(w->engine, 0, NULL, &port));
}

NULLS(roomcast_engine_limit) {
    PLACE(uint64_t, value);
    IS(INVALID_ARGUMENT, roomcast_engine_limit(NULL, 1, &value));
    IS(INVALID_ARGUMENT, roomcast_engine_limit(w->engine, 1, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_limit(w->engine, 0, &value));
    EACH(bad, bad_enums, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_engine_limit(w->engine, *bad, &value));
    UNTOUCHED(value);
}

NULLS(roomcast_engine_fd) {
    PLACE(int32_t, fd);
    IS(INVALID_ARGUMENT, roomcast_engine_fd(NULL, &fd));
    IS(INVALID_ARGUMENT, roomcast_engine_fd(w->engine, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_fd(NULL, NULL));
    IS(WRONG_MODE, roomcast_engine_fd(w->called, &fd));
    UNTOUCHED(fd);
}

NULLS(roomcast_engine_turn) {
    IS(INVALID_ARGUMENT, roomcast_engine_turn(NULL, 0));
    IS(INVALID_ARGUMENT, roomcast_engine_turn(NULL, INT64_MIN));
    IS(WRONG_MODE, roomcast_engine_turn(w->engine, 0));
    IS(WRONG_MODE, roomcast_engine_turn(w->called, INT64_MAX));
    OK(roomcast_engine_turn(w->turned, 0));
}

NULLS(roomcast_engine_next_turn_ms) {
    PLACE(int64_t, ms);
    IS(INVALID_ARGUMENT, roomcast_engine_next_turn_ms(NULL, &ms));
    IS(INVALID_ARGUMENT, roomcast_engine_next_turn_ms(w->turned, NULL));
    IS(WRONG_MODE, roomcast_engine_next_turn_ms(w->engine, &ms));
    IS(WRONG_MODE, roomcast_engine_next_turn_ms(w->called, &ms));
    UNTOUCHED(ms);
    OK(roomcast_engine_next_turn_ms(w->turned, &ms));
    CHECK(ms >= -1);
}

/* Sizes of an event that no version of the header has. */
static const size_t bad_sizes[] = {0, 1, 8, sizeof(roomcast_event) - 8, sizeof(roomcast_event) + 1,
                                   SIZE_MAX};

NULLS(roomcast_engine_drain) {
    PLACE(roomcast_event, event);
    PLACE(size_t, count);
    size_t size = sizeof event;
    IS(INVALID_ARGUMENT, roomcast_engine_drain(NULL, size, 1, &event, &count));
    IS(INVALID_ARGUMENT, roomcast_engine_drain(w->engine, size, 1, NULL, &count));
    IS(INVALID_ARGUMENT, roomcast_engine_drain(w->engine, size, 1, &event, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_drain(w->engine, size, 0, &event, &count));
    EACH(bad, bad_sizes, size_t)
        IS(INVALID_ARGUMENT, roomcast_engine_drain(w->engine, *bad, 1, &event, &count));
    IS(WRONG_MODE, roomcast_engine_drain(w->called, size, 1, &event, &count));
    UNTOUCHED(event);
    UNTOUCHED(count);
}

NULLS(roomcast_engine_wait) {
    PLACE(roomcast_event, event);
    PLACE(size_t, count);
    size_t size = sizeof event;
    IS(INVALID_ARGUMENT, roomcast_engine_wait(NULL, 0, size, 1, &event, &count));
    IS(INVALID_ARGUMENT, roomcast_engine_wait(w->engine, -1, size, 1, NULL, &count));
    IS(INVALID_ARGUMENT, roomcast_engine_wait(w->engine, -1, size, 1, &event, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_wait(w->engine, -1, size, 0, &event, &count));
    EACH(bad, bad_sizes, size_t)
        IS(INVALID_ARGUMENT, roomcast_engine_wait(w->engine, -1, *bad, 1, &event, &count));
    IS(WRONG_MODE, roomcast_engine_wait(w->called, -1, size, 1, &event, &count));
    IS(WRONG_MODE, roomcast_engine_wait(w->turned, -1, size, 1, &event, &count));
    UNTOUCHED(event);
    UNTOUCHED(count);
}

NULLS(roomcast_events_free) {
    roomcast_event events[2];
    (void)w;
    memset(events, 0, sizeof events);
    roomcast_events_free(sizeof *events, 1, NULL);
    roomcast_events_free(sizeof *events, SIZE_MAX, NULL);
    roomcast_events_free(0, 1, NULL);
    roomcast_events_free(0, 2, events);
    roomcast_events_free(sizeof *events, 0, events);
    roomcast_events_free(sizeof *events, 2, events);
    roomcast_events_free(sizeof *events, 2, events);
    EQ(0, events[1].connection);
}

NULLS(roomcast_engine_snapshot) {
    roomcast_snapshot figures;
    struct {
        roomcast_snapshot figures;
        unsigned char newer[24];
    } large;
    IS(INVALID_ARGUMENT, roomcast_engine_snapshot(w->engine, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_snapshot(NULL, NULL));
    static const size_t sizes[] = {0, 1, sizeof(size_t), sizeof(roomcast_snapshot) - 8};
    EACH(bad, sizes, size_t) {
        memset(&figures, 0xA5, sizeof figures);
        figures.struct_size = *bad;
        IS(INVALID_ARGUMENT, roomcast_engine_snapshot(w->engine, &figures));
        IS(INVALID_ARGUMENT, roomcast_engine_snapshot(NULL, &figures));
        EQ(*bad, figures.struct_size);
        EQ(0xA5A5A5A5A5A5A5A5ull, figures.connections);
        EQ(0xA5A5A5A5A5A5A5A5ull, figures.publish_to_flush_small.max_ns);
    }
    memset(&large, 0xA5, sizeof large);
    large.figures.struct_size = sizeof large;
    OK(roomcast_engine_snapshot(w->engine, &large.figures));
    EQ(sizeof large, large.figures.struct_size);
    EQ(1, large.figures.connections);
    for (size_t i = 0; i < sizeof large.newer; i++) EQ(0, large.newer[i]);
}

NULLS(roomcast_engine_shard_snapshot) {
    roomcast_snapshot figures;
    IS(INVALID_ARGUMENT, roomcast_engine_shard_snapshot(w->engine, 0, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_shard_snapshot(NULL, 0, NULL));
    static const size_t shards[] = {255, 1u << 20, SIZE_MAX};
    memset(&figures, 0xA5, sizeof figures);
    figures.struct_size = sizeof figures;
    IS(INVALID_ARGUMENT, roomcast_engine_shard_snapshot(NULL, 0, &figures));
    EACH(bad, shards, size_t)
        IS(INVALID_ARGUMENT, roomcast_engine_shard_snapshot(w->engine, *bad, &figures));
    EQ(0xA5A5A5A5A5A5A5A5ull, figures.connections);
    figures.struct_size = 1;
    IS(INVALID_ARGUMENT, roomcast_engine_shard_snapshot(w->engine, 0, &figures));
    EQ(0xA5A5A5A5A5A5A5A5ull, figures.connections);
}

NULLS(roomcast_engine_metrics) {
    PLACE(roomcast_text *, text);
    IS(INVALID_ARGUMENT, roomcast_engine_metrics(NULL, &text));
    IS(INVALID_ARGUMENT, roomcast_engine_metrics(NULL, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_metrics(w->engine, NULL));
    UNTOUCHED(text);
}

NULLS(roomcast_engine_adopt) {
    int pair[2];
    CHECK(pipe(pair) == 0);
    IS(INVALID_ARGUMENT, roomcast_engine_adopt(NULL, pair[0], B("")));
    IS(INVALID_ARGUMENT, roomcast_engine_adopt(w->engine, pair[0], B("")));
    IS(INVALID_ARGUMENT, roomcast_engine_adopt(w->engine, -1, B("")));
    IS(INVALID_ARGUMENT, roomcast_engine_adopt(w->engine, INT32_MIN, B("")));
    IS(INVALID_ARGUMENT, roomcast_engine_adopt(w->engine, INT32_MAX, B("")));
    int fd = ws_tcp(w->port);
    EACH(bad, bad_bytes, roomcast_bytes)
        IS(INVALID_ARGUMENT, roomcast_engine_adopt(w->engine, fd, *bad));
    CHECK(close(fd) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
}

NULLS(roomcast_upgrade_new) {
    PLACE(roomcast_upgrade *, upgrade);
    const roomcast_str get = S("GET"), target = S("/ws");
    const roomcast_header good = {S("host"), B("x")};
    IS(INVALID_ARGUMENT, roomcast_upgrade_new(NULL, get, target, &good, 1, &upgrade));
    IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, get, target, &good, 1, NULL));
    IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, get, target, NULL, 1, &upgrade));
    IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, get, target, &good, SIZE_MAX, &upgrade));
    IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, S(NULL), target, &good, 1, &upgrade));
    EACH(bad, bad_texts, roomcast_str) {
        const roomcast_header name = {*bad, B("x")};
        IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, *bad, target, &good, 1, &upgrade));
        IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, get, *bad, &good, 1, &upgrade));
        IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, get, target, &name, 1, &upgrade));
    }
    EACH(bad, bad_bytes, roomcast_bytes) {
        const roomcast_header value = {S("a"), *bad};
        IS(INVALID_ARGUMENT, roomcast_upgrade_new(w->engine, get, target, &value, 1, &upgrade));
    }
    UNTOUCHED(upgrade);
}

NULLS(roomcast_upgrade_status) {
    (void)w;
    EQ(0, roomcast_upgrade_status(NULL));
}

NULLS(roomcast_upgrade_response) {
    TEXT(NULL, roomcast_upgrade_response(NULL));
    CHECK(roomcast_upgrade_response(w->unwanted).len > 0);
}

NULLS(roomcast_upgrade_accept) {
    roomcast_accept accept = {0};
    IS(INVALID_ARGUMENT, roomcast_upgrade_accept(NULL, NULL));
    IS(INVALID_ARGUMENT, roomcast_upgrade_accept(w->upgrade, &accept));
    accept.struct_size = sizeof accept;
    IS(INVALID_ARGUMENT, roomcast_upgrade_accept(NULL, &accept));
    IS(NOT_UPGRADE, roomcast_upgrade_accept(w->unwanted, &accept));
    IS(NOT_UPGRADE, roomcast_upgrade_accept(w->unwanted, NULL));
    EACH(bad, bad_texts, roomcast_str) {
        accept.user = *bad;
        IS(INVALID_ARGUMENT, roomcast_upgrade_accept(w->upgrade, &accept));
    }
    EQ(101, roomcast_upgrade_status(w->upgrade));
}

NULLS(roomcast_upgrade_adopt) {
    int fd = ws_tcp(w->port);
    IS(INVALID_ARGUMENT, roomcast_upgrade_adopt(NULL, fd, B("")));
    IS(INVALID_ARGUMENT, roomcast_upgrade_adopt(w->upgrade, -1, B("")));
    IS(INVALID_ARGUMENT, roomcast_upgrade_adopt(w->upgrade, INT32_MAX, B("")));
    EACH(bad, bad_bytes, roomcast_bytes)
        IS(INVALID_ARGUMENT, roomcast_upgrade_adopt(w->upgrade, fd, *bad));
    IS(NOT_UPGRADE, roomcast_upgrade_adopt(w->unwanted, fd, B("")));
    CHECK(close(fd) == 0);
    EQ(101, roomcast_upgrade_status(w->upgrade));
}
