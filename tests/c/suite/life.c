/* The life of an engine: stopped twice, from two threads, with peers in every state, freed in odd
 * orders, many at once, and 1,000 times over without growth. */
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host.h"

TEST(stop_twice_gives_the_same_report, PLAIN, 20) {
    struct host host;
    struct ws ws;
    roomcast_stop_report first, second;
    host_open(&host);
    host_join(&host, &ws, "/r");
    OK(roomcast_engine_begin_stop(host.engine));
    EQ(1001, ws_expect_end(&ws));
    CHECK(roomcast_engine_is_stopping(host.engine));
    OK(roomcast_engine_stop(host.engine, &first));
    OK(roomcast_engine_stop(host.engine, &second));
    EQ(1, first.connections);
    EQ(0, first.cut);
    CHECK(memcmp(&first, &second, sizeof first) == 0);
    OK(roomcast_engine_stop_within(host.engine, 0, NULL));
    OK(roomcast_engine_begin_stop(host.engine));
    CHECK(!roomcast_engine_is_broken(host.engine));
    ws_free(&ws);
    host_free(&host);
}

struct stopper {
    roomcast_engine *engine;
    roomcast_stop_report report;
};

static void *stop(void *argument) {
    struct stopper *stopper = argument;
    OK(roomcast_engine_stop(stopper->engine, &stopper->report));
    return NULL;
}

TEST(two_threads_stop, THREADS, 40) {
    int rounds = suite_rounds(20);
    for (int round = 0; round < rounds; round++) {
        struct host host;
        struct ws peers[5];
        pthread_t threads[2];
        struct stopper stoppers[2];
        host_open(&host);
        for (int i = 0; i < 5; i++) host_join(&host, &peers[i], "/r");
        for (int i = 0; i < 2; i++) {
            stoppers[i].engine = host.engine;
            CHECK(pthread_create(&threads[i], NULL, stop, &stoppers[i]) == 0);
        }
        for (int i = 0; i < 5; i++) ws_free(&peers[i]);
        for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(memcmp(&stoppers[0].report, &stoppers[1].report, sizeof stoppers[0].report) == 0);
        host_free(&host);
    }
}

TEST(stop_cuts_who_does_not_go, PLAIN, 20) {
    struct host host;
    struct ws peers[3];
    roomcast_stop_report report;
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_CLOSE_TIMEOUT_MS, 60000));
    host_start(&host);
    for (int i = 0; i < 3; i++) host_join(&host, &peers[i], "/r");
    int half = ws_tcp(host.port), silent = ws_tcp(host.port);
    CHECK(write(half, "GET /ws HTT", 11) == 11);
    uint64_t began = suite_now_ms();
    OK(roomcast_engine_stop_within(host.engine, 50, &report));
    CHECK(suite_now_ms() < began + 3000 * suite_slow());
    CHECK(report.connections >= 3 && report.cut >= 3);
    CHECK(report.cut <= report.connections);
    EQ(3, host_count(&host, ROOMCAST_EVENT_CLOSED, 0));
    for (int i = 0; i < 3; i++) ws_free(&peers[i]);
    close(half);
    close(silent);
    host_free(&host);
}

TEST(stop_within_zero_is_soon_over, PLAIN, 20) {
    struct host host;
    struct ws ws;
    host_open(&host);
    host_join(&host, &ws, "/r");
    uint64_t began = suite_now_ms();
    OK(roomcast_engine_stop_within(host.engine, 0, NULL));
    CHECK(suite_now_ms() < began + 1000 * suite_slow());
    ws_free(&ws);
    host_free(&host);
}

TEST(after_the_stop_calls_say_so, PLAIN, 20) {
    struct host host;
    struct ws ws;
    uint64_t room = 0, other = 0;
    size_t members = 99;
    roomcast_ids *ids = NULL;
    roomcast_text *text = NULL;
    host_open(&host);
    uint64_t id = host_join(&host, &ws, "/r");
    OK(roomcast_room_hold(host.engine, S("r"), &room));
    ws_free(&ws);
    OK(roomcast_engine_stop(host.engine, NULL));
    IS(STOPPED, roomcast_engine_publish(host.engine, S("r"), TEXT_KIND, B("x"), NULL));
    IS(STOPPED, roomcast_room_publish(host.engine, room, TEXT_KIND, B("x"), NULL));
    IS(STOPPED, roomcast_engine_send_all(host.engine, TEXT_KIND, B("x")));
    IS(STOPPED, roomcast_user_send(host.engine, S("u"), TEXT_KIND, B("x")));
    IS(STOPPED, roomcast_engine_connections(host.engine, &ids));
    roomcast_status status = roomcast_connection_send(host.engine, id, TEXT_KIND, B("x"));
    CHECK(status == ROOMCAST_STATUS_STOPPED || status == ROOMCAST_STATUS_GONE);
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    IS(STOPPED, roomcast_engine_adopt(host.engine, pair[0], B("")));
    CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
    OK(roomcast_engine_count(host.engine, S("r"), &members));
    EQ(0, members);
    OK(roomcast_engine_metrics(host.engine, &text));
    roomcast_text_free(text);
    status = roomcast_room_hold(host.engine, S("s"), &other);
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_STOPPED);
    OK(roomcast_room_release(host.engine, room));
    host_free(&host);
}

