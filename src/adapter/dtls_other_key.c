/* How a server finds out that the client's shared key of a name is another one than its own. DTLS
 * drops what does not decrypt, as anybody can send such, and so both would say the same again and
 * again until their time is over. But what nobody else has a reason to send is the client's
 * Finished: where a second one does not decrypt, the key is to blame. Who sees the handshake could
 * forge two, and so end it; that one could end it anyway. */
#include "adapter/dtls_internal.h"

enum {
    RECORD_HEADER_BYTES = 13,
    RECORD_EPOCH_AT = 3,
    RECORD_SIZE_AT = 11,
    RECORD_HANDSHAKE = 22,
    /* The first one may have been altered on the way. */
    UNREADABLE_MAX = 2,
};

static unsigned get_u16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* Of the handshake, and encrypted: nothing but Finished is. */
static bool has_finished(struct osr_slice datagram)
{
    const uint8_t *at = datagram.data;
    size_t left = datagram.size;
    while (left >= RECORD_HEADER_BYTES) {
        size_t size = RECORD_HEADER_BYTES + get_u16(at + RECORD_SIZE_AT);
        if (at[0] == RECORD_HANDSHAKE && get_u16(at + RECORD_EPOCH_AT) == 1) {
            return true;
        }
        size = size < left ? size : left;
        at += size;
        left -= size;
    }
    return false;
}

/* OpenSSL has no way to send an alert for us. In the clear, as we have not changed to our keys
 * yet, under a number that none of our records has had. */
static void tell_client(struct osr_dtls *dtls)
{
    static const uint8_t decrypt_error[] = {21, 0xfe, 0xfd, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 2, 2, 51};
    osr_buffer_add_u32(&dtls->output, sizeof(decrypt_error));
    osr_buffer_add(&dtls->output, decrypt_error, sizeof(decrypt_error));
}

int osr_dtls_check_key(struct osr_dtls *dtls, struct osr_slice datagram, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;
    bool waits_for_finished = session->context->is_server && session->key != NULL &&
                              !session->is_up && SSL_get_state(session->ssl) == TLS_ST_SR_CHANGE;
    if (!waits_for_finished || !has_finished(datagram)) {
        return 0;
    }
    dtls->unreadable++;
    if (dtls->unreadable < UNREADABLE_MAX) {
        return 0;
    }
    tell_client(dtls);
    return (int)osr_tls_explain_other_key(session, err);
}
