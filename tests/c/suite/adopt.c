/* Sockets handed over: with the request unread, half read, or read and checked by the host; what
 * is no such socket stays the host's. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "host.h"

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

/* Two connected ends, over TCP or a unix socket. */
static void pair_of(bool tcp, int ends[2]) {
    if (!tcp) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        return;
    }
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    ends[1] = ws_tcp(ntohs(address.sin_port));
    ends[0] = accept(listener, NULL, NULL);
    CHECK(ends[0] >= 0 && close(listener) == 0);
}

static void talk(struct host *host, struct ws *ws, const char *path) {
    EQ(101, ws->status);
    size_t before = host_count(host, ROOMCAST_EVENT_MESSAGE, 0);
    ws_say(ws, path);
    uint64_t id = host_wait(host, ROOMCAST_EVENT_MESSAGE, 0, before).connection;
    OK(roomcast_connection_send(host->engine, id, TEXT_KIND, B(path)));
    ws_expect(ws, path);
    ws_free(ws);
    host_wait(host, ROOMCAST_EVENT_CLOSED, id, 0);
}

/* The host has read `taken` bytes of the request before it hands the socket over. */
static void adopt_after(struct host *host, bool tcp, size_t taken) {
    char request[1024], head[1024];
    int ends[2];
    struct ws ws;
    size_t len = ws_request(request, sizeof request, "/adopted", NULL);
    taken = taken < len ? taken : len;
    pair_of(tcp, ends);
    CHECK(write(ends[1], request, len) == (ssize_t)len);
    if (taken > 0) CHECK(recv(ends[0], head, taken, MSG_WAITALL) == (ssize_t)taken);
    OK(roomcast_engine_adopt(host->engine, ends[0], roomcast_bytes_of(head, taken)));
    ws_answer(&ws, ends[1]);
    talk(host, &ws, "/adopted");
}

TEST(adopted_at_every_byte, PLAIN, 60) {
    struct host host;
    host_open(&host);
    size_t step = suite_slow() > 1 ? 40 : 7;
    for (int tcp = 0; tcp < 2; tcp++)
        for (size_t taken = 0; taken < 220; taken += step) adopt_after(&host, tcp, taken);
    adopt_after(&host, true, 1024);
    host_free(&host);
}

static roomcast_upgrade *upgrade_of(struct host *host, const char *method, const char *upgrade,
                                    const char *version, const char *origin) {
    const roomcast_header headers[] = {
        {S("host"), B("here.example")},
        {S("CONNECTION"), B("keep-alive, Upgrade")},
        {S("upgrade"), B(upgrade)},
        {S("sec-websocket-version"), B(version)},
        {S("sec-websocket-key"), B("dGhlIHNhbXBsZSBub25jZQ==")},
        {S("sec-websocket-protocol"), B("v1")},
        {S("origin"), B(origin)},
    };
    roomcast_upgrade *made = NULL;
    OK(roomcast_upgrade_new(host->engine, S(method), S("/ws?room=7"), headers, LENGTH(headers),
                            &made));
    return made;
}

#define OURS "https://here.example"

TEST(bad_requests_get_their_status, PLAIN, 20) {
    static const struct {
        const char *method, *upgrade, *version, *origin;
        uint32_t status;
    } requests[] = {
        {"GET", "websocket", "13", OURS, 101},
        {"GET", "WebSocket", "13", OURS, 101},
        {"POST", "websocket", "13", OURS, 405},
        {"GET", "websocket", "12", OURS, 426},
        {"GET", "websocket", "13", "https://elsewhere.example", 403},
    };
    struct host host;
    char start[32];
    host_open(&host);
    for (size_t i = 0; i < LENGTH(requests); i++) {
        roomcast_upgrade *upgrade = upgrade_of(&host, requests[i].method, requests[i].upgrade,
                                               requests[i].version, requests[i].origin);
        EQ(requests[i].status, roomcast_upgrade_status(upgrade));
        snprintf(start, sizeof start, "HTTP/1.1 %u ", requests[i].status);
        roomcast_str response = roomcast_upgrade_response(upgrade);
        CHECK(response.len > strlen(start) && memcmp(response.data, start, strlen(start)) == 0);
        CHECK(memmem(response.data, response.len, "\r\n\r\n", 4));
        if (requests[i].status != 101) {
            int fd = ws_tcp(host.port);
            IS(NOT_UPGRADE, roomcast_upgrade_adopt(upgrade, fd, B("")));
            CHECK(is_open(fd) && close(fd) == 0);
            IS(NOT_UPGRADE, roomcast_upgrade_accept(upgrade, NULL));
        }
        roomcast_upgrade_free(upgrade);
    }
    host_free(&host);
}

static int freed;

static void on_free(void *data) {
    CHECK(data == &freed);
    COUNT_UP(freed);
}

static roomcast_accept ticketed(void) {
    roomcast_accept accept = {0};
    accept.struct_size = sizeof accept;
    accept.data = &freed;
    accept.data_free = on_free;
    return accept;
}

