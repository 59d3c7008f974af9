/* What every command needs: which instance is meant, how long to wait for it, and a connection to
 * it as soon as there is something to ask. */
#include "bin/command.h"
#include "bin/interrupt.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    /* Without a byte. Long, since a search waits for the index to catch up. */
    REPLY_TIMEOUT_MS = 60000,
    /* What an instance gives followers where the request does not say (knowledge.proto). */
    ACKS_TIMEOUT_MS = 10000,
    /* For a reply to come back after that. */
    REPLY_GRACE_MS = 5000,
};

int osr_context_init(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    static const char *const outputs[] = {"text", "json", NULL};
    size_t output;
    if (osr_arguments_choice(arguments, OSR_FLAG_OUTPUT, outputs, &output, err) != OSR_OK) {
        return err->code;
    }
    context->json = output == 1;

    if (osr_arguments_seconds(arguments, OSR_FLAG_TIMEOUT, REPLY_TIMEOUT_MS, &context->timeout_ms,
                              err) != OSR_OK) {
        return err->code;
    }
    if (osr_arguments_has(arguments, OSR_FLAG_TIMEOUT)) {
        context->acks_timeout_ms = context->timeout_ms;
    }

    const char *to = arguments->values[OSR_FLAG_TO];
    const char *folder = arguments->values[OSR_FLAG_DATA];
    if (to != NULL && folder != NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "--data and --to exclude each other");
    }
    if (to != NULL) {
        return osr_target_url(to, &context->target, err);
    }
    return osr_target_folder(folder, &context->target, err);
}

void osr_context_disconnect(struct osr_context *context)
{
    osr_interrupt_attach(NULL);
    osr_client_close(context->client);
    context->client = NULL;
}

void osr_context_done(struct osr_context *context)
{
    osr_context_disconnect(context);
    osr_output_done(&context->out);
    osr_target_done(&context->target);
}

int osr_context_connect(struct osr_context *context, struct osr_err *err)
{
    bool is_short = context->timeout_ms > 0 && context->timeout_ms < CONNECT_TIMEOUT_MS;
    uint32_t timeout_ms = is_short ? context->timeout_ms : CONNECT_TIMEOUT_MS;
    int code = osr_target_connect(&context->target, timeout_ms, &context->client, err);
    if (code == OSR_OK) {
        osr_interrupt_attach(context->client);
    }
    return code;
}

int osr_context_call(struct osr_context *context, Osr__Frame *request, osr_client_reply *on_reply,
                     void *on_reply_context, struct osr_err *err)
{
    if (context->client == NULL && osr_context_connect(context, err) != OSR_OK) {
        return err->code;
    }
    return osr_client_call(context->client, request, on_reply, on_reply_context,
                           context->timeout_ms, err);
}

uint32_t osr_context_write_timeout_ms(const struct osr_context *context)
{
    uint32_t acks_ms = context->acks_timeout_ms > 0 ? context->acks_timeout_ms : ACKS_TIMEOUT_MS;
    acks_ms += REPLY_GRACE_MS;
    return acks_ms > context->timeout_ms ? acks_ms : context->timeout_ms;
}
