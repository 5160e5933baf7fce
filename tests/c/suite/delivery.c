/* When members are sent what is published, and what the host hears of it: publications that are
 * tracked, intervals, conflation, compression. */
#include "host.h"

static roomcast_publication publication(const char *text, const roomcast_str *room) {
    roomcast_publication made = {0};
    made.struct_size = sizeof made;
    made.kind = TEXT_KIND;
    made.data = B(text);
    made.rooms = room;
    made.room_count = room != NULL;
    return made;
}

static void set_room(const struct host *host, const char *prefix, uint32_t interval_ms,
                     bool conflate) {
    roomcast_room_options options = {0};
    options.struct_size = sizeof options;
    options.flush_interval_ms = interval_ms;
    options.conflate = conflate;
    OK(roomcast_config_set_room_options(host->config, S(prefix), &options));
}

TEST(a_report_counts_every_member_once, PLAIN, 30) {
    struct host host;
    struct ws peers[6];
    uint64_t ids[6], token = 0, held_token = 0, room = 0;
    const roomcast_str r = S("r"), key = S("k");
    roomcast_published done;
    host_open(&host);
    for (int i = 0; i < 6; i++) ids[i] = host_join(&host, &peers[i], i < 3 ? "/r" : "/");
    roomcast_filter *none = NULL;
    OK(roomcast_filter_new(S("has(publication.key)"), &none, NULL, 0));
    roomcast_join filtered = join_of(NULL), watching = join_of(NULL);
    filtered.filter = none;
    watching.keys = &key;
    watching.key_count = 1;
    OK(roomcast_connection_join_with(host.engine, ids[3], r, &filtered, NULL));
    OK(roomcast_connection_join_with(host.engine, ids[4], r, &filtered, NULL));
    OK(roomcast_connection_join_with(host.engine, ids[5], r, &watching, NULL));
    roomcast_filter_free(none);
    roomcast_publication p = publication("all but one", &r);
    p.except = &ids[0];
    p.except_count = 1;
    OK(roomcast_engine_publish_tracked(host.engine, &p, &token, &done));
    EQ(1, done.offset);
    EQ(6, done.members);
    struct seen seen = host_wait(&host, ROOMCAST_EVENT_DELIVERED, 0, 0);
    CHECK(seen.has_delivery && seen.connection == 0 && !seen.has_user && !seen.data);
    TEXT("r", S(seen.text));
    EQ(token, seen.delivery.token);
    EQ(1, seen.delivery.offset);
    EQ(2, seen.delivery.reached);
    EQ(3, seen.delivery.filtered);
    EQ(1, seen.delivery.skipped);
    EQ(0, seen.delivery.conflated + seen.delivery.lagging);
    OK(roomcast_room_hold(host.engine, r, &room));
    p = publication("keyed", NULL);
    p.key = key;
    OK(roomcast_room_publish_tracked(host.engine, room, &p, &held_token, NULL));
    CHECK(held_token != token);
    seen = host_wait(&host, ROOMCAST_EVENT_DELIVERED, 0, 1);
    EQ(held_token, seen.delivery.token);
    EQ(2, seen.delivery.offset);
    EQ(6, seen.delivery.reached);
    for (int i = 1; i < 3; i++) ws_expect(&peers[i], "all but one");
    for (int i = 0; i < 6; i++) {
        ws_expect(&peers[i], "keyed");
        ws_free(&peers[i]);
    }
    host_free(&host);
}

TEST(nobody_is_reported_too, PLAIN, 20) {
    struct host host;
    uint64_t token = 0, again = 0, room = 0;
    const roomcast_str r = S("nobody"), nameless = S("");
    roomcast_published done;
    host_open(&host);
    roomcast_publication p = publication("x", &r);
    OK(roomcast_engine_publish_tracked(host.engine, &p, &token, &done));
    EQ(0, done.offset + done.members);
    struct seen seen = host_wait(&host, ROOMCAST_EVENT_DELIVERED, 0, 0);
    EQ(token, seen.delivery.token);
    TEXT("nobody", S(seen.text));
    EQ(0, seen.delivery.offset + seen.delivery.reached + seen.delivery.skipped);
    OK(roomcast_room_hold(host.engine, r, &room));
    p = publication("x", NULL);
    OK(roomcast_room_publish_tracked(host.engine, room, &p, &again, &done));
    EQ(1, done.offset);
    seen = host_wait(&host, ROOMCAST_EVENT_DELIVERED, 0, 1);
    EQ(again, seen.delivery.token);
    EQ(1, seen.delivery.offset);
    CHECK(again > token);
    /* What is refused is not reported. */
    p = publication("x", &nameless);
    IS(ROOM_NAME, roomcast_engine_publish_tracked(host.engine, &p, &again, NULL));
    OK(roomcast_engine_stop(host.engine, NULL));
    EQ(2, host_count(&host, ROOMCAST_EVENT_DELIVERED, 0));
    IS(STOPPED, roomcast_engine_publish_tracked(host.engine, &p, &again, NULL));
    host_free(&host);
}

