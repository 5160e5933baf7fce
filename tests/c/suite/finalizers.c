/* Finalizers of connections and predicates call every function of the header, then stop or free the
 * engine: on the engine's threads, and in its turn. */
#include "reentry.h"

/* A connection's data. */
struct last {
    roomcast_engine *engine;
    enum reentry_end end;
    bool turned, on_shard;
    int calls;
};

static void on_last(void *data) {
    struct last *last = data;
    struct reentry from = {last->engine, NULL, 1, last->on_shard, last->turned};
    EQ(1, COUNT_UP(last->calls));
    reentry_calls(&from);
    if (last->end >= REENTRY_STOP && last->on_shard) reentry_stop(&from);
    if (last->end >= REENTRY_FREE) roomcast_engine_free(last->engine);
}

static bool accept_with_data(struct host *host, const roomcast_engine *engine,
                             const roomcast_event *event) {
    if (event->kind != ROOMCAST_EVENT_CONNECTING) return false;
    const roomcast_str room = roomcast_str_of("r");
    roomcast_accept accept;
    memset(&accept, 0, sizeof accept);
    accept.struct_size = sizeof accept;
    accept.rooms = &room;
    accept.room_count = 1;
    accept.data = host->hook_data;
    accept.data_free = on_last;
    OK(roomcast_connection_accept(engine, event->connection, &accept));
    return true;
}

static bool never(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    (void)data, (void)labels, (void)bytes;
    return false;
}

/* The member has the filter last, and it goes with it. */
static bool accept_with_filter(struct host *host, const roomcast_engine *engine,
                               const roomcast_event *event) {
    if (event->kind != ROOMCAST_EVENT_CONNECTING) return false;
    const roomcast_str room = roomcast_str_of("r");
    roomcast_filter *filter = NULL;
    roomcast_accept accept;
    roomcast_join join;
    const roomcast_join *joins = &join;
    OK(roomcast_filter_new_native(S("last"), host->hook_data, never, on_last, &filter));
    memset(&join, 0, sizeof join);
    join.struct_size = sizeof join;
    join.filter = filter;
    memset(&accept, 0, sizeof accept);
    accept.struct_size = sizeof accept;
    accept.rooms = &room;
    accept.room_count = 1;
    accept.joins = &joins;
    OK(roomcast_connection_accept(engine, event->connection, &accept));
    roomcast_filter_free(filter);
    return true;
}

static void come_and_go(uint16_t port) {
    struct ws ws;
    ws_ask(&ws, ws_tcp(port), "/r", NULL);
    EQ(101, ws.status);
    ws_send_close(&ws, 1000, "");
    ws_expect_end(&ws);
    ws_free(&ws);
}

/* Without the end that frees: callbacks would come to `host` behind it. */
static void finalize_on_a_shard(bool (*hook)(struct host *, const roomcast_engine *,
                                             const roomcast_event *)) {
    for (int end = REENTRY_GO_ON; end <= REENTRY_STOP; end++) {
        struct host host = {0};
        struct last last = {0};
        host_prepare(&host);
        last.end = (enum reentry_end)end;
        last.on_shard = true;
        host.hook = hook;
        host.hook_data = &last;
        host_start(&host);
        last.engine = host.engine;
        come_and_go(host.port);
        UNTIL(LOAD(last.calls) == 1);
        host_free(&host);
        EQ(1, last.calls);
    }
}

static void *come_and_go_thread(void *port) {
    come_and_go(*(uint16_t *)port);
    return NULL;
}

static void finalize_in_a_turn(bool (*hook)(struct host *, const roomcast_engine *,
                                            const roomcast_event *)) {
    for (int end = REENTRY_GO_ON; end <= REENTRY_FREE; end++) {
        struct host host = {0};
        struct last last = {0};
        pthread_t peer;
        host_prepare(&host);
        OK(roomcast_config_set_shards(host.config, 0));
        OK(roomcast_config_set_own_threads(host.config, false));
        last.end = (enum reentry_end)end;
        last.on_shard = last.turned = true;
        host.hook = hook;
        host.hook_data = &last;
        host_start(&host);
        last.engine = host.engine;
        CHECK(pthread_create(&peer, NULL, come_and_go_thread, &host.port) == 0);
        roomcast_status status = ROOMCAST_STATUS_OK;
        while (LOAD(last.calls) == 0 && status == ROOMCAST_STATUS_OK)
            status = roomcast_engine_turn(host.engine, 10);
        EQ(1, last.calls);
        if (end == REENTRY_FREE) host.engine = NULL;
        while (host.engine && status == ROOMCAST_STATUS_OK && end != REENTRY_GO_ON)
            status = roomcast_engine_turn(host.engine, 10);
        host_free(&host);
        CHECK(pthread_join(peer, NULL) == 0);
    }
}

TEST(data_goes_on_a_shard_and_calls_everything, PLAIN, 60) {
    finalize_on_a_shard(accept_with_data);
}
TEST(data_goes_in_a_turn_and_calls_everything, PLAIN, 60) { finalize_in_a_turn(accept_with_data); }
TEST(a_filter_goes_on_a_shard_and_calls_everything, PLAIN, 60) {
    finalize_on_a_shard(accept_with_filter);
}
TEST(a_filter_goes_in_a_turn_and_calls_everything, PLAIN, 60) {
    finalize_in_a_turn(accept_with_filter);
}

/* ---- What checks tokens ---- */

struct check {
    struct host host;
    struct last last; /* of its data */
    bool stops;
    int asked;
};

/* Everybody is whom the token says, once all was called. */
static uint32_t verify(void *data, roomcast_str token, uint64_t now_s, roomcast_claims *claims) {
    struct check *check = data;
    (void)now_s;
    /* The call below that gives a new token comes here too, and so do those after it. */
    if (COUNT_UP(check->asked) == 1) {
        struct reentry from = {check->last.engine, NULL, 1, true, false};
        reentry_calls(&from);
        if (check->stops) reentry_stop(&from);
    }
    OK(roomcast_claims_set_user(claims, token));
    return ROOMCAST_STATUS_OK;
}

static void on_last_check(void *data) {
    struct check *check = data;
    on_last(&check->last);
}

static void verify_and_call(bool stops) {
    struct check check;
    struct ws ws;
    roomcast_auth *auth = NULL;
    memset(&check, 0, sizeof check);
    check.stops = stops;
    OK(roomcast_auth_new_native(&check, verify, on_last_check, &auth));
    host_prepare(&check.host);
    OK(roomcast_config_set_shards(check.host.config, 1));
    OK(roomcast_config_set_auth(check.host.config, auth));
    roomcast_auth_free(auth);
    host_start(&check.host);
    check.last.engine = check.host.engine;
    ws_ask(&ws, ws_tcp(check.host.port), "/?token=ada", NULL);
    CHECK(stops || ws.status == 101);
    ws_free(&ws);
    /* Another took its place, inside its own call. */
    UNTIL(LOAD(check.last.calls) == 1);
    CHECK(LOAD(check.asked) >= 1);
    host_free(&check.host);
    EQ(1, check.last.calls);
}

TEST(a_check_of_tokens_calls_everything_and_replaces_itself, PLAIN, 60) { verify_and_call(false); }
TEST(a_check_of_tokens_calls_everything_and_stops, PLAIN, 60) { verify_and_call(true); }
