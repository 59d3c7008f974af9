/* join: makes this machine's instance a member of a cluster, by an invitation.
 *
 * The invitation is read -> osirisd makes keys and a request -> the first address that answers, and
 * shows the CA that the invitation names, gives a certificate for it -> osirisd stores that -> the
 * instance starts and links. Whatever fails before the certificate is there leaves the invitation
 * as good as it was, and the folder ready for the next try. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "adapter/authority.h"
#include "adapter/clock.h"
#include "base/fields.h"
#include "base/text.h"
#include "bin/command.h"
#include "bin/daemon.h"
#include "bin/launch.h"
#include "bin/secret_input.h"
#include "model/limits.h"
#include "model/speakable.h"
#include "model/token.h"

enum {
    JOIN_TIMEOUT_MS = 20000, /* for an answer of one address, the connection aside */
    LINK_TIMEOUT_MS = 30000, /* for the first link to be up */
};

struct join {
    struct osr_context *context;
    const struct osr_arguments *arguments;
    struct osr_invitation invitation;
    struct osr_arena *arena;         /* of what osirisd says */
    Osr__JoinRequest *request;       /* lies in the arena */
    struct osr_buffer response;      /* JSON, for osirisd */
    const char *address;             /* the one that answered */
    char *cluster, *data, *instance; /* what came of it */
    char *missing_peer;
    char state[512]; /* of the link that is waited for */
};

/* ---- the folder's part ---- */

static void add_words(struct osr_daemon_words *words, const struct join *join, const char *mode)
{
    osr_daemon_add(words, mode);
    osr_daemon_add_flags(words, join->arguments);
}

/* Keys, and the request that goes to the cluster. */
static int make_request(struct join *join, struct osr_err *err)
{
    char token[OSR_TOKEN_TEXT_MAX];
    struct osr_daemon_words words = {0};
    struct osr_buffer input = {0};
    struct osr_buffer output = {0};
    ProtobufCMessage *message = NULL;
    Osr__JoinRequest request = OSR__JOIN_REQUEST__INIT;

    osr_token_write(token, &join->invitation.token);
    request.invitation = token;
    osr_buffer_reserve(&input, sizeof(token) + 64); /* once: no copy is left behind */
    osr_message_encode(OSR_CODEC_JSON, &request.base, &input);
    add_words(&words, join, "join-begin");
    int code = osr_daemon_set_up(&words, osr_buffer_slice(&input), &output, err);
    if (code == OSR_OK) {
        code = osr_message_decode(OSR_CODEC_JSON, &osr__join_request__descriptor,
                                  osr_buffer_slice(&output), join->arena, &message, err);
    }
    if (code == OSR_OK) {
        join->request = (Osr__JoinRequest *)message;
    }
    explicit_bzero(token, sizeof(token));
    explicit_bzero(input.data, input.size);
    osr_buffer_done(&input);
    osr_buffer_done(&output);
    return code;
}

static int store_response(struct join *join, struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    struct osr_buffer line = {0};
    struct osr_fields fields;

    add_words(&words, join, "join-finish");
    int code = osr_daemon_set_up(&words, osr_buffer_slice(&join->response), &line, err);
    if (code == OSR_OK) {
        code = osr_fields_read(osr_buffer_slice(&line), &fields, err);
    }
    osr_buffer_done(&line);
    if (code != OSR_OK) {
        return code;
    }
    join->data = osr_strdup(osr_fields_get(&fields, "data"));
    join->instance = osr_strdup(osr_fields_get(&fields, "instance"));
    join->missing_peer = osr_strdup(osr_fields_get(&fields, "missing_peer"));
    osr_fields_done(&fields);
    return OSR_OK;
}

/* ---- the cluster's part ---- */

static bool is_invited_to(const struct join *join, const char *url)
{
    for (size_t i = 0; i < join->invitation.address_count; i++) {
        if (strcmp(join->invitation.addresses[i], url) == 0) {
            return true;
        }
    }
    return false;
}

/* The instance that answered is linked to by the address at which it did; what else it names is
 * other instances. */
static int on_join(void *context, const ProtobufCMessage *reply)
{
    struct join *join = context;
    Osr__JoinResponse response = *(const Osr__JoinResponse *)reply;
    char **peers = osr_alloc((response.n_peers + 1) * sizeof(*peers));
    size_t count = 0;

    peers[count++] = (char *)join->address;
    for (size_t i = 0; i < response.n_peers && count < OSR_PEERS_MAX; i++) {
        if (!is_invited_to(join, response.peers[i])) {
            peers[count++] = response.peers[i];
        }
    }
    response.peers = peers;
    response.n_peers = count;
    osr_message_encode(OSR_CODEC_JSON, &response.base, &join->response);
    join->cluster = osr_strdup(response.cluster);
    free(peers);
    return OSR_OK;
}

