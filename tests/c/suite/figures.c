/* What an engine says of itself: snapshot, metrics, pages, health, and its log. */
#include <ctype.h>

#include "host.h"

TEST(a_known_load_is_counted, PLAIN, 20) {
    struct host host;
    struct ws peers[3];
    roomcast_snapshot figures;
    host_open(&host);
    for (int i = 0; i < 3; i++) host_join(&host, &peers[i], "/r");
    for (int i = 0; i < 10; i++)
        OK(roomcast_engine_publish(host.engine, S("r"), TEXT_KIND, B("x"), NULL));
    OK(roomcast_engine_send_all(host.engine, TEXT_KIND, B("all")));
    IS(ROOM_NAME, roomcast_engine_publish(host.engine, S(""), TEXT_KIND, B("x"), NULL));
    for (int i = 0; i < 3; i++) {
        for (int n = 0; n < 10; n++) ws_expect(&peers[i], "x");
        ws_expect(&peers[i], "all");
        ws_say(&peers[i], "in");
    }
    UNTIL(host_count(&host, ROOMCAST_EVENT_MESSAGE, 0) == 3);
    figures.struct_size = sizeof figures;
    do {
        OK(roomcast_engine_snapshot(host.engine, &figures));
    } while (figures.deliveries < 33);
    EQ(sizeof figures, figures.struct_size);
    EQ(33, figures.deliveries);
    EQ(404, ws_get(host.port, "GET", "/no", NULL, 0));
    do {
        OK(roomcast_engine_snapshot(host.engine, &figures));
    } while (figures.connections != 3);
    EQ(4, figures.accepted);
    EQ(3, figures.opened);
    EQ(1, figures.rejected_http);
    EQ(1, figures.rejected_path);
    EQ(3, figures.messages_in);
    EQ(3, figures.joins);
    EQ(0, figures.leaves);
    EQ(1, figures.rooms);
    CHECK(figures.publications >= 10 && figures.sends >= 1);
    CHECK(figures.bytes_in > 0 && figures.bytes_out > 33 * 3 && figures.writes > 0);
    CHECK(figures.turns > 0 && figures.turn.count > 0 && figures.busy_ns > 0);
    CHECK(figures.turn_lag.count > 0);
    /* Taken now and then, not each turn. */
    UNTIL(host_figures(&host).connection_bytes > 0);
    uint64_t deliveries = 0, shards = 0;
    roomcast_snapshot one = {.struct_size = sizeof one};
    while (roomcast_engine_shard_snapshot(host.engine, shards, &one) == ROOMCAST_STATUS_OK) {
        deliveries += one.deliveries;
        shards++;
    }
    CHECK(shards > 0 && deliveries == figures.deliveries);
    CHECK(figures.turn.p50_ns <= figures.turn.p99_ns && figures.turn.p99_ns <= figures.turn.max_ns);
    EQ(0, figures.lagged + figures.too_slow + figures.rejected_full);
    ws_send_close(&peers[0], 1000, "");
    ws_expect_end(&peers[0]);
    ws_reset(&peers[1]);
    do {
        suite_nap();
        OK(roomcast_engine_snapshot(host.engine, &figures));
    } while (figures.connections != 1);
    EQ(1, figures.closed[ROOMCAST_CLOSE_REASON_PEER]);
    EQ(1, figures.closed[ROOMCAST_CLOSE_REASON_VANISHED]);
    EQ(2, figures.leaves);
    ws_free(&peers[0]);
    ws_free(&peers[2]);
    host_free(&host);
}

/* name{label="value",...} number, or a comment that tells HELP or TYPE. */
static void check_line(char *line) {
    if (line[0] == '#') {
        CHECK(strncmp(line, "# HELP roomcast_", 16) == 0 ||
              strncmp(line, "# TYPE roomcast_", 16) == 0);
        return;
    }
    CHECK(strncmp(line, "roomcast_", 9) == 0);
    char *end = line;
    while (isalnum((unsigned char)*end) || *end == '_') end++;
    if (*end == '{') {
        end = strchr(end, '}');
        CHECK(end);
        end++;
    }
    CHECK(*end == ' ');
    char *rest = NULL;
    double value = strtod(end + 1, &rest);
    CHECK(rest != end + 1 && *rest == 0 && value >= 0);
}

