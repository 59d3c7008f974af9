#include "node/setup_command.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "adapter/zmq_keys.h"
#include "base/fields.h"
#include "base/text.h"
#include "model/limits.h"
#include "node/client_keys.h"
#include "node/renewal.h"
#include "node/setup.h"
#include "node/setup_doctor.h"
#include "wire/codec.h"

struct order {
    struct osr_config config;
    const char *word; /* NULL: none */
    uint64_t now_s;
    struct osr_buffer output; /* may hold secrets: wiped in the end */
};

/* -- input and output -- */

static int read_input(struct osr_buffer *input, struct osr_err *err)
{
    enum { INPUT_BYTES_MAX = 4 << 20 };         /* of certificates: stops a wrong file */
    osr_buffer_reserve(input, INPUT_BYTES_MAX); /* once: no copy of a secret is left behind */
    while (input->size < INPUT_BYTES_MAX) {
        ssize_t size = read(STDIN_FILENO, input->data + input->size, INPUT_BYTES_MAX - input->size);
        if (size < 0 && errno != EINTR) {
            return (int)osr_err_errno(err, OSR_IO, errno, "cannot read standard input");
        }
        if (size == 0) {
            return 0;
        }
        input->size += size > 0 ? (size_t)size : 0;
    }
    return osr_err_set(err, OSR_TOO_LARGE, "too much comes by standard input");
}

static int read_message(const ProtobufCMessageDescriptor *descriptor, struct osr_arena *arena,
                        ProtobufCMessage **ret_message, struct osr_err *err)
{
    struct osr_buffer input = {0};
    int code = read_input(&input, err);

    if (code == 0) {
        code = osr_message_decode(OSR_CODEC_JSON, descriptor, osr_buffer_slice(&input), arena,
                                  ret_message, err);
    }
    osr_secret_buffer_done(&input);
    return code;
}

static void write_report(struct order *order, const struct osr_setup_report *report)
{
    struct osr_buffer *line = &order->output;

    osr_fields_begin(line);
    osr_fields_add(line, "data", order->config.data);
    osr_fields_add(line, "instance", report->instance);
    osr_fields_add(line, "speakable", report->speakable);
    osr_fields_add(line, "authority", report->has_authority ? "here" : "elsewhere");
    osr_fields_add(line, "state", report->is_new ? "new" : "unchanged");
    osr_fields_add(line, "missing_peer", report->missing_peer);
    osr_fields_end(line);
}

/* -- modes -- */

static int run_init(struct order *order, struct osr_err *err)
{
    struct osr_setup_report report;
    int code = osr_setup_init(&order->config, order->now_s, &report, err);

    if (code == 0) {
        write_report(order, &report);
    }
    return code;
}

/* By standard input: a JoinRequest with the invitation alone; it comes back whole. */
static int run_join_begin(struct order *order, struct osr_err *err)
{
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    ProtobufCMessage *message;
    int code = read_message(&osr__join_request__descriptor, arena, &message, err);

    if (code == 0) {
        const Osr__JoinRequest *request = (const Osr__JoinRequest *)message;
        code = osr_setup_join_begin(&order->config, request->invitation, &order->output, err);
        explicit_bzero(request->invitation, strlen(request->invitation));
    }
    osr_arena_destroy(arena);
    return code;
}

static int run_join_finish(struct order *order, struct osr_err *err)
{
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    ProtobufCMessage *message;
    struct osr_setup_report report;
    int code = read_message(&osr__join_response__descriptor, arena, &message, err);

    if (code == 0) {
        code =
            osr_setup_join_finish(&order->config, (const Osr__JoinResponse *)message, &report, err);
    }
    if (code == 0) {
        write_report(order, &report);
    }
    osr_arena_destroy(arena);
    return code;
}

static int run_doctor(struct order *order, struct osr_err *err)
{
    (void)err;
    osr_setup_doctor(&order->config, order->now_s, &order->output);
    return 0;
}

/* -- modes that look at the trust folder, or change it alone: beside a running instance as well,
 * which takes it over with a reload -- */

static struct osr_trust_folder *open_folder(const struct order *order)
{
    return osr_trust_folder_open(osr_disk_system(), order->config.data);
}

static int run_ca_init(struct order *order, struct osr_err *err)
{
    return osr_setup_make_authority(&order->config, order->now_s, err);
}

