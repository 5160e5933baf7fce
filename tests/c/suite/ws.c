/* The blocking WebSocket client; see ws.h. Writes with MSG_NOSIGNAL, reads with a deadline. */
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <openssl/ssl.h>

#include "suite.h"

/* The example of RFC 6455, section 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define KEY_ANSWER "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static void connected(int fd, const struct sockaddr *address, socklen_t size) {
    CHECK(fd >= 0);
    while (connect(fd, address, size) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            suite_fail(__FILE__, __LINE__, "connect: %s", strerror(errno));
        suite_nap();
    }
}

int ws_tcp(uint16_t port) {
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    connected(fd, (struct sockaddr *)&address, sizeof address);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    return fd;
}

int ws_unix(const char *path) {
    struct sockaddr_un address = {0};
    address.sun_family = AF_UNIX;
    CHECK(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    connected(fd, (struct sockaddr *)&address, sizeof address);
    return fd;
}

/* What an engine that closes refuses is no failure of the test; what it then sends is. */
static void send_all(struct ws *ws, const void *data, size_t len) {
    const char *bytes = data;
    while (len > 0) {
        ssize_t sent = ws->tls ? SSL_write(ws->tls, bytes, (int)len)
                               : send(ws->fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR && !ws->tls) continue;
        if (sent <= 0) return;
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* What a record brings; an end is one however it comes. */
static ssize_t decrypted(struct ws *ws, void *into, size_t place) {
    int got = SSL_read(ws->tls, into, (int)place);
    if (got > 0) return got;
    errno = SSL_get_error(ws->tls, got) == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
    return -1;
}

/* Reads more; false at the end of the stream, also after a reset. */
static bool more(struct ws *ws) {
    if (ws->used > 0) {
        memmove(ws->in, ws->in + ws->used, ws->have - ws->used);
        ws->have -= ws->used;
        ws->used = 0;
    }
    if (ws->place - ws->have < 65536) {
        ws->place = ws->place * 2 + 131072;
        ws->in = realloc(ws->in, ws->place);
        CHECK(ws->in);
    }
    ssize_t got;
    do {
        size_t place = ws->place - ws->have;
        got = ws->tls ? decrypted(ws, ws->in + ws->have, place)
                      : recv(ws->fd, ws->in + ws->have, place, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != ECONNRESET && errno != EPIPE)
        suite_fail(__FILE__, __LINE__, "recv: %s", strerror(errno));
    if (got <= 0) return false;
    ws->have += (size_t)got;
    return true;
}

static bool need(struct ws *ws, size_t bytes) {
    while (ws->have - ws->used < bytes)
        if (!more(ws)) return false;
    return true;
}

size_t ws_request(char *text, size_t size, const char *target, const char *more_headers) {
    int len = snprintf(text, size,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: " KEY "\r\n%s\r\n",
                       target, more_headers ? more_headers : "");
    CHECK(len > 0 && (size_t)len < size);
    return (size_t)len;
}

/* A peer that has sent nothing yet. */
static void begin(struct ws *ws, int fd, SSL *tls) {
    struct timeval patience = {30 * (suite_slow() > 1 ? 6 : 1), 0};
    memset(ws, 0, sizeof *ws);
    ws->fd = fd;
    ws->tls = tls;
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
}

/* Reads the response's head. */
static void answered(struct ws *ws) {
    while (!ws->have || !memmem(ws->in, ws->have, "\r\n\r\n", 4))
        if (!more(ws)) return;
    unsigned char *end = memmem(ws->in, ws->have, "\r\n\r\n", 4);
    size_t head = (size_t)(end - ws->in) + 4;
    CHECK(head < sizeof ws->head);
    memcpy(ws->head, ws->in, head);
    ws->used = head;
    CHECK(sscanf(ws->head, "HTTP/1.1 %d", &ws->status) == 1);
}

void ws_answer(struct ws *ws, int fd) {
    begin(ws, fd, NULL);
    answered(ws);
}

static void ask(struct ws *ws, const char *target, const char *more_headers) {
    char text[8192];
    size_t len = ws_request(text, sizeof text, target, more_headers);
    send_all(ws, text, len);
    answered(ws);
    if (ws->status == 101) HAS(KEY_ANSWER, ws->head);
}

void ws_ask(struct ws *ws, int fd, const char *target, const char *more_headers) {
    begin(ws, fd, NULL);
    ask(ws, target, more_headers);
}

void ws_ask_tls(struct ws *ws, SSL *tls, const char *target, const char *more_headers) {
    begin(ws, SSL_get_fd(tls), tls);
    ask(ws, target, more_headers);
}

void ws_open(struct ws *ws, uint16_t port, const char *target) {
    suite_at(__FILE__, __LINE__, target);
    ws_ask(ws, ws_tcp(port), target, NULL);
    EQ(101, ws->status);
}

void ws_frame(struct ws *ws, bool last, int opcode, const void *data, size_t len) {
    static const unsigned char mask[4] = {0x12, 0x9a, 0x5c, 0xe3};
    unsigned char *frame = malloc(len + 14);
    size_t n = 2;
    CHECK(frame);
    frame[0] = (unsigned char)((last ? 0x80 : 0) | opcode);
    if (len < 126) {
        frame[1] = (unsigned char)(0x80 | len);
    } else {
        int bytes = len < 65536 ? 2 : 8;
        frame[1] = bytes == 2 ? 0x80 | 126 : 0x80 | 127;
        for (int i = bytes - 1; i >= 0; i--)
            frame[n++] = (unsigned char)((uint64_t)len >> (8 * i));
    }
    memcpy(frame + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        frame[n + i] = (unsigned char)(((const unsigned char *)data)[i] ^ mask[i % 4]);
    send_all(ws, frame, n + len);
    free(frame);
}

void ws_say(struct ws *ws, const char *text) {
    ws_frame(ws, true, WS_TEXT, text, strlen(text));
}

void ws_send_close(struct ws *ws, int code, const char *text) {
    unsigned char data[125] = {(unsigned char)(code >> 8), (unsigned char)code};
    CHECK(strlen(text) <= 123);
    memcpy(data + 2, text, strlen(text));
    ws_frame(ws, true, WS_CLOSE, data, 2 + strlen(text));
}

/* One frame: its payload is in[used - len .. used] afterwards. */
static bool frame_in(struct ws *ws, bool *last, int *opcode, size_t *len) {
    if (!need(ws, 2)) return false;
    const unsigned char *head = ws->in + ws->used;
    int bytes = (head[1] & 127) < 126 ? 0 : (head[1] & 127) == 126 ? 2 : 8;
    CHECK(!(head[1] & 0x80) && !(head[0] & 0x70));
    if (!need(ws, 2 + (size_t)bytes)) return false;
    head = ws->in + ws->used;
    *last = head[0] & 0x80;
    *opcode = head[0] & 15;
    *len = bytes ? 0 : head[1] & 127;
    for (int i = 0; i < bytes; i++) *len = *len << 8 | head[2 + i];
    if (!need(ws, 2 + (size_t)bytes + *len)) return false;
    ws->used += 2 + (size_t)bytes + *len;
    return true;
}

static void append(struct ws *ws, const void *data, size_t len) {
    ws->data = realloc(ws->data, ws->len + len + 1);
    CHECK(ws->data);
    memcpy(ws->data + ws->len, data, len);
    ws->len += len;
    ws->data[ws->len] = 0;
}

bool ws_hear(struct ws *ws) {
    bool last = false;
    int opcode = 0;
    size_t len = 0;
    ws->len = 0;
    ws->opcode = 0;
    while (frame_in(ws, &last, &opcode, &len)) {
        const unsigned char *payload = ws->in + ws->used - len;
        if (opcode == WS_CLOSE) {
            ws->close_code = len >= 2 ? payload[0] << 8 | payload[1] : 1005;
            append(ws, payload + (len >= 2 ? 2 : 0), len >= 2 ? len - 2 : 0);
            return false;
        }
        if (opcode == WS_PING) ws_frame(ws, true, WS_PONG, payload, len);
        if (opcode == WS_PING || opcode == WS_PONG) continue;
        if (opcode != WS_MORE) ws->opcode = opcode;
        append(ws, payload, len);
        if (last) return true;
    }
    return false;
}

void ws_expect(struct ws *ws, const char *text) {
    suite_at(__FILE__, __LINE__, text);
    if (!ws_hear(ws)) suite_fail(__FILE__, __LINE__, "closed, wanted \"%s\"", text);
    if (ws->len != strlen(text) || memcmp(ws->data, text, ws->len) != 0)
        suite_fail(__FILE__, __LINE__, "heard \"%.60s\", wanted \"%.60s\"", ws->data, text);
}

int ws_expect_end(struct ws *ws) {
    suite_at(__FILE__, __LINE__, "the end of a stream");
    while (ws->status == 101 && ws_hear(ws)) continue;
    while (more(ws)) ws->used = ws->have;
    return ws->close_code;
}

void ws_free(struct ws *ws) {
    if (ws->tls) SSL_free(ws->tls);
    else if (ws->fd >= 0) close(ws->fd);
    free(ws->in);
    free(ws->data);
    memset(ws, 0, sizeof *ws);
    ws->fd = -1;
}

void ws_reset(struct ws *ws) {
    struct linger now = {1, 0};
    CHECK(setsockopt(ws->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    ws_free(ws);
}

int ws_get(uint16_t port, const char *method, const char *path, char *body, size_t size) {
    struct ws ws;
    char text[1024];
    int len = snprintf(text, sizeof text,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method,
                       path);
    begin(&ws, ws_tcp(port), NULL);
    send_all(&ws, text, (size_t)len);
    answered(&ws);
    while (more(&ws)) continue;
    size_t got = ws.have - ws.used;
    if (size > 0) {
        got = got < size - 1 ? got : size - 1;
        if (got > 0) memcpy(body, ws.in + ws.used, got);
        body[got] = 0;
    }
    int status = ws.status;
    ws_free(&ws);
    return status;
}
