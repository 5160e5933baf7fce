/* A second, real client: libwebsockets. It joins and hears 1,000 publications in order, sends and
 * gets 300 KiB, and says which close code it was given. The client runs on the test's thread. */
#include <libwebsockets.h>

#include "host.h"

#define LARGE (300 * 1024)

struct client {
    struct lws *wsi;
    unsigned char *out;  /* LWS_PRE bytes, then what is to be sent */
    size_t out_len, out_done;
    char *in;
    size_t in_len, messages;
    void (*heard)(struct client *client);
    int close_code;
    bool opened, over;
};

static void received(struct client *client, struct lws *wsi, const void *data, size_t len) {
    CHECK(client->in_len + len <= LARGE);
    memcpy(client->in + client->in_len, data, len);
    client->in_len += len;
    if (lws_remaining_packet_payload(wsi) > 0 || !lws_is_final_fragment(wsi)) return;
    client->in[client->in_len] = 0;
    if (client->heard) client->heard(client);
    client->messages++;
    client->in_len = 0;
}

/* One message in parts of 16 KiB, as the library wants them. */
static void send_part(struct client *client, struct lws *wsi) {
    size_t left = client->out_len - client->out_done;
    size_t part = left < 16384 ? left : 16384;
    if (left == 0) return;
    int first = client->out_done == 0, last = part == left;
    int mode = lws_write_ws_flags(LWS_WRITE_BINARY, first, last);
    int sent = lws_write(wsi, client->out + LWS_PRE + client->out_done, part,
                         (enum lws_write_protocol)mode);
    CHECK(sent >= (int)part);
    client->out_done += part;
    if (!last) lws_callback_on_writable(wsi);
}

static int on_client(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len) {
    struct client *client = lws_context_user(lws_get_context(wsi));
    (void)user;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        client->opened = true;
        if (client->out_len > 0) lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        received(client, wsi, in, len);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        send_part(client, wsi);
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (len >= 2) client->close_code = ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1];
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        suite_fail(__FILE__, __LINE__, "libwebsockets: %s", in ? (char *)in : "no connection");
    case LWS_CALLBACK_CLIENT_CLOSED:
        client->over = true;
        break;
    default:
        break;
    }
    return 0;
}

static struct lws_context *connect_client(struct client *client, uint16_t port, const char *path) {
    static const struct lws_protocols protocols[] = {
        {.name = "roomcast", .callback = on_client, .rx_buffer_size = 65536},
        {.name = NULL},
    };
    struct lws_context_creation_info info = {0};
    struct lws_client_connect_info to = {0};
    lws_set_log_level(LLL_ERR, NULL);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.user = client;
    struct lws_context *context = lws_create_context(&info);
    CHECK(context);
    client->in = malloc(LARGE + 1);
    CHECK(client->in);
    to.context = context;
    to.address = "127.0.0.1";
    to.host = "localhost";
    to.port = port;
    to.path = path;
    to.local_protocol_name = "roomcast";
    to.pwsi = &client->wsi;
    CHECK(lws_client_connect_via_info(&to));
    return context;
}

static void disconnect_client(struct client *client, struct lws_context *context) {
    lws_context_destroy(context);
    free(client->in);
    free(client->out);
}

#define SERVE_UNTIL(context, what)                                                               \
    do {                                                                                         \
        suite_at(__FILE__, __LINE__, #what);                                                     \
        while (!(what)) {                                                                        \
            /* Without waiting inside, as what is waited for may come to the host. */            \
            CHECK(lws_service(context, -1) >= 0);                                                \
            suite_nap();                                                                         \
        }                                                                                        \
    } while (0)

static void heard_number(struct client *client) {
    char text[32];
    snprintf(text, sizeof text, "publication %zu", client->messages);
    TEXT(text, S(client->in));
}

TEST(libwebsockets_hears_a_thousand_in_order, HEAVY, 30) {
    struct host host;
    struct client client = {.heard = heard_number};
    host_open(&host);
    struct lws_context *context = connect_client(&client, host.port, "/lobby");
    SERVE_UNTIL(context, client.opened);
    uint64_t id = host_wait(&host, ROOMCAST_EVENT_OPENED, 0, 0).connection;
    for (int i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "publication %d", i);
        OK(roomcast_engine_publish(host.engine, S("lobby"), TEXT_KIND, B(text), NULL));
    }
    SERVE_UNTIL(context, client.messages == 1000);
    OK(roomcast_connection_close(host.engine, id, 3456, S("done")));
    SERVE_UNTIL(context, client.over);
    EQ(3456, client.close_code);
    struct seen closed = host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_HOST, closed.reason);
    EQ(3456, closed.code);
    disconnect_client(&client, context);
    host_free(&host);
}

static void fill_large(unsigned char *data) {
    for (size_t i = 0; i < LARGE; i++) data[i] = (unsigned char)(i * 7 + i / 251);
}

static void heard_large(struct client *client) {
    EQ(LARGE, client->in_len);
    CHECK(memcmp(client->in, client->out + LWS_PRE, LARGE) == 0);
}

TEST(libwebsockets_sends_and_gets_300_kib, HEAVY, 30) {
    struct host host;
    struct client client = {.heard = heard_large, .out_len = LARGE};
    host_open(&host);
    client.out = malloc(LWS_PRE + LARGE);
    CHECK(client.out);
    fill_large(client.out + LWS_PRE);
    struct lws_context *context = connect_client(&client, host.port, "/lobby");
    SERVE_UNTIL(context, host_count(&host, ROOMCAST_EVENT_MESSAGE, 0) == 1);
    struct seen seen = host_wait(&host, ROOMCAST_EVENT_MESSAGE, 0, 0);
    EQ(LARGE, seen.message_len);
    EQ(BINARY_KIND, seen.message_kind);
    /* The library masks in place, so what was sent is made anew. */
    fill_large(client.out + LWS_PRE);
    CHECK(memcmp(seen.message, client.out + LWS_PRE, LARGE) == 0);
    OK(roomcast_connection_send(host.engine, seen.connection, BINARY_KIND,
                                roomcast_bytes_of(seen.message, LARGE)));
    SERVE_UNTIL(context, client.messages == 1);
    OK(roomcast_engine_begin_stop(host.engine));
    SERVE_UNTIL(context, client.over);
    EQ(1001, client.close_code);
    disconnect_client(&client, context);
    host_free(&host);
}
