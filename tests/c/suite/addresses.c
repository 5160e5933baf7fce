/* Addresses: what proxies say of their peers, whom it is believed, and who may use a socket. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host.h"

/* What the last request said of its peer. */
struct address {
    char peer[64], ip[64];
    bool has_peer, has_ip;
};

static bool note(struct host *host, const roomcast_engine *engine, const roomcast_event *event) {
    struct address *into = host->hook_data;
    (void)engine;
    if (event->kind != ROOMCAST_EVENT_CONNECTING) return false;
    roomcast_str peer = roomcast_request_peer(event->request);
    roomcast_str ip = roomcast_request_peer_ip(event->request);
    CHECK(roomcast_request_peer_ip(event->request).data == ip.data);
    text_copy(into->peer, sizeof into->peer, peer);
    text_copy(into->ip, sizeof into->ip, ip);
    into->has_peer = peer.data != NULL;
    into->has_ip = ip.data != NULL;
    OK(host_accept(engine, event));
    return false;
}

/* A host that trusts these proxies (NULL: none), with a second listener of these options. */
static void prepare(struct host *host, struct address *into, const char *trusted,
                    const roomcast_listen_options *options) {
    const roomcast_str proxies[] = {S(trusted), S("2001:db8::/32")};
    host_prepare(host);
    host->hook = note;
    host->hook_data = into;
    if (trusted) OK(roomcast_config_set_trusted_proxies(host->config, proxies, 2));
    if (options)
        OK(roomcast_config_add_listener_with(host->config, S("127.0.0.1:0"), options));
}

/* A request with these headers; the address of its peer, as the host is told it. */
static const char *told(struct host *host, struct address *into, const char *headers) {
    struct ws ws;
    memset(into, 0, sizeof *into);
    ws_ask(&ws, ws_tcp(host->port), "/", headers);
    EQ(101, ws.status);
    ws_free(&ws);
    CHECK(into->has_peer && strncmp(into->peer, "127.0.0.1:", 10) == 0);
    return into->ip;
}

TEST(forged_headers_of_who_is_no_proxy_are_ignored, PLAIN, 20) {
    struct host host;
    struct address address;
    prepare(&host, &address, NULL, NULL);
    host_start(&host);
    TEXT("127.0.0.1", S(told(&host, &address, NULL)));
    TEXT("127.0.0.1", S(told(&host, &address, "X-Forwarded-For: 192.0.2.1\r\n")));
    TEXT("127.0.0.1", S(told(&host, &address, "Forwarded: for=192.0.2.1\r\n")));
    host_free(&host);
}

TEST(a_trusted_proxy_is_believed_in_the_header_that_was_named, PLAIN, 20) {
    struct host host;
    struct address address;
    prepare(&host, &address, "127.0.0.0/8", NULL);
    host_start(&host);
    TEXT("192.0.2.1", S(told(&host, &address, "X-Forwarded-For: 192.0.2.1\r\n")));
    TEXT("192.0.2.7", S(told(&host, &address, "X-Forwarded-For: 192.0.2.1, 192.0.2.7\r\n")));
    TEXT("192.0.2.1",
         S(told(&host, &address, "X-Forwarded-For: 192.0.2.1, 2001:db8::7, 127.0.0.9\r\n")));
    TEXT("127.0.0.1", S(told(&host, &address, "Forwarded: for=192.0.2.1\r\n")));
    host_free(&host);
    prepare(&host, &address, "127.0.0.1", NULL);
    OK(roomcast_config_set_forwarded_header(host.config, ROOMCAST_FORWARDED_HEADER_FORWARDED));
    host_start(&host);
    TEXT("2001:db9::1", S(told(&host, &address, "Forwarded: for=\"[2001:db9::1]:4711\"\r\n")));
    TEXT("127.0.0.1", S(told(&host, &address, "X-Forwarded-For: 192.0.2.1\r\n")));
    host_free(&host);
}