/* A queue: waited for, or turned and drained. */
static void report_in_a_queue(bool own_threads) {
    const roomcast_str r = S("r");
    roomcast_config *config = host_config();
    roomcast_event event;
    uint64_t token = 0;
    size_t count = 0;
    OK(roomcast_config_set_shards(config, own_threads ? 2 : 0));
    OK(roomcast_config_set_own_threads(config, own_threads));
    roomcast_engine *engine = engine_of(config);
    roomcast_publication p = publication("x", &r);
    OK(roomcast_engine_publish_tracked(engine, &p, &token, NULL));
    while (count == 0) {
        if (own_threads) {
            OK(roomcast_engine_wait(engine, -1, sizeof event, 1, &event, &count));
        } else {
            OK(roomcast_engine_turn(engine, 10));
            OK(roomcast_engine_drain(engine, sizeof event, 1, &event, &count));
        }
    }
    EQ(ROOMCAST_EVENT_DELIVERED, event.kind);
    EQ(0, event.connection);
    CHECK(!event.user.data && !event.connection_data);
    TEXT("r", event.text);
    EQ(token, event.delivery->token);
    /* It is the host's, also when the engine has gone. */
    roomcast_engine_free(engine);
    TEXT("r", event.text);
    EQ(token, event.delivery->token);
    roomcast_events_free(sizeof event, 1, &event);
    CHECK(!event.delivery && !event.text.data);
    roomcast_config_free(config);
}

TEST(a_report_is_waited_for, PLAIN, 20) { report_in_a_queue(true); }
TEST(a_report_is_drained_after_a_turn, PLAIN, 20) { report_in_a_queue(false); }

TEST(a_report_comes_in_a_turn, PLAIN, 20) {
    struct host host;
    const roomcast_str r = S("r");
    uint64_t token = 0;
    host_prepare(&host);
    OK(roomcast_config_set_shards(host.config, 0));
    OK(roomcast_config_set_own_threads(host.config, false));
    host_start(&host);
    roomcast_publication p = publication("x", &r);
    OK(roomcast_engine_publish_tracked(host.engine, &p, &token, NULL));
    EQ(0, host_count(&host, ROOMCAST_EVENT_DELIVERED, 0));
    while (host_count(&host, ROOMCAST_EVENT_DELIVERED, 0) == 0)
        OK(roomcast_engine_turn(host.engine, 10));
    EQ(token, host_wait(&host, ROOMCAST_EVENT_DELIVERED, 0, 0).delivery.token);
    host_free(&host);
}

TEST(reports_are_told_where_they_are_wanted, PLAIN, 20) {
    struct host host;
    struct ws ws;
    const roomcast_str r = S("r");
    uint64_t token = 0;
    host_prepare(&host);
    OK(roomcast_config_set_events(host.config, ~(1u << ROOMCAST_EVENT_DELIVERED)));
    host_start(&host);
    host_join(&host, &ws, "/r");
    roomcast_publication p = publication("x", &r);
    OK(roomcast_engine_publish_tracked(host.engine, &p, &token, NULL));
    ws_expect(&ws, "x");
    OK(roomcast_engine_stop(host.engine, NULL));
    EQ(0, host_count(&host, ROOMCAST_EVENT_DELIVERED, 0));
    ws_free(&ws);
    host_free(&host);
}

/* Of the rooms with one prefix nothing leaves for an hour, but for who asks for each turn. */
TEST(a_members_interval_goes_before_the_rooms, PLAIN, 30) {
    struct host host;
    struct ws quick, slow;
    roomcast_join each_turn = join_of(NULL), late = join_of(NULL);
    host_prepare(&host);
    set_room(&host, "hour", 3600000, false);
    set_room(&host, "hourly:not", ROOMCAST_EACH_TURN, false);
    host_start(&host);
    uint64_t id = host_join(&host, &quick, "/");
    each_turn.flush_interval_ms = ROOMCAST_EACH_TURN;
    OK(roomcast_connection_join_with(host.engine, id, S("hour"), &each_turn, NULL));
    OK(roomcast_connection_join(host.engine, id, S("hourly:not"), NULL));
    OK(roomcast_engine_publish(host.engine, S("hour"), TEXT_KIND, B("now"), NULL));
    ws_expect(&quick, "now");
    OK(roomcast_engine_publish(host.engine, S("hourly:not"), TEXT_KIND, B("too"), NULL));
    ws_expect(&quick, "too");
    id = host_join(&host, &slow, "/");
    late.flush_interval_ms = 300;
    OK(roomcast_connection_join_with(host.engine, id, S("any"), &late, NULL));
    /* With the first one an interval has ended, so another has just begun. */
    OK(roomcast_engine_publish(host.engine, S("any"), TEXT_KIND, B("one"), NULL));
    ws_expect(&slow, "one");
    uint64_t began = suite_now_ms();
    OK(roomcast_engine_publish(host.engine, S("any"), TEXT_KIND, B("two"), NULL));
    ws_expect(&slow, "two");
    if (suite_slow() == 1) CHECK(suite_now_ms() >= began + 100);
    ws_free(&quick);
    ws_free(&slow);
    host_free(&host);
}

