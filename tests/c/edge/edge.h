/* What tests of the edge need beside the library: keys, tokens and certificates, made anew each
 * time by OpenSSL, and the client's side of TLS. What cannot fail ends the process if it does. */
#ifndef EDGE_H
#define EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A key that tokens are signed with. */
struct edge_key {
    uint32_t algorithm; /* one of roomcast_algorithm */
    EVP_PKEY *pair;     /* NULL of a secret */
    char *text;         /* the secret, or the public key in PEM */
};

struct edge_key edge_key_new(uint32_t algorithm);
void edge_key_free(struct edge_key *key);
/* A JWK Set with a key for EdDSA, and with one of another kind; to be freed. */
char *edge_jwks(const struct edge_key *key, const char *id);

/* A JWT that says this in JSON; `id` may be NULL; to be freed. */
char *edge_token(const struct edge_key *key, const char *id, const char *claims);

/* A certificate for a name, signed by itself, and its key: in PEM. */
struct edge_certificate {
    char *pem, *key;
};

struct edge_certificate edge_certificate_new(const char *name);
void edge_certificate_free(struct edge_certificate *certificate);

/* The client's side on a connected socket, which it closes in the end; NULL where the handshake
 * fails. `name` is asked for unless it is NULL; `version` is TLS1_2_VERSION or TLS1_3_VERSION, 0
 * for the best. Certificates are not checked. */
SSL *edge_tls(int fd, const char *name, int version);
/* The name in the certificate that the other side has shown; to be freed. */
char *edge_tls_name(const SSL *tls);

#ifdef __cplusplus
}
#endif

#endif
