/* A tiny HTTP server of the host's own, which hands WebSockets over to the engine: a page at /,
 * and at /ws and /ws2 one room, "lobby", in which each message goes to all.
 *
 * /ws: the engine is given the socket with what was read of it, and does the rest.
 * /ws2: the host, which has read the request, has it checked, sends the response, hands over.
 *
 * Each request has a thread; events come as callbacks on the engine's threads; the main thread
 * accepts. A real server has its own way to do that, and more limits.
 *
 *     cc adopt.c -o adopt -pthread $(pkg-config --cflags --libs roomcast)
 *     ./adopt --port 8080
 */
#define _DEFAULT_SOURCE

#include <roomcast.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 8192, HEADERS_MAX = 64, REQUEST_MS_MAX = 5000 };

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>roomcast</title>\n"
    "<form><input autofocus> <button>send</button></form><pre></pre>\n"
    "<script>\n"
    "const way = location.search === '?2' ? '/ws2' : '/ws'\n"
    "const socket = new WebSocket('ws://' + location.host + way)\n"
    "const say = text => document.querySelector('pre').append(text + '\\n')\n"
    "socket.onopen = () => say('joined by ' + way)\n"
    "socket.onmessage = event => say(event.data)\n"
    "socket.onclose = event => say('closed: ' + event.code)\n"
    "document.querySelector('form').onsubmit = event => {\n"
    "  event.preventDefault()\n"
    "  const input = document.querySelector('input')\n"
    "  socket.send(input.value)\n"
    "  input.value = ''\n"
    "}\n"
    "</script>\n";

/* Threads that are at a request: the engine is let go of when there are none. */
static pthread_mutex_t at_work = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nobody = PTHREAD_COND_INITIALIZER;
static size_t workers;

/* A request: its head, perhaps with what came behind it, and where in it things are. */
struct request {
    const roomcast_engine *engine;
    int fd;
    char head[HEAD_BYTES_MAX];
    size_t len, head_len;
    roomcast_str method, target;
    roomcast_header headers[HEADERS_MAX];
    size_t header_count;
};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "adopt: %s: %s\n", what, why);
    exit(1);
}

static void must(roomcast_status status, const char *what) {
    if (status != ROOMCAST_STATUS_OK) fail(what, roomcast_status_text(status));
}

static int sys(int result, const char *what) {
    if (result < 0) fail(what, strerror(errno));
    return result;
}