static int run_ca_begin(struct order *order, struct osr_err *err)
{
    return osr_setup_begin_rotation(&order->config, order->now_s, err);
}

static int run_ca_switch(struct order *order, struct osr_err *err)
{
    return osr_setup_switch_authority(&order->config, order->now_s, err);
}

static int run_ca_end(struct order *order, struct osr_err *err)
{
    struct osr_trust_folder *folder = open_folder(order);
    int code = osr_trust_folder_end_rotation(folder, err);

    osr_trust_folder_close(folder);
    return code;
}

/* By standard input: certificates of CAs that are to be believed. */
static int run_ca_add(struct order *order, struct osr_err *err)
{
    struct osr_buffer input = {0};
    struct osr_trust_folder *folder = open_folder(order);
    int code = read_input(&input, err);

    if (code == 0) {
        code = osr_trust_folder_add_authorities(folder, osr_buffer_slice(&input), err);
    }
    osr_trust_folder_close(folder);
    osr_buffer_done(&input);
    return code;
}

static const char next_authority_state[] = "next ca";

/* A line; that of the next CA says as well when linked members have heard of it. */
static void write_certificate(struct order *order, struct osr_slice pem, const char *state)
{
    struct osr_certificate_facts facts;
    char fingerprint[2 * OSR_SHA256_SIZE + 1];

    if (osr_certificate_read(pem, &facts, NULL) != 0) {
        return;
    }
    char *expires = osr_format("%llu", (unsigned long long)facts.expires_s * 1000);
    char *heard = NULL;
    if (strcmp(state, next_authority_state) == 0) {
        uint64_t made_s = facts.begins_s + OSR_CERTIFICATE_EARLY_S;
        heard = osr_format("%llu", (unsigned long long)(made_s * 1000 + OSR_RENEWAL_HEARD_MS));
    }
    osr_hex_encode(fingerprint, osr_slice(facts.fingerprint.bytes, OSR_SHA256_SIZE));
    osr_fields_begin(&order->output);
    osr_fields_add(&order->output, "state", state);
    osr_fields_add(&order->output, "subject", facts.subject);
    osr_fields_add(&order->output, "serial", facts.serial);
    osr_fields_add(&order->output, "expires_ms", expires);
    osr_fields_add(&order->output, "heard_ms", heard);
    osr_fields_add(&order->output, "fingerprint", fingerprint);
    osr_fields_end(&order->output);
    free(heard);
    free(expires);
}

/* What part a CA that is believed has in the rotation. */
static const char *state_of(const struct osr_trust *trust, struct osr_slice pem)
{
    struct osr_hash fingerprint = osr_trust_fingerprint(pem);

    if (osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE), &fingerprint)) {
        return "ca";
    }
    if (osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_CA_NEXT_CERTIFICATE), &fingerprint)) {
        return next_authority_state;
    }
    if (osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_CA_OLD_CERTIFICATE), &fingerprint)) {
        return "old ca";
    }
    return "believed";
}

static int run_ca_list(struct order *order, struct osr_err *err)
{
    struct osr_trust_folder *folder = open_folder(order);
    struct osr_trust *trust = NULL;
    int code = osr_trust_folder_load(folder, &trust, err);

    if (code == 0) {
        struct osr_slice rest = osr_trust_text(trust, OSR_TRUST_AUTHORITIES);
        struct osr_slice pem;
        while (osr_certificate_next(&rest, &pem)) {
            write_certificate(order, pem, state_of(trust, pem));
        }
        write_certificate(order, osr_trust_text(trust, OSR_TRUST_TLS_CERTIFICATE), "own");
    }
    osr_trust_destroy(trust);
    osr_trust_folder_close(folder);
    return code;
}

/* By standard input: its secret in base64; empty: one is made. */
static int run_key_add(struct order *order, struct osr_err *err)
{
    struct osr_buffer input = {0};
    struct osr_buffer secret = {0};
    struct osr_trust_folder *folder = open_folder(order);
    int code = read_input(&input, err);

    while (code == 0 && input.size > 0 && strchr(" \t\r\n", input.data[input.size - 1]) != NULL) {
        input.size--;
    }
    osr_buffer_reserve(&secret, input.size);
    if (code == 0 && !osr_base64_decode(&secret, osr_buffer_slice(&input))) {
        code = osr_err_set(err, OSR_INVALID_ARGUMENT, "the secret is no base64");
    }
    if (code == 0) {
        code = osr_trust_folder_add_shared_key(folder, order->word, osr_buffer_slice(&secret), err);
    }
    osr_trust_folder_close(folder);
    osr_secret_buffer_done(&secret);
    osr_secret_buffer_done(&input);
    return code;
}

