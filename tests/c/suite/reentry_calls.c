/* The calls that every callback makes; see reentry.h. Only what must hold is checked: whether
 * those that wait say so on a shard, and that the rest answers at all. */
#include <sys/socket.h>

#include "reentry.h"

static void configure(void) {
    roomcast_config *config = NULL;
    char why[64];
    uint64_t value = 0;
    OK(roomcast_config_new(ROOMCAST_VERSION, &config));
    OK(roomcast_config_add_unix_listener(config, S("/nowhere/at/all")));
    OK(roomcast_config_set_shards(config, 1));
    OK(roomcast_config_set_reuse_port(config, false));
    OK(roomcast_config_add_unix_listener_with(config, S("/nowhere/else"), NULL));
    OK(roomcast_config_set_room_options(config, S("r"), NULL));
    OK(roomcast_config_set_slow_policy(config, ROOMCAST_SLOW_POLICY_SKIP));
    OK(roomcast_config_set_message_rate_policy(config, ROOMCAST_MESSAGE_RATE_POLICY_CLOSE));
    OK(roomcast_config_set_origins(config, NULL, 0));
    OK(roomcast_config_allow_any_origin(config));
    OK(roomcast_config_set_health_path(config, S("/h")));
    OK(roomcast_config_set_metrics_path(config, S("/m")));
    OK(roomcast_config_set_websocket_metrics(config, true));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_CONNECTIONS_MAX, 5));
    OK(roomcast_config_limit(config, ROOMCAST_LIMIT_CONNECTIONS_MAX, &value));
    OK(roomcast_config_read_environment(config, why, sizeof why));
    OK(roomcast_config_set_callback(config, NULL, NULL, NULL));
    OK(roomcast_config_set_pages(config, NULL, NULL, NULL));
    OK(roomcast_config_set_log(config, NULL, NULL, NULL));
    OK(roomcast_config_set_events(config, UINT32_MAX));
    OK(roomcast_config_check(config, why, sizeof why));
    roomcast_engine *engine = NULL;
    IS(IO, roomcast_engine_new(config, &engine, why, sizeof why));
    roomcast_config_free(config);
}

/* An engine of its own, started, turned and let go of inside a callback of another. */
static void another_engine(void) {
    roomcast_config *config = host_config();
    OK(roomcast_config_set_shards(config, 0));
    OK(roomcast_config_set_own_threads(config, false));
    roomcast_engine *engine = engine_of(config);
    roomcast_status status = roomcast_engine_turn(engine, 0);
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_ON_SHARD);
    roomcast_engine_free(engine);
    OK(roomcast_config_set_own_threads(config, true));
    engine = engine_of(config);
    OK(roomcast_engine_publish(engine, S("r"), TEXT_KIND, B("x"), NULL));
    roomcast_engine_free(engine);
    roomcast_config_free(config);
}

static void ask_request(const roomcast_request *request) {
    roomcast_str name;
    roomcast_bytes value;
    for (size_t i = 0; roomcast_request_header_at(request, i, &name, &value); i++)
        CHECK(name.len > 0);
    roomcast_request_method(request);
    roomcast_request_path(request);
    roomcast_request_query(request);
    roomcast_request_query_value(request, S("user"));
    roomcast_request_header(request, S("host"));
    roomcast_request_cookie(request, S("c"));
    roomcast_request_subprotocol(request, 0);
    roomcast_request_origin(request);
    roomcast_request_host(request);
    roomcast_request_peer(request);
}

/* Those that wait for a shard: on one they say so; elsewhere they may also be too late. */
static void check_waits(const struct reentry *from, roomcast_status status) {
    if (status == ROOMCAST_STATUS_STOPPED) {
        CHECK(roomcast_engine_is_stopping(from->engine));
    } else if (from->on_shard) {
        IS(ON_SHARD, status);
    } else {
        CHECK(status == ROOMCAST_STATUS_ON_SHARD || status == ROOMCAST_STATUS_GONE ||
              status == ROOMCAST_STATUS_OK);
    }
}

static void ask_lists(const struct reentry *from) {
    roomcast_ids *ids = NULL;
    roomcast_names *names = NULL;
    check_waits(from, roomcast_engine_connections(from->engine, &ids));
    if (ids) CHECK(roomcast_ids_count(ids) == 0 || roomcast_ids_data(ids));
    roomcast_ids_free(ids);
    ids = NULL;
    roomcast_status status = roomcast_engine_members(from->engine, S("r"), &ids);
    /* Of a room that does not exist nobody has to be asked. */
    if (status != ROOMCAST_STATUS_OK) check_waits(from, status);
    else if (from->on_shard) EQ(0, roomcast_ids_count(ids));
    roomcast_ids_free(ids);
    status = roomcast_connection_rooms(from->engine, from->connection, &names);
    if (status != ROOMCAST_STATUS_GONE) check_waits(from, status);
    roomcast_names_free(names);
    names = NULL;
    if (roomcast_engine_rooms(from->engine, &names) == ROOMCAST_STATUS_OK &&
        roomcast_names_count(names) > 0)
        OK(roomcast_names_at(names, 0, NULL, NULL));
    roomcast_names_free(names);
}

