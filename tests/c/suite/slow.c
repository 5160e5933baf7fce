/* Members that do not read, under each policy: what they are sent in the end, and what is told. */
#include "host.h"

/* Publishes to a member that does not read, with keys in turn, until `is_enough` says so; gives how
 * many were taken. */
static uint64_t flood(struct host *host, bool (*is_enough)(struct host *)) {
    static char part[60000];
    static const char *const keys[] = {"a", "b", "c"};
    const roomcast_str room = S("slow");
    uint64_t taken = 0;
    while (!is_enough(host)) {
        roomcast_publication p = {0};
        p.struct_size = sizeof p;
        p.rooms = &room;
        p.room_count = 1;
        p.kind = BINARY_KIND;
        p.data = roomcast_bytes_of(part, sizeof part);
        p.key = S(keys[taken % LENGTH(keys)]);
        roomcast_status status = roomcast_engine_publish_with(host->engine, &p, NULL);
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_BEHIND);
        taken += status == ROOMCAST_STATUS_OK;
        if (status == ROOMCAST_STATUS_BEHIND) suite_nap();
    }
    return taken;
}

static size_t left;

static bool is_over(struct host *host) {
    (void)host;
    return left-- == 0;
}

/* The same for so many attempts. */
static uint64_t flood_some(struct host *host, size_t attempts) {
    left = attempts;
    return flood(host, is_over);
}

static uint64_t join_slow(struct host *host, struct ws *ws, uint32_t policy) {
    roomcast_join join = join_of(NULL);
    uint64_t id = host_join(host, ws, "/");
    join.slow_policy = policy;
    OK(roomcast_connection_join_with(host->engine, id, S("slow"), &join, NULL));
    return id;
}

static bool has_lagged(struct host *host) {
    return host_count(host, ROOMCAST_EVENT_LAGGED, 0) > 0;
}

/* Reads all that comes before "end", and adds what was missed to what was heard. */
static uint64_t accounted(struct host *host, struct ws *ws) {
    uint64_t heard = 0;
    UNTIL(roomcast_engine_publish(host->engine, S("slow"), TEXT_KIND, B("end"), NULL) ==
          ROOMCAST_STATUS_OK);
    while (ws_hear(ws) && ws->opcode != WS_TEXT) heard++;
    EQ(WS_TEXT, ws->opcode);
    size_t lags = host_count(host, ROOMCAST_EVENT_LAGGED, 0);
    for (size_t i = 0; i < lags; i++) {
        struct seen seen = host_wait(host, ROOMCAST_EVENT_LAGGED, 0, i);
        TEXT("slow", S(seen.text));
        CHECK(seen.missed > 0 && seen.missed_first > 0 && seen.missed_first <= seen.missed_last);
        CHECK(seen.missed <= seen.missed_last - seen.missed_first + 1);
        heard += seen.missed;
    }
    return heard;
}

/* The engine's own policy would close it. */
TEST(a_members_policy_goes_before_the_engines, PLAIN, 60) {
    struct host host;
    struct ws ws;
    host_prepare_slow(&host);
    host_start(&host);
    join_slow(&host, &ws, ROOMCAST_SLOW_POLICY_SKIP);
    uint64_t taken = flood(&host, has_lagged);
    EQ(taken, accounted(&host, &ws));
    ws_free(&ws);
    host_free(&host);
}

TEST(the_latest_of_each_key_is_kept, PLAIN, 60) {
    struct host host;
    struct ws ws;
    host_prepare_slow(&host);
    host_start(&host);
    uint64_t id = join_slow(&host, &ws, ROOMCAST_SLOW_POLICY_LATEST);
    uint64_t taken = flood(&host, has_lagged);
    EQ(taken, accounted(&host, &ws));
    CHECK(host_wait(&host, ROOMCAST_EVENT_LAGGED, id, 0).missed_replaced);
    CHECK(host_figures(&host).replaced > 0);
    ws_free(&ws);
    host_free(&host);
}

static bool has_replayed(struct host *host) {
    return host_figures(host).replayed > 0;
}

static void *read_to_the_end(void *argument) {
    struct ws *ws = argument;
    uintptr_t heard = 0;
    while (ws_hear(ws) && ws->opcode != WS_TEXT) heard++;
    return (void *)heard;
}

TEST(a_history_is_caught_up_with, PLAIN, 60) {
    struct host host;
    struct ws ws;
    pthread_t reader;
    roomcast_room_options options = {0};
    void *heard = NULL;
    options.struct_size = sizeof options;
    options.slow_policy = ROOMCAST_SLOW_POLICY_REPLAY;
    options.history = 10000;
    host_prepare_slow(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_HISTORY_BYTES_MAX, 64 << 20));
    OK(roomcast_config_set_room_options(host.config, S("slow"), &options));
    host_start(&host);
    host_join(&host, &ws, "/slow");
    /* More than socket and tape take; then it reads, and is sent the rest. */
    uint64_t taken = 0;
    for (int i = 0; i < 10; i++) taken += flood_some(&host, 20);
    CHECK(pthread_create(&reader, NULL, read_to_the_end, &ws) == 0);
    UNTIL(has_replayed(&host));
    UNTIL(roomcast_engine_publish(host.engine, S("slow"), TEXT_KIND, B("end"), NULL) ==
          ROOMCAST_STATUS_OK);
    CHECK(pthread_join(reader, &heard) == 0);
    EQ(taken, (uintptr_t)heard);
    EQ(0, host_count(&host, ROOMCAST_EVENT_LAGGED, 0));
    ws_free(&ws);
    host_free(&host);
}

/* What is sent of watched keys waits for the member alone, and meets its policy there. */
TEST(a_watch_list_lags_by_its_policy, PLAIN, 60) {
    struct host host;
    struct ws ws;
    const roomcast_str key = S("a");
    roomcast_join join = join_of(NULL);
    host_prepare_slow(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_OUTBOX_BYTES_MAX, 300000));
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/");
    join.keys = &key;
    join.key_count = 1;
    join.slow_policy = ROOMCAST_SLOW_POLICY_SKIP;
    OK(roomcast_connection_join_with(host.engine, id, S("slow"), &join, NULL));
    uint64_t taken = flood(&host, has_lagged);
    OK(roomcast_connection_send(host.engine, id, TEXT_KIND, B("end")));
    uint64_t heard = 0;
    while (ws_hear(&ws) && ws.opcode != WS_TEXT) heard++;
    EQ(WS_TEXT, ws.opcode);
    size_t lags = host_count(&host, ROOMCAST_EVENT_LAGGED, id);
    for (size_t i = 0; i < lags; i++)
        heard += host_wait(&host, ROOMCAST_EVENT_LAGGED, id, i).missed;
    EQ((taken + 2) / 3, heard);
    ws_free(&ws);
    host_free(&host);
}

static bool has_dropped(struct host *host) {
    return host_figures(host).volatile_dropped > 0;
}

TEST(what_is_volatile_is_dropped_without_a_word, PLAIN, 60) {
    struct host host;
    struct ws ws;
    roomcast_room_options options = {0};
    options.struct_size = sizeof options;
    options.slow_policy = ROOMCAST_SLOW_POLICY_VOLATILE;
    host_prepare_slow(&host);
    OK(roomcast_config_set_room_options(host.config, S(""), &options));
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/slow");
    flood(&host, has_dropped);
    EQ(0, host_count(&host, ROOMCAST_EVENT_LAGGED, 0));
    CHECK(roomcast_connection_is_open(host.engine, id));
    ws_free(&ws);
    host_free(&host);
}