static bool is(roomcast_str text, const char *wanted) {
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- The engine's side ---- */

static const roomcast_str lobby = {"lobby", 5};

static const roomcast_accept *into_the_lobby(void) {
    static const roomcast_accept accept = {
        .struct_size = sizeof accept, .rooms = &lobby, .room_count = 1};
    return &accept;
}

static void on_event(void *user_data, const roomcast_engine *engine,
                     const roomcast_event *event) {
    roomcast_status status;
    (void)user_data;
    /* Of /ws only: about /ws2 the host has decided itself. */
    if (event->kind == ROOMCAST_EVENT_CONNECTING)
        roomcast_connection_accept(engine, event->connection, into_the_lobby());
    if (event->kind != ROOMCAST_EVENT_MESSAGE) return;
    status = roomcast_engine_publish(engine, lobby, event->message_kind, event->message, NULL);
    if (status != ROOMCAST_STATUS_OK && status != ROOMCAST_STATUS_STOPPED)
        roomcast_connection_close(engine, event->connection, 1013,
                                  roomcast_str_of(roomcast_status_text(status)));
}

/* ---- The host's side: reading a request ---- */

/* Reads until the head is complete; false when it is too long, too late, or never comes. */
static bool read_head(struct request *request) {
    int64_t until = now_ms() + REQUEST_MS_MAX;
    while (request->len < sizeof request->head) {
        struct pollfd readable = {.fd = request->fd, .events = POLLIN};
        int64_t left = until - now_ms();
        if (left <= 0 || poll(&readable, 1, (int)left) <= 0) return false;
        ssize_t got = recv(request->fd, request->head + request->len,
                           sizeof request->head - request->len, 0);
        if (got <= 0) return false;
        request->len += (size_t)got;
        for (size_t i = 3; i < request->len; i++) {
            if (memcmp(request->head + i - 3, "\r\n\r\n", 4) != 0) continue;
            request->head_len = i + 1;
            return true;
        }
    }
    return false;
}

/* What stands before `end`, from `*at` on, which moves behind it. */
static bool next(const char **at, const char *end, const char *until, roomcast_str *text) {
    size_t len = strlen(end);
    for (const char *here = *at; here + len <= until; here++) {
        if (memcmp(here, end, len) != 0) continue;
        text->data = *at;
        text->len = (size_t)(here - *at);
        *at = here + len;
        return true;
    }
    return false;
}

/* Finds method, target and header fields. Whether they make sense, the engine checks. */
static bool parse(struct request *request) {
    const char *at = request->head, *until = request->head + request->head_len;
    roomcast_str line, version;
    if (!next(&at, " ", until, &request->method) || !next(&at, " ", until, &request->target) ||
        !next(&at, "\r\n", until, &version) || !is(version, "HTTP/1.1"))
        return false;
    while (next(&at, "\r\n", until, &line) && line.len > 0) {
        const char *colon = memchr(line.data, ':', line.len), *end = line.data + line.len;
        if (!colon || request->header_count == HEADERS_MAX) return false;
        const char *value = colon + 1;
        while (value < end && (*value == ' ' || *value == '\t')) value++;
        roomcast_header *header = &request->headers[request->header_count++];
        header->name.data = line.data;
        header->name.len = (size_t)(colon - line.data);
        header->value = roomcast_bytes_of(value, (size_t)(end - value));
    }
    return true;
}

/* ---- The host's side: answering it ---- */

static bool send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void answer(const struct request *request, const char *status, const char *type,
                   const char *body) {
    char head[256];
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n"
                       "connection: close\r\n\r\n",
                       status, type, strlen(body));
    if (send_all(request->fd, head, (size_t)len)) send_all(request->fd, body, strlen(body));
}

/* The first way. True where the socket is the engine's, which then answers it, whatever it is. */
static bool adopt_unread(const struct request *request) {
    roomcast_status status = roomcast_engine_adopt(
        request->engine, request->fd, roomcast_bytes_of(request->head, request->len));
    if (status == ROOMCAST_STATUS_OK) return true;
    answer(request, "503 Service Unavailable", "text/plain", roomcast_status_text(status));
    return false;
}

/* The second way. True where the socket is the engine's. A client that has the response is in the
 * lobby a moment later, when the socket was handed over. */
static bool adopt_checked(const struct request *request) {
    roomcast_upgrade *upgrade;
    bool adopted = false;
    roomcast_status status =
        roomcast_upgrade_new(request->engine, request->method, request->target,
                             request->headers, request->header_count, &upgrade);
    if (status != ROOMCAST_STATUS_OK) {
        answer(request, "400 Bad Request", "text/plain", roomcast_status_text(status));
        return false;
    }
    /* Here a host would look who it is. Where the status is not 101, the response says so. */
    bool upgraded = roomcast_upgrade_status(upgrade) == 101 &&
                    roomcast_upgrade_accept(upgrade, into_the_lobby()) == ROOMCAST_STATUS_OK;
    roomcast_str response = roomcast_upgrade_response(upgrade);
    if (send_all(request->fd, response.data, response.len) && upgraded) {
        roomcast_bytes leftover = roomcast_bytes_of(request->head + request->head_len,
                                                    request->len - request->head_len);
        status = roomcast_upgrade_adopt(upgrade, request->fd, leftover);
        adopted = status == ROOMCAST_STATUS_OK;
        if (!adopted) fprintf(stderr, "adopt: %s\n", roomcast_status_text(status));
    }
    roomcast_upgrade_free(upgrade);
    return adopted;
}

