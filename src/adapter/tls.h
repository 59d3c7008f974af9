/* tls.h -- TLS 1.3 over any carrier of bytes: bytes in, bytes out. No socket, no thread; time is
 * given. By OpenSSL; no cryptography of our own.
 *
 * A context is what one side has and whom it believes; made whole, never changed, counted: a
 * reload makes a new one, connections that are up keep theirs until they end. A session is one
 * connection and holds its context. Both belong to one thread: the count is not atomic.
 *
 * Happy path: osr_tls_create -> osr_tls_receive(bytes from the peer) until osr_tls_is_up, with
 * osr_tls_produce giving what is to be written to it -> osr_tls_read / osr_tls_write ->
 * osr_tls_end (close_notify) on both sides.
 *
 * Failures: any of them ends the session for good; the alert, if there is one, is still produced;
 * err says what people can act on: expired since when, an unknown CA (whose), a name that does not
 * fit, an unknown key, TLS 1.2. A stream that ends without close_notify is told apart
 * (osr_tls_receive_end): something was cut off. A client is up before the server has looked at its
 * certificate: a refusal then comes with a later osr_tls_receive.
 *
 * TLS 1.3 only, X25519 and P-256, AES-128-GCM before AES-256-GCM and ChaCha20. No session tickets,
 * no resumption, no early data, no renegotiation, no compression: nothing to replay or to keep.
 * Shared keys are external PSKs for AES-256-GCM, which comes first where there are some, always
 * with a key exchange beside them: who learns one later reads nothing of what was sent before. */
#ifndef OSR_ADAPTER_TLS_H
#define OSR_ADAPTER_TLS_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/sha256.h"

enum {
    OSR_TLS_NAME_BYTES_MAX = 255, /* of an identity in a certificate, or of a shared key */
    OSR_TLS_KEYS_MAX = 16,        /* shared keys at a time: rotation */
    OSR_TLS_KEY_BYTES_MIN = 32,   /* of a shared key: it has no other protection */
    OSR_TLS_KEY_BYTES_MAX = 64,
    /* What a peer may send before the handshake is done: stops endless certificate chains. */
    OSR_TLS_HANDSHAKE_BYTES_MAX = 64 << 10,
    OSR_TLS_BINDING_SIZE = 32,
    OSR_TLS_PROTOCOL_BYTES_MAX = 31, /* of an application protocol's name */
};

/* How the other side has shown who it is. */
enum osr_tls_proof {
    OSR_TLS_PROOF_NONE,        /* a client without certificate, where that is let in */
    OSR_TLS_PROOF_CERTIFICATE, /* from a CA that we believe */
    OSR_TLS_PROOF_KEY,         /* shared */
    OSR_TLS_PROOF_PINNED,      /* self-signed: HELLO_PROOF has to show whose it is */
};

struct osr_tls_shared_key {
    const char *name;
    struct osr_slice secret;
};

/* PEM texts: a certificate with its chain, its key, the CAs that are believed (old and new during a
 * rotation; they need not be roots). Everything here is copied. */
struct osr_tls_options {
    bool is_server;
    bool is_datagram;                 /* for the sessions of dtls.h, not for those of this header */
    struct osr_slice certificate_pem; /* empty: none; only with shared keys, or of a client */
    struct osr_slice key_pem;
    struct osr_slice authorities_pem; /* empty: no certificate is believed */
    /* Instead of these, of a client: the one CA whose certificate this is the fingerprint of, where
     * the server shows it in its chain. NULL: none. */
    const struct osr_hash *authority_fingerprint;
    const struct osr_tls_shared_key *shared_keys; /* a client uses the first */
    size_t shared_key_count;
    /* Which proofs are let in, bits 1 << enum osr_tls_proof. A server asks for a certificate unless
     * only _NONE and _KEY are let in. A client lets in what it expects of the server; never _NONE.
     * _KEY goes with shared keys: neither without the other. A server that lets in _KEY alone never
     * shows its certificate; where more is let in, a key that it does not know falls back to that,
     * and a client that expects _KEY alone refuses. */
    unsigned proofs;
    /* Application protocols (RFC 7301), the preferred first, ended by NULL. A server takes the
     * first of its own that the client names, and refuses one that names none of them; a client
     * that names none at all is taken. */
    const char *const *protocols;
    /* Of a client: the server's name as dialled. A certificate without an identity of ours, an
     * outside CA's, has to bear it (as a DNS name or an IP address); where there is an identity,
     * that decides. NULL: not looked at. */
    const char *server_name;
    /* Whether the certificate with this serial number (as in authority.h) of the CA with this
     * certificate (its fingerprint) has been revoked; NULL: none. Asked during handshakes about
     * each certificate of the chain; not about self-signed ones. */
    bool (*is_revoked)(void *context, const char *serial, const struct osr_hash *authority);
    void *context;
    /* Wall clock in seconds since 1970, for expiry. NULL: the system's. */
    uint64_t (*time_s)(void *context);
};