static void upgrade_and_talk(struct host *host, bool tcp) {
    int ends[2];
    struct ws ws;
    roomcast_accept accept = ticketed();
    const roomcast_str room = S("up");
    roomcast_upgrade *upgrade = upgrade_of(host, "GET", "websocket", "13", OURS);
    freed = 0;
    accept.rooms = &room;
    accept.room_count = 1;
    accept.subprotocol = S("v1");
    OK(roomcast_upgrade_accept(upgrade, &accept));
    OK(roomcast_upgrade_accept(upgrade, &accept));
    EQ(1, LOAD(freed));
    pair_of(tcp, ends);
    roomcast_str response = roomcast_upgrade_response(upgrade);
    CHECK(write(ends[0], response.data, response.len) == (ssize_t)response.len);
    /* A whole frame, and half of one, that the host has read behind the head. */
    OK(roomcast_upgrade_adopt(upgrade, ends[0],
                              roomcast_bytes_of("\x81\x82\0\0\0\0hi\x81\x82\0", 11)));
    int other[2];
    pair_of(tcp, other);
    IS(NOT_UPGRADE, roomcast_upgrade_adopt(upgrade, other[0], B("")));
    CHECK(is_open(other[0]) && close(other[0]) == 0 && close(other[1]) == 0);
    roomcast_upgrade_free(upgrade);
    CHECK(write(ends[1], "\0\0\0yo", 5) == 5);
    ws_answer(&ws, ends[1]);
    EQ(101, ws.status);
    HAS("v1", ws.head);
    size_t before = host_count(host, ROOMCAST_EVENT_CLOSED, 0);
    UNTIL(host_count(host, ROOMCAST_EVENT_MESSAGE, 0) == 2 + before * 2);
    struct seen seen = host_wait(host, ROOMCAST_EVENT_MESSAGE, 0, before * 2 + 1);
    TEXT("yo", S(seen.message));
    CHECK(seen.data == &freed);
    OK(roomcast_engine_publish(host->engine, S("up"), TEXT_KIND, B("all"), NULL));
    ws_expect(&ws, "all");
    ws_free(&ws);
    UNTIL(LOAD(freed) == 2);
}

TEST(an_upgrade_is_handed_over, PLAIN, 20) {
    struct host host;
    host_open(&host);
    upgrade_and_talk(&host, true);
    upgrade_and_talk(&host, false);
    EQ(0, host_count(&host, ROOMCAST_EVENT_CONNECTING, 0));
    host_free(&host);
}

TEST(an_upgrade_that_goes_nowhere_lets_go_of_its_data, PLAIN, 20) {
    struct host host;
    roomcast_accept accept = ticketed();
    host_open(&host);
    freed = 0;
    roomcast_upgrade *upgrade = upgrade_of(&host, "GET", "websocket", "13", OURS);
    OK(roomcast_upgrade_accept(upgrade, &accept));
    EQ(0, freed);
    roomcast_upgrade_free(upgrade);
    EQ(1, freed);
    host_free(&host);
}

/* Where accepting fails, the data stays the host's. */
TEST(an_accept_after_the_stop_leaves_the_data, PLAIN, 20) {
    struct host host;
    roomcast_accept accept = ticketed();
    host_open(&host);
    freed = 0;
    roomcast_upgrade *upgrade = upgrade_of(&host, "GET", "websocket", "13", OURS);
    OK(roomcast_engine_stop(host.engine, NULL));
    roomcast_status status = roomcast_upgrade_accept(upgrade, &accept);
    EQ(0, freed);
    roomcast_upgrade_free(upgrade);
    EQ(status == ROOMCAST_STATUS_OK, freed);
    host_free(&host);
}

/* Descriptors of the wrong sort: refused, still open, still the host's. */
TEST(what_is_no_such_socket_stays_the_hosts, PLAIN, 20) {
    struct host host;
    int ends[2];
    host_open(&host);
    CHECK(pipe(ends) == 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listen(listener, 1) == 0);
    int fds[] = {
        ends[0], ends[1], open("/dev/null", O_RDWR), socket(AF_INET, SOCK_DGRAM, 0),
        socket(AF_UNIX, SOCK_DGRAM, 0), listener,
    };
    int wrong = 0;
    for (size_t i = 0; i < LENGTH(fds); i++) {
        roomcast_status status = roomcast_engine_adopt(host.engine, fds[i], B(""));
        if (status != ROOMCAST_STATUS_INVALID_ARGUMENT) {
            fprintf(stderr, "  descriptor %zu: status %d\n", i, status);
            wrong++;
        }
        CHECK(status == ROOMCAST_STATUS_OK || (is_open(fds[i]) && close(fds[i]) == 0));
    }
    EQ(0, wrong);
    host_free(&host);
}

TEST(a_full_engine_leaves_the_socket, PLAIN, 20) {
    struct host host;
    struct ws ws;
    int ends[2];
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_CONNECTIONS_MAX, 1));
    host_start(&host);
    host_join(&host, &ws, "/r");
    pair_of(true, ends);
    IS(OVERLOADED, roomcast_engine_adopt(host.engine, ends[0], B("")));
    CHECK(is_open(ends[0]));
    roomcast_upgrade *upgrade = upgrade_of(&host, "GET", "websocket", "13", OURS);
    IS(OVERLOADED, roomcast_upgrade_adopt(upgrade, ends[0], B("")));
    CHECK(is_open(ends[0]) && close(ends[0]) == 0 && close(ends[1]) == 0);
    roomcast_upgrade_free(upgrade);
    ws_free(&ws);
    host_free(&host);
}
