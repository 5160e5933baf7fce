/* TLS: certificates found by name, versions, new certificates under those who stay, and what
 * cannot be a certificate. */
#include <sys/socket.h>

#include "desk.h"

/* A listener that speaks TLS, with these certificates. */
static void prepare_tls(struct host *host, roomcast_tls *tls) {
    roomcast_listen_options options = {0};
    options.struct_size = sizeof options;
    options.tls = true;
    host_prepare(host);
    OK(roomcast_config_add_listener_with(host->config, S("127.0.0.1:0"), &options));
    if (tls) OK(roomcast_config_set_tls(host->config, tls));
}

static uint16_t tls_port(const struct host *host) {
    uint16_t port = 0;
    OK(roomcast_engine_address(host->engine, 1, NULL, &port));
    return port;
}

static void add(roomcast_tls *tls, const struct edge_certificate *certificate) {
    char why[256] = "";
    roomcast_status status =
        roomcast_tls_add_pair(tls, B(certificate->pem), B(certificate->key), why, sizeof why);
    if (status != ROOMCAST_STATUS_OK)
        suite_fail(__FILE__, __LINE__, "tls_add_pair gives %d: %s", status, why);
}

/* One with a certificate for each of these names. */
static roomcast_tls *tls_for(const char *one, const char *two) {
    roomcast_tls *tls = NULL;
    const char *const names[] = {one, two};
    OK(roomcast_tls_new(&tls));
    for (int i = 0; i < 2 && names[i]; i++) {
        struct edge_certificate certificate = edge_certificate_new(names[i]);
        add(tls, &certificate);
        edge_certificate_free(&certificate);
    }
    return tls;
}

/* Which certificate somebody is shown who asks for this name. */
static void shows(const struct host *host, const char *name, const char *wanted) {
    SSL *tls = edge_tls(ws_tcp(tls_port(host)), name, 0);
    CHECK(tls);
    char *shown = edge_tls_name(tls);
    TEXT(wanted, S(shown));
    free(shown);
    SSL_free(tls);
}

/* A peer that has opened within TLS; gives its id. */
static uint64_t join(struct host *host, struct ws *ws, const char *target, int version) {
    size_t before = host_count(host, ROOMCAST_EVENT_OPENED, 0);
    SSL *tls = edge_tls(ws_tcp(tls_port(host)), "a.example", version);
    CHECK(tls);
    ws_ask_tls(ws, tls, target, NULL);
    EQ(101, ws->status);
    return host_wait(host, ROOMCAST_EVENT_OPENED, 0, before).connection;
}

TEST(a_peer_joins_speaks_and_hears_within_each_version, PLAIN, 20) {
    struct host host;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static char large[100001];
    roomcast_tls *tls = tls_for("a.example", NULL);
    prepare_tls(&host, tls);
    roomcast_tls_free(tls);
    host_start(&host);
    memset(large, 'x', sizeof large - 1);
    for (size_t i = 0; i < LENGTH(versions); i++) {
        struct ws ws;
        uint64_t id = join(&host, &ws, "/room", versions[i]);
        EQ(versions[i], SSL_version(ws.tls));
        ws_say(&ws, large);
        EQ(sizeof large - 1, host_wait(&host, ROOMCAST_EVENT_MESSAGE, id, 0).message_len);
        OK(roomcast_engine_publish(host.engine, S("room"), TEXT_KIND, B(large), NULL));
        ws_expect(&ws, large);
        EQ(1, host_figures(&host).tls_connections);
        ws_send_close(&ws, 1000, "");
        EQ(1000, ws_expect_end(&ws));
        ws_free(&ws);
        host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    }
    EQ(2, host_figures(&host).tls_handshakes);
    host_free(&host);
}

TEST(a_certificate_is_found_by_name_and_version_1_2_may_be_refused, PLAIN, 20) {
    struct host host;
    roomcast_tls *tls = tls_for("a.example", "*.b.example");
    OK(roomcast_tls_set_tls13_only(tls, true));
    prepare_tls(&host, tls);
    roomcast_tls_free(tls);
    host_start(&host);
    shows(&host, "a.example", "a.example");
    shows(&host, "x.b.example", "*.b.example");
    shows(&host, "other.example", "a.example");
    shows(&host, NULL, "a.example");
    CHECK(!edge_tls(ws_tcp(tls_port(&host)), NULL, TLS1_2_VERSION));
    UNTIL(host_figures(&host).tls_failed == 1);
    host_free(&host);
}

TEST(new_certificates_drop_nobody, PLAIN, 30) {
    struct host host;
    struct ws peers[20];
    roomcast_tls *tls = tls_for("a.example", NULL);
    char why[256] = "";
    prepare_tls(&host, tls);
    roomcast_tls_free(tls);
    host_start(&host);
    for (size_t i = 0; i < LENGTH(peers); i++) join(&host, &peers[i], "/room", 0);
    tls = tls_for("c.example", NULL);
    OK(roomcast_engine_reload_tls(host.engine, tls, why, sizeof why));
    roomcast_tls_free(tls);
    shows(&host, "a.example", "c.example");
    OK(roomcast_engine_publish(host.engine, S("room"), TEXT_KIND, B("still here"), NULL));
    for (size_t i = 0; i < LENGTH(peers); i++) ws_expect(&peers[i], "still here");
    /* One without a certificate changes nothing. */
    OK(roomcast_tls_new(&tls));
    IS(CERTIFICATE, roomcast_engine_reload_tls(host.engine, tls, why, sizeof why));
    HAS("certificate", why);
    roomcast_tls_free(tls);
    shows(&host, NULL, "c.example");
    for (size_t i = 0; i < LENGTH(peers); i++) ws_free(&peers[i]);
    host_free(&host);
}

