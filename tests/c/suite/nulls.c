/* The world of NULLS, and the functions that need little of it; see nulls.h. */
#include "nulls.h"

const roomcast_str bad_texts[6] = {
    {NULL, 5},      {NULL, SIZE_MAX},   {"x", SIZE_MAX},
    {"\xff\xfe", 2}, {"\xed\xa0\x80", 3}, {"\xc3", 1},
};
const roomcast_bytes bad_bytes[3] = {{NULL, 5}, {"x", SIZE_MAX}, {"x", SIZE_MAX / 2 + 1}};
uint64_t stale_ids[6] = {0, UINT64_MAX, 1ull << 32 | 4000, 77, 0, 0};
const uint32_t bad_enums[4] = {77, 255, 0x80000000u, UINT32_MAX};

static struct {
    const char *name;
    void (*run)(struct world *world);
} all[200];
static size_t all_count;

void nulls_add(const char *name, void (*run)(struct world *world)) {
    if (all_count == LENGTH(all)) abort();
    all[all_count].name = name;
    all[all_count++].run = run;
}

static roomcast_event wait_one(roomcast_engine *engine, uint32_t kind) {
    roomcast_event event;
    size_t count = 0;
    OK(roomcast_engine_wait(engine, -1, sizeof event, 1, &event, &count));
    EQ(1, count);
    EQ(kind, event.kind);
    return event;
}

static void ignore(void *user_data, const roomcast_engine *engine, const roomcast_event *event) {
    (void)user_data, (void)engine, (void)event;
}

/* `engine`, with a peer in it, a held room and one that was released. */
static void open_engine(struct world *w) {
    roomcast_config *config = host_config();
    struct ws gone;
    char request[1024];
    size_t len = ws_request(request, sizeof request, "/lobby?a=b", NULL);
    w->engine = engine_of(config);
    w->port = port_of(w->engine);
    int fd = ws_tcp(w->port);
    CHECK(write(fd, request, len) == (ssize_t)len);
    w->asked = wait_one(w->engine, ROOMCAST_EVENT_CONNECTING);
    w->request = w->asked.request;
    OK(host_accept(w->engine, &w->asked));
    ws_answer(&w->peer, fd);
    roomcast_event opened = wait_one(w->engine, ROOMCAST_EVENT_OPENED);
    w->connection = opened.connection;
    roomcast_events_free(sizeof opened, 1, &opened);
    OK(roomcast_room_hold(w->engine, S("lobby"), &w->room));
    OK(roomcast_room_hold(w->engine, S("left"), &stale_ids[2]));
    OK(roomcast_room_release(w->engine, stale_ids[2]));
    fd = ws_tcp(w->port);
    CHECK(write(fd, request, len) == (ssize_t)len);
    roomcast_event asked = wait_one(w->engine, ROOMCAST_EVENT_CONNECTING);
    stale_ids[3] = asked.connection;
    OK(roomcast_connection_accept(w->engine, asked.connection, NULL));
    ws_answer(&gone, fd);
    ws_reset(&gone);
    roomcast_events_free(sizeof asked, 1, &asked);
    UNTIL(!roomcast_connection_is_open(w->engine, stale_ids[3]));
    roomcast_config_free(config);
}

static roomcast_upgrade *upgrade_of(roomcast_engine *engine, const char *key) {
    roomcast_upgrade *upgrade = NULL;
    const roomcast_header headers[] = {
        {S("Host"), B("x")},       {S("Connection"), B("upgrade")},
        {S("Upgrade"), B("websocket")}, {S("Sec-WebSocket-Version"), B("13")},
        {S("Sec-WebSocket-Key"), B(key)},
    };
    OK(roomcast_upgrade_new(engine, S("GET"), S("/ws"), headers, LENGTH(headers), &upgrade));
    return upgrade;
}

/* Another engine's numbers must find nothing in `engine`, so it gets more of them. */
static void make_foreign_ids(struct world *w) {
    uint64_t room = 0;
    for (int i = 0; i < 70; i++) OK(roomcast_room_hold(w->called, S("other"), &room));
    stale_ids[4] = room;
    stale_ids[5] = w->connection ^ 1ull << 63;
}

static void world_open(struct world *w) {
    memset(w, 0, sizeof *w);
    w->config = host_config();
    OK(roomcast_config_set_callback(w->config, NULL, ignore, NULL));
    w->called = engine_of(w->config);
    OK(roomcast_config_set_callback(w->config, NULL, NULL, NULL));
    OK(roomcast_config_set_shards(w->config, 0));
    OK(roomcast_config_set_own_threads(w->config, false));
    w->turned = engine_of(w->config);
    open_engine(w);
    make_foreign_ids(w);
    w->upgrade = upgrade_of(w->engine, "dGhlIHNhbXBsZSBub25jZQ==");
    w->unwanted = upgrade_of(w->engine, "short");
    EQ(101, roomcast_upgrade_status(w->upgrade));
    EQ(400, roomcast_upgrade_status(w->unwanted));
}