TEST(metrics_are_lines_of_prometheus, PLAIN, 20) {
    struct host host;
    struct ws ws;
    roomcast_text *text = NULL;
    host_open(&host);
    host_join(&host, &ws, "/r");
    OK(roomcast_engine_metrics(host.engine, &text));
    roomcast_str all = roomcast_text_str(text);
    CHECK(all.len > 0 && all.data[all.len - 1] == '\n');
    char *copy = malloc(all.len + 1), *next = NULL;
    CHECK(copy);
    memcpy(copy, all.data, all.len);
    copy[all.len] = 0;
    HAS("roomcast_connections 1\n", copy);
    int lines = 0;
    for (char *line = strtok_r(copy, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        check_line(line);
        lines++;
    }
    CHECK(lines > 50);
    free(copy);
    roomcast_text_free(text);
    ws_free(&ws);
    host_free(&host);
}

static char page_body[100000];

static void on_page(void *data, const roomcast_request *request, roomcast_page *page) {
    COUNT_UP(*(int *)data);
    roomcast_str path = roomcast_request_path(request);
    if (text_is(path, "/large")) {
        OK(roomcast_page_set(page, 200, S("text/plain"),
                             roomcast_bytes_of(page_body, sizeof page_body)));
    } else if (text_is(path, "/twice")) {
        OK(roomcast_page_set(page, 500, S("text/plain"), B("first")));
        OK(roomcast_page_set(page, 201, S(""), roomcast_bytes_of(NULL, 0)));
    } else if (text_is(path, "/gone")) {
        OK(roomcast_page_set(page, 410, S("text/html"), B("<p>gone")));
    }
}

static int pages_freed;

static void on_pages_freed(void *data) {
    COUNT_UP(*(int *)data);
    COUNT_UP(pages_freed);
}

TEST(pages_answer_plain_requests, PLAIN, 20) {
    struct host host;
    static char body[200000];
    int calls = 0;
    host_prepare(&host);
    memset(page_body, 'p', sizeof page_body);
    OK(roomcast_config_set_pages(host.config, &calls, on_page, on_pages_freed));
    OK(roomcast_config_set_health_path(host.config, S("/alive")));
    OK(roomcast_config_set_metrics_path(host.config, S("/figures")));
    OK(roomcast_config_set_websocket_metrics(host.config, true));
    host_start(&host);
    EQ(200, ws_get(host.port, "GET", "/large", body, sizeof body));
    EQ(sizeof page_body, strlen(body));
    EQ(200, ws_get(host.port, "HEAD", "/large", body, sizeof body));
    EQ(0, strlen(body));
    EQ(201, ws_get(host.port, "GET", "/twice", body, sizeof body));
    EQ(410, ws_get(host.port, "GET", "/gone", body, sizeof body));
    TEXT("<p>gone", S(body));
    EQ(404, ws_get(host.port, "GET", "/other", body, sizeof body));
    EQ(200, ws_get(host.port, "GET", "/alive", body, sizeof body));
    EQ(200, ws_get(host.port, "GET", "/figures", body, sizeof body));
    CHECK(strstr(body, "\n# TYPE roomcast_connections gauge\nroomcast_connections "));
    CHECK(strstr(body, "\nwebsocket_messages_total{event_type=\"in\"} 0\n"));
    EQ(405, ws_get(host.port, "DELETE", "/large", body, sizeof body));
    EQ(5, LOAD(calls));
    EQ(0, pages_freed);
    host_free(&host);
    EQ(1, pages_freed);
}

struct log {
    int lines, freed;
};

static void on_log(void *data, uint32_t level, roomcast_str line) {
    struct log *log = data;
    EQ(ROOMCAST_LOG_LEVEL_WARN, level);
    CHECK(line.len > 0 && !memchr(line.data, '\n', line.len));
    COUNT_UP(log->lines);
}

static void on_log_freed(void *data) {
    COUNT_UP(((struct log *)data)->freed);
}

static void open_logged(struct host *host, struct log *log) {
    host_prepare(host);
    OK(roomcast_config_set_log(host->config, log, on_log, on_log_freed));
    host_start(host);
}

/* A room whose name is too long is left out, which the engine logs. */
static void make_a_line(struct host *host) {
    char target[400] = "/";
    struct ws ws;
    memset(target + 1, 'n', 300);
    ws_open(&ws, host->port, target);
    ws_free(&ws);
}

TEST(the_log_is_each_engines_own, PLAIN, 20) {
    struct host one, other;
    struct log first = {0}, second = {0};
    open_logged(&one, &first);
    open_logged(&other, &second);
    for (int i = 0; i < 3; i++) make_a_line(&one);
    UNTIL(LOAD(first.lines) == 3);
    EQ(0, LOAD(second.lines));
    make_a_line(&other);
    UNTIL(LOAD(second.lines) == 1);
    EQ(3, LOAD(first.lines));
    host_free(&one);
    EQ(1, first.freed);
    EQ(0, second.freed);
    make_a_line(&other);
    UNTIL(LOAD(second.lines) == 2);
    host_free(&other);
    EQ(1, second.freed);
    EQ(3, first.lines);
}