TEST(of_each_key_the_newest_leaves_with_the_interval, PLAIN, 30) {
    struct host host;
    struct ws ws;
    const roomcast_str room = S("ticker:a");
    uint64_t tokens[4];
    char text[32];
    host_prepare(&host);
    set_room(&host, "ticker:", 400, true);
    host_start(&host);
    host_join(&host, &ws, "/ticker:a");
    /* With the first one an interval has ended, so another has just begun. */
    OK(roomcast_engine_publish(host.engine, room, TEXT_KIND, B("first"), NULL));
    ws_expect(&ws, "first");
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "%s %d", i % 2 ? "BTC" : "bare", i);
        roomcast_publication p = publication(text, &room);
        if (i % 2) p.key = S("BTC");
        OK(roomcast_engine_publish_tracked(host.engine, &p, &tokens[i], NULL));
    }
    ws_expect(&ws, "bare 0");
    ws_expect(&ws, "bare 2");
    ws_expect(&ws, "BTC 3");
    for (int i = 0; i < 4; i++) {
        struct seen seen = host_wait(&host, ROOMCAST_EVENT_DELIVERED, 0, (size_t)i);
        int which = 0;
        while (which < 4 && tokens[which] != seen.delivery.token) which++;
        EQ(which == 1, seen.delivery.conflated);
        EQ(which != 1, seen.delivery.reached);
    }
    EQ(1, host_figures(&host).conflated);
    ws_free(&ws);
    host_free(&host);
}

#define DEFLATES "Sec-WebSocket-Extensions: permessage-deflate\r\n"

/* Asks on one of two ports. */
static bool is_agreed(const roomcast_engine *engine, size_t listener) {
    struct ws ws;
    uint16_t port = 0;
    OK(roomcast_engine_address(engine, listener, NULL, &port));
    ws_ask(&ws, ws_tcp(port), "/dense:a", DEFLATES);
    EQ(101, ws.status);
    bool agreed = strstr(ws.head, "permessage-deflate") != NULL;
    ws_free(&ws);
    return agreed;
}

TEST(compression_is_off_for_a_listener, PLAIN, 20) {
    struct host host;
    roomcast_listen_options options = {0};
    char path[200];
    struct ws ws;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_DEFLATE_LEVEL, 1));
    options.struct_size = sizeof options;
    OK(roomcast_config_add_listener_with(host.config, S("127.0.0.1:0"), &options));
    options.deflate_off = true;
    OK(roomcast_config_add_listener_with(host.config, S("127.0.0.1:0"), &options));
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(path, sizeof path, "%s/near.%d", folder, (int)getpid());
    OK(roomcast_config_add_unix_listener_with(host.config, S(path), &options));
    host_start(&host);
    CHECK(is_agreed(host.engine, 0));
    CHECK(is_agreed(host.engine, 1));
    CHECK(!is_agreed(host.engine, 2));
    ws_ask(&ws, ws_unix(path), "/", DEFLATES);
    EQ(101, ws.status);
    CHECK(!strstr(ws.head, "permessage-deflate"));
    ws_free(&ws);
    host_free(&host);
}

TEST(compression_is_off_for_rooms, PLAIN, 20) {
    static char much[2000];
    struct host host;
    struct ws ws;
    roomcast_room_options options = {0};
    options.struct_size = sizeof options;
    options.deflate_off = true;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_DEFLATE_LEVEL, 1));
    OK(roomcast_config_set_room_options(host.config, S("dense:"), &options));
    host_start(&host);
    ws_ask(&ws, ws_tcp(host.port), "/dense:a", DEFLATES);
    EQ(101, ws.status);
    HAS("permessage-deflate", ws.head);
    host_wait(&host, ROOMCAST_EVENT_OPENED, 0, 0);
    /* The client here takes no compressed frames. */
    OK(roomcast_engine_publish(host.engine, S("dense:a"), BINARY_KIND,
                               roomcast_bytes_of(much, sizeof much), NULL));
    CHECK(ws_hear(&ws));
    EQ(sizeof much, ws.len);
    EQ(0, host_figures(&host).deflated);
    ws_free(&ws);
    host_free(&host);
}