/* Sends a PROXY header and a request behind it; the status of the answer, 0 where it is dropped. */
static int proxied(uint16_t port, const void *header, size_t len) {
    char request[1024];
    struct ws ws;
    int fd = ws_tcp(port);
    size_t size = ws_request(request, sizeof request, "/", NULL);
    CHECK(send(fd, header, len, MSG_NOSIGNAL) == (ssize_t)len);
    if (send(fd, request, size, MSG_NOSIGNAL) < 0) suite_at(__FILE__, __LINE__, "dropped");
    ws_answer(&ws, fd);
    int status = ws.status;
    ws_free(&ws);
    return status;
}

TEST(a_proxy_header_names_the_peer, PLAIN, 20) {
    struct host host;
    struct address address = {0};
    roomcast_listen_options options = {0};
    uint16_t port = 0;
    static const char one[] = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n";
    static const unsigned char two[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
                                       "\xc0\x00\x02\x09\xc0\x00\x02\x02\x10\x00\x00\x50";
    options.struct_size = sizeof options;
    options.proxy_protocol = true;
    prepare(&host, &address, "127.0.0.1", &options);
    host_start(&host);
    OK(roomcast_engine_address(host.engine, 1, NULL, &port));
    EQ(101, proxied(port, one, sizeof one - 1));
    TEXT("192.0.2.1:4711", S(address.peer));
    TEXT("192.0.2.1", S(address.ip));
    EQ(101, proxied(port, two, sizeof two - 1));
    TEXT("192.0.2.9:4096", S(address.peer));
    EQ(0, proxied(port, "GET / HTTP/1.1\r\n\r\n", 18));
    UNTIL(host_figures(&host).rejected_proxy == 1);
    host_free(&host);
    /* Whom nobody trusts may not send one. */
    prepare(&host, &address, "192.0.2.1", &options);
    host_start(&host);
    OK(roomcast_engine_address(host.engine, 1, NULL, &port));
    EQ(0, proxied(port, one, sizeof one - 1));
    UNTIL(host_figures(&host).rejected_proxy == 1);
    host_free(&host);
}

TEST(what_proxies_cannot_be_is_told_by_the_check, PLAIN, 10) {
    struct host host;
    struct address address;
    roomcast_listen_options options = {0};
    char why[256] = "";
    options.struct_size = sizeof options;
    options.proxy_protocol = true;
    prepare(&host, &address, NULL, &options);
    IS(CONFIG, roomcast_config_check(host.config, why, sizeof why));
    HAS("trusted_proxies", why);
    roomcast_config_free(host.config);
    prepare(&host, &address, "10.0.0.1/8", NULL);
    IS(CONFIG, roomcast_config_check(host.config, why, sizeof why));
    HAS("10.0.0.1/8", why);
    OK(roomcast_config_set_trusted_proxies(host.config, NULL, 0));
    OK(roomcast_config_check(host.config, why, sizeof why));
    roomcast_config_free(host.config);
}

TEST(a_unix_socket_has_its_permissions_and_may_be_a_proxys, PLAIN, 20) {
    struct host host;
    struct address address = {0};
    struct stat status;
    struct ws ws;
    roomcast_listen_options options = {0};
    char path[128], why[256] = "";
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(path, sizeof path, "%s/edge.%d", folder, (int)getpid());
    options.struct_size = sizeof options;
    options.unix_mode = 0600;
    prepare(&host, &address, "unix", NULL);
    OK(roomcast_config_add_unix_listener_with(host.config, S(path), &options));
    host_start(&host);
    CHECK(stat(path, &status) == 0);
    EQ(0600, status.st_mode & 07777);
    ws_ask(&ws, ws_unix(path), "/", NULL);
    EQ(101, ws.status);
    ws_free(&ws);
    CHECK(!address.has_peer && !address.has_ip);
    ws_ask(&ws, ws_unix(path), "/", "X-Forwarded-For: 192.0.2.1\r\n");
    ws_free(&ws);
    TEXT("192.0.2.1", S(address.ip));
    host_free(&host);
    prepare(&host, &address, NULL, NULL);
    options.unix_mode = 010000;
    OK(roomcast_config_add_unix_listener_with(host.config, S(path), &options));
    IS(CONFIG, roomcast_config_check(host.config, why, sizeof why));
    HAS("unix_mode", why);
    roomcast_config_free(host.config);
}
