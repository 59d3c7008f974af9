/* A listener's side of UDP: the header of datagrams, the door that asks for a cookie, the session
 * behind it. An honest client talks to it, and somebody on the wire drops, doubles, alters and
 * makes up datagrams, and sends some from elsewhere. Whatever comes: a stranger gets no more than
 * it has sent, nobody comes in by a cookie that another address was given, who has come in is told
 * as it is, and what is read is what the client wrote, each packet once.
 *
 * The first byte says whether hands have been shaken before the first step. The rest are steps, a
 * byte each with what it needs behind it. Random numbers are the same in every run. */
#include "fuzz.h"

#include <openssl/err.h>

#include "adapter/dtls.h"
#include "adapter/udp_form.h"
#include "input.h"
#include "lib/known_numbers.h"
#include "lib/tls_pair.h"

enum { SHAKE_HANDS = 1, PACKETS_MAX = 256, DATAGRAM_BYTES_MAX = 1024 };

enum step {
    STEP_CARRY, /* the client's datagrams, and back */
    STEP_ALTER, /* where, how */
    STEP_CUT,   /* how many are left, in 256ths */
    STEP_DOUBLE,
    STEP_FROM_ELSEWHERE,
    STEP_INSERT,           /* how many, the bytes */
    STEP_INSERT_ELSEWHERE, /* the same */
    STEP_WRITE,
    STEP_WAIT, /* until the next secret of cookies */
    STEP_COUNT,
};

struct run {
    struct osr_slice input;
    struct osr_dtls_door *door;
    struct osr_dtls *tested; /* NULL: not let in yet */
    struct osr_dtls *honest;
    int tested_code, honest_code;
    uint64_t now_ms;
    struct osr_buffer written; /* a packet, not yet sent */
    size_t packets;
    bool has_come[PACKETS_MAX];
};

static const uint8_t nobody[OSR_UDP_ID_BYTES];
static const uint8_t own_id[OSR_UDP_ID_BYTES] = "client";

/* -- who talks -- */

static struct osr_tls_context *contexts[2]; /* the client's, the server's */

static void make_contexts(void)
{
    if (contexts[0] != NULL) {
        return;
    }
    osr_known_numbers_restart();
    static struct osr_party authority;
    authority = osr_party_authority("lab");
    for (size_t i = 0; i < 2; i++) {
        struct osr_party party =
            osr_party_of(&authority, "lab", i == 0 ? "user:ana" : "user:server");
        struct osr_tls_options options = osr_party_options(i == 1, &party);
        options.is_datagram = true;
        options.proofs = 1u << OSR_TLS_PROOF_CERTIFICATE;
        options.authorities_pem = osr_buffer_slice(&authority.certificate);
        MUST(osr_tls_context_create(&options, &contexts[i], NULL) == 0);
        osr_party_done(&party);
    }
}

/* -- what must hold -- */

static void must_be_told_as_it_is(const struct run *run)
{
    const struct osr_tls_peer *peer = osr_dtls_peer(run->tested);
    MUST(peer->proof == OSR_TLS_PROOF_CERTIFICATE);
    MUST(strcmp(peer->cluster, "lab") == 0 && strcmp(peer->who, "user:ana") == 0);
}

static void must_be_what_was_written(struct run *run)
{
    uint8_t packet[OSR_DTLS_RECORD_BYTES_MAX];
    struct osr_err err;
    size_t size = 0;
    do {
        run->tested_code = osr_dtls_read(run->tested, packet, &size, &err);
        if (size > 0) {
            MUST(size == 2 && packet[0] < run->packets && packet[1] == (uint8_t)~packet[0]);
            MUST(!run->has_come[packet[0]]);
            run->has_come[packet[0]] = true;
        }
    } while (run->tested_code == 0 && size > 0);
}

static void must_be_read_as_it_was(struct osr_slice bytes, const struct osr_udp_datagram *datagram)
{
    uint8_t header[OSR_UDP_FIRST_BYTES];
    size_t size = osr_udp_header(header, datagram->form, datagram->receiver, datagram->sender);
    MUST(size + datagram->records.size == bytes.size && memcmp(header, bytes.data, size) == 0);
    MUST(datagram->records.data == bytes.data + size);
}

/* -- datagrams -- */

static void give_client(struct run *run, struct osr_slice records)
{
    struct osr_err err = {0};
    if (run->honest_code == 0) {
        run->honest_code = osr_dtls_receive(run->honest, records, &err);
        MUST(run->honest_code == 0 || err.message[0] != '\0');
    }
}

