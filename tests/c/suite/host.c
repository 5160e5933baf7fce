/* The recording host; see host.h. */
#include "host.h"

void text_copy(char *into, size_t size, roomcast_str text) {
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0) memcpy(into, text.data, len);
    into[len] = 0;
}

bool text_is(roomcast_str text, const char *wanted) {
    return text.data && text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

struct seen *seen_new(const roomcast_event *event, struct seen *into) {
    memset(into, 0, sizeof *into);
    into->kind = event->kind;
    into->message_kind = event->message_kind;
    into->connection = event->connection;
    into->data = event->connection_data;
    into->missed = event->missed;
    into->missed_first = event->missed_first;
    into->missed_last = event->missed_last;
    into->missed_replaced = event->missed_replaced;
    into->has_delivery = event->delivery != NULL;
    if (event->delivery) into->delivery = *event->delivery;
    into->reason = event->close_reason;
    into->code = event->close_code;
    into->high = event->high;
    into->has_user = event->user.data != NULL;
    into->has_text = event->text.data != NULL;
    text_copy(into->user, sizeof into->user, event->user);
    text_copy(into->text, sizeof into->text, event->text);
    text_copy(into->path, sizeof into->path, roomcast_request_path(event->request));
    into->message_len = event->message.len;
    into->message = malloc(event->message.len + 1);
    CHECK(into->message);
    if (event->message.len > 0) memcpy(into->message, event->message.data, event->message.len);
    into->message[event->message.len] = 0;
    return into;
}

roomcast_status host_accept(const roomcast_engine *engine, const roomcast_event *event) {
    roomcast_str path = roomcast_request_path(event->request), room;
    roomcast_accept accept = {0};
    room.data = path.data + 1;
    room.len = path.len - 1;
    accept.struct_size = sizeof accept;
    accept.user = roomcast_request_query_value(event->request, S("user"));
    accept.rooms = &room;
    accept.room_count = room.len > 0;
    return roomcast_connection_accept(engine, event->connection, &accept);
}

void host_on_event(void *user_data, const roomcast_engine *engine, const roomcast_event *event) {
    struct host *host = user_data;
    if (host->hook && host->hook(host, engine, event)) return;
    struct seen seen;
    seen_new(event, &seen);
    pthread_mutex_lock(&host->lock);
    if (host->count == host->place) {
        host->place = host->place * 2 + 64;
        host->seen = realloc(host->seen, host->place * sizeof *host->seen);
        CHECK(host->seen);
    }
    host->seen[host->count++] = seen;
    pthread_mutex_unlock(&host->lock);
    if (event->kind == ROOMCAST_EVENT_CONNECTING && !host->hook) OK(host_accept(engine, event));
}

roomcast_config *host_config(void) {
    roomcast_config *config = NULL;
    OK(roomcast_config_new(ROOMCAST_VERSION, &config));
    OK(roomcast_config_add_listener(config, S("127.0.0.1:0")));
    OK(roomcast_config_set_shards(config, 2));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_STOP_SPREAD_MS, 1));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_CLOSE_TIMEOUT_MS, 200));
    return config;
}

roomcast_engine *engine_of(const roomcast_config *config) {
    roomcast_engine *engine = NULL;
    char why[256] = "";
    roomcast_status status = roomcast_engine_new(config, &engine, why, sizeof why);
    if (status != ROOMCAST_STATUS_OK)
        suite_fail(__FILE__, __LINE__, "engine_new gives %d: %s", status, why);
    return engine;
}

uint16_t port_of(const roomcast_engine *engine) {
    uint16_t port = 0;
    OK(roomcast_engine_address(engine, 0, NULL, &port));
    CHECK(port != 0);
    return port;
}

void host_prepare(struct host *host) {
    memset(host, 0, sizeof *host);
    pthread_mutex_init(&host->lock, NULL);
    host->config = host_config();
    OK(roomcast_config_set_callback(host->config, host, host_on_event, NULL));
}

void host_prepare_slow(struct host *host) {
    host_prepare(host);
    OK(roomcast_config_set_limit(host->config, ROOMCAST_LIMIT_PUBLICATION_BYTES_MAX, 65536));
    OK(roomcast_config_set_limit(host->config, ROOMCAST_LIMIT_TAPE_BYTES_MAX, 262144));
    OK(roomcast_config_set_limit(host->config, ROOMCAST_LIMIT_ROOM_AHEAD_BYTES_MAX, 131072));
}

void host_start(struct host *host) {
    host->engine = engine_of(host->config);
    host->port = port_of(host->engine);
    roomcast_config_free(host->config);
    host->config = NULL;
}

void host_open(struct host *host) {
    host_prepare(host);
    host_start(host);
}

void host_free(struct host *host) {
    roomcast_engine_free(host->engine);
    for (size_t i = 0; i < host->count; i++) free(host->seen[i].message);
    free(host->seen);
    pthread_mutex_destroy(&host->lock);
    memset(host, 0, sizeof *host);
}

roomcast_snapshot host_figures(const struct host *host) {
    roomcast_snapshot figures = {0};
    figures.struct_size = sizeof figures;
    OK(roomcast_engine_snapshot(host->engine, &figures));
    return figures;
}

roomcast_filter *filter_of(const char *text) {
    roomcast_filter *filter = NULL;
    char why[128] = "";
    roomcast_status status = roomcast_filter_new(S(text), &filter, why, sizeof why);
    if (status != ROOMCAST_STATUS_OK) suite_fail(__FILE__, __LINE__, "%s: %s", text, why);
    return filter;
}

roomcast_join join_of(const roomcast_filter *filter) {
    roomcast_join join = {0};
    join.struct_size = sizeof join;
    join.filter = filter;
    return join;
}

static bool find(struct host *host, uint32_t kind, uint64_t connection, size_t *nth,
                 struct seen *found) {
    bool is_there = false;
    pthread_mutex_lock(&host->lock);
    for (size_t i = 0; i < host->count && !is_there; i++) {
        const struct seen *seen = &host->seen[i];
        if (seen->kind != kind || (connection && seen->connection != connection)) continue;
        if ((*nth)-- > 0) continue;
        *found = *seen;
        is_there = true;
    }
    pthread_mutex_unlock(&host->lock);
    return is_there;
}

size_t host_count(struct host *host, uint32_t kind, uint64_t connection) {
    size_t nth = SIZE_MAX;
    struct seen seen;
    CHECK(!find(host, kind, connection, &nth, &seen));
    return SIZE_MAX - nth;
}

struct seen host_wait(struct host *host, uint32_t kind, uint64_t connection, size_t nth) {
    struct seen seen;
    size_t left = nth;
    static const char *const kinds[] = {"none", "connecting", "opened", "message", "closed",
                                        "backpressure", "lagged", "delivered", "expiring",
                                        "permission"};
    suite_at(__FILE__, __LINE__, kinds[kind < LENGTH(kinds) ? kind : 0]);
    while (!find(host, kind, connection, &left, &seen)) {
        left = nth;
        suite_nap();
    }
    return seen;
}

uint64_t host_join(struct host *host, struct ws *ws, const char *target) {
    size_t before = host_count(host, ROOMCAST_EVENT_OPENED, 0);
    ws_open(ws, host->port, target);
    return host_wait(host, ROOMCAST_EVENT_OPENED, 0, before).connection;
}