static void world_free(struct world *w) {
    roomcast_upgrade_free(w->upgrade);
    roomcast_upgrade_free(w->unwanted);
    ws_free(&w->peer);
    roomcast_events_free(sizeof w->asked, 1, &w->asked);
    roomcast_config_free(w->config);
    roomcast_engine_free(w->turned);
    roomcast_engine_free(w->called);
    roomcast_engine_free(w->engine);
}

TEST(every_function_takes_nonsense, PLAIN, 60) {
    struct world w;
    world_open(&w);
    for (size_t i = 0; i < all_count; i++) {
        if (getenv("SUITE_NULLS")) printf("nulls %s\n", all[i].name);
        suite_at(all[i].name, 0, "began");
        all[i].run(&w);
        CHECK(!roomcast_engine_is_broken(w.engine));
        CHECK(!roomcast_engine_is_stopping(w.engine));
        CHECK(roomcast_connection_is_open(w.engine, w.connection));
    }
    UNTIL(roomcast_engine_publish(w.engine, S("lobby"), TEXT_KIND, B("alive"), NULL) ==
          ROOMCAST_STATUS_OK);
    while (ws_hear(&w.peer) && strcmp(w.peer.data, "alive") != 0) continue;
    TEXT("alive", S(w.peer.data));
    world_free(&w);
}

NULLS(roomcast_version) {
    (void)w;
    EQ(ROOMCAST_VERSION, roomcast_version());
}

NULLS(roomcast_version_text) {
    char text[32];
    (void)w;
    snprintf(text, sizeof text, "%d.%d.%d", ROOMCAST_VERSION_MAJOR, ROOMCAST_VERSION_MINOR,
             ROOMCAST_VERSION_PATCH);
    TEXT(text, S(roomcast_version_text()));
}

NULLS(roomcast_status_text) {
    static const uint32_t known[] = {0,  1,  2,  3,  4,  10, 11, 12, 13, 14, 15, 20, 21,
                                     30, 31, 40, 41, 42, 43, 44, 45, 50, 51, 52, 53, 54};
    size_t next = 0;
    (void)w;
    for (uint32_t status = 0; status < 1000; status++) {
        const char *text = roomcast_status_text(status);
        bool is_known = next < LENGTH(known) && known[next] == status;
        next += is_known;
        EQ(is_known, strcmp(text, "unknown status") != 0);
        CHECK(strlen(text) > 1);
    }
    TEXT("unknown status", S(roomcast_status_text(UINT32_MAX)));
}

NULLS(roomcast_limit_name) {
    (void)w;
    TEXT("connections_max", S(roomcast_limit_name(ROOMCAST_LIMIT_CONNECTIONS_MAX)));
    TEXT("listen_backlog", S(roomcast_limit_name(ROOMCAST_LIMIT_LISTEN_BACKLOG)));
    CHECK(!roomcast_limit_name(0) && !roomcast_limit_name(1000));
    EACH(bad, bad_enums, uint32_t) CHECK(!roomcast_limit_name(*bad));
}

