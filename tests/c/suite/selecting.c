/* Who is sent what: labels, filters in all their forms, watch-lists, and joining again. */
#include "host.h"

/* A publication of a text with labels; NULL for none of them, `side` and `price` are tags. */
struct labelled {
    const char *text, *event, *key, *side, *price;
};

static const char *const tag_names[] = {"side", "price"};

static roomcast_publication label(const struct labelled *what, const roomcast_str *room,
                                  roomcast_tag tags[2]) {
    const char *const values[] = {what->side, what->price};
    roomcast_publication made = {0};
    made.struct_size = sizeof made;
    made.kind = TEXT_KIND;
    made.data = B(what->text);
    made.rooms = room;
    made.room_count = 1;
    made.event = S(what->event);
    made.key = S(what->key);
    made.tags = tags;
    for (int i = 0; i < 2; i++) {
        if (!values[i]) continue;
        tags[made.tag_count].name = S(tag_names[i]);
        tags[made.tag_count++].value = S(values[i]);
    }
    return made;
}

static void publish(const struct host *host, const struct labelled *what) {
    const roomcast_str room = S("r");
    roomcast_tag tags[2];
    roomcast_publication made = label(what, &room, tags);
    OK(roomcast_engine_publish_with(host->engine, &made, NULL));
}

static const struct labelled trades[] = {
    {"bid BTC", "trade", "BTC", "bid", "101"},
    {"ask BTC", "trade", "BTC", "ask", "102.5"},
    {"bid ETH", "trade", "ETH", "bid", "3"},
    {"note", "note", NULL, NULL, NULL},
    {"bare", NULL, NULL, NULL, NULL},
    {"empty", "", "", "", ""},
};

/* Publishes all of these, and then a word to everybody. */
static void publish_trades(const struct host *host) {
    for (size_t i = 0; i < LENGTH(trades); i++) publish(host, &trades[i]);
    OK(roomcast_engine_send_all(host->engine, TEXT_KIND, B("end")));
}

/* The first letters of what is heard before the end: "bid BTC" is B, "ask BTC" A, "bid ETH" E. */
static void hears(struct ws *ws, const char *wanted) {
    static const char letters[] = "BAEn-0";
    char heard[64] = "";
    size_t count = 0;
    suite_at(__FILE__, __LINE__, wanted);
    while (ws_hear(ws) && strcmp(ws->data, "end") != 0) {
        size_t at = 0;
        while (at < LENGTH(trades) && strcmp(trades[at].text, ws->data) != 0) at++;
        CHECK(count + 1 < sizeof heard);
        heard[count++] = letters[at];
    }
    TEXT(wanted, S(heard));
}

static const struct {
    const char *text, *wanted;
} filters[] = {
    {"tags.side == \"bid\"", "BE"},
    {"key == \"BTC\" && double(tags.price) > 101.5", "A"},
    {"event == \"note\"", "n"},
    {"!has(publication.event)", "-"},
    {"has(tags.side) && tags.side == \"\"", "0"},
    {"key in [\"BTC\", \"ETH\"]", "BAE"},
    {"false", ""},
    {"true", "BAEn-0"},
};

TEST(each_member_is_sent_what_its_filter_matches, PLAIN, 30) {
    struct host host;
    struct ws peers[LENGTH(filters)], all;
    host_open(&host);
    host_join(&host, &all, "/r");
    for (size_t i = 0; i < LENGTH(filters); i++) {
        roomcast_filter *filter = filter_of(filters[i].text);
        roomcast_join join = join_of(filter);
        roomcast_position position = {7, 7};
        uint64_t id = host_join(&host, &peers[i], "/");
        OK(roomcast_connection_join_with(host.engine, id, S("r"), &join, &position));
        EQ(0, position.offset);
        roomcast_filter_free(filter);
    }
    publish_trades(&host);
    hears(&all, "BAEn-0");
    ws_free(&all);
    for (size_t i = 0; i < LENGTH(filters); i++) {
        hears(&peers[i], filters[i].wanted);
        ws_free(&peers[i]);
    }
    CHECK(host_figures(&host).filtered > 0 && host_figures(&host).filters_asked > 0);
    host_free(&host);
}

