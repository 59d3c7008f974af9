/* A server's door: nothing is kept of a stranger before a cookie has shown that the address it
 * writes from is its own (RFC 6347, 4.2.1). */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "adapter/dtls_internal.h"
#include "adapter/keys.h"

enum { SECRET_BYTES = 32, COOKIE_BYTES = 32 };

struct osr_dtls_door {
    struct osr_tls_context *context;
    struct osr_dtls *waiting; /* takes the next datagram: one for all strangers; NULL: none yet */
    struct osr_slice sender;  /* of the datagram that is looked at */
    uint8_t secrets[2][SECRET_BYTES]; /* the present one, and the one before */
    uint64_t changes_at_ms;           /* of the secrets */
};

struct osr_dtls_door *osr_dtls_door_create(struct osr_tls_context *context)
{
    struct osr_dtls_door *door = osr_alloc(sizeof(*door));
    door->context = osr_tls_context_hold(context);
    osr_secret_random(door->secrets, sizeof(door->secrets));
    return door;
}

void osr_dtls_door_destroy(struct osr_dtls_door *door)
{
    if (door == NULL) {
        return;
    }
    osr_dtls_destroy(door->waiting);
    osr_tls_context_release(door->context);
    OPENSSL_cleanse(door->secrets, sizeof(door->secrets));
    free(door);
}

void osr_dtls_door_secure(struct osr_dtls_door *door, struct osr_tls_context *context)
{
    osr_tls_context_hold(context);
    osr_tls_context_release(door->context);
    door->context = context;
    osr_dtls_destroy(door->waiting);
    door->waiting = NULL;
}

/* -- cookies -- */

static void change_secrets(struct osr_dtls_door *door, uint64_t now_ms)
{
    if (now_ms < door->changes_at_ms) {
        return;
    }
    memcpy(door->secrets[1], door->secrets[0], SECRET_BYTES);
    osr_secret_random(door->secrets[0], SECRET_BYTES);
    door->changes_at_ms = now_ms + OSR_DTLS_COOKIE_MS;
}

static void compute_cookie(const struct osr_dtls_door *door, size_t secret, uint8_t *cookie)
{
    unsigned size = 0;
    const uint8_t *made = HMAC(EVP_sha256(), door->secrets[secret], SECRET_BYTES, door->sender.data,
                               door->sender.size, cookie, &size);
    assert(made != NULL && size == COOKIE_BYTES);
}

int osr_dtls_make_cookie(SSL *ssl, unsigned char *cookie, unsigned *ret_size)
{
    const struct osr_dtls *dtls = SSL_get_app_data(ssl);
    compute_cookie(dtls->door, 0, cookie);
    *ret_size = COOKIE_BYTES;
    return 1;
}

/* OpenSSL asks once more in the handshake itself, when it has been answered. */
int osr_dtls_check_cookie(SSL *ssl, const unsigned char *cookie, unsigned size)
{
    const struct osr_dtls *dtls = SSL_get_app_data(ssl);
    if (dtls->door == NULL) {
        return 1;
    }
    for (size_t secret = 0; secret < 2; secret++) {
        uint8_t expected[COOKIE_BYTES];
        compute_cookie(dtls->door, secret, expected);
        if (size == COOKIE_BYTES && CRYPTO_memcmp(cookie, expected, COOKIE_BYTES) == 0) {
            return 1;
        }
    }
    return 0;
}

/* -- strangers -- */

struct osr_dtls *osr_dtls_door_receive(struct osr_dtls_door *door, uint64_t now_ms,
                                       struct osr_slice sender, struct osr_slice datagram,
                                       uint8_t *answer, size_t *ret_answer_size)
{
    assert(sender.size <= OSR_DTLS_SENDER_BYTES_MAX);
    change_secrets(door, now_ms);
    if (door->waiting == NULL) {
        door->waiting = osr_dtls_make(door->context);
        door->waiting->door = door;
    }
    struct osr_dtls *dtls = door->waiting;
    BIO_ADDR *unused = BIO_ADDR_new();
    assert(unused != NULL);
    door->sender = sender;
    dtls->session.input = datagram;
    ERR_clear_error();
    bool has_shown = DTLSv1_listen(dtls->session.ssl, unused) == 1;
    ERR_clear_error();
    dtls->session.input = osr_slice(NULL, 0);
    door->sender = osr_slice(NULL, 0);
    BIO_ADDR_free(unused);

    *ret_answer_size = osr_dtls_produce(dtls, answer);
    osr_buffer_clear(&dtls->output);
    if (!has_shown) {
        return NULL;
    }
    dtls->session.first_byte = datagram.data[0];
    dtls->door = NULL;
    door->waiting = NULL;
    return dtls;
}