static void be_told(const struct reentry *from) {
    roomcast_event event;
    size_t count = 0;
    int32_t fd = -1;
    int64_t ms = 0;
    IS(WRONG_MODE, roomcast_engine_drain(from->engine, sizeof event, 1, &event, &count));
    IS(WRONG_MODE, roomcast_engine_wait(from->engine, -1, sizeof event, 1, &event, &count));
    roomcast_events_free(sizeof event, 0, &event);
    if (from->turned) {
        OK(roomcast_engine_fd(from->engine, &fd));
        if (from->on_shard) IS(ON_SHARD, roomcast_engine_turn(from->engine, -1));
        roomcast_engine_next_turn_ms(from->engine, &ms);
    } else {
        IS(WRONG_MODE, roomcast_engine_fd(from->engine, &fd));
        IS(WRONG_MODE, roomcast_engine_turn(from->engine, -1));
        IS(WRONG_MODE, roomcast_engine_next_turn_ms(from->engine, &ms));
    }
}

/* Fine, or refused for a reason that passes or that the stop has. */
static void check_done(roomcast_status status) {
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_GONE ||
          status == ROOMCAST_STATUS_STOPPED || status == ROOMCAST_STATUS_BEHIND);
}

static void publish(const struct reentry *from) {
    const roomcast_engine *engine = from->engine;
    const roomcast_str room = S("r");
    roomcast_publication p = {0};
    uint64_t held = 0, token = 0;
    p.struct_size = sizeof p;
    p.kind = TEXT_KIND;
    p.data = B("with");
    check_done(roomcast_room_hold(engine, room, &held));
    check_done(roomcast_room_publish(engine, held, TEXT_KIND, B("held"), NULL));
    check_done(roomcast_room_publish_with(engine, held, &p, NULL));
    check_done(roomcast_room_publish_tracked(engine, held, &p, &token, NULL));
    p.rooms = &room;
    p.room_count = 1;
    check_done(roomcast_engine_publish_with(engine, &p, NULL));
    check_done(roomcast_engine_publish_tracked(engine, &p, &token, NULL));
    check_done(roomcast_engine_publish(engine, room, TEXT_KIND, B("room"), NULL));
    check_done(roomcast_engine_send_all(engine, TEXT_KIND, B("all")));
    check_done(roomcast_user_send(engine, S("u"), TEXT_KIND, B("user")));
    size_t members = 0;
    roomcast_position position;
    roomcast_str name;
    check_done(roomcast_room_members(engine, held, &members));
    check_done(roomcast_room_position(engine, held, &position));
    check_done(roomcast_room_name(engine, held, &name));
    check_done(roomcast_room_release(engine, held));
    check_done(roomcast_engine_count(engine, room, &members));
}

static bool never(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    (void)data, (void)bytes;
    roomcast_str name;
    roomcast_labels_event(labels);
    roomcast_labels_key(labels);
    roomcast_labels_tag(labels, S("t"));
    CHECK(!roomcast_labels_tag_at(labels, 0, &name, NULL));
    return false;
}

static void make_filters(const roomcast_filter *parts[4]) {
    const roomcast_str value = S("v");
    roomcast_filter *filters[4] = {NULL};
    OK(roomcast_filter_new(S("has(publication.key)"), &filters[0], NULL, 0));
    OK(roomcast_filter_new_native(S("never"), NULL, never, NULL, &filters[1]));
    OK(roomcast_filter_new_ask(ROOMCAST_FIELD_TAG, S("t"), ROOMCAST_QUESTION_ONE_OF, &value, 1,
                               &filters[2]));
    OK(roomcast_filter_new_compare(ROOMCAST_FIELD_TAG, S("t"), ROOMCAST_COMPARISON_LESS, 1,
                                   &filters[3]));
    for (int i = 0; i < 4; i++) parts[i] = filters[i];
}

/* Joined with a filter of its own, which goes with the leaving, on the shard. */
static void select_calls(const roomcast_engine *engine, uint64_t id) {
    const roomcast_filter *parts[4];
    roomcast_filter *all = NULL, *any = NULL, *not = NULL;
    roomcast_publication p = {0};
    roomcast_join join = {0};
    const roomcast_str key = S("k");
    bool matches = true;
    make_filters(parts);
    OK(roomcast_filter_new_all(parts, 4, &all));
    OK(roomcast_filter_new_any(parts, 4, &any));
    OK(roomcast_filter_new_not(all, &not));
    CHECK(roomcast_filter_text(all).len > 0);
    p.struct_size = sizeof p;
    p.kind = TEXT_KIND;
    OK(roomcast_filter_matches(any, &p, &matches));
    CHECK(!matches);
    join.struct_size = sizeof join;
    join.filter = any;
    join.watches = true;
    check_done(roomcast_connection_join_with(engine, id, S("extra"), &join, NULL));
    check_done(roomcast_connection_watch(engine, id, S("extra"), &key, 1));
    check_done(roomcast_connection_unwatch(engine, id, S("extra"), &key, 1));
    check_done(roomcast_connection_leave(engine, id, S("extra")));
    for (int i = 0; i < 4; i++) roomcast_filter_free((roomcast_filter *)parts[i]);
    roomcast_filter_free(all);
    roomcast_filter_free(any);
    roomcast_filter_free(not);
}