/* As in a room, so without one. */
TEST(a_filter_is_asked_without_an_engine, PLAIN, 20) {
    static const char letters[] = "BAEn-0";
    for (size_t i = 0; i < LENGTH(filters); i++) {
        roomcast_filter *filter = filter_of(filters[i].text);
        for (size_t at = 0; at < LENGTH(trades); at++) {
            roomcast_tag tags[2];
            roomcast_publication made = label(&trades[at], NULL, tags);
            bool matches = false;
            made.room_count = 0;
            OK(roomcast_filter_matches(filter, &made, &matches));
            EQ(strchr(filters[i].wanted, letters[at]) != NULL, matches);
        }
        roomcast_filter_free(filter);
    }
}

struct native {
    int asked, freed;
};

/* Of all that has a side: whether its data end like its key. */
static bool ends_like_its_key(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    struct native *native = data;
    roomcast_str key = roomcast_labels_key(labels), name, value;
    COUNT_UP(native->asked);
    size_t tags = 0;
    while (roomcast_labels_tag_at(labels, tags, &name, &value)) {
        TEXT(tag_names[tags], name);
        TEXT(NULL, roomcast_labels_tag(labels, S("no such")));
        roomcast_str found = roomcast_labels_tag(labels, name);
        CHECK(found.len == value.len && memcmp(found.data, value.data, value.len) == 0);
        tags++;
    }
    EQ(2, tags);
    if (key.len != 3) return false;
    TEXT("trade", roomcast_labels_event(labels));
    return memcmp((const char *)bytes.data + bytes.len - 3, key.data, 3) == 0;
}

static void on_native_free(void *data) {
    struct native *native = data;
    EQ(1, COUNT_UP(native->freed));
}

static roomcast_filter *native_of(struct native *native) {
    roomcast_filter *filter = NULL;
    OK(roomcast_filter_new_native(S("ends like its key"), native, ends_like_its_key,
                                  on_native_free, &filter));
    return filter;
}

TEST(a_predicate_is_asked_once_for_all_members, PLAIN, 30) {
    struct host host;
    struct ws peers[3];
    uint64_t ids[3];
    struct native native = {0, 0};
    host_prepare(&host);
    OK(roomcast_config_set_shards(host.config, 1));
    host_start(&host);
    /* It is asked where the rest has not decided: not about what has no side. */
    roomcast_filter *parts[] = {filter_of("has(tags.side)"), native_of(&native)}, *both = NULL;
    OK(roomcast_filter_new_all((const roomcast_filter *const *)parts, 2, &both));
    roomcast_filter_free(parts[0]);
    roomcast_filter_free(parts[1]);
    for (int i = 0; i < 3; i++) {
        roomcast_join join = join_of(both);
        ids[i] = host_join(&host, &peers[i], "/");
        OK(roomcast_connection_join_with(host.engine, ids[i], S("r"), &join, NULL));
    }
    roomcast_filter_free(both);
    EQ(0, native.freed);
    publish_trades(&host);
    for (int i = 0; i < 3; i++) hears(&peers[i], "BAE");
    EQ(4, LOAD(native.asked));
    for (int i = 0; i < 3; i++) {
        EQ(0, LOAD(native.freed));
        OK(roomcast_connection_leave(host.engine, ids[i], S("r")));
        size_t left = 3;
        UNTIL((roomcast_engine_count(host.engine, S("r"), &left), (int)left == 2 - i));
    }
    UNTIL(LOAD(native.freed) == 1);
    for (int i = 0; i < 3; i++) ws_free(&peers[i]);
    host_free(&host);
}

TEST(the_finalizer_of_a_predicate_comes_by_the_end_of_its_engine, PLAIN, 30) {
    struct host host;
    struct ws ws;
    struct native native = {0, 0}, unused = {0, 0};
    host_open(&host);
    uint64_t id = host_join(&host, &ws, "/");
    roomcast_filter *filter = native_of(&native), *kept = native_of(&unused);
    roomcast_join join = join_of(filter);
    OK(roomcast_connection_join_with(host.engine, id, S("r"), &join, NULL));
    roomcast_filter_free(filter);
    host_free(&host);
    EQ(1, native.freed);
    EQ(0, unused.freed);
    roomcast_filter_free(kept);
    EQ(1, unused.freed);
    ws_free(&ws);
}