/* With the one that shows the CA that the invitation names, and no other. */
static int connect_to(struct join *join, const char *address, struct osr_err *err)
{
    char fingerprint[2 * OSR_SHA256_SIZE + 1];

    if (osr_invitation_check_address(address, err) != OSR_OK) {
        return (int)err->code;
    }
    osr_hex_encode(fingerprint, osr_slice(join->invitation.ca_fingerprint.bytes, OSR_SHA256_SIZE));
    const struct osiris_trust trust = {.authority_fingerprint = fingerprint};
    int code = osr_context_turn_to(join->context, address, &trust, err);
    return code != OSR_OK ? code : osr_context_connect(join->context, err);
}

static int ask_at(struct join *join, const char *address, struct osr_err *err)
{
    join->address = address;
    join->context->timeout_ms = JOIN_TIMEOUT_MS;
    return osr_context_call(join->context, "join", &join->request->base, on_join, join, err);
}

/* Each address with what is wrong there. */
static void add_failure(struct osr_buffer *failures, const char *address, const struct osr_err *err)
{
    bool says_where = strstr(err->message, address) != NULL;
    osr_buffer_add_format(failures, "%s%s%s%s", failures->size > 0 ? "; " : "",
                          says_where ? "" : address, says_where ? "" : ": ", err->message);
}

static int refuse_addresses(struct osr_buffer *failures, struct osr_err *err)
{
    osr_buffer_add_u8(failures, '\0');
    osr_err_set(err, OSR_UNAVAILABLE, "the invitation's addresses cannot be reached: %s",
                (const char *)failures->data);
    osr_err_hint(err, "the invitation is still good: see that the inviting instance runs, that no "
                      "firewall is between, and that the clocks are right; osiris invite "
                      "--address URL names others");
    return OSR_UNAVAILABLE;
}

/* What is wrong with one address is not with the next; what the cluster says holds for all. */
static int ask_everywhere(struct join *join, struct osr_err *err)
{
    struct osr_buffer failures = {0};
    struct osr_err failure;
    int code = OSR_UNAVAILABLE;

    for (size_t i = 0; i < join->invitation.address_count; i++) {
        const char *address = join->invitation.addresses[i];
        code = connect_to(join, address, &failure);
        if (code == OSR_OK) {
            code = ask_at(join, address, err);
            goto done;
        }
        if (code == OSR_CANCELLED) {
            *err = failure;
            goto done;
        }
        add_failure(&failures, address, &failure);
    }
    code = refuse_addresses(&failures, err);
done:
    osr_buffer_done(&failures);
    return code;
}

/* ---- the link ---- */

struct link_search {
    bool is_up;
    char *state; /* of the join */
    size_t size;
};

static int on_link_status(void *context, const ProtobufCMessage *reply)
{
    struct link_search *search = context;
    const Osr__StatusResponse *status = (const Osr__StatusResponse *)reply;
    for (size_t i = 0; i < status->n_peers; i++) {
        const Osr__PeerStatus *peer = status->peers[i];
        if (strcmp(peer->state, "up") == 0) {
            search->is_up = true;
            return OSR_OK;
        }
        snprintf(search->state, search->size, "%s is %s%s%s", peer->url, peer->state,
                 peer->last_error[0] != '\0' ? ": " : "", peer->last_error);
    }
    return OSR_OK;
}

