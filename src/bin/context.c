/* What every command needs: which instance is meant, how long to wait for it, and calls of it with
 * messages both ways, by libosiris. */
#include <stdlib.h>

#include "base/url.h"
#include "bin/command.h"
#include "bin/interrupt.h"
#include "bin/login.h"
#include "model/limits.h"
#include "wire/method.h"

enum {
    ARENA_KEEP_BYTES = 1 << 20, /* between replies */
    /* Without a reply. Long, since a search waits for the index to catch up. */
    REPLY_TIMEOUT_MS = 60000,
    /* What an instance gives followers where the request does not say (knowledge.proto). */
    ACKS_TIMEOUT_MS = 10000,
    /* For a reply to come back after that. */
    REPLY_GRACE_MS = 5000,
};

int osr_context_fail(struct osr_err *err, const struct osiris_error *error)
{
    osr_err_set(err, (enum osr_code)error->code, "%s", error->message);
    if (error->hint[0] != '\0') {
        osr_err_hint(err, "%s", error->hint);
    }
    return (int)error->code;
}

static int read_where(const struct osr_arguments *arguments, const char **ret_where,
                      struct osr_err *err)
{
    const char *to = arguments->values[OSR_FLAG_TO];
    const char *folder = arguments->values[OSR_FLAG_DATA];
    struct osr_url url;
    if (to != NULL && folder != NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "--data and --to exclude each other");
    }
    *ret_where = to != NULL ? to : folder;
    return to != NULL ? osr_url_parse(to, &url, err) : OSR_OK; /* a folder has no place there */
}

struct osiris_trust osr_context_trust(const struct osr_arguments *arguments)
{
    struct osiris_trust trust = {
        .authorities_file = arguments->values[OSR_FLAG_CA],
        .certificate_file = arguments->values[OSR_FLAG_CERT],
        .key_file = arguments->values[OSR_FLAG_KEY],
        .shared_key_file = arguments->values[OSR_FLAG_SHARED_KEY],
        .token_file = arguments->values[OSR_FLAG_TOKEN_FILE],
    };
    const char *token = getenv("OSIRIS_TOKEN");
    if (trust.token_file == NULL && token != NULL && token[0] != '\0') {
        trust.token = token;
    }
    return trust;
}

static int set_trust(struct osr_context *context, const struct osiris_trust *trust,
                     struct osr_err *err)
{
    struct osiris_error error;
    return osiris_set_trust(context->client, trust, &error) == OSIRIS_OK
               ? OSR_OK
               : osr_context_fail(err, &error);
}

/* A login's token is shown where nothing else is. */
static int show_trust(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    struct osiris_trust trust = osr_context_trust(arguments);
    const char *to = arguments->values[OSR_FLAG_TO];
    char *login = NULL;
    if (to != NULL && trust.token == NULL && trust.token_file == NULL &&
        trust.certificate_file == NULL) {
        login = osr_login_find(to);
        trust.token_file = login;
    }
    bool is_empty = trust.authorities_file == NULL && trust.certificate_file == NULL &&
                    trust.key_file == NULL && trust.shared_key_file == NULL &&
                    trust.token_file == NULL && trust.token == NULL;
    int code = is_empty ? OSR_OK : set_trust(context, &trust, err);
    free(login);
    return code;
}

int osr_context_turn_to(struct osr_context *context, const char *where,
                        const struct osiris_trust *trust, struct osr_err *err)
{
    struct osiris_error error;
    struct osiris_client *client;
    if (osiris_open(where, &client, &error) != OSIRIS_OK) {
        return osr_context_fail(err, &error);
    }
    osr_interrupt_attach(NULL);
    osiris_close(context->client);
    context->client = client;
    return trust == NULL ? OSR_OK : set_trust(context, trust, err);
}

