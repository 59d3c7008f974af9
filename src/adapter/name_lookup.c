#include "adapter/name_lookup.h"

#include <stdlib.h>

#include "adapter/name_question.h"
#include "base/bytes.h"

struct osr_name_lookup {
    uv_async_t answered;
    struct osr_name_question *question;
    osr_name_lookup_done *done;
    void *context;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void wake_loop(void *context)
{
    struct osr_name_lookup *lookup = context;
    uv_async_send(&lookup->answered);
}

static void on_answered(uv_async_t *async)
{
    struct osr_name_lookup *lookup = async->data;
    struct addrinfo *addresses = NULL;
    struct osr_err err = {.code = OSR_OK};

    osr_name_question_take(lookup->question, &addresses, &err);
    uv_close((uv_handle_t *)async, on_closed);
    lookup->done(lookup->context, addresses, &err);
}

int osr_name_lookup_start(uv_loop_t *loop, const char *host, uint16_t port,
                          osr_name_lookup_done *done, void *context,
                          struct osr_name_lookup **ret_lookup, struct osr_err *err)
{
    struct osr_name_lookup *lookup = osr_alloc(sizeof(*lookup));
    int result = uv_async_init(loop, &lookup->answered, on_answered);
    if (result != 0) {
        free(lookup);
        return (int)osr_err_errno(err, OSR_UNAVAILABLE, -result, "cannot look up %s", host);
    }
    lookup->answered.data = lookup;
    lookup->done = done;
    lookup->context = context;
    int code = osr_name_question_ask(host, port, wake_loop, lookup, &lookup->question, err);
    if (code != 0) {
        uv_close((uv_handle_t *)&lookup->answered, on_closed);
        return code;
    }
    *ret_lookup = lookup;
    return 0;
}

void osr_name_lookup_cancel(struct osr_name_lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    osr_name_question_drop(lookup->question);
    uv_close((uv_handle_t *)&lookup->answered, on_closed);
}
