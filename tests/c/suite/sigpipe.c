/* SIGPIPE as a program finds it: a peer that resets in the middle of what it is sent must not end
 * the host, over TCP and over unix sockets, nor while a page is on its way. */
#include "host.h"

#include <sys/socket.h>

static char large[200000];

static void check_default(void) {
    struct sigaction action;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
}

static void check_alive(struct host *host) {
    struct sigaction action;
    sigset_t mask;
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && !sigismember(&mask, SIGPIPE));
    CHECK(!roomcast_engine_is_broken(host->engine));
}

/* A peer that joins, hears `bytes` of the burst and resets. */
static void reset_in_burst(struct host *host, struct ws *ws, size_t bytes) {
    static char sink[65536];
    roomcast_bytes burst = roomcast_bytes_of(large, sizeof large);
    for (int i = 0; i < 8; i++) {
        roomcast_status status =
            roomcast_engine_publish(host->engine, S("burst"), BINARY_KIND, burst, NULL);
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_BEHIND);
        status = roomcast_engine_send_all(host->engine, BINARY_KIND, burst);
        CHECK(status == ROOMCAST_STATUS_OK);
    }
    while (bytes > 0) {
        size_t part = bytes < sizeof sink ? bytes : sizeof sink;
        ssize_t got = recv(ws->fd, sink, part, 0);
        if (got <= 0) break;
        bytes -= (size_t)got;
    }
    ws_reset(ws);
    for (int i = 0; i < 3; i++)
        roomcast_engine_publish(host->engine, S("burst"), BINARY_KIND, burst, NULL);
}

static const size_t moments[] = {0, 1, 10, 1000, 65536, 200000, 200010, 400000, 1000000};

TEST(resets_over_tcp, PLAIN, 60) {
    struct host host;
    struct ws ws;
    check_default();
    host_open(&host);
    for (int round = 0; round < suite_rounds(6); round++) {
        for (size_t i = 0; i < LENGTH(moments); i++) {
            host_join(&host, &ws, "/burst");
            reset_in_burst(&host, &ws, moments[i]);
        }
        check_alive(&host);
    }
    host_free(&host);
}

TEST(resets_over_a_unix_socket, PLAIN, 60) {
    struct host host;
    struct ws ws;
    char path[128];
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    check_default();
    snprintf(path, sizeof path, "%s/roomcast-suite-%d", folder, (int)getpid());
    host_prepare(&host);
    OK(roomcast_config_add_unix_listener(host.config, S(path)));
    host_start(&host);
    for (int round = 0; round < suite_rounds(6); round++) {
        for (size_t i = 0; i < LENGTH(moments); i++) {
            ws_ask(&ws, ws_unix(path), "/burst", NULL);
            EQ(101, ws.status);
            reset_in_burst(&host, &ws, moments[i]);
        }
        check_alive(&host);
    }
    host_free(&host);
}

static void on_page(void *data, const roomcast_request *request, roomcast_page *page) {
    (void)request;
    COUNT_UP(*(int *)data);
    OK(roomcast_page_set(page, 200, S("text/plain"), roomcast_bytes_of(large, sizeof large)));
}

TEST(resets_during_a_page, PLAIN, 60) {
    struct host host;
    struct ws ws;
    int calls = 0, wanted = 0;
    char sink[1000];
    check_default();
    host_prepare(&host);
    OK(roomcast_config_set_pages(host.config, &calls, on_page, NULL));
    host_start(&host);
    for (int i = 0; i < suite_rounds(100); i++) {
        static const char request[] = "GET /p HTTP/1.1\r\nHost: x\r\n\r\n";
        memset(&ws, 0, sizeof ws);
        ws.fd = ws_tcp(host.port);
        int size = 4096;
        CHECK(setsockopt(ws.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
        CHECK(write(ws.fd, request, sizeof request - 1) == (ssize_t)sizeof request - 1);
        wanted++;
        if (i % 2) CHECK(recv(ws.fd, sink, sizeof sink, 0) > 0);
        else UNTIL(LOAD(calls) == wanted);
        ws_reset(&ws);
    }
    check_alive(&host);
    EQ(200, ws_get(host.port, "GET", "/p", sink, sizeof sink));
    host_free(&host);
}

/* Over a socket that the host handed over, which no listener has prepared. */
TEST(resets_of_adopted_sockets, PLAIN, 60) {
    struct host host;
    struct ws ws;
    check_default();
    host_open(&host);
    for (int i = 0; i < suite_rounds(40); i++) {
        int ends[2];
        char request[1024];
        size_t len = ws_request(request, sizeof request, "/burst", NULL);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        OK(roomcast_engine_adopt(host.engine, ends[0], roomcast_bytes_of(request, len)));
        ws_answer(&ws, ends[1]);
        EQ(101, ws.status);
        reset_in_burst(&host, &ws, moments[(size_t)i % LENGTH(moments)]);
    }
    check_alive(&host);
    host_free(&host);
}
