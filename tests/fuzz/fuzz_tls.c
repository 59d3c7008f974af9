/* TLS between an honest peer and the session under test, with somebody on the wire: whatever that
 * one drops, doubles, alters or makes up, what is read is what the honest peer wrote, up to where
 * it fails; who has come in is told as it is; and nothing is left in OpenSSL's queue of errors.
 *
 * The first byte of the input says which side is tested and how it is shown who the other is. The
 * rest are steps, a byte each with what it needs behind it. Random numbers and time are the same in
 * every run, so that an input can be repeated. */
#include "fuzz.h"

#include <openssl/err.h>

#include "input.h"
#include "lib/known_numbers.h"
#include "lib/tls_pair.h"

/* Bits of the first byte. */
enum {
    TEST_CLIENT = 1,
    BY_KEY = 2,         /* shared, else certificates */
    NO_CERTIFICATE = 4, /* of a client */
    SHAKE_HANDS = 8,    /* before the first step */
    ALONE = 16,         /* signed by itself, both of them */
};

enum step {
    STEP_CARRY, /* the honest peer's bytes, and back */
    STEP_ALTER, /* where, how */
    STEP_CUT,   /* how many are left, in 256ths */
    STEP_DOUBLE,
    STEP_INSERT, /* how many, the bytes */
    STEP_RECORD, /* kind, how many, the bytes: a record with a header that is right */
    STEP_WRITE,  /* how many, times 64 */
    STEP_END,
    STEP_COUNT,
};

static const char key_name[] = "backup";
static const char secret_text[] = "0123456789abcdef0123456789abcdef";

/* -- who talks -- */

static struct osr_party authority;
static struct osr_party parties[2]; /* the client, the server */
static struct osr_party alone[2];

static void make_parties(void)
{
    if (authority.key.size > 0) {
        return;
    }
    osr_known_numbers_restart();
    authority = osr_party_authority("lab");
    for (size_t i = 0; i < 2; i++) {
        parties[i] = osr_party_of(&authority, "lab", i == 0 ? "user:ana" : "user:server");
        alone[i] = osr_party_alone("lab", i == 0 ? "user:ana" : "user:server");
    }
}

static struct osr_tls_options options_of(uint8_t how, bool is_server)
{
    static const struct osr_tls_shared_key key = {key_name, {(const uint8_t *)secret_text, 32}};
    static const char *const protocols[] = {"osiris/1", NULL};
    const struct osr_party *party = (how & ALONE) != 0 ? &alone[is_server] : &parties[is_server];
    bool shows_none = (how & NO_CERTIFICATE) != 0 && !is_server;
    struct osr_tls_options options = osr_party_options(is_server, shows_none ? NULL : party);

    options.protocols = protocols;
    options.proofs = 1u << OSR_TLS_PROOF_CERTIFICATE | 1u << OSR_TLS_PROOF_PINNED;
    if ((how & ALONE) == 0) {
        options.authorities_pem = osr_buffer_slice(&authority.certificate);
    }
    if ((how & BY_KEY) != 0) {
        options.proofs = 1u << OSR_TLS_PROOF_KEY;
        options.shared_keys = &key;
        options.shared_key_count = 1;
    } else if (is_server && (how & NO_CERTIFICATE) != 0) {
        options.proofs |= 1u << OSR_TLS_PROOF_NONE;
    }
    return options;
}

/* Contexts cost far more than sessions, so each is made once. */
static struct osr_tls *open_session(uint8_t how, bool is_server)
{
    static struct osr_tls_context *contexts[2 * ALONE][2];
    struct osr_tls_context **context = &contexts[how % (2 * ALONE)][is_server];

    if (*context == NULL) {
        struct osr_tls_options options = options_of(how, is_server);
        MUST(osr_tls_context_create(&options, context, NULL) == 0);
    }
    return osr_tls_create(*context);
}

static enum osr_tls_proof proof_to_be_told(uint8_t how)
{
    if ((how & BY_KEY) != 0) {
        return OSR_TLS_PROOF_KEY;
    }
    if ((how & NO_CERTIFICATE) != 0 && (how & TEST_CLIENT) == 0) {
        return OSR_TLS_PROOF_NONE;
    }
    return (how & ALONE) != 0 ? OSR_TLS_PROOF_PINNED : OSR_TLS_PROOF_CERTIFICATE;
}

/* -- one run -- */

struct run {
    uint8_t how;
    struct osr_slice input; /* the steps that are left */
    struct osr_tls_side tested;
    struct osr_tls_side honest;
    size_t written; /* by the honest one: bytes that count up */
    size_t read;
};

static void must_be_told_as_it_is(const struct run *run)
{
    const struct osr_tls_peer *peer = osr_tls_peer(run->tested.tls);
    const char *whose = (run->how & TEST_CLIENT) != 0 ? "user:server" : "user:ana";

    MUST(peer->proof == proof_to_be_told(run->how));
    if (peer->proof == OSR_TLS_PROOF_CERTIFICATE) {
        MUST(strcmp(peer->cluster, "lab") == 0 && strcmp(peer->who, whose) == 0);
    } else {
        MUST(peer->cluster[0] == '\0');
        MUST(strcmp(peer->who, peer->proof == OSR_TLS_PROOF_KEY ? key_name : "") == 0);
    }
    if (osr_tls_is_up(run->honest.tls)) {
        uint8_t bindings[2][OSR_TLS_BINDING_SIZE];
        osr_tls_binding(run->tested.tls, bindings[0]);
        osr_tls_binding(run->honest.tls, bindings[1]);
        MUST(memcmp(bindings[0], bindings[1], OSR_TLS_BINDING_SIZE) == 0);
    }
}

