/* The keys that both sides know: kept by a context, found or offered during a handshake. */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/tls_internal.h"
#include "base/text.h"

struct osr_tls_key {
    char name[OSR_TLS_NAME_BYTES_MAX + 1];
    uint8_t secret[OSR_TLS_KEY_BYTES_MAX];
    size_t secret_size;
};

struct osr_tls_keys {
    size_t count;
    struct osr_tls_key keys[OSR_TLS_KEYS_MAX];
};

/* -- the keys of a context -- */

static const struct osr_tls_key *find_key(const struct osr_tls_keys *keys, struct osr_slice name)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (osr_slice_equal(osr_slice_text(keys->keys[i].name), name)) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

static int add_key(struct osr_tls_keys *keys, const struct osr_tls_shared_key *given,
                   struct osr_err *err)
{
    struct osr_slice name = osr_slice_text(given->name);

    if (name.size == 0 || name.size > OSR_TLS_NAME_BYTES_MAX || !osr_utf8_is_valid(name) ||
        !osr_text_is_plain(name)) {
        return osr_err_set(err, OSR_CONFIG, "a shared key's name has 1 to %d bytes of plain text",
                           OSR_TLS_NAME_BYTES_MAX);
    }
    if (given->secret.size < OSR_TLS_KEY_BYTES_MIN || given->secret.size > OSR_TLS_KEY_BYTES_MAX) {
        return osr_err_set(err, OSR_CONFIG, "the shared key \"%s\" has %zu bytes, not %d to %d",
                           given->name, given->secret.size, OSR_TLS_KEY_BYTES_MIN,
                           OSR_TLS_KEY_BYTES_MAX);
    }
    if (find_key(keys, name) != NULL) {
        return osr_err_set(err, OSR_CONFIG, "there are two shared keys \"%s\"", given->name);
    }
    struct osr_tls_key *key = &keys->keys[keys->count++];
    memcpy(key->name, name.data, name.size);
    memcpy(key->secret, given->secret.data, given->secret.size);
    key->secret_size = given->secret.size;
    return 0;
}

int osr_tls_keys_create(const struct osr_tls_shared_key *given, size_t count,
                        struct osr_tls_keys **ret_keys, struct osr_err *err)
{
    if (count > OSR_TLS_KEYS_MAX) {
        return osr_err_set(err, OSR_CONFIG, "%zu shared keys; at most %d are taken", count,
                           OSR_TLS_KEYS_MAX);
    }
    struct osr_tls_keys *keys = osr_alloc(sizeof(*keys));
    for (size_t i = 0; i < count; i++) {
        int code = add_key(keys, &given[i], err);
        if (code != 0) {
            osr_tls_keys_destroy(keys);
            return code;
        }
    }
    *ret_keys = keys;
    return 0;
}

void osr_tls_keys_destroy(struct osr_tls_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    OPENSSL_cleanse(keys, sizeof(*keys));
    free(keys);
}

const char *osr_tls_key_name(const struct osr_tls_key *key)
{
    return key->name;
}

/* -- during a handshake -- */

/* As a session to be resumed: that is what OpenSSL takes, and wipes. SHA-384, as the suite has
 * that both sides prefer where there are keys: one for another hash is passed over. A new one each
 * time, as OpenSSL writes to a client's. */
static SSL_SESSION *make_session(SSL *ssl, const struct osr_tls_key *key)
{
    static const unsigned char aes_256_gcm_sha384[] = {0x13, 0x02};

    SSL_SESSION *session = SSL_SESSION_new();
    const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, aes_256_gcm_sha384);
    bool is_made = session != NULL && suite != NULL &&
                   SSL_SESSION_set1_master_key(session, key->secret, key->secret_size) == 1 &&
                   SSL_SESSION_set_cipher(session, suite) == 1 &&
                   SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1;
    assert(is_made);
    return session;
}

static void refuse_unknown(struct osr_tls *tls, struct osr_slice name)
{
    int shown_size = name.size < OSR_TLS_NAME_BYTES_MAX ? (int)name.size : OSR_TLS_NAME_BYTES_MAX;
    osr_err_set(osr_tls_refusal(tls), OSR_UNAUTHENTICATED,
                "the client's shared key \"%.*s\" is not known here", shown_size,
                (const char *)name.data);
}

/* For each key that the client offers. One that is unknown is passed over: the handshake goes on
 * by certificates, where these are let in, and fails otherwise. */
int osr_tls_find_key(SSL *ssl, const unsigned char *name, size_t name_size, SSL_SESSION **ret_key)
{
    struct osr_tls *tls = SSL_get_app_data(ssl);
    const struct osr_tls_key *key = find_key(tls->context->keys, osr_slice(name, name_size));

    if (key == NULL) {
        refuse_unknown(tls, osr_slice(name, name_size));
        *ret_key = NULL;
        return 1;
    }
    tls->key = key;
    *ret_key = make_session(ssl, key);
    return 1;
}

/* Called once more, with the hash that the server has chosen, where it asks for another hello. */
int osr_tls_offer_key(SSL *ssl, const EVP_MD *hash, const unsigned char **ret_name,
                      size_t *ret_name_size, SSL_SESSION **ret_key)
{
    struct osr_tls *tls = SSL_get_app_data(ssl);

    if (hash != NULL && !EVP_MD_is_a(hash, "SHA384")) {
        *ret_key = NULL;
        return 1;
    }
    tls->key = &tls->context->keys->keys[0];
    *ret_name = (const unsigned char *)tls->key->name;
    *ret_name_size = strlen(tls->key->name);
    *ret_key = make_session(ssl, tls->key);
    return 1;
}

/* -- the same in DTLS 1.2 -- */

/* A key is not used by two protocols as it is (RFC 8446, 4.2.11 and appendix E.7). */
static unsigned derive_secret(const struct osr_tls_key *key, unsigned char *secret,
                              unsigned secret_max)
{
    static const unsigned char label[] = "osiris dtls 1.2";
    unsigned size = 0;
    assert(secret_max >= EVP_MAX_MD_SIZE);
    const unsigned char *made = HMAC(EVP_sha256(), key->secret, (int)key->secret_size, label,
                                     sizeof(label) - 1, secret, &size);
    assert(made != NULL);
    return size;
}

unsigned osr_dtls_find_key(SSL *ssl, const char *name, unsigned char *secret, unsigned secret_max)
{
    struct osr_tls *tls = SSL_get_app_data(ssl);
    struct osr_slice named = osr_slice_text(name);
    tls->key = find_key(tls->context->keys, named);
    if (tls->key == NULL) {
        refuse_unknown(tls, named);
        return 0;
    }
    return derive_secret(tls->key, secret, secret_max);
}

unsigned osr_dtls_offer_key(SSL *ssl, const char *hint, char *name, unsigned name_max,
                            unsigned char *secret, unsigned secret_max)
{
    struct osr_tls *tls = SSL_get_app_data(ssl);
    (void)hint;
    tls->key = &tls->context->keys->keys[0];
    int size = snprintf(name, name_max, "%s", tls->key->name);
    assert(size > 0 && (unsigned)size < name_max);
    return derive_secret(tls->key, secret, secret_max);
}