/* The texts of a request: none for NULL. */
#define REQUEST_TEXT(what)                                                                       \
    NULLS(roomcast_request_##what) {                                                             \
        (void)w;                                                                                 \
        TEXT(NULL, roomcast_request_##what(NULL));                                               \
        EQ(0, roomcast_request_##what(NULL).len);                                                \
        CHECK(roomcast_request_##what(w->request).data || strcmp(#what, "origin") == 0);         \
    }
REQUEST_TEXT(method)
REQUEST_TEXT(path)
REQUEST_TEXT(query)
REQUEST_TEXT(origin)
REQUEST_TEXT(host)
REQUEST_TEXT(peer)
REQUEST_TEXT(peer_ip)

/* By name: none for NULL and for a name that is no text. */
#define REQUEST_NAMED(what, wanted, name)                                                        \
    NULLS(roomcast_request_##what) {                                                             \
        TEXT(NULL, roomcast_request_##what(NULL, S(name)));                                      \
        EACH(bad, bad_texts, roomcast_str) {                                                     \
            TEXT(NULL, roomcast_request_##what(w->request, *bad));                               \
            TEXT(NULL, roomcast_request_##what(NULL, *bad));                                     \
        }                                                                                        \
        TEXT(NULL, roomcast_request_##what(w->request, S(NULL)));                                \
        TEXT(NULL, roomcast_request_##what(w->request, S("no such")));                           \
        TEXT(wanted, roomcast_request_##what(w->request, S(name)));                              \
    }
REQUEST_NAMED(query_value, "b", "a")
REQUEST_NAMED(header, "localhost", "HoSt")
REQUEST_NAMED(cookie, NULL, "a")

NULLS(roomcast_request_subprotocol) {
    TEXT(NULL, roomcast_request_subprotocol(NULL, 0));
    TEXT(NULL, roomcast_request_subprotocol(w->request, 0));
    TEXT(NULL, roomcast_request_subprotocol(w->request, SIZE_MAX));
}

NULLS(roomcast_request_header_at) {
    PLACE(roomcast_str, name);
    PLACE(roomcast_bytes, value);
    CHECK(!roomcast_request_header_at(NULL, 0, &name, &value));
    CHECK(!roomcast_request_header_at(w->request, SIZE_MAX, &name, &value));
    UNTOUCHED(name);
    UNTOUCHED(value);
    CHECK(roomcast_request_header_at(w->request, 0, NULL, NULL));
    CHECK(roomcast_request_header_at(w->request, 0, &name, NULL));
    UNTOUCHED(value);
    CHECK(roomcast_request_header_at(w->request, 0, NULL, &value));
}

static void check_page(void *user_data, const roomcast_request *request, roomcast_page *page) {
    roomcast_str type = S("text/plain");
    (void)request;
    IS(INVALID_ARGUMENT, roomcast_page_set(NULL, 200, type, B("x")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_page_set(page, 200, *bad, B("x")));
    EACH(bad, bad_bytes, roomcast_bytes)
        IS(INVALID_ARGUMENT, roomcast_page_set(page, 200, type, *bad));
    static const uint32_t statuses[] = {0, 100, 199, 600, 65736, UINT32_MAX};
    EACH(bad, statuses, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_page_set(page, *bad, type, B("x")));
    IS(INVALID_ARGUMENT, roomcast_page_set(page, 200, S("a\r\nb: c"), B("x")));
    STORE(*(bool *)user_data, true);
}

NULLS(roomcast_page_set) {
    roomcast_config *config = host_config();
    bool called = false;
    (void)w;
    OK(roomcast_config_set_pages(config, &called, check_page, NULL));
    roomcast_engine *engine = engine_of(config);
    EQ(404, ws_get(port_of(engine), "GET", "/page", NULL, 0));
    CHECK(LOAD(called));
    roomcast_engine_free(engine);
    roomcast_config_free(config);
}

NULLS(roomcast_ids_count) {
    (void)w;
    EQ(0, roomcast_ids_count(NULL));
}

NULLS(roomcast_ids_data) {
    (void)w;
    CHECK(!roomcast_ids_data(NULL));
}

NULLS(roomcast_names_count) {
    (void)w;
    EQ(0, roomcast_names_count(NULL));
}

NULLS(roomcast_names_at) {
    roomcast_names *names = NULL;
    PLACE(roomcast_str, name);
    PLACE(size_t, members);
    IS(INVALID_ARGUMENT, roomcast_names_at(NULL, 0, &name, &members));
    OK(roomcast_engine_rooms(w->engine, &names));
    IS(INVALID_ARGUMENT, roomcast_names_at(names, roomcast_names_count(names), &name, &members));
    IS(INVALID_ARGUMENT, roomcast_names_at(names, SIZE_MAX, &name, &members));
    UNTOUCHED(name);
    UNTOUCHED(members);
    OK(roomcast_names_at(names, 0, NULL, NULL));
    OK(roomcast_names_at(names, 0, &name, NULL));
    UNTOUCHED(members);
    TEXT("lobby", name);
    roomcast_names_free(names);
}

NULLS(roomcast_text_str) {
    (void)w;
    TEXT(NULL, roomcast_text_str(NULL));
}

#define FREE_OF_NULL(what)                                                                       \
    NULLS(roomcast_##what##_free) {                                                              \
        (void)w;                                                                                 \
        roomcast_##what##_free(NULL);                                                            \
    }
FREE_OF_NULL(auth)
FREE_OF_NULL(claims)
FREE_OF_NULL(config)
FREE_OF_NULL(engine)
FREE_OF_NULL(filter)
FREE_OF_NULL(ids)
FREE_OF_NULL(keys)
FREE_OF_NULL(names)
FREE_OF_NULL(present)
FREE_OF_NULL(text)
FREE_OF_NULL(tls)
FREE_OF_NULL(upgrade)
FREE_OF_NULL(wish)