static void must_be_what_was_written(struct run *run)
{
    uint8_t bytes[512];
    size_t size;

    while ((size = osr_tls_read(run->tested.tls, bytes, sizeof(bytes))) > 0) {
        for (size_t i = 0; i < size; i++) {
            MUST(bytes[i] == (uint8_t)(run->read + i));
        }
        run->read += size;
    }
    MUST(run->read <= run->written);
}

static void give(struct run *run, struct osr_slice bytes)
{
    bool had_failed = run->tested.code != 0;
    bool was_up = osr_tls_is_up(run->tested.tls);

    osr_tls_side_receive(&run->tested, bytes);
    MUST(ERR_peek_error() == 0);
    MUST(run->tested.code == 0 || run->tested.err.message[0] != '\0');
    MUST(!had_failed || osr_tls_is_up(run->tested.tls) == was_up);
    if (osr_tls_is_up(run->tested.tls)) {
        must_be_told_as_it_is(run);
        must_be_what_was_written(run);
    }
}

static void give_record(struct run *run)
{
    struct osr_buffer record = {0};
    const uint8_t header[] = {(uint8_t)(20 + take_byte(&run->input) % 4), 3, 3};
    struct osr_slice bytes = take_bytes(&run->input, take_byte(&run->input));

    osr_buffer_add(&record, header, sizeof(header));
    osr_buffer_add_u8(&record, (uint8_t)(bytes.size >> 8));
    osr_buffer_add_u8(&record, (uint8_t)bytes.size);
    osr_buffer_add(&record, bytes.data, bytes.size);
    give(run, osr_buffer_slice(&record));
    osr_buffer_done(&record);
}

/* The honest one's bytes, as the step has them. */
static void give_what_was_said(struct run *run, enum step step)
{
    struct osr_buffer bytes = {0};

    osr_tls_produce(run->honest.tls, &bytes);
    if (step == STEP_ALTER && bytes.size > 0) {
        size_t where = (size_t)(take_byte(&run->input) << 8 | take_byte(&run->input)) % bytes.size;
        bytes.data[where] ^= take_byte(&run->input);
    } else if (step == STEP_CUT) {
        bytes.size = bytes.size * take_byte(&run->input) / 256;
    }
    give(run, osr_buffer_slice(&bytes));
    if (step == STEP_DOUBLE) {
        give(run, osr_buffer_slice(&bytes));
    }
    osr_buffer_done(&bytes);
    osr_tls_carry(&run->tested, &run->honest);
}

static void write_numbers(struct run *run)
{
    uint8_t bytes[64 * 256];
    size_t size = (size_t)64 * take_byte(&run->input);

    if (!osr_tls_is_up(run->honest.tls) || run->honest.code != 0) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(run->written + i);
    }
    osr_tls_write(run->honest.tls, osr_slice(bytes, size));
    run->written += size;
}

/* False: the honest one has ended, so nothing more can happen. */
static bool take_step(struct run *run)
{
    enum step step = (enum step)(take_byte(&run->input) % STEP_COUNT);

    switch (step) {
    case STEP_INSERT:
        give(run, take_bytes(&run->input, take_byte(&run->input)));
        return true;
    case STEP_RECORD:
        give_record(run);
        return true;
    case STEP_WRITE:
        write_numbers(run);
        return true;
    case STEP_END:
        osr_tls_end(run->honest.tls);
        give_what_was_said(run, STEP_CARRY);
        return false;
    default:
        give_what_was_said(run, step);
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_parties();
    if (size == 0) {
        return 0;
    }
    osr_known_numbers_restart();
    struct run run = {.how = data[0], .input = osr_slice(data + 1, size - 1)};
    bool tests_server = (run.how & TEST_CLIENT) == 0;

    run.tested.tls = open_session(run.how, tests_server);
    run.honest.tls = open_session(run.how, !tests_server);
    osr_tls_carry(&run.tested, &run.honest);
    for (int i = 0; (run.how & SHAKE_HANDS) != 0 && i < 2; i++) {
        give_what_was_said(&run, STEP_CARRY);
    }
    MUST((run.how & SHAKE_HANDS) == 0 || osr_tls_is_up(run.tested.tls));
    while (run.input.size > 0 && take_step(&run)) {
    }
    struct osr_err err = {0};
    int code = osr_tls_receive_end(run.tested.tls, &err);
    MUST(code == 0 || run.tested.code != 0 || code == OSR_MALFORMED);
    MUST(code != 0 || run.read == run.written); /* nothing was cut off unseen */
    osr_tls_side_close(&run.tested);
    osr_tls_side_close(&run.honest);
    return 0;
}
