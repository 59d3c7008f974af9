/* dtls.h -- DTLS 1.2 over any carrier of datagrams: datagrams in, datagrams out. No socket, no
 * thread. By OpenSSL; no cryptography of our own. Contexts are those of tls.h, made for datagrams.
 *
 * Happy path of a client: osr_dtls_create -> osr_dtls_receive each datagram, send what
 * osr_dtls_produce gives, osr_dtls_pass_time when osr_dtls_wait_ms is over -> up: osr_dtls_seal a
 * packet into one datagram, osr_dtls_read those of the other side -> osr_dtls_end.
 * Of a server: a door answers each stranger's first datagram with a cookie, and keeps nothing of
 * it; who brings it back becomes a session, which goes on with osr_dtls_begin.
 *
 * What does not belong to the session (altered, doubled, another's) is dropped without a word, as
 * anybody can send such; a failure is what the other side itself did or said, and ends the session
 * for good: err says what people can act on, and a last alert may still be produced. Packets may
 * get lost, and come in another order; never doubled.
 *
 * DTLS 1.2 only, ECDHE with X25519 and P-256, AES-GCM and ChaCha20-Poly1305. No tickets, no
 * resumption, no renegotiation, no compression. Shared keys with ECDHE, too: what OpenSSL gets of
 * one is derived from it for DTLS alone. Who lets in keys and more, and meets a key that is unknown
 * or another one, fails: DTLS 1.2 chooses the way before the key is named. One that differs shows
 * when the client says its last message again (dtls_other_key.c). */
#ifndef OSR_ADAPTER_DTLS_H
#define OSR_ADAPTER_DTLS_H

#include "adapter/tls.h"

enum {
    /* Of a handshake, each: fits wherever 576 bytes of IP do, with 17 bytes of the carrier's own
     * (udp.h). */
    OSR_DTLS_DATAGRAM_BYTES = 531,
    OSR_DTLS_RECORD_BYTES_MAX = 16 << 10,
    /* Of a chain of certificates. OpenSSL sets aside for ten messages of a handshake what their
     * first fragments claim: stops strangers from claiming much with little. */
    OSR_DTLS_CERTIFICATES_BYTES_MAX = 16 << 10,
    /* Cookies are taken for one to two times as long. */
    OSR_DTLS_COOKIE_MS = 30 * 1000,
    /* Of a datagram's sender, what a cookie is made for. */
    OSR_DTLS_SENDER_BYTES_MAX = 64,
};

/* AES-GCM's proofs hold for 2^24.5 records under a key (RFC 9147, 4.5.3), and DTLS 1.2 has no way
 * to another key but a new session. */
#define OSR_DTLS_RECORDS_MAX (UINT64_C(1) << 24)

struct osr_dtls;

/* ---- a server's door ---- */

struct osr_dtls_door;

struct osr_dtls_door *osr_dtls_door_create(struct osr_tls_context *context);
void osr_dtls_door_destroy(struct osr_dtls_door *door); /* NULL is a no-op */
/* Those who come from now on. */
void osr_dtls_door_secure(struct osr_dtls_door *door, struct osr_tls_context *context);
/* A stranger's datagram. `sender` is all that tells it from others: a cookie is good for it alone.
 * Returns the session of one that has shown its cookie, to begin; NULL: `answer`
 * (OSR_DTLS_DATAGRAM_BYTES) goes back to it, unless *ret_answer_size is 0. `now_ms` is monotonic.
 */
struct osr_dtls *osr_dtls_door_receive(struct osr_dtls_door *door, uint64_t now_ms,
                                       struct osr_slice sender, struct osr_slice datagram,
                                       uint8_t *answer, size_t *ret_answer_size);
/* Goes on with what it said at the door. */
int osr_dtls_begin(struct osr_dtls *dtls, struct osr_err *err);

/* ---- a session ---- */

struct osr_dtls *osr_dtls_create(struct osr_tls_context *context); /* a client's */
void osr_dtls_destroy(struct osr_dtls *dtls);                      /* NULL is a no-op */

/* The datagram's bytes have to stay until osr_dtls_read has given 0. */
int osr_dtls_receive(struct osr_dtls *dtls, struct osr_slice datagram, struct osr_err *err);
/* The next packet of the datagram that was received; *ret_size 0: there is none. `packet` has
 * OSR_DTLS_RECORD_BYTES_MAX bytes. */
int osr_dtls_read(struct osr_dtls *dtls, uint8_t *packet, size_t *ret_size, struct osr_err *err);
/* The packet read last was sent later than all that were read before. */
bool osr_dtls_is_newest(const struct osr_dtls *dtls);
/* The next datagram of the handshake, or an alert; 0: none. OSR_DTLS_DATAGRAM_BYTES of room. */
size_t osr_dtls_produce(struct osr_dtls *dtls, uint8_t *datagram);
/* Only once it is up, and before osr_dtls_end: one packet into one datagram. Returns its size:
 * osr_dtls_overhead more than the packet's; 0 after a failure. */
size_t osr_dtls_seal(struct osr_dtls *dtls, struct osr_slice packet, uint8_t *datagram);
size_t osr_dtls_overhead(const struct osr_dtls *dtls);
/* As many as one key may protect were sealed: no more, the session has to end. */
bool osr_dtls_is_used_up(const struct osr_dtls *dtls);
void osr_dtls_end(struct osr_dtls *dtls); /* close_notify, to be produced; once it is up */

/* How long until what was said in the handshake is said again, unless something comes before;
 * UINT64_MAX: it need not be. OpenSSL looks at the system's clock itself. */
uint64_t osr_dtls_wait_ms(const struct osr_dtls *dtls);
int osr_dtls_pass_time(struct osr_dtls *dtls, struct osr_err *err);

bool osr_dtls_is_up(const struct osr_dtls *dtls);
bool osr_dtls_peer_has_ended(const struct osr_dtls *dtls); /* close_notify has come */
/* It has offered or asked for a shared key; NULL: none. For messages about handshakes that do not
 * end. */
const char *osr_dtls_key_name(const struct osr_dtls *dtls);
/* Only once it is up, as in tls.h. */
const struct osr_tls_peer *osr_dtls_peer(const struct osr_dtls *dtls);
void osr_dtls_binding(const struct osr_dtls *dtls, uint8_t *binding);

#endif
