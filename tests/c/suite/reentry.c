/* Every callback calls every function of the header from inside: each kind of event, a page, a
 * line of the log, corked work; then also stop, and free. A deadlock is a deadline. */
#include "reentry.h"

/* Where the calls are made from. */
struct inside {
    roomcast_engine *engine; /* set once roomcast_engine_new has returned */
    uint32_t kind;           /* the kind of event that calls; 0 for none */
    enum reentry_end end;
    int calls, returned, freed;
    bool turned;
    uint64_t connection;
    bool in_log;
};

static void act(struct inside *inside, const roomcast_engine *engine,
                const roomcast_request *request, uint64_t connection) {
    struct reentry from = {engine, request, connection, true, inside->turned};
    if (COUNT_UP(inside->calls) > 1) return;
    reentry_calls(&from);
    if (inside->end >= REENTRY_STOP) reentry_stop(&from);
    if (inside->end >= REENTRY_FREE) roomcast_engine_free(LOAD(inside->engine));
    COUNT_UP(inside->returned);
}

static void on_event(void *data, const roomcast_engine *engine, const roomcast_event *event) {
    struct inside *inside = data;
    if (event->kind == ROOMCAST_EVENT_CONNECTING) {
        UNTIL(LOAD(inside->engine));
        if (inside->kind == event->kind) act(inside, engine, event->request, event->connection);
        roomcast_status status = host_accept(engine, event);
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_ANSWERED);
        return;
    }
    if (event->kind == ROOMCAST_EVENT_OPENED) STORE(inside->connection, event->connection);
    if (inside->kind == event->kind) act(inside, engine, NULL, event->connection);
}

static void on_freed(void *data) {
    struct inside *inside = data;
    EQ(1, COUNT_UP(inside->freed));
}

static void begin(struct inside *inside, roomcast_config *config, bool turned) {
    inside->turned = turned;
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_PUBLICATION_BYTES_MAX, 65536));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_TAPE_BYTES_MAX, 262144));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_ROOM_AHEAD_BYTES_MAX, 131072));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_OUTBOX_BYTES_MAX, 8 << 20));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_OUTBOX_HIGH_BYTES, 100000));
    OK(roomcast_config_set_slow_policy(config, ROOMCAST_SLOW_POLICY_SKIP));
    if (turned) {
        OK(roomcast_config_set_shards(config, 0));
        OK(roomcast_config_set_own_threads(config, false));
    }
    OK(roomcast_config_set_callback(config, inside, on_event, on_freed));
    STORE(inside->engine, engine_of(config));
    roomcast_config_free(config);
}

struct peer {
    struct inside *inside;
    uint16_t port;
    int over;
};

/* Whatever the host does meanwhile, this goes through; in the end the peer is a slow one. */
static void *provoke(void *argument) {
    struct peer *peer = argument;
    struct ws ws;
    int fd = ws_tcp(peer->port);
    ws_ask(&ws, fd, "/r?user=u", NULL);
    if (ws.status == 101) {
        ws_say(&ws, "hello");
        bool slow = peer->inside->kind == ROOMCAST_EVENT_BACKPRESSURE ||
                    peer->inside->kind == ROOMCAST_EVENT_LAGGED;
        if (slow) UNTIL(LOAD(peer->inside->calls) > 0);
        ws_send_close(&ws, 1000, "");
        ws_expect_end(&ws);
    }
    ws_free(&ws);
    STORE(peer->over, 1);
    return NULL;
}

