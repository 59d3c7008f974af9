#include "adapter/connection.h"

#include <stdlib.h>

void osr_connection_note_failure(struct osr_connection *connection, const struct osr_err *err)
{
    if (connection->failure == NULL && err->code != OSR_OK) {
        connection->failure = osr_alloc(sizeof(*connection->failure));
        *connection->failure = *err;
    }
}

void osr_connection_vouch(struct osr_connection *connection)
{
    if (connection->kind->vouch != NULL) {
        connection->kind->vouch(connection);
    }
}

void osr_connection_tell_end(struct osr_connection *connection)
{
    if (connection->handler->on_end != NULL) {
        connection->handler->on_end(connection->context, connection);
    } else {
        osr_connection_close(connection, false);
    }
}

void osr_connection_finish(struct osr_connection *connection)
{
    static const struct osr_err in_good_order = {.code = OSR_OK};
    if (connection->handler != NULL) {
        connection->handler->on_close(connection->context, connection,
                                      connection->failure != NULL ? connection->failure
                                                                  : &in_good_order);
    }
    free(connection->failure);
    free(connection->url);
}

void osr_listener_report(struct osr_listener *listener, const struct osr_err *err)
{
    listener->down = err != NULL ? *err : (struct osr_err){.code = OSR_OK};
    if (listener->on_change != NULL) {
        listener->on_change(listener->change_context, listener, err);
    }
}