static void connection_calls(const struct reentry *from) {
    const roomcast_engine *engine = from->engine;
    uint64_t id = from->connection;
    roomcast_connection_is_open(engine, id);
    check_done(roomcast_connection_send(engine, id, TEXT_KIND, B("private")));
    select_calls(engine, id);
    check_done(roomcast_connection_join(engine, id, S("extra"), NULL));
    check_done(roomcast_connection_leave(engine, id, S("extra")));
    roomcast_status status = roomcast_connection_close(engine, id, 1, S(""));
    if (status != ROOMCAST_STATUS_CLOSE_CODE) check_done(status);
    CHECK(status != ROOMCAST_STATUS_OK);
    IS(GONE, roomcast_connection_refuse(engine, UINT64_MAX, 403, S("")));
    IS(GONE, roomcast_connection_accept(engine, UINT64_MAX, NULL));
}

static void adopt(const roomcast_engine *engine) {
    const roomcast_header headers[] = {
        {S("Host"), B("x")},
        {S("Connection"), B("upgrade")},
        {S("Upgrade"), B("websocket")},
        {S("Sec-WebSocket-Version"), B("13")},
        {S("Sec-WebSocket-Key"), B("dGhlIHNhbXBsZSBub25jZQ==")},
    };
    roomcast_upgrade *upgrade = NULL;
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    roomcast_status status = roomcast_engine_adopt(engine, pair[0], B("GET / HT"));
    check_done(status);
    CHECK(close(pair[1]) == 0);
    if (status != ROOMCAST_STATUS_OK) CHECK(close(pair[0]) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    status = roomcast_upgrade_new(engine, S("GET"), S("/"), headers, LENGTH(headers), &upgrade);
    check_done(status);
    if (status == ROOMCAST_STATUS_OK && roomcast_upgrade_status(upgrade) == 101) {
        check_done(roomcast_upgrade_accept(upgrade, NULL));
        CHECK(roomcast_upgrade_response(upgrade).len > 0);
        status = roomcast_upgrade_adopt(upgrade, pair[0], B(""));
        check_done(status);
        if (status != ROOMCAST_STATUS_OK) CHECK(close(pair[0]) == 0);
    } else {
        CHECK(close(pair[0]) == 0);
    }
    roomcast_upgrade_free(upgrade);
    CHECK(close(pair[1]) == 0);
}

static void look(const roomcast_engine *engine) {
    roomcast_snapshot figures;
    roomcast_text *text = NULL;
    uint64_t value = 0;
    uint16_t port = 0;
    figures.struct_size = sizeof figures;
    OK(roomcast_engine_snapshot(engine, &figures));
    OK(roomcast_engine_shard_snapshot(engine, 0, &figures));
    OK(roomcast_engine_metrics(engine, &text));
    CHECK(roomcast_text_str(text).len > 0);
    roomcast_text_free(text);
    OK(roomcast_engine_limit(engine, ROOMCAST_LIMIT_EVENTS_MAX, &value));
    EQ(1, roomcast_engine_address_count(engine));
    OK(roomcast_engine_address(engine, 0, NULL, &port));
    CHECK(!roomcast_engine_is_broken(engine));
    CHECK(roomcast_version() == ROOMCAST_VERSION && roomcast_version_text());
    CHECK(roomcast_status_text(0) && roomcast_limit_name(1));
    IS(INVALID_ARGUMENT, roomcast_page_set(NULL, 200, S(""), B("")));
}

static void work(void *data) {
    publish(data);
}

void reentry_calls(const struct reentry *from) {
    struct reentry copy = *from;
    configure();
    another_engine();
    ask_request(from->request);
    ask_lists(from);
    be_told(from);
    publish(from);
    check_done(roomcast_engine_corked(from->engine, &copy, work));
    connection_calls(from);
    adopt(from->engine);
    look(from->engine);
    reentry_edge(from);
    roomcast_engine_is_stopping(from->engine);
}

void reentry_stop(const struct reentry *from) {
    roomcast_stop_report report = {77, 77, 77};
    IS(ON_SHARD, roomcast_engine_stop(from->engine, &report));
    CHECK(roomcast_engine_is_stopping(from->engine));
    OK(roomcast_engine_begin_stop(from->engine));
    IS(ON_SHARD, roomcast_engine_stop_within(from->engine, 300, &report));
    EQ(77, report.connections);
    reentry_calls(from);
}