static int run_key_remove(struct order *order, struct osr_err *err)
{
    struct osr_trust_folder *folder = open_folder(order);
    int code = osr_trust_folder_remove_shared_key(folder, order->word, err);

    osr_trust_folder_close(folder);
    return code;
}

static void write_key(struct order *order, const struct osr_shared_key *key, bool with_secret)
{
    struct osr_buffer secret = {0};

    osr_buffer_reserve(&secret, 2 * sizeof(key->secret)); /* once, as above */
    if (with_secret) {
        osr_base64_encode(&secret, osr_slice(key->secret, key->size));
    }
    osr_buffer_add_u8(&secret, '\0');
    osr_fields_begin(&order->output);
    osr_fields_add(&order->output, "name", key->name);
    osr_fields_add(&order->output, "secret", (const char *)secret.data);
    osr_fields_end(&order->output);
    osr_secret_buffer_done(&secret);
}

/* The names; with a word, that key with its secret, to be carried to another instance. */
static int run_key_list(struct order *order, struct osr_err *err)
{
    struct osr_trust_folder *folder = open_folder(order);
    struct osr_trust *trust = NULL;
    int code = osr_trust_folder_load(folder, &trust, err);

    osr_buffer_reserve(&order->output, 16 << 10);
    for (size_t i = 0; code == 0 && i < trust->shared_keys.count; i++) {
        const struct osr_shared_key *key = &trust->shared_keys.keys[i];
        if (order->word == NULL || strcmp(order->word, key->name) == 0) {
            write_key(order, key, order->word != NULL);
        }
    }
    osr_trust_destroy(trust);
    osr_trust_folder_close(folder);
    return code;
}

/* -- keys of ZeroMQ's: client_keys.h -- */

static void write_client(struct order *order, const char *name, const char *secret)
{
    osr_fields_begin(&order->output);
    osr_fields_add(&order->output, "name", name);
    osr_fields_add(&order->output, "secret", secret);
    osr_fields_end(&order->output);
}

/* By standard input: its public key; empty: a pair is made, and the secret key comes back. */
static int run_client_add(struct order *order, struct osr_err *err)
{
    struct osr_buffer input = {0};
    struct osr_buffer secret = {0};
    int code = read_input(&input, err);

    if (code == 0) {
        osr_buffer_reserve(&secret, 64); /* once, as above */
        code = osr_client_keys_add(order->config.data, order->word, osr_buffer_slice(&input),
                                   &secret, err);
    }
    if (code == 0 && secret.size > 0) {
        osr_buffer_add_u8(&secret, '\0');
        write_client(order, order->word, (const char *)secret.data);
    }
    osr_secret_buffer_done(&secret);
    osr_buffer_done(&input);
    return code;
}

static int run_client_remove(struct order *order, struct osr_err *err)
{
    return osr_client_keys_remove(order->config.data, order->word, err);
}

static int run_client_list(struct order *order, struct osr_err *err)
{
    struct osr_bus_keys *keys = NULL;
    int code = osr_client_keys_read(order->config.data, &keys, err);

    for (size_t i = 0; code == 0 && i < keys->client_count; i++) {
        char key[OSR_CURVE_KEY_CHARS + 1];
        osr_curve_key_write(keys->clients[i].key, key);
        osr_fields_begin(&order->output);
        osr_fields_add(&order->output, "name", keys->clients[i].name);
        osr_fields_add(&order->output, "key", key);
        osr_fields_end(&order->output);
    }
    osr_client_keys_free(keys);
    return code;
}

static int run_client_key(struct order *order, struct osr_err *err)
{
    struct osr_buffer key = {0};
    int code = osr_client_keys_server(order->config.data, &key, err);

    if (code == 0) {
        osr_buffer_add_u8(&key, '\0');
        osr_fields_begin(&order->output);
        osr_fields_add(&order->output, "key", (const char *)key.data);
        osr_fields_end(&order->output);
    }
    osr_buffer_done(&key);
    return code;
}

