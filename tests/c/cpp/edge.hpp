// Keys, tokens and certificates of ../edge, owned.
#ifndef EDGE_HPP
#define EDGE_HPP

#include "edge.h"

#include <roomcast.h>

#include <cstdlib>
#include <string>

/// A text that C has made.
inline std::string owned(char *text) {
    const std::string made(text);
    std::free(text);
    return made;
}

/// Makes tokens.
class signer {
public:
    explicit signer(std::uint32_t algorithm = ROOMCAST_ALGORITHM_HS256)
        : key_(edge_key_new(algorithm)) {}
    signer(const signer &) = delete;
    signer &operator=(const signer &) = delete;
    ~signer() { edge_key_free(&key_); }

    /// The secret, or the public key in PEM.
    std::string text() const { return key_.text; }
    /// As a JWK Set.
    std::string set(const char *id) const { return owned(edge_jwks(&key_, id)); }
    std::string token(const std::string &claims, const char *id = nullptr) const {
        return owned(edge_token(&key_, id, claims.c_str()));
    }

private:
    edge_key key_;
};

/// A certificate and its key, in PEM.
class certificate {
public:
    explicit certificate(const char *name) : made_(edge_certificate_new(name)) {}
    certificate(const certificate &) = delete;
    certificate &operator=(const certificate &) = delete;
    ~certificate() { edge_certificate_free(&made_); }

    const char *pem() const { return made_.pem; }
    const char *key() const { return made_.key; }

private:
    edge_certificate made_;
};

#endif