/* The thread of one request. */
static void *serve(void *data) {
    struct request *request = data;
    bool adopted = false;
    if (!read_head(request) || !parse(request))
        answer(request, "400 Bad Request", "text/plain", "no request that this server knows\n");
    else if (is(request->target, "/ws"))
        adopted = adopt_unread(request);
    else if (is(request->target, "/ws2"))
        adopted = adopt_checked(request);
    else if (is(request->target, "/") || is(request->target, "/?2"))
        answer(request, "200 OK", "text/html; charset=utf-8", page);
    else
        answer(request, "404 Not Found", "text/plain", "there is /, /ws and /ws2\n");
    if (!adopted) close(request->fd);
    free(request);

    pthread_mutex_lock(&at_work);
    if (--workers == 0) pthread_cond_signal(&nobody);
    pthread_mutex_unlock(&at_work);
    return NULL;
}

/* ---- The host's side: sockets and threads ---- */

static void serve_on_thread(const roomcast_engine *engine, int fd) {
    struct timeval patience = {REQUEST_MS_MAX / 1000, 0};
    struct request *request = calloc(1, sizeof *request);
    pthread_t thread;
    if (!request) {
        close(fd);
        return;
    }
    request->engine = engine;
    request->fd = fd;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    pthread_mutex_lock(&at_work);
    if (pthread_create(&thread, NULL, serve, request) == 0) {
        pthread_detach(thread);
        workers++;
    } else {
        close(fd);
        free(request);
    }
    pthread_mutex_unlock(&at_work);
}

static int open_listener(unsigned long port, uint16_t *bound) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int on = 1, fd = sys(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    if (port > UINT16_MAX) fail("--port", "above 65535");
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sys(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    sys(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    sys(listen(fd, SOMAXCONN), "listen");
    sys(getsockname(fd, (struct sockaddr *)&address, &len), "getsockname");
    *bound = ntohs(address.sin_port);
    return fd;
}

static roomcast_engine *start(void) {
    roomcast_config *config;
    roomcast_engine *engine;
    char why[256];
    must(roomcast_config_new(ROOMCAST_VERSION, &config), "configuration");
    must(roomcast_config_set_callback(config, NULL, on_event, NULL), "callback");
    if (roomcast_engine_new(config, &engine, why, sizeof why) != ROOMCAST_STATUS_OK)
        fail("engine", why);
    roomcast_config_free(config);
    return engine;
}

/* Accepts until a signal asks to end. */
static void accept_all(const roomcast_engine *engine, int listener, int signals) {
    struct pollfd ready[] = {{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    for (;;) {
        if (poll(ready, 2, -1) < 0 && errno != EINTR) fail("poll", strerror(errno));
        if (ready[1].revents) return;
        if (!ready[0].revents) continue;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            serve_on_thread(engine, fd);
        else if (errno != ECONNABORTED && errno != EINTR)
            fprintf(stderr, "adopt: accept: %s\n", strerror(errno));
    }
}

int main(int argc, char **argv) {
    char *end = "";
    unsigned long port = 8080;
    uint16_t bound;
    sigset_t ends;
    if (argc == 3 && strcmp(argv[1], "--port") == 0) port = strtoul(argv[2], &end, 10);
    if ((argc != 1 && argc != 3) || *end != '\0') fail("usage", "adopt [--port N]");
    /* Before any other thread is there, all of which inherit it. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    int signals = sys(signalfd(-1, &ends, SFD_CLOEXEC), "signalfd");
    int listener = open_listener(port, &bound);
    roomcast_engine *engine = start();
    printf("listening on 127.0.0.1:%u\n", (unsigned)bound);
    fflush(stdout);

    accept_all(engine, listener, signals);
    close(listener);
    close(signals);
    roomcast_stop_report report;
    must(roomcast_engine_stop(engine, &report), "stop");
    pthread_mutex_lock(&at_work);
    while (workers > 0) pthread_cond_wait(&nobody, &at_work);
    pthread_mutex_unlock(&at_work);
    printf("stopped %zu connections in %llu ms, %zu were cut\n", report.connections,
           (unsigned long long)report.took_ms, report.cut);
    roomcast_engine_free(engine);
    return 0;
}