static void carry_back(struct run *run)
{
    uint8_t records[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    while (run->tested != NULL && (size = osr_dtls_produce(run->tested, records)) > 0) {
        give_client(run, osr_slice(records, size));
    }
}

static void note_tested(struct run *run, int code, const struct osr_err *err)
{
    run->tested_code = code;
    MUST(code == 0 || err->message[0] != '\0');
    if (code == 0 && osr_dtls_is_up(run->tested)) {
        must_be_told_as_it_is(run);
        must_be_what_was_written(run);
    }
    carry_back(run);
}

static void knock(struct run *run, const struct osr_udp_datagram *datagram, size_t datagram_size,
                  bool is_elsewhere)
{
    uint8_t answer[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    struct osr_err err = {0};
    struct osr_slice sender = osr_slice_text(is_elsewhere ? "elsewhere" : "client");
    struct osr_dtls *let_in =
        osr_dtls_door_receive(run->door, run->now_ms, sender, datagram->records, answer, &size);
    MUST(size == 0 || OSR_UDP_FIRST_BYTES + size <= datagram_size);
    MUST(let_in == NULL || (size == 0 && !is_elsewhere));
    if (size > 0 && !is_elsewhere) {
        give_client(run, osr_slice(answer, size));
    }
    if (let_in != NULL) {
        run->tested = let_in;
        note_tested(run, osr_dtls_begin(let_in, &err), &err);
    }
}

static void give(struct run *run, struct osr_slice bytes, bool is_elsewhere)
{
    struct osr_udp_datagram datagram;
    if (!osr_udp_read_header(bytes, &datagram)) {
        return;
    }
    must_be_read_as_it_was(bytes, &datagram);
    if (datagram.form == OSR_UDP_FIRST && (run->tested == NULL || is_elsewhere)) {
        knock(run, &datagram, bytes.size, is_elsewhere);
    } else if (datagram.form != OSR_UDP_UNKNOWN && run->tested != NULL && run->tested_code == 0) {
        struct osr_err err = {0};
        note_tested(run, osr_dtls_receive(run->tested, datagram.records, &err), &err);
    }
    MUST(ERR_peek_error() == 0);
}

/* -- steps -- */

/* The client's next datagram; 0: it has nothing to say. */
static size_t say(struct run *run, uint8_t *datagram)
{
    size_t header = osr_udp_header(datagram, OSR_UDP_FIRST, nobody, own_id);
    size_t size = osr_dtls_produce(run->honest, datagram + header);
    if (size == 0 && run->written.size > 0 && run->honest_code == 0) {
        size = osr_dtls_seal(run->honest, osr_buffer_slice(&run->written), datagram + header);
        osr_buffer_clear(&run->written);
    }
    return size > 0 ? header + size : 0;
}

static void give_what_was_said(struct run *run, enum step step)
{
    uint8_t datagram[DATAGRAM_BYTES_MAX];
    size_t size;
    while ((size = say(run, datagram)) > 0) {
        if (step == STEP_ALTER) {
            size_t where = (size_t)(take_byte(&run->input) << 8 | take_byte(&run->input)) % size;
            datagram[where] ^= take_byte(&run->input);
        } else if (step == STEP_CUT) {
            size = size * take_byte(&run->input) / 256;
        } else if (step == STEP_DOUBLE) {
            give(run, osr_slice(datagram, size), false);
        }
        give(run, osr_slice(datagram, size), step == STEP_FROM_ELSEWHERE);
    }
}

static void write_packet(struct run *run)
{
    if (run->honest_code == 0 && osr_dtls_is_up(run->honest) && run->written.size == 0 &&
        run->packets < PACKETS_MAX) {
        osr_buffer_add_u8(&run->written, (uint8_t)run->packets);
        osr_buffer_add_u8(&run->written, (uint8_t)~run->packets);
        run->packets++;
    }
}

static void take_step(struct run *run)
{
    enum step step = (enum step)(take_byte(&run->input) % STEP_COUNT);
    switch (step) {
    case STEP_INSERT:
    case STEP_INSERT_ELSEWHERE:
        give(run, take_bytes(&run->input, take_byte(&run->input)), step == STEP_INSERT_ELSEWHERE);
        break;
    case STEP_WRITE:
        write_packet(run);
        break;
    case STEP_WAIT:
        run->now_ms += OSR_DTLS_COOKIE_MS;
        break;
    default:
        give_what_was_said(run, step);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_contexts();
    if (size == 0) {
        return 0;
    }
    osr_known_numbers_restart();
    struct run run = {
        .input = osr_slice(data + 1, size - 1),
        .door = osr_dtls_door_create(contexts[1]),
        .honest = osr_dtls_create(contexts[0]),
    };
    if ((data[0] & SHAKE_HANDS) != 0) {
        give_what_was_said(&run, STEP_CARRY);
        MUST(osr_dtls_is_up(run.tested) && osr_dtls_is_up(run.honest));
    }
    while (run.input.size > 0) {
        take_step(&run);
    }
    osr_dtls_destroy(run.tested);
    osr_dtls_destroy(run.honest);
    osr_dtls_door_destroy(run.door);
    osr_buffer_done(&run.written);
    return 0;
}
