/* Keys, tokens, certificates and TLS for tests; see edge.h. */
#include "edge.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "roomcast.h"

#define NEED(what)                                                                               \
    do {                                                                                         \
        if (!(what)) give_up(#what, __LINE__);                                                   \
    } while (0)

static void give_up(const char *what, int line) {
    fprintf(stderr, "edge.c:%d: not so: %s\n", line, what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* base64url without padding; to be freed. */
static char *url64(const void *data, size_t len) {
    char *text = malloc(len / 3 * 4 + 5);
    NEED(text);
    EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    text[strcspn(text, "=")] = 0;
    for (char *c = text; *c; c++) *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return text;
}

/* What was written into memory, as a text of its own. */
static char *written(BIO *bio) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = malloc((size_t)len + 1);
    NEED(text);
    memcpy(text, data, (size_t)len);
    text[len] = 0;
    BIO_free(bio);
    return text;
}

static EVP_PKEY *pair_for(uint32_t algorithm) {
    switch (algorithm) {
    case ROOMCAST_ALGORITHM_RS256:
        return EVP_RSA_gen(2048);
    case ROOMCAST_ALGORITHM_ES256:
        return EVP_EC_gen("P-256");
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

struct edge_key edge_key_new(uint32_t algorithm) {
    struct edge_key key = {algorithm, NULL, NULL};
    if (algorithm == ROOMCAST_ALGORITHM_HS256) {
        unsigned char secret[32];
        NEED(RAND_bytes(secret, sizeof secret) == 1);
        key.text = url64(secret, sizeof secret);
        return key;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    key.pair = pair_for(algorithm);
    NEED(key.pair && bio && PEM_write_bio_PUBKEY(bio, key.pair));
    key.text = written(bio);
    return key;
}

void edge_key_free(struct edge_key *key) {
    EVP_PKEY_free(key->pair);
    free(key->text);
}

char *edge_jwks(const struct edge_key *key, const char *id) {
    unsigned char raw[32];
    size_t len = sizeof raw;
    char *text = malloc(1024);
    NEED(text && EVP_PKEY_get_raw_public_key(key->pair, raw, &len) && len == sizeof raw);
    char *x = url64(raw, len);
    snprintf(text, 1024,
             "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"secp256k1\", \"x\": \"\", \"y\": \"\"},"
             " {\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"kid\": \"%s\", \"x\": \"%s\"}]}",
             id, x);
    free(x);
    return text;
}

/* r and s behind each other, as JWS has them, of what DER says. */
static void flatten(unsigned char *signature, size_t *len) {
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)*len);
    NEED(pair);
    NEED(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32);
    NEED(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32);
    *len = 64;
    ECDSA_SIG_free(pair);
}

static void sign(const struct edge_key *key, const char *text, unsigned char *signature,
                 size_t *len) {
    if (!key->pair) {
        unsigned int size = 0;
        NEED(HMAC(EVP_sha256(), key->text, (int)strlen(key->text), (const unsigned char *)text,
                  strlen(text), signature, &size));
        *len = size;
        return;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->algorithm == ROOMCAST_ALGORITHM_EDDSA ? NULL : EVP_sha256();
    NEED(context && EVP_DigestSignInit(context, NULL, digest, NULL, key->pair) == 1);
    NEED(EVP_DigestSign(context, signature, len, (const unsigned char *)text, strlen(text)) == 1);
    EVP_MD_CTX_free(context);
    if (key->algorithm == ROOMCAST_ALGORITHM_ES256) flatten(signature, len);
}

char *edge_token(const struct edge_key *key, const char *id, const char *claims) {
    static const char *const names[] = {"none", "HS256", "RS256", "ES256", "EdDSA"};
    char header[128];
    unsigned char signature[512];
    size_t len = sizeof signature;
    int size = snprintf(header, sizeof header, "{\"alg\":\"%s\"%s%s%s}", names[key->algorithm],
                        id ? ",\"kid\":\"" : "", id ? id : "", id ? "\"" : "");
    NEED(size > 0 && (size_t)size < sizeof header);
    char *head = url64(header, (size_t)size), *body = url64(claims, strlen(claims));
    char *token = malloc(strlen(head) + strlen(body) + 1024);
    NEED(token);
    sprintf(token, "%s.%s", head, body);
    sign(key, token, signature, &len);
    char *end = url64(signature, len);
    strcat(strcat(token, "."), end);
    free(head);
    free(body);
    free(end);
    return token;
}

static void add_name(X509 *certificate, const char *name) {
    char names[300];
    X509_NAME *subject = X509_get_subject_name(certificate);
    const unsigned char *text = (const unsigned char *)name;
    NEED(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0));
    NEED(X509_set_issuer_name(certificate, subject));
    snprintf(names, sizeof names, "DNS:%s", name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    NEED(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

struct edge_certificate edge_certificate_new(const char *name) {
    struct edge_certificate made;
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *pem = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    NEED(pair && certificate && pem && key && X509_set_version(certificate, 2));
    NEED(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
    NEED(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600));
    NEED(X509_gmtime_adj(X509_getm_notAfter(certificate), 86400));
    NEED(X509_set_pubkey(certificate, pair));
    add_name(certificate, name);
    NEED(X509_sign(certificate, pair, EVP_sha256()));
    NEED(PEM_write_bio_X509(pem, certificate));
    NEED(PEM_write_bio_PrivateKey(key, pair, NULL, NULL, 0, NULL, NULL));
    made.pem = written(pem);
    made.key = written(key);
    X509_free(certificate);
    EVP_PKEY_free(pair);
    return made;
}

void edge_certificate_free(struct edge_certificate *certificate) {
    free(certificate->pem);
    free(certificate->key);
}

SSL *edge_tls(int fd, const char *name, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    NEED(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    if (version) {
        NEED(SSL_CTX_set_min_proto_version(context, version));
        NEED(SSL_CTX_set_max_proto_version(context, version));
    }
    SSL *tls = SSL_new(context);
    SSL_CTX_free(context);
    BIO *bio = BIO_new_socket(fd, BIO_CLOSE);
    NEED(tls && bio);
    SSL_set_bio(tls, bio, bio);
    if (name) NEED(SSL_set_tlsext_host_name(tls, name));
    if (SSL_connect(tls) == 1) return tls;
    ERR_clear_error();
    SSL_free(tls);
    return NULL;
}

char *edge_tls_name(const SSL *tls) {
    char name[256] = "";
    X509 *certificate = SSL_get1_peer_certificate(tls);
    NEED(certificate);
    X509_NAME *subject = X509_get_subject_name(certificate);
    NEED(X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof name) > 0);
    X509_free(certificate);
    return strdup(name);
}