int osr_context_init(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    static const char *const outputs[] = {"text", "json", "yaml", NULL};
    size_t output;
    const char *where = NULL;
    struct osiris_error error;
    if (osr_arguments_choice(arguments, OSR_FLAG_OUTPUT, outputs, &output, err) != OSR_OK ||
        osr_arguments_seconds(arguments, OSR_FLAG_TIMEOUT, REPLY_TIMEOUT_MS, &context->timeout_ms,
                              err) != OSR_OK ||
        read_where(arguments, &where, err) != OSR_OK) {
        return err->code;
    }
    if (osiris_open(where, &context->client, &error) != OSIRIS_OK) {
        return osr_context_fail(err, &error);
    }
    if (show_trust(context, arguments, err) != OSR_OK) {
        return err->code;
    }
    context->json = output != 0;
    context->out.is_yaml = output == 2;
    if (osr_arguments_has(arguments, OSR_FLAG_TIMEOUT)) {
        context->acks_timeout_ms = context->timeout_ms;
    }
    context->arena = osr_arena_create(ARENA_KEEP_BYTES, OSR_DECODE_BYTES_MAX);
    return OSR_OK;
}

void osr_context_done(struct osr_context *context)
{
    osr_interrupt_attach(NULL);
    osiris_close(context->client);
    osr_arena_destroy(context->arena);
    osr_output_done(&context->out);
}

int osr_context_connect(struct osr_context *context, struct osr_err *err)
{
    struct osiris_error error;
    osr_interrupt_attach(context->client);
    osiris_set_timeout(context->client, context->timeout_ms);
    int code = osiris_connect(context->client, &error);
    return code == OSIRIS_OK ? OSR_OK : osr_context_fail(err, &error);
}

/* ---- calls ---- */

/* One call, from its start to its end. */
struct call {
    struct osr_arena *arena;
    const ProtobufCMessageDescriptor *descriptor; /* of its replies */
    osr_on_reply *on_reply;
    void *context;
    int stopped; /* what ended it, if that was not the instance */
    struct osr_err *err;
    int code; /* OK, or what err says */
};

static int take_reply(void *context, const char *reply, size_t size)
{
    struct call *call = context;
    ProtobufCMessage *message;
    osr_arena_reset(call->arena);
    call->stopped = osr_message_decode(OSR_CODEC_PROTOBUF, call->descriptor, osr_slice(reply, size),
                                       call->arena, &message, call->err);
    if (call->stopped != OSR_OK) {
        osr_err_prefix(call->err, "a reply of the instance");
    } else {
        call->stopped = call->on_reply(call->context, message);
    }
    return call->stopped;
}

static void take_end(void *context, const struct osiris_error *error)
{
    struct call *call = context;
    call->code = call->stopped;
    if (error != NULL && call->stopped == OSR_OK) {
        call->code = osr_context_fail(call->err, error);
    }
}

/* Until it has ended: well, with an error, or by Ctrl-C. */
static void await_end(struct call *call, struct osiris_client *client, uint64_t number)
{
    struct osiris_error error;
    if (osiris_run(client, 0, 0, &error) != OSIRIS_OK) {
        osiris_cancel(client, number, NULL);
        call->code = osr_context_fail(call->err, &error);
    }
}

int osr_context_call(struct osr_context *context, const char *method,
                     const ProtobufCMessage *request, osr_on_reply *on_reply,
                     void *on_reply_context, struct osr_err *err)
{
    struct call call = {
        .arena = context->arena,
        .descriptor = osr_method_by_name(method)->reply_descriptor,
        .on_reply = on_reply,
        .context = on_reply_context,
        .err = err,
    };
    if (osr_context_connect(context, err) != OSR_OK) {
        return err->code;
    }
    struct osr_buffer message = {0};
    struct osiris_error error;
    uint64_t number;
    osr_message_encode(OSR_CODEC_PROTOBUF, request, &message);
    int code = osiris_start_protobuf(context->client, method, message.data, message.size,
                                     take_reply, take_end, &call, &number, &error);
    osr_buffer_wipe(&message); /* it may be a login */
    if (code != OSIRIS_OK) {
        return osr_context_fail(err, &error);
    }
    await_end(&call, context->client, number);
    return call.code;
}

uint32_t osr_context_write_timeout_ms(const struct osr_context *context)
{
    uint32_t acks_ms = context->acks_timeout_ms > 0 ? context->acks_timeout_ms : ACKS_TIMEOUT_MS;
    acks_ms += REPLY_GRACE_MS;
    return acks_ms > context->timeout_ms ? acks_ms : context->timeout_ms;
}