static int wait_for_link(struct join *join, struct osr_err *err)
{
    enum { PAUSE_MS = 100 };
    struct link_search search = {false, join->state, sizeof(join->state)};
    uint64_t deadline_ms = osr_monotonic_ms() + LINK_TIMEOUT_MS;
    Osr__StatusRequest request = OSR__STATUS_REQUEST__INIT;

    for (;;) {
        int code =
            osr_context_call(join->context, "status", &request.base, on_link_status, &search, err);
        if (code != OSR_OK || search.is_up) {
            return code;
        }
        if (osr_monotonic_ms() > deadline_ms) {
            osr_err_set(err, OSR_TIMEOUT, "the instance has joined, and no link is up yet: %s",
                        join->state[0] != '\0' ? join->state : "it has no peers");
            osr_err_hint(err, "osiris status shows when it is; osiris doctor looks for reasons");
            return OSR_TIMEOUT;
        }
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

/* ---- the whole ---- */

static void write_json(const struct join *join, const char *speakable, const char *start)
{
    struct osr_buffer line = {0};
    osr_fields_begin(&line);
    osr_fields_add(&line, "instance", join->instance);
    osr_fields_add(&line, "id", speakable);
    osr_fields_add(&line, "cluster", join->cluster);
    osr_fields_add(&line, "data_folder", join->data);
    osr_fields_add(&line, "peer", join->address);
    osr_fields_add(&line, "start", start);
    osr_fields_end(&line);
    osr_output_add_lines(&join->context->out, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

static void write_outcome(const struct join *join, const char *start)
{
    struct osr_output *out = &join->context->out;
    char speakable[OSR_SPEAKABLE_CHARS + 1];
    osr_speakable_write(speakable, join->instance);
    if (join->context->json) {
        write_json(join, speakable, start);
        return;
    }
    osr_output_add_field(out, "id", speakable);
    osr_output_add_field(out, "cluster", join->cluster);
    osr_output_add_field(out, "linked to", join->address);
    osr_output_add_field(out, "data", join->data);
    if (join->missing_peer[0] != '\0') {
        osr_output_add_format(
            out,
            "\n%s/osirisd.yaml was there, and stays as it is. To link, it needs:\n"
            "  peer: [\"%s\"]\n",
            join->data, join->missing_peer);
    }
    if (start != NULL) {
        osr_output_add_format(out, "\nStart it:\n  %s\n", start);
    }
}

/* *ret_start: what starts it, where that is not done; to be freed. */
static int start(struct join *join, char **ret_start, struct osr_err *err)
{
    const char *by_system = osr_launch_by_system(join->data);
    if (by_system != NULL) {
        *ret_start = osr_strdup(by_system);
        return OSR_OK;
    }
    if (osr_arguments_has(join->arguments, OSR_FLAG_NO_START)) {
        *ret_start = osr_format("osirisd --data %s", join->data);
        return OSR_OK;
    }
    int code =
        osr_context_turn_to(join->context, join->arguments->values[OSR_FLAG_DATA], NULL, err);
    if (code == OSR_OK) {
        code = osr_launch(join->context, join->data, err);
    }
    if (code != OSR_OK) {
        if (err->hint[0] == '\0') {
            osr_err_hint(err, "mend that, then: osirisd --data %s", join->data);
        }
        return osr_err_prefix(err, "the instance has joined, and does not start");
    }
    return join->missing_peer[0] != '\0' ? OSR_OK : wait_for_link(join, err);
}

static int become_member(struct join *join, struct osr_err *err)
{
    char *start_command = NULL;
    int code = make_request(join, err);

    if (code == OSR_OK) {
        code = ask_everywhere(join, err);
    }
    if (code == OSR_OK) {
        code = store_response(join, err);
    }
    if (code == OSR_OK) {
        code = start(join, &start_command, err);
    }
    if (code == OSR_OK) {
        write_outcome(join, start_command);
    }
    free(start_command);
    return code;
}

/* As `osiris invite` writes it: the command that was to be typed. */
static struct osr_slice invitation_in(struct osr_slice text)
{
    static const char command[] = "osiris join ";
    size_t size = sizeof(command) - 1;
    bool has_command = text.size > size && memcmp(text.data, command, size) == 0;

    return has_command ? osr_slice(text.data + size, text.size - size) : text;
}

/* '-': by standard input. Others see the words of a process; what came in one is of no use to them
 * for long. */
static int read_invitation(char *word, struct osr_invitation *invitation, struct osr_err *err)
{
    struct osr_buffer text = {0};
    int code = OSR_OK;

    if (strcmp(word, "-") != 0) {
        code = osr_invitation_read(osr_slice_text(word), invitation, err);
        explicit_bzero(word, strlen(word));
        return code;
    }
    code = osr_secret_input("-", "invitation", OSR_INVITATION_TEXT_MAX, &text, err);
    if (code == OSR_OK) {
        code = osr_invitation_read(invitation_in(osr_buffer_slice(&text)), invitation, err);
        osr_secret_buffer_done(&text);
    }
    return code;
}

int osr_run_join(struct osr_context *context, const struct osr_arguments *arguments,
                 struct osr_err *err)
{
    struct join join = {.context = context, .arguments = arguments};
    if (osr_arguments_has(arguments, OSR_FLAG_TO)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the invitation says whom to ask: there is no --to");
    }
    int code = read_invitation(arguments->operands[0], &join.invitation, err);
    if (code != OSR_OK) {
        return code;
    }
    join.arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    code = become_member(&join, err);
    free(join.missing_peer);
    free(join.instance);
    free(join.data);
    free(join.cluster);
    osr_buffer_done(&join.response);
    if (join.request != NULL) {
        explicit_bzero(join.request->invitation, strlen(join.request->invitation));
    }
    osr_arena_destroy(join.arena);
    osr_invitation_done(&join.invitation);
    return code;
}