TEST(a_member_watches_keys, PLAIN, 30) {
    struct host host;
    struct ws ws;
    const roomcast_str btc = S("BTC"), both[] = {S("ETH"), S("")};
    roomcast_join join = join_of(NULL);
    host_open(&host);
    uint64_t id = host_join(&host, &ws, "/");
    join.watches = true;
    OK(roomcast_connection_join_with(host.engine, id, S("r"), &join, NULL));
    publish_trades(&host);
    hears(&ws, "");
    OK(roomcast_connection_watch(host.engine, id, S("r"), &btc, 1));
    publish_trades(&host);
    hears(&ws, "BA");
    OK(roomcast_connection_watch(host.engine, id, S("r"), both, 2));
    publish_trades(&host);
    hears(&ws, "BAE0");
    OK(roomcast_connection_unwatch(host.engine, id, S("r"), &btc, 1));
    OK(roomcast_connection_unwatch(host.engine, id, S("r"), &btc, 1));
    publish_trades(&host);
    hears(&ws, "E0");
    /* Joined again with a list, it watches that. */
    join.keys = &btc;
    join.key_count = 1;
    join.watches = false;
    OK(roomcast_connection_join_with(host.engine, id, S("r"), &join, NULL));
    publish_trades(&host);
    hears(&ws, "BA");
    ws_free(&ws);
    host_free(&host);
}

TEST(joining_again_changes_how, PLAIN, 30) {
    struct host host;
    struct ws ws;
    roomcast_filter *bids = filter_of("tags.side == \"bid\"");
    roomcast_join join = join_of(bids);
    size_t members = 0;
    host_open(&host);
    uint64_t id = host_join(&host, &ws, "/r");
    publish_trades(&host);
    hears(&ws, "BAEn-0");
    OK(roomcast_connection_join_with(host.engine, id, S("r"), &join, NULL));
    publish_trades(&host);
    hears(&ws, "BE");
    /* Joining as such changes nothing; joining with nothing said is for everything. */
    OK(roomcast_connection_join(host.engine, id, S("r"), NULL));
    publish_trades(&host);
    hears(&ws, "BE");
    OK(roomcast_connection_join_with(host.engine, id, S("r"), NULL, NULL));
    publish_trades(&host);
    hears(&ws, "BAEn-0");
    OK(roomcast_engine_count(host.engine, S("r"), &members));
    EQ(1, members);
    roomcast_filter_free(bids);
    ws_free(&ws);
    host_free(&host);
}

/* Into "plain" and "too long" as ever, into "r" with a filter; a key that is too long: left out. */
static bool accept_joined(struct host *host, const roomcast_engine *engine,
                          const roomcast_event *event) {
    static char longest[300];
    if (event->kind != ROOMCAST_EVENT_CONNECTING) return false;
    const roomcast_str rooms[] = {S("plain"), S("r"), S("left out")};
    const roomcast_str key = {longest, sizeof longest};
    roomcast_join with_filter = join_of(host->hook_data), with_key = join_of(NULL);
    with_key.keys = &key;
    with_key.key_count = 1;
    const roomcast_join *const joins[] = {NULL, &with_filter, &with_key};
    roomcast_accept accept = {0};
    accept.struct_size = sizeof accept;
    accept.rooms = rooms;
    accept.room_count = 3;
    accept.joins = joins;
    OK(roomcast_connection_accept(engine, event->connection, &accept));
    return false;
}

TEST(rooms_at_accept_are_joined_with_filters, PLAIN, 30) {
    struct host host;
    struct ws ws;
    roomcast_filter *asks = filter_of("tags.side == \"ask\"");
    size_t members = 9;
    host_prepare(&host);
    host.hook = accept_joined;
    host.hook_data = asks;
    host_start(&host);
    host_join(&host, &ws, "/");
    publish_trades(&host);
    hears(&ws, "A");
    OK(roomcast_engine_publish(host.engine, S("plain"), TEXT_KIND, B("plain"), NULL));
    ws_expect(&ws, "plain");
    OK(roomcast_engine_count(host.engine, S("left out"), &members));
    EQ(0, members);
    ws_free(&ws);
    host_free(&host);
    roomcast_filter_free(asks);
}