struct osr_tls_context; /* counted */
struct osr_tls;

/* CONFIG, naming what is wrong: no PEM, a key that does not belong to the certificate, ... */
int osr_tls_context_create(const struct osr_tls_options *options, struct osr_tls_context **ret,
                           struct osr_err *err);
/* NULL is a no-op for both. */
struct osr_tls_context *osr_tls_context_hold(struct osr_tls_context *context);
void osr_tls_context_release(struct osr_tls_context *context);

struct osr_tls_peer {
    enum osr_tls_proof proof;
    /* By certificate: its identity, from the subject alternative name URI
     * "osiris:<cluster>/<who>" (certificate_identity.h), else "" (an outside CA's: `subject` says
     * who). By shared key: `who` is the key's name. Pinned: "", whatever it says of itself. */
    char cluster[OSR_TLS_NAME_BYTES_MAX + 1];
    char who[OSR_TLS_NAME_BYTES_MAX + 1];
    char subject[OSR_TLS_NAME_BYTES_MAX + 1]; /* common name, or the first DNS name */
    char serial[2 * 20 + 1];                  /* hexadecimal */
    struct osr_hash fingerprint;              /* SHA-256 of the certificate (DER) */
    struct osr_hash authority;                /* the same of the CA among those believed */
    uint64_t expires_s;                       /* since 1970 */
};

/* It has shown who it is, which a pinned certificate alone does not. */
bool osr_tls_peer_is_known(const struct osr_tls_peer *peer);

struct osr_tls *osr_tls_create(struct osr_tls_context *context);
void osr_tls_destroy(struct osr_tls *tls); /* NULL is a no-op */
/* Takes all bytes, and keeps what they decrypt to until it is read: who does not read should not
 * receive either. On failure produce once more (the alert), then close; what came whole before can
 * still be read. */
int osr_tls_receive(struct osr_tls *tls, struct osr_slice bytes, struct osr_err *err);
/* The carrier has ended. MALFORMED unless close_notify came before. */
int osr_tls_receive_end(struct osr_tls *tls, struct osr_err *err);
bool osr_tls_is_up(const struct osr_tls *tls);          /* the handshake is done */
bool osr_tls_peer_has_ended(const struct osr_tls *tls); /* close_notify has come, and all is read */
/* What the peer wrote, into `data`; 0 where nothing is there yet. */
size_t osr_tls_read(struct osr_tls *tls, void *data, size_t bytes_max);
/* Encrypts; only once it is up, and before osr_tls_end. Nothing after a failure. */
void osr_tls_write(struct osr_tls *tls, struct osr_slice bytes);
void osr_tls_end(struct osr_tls *tls); /* close_notify, behind what was written */
/* Moves what is to be sent to the carrier behind `output` (without copying where that is empty);
 * false where there was nothing. */
bool osr_tls_produce(struct osr_tls *tls, struct osr_buffer *output);

/* Only once it is up. */
const struct osr_tls_peer *osr_tls_peer(const struct osr_tls *tls);
const char *osr_tls_protocol(const struct osr_tls *tls); /* chosen; "" for none */
/* The channel binding of HELLO_PROOF (RFC 9266, tls-exporter): OSR_TLS_BINDING_SIZE bytes. */
void osr_tls_binding(const struct osr_tls *tls, uint8_t *binding);

#endif