/* -- finding the mode -- */

enum word { WORD_NONE, WORD_OPTIONAL, WORD_WANTED };

static const struct mode {
    const char *name;
    enum word word;
    bool makes_folder; /* or says itself that there is none */
    int (*run)(struct order *order, struct osr_err *err);
} modes[] = {
    {"init", WORD_NONE, true, run_init},
    {"join-begin", WORD_NONE, true, run_join_begin},
    {"join-finish", WORD_NONE, true, run_join_finish},
    {"doctor", WORD_NONE, true, run_doctor},
    {"ca-init", WORD_NONE, false, run_ca_init},
    {"ca-list", WORD_NONE, false, run_ca_list},
    {"ca-add", WORD_NONE, false, run_ca_add},
    {"ca-begin", WORD_NONE, false, run_ca_begin},
    {"ca-switch", WORD_NONE, false, run_ca_switch},
    {"ca-end", WORD_NONE, false, run_ca_end},
    {"key-list", WORD_OPTIONAL, false, run_key_list},
    {"key-add", WORD_WANTED, false, run_key_add},
    {"key-remove", WORD_WANTED, false, run_key_remove},
    {"client-add", WORD_WANTED, false, run_client_add},
    {"client-list", WORD_NONE, false, run_client_list},
    {"client-remove", WORD_WANTED, false, run_client_remove},
    {"client-key", WORD_NONE, false, run_client_key},
};

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return &modes[i];
        }
    }
    return NULL;
}

static int run_mode(const struct mode *mode, int argc, char *const *argv, struct order *order,
                    struct osr_err *err)
{
    enum osr_config_action action;

    if (mode->word != WORD_NONE && argc > 1 && argv[1][0] != '-') {
        order->word = argv[1];
        argc--;
        argv++;
    }
    if (mode->word == WORD_WANTED && order->word == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "setup %s: a name must follow", mode->name);
    }
    int code = osr_config_read(argc, argv, &order->config, &action, err);
    if (code != 0) {
        return code;
    }
    if (action != OSR_CONFIG_RUN) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "setup is for `osiris`: see osiris --help");
    }
    if (!mode->makes_folder && access(order->config.data, F_OK) != 0) {
        osr_err_set(err, OSR_NOT_FOUND, "there is no instance at %s", order->config.data);
        osr_err_hint(err, "osiris init makes one; --data DIR names another folder");
        return OSR_NOT_FOUND;
    }
    order->now_s = osr_wall_ms() / 1000;
    return mode->run(order, err);
}

static void write_failure(struct order *order, const struct osr_err *err)
{
    order->output.size = 0;
    osr_fields_begin(&order->output);
    osr_fields_add(&order->output, "code", osr_code_info(err->code)->name);
    osr_fields_add(&order->output, "message", err->message);
    osr_fields_add(&order->output, "hint", err->hint);
    osr_fields_end(&order->output);
}

/* Without stdio, whose buffer nobody wipes. */
static bool write_all(struct osr_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t size = write(STDOUT_FILENO, bytes.data, bytes.size);
        if (size < 0 && errno != EINTR) {
            return false;
        }
        if (size > 0) {
            bytes = osr_slice(bytes.data + size, bytes.size - (size_t)size);
        }
    }
    return true;
}

int osr_setup_main(int argc, char *const *argv)
{
    struct order order = {0};
    struct osr_err err = {0};
    const struct mode *mode = argc > 1 ? find_mode(argv[1]) : NULL;
    int code = mode == NULL
                   ? (int)osr_err_set(&err, OSR_INVALID_ARGUMENT,
                                      "setup is for `osiris`, of the same version: osiris --help")
                   : run_mode(mode, argc - 1, argv + 1, &order, &err);

    if (code != 0) {
        write_failure(&order, &err);
    }
    bool is_written = write_all(osr_buffer_slice(&order.output));
    osr_secret_buffer_done(&order.output);
    osr_config_done(&order.config);
    if (code == 0 && !is_written) {
        code = OSR_IO;
    }
    return osr_code_info((enum osr_code)code)->exit_status;
}