TEST(a_configuration_starts_several_engines, PLAIN, 20) {
    roomcast_config *config = host_config();
    roomcast_engine *engines[5];
    struct ws ws;
    for (int i = 0; i < 5; i++) engines[i] = engine_of(config);
    roomcast_config_free(config);
    OK(roomcast_engine_stop(engines[2], NULL));
    for (int i = 0; i < 5; i++) {
        if (i == 2) continue;
        EQ(200, ws_get(port_of(engines[i]), "GET", "/health", NULL, 0));
        EQ(404, ws_get(port_of(engines[i]), "GET", "/", NULL, 0));
    }
    ws_ask(&ws, ws_tcp(port_of(engines[0])), "/", "Origin: https://elsewhere.example\r\n");
    EQ(403, ws.status);
    ws_free(&ws);
    for (int i = 4; i >= 0; i--) roomcast_engine_free(engines[i]);
}

static int finalized;

static void on_finalized(void *data) {
    CHECK(data == &finalized);
    COUNT_UP(finalized);
}

static void on_event(void *data, const roomcast_engine *engine, const roomcast_event *event) {
    (void)data, (void)engine, (void)event;
}

TEST(the_callbacks_data_outlives_its_last_user, PLAIN, 20) {
    roomcast_config *config = host_config();
    OK(roomcast_config_set_callback(config, &finalized, on_event, on_finalized));
    roomcast_engine *first = engine_of(config), *second = engine_of(config);
    roomcast_engine_free(first);
    roomcast_config_free(config);
    EQ(0, LOAD(finalized));
    roomcast_engine_free(second);
    EQ(1, LOAD(finalized));
}

TEST(a_unix_socket_is_made_and_removed, PLAIN, 20) {
    char path[128], listener[64];
    struct stat stat_buf;
    struct ws ws;
    roomcast_config *config = NULL;
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(listener, sizeof listener, "roomcast-suite-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/%s", folder, listener);
    OK(roomcast_config_new(ROOMCAST_VERSION, &config));
    OK(roomcast_config_add_unix_listener(config, S(path)));
    roomcast_engine *engine = engine_of(config);
    EQ(0, roomcast_engine_address_count(engine));
    char why[300] = "";
    roomcast_engine *second = NULL;
    IS(IO, roomcast_engine_new(config, &second, why, sizeof why));
    HAS(listener, why);
    roomcast_config_free(config);
    ws_ask(&ws, ws_unix(path), "/nobody/answers", "Origin: https://elsewhere.example\r\n");
    EQ(403, ws.status);
    ws_free(&ws);
    roomcast_engine_free(engine);
    CHECK(stat(path, &stat_buf) != 0);
}

static size_t entries_of(const char *folder) {
    DIR *directory = opendir(folder);
    size_t count = 0;
    CHECK(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

static size_t rss_pages(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long size = 0, resident = 0;
    CHECK(file && fscanf(file, "%lu %lu", &size, &resident) == 2);
    fclose(file);
    return resident;
}

/* One life with a peer that joins, hears and is there at the stop; of each way in turn. */
static void cycle(int round) {
    roomcast_config *config = host_config();
    struct ws ws = {0};
    roomcast_event events[4];
    size_t count = 0;
    char text[1024];
    OK(roomcast_config_set_shards(config, round % 3 == 2 ? 0 : 1));
    OK(roomcast_config_set_own_threads(config, round % 3 != 2));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_STOP_SPREAD_MS, 0));
    if (round % 3 == 0) OK(roomcast_config_set_callback(config, NULL, on_event, NULL));
    roomcast_engine *engine = engine_of(config);
    roomcast_config_free(config);
    ws.fd = ws_tcp(port_of(engine));
    size_t len = ws_request(text, sizeof text, "/r", NULL);
    CHECK(write(ws.fd, text, len) == (ssize_t)len);
    if (round % 3 == 1) {
        OK(roomcast_engine_wait(engine, -1, sizeof *events, 1, events, &count));
        OK(host_accept(engine, events));
        roomcast_events_free(sizeof *events, 1, events);
        OK(roomcast_engine_wait(engine, -1, sizeof *events, 1, events, &count));
        OK(roomcast_engine_publish(engine, S("r"), TEXT_KIND, B("x"), NULL));
        roomcast_events_free(sizeof *events, 1, events);
    }
    if (round % 3 == 2) roomcast_engine_turn(engine, 0);
    ws_reset(&ws);
    OK(roomcast_engine_stop_within(engine, 20, NULL));
    roomcast_engine_free(engine);
}

TEST(a_thousand_lives_leave_nothing, MEASURES | HEAVY, 120) {
    for (int i = 0; i < 200; i++) cycle(i);
    size_t rss = rss_pages(), fds = entries_of("/proc/self/fd");
    EQ(3, entries_of("/proc/self/task"));
    for (int i = 0; i < 1000; i++) cycle(i);
    EQ(fds, entries_of("/proc/self/fd"));
    EQ(3, entries_of("/proc/self/task"));
    size_t grown = rss_pages() > rss ? rss_pages() - rss : 0;
    if (grown > 256) suite_fail(__FILE__, __LINE__, "grew by %zu pages", grown);
}

TEST(a_few_lives, THREADS, 60) {
    int rounds = suite_rounds(30);
    for (int i = 0; i < rounds + 2; i++) cycle(i);
}
