/* A small blocking WebSocket client over POSIX sockets, TCP and unix, and over TLS; one thread per
 * peer. */
#ifndef WS_H
#define WS_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

enum ws_opcode { WS_MORE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct ssl_st;

struct ws {
    int fd;
    struct ssl_st *tls; /* NULL where it is plain; else it owns the descriptor */
    int status;         /* of the HTTP response */
    char head[4096];    /* the response's head */
    unsigned char *in;  /* read, not yet used: in[used..have] */
    size_t used, have, place;
    int opcode;         /* of the last message */
    char *data;         /* of the last message, with a zero behind it */
    size_t len;
    int close_code;     /* 0 until a close frame came; 1005 for one without a code */
};

/* Connected sockets. */
int ws_tcp(uint16_t port);
int ws_unix(const char *path);

/* Sends the request on a connected socket and reads the response's head. */
void ws_ask(struct ws *ws, int fd, const char *target, const char *more_headers);
/* The same within TLS (edge_tls). */
void ws_ask_tls(struct ws *ws, struct ssl_st *tls, const char *target, const char *more_headers);
/* The same with a new TCP connection; fails the test where the answer is not 101. */
void ws_open(struct ws *ws, uint16_t port, const char *target);
/* Only the request, as text. */
size_t ws_request(char *text, size_t size, const char *target, const char *more_headers);
/* Reads the head of a response on a socket that has sent its request. */
void ws_answer(struct ws *ws, int fd);

void ws_frame(struct ws *ws, bool last, int opcode, const void *data, size_t len);
void ws_say(struct ws *ws, const char *text);
void ws_send_close(struct ws *ws, int code, const char *text);

/* Reads the next text or binary message (pings are answered); false at a close frame or the end
 * of the stream. */
bool ws_hear(struct ws *ws);
/* Fails the test where the next message is not this text. */
void ws_expect(struct ws *ws, const char *text);
/* Reads until the end of the stream; gives the close code, 0 where there was none. */
int ws_expect_end(struct ws *ws);

/* Closes the socket: in order, or with a reset. */
void ws_free(struct ws *ws);
void ws_reset(struct ws *ws);

/* A plain HTTP request; gives the status, and the body in `body`. */
int ws_get(uint16_t port, const char *method, const char *path, char *body, size_t size);

#endif