/* Makes backpressure and lag, until the callback was called. */
static void press(struct inside *inside) {
    static char part[60000];
    roomcast_bytes bytes = roomcast_bytes_of(part, sizeof part);
    uint64_t id = LOAD(inside->connection);
    if (!id || LOAD(inside->calls) > 0) return;
    if (inside->kind == ROOMCAST_EVENT_BACKPRESSURE)
        roomcast_connection_send(inside->engine, id, BINARY_KIND, bytes);
    if (inside->kind == ROOMCAST_EVENT_LAGGED)
        roomcast_engine_publish(inside->engine, S("r"), BINARY_KIND, bytes, NULL);
    if (inside->kind == ROOMCAST_EVENT_DELIVERED) {
        const roomcast_str room = S("r");
        roomcast_publication p = {0};
        uint64_t token;
        p.struct_size = sizeof p;
        p.kind = TEXT_KIND;
        p.rooms = &room;
        p.room_count = 1;
        roomcast_engine_publish_tracked(inside->engine, &p, &token, NULL);
    }
}

static void run(uint32_t kind, enum reentry_end end, bool turned) {
    struct inside inside = {0};
    struct peer peer = {&inside, 0, 0};
    pthread_t thread;
    char what[64];
    static char kept[64];
    snprintf(what, sizeof what, "event %u, end %d, turned %d", kind, end, turned);
    memcpy(kept, what, sizeof kept);
    suite_at(kept, 0, "began");
    inside.kind = kind;
    inside.end = end;
    begin(&inside, host_config(), turned);
    peer.port = port_of(inside.engine);
    CHECK(pthread_create(&thread, NULL, provoke, &peer) == 0);
    while ((!LOAD(peer.over) || LOAD(inside.returned) == 0) && !LOAD(inside.freed)) {
        if (end != REENTRY_FREE || LOAD(inside.calls) == 0) press(&inside);
        if (!turned) suite_nap();
        else if (!LOAD(inside.freed) && (end != REENTRY_FREE || LOAD(inside.calls) == 0))
            roomcast_engine_turn(inside.engine, 1);
        else if (end == REENTRY_FREE) break;
    }
    if (end != REENTRY_FREE) {
        if (end == REENTRY_STOP) CHECK(roomcast_engine_is_stopping(inside.engine));
        CHECK(!roomcast_engine_is_broken(inside.engine));
        roomcast_engine_free(inside.engine);
        EQ(1, inside.freed);
    }
    UNTIL(LOAD(inside.freed) == 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(inside.calls >= 1);
}

static void run_all(enum reentry_end end, bool turned) {
    for (uint32_t kind = ROOMCAST_EVENT_CONNECTING; kind <= ROOMCAST_EVENT_DELIVERED; kind++)
        run(kind, end, turned);
}

TEST(events_call_everything, PLAIN, 60) { run_all(REENTRY_GO_ON, false); }
TEST(events_call_everything_and_stop, PLAIN, 60) { run_all(REENTRY_STOP, false); }
TEST(events_call_everything_and_free, PLAIN, 60) { run_all(REENTRY_FREE, false); }
TEST(turned_events_call_everything, PLAIN, 60) { run_all(REENTRY_GO_ON, true); }
TEST(turned_events_call_everything_and_stop, PLAIN, 60) { run_all(REENTRY_STOP, true); }
TEST(turned_events_call_everything_and_free, PLAIN, 60) { run_all(REENTRY_FREE, true); }

static void on_page(void *data, const roomcast_request *request, roomcast_page *page) {
    struct inside *inside = data;
    UNTIL(LOAD(inside->engine));
    OK(roomcast_page_set(page, 200, S("text/plain"), B("page")));
    act(inside, inside->engine, request, 1);
}

TEST(a_page_calls_everything, PLAIN, 60) {
    for (int end = REENTRY_GO_ON; end <= REENTRY_FREE; end++) {
        struct inside inside = {0};
        char body[64] = "";
        inside.end = (enum reentry_end)end;
        roomcast_config *config = host_config();
        OK(roomcast_config_set_pages(config, &inside, on_page, NULL));
        begin(&inside, config, false);
        EQ(200, ws_get(port_of(inside.engine), "GET", "/p", body, sizeof body));
        TEXT("page", S(body));
        if (end != REENTRY_FREE) roomcast_engine_free(inside.engine);
        UNTIL(LOAD(inside.freed) == 1);
        EQ(1, inside.calls);
    }
}

static bool on_predicate(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    struct inside *inside = data;
    CHECK(labels && bytes.len == 1);
    act(inside, inside->engine, NULL, LOAD(inside->connection));
    return true;
}

/* A filter's function, and when it goes its finalizer, on the thread of its member's shard. */
TEST(a_predicate_calls_everything, PLAIN, 60) {
    for (int end = REENTRY_GO_ON; end <= REENTRY_FREE; end++) {
        struct inside inside = {0};
        struct ws ws;
        roomcast_filter *filter = NULL;
        roomcast_join join = {0};
        inside.end = (enum reentry_end)end;
        begin(&inside, host_config(), false);
        OK(roomcast_filter_new_native(S("calls"), &inside, on_predicate, NULL, &filter));
        join.struct_size = sizeof join;
        join.filter = filter;
        ws_ask(&ws, ws_tcp(port_of(inside.engine)), "/", NULL);
        UNTIL(LOAD(inside.connection));
        OK(roomcast_connection_join_with(inside.engine, inside.connection, S("asked"), &join,
                                         NULL));
        roomcast_filter_free(filter);
        OK(roomcast_engine_publish(inside.engine, S("asked"), TEXT_KIND, B("x"), NULL));
        UNTIL(LOAD(inside.returned) == 1);
        ws_send_close(&ws, 1000, "");
        ws_expect_end(&ws);
        ws_free(&ws);
        if (end != REENTRY_FREE) roomcast_engine_free(inside.engine);
        UNTIL(LOAD(inside.freed) == 1);
    }
}

static __thread bool is_in_log;

static void on_log(void *data, uint32_t level, roomcast_str line) {
    struct inside *inside = data;
    CHECK(level <= ROOMCAST_LOG_LEVEL_ERROR && line.len > 0);
    if (is_in_log || !LOAD(inside->engine)) return;
    is_in_log = true;
    struct reentry from = {inside->engine, NULL, 1, false, false};
    COUNT_UP(inside->calls);
    reentry_calls(&from);
    if (inside->end >= REENTRY_STOP) IS(ON_SHARD, roomcast_engine_stop(inside->engine, NULL));
    if (inside->end >= REENTRY_FREE) roomcast_engine_free(inside->engine);
    is_in_log = false;
}

TEST(the_log_calls_everything, PLAIN, 60) {
    for (int end = REENTRY_GO_ON; end <= REENTRY_FREE; end++) {
        struct inside inside = {0};
        struct ws ws;
        char target[400] = "/";
        /* A room whose name is too long is left out and logged. */
        memset(target + 1, 'r', 300);
        roomcast_config *config = host_config();
        inside.end = (enum reentry_end)end;
        OK(roomcast_config_set_log(config, &inside, on_log, NULL));
        begin(&inside, config, false);
        ws_ask(&ws, ws_tcp(port_of(inside.engine)), target, NULL);
        ws_send_close(&ws, 1000, "");
        ws_expect_end(&ws);
        ws_free(&ws);
        if (end != REENTRY_FREE) roomcast_engine_free(inside.engine);
        UNTIL(LOAD(inside.freed) == 1);
        CHECK(inside.calls >= 1);
    }
}

static void *work_data;

static void work(void *data) {
    struct inside *inside = data;
    CHECK(data == work_data);
    COUNT_UP(inside->calls);
    struct reentry from = {inside->engine, NULL, 1, false, false};
    reentry_calls(&from);
    if (inside->end >= REENTRY_STOP) OK(roomcast_engine_stop(inside->engine, NULL));
}

TEST(corked_work_calls_everything, PLAIN, 60) {
    for (int end = REENTRY_GO_ON; end <= REENTRY_STOP; end++) {
        struct inside inside = {0};
        inside.end = (enum reentry_end)end;
        begin(&inside, host_config(), false);
        work_data = &inside;
        OK(roomcast_engine_corked(inside.engine, &inside, work));
        EQ(1, inside.calls);
        roomcast_engine_free(inside.engine);
        EQ(1, inside.freed);
    }
}