/* A file of this test's with this text; its path in `path`. */
static void write_file(char path[128], const char *name, const char *text) {
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(path, 128, "%s/%s.%d", folder, name, (int)getpid());
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(certificates_come_from_files, PLAIN, 20) {
    struct host host;
    struct edge_certificate made = edge_certificate_new("a.example");
    char pem[128], key[128], both[128], why[512] = "", text[8192];
    roomcast_tls *tls = NULL;
    write_file(pem, "pem", made.pem);
    write_file(key, "key", made.key);
    snprintf(text, sizeof text, "%s%s", made.key, made.pem);
    write_file(both, "both", text);
    OK(roomcast_tls_new(&tls));
    IS(IO, roomcast_tls_add_files(tls, S("/no/such.pem"), S(key), why, sizeof why));
    HAS("/no/such.pem", why);
    IS(CERTIFICATE, roomcast_tls_add_files(tls, S(key), S(key), why, sizeof why));
    HAS("no certificate", why);
    OK(roomcast_tls_add_files(tls, S(pem), S(key), why, sizeof why));
    OK(roomcast_tls_add_files(tls, S(both), S(both), why, sizeof why));
    unlink(pem);
    unlink(key);
    unlink(both);
    prepare_tls(&host, tls);
    roomcast_tls_free(tls);
    host_start(&host);
    shows(&host, "a.example", "a.example");
    edge_certificate_free(&made);
    host_free(&host);
}

TEST(what_cannot_be_a_certificate_says_why, PLAIN, 20) {
    struct edge_certificate one = edge_certificate_new("a.example");
    struct edge_certificate two = edge_certificate_new("a.example");
    roomcast_tls *tls = NULL;
    char why[256] = "";
    OK(roomcast_tls_new(&tls));
#define REFUSED(sentence, pem, key)                                                              \
    IS(CERTIFICATE, roomcast_tls_add_pair(tls, B(pem), B(key), why, sizeof why));                \
    HAS(sentence, why)
    REFUSED("no certificate", "", one.key);
    REFUSED("no private key", one.pem, "");
    REFUSED("not that of the first certificate", one.pem, two.key);
    REFUSED("cannot be read",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", one.key);
    REFUSED("cannot be", one.pem,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    roomcast_tls_free(tls);
    edge_certificate_free(&one);
    edge_certificate_free(&two);
}

TEST(a_listener_needs_a_certificate_and_an_engine_without_one_takes_none, PLAIN, 20) {
    struct host host;
    roomcast_engine *engine = NULL;
    char why[256] = "";
    prepare_tls(&host, NULL);
    IS(CONFIG, roomcast_config_check(host.config, why, sizeof why));
    HAS("tls", why);
    IS(CONFIG, roomcast_engine_new(host.config, &engine, NULL, 0));
    roomcast_config_free(host.config);
    host_open(&host);
    roomcast_tls *tls = tls_for("a.example", NULL);
    IS(CONFIG, roomcast_engine_reload_tls(host.engine, tls, why, sizeof why));
    OK(roomcast_engine_stop(host.engine, NULL));
    CHECK(roomcast_engine_reload_tls(host.engine, tls, NULL, 0) != ROOMCAST_STATUS_OK);
    roomcast_tls_free(tls);
    host_free(&host);
}

TEST(plain_http_where_tls_is_spoken_is_ended_and_counted, PLAIN, 20) {
    struct host host;
    struct ws ws;
    roomcast_tls *tls = tls_for("a.example", NULL);
    prepare_tls(&host, tls);
    roomcast_tls_free(tls);
    host_start(&host);
    ws_ask(&ws, ws_tcp(tls_port(&host)), "/", NULL);
    EQ(0, ws.status);
    ws_free(&ws);
    UNTIL(host_figures(&host).tls_failed == 1);
    /* The other listener speaks plain HTTP as ever. */
    host_join(&host, &ws, "/");
    ws_free(&ws);
    host_free(&host);
}

/* Peers come and go while certificates are replaced again and again. */
struct swap {
    roomcast_engine *engine;
    roomcast_tls *one, *two;
    int rounds;
};

static void *swap(void *argument) {
    struct swap *swap = argument;
    for (int i = 0; i < swap->rounds; i++)
        OK(roomcast_engine_reload_tls(swap->engine, i % 2 ? swap->one : swap->two, NULL, 0));
    return NULL;
}

TEST(certificates_are_replaced_under_handshakes, THREADS, 60) {
    struct host host;
    struct ws stays;
    pthread_t thread;
    struct swap swaps = {NULL, tls_for("a.example", NULL), tls_for("b.example", NULL),
                         suite_rounds(2000)};
    prepare_tls(&host, swaps.one);
    host_start(&host);
    swaps.engine = host.engine;
    join(&host, &stays, "/room", 0);
    CHECK(pthread_create(&thread, NULL, swap, &swaps) == 0);
    int rounds = suite_rounds(60);
    for (int i = 0; i < rounds; i++) {
        struct ws ws;
        join(&host, &ws, "/", i % 2 ? TLS1_2_VERSION : 0);
        ws_free(&ws);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    OK(roomcast_engine_publish(host.engine, S("room"), TEXT_KIND, B("still here"), NULL));
    ws_expect(&stays, "still here");
    ws_free(&stays);
    roomcast_tls_free(swaps.one);
    roomcast_tls_free(swaps.two);
    host_free(&host);
}