TEST(too_many_filters_and_keys_are_counted, PLAIN, 30) {
    struct host host;
    struct ws ws;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_CONNECTION_FILTERS_MAX, 1));
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_CONNECTION_KEYS_MAX, 2));
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/");
    roomcast_filter *filter = filter_of("has(publication.key)");
    roomcast_join join = join_of(filter);
    OK(roomcast_connection_join_with(host.engine, id, S("one"), &join, NULL));
    OK(roomcast_connection_join_with(host.engine, id, S("two"), &join, NULL));
    UNTIL(host_figures(&host).joins_refused_filters == 1);
    const roomcast_str keys[] = {S("a"), S("b"), S("c"), S("d")};
    join.filter = NULL;
    join.keys = keys;
    join.key_count = 4;
    OK(roomcast_connection_join_with(host.engine, id, S("three"), &join, NULL));
    UNTIL(host_figures(&host).watches_refused == 2);
    roomcast_filter_free(filter);
    ws_free(&ws);
    host_free(&host);
}

/* Several threads at once; each round of a changer is another way to be a member. */
struct crowd {
    struct host host;
    uint64_t ids[2];
    int rounds, freed, made;
};

static bool asks_nothing(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    struct crowd *crowd = data;
    CHECK(crowd->rounds > 0 && roomcast_labels_key(labels).data);
    return bytes.len % 2 == 0;
}

static void on_crowd_free(void *data) {
    struct crowd *crowd = data;
    COUNT_UP(crowd->freed);
}

static void *publish_labelled(void *argument) {
    struct crowd *crowd = argument;
    const roomcast_str room = S("r");
    uint64_t token = 0, held = 0;
    OK(roomcast_room_hold(crowd->host.engine, room, &held));
    for (int i = 0; i < crowd->rounds * 4; i++) {
        roomcast_tag tags[2];
        roomcast_publication made = label(&trades[i % 3], &room, tags);
        roomcast_status status =
            i % 5 ? roomcast_engine_publish_with(crowd->host.engine, &made, NULL)
                  : roomcast_engine_publish_tracked(crowd->host.engine, &made, &token, NULL);
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_BEHIND);
        if (status == ROOMCAST_STATUS_BEHIND) suite_nap();
    }
    OK(roomcast_room_release(crowd->host.engine, held));
    return NULL;
}

static void *change_members(void *argument) {
    struct crowd *crowd = argument;
    const roomcast_engine *engine = crowd->host.engine;
    const roomcast_str room = S("r"), keys[] = {S("BTC"), S("ETH")};
    for (int i = 0; i < crowd->rounds; i++) {
        uint64_t id = crowd->ids[i % 2];
        roomcast_filter *filter = NULL;
        COUNT_UP(crowd->made);
        OK(roomcast_filter_new_native(S("crowd"), crowd, asks_nothing, on_crowd_free, &filter));
        roomcast_join join = join_of(i % 3 ? filter : NULL);
        join.watches = i % 2;
        OK(roomcast_connection_join_with(engine, id, room, &join, NULL));
        roomcast_filter_free(filter);
        OK(roomcast_connection_watch(engine, id, room, keys, 2));
        OK(roomcast_connection_unwatch(engine, id, room, keys, 1));
        if (i % 7 == 0) OK(roomcast_connection_leave(engine, id, room));
    }
    return NULL;
}

static void *read_on(void *ws) {
    while (ws_hear(ws)) continue;
    return NULL;
}

TEST(threads_select_and_publish, THREADS, 60) {
    struct crowd crowd = {0};
    struct ws peers[2];
    pthread_t readers[2], publishers[2], changers[2];
    crowd.rounds = suite_rounds(400);
    host_open(&crowd.host);
    for (int i = 0; i < 2; i++) {
        crowd.ids[i] = host_join(&crowd.host, &peers[i], "/r");
        CHECK(pthread_create(&readers[i], NULL, read_on, &peers[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&publishers[i], NULL, publish_labelled, &crowd) == 0);
        CHECK(pthread_create(&changers[i], NULL, change_members, &crowd) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(publishers[i], NULL) == 0);
        CHECK(pthread_join(changers[i], NULL) == 0);
    }
    OK(roomcast_engine_stop(crowd.host.engine, NULL));
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
        ws_free(&peers[i]);
    }
    host_free(&crowd.host);
    EQ(crowd.made, crowd.freed);
}
